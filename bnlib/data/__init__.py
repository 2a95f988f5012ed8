"""Data sets as tensors on the device, and their augmentation. What a network makes of them is computed in `engine`."""

from bnlib.data.dataset import (
    FOLDER,
    MD5,
    MEAN,
    STD,
    DataMissing,
    Dataset,
    augment,
    constants,
    download,
    draw,
    folder,
    load,
    normalise,
    take,
)

__all__ = [
    "FOLDER",
    "MD5",
    "MEAN",
    "STD",
    "DataMissing",
    "Dataset",
    "augment",
    "constants",
    "download",
    "draw",
    "folder",
    "load",
    "normalise",
    "take",
]
