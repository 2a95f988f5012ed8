"""What a data set is to a training: a source of batches, ready for the network, on one device."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from bnlib.data.augmentation import augment, draw, normalise
from bnlib.words import Mendable


class DataMissing(Mendable):
    """A data set is not where it is looked for, or is not what it should be; the message says how to get it."""


@dataclass(frozen=True)
class Dataset:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,), for training and for testing, on one device.

    `checksum` (SHA-256, hex) covers every pixel and label. Like every source of images it has `name`, `classes`, `checksum`,
    `train_count`, `test_count`, and the methods `epoch`, `take` and `parts`: all that a training and an evaluation ask for.
    `mirrored`, int64 (classes,), has for each class that of its mirror image, where that can be another one: of turned pictures.
    """

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    checksum: str
    classes: int = 10
    mirrored: torch.Tensor | None = None

    @property
    def train_count(self) -> int:
        """How many images there are to train on."""
        return len(self.train_labels)

    @property
    def test_count(self) -> int:
        """How many images there are to test on."""
        return len(self.test_labels)

    def to(self, device) -> "Dataset":
        """The same data set on `device`."""
        names = ("train_images", "train_labels", "test_images", "test_labels", *(["mirrored"] if self.mirrored is not None else []))
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def epoch(
        self, *, seed: int, epoch: int, batch_size: int, augment: str, images: int | None = None, share=(0, 1)
    ) -> list[tuple]:
        """The batches of one epoch, in order, as `take` wants them; see `draw`.

        images: only the first so many. share: (rank, count), for one of several processes: of each batch its part.
        """
        rank, count = share
        drawn = draw(min(images or self.train_count, self.train_count), seed=seed, epoch=epoch, kind=augment)
        batches = zip(*(tensor.to(self.train_labels.device).split(batch_size) for tensor in drawn), strict=True)
        return [tuple(tensor.tensor_split(count)[rank] for tensor in batch) for batch in batches]

    def take(self, order: torch.Tensor, offsets: torch.Tensor, flips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The training images `order` (B,), augmented and normalised: fp32 (B, 3, 32, 32), channels_last; and their labels (B,)."""
        labels = self.train_labels[order]
        if self.mirrored is not None:
            labels = torch.where(flips, self.mirrored[labels], labels)
        return normalise(augment(self.train_images[order], offsets, flips)), labels

    def parts(self, *, train: bool = False, images: int | None = None, size: int = 500, share=(0, 1)) -> Iterator[tuple]:
        """Normalised test images fp32 (B, 3, 32, 32) and their labels (B,), in order, `size` at a time; train: training images.

        images: only the first so many. share: (rank, count), for one of several processes: its batches.
        """
        pixels, labels = (self.train_images, self.train_labels) if train else (self.test_images, self.test_labels)
        for start in range(share[0] * size, len(labels[:images]), share[1] * size):
            stop = min(start + size, len(labels[:images]))
            yield normalise(pixels[start:stop]), labels[start:stop]
