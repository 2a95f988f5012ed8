"""Augmentation as one tensor operation on a batch, and the order of the images."""

import functools

import torch

from bnlib import seeds

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which the authors' code uses for CIFAR-10 too
CROP_PADDING = 4


@functools.cache
def constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a pixel's three values, from 0 to 255, on `device`; made once, as a CUDA graph can't."""
    return tuple(torch.tensor(values, device=device, dtype=torch.float32) * 255 for values in (MEAN, STD))


def normalise(images: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Pixels uint8 (N, H, W, 3) to a channels_last batch (N, 3, H, W), minus the mean, over the standard deviation."""
    mean, std = constants(images.device)
    return ((images.float() - mean) / std).to(dtype).permute(0, 3, 1, 2)


def augment(images: torch.Tensor, offsets: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crop and mirror a whole batch: uint8 (N, H, W, 3) to the same shape.

    offsets (N, 2): the crop's top and left in the image padded by 4 black pixels; (4, 4) leaves it in place.
    flips (N,), bool: mirror from left to right. Source: authors' code (random crop after padding, horizontal flip).
    """
    count, height, width, _ = images.shape
    padded = images.new_zeros(count, height + 2 * CROP_PADDING, width + 2 * CROP_PADDING, images.shape[3])
    padded[:, CROP_PADDING:-CROP_PADDING, CROP_PADDING:-CROP_PADDING] = images  # F.pad takes ten times as long on bytes
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = torch.where(flips[:, None], width - 1 - columns, columns) + offsets[:, 1:]
    rows = torch.arange(height, device=images.device) + offsets[:, :1]
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]]


def draw(total: int, *, seed: int, epoch: int, kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One epoch's order of the images (total,), and for each place in it the crop's offsets (total, 2) and the flip (total,).

    A function of its arguments alone, on every device, so that a training can go on from any epoch.
    kind: `flip+crop`, `flip`, `crop` or `none`. Raises ValueError for `flip+resized`, which needs pictures of their own size.
    """
    if "resized" in kind:
        raise ValueError(f"augment {kind!r}: it is for pictures of their own size, dataset imagefolder:PATH; nearest: flip+crop")
    random = seeds.stream("epoch", seed, epoch)
    order = random.permutation(total)
    offsets = random.randint(0, 2 * CROP_PADDING + 1, (total, 2))
    flips = random.randint(0, 2, total).astype(bool)
    if "crop" not in kind:
        offsets[:] = CROP_PADDING
    if "flip" not in kind:
        flips[:] = False
    return torch.from_numpy(order), torch.from_numpy(offsets), torch.from_numpy(flips)
