"""Data sets as tensors on the device, and their augmentation as one tensor operation on a batch."""

import functools
import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bnlib.models import initialisation

FOLDER = "cifar-10-batches-py"
MD5 = {  # the published ones, as in torchvision; the names of the classes are not needed
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which the authors' code uses for CIFAR-10 too
CROP_PADDING = 4


class DataMissing(FileNotFoundError):
    """A data set is not where it is looked for, or is not what it should be; the message says how to get it."""


@dataclass(frozen=True)
class Dataset:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,), for training and for testing, on one device.

    `checksum` (SHA-256, hex) covers every pixel and label.
    """

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    checksum: str

    def to(self, device) -> "Dataset":
        """The same data set on `device`."""
        moved = [t.to(device) for t in (self.train_images, self.train_labels, self.test_images, self.test_labels)]
        return Dataset(self.name, *moved, self.checksum)


def folder(root: str | Path | None = None) -> Path:
    """Where CIFAR-10 is looked for: `root`, else the environment variable BNLIB_DATA, else ~/.cache/bnlib."""
    return Path(root or os.environ.get("BNLIB_DATA") or "~/.cache/bnlib").expanduser()


def load(name: str = "cifar10", root: str | Path | None = None) -> Dataset:
    """Load the data set `name`, `cifar10` or `digits`, on the CPU.

    CIFAR-10: 50,000 training and 10,000 test images, from torchvision's files in `folder(root)`; every file is checked by
    its md5. digits: scikit-learn's 1,797 handwritten digits at 32×32, 1,437 to train and 360 to test; no download.
    Raises DataMissing if CIFAR-10 is not there or a file is damaged, ValueError for another name.
    """
    if name not in ("cifar10", "digits"):
        raise ValueError(f"dataset {name!r}: use one of cifar10, digits")
    arrays = [np.ascontiguousarray(array) for array in (_cifar10(folder(root)) if name == "cifar10" else _digits())]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view(np.uint8))
    return Dataset(name, *(torch.from_numpy(array) for array in arrays), digest.hexdigest())


def _cifar10(root: Path):
    command = "bnlib data --download" + ("" if root == folder() else f" --data {root}")
    if not (root / FOLDER).is_dir():
        raise DataMissing(
            f"CIFAR-10 is not in {root} (no folder {FOLDER}). Get it (170 MB) with: {command}   "
            "or set BNLIB_DATA to the folder that holds it"
        )
    for file, md5 in MD5.items():
        path = root / FOLDER / file
        if not path.exists() or hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            state = "damaged (its md5 is not the published one)" if path.exists() else "missing"
            raise DataMissing(f"CIFAR-10: {path} is {state}. Get it anew (170 MB) with: {command}")
    # Not by torchvision's class, which has every image in memory three times on the way: more than a training needs at most.
    for files in ([file for file in MD5 if file.startswith("data")], ["test_batch"]):
        images, labels = np.empty((len(files), 10_000, 32, 32, 3), np.uint8), []
        for place, file in zip(images, files, strict=True):
            batch = pickle.loads((root / FOLDER / file).read_bytes(), encoding="latin1")  # its md5 is right
            place[:] = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            labels += batch["labels"]
        yield images.reshape(-1, 32, 32, 3)
        yield np.array(labels, dtype=np.int64)


def download(root: str | Path | None = None) -> Path:
    """Download CIFAR-10 (170 MB) through torchvision into `folder(root)`, unless it is there and right; returns the folder.

    Raises DataMissing if that fails.
    """
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(folder(root), download=True)
    except (OSError, RuntimeError) as error:  # no network, no room, not the right archive
        raise DataMissing(f"CIFAR-10 could not be downloaded into {folder(root)}: {error}") from None
    return folder(root)


def _digits():
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataMissing("the data set digits comes with scikit-learn: pip install scikit-learn") from None
    digits = load_digits()
    # 8×8 pixels from 0 to 16, each repeated 4×4 times: exact on every machine, which an interpolation is not.
    images = np.kron(np.round(digits.images * (255 / 16)).astype(np.uint8), np.ones((1, 4, 4), np.uint8))
    images = np.repeat(images[..., None], 3, axis=3)
    labels = digits.target.astype(np.int64)
    order = initialisation.stream("digits split").permutation(len(images))
    train, test = order[:1437], order[1437:]
    return images[train], labels[train], images[test], labels[test]


@functools.cache
def constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a pixel's three values, from 0 to 255, on `device`; made once, as a CUDA graph can't."""
    return torch.tensor(MEAN, device=device) * 255, torch.tensor(STD, device=device) * 255


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
    kind: `flip+crop`, `flip`, `crop` or `none`.
    """
    random = initialisation.stream("epoch", seed, epoch)
    order = random.permutation(total)
    offsets = random.randint(0, 2 * CROP_PADDING + 1, (total, 2))
    flips = random.randint(0, 2, total).astype(bool)
    if "crop" not in kind:
        offsets[:] = CROP_PADDING
    if "flip" not in kind:
        flips[:] = False
    return torch.from_numpy(order), torch.from_numpy(offsets), torch.from_numpy(flips)


def take(data: Dataset, order: torch.Tensor, offsets: torch.Tensor, flips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The training images `order` (B,), augmented: uint8 (B, 32, 32, 3), and their labels (B,). See `draw` and `augment`."""
    return augment(data.train_images[order], offsets, flips), data.train_labels[order]
