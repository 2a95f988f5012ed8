"""CIFAR-10 from torchvision's files, every one of them checked."""

import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bnlib.data.dataset import DataMissing

FOLDER = "cifar-10-batches-py"
MD5 = {  # the published ones, as in torchvision; the names of the classes are not needed
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def folder(root: str | Path | None = None) -> Path:
    """Where CIFAR-10 is looked for: `root`, else the environment variable BNLIB_DATA, else ~/.cache/bnlib."""
    return Path(root or os.environ.get("BNLIB_DATA") or "~/.cache/bnlib").expanduser()


def arrays(root: str | Path | None = None) -> Iterator[np.ndarray]:
    """50,000 images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), 10,000 to test and theirs, from `folder(root)`.

    Raises DataMissing if they are not there or a file is not the published one.
    """
    root = folder(root)
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
