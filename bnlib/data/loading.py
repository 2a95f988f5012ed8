"""Data sets by name."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bnlib.data import digits, pictures, published
from bnlib.data.dataset import Dataset
from bnlib.spec import RunSpec, dataset, image_folder
from bnlib.spec.choices import DATASETS
from bnlib.words import nearest, shown, whole

SIZES = (8, 1024)


def load(name: str = "cifar10", root: str | Path | None = None, size: int = 32) -> Dataset | pictures.Pictures:
    """Load the data set `name`, on the CPU: a source of images for a training, see `Dataset`.

    cifar10, cifar100, svhn: from torchvision's files in `folder(root)`; every file is checked by its md5. digits: scikit-learn's
    1,797 handwritten digits at 32×32, 1,437 to train and 360 to test; no download. imagefolder:PATH: the user's own pictures in
    `PATH/train/<class>` and `PATH/val/<class>`, shown to the network as `size`×`size`, see `bnlib.data.pictures`.
    Raises DataMissing if it is not there or a file is damaged, ValueError for another name, or a size that it does not have.
    """
    size = whole("size", size, *SIZES)
    if str(name).startswith(f"{pictures.KIND}:"):
        return replace(pictures.load(str(image_folder(dataset(name))), size), name=name)
    if name not in DATASETS:
        allowed = (*DATASETS, f"{pictures.KIND}:PATH")
        raise ValueError(f"dataset {shown(name)}: use one of {', '.join(allowed)}{nearest(name, allowed)}")
    if size != 32:
        raise ValueError(
            f"size {size}: the pictures of {name} are 32×32; nearest: 32 (of your own pictures, {pictures.KIND}:PATH, any)"
        )
    made = digits.arrays() if name == "digits" else published.arrays(name, root)
    arrays, digest = [np.ascontiguousarray(array) for array in made], hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view(np.uint8))
    classes = published.SETS[name].classes if name in published.SETS else 10
    return Dataset(name, *(torch.from_numpy(array) for array in arrays), digest.hexdigest(), classes)


def of(spec: RunSpec, root: str | Path | None = None) -> Dataset | pictures.Pictures:
    """What `spec` is trained on, in the size that its network sees; see `load`."""
    return load(spec.dataset, root, spec.settings.size)
