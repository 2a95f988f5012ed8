"""Data sets as sources of images, and augmentation. What a network makes of them is computed in `engine`."""

from bnlib.data.augmentation import MEAN, STD, augment, constants, draw, normalise
from bnlib.data.dataset import DataMissing, Dataset
from bnlib.data.given import Given, source
from bnlib.data.loading import load, of
from bnlib.data.pictures import Pictures
from bnlib.data.published import download, folder

__all__ = [
    "MEAN",
    "STD",
    "DataMissing",
    "Dataset",
    "Given",
    "Pictures",
    "augment",
    "constants",
    "download",
    "draw",
    "folder",
    "load",
    "normalise",
    "of",
    "source",
]
