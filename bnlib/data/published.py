"""Sets of 32×32 pictures from torchvision's files: each read once, checked, and opened without running anything in it."""

import hashlib
import io
import os
import pickle
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnlib.data.dataset import DataMissing


@dataclass(frozen=True)
class Published:
    """What is known of a set: its files to train and to test with their published md5, as in torchvision.

    title: in words; without its hyphen torchvision's class. folder: where the files are, in the folder of all data sets.
    counts: pictures in each file to train and to test. largest: bytes, each file is a little smaller.
    """

    title: str
    classes: int
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    counts: tuple[int, int]
    megabytes: int
    largest: int

    @property
    def md5(self) -> dict[str, str]:
        """All its files."""
        return {**self.train, **self.test}


SETS = {  # the names of the classes are not needed
    "cifar10": Published(
        title="CIFAR-10",
        classes=10,
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        counts=(10_000, 10_000),
        megabytes=170,
        largest=31_100_000,
    ),
    "cifar100": Published(
        title="CIFAR-100",
        classes=100,
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        counts=(50_000, 10_000),
        megabytes=169,
        largest=156_000_000,
    ),
    "svhn": Published(  # without its `extra` images, as most train on it
        title="SVHN",
        classes=10,
        folder="",
        train={"train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373"},
        test={"test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3"},
        counts=(73_257, 26_032),
        megabytes=246,
        largest=190_000_000,
    ),
}


def folder(root: str | Path | None = None) -> Path:
    """Where data sets are looked for: `root`, else the environment variable BNLIB_DATA, else ~/.cache/bnlib.

    Raises DataMissing if that begins with a `~` for which there is no home, or is a file.
    """
    path = Path(root or os.environ.get("BNLIB_DATA") or "~/.cache/bnlib")
    try:
        path = path.expanduser()
    except RuntimeError:
        raise DataMissing(f"there is no home folder for {path}; set BNLIB_DATA to the folder that holds the data sets") from None
    if os.path.isfile(path):  # not where nobody may look: its first file says so
        raise DataMissing(f"{path} is a file; the folder that holds the data sets is needed, by BNLIB_DATA or --data")
    return path


def arrays(name: str, root: str | Path | None = None) -> Iterator[np.ndarray]:
    """Images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), those to test and theirs, of the set `name` of SETS.

    From `folder(root)`. Raises DataMissing if they are not there, cannot be read, or a file is not the published one.
    """
    one = SETS[name]
    where, command = folder(root) / one.folder, _command(name, root)
    try:
        there = stat.S_ISDIR(os.stat(where).st_mode)
    except OSError as error:
        there = isinstance(error, PermissionError)  # then its first file says so
    if not there:
        raise DataMissing(
            f"{one.title} is not in {folder(root)} (no folder {one.folder or 'there'}). Get it ({one.megabytes} MB) with: "
            f"{command}   or set BNLIB_DATA to the folder that holds it"
        )
    # Not by torchvision's classes, which have every image in memory three times on the way: more than a training needs at most.
    for files, count in zip((one.train, one.test), one.counts, strict=True):
        images, labels = np.empty((len(files), count, 32, 32, 3), np.uint8), []
        for place, file in zip(images, files, strict=True):
            place[:], known = _open(_content(one, where / file, command), where / file, one, count)
            labels += known
        yield images.reshape(-1, 32, 32, 3)
        yield np.array(labels, dtype=np.int64)


def _command(name: str, root: str | Path | None) -> str:
    """What gets the set there, to be pasted."""
    which = "" if name == "cifar10" else f" --dataset {name}"
    return f"bnlib data{which} --download" + (f" --data {shlex.quote(str(root))}" if root else "")


def _content(one: Published, path: Path, command: str) -> bytes:
    """The bytes of a file, read once, whose md5 is the published one. Raises DataMissing, which names the `command` that helps."""
    get = f"et it anew ({one.megabytes} MB) with: {command}"
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a folder; a pipe would be waited for
            raise DataMissing(f"{one.title}: {path} is not a file. Move it away; then g{get}")
        with open(path, "rb") as file:
            content = file.read(one.largest)
    except FileNotFoundError:
        raise DataMissing(f"{one.title}: {path} is missing. G{get}") from None
    except OSError as error:
        raise DataMissing(f"{one.title}: {path} cannot be read ({error.strerror})") from None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != one.md5[path.name]:
        raise DataMissing(f"{one.title}: {path} is damaged (its md5 is not the published one). G{get}")
    return content


class _Unpickler(pickle.Unpickler):
    """Knows the three names that an array needs. Any other could run what the file wants."""

    def find_class(self, module: str, name: str):
        if (module, name) not in (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}"[:200])
        return super().find_class(module, name)


def _open(content: bytes, path: Path, one: Published, count: int) -> tuple[np.ndarray, list[int]]:
    """Images uint8 (count, 32, 32, 3) and labels of a file. Its md5 is right; should that ever not do, nothing in it is run."""
    said = ""
    try:
        images, labels = _matlab(content) if path.suffix == ".mat" else _pickled(content)
        right = images.shape == (count, 32, 32, 3) and images.dtype == np.uint8
        if right and len(labels) == count and set(labels) <= set(range(one.classes)):
            return images, labels
    except ImportError:
        raise DataMissing(f"{one.title}: its files are read by scipy, which is not here: pip install scipy") from None
    except Exception as error:  # as many kinds as there are ways to write such a file
        said = f" ({str(error)!r:.300})"
    raise DataMissing(f"{one.title}: {path} is not a batch of images{said}")


def _pickled(content: bytes) -> tuple[np.ndarray, list[int]]:
    """A file of CIFAR: a row of red, green and blue for each image."""
    batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    labels = batch["fine_labels"] if "fine_labels" in batch else batch["labels"]
    return batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def _matlab(content: bytes) -> tuple[np.ndarray, list[int]]:
    """A file of SVHN: the images along the last dimension, and the digit 0 as class 10."""
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(content), variable_names=["X", "y"])
    return found["X"].transpose(3, 0, 1, 2), (found["y"].ravel() % 10).tolist()


def download(root: str | Path | None = None, name: str = "cifar10") -> Path:
    """Download the set `name` as torchvision does into `folder(root)`, unless it is there and right; returns the folder.

    Raises DataMissing if that fails.
    """
    root, one = folder(root), SETS[name]
    try:
        for file in one.md5:
            _content(one, root / one.folder / file, "")
        return root
    except DataMissing:
        pass
    # Not by torchvision's classes, which would then open the files as pickles that may do anything.
    from torchvision import datasets
    from torchvision.datasets import utils

    its = getattr(datasets, one.title.replace("-", ""))
    try:
        if name == "svhn":
            for part in ("train", "test"):
                url, file, md5 = its.split_list[part]
                utils.download_url(url, str(root), file, md5)
        else:
            utils.download_and_extract_archive(its.url, str(root), filename=its.filename, md5=its.tgz_md5)
    except (OSError, RuntimeError) as error:  # no network, no room, not the right archive
        raise DataMissing(f"{one.title} could not be downloaded into {root}: {error}") from None
    return root
