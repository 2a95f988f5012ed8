"""CIFAR-10 from torchvision's files: each read once, checked, and opened without running anything in it."""

import hashlib
import io
import os
import pickle
import shlex
import stat
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
LARGEST = 31_100_000  # bytes; each of the six is a little smaller


def folder(root: str | Path | None = None) -> Path:
    """Where CIFAR-10 is looked for: `root`, else the environment variable BNLIB_DATA, else ~/.cache/bnlib.

    Raises DataMissing if that begins with a `~` for which there is no home.
    """
    path = Path(root or os.environ.get("BNLIB_DATA") or "~/.cache/bnlib")
    try:
        return path.expanduser()
    except RuntimeError:
        raise DataMissing(
            f"CIFAR-10: there is no home folder for {path}; set BNLIB_DATA to the folder that holds {FOLDER}"
        ) from None


def arrays(root: str | Path | None = None) -> Iterator[np.ndarray]:
    """50,000 images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), 10,000 to test and theirs, from `folder(root)`.

    Raises DataMissing if they are not there, cannot be read, or a file is not the published one.
    """
    where, command = folder(root) / FOLDER, _command(root)
    try:
        there = stat.S_ISDIR(os.stat(where).st_mode)
    except OSError as error:
        there = isinstance(error, PermissionError)  # then its first file says so
    if not there:
        raise DataMissing(
            f"CIFAR-10 is not in {where.parent} (no folder {FOLDER}). Get it (170 MB) with: {command}   "
            "or set BNLIB_DATA to the folder that holds it"
        )
    # Not by torchvision's class, which has every image in memory three times on the way: more than a training needs at most.
    for files in ([file for file in MD5 if file.startswith("data")], ["test_batch"]):
        images, labels = np.empty((len(files), 10_000, 32, 32, 3), np.uint8), []
        for place, file in zip(images, files, strict=True):
            data, known = _open(_content(where / file, command), where / file)
            place[:] = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            labels += known
        yield images.reshape(-1, 32, 32, 3)
        yield np.array(labels, dtype=np.int64)


def _command(root: str | Path | None) -> str:
    """What gets CIFAR-10 there, to be pasted."""
    return "bnlib data --download" + (f" --data {shlex.quote(str(root))}" if root else "")


def _content(path: Path, command: str) -> bytes:
    """The bytes of a file, read once, whose md5 is the published one. Raises DataMissing, which names the `command` that helps."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a folder; a pipe would be waited for
            raise DataMissing(f"CIFAR-10: {path} is not a file. Move it away; then get it (170 MB) with: {command}")
        with open(path, "rb") as file:
            content = file.read(LARGEST)
    except FileNotFoundError:
        raise DataMissing(f"CIFAR-10: {path} is missing. Get it anew (170 MB) with: {command}") from None
    except OSError as error:
        raise DataMissing(f"CIFAR-10: {path} cannot be read ({error.strerror})") from None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[path.name]:
        raise DataMissing(f"CIFAR-10: {path} is damaged (its md5 is not the published one). Get it anew (170 MB) with: {command}")
    return content


class _Unpickler(pickle.Unpickler):
    """Knows the three names that an array needs. Any other could run what the file wants."""

    def find_class(self, module: str, name: str):
        if (module, name) not in (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}"[:200])
        return super().find_class(module, name)


def _open(content: bytes, path: Path) -> tuple[np.ndarray, list[int]]:
    """Images uint8 (10000, 3072) and labels of a file. Its md5 has been checked; should that ever not do, nothing in it is run."""
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        data, labels = batch["data"], batch["labels"]
        if data.shape == (10_000, 3072) and data.dtype == np.uint8 and len(labels) == 10_000 and set(labels) <= set(range(10)):
            return data, labels
    except Exception as error:  # as many kinds as there are ways to write a pickle
        raise DataMissing(f"CIFAR-10: {path} is not a batch of images ({str(error)!r:.300})") from None
    raise DataMissing(f"CIFAR-10: {path} is not a batch of images")


def download(root: str | Path | None = None) -> Path:
    """Download CIFAR-10 (170 MB) as torchvision does into `folder(root)`, unless it is there and right; returns the folder.

    Raises DataMissing if that fails.
    """
    root = folder(root)
    try:
        for file in MD5:
            _content(root / FOLDER / file, "")
        return root
    except DataMissing:
        pass
    # Not by torchvision's class, which would then open the files as pickles that may do anything.
    from torchvision.datasets import CIFAR10, utils

    try:
        utils.download_and_extract_archive(CIFAR10.url, str(root), filename=CIFAR10.filename, md5=CIFAR10.tgz_md5)
    except (OSError, RuntimeError) as error:  # no network, no room, not the right archive
        raise DataMissing(f"CIFAR-10 could not be downloaded into {root}: {error}") from None
    return root
