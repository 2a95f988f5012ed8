"""What a data set is to a training: tensors on one device."""

from dataclasses import dataclass

import torch

from bnlib.words import Mendable


class DataMissing(Mendable):
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
