"""Data sets by name."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from bnlib.data import cifar10, digits
from bnlib.data.dataset import Dataset
from bnlib.spec.choices import DATASETS
from bnlib.words import one_of


def load(name: str = "cifar10", root: str | Path | None = None) -> Dataset:
    """Load the data set `name`, `cifar10` or `digits`, on the CPU.

    CIFAR-10: 50,000 training and 10,000 test images, from torchvision's files in `cifar10.folder(root)`; every file is checked by
    its md5. digits: scikit-learn's 1,797 handwritten digits at 32×32, 1,437 to train and 360 to test; no download.
    Raises DataMissing if CIFAR-10 is not there or a file is damaged, ValueError for another name.
    """
    one_of("dataset", name, DATASETS)
    arrays = [np.ascontiguousarray(array) for array in (cifar10.arrays(root) if name == "cifar10" else digits.arrays())]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view(np.uint8))
    return Dataset(name, *(torch.from_numpy(array) for array in arrays), digest.hexdigest())
