"""Data sets by name."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from bnlib.data import digits, pictures, published, tasks
from bnlib.data.dataset import Dataset
from bnlib.spec import RunSpec, datasets
from bnlib.spec.choices import SIZES, TASKS
from bnlib.words import whole


def load(name: str = "cifar10", root: str | Path | None = None, size: int = 32) -> Dataset | pictures.Pictures:
    """Load the data set `name`, on the CPU: a source of images for a training, see `Dataset`.

    cifar10, cifar100, svhn: from torchvision's files in `folder(root)`; every file is checked by its md5. digits: scikit-learn's
    1,797 handwritten digits at 32×32, 1,437 to train and 360 to test; no download. cifar10-rotation, cifar10-animals,
    cifar10-first5, cifar10-last5: made of the files of cifar10, see `bnlib.data.tasks`. imagefolder:PATH: the user's own pictures
    in `PATH/train/<class>` and `PATH/val/<class>`, shown to the network as `size`×`size`, see `bnlib.data.pictures`.
    Raises DataMissing if it is not there or a file is damaged, ValueError for another name, or a size that it does not have.
    """
    size, name = whole("size", size, *SIZES), datasets.dataset(name)
    if folder := datasets.image_folder(name):
        return pictures.load(name, folder, size)
    if size != datasets.SIDE:
        ours = f"{datasets.SIDE}×{datasets.SIDE}; nearest: {datasets.SIDE}"
        raise ValueError(f"size {size}: the pictures of {name} are {ours} ({datasets.FOLDER}PATH takes any)")
    made = digits.arrays() if name == "digits" else (tasks if name in TASKS else published).arrays(name, root)
    arrays, digest = [np.ascontiguousarray(array) for array in made], hashlib.sha256()
    for array in arrays:
        digest.update(array.reshape(-1).view(np.uint8))
    mirrored = torch.tensor(tasks.MIRRORED[name]) if name in tasks.MIRRORED else None
    return Dataset(name, *(torch.from_numpy(array) for array in arrays), digest.hexdigest(), datasets.CLASSES[name], mirrored)


def of(spec: RunSpec, root: str | Path | None = None) -> Dataset | pictures.Pictures:
    """What `spec` is trained on, in the size that its network sees; see `load`."""
    return load(spec.dataset, root, spec.settings.size)
