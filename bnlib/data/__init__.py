"""Data sets as tensors on the device, and their augmentation. What a network makes of them is computed in `engine`."""

from bnlib.data.augmentation import MEAN, STD, augment, constants, draw, normalise
from bnlib.data.cifar10 import download, folder
from bnlib.data.dataset import DataMissing, Dataset
from bnlib.data.given import Given, source
from bnlib.data.loading import load

__all__ = [
    "MEAN",
    "STD",
    "DataMissing",
    "Dataset",
    "Given",
    "augment",
    "constants",
    "download",
    "draw",
    "folder",
    "load",
    "normalise",
    "source",
]
