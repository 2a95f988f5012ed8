"""A folder of pictures with a folder for each class: what is in it, found and checked before any work."""

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnlib.data.dataset import DataMissing
from bnlib.words import nearest

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")  # in capitals, too


@dataclass(frozen=True)
class Part:
    """The pictures to train, or those to test, class after class.

    files: their names in `folder`, bytes (N,): in one array, because processes share that, and not a million texts. labels: int64
    (N,), rising. sizes: int64 (N,), in bytes; 0 for what is there but no file, such as a link to nothing.
    """

    folder: Path
    files: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """Where the picture `index` is."""
        return self.folder / os.fsdecode(bytes(self.files[index]))

    def of_class(self, label: int) -> range:
        """The pictures of a class."""
        return range(*np.searchsorted(self.labels, [label, label + 1]).tolist())


def find(root: Path) -> tuple[tuple[str, ...], Part, Part, str]:
    """The names of the classes, in order; the pictures to train and those to test; and a checksum, SHA-256, hex.

    Looks in `train/<class>`, and `val/<class>` or, where there is no `val`, `test/<class>`. The classes are sorted by name, as
    torchvision's ImageFolder does; a class's pictures are those in it and in folders in it, sorted. Links are followed. Hidden
    files and folders (`.DS_Store`, `._x.jpg`) and files that are not named as pictures are left out. The checksum is over names
    and sizes, not over what is in the files: of a million that would take an hour. Raises DataMissing, one line, if a class is not
    in both parts or has no picture, or if the folders are not as they should be.
    """
    names = _folders(root)
    if "train" not in names or not {"val", "test"} & set(names):
        lacks, takes = ("train", "train") if "train" not in names else ("val (or test)", "val")
        there = f"it has {_some(names)}{nearest(takes, names)}" if names else "it has no folder at all"
        raise DataMissing(f"{root}: needed are train/<class> and val/<class>, and there is no folder {lacks}; {there}")
    folders = {"train": root / "train", "test": root / ("val" if "val" in names else "test")}
    classes = {part: {_plain(name): name for name in _folders(folder)} for part, folder in folders.items()}
    for part, folder in folders.items():
        if len(there := _folders(folder)) > len(classes[part]):
            twice = next(name for name in there if name != classes[part][_plain(name)])
            raise DataMissing(f"{folder}: two folders are called {_plain(twice)!r}, with the accent written in two ways; join them")
    for part in folders:
        if not classes[part]:
            loose = sum(entry.is_file() for entry in _entries(folders[part]))
            raise DataMissing(f"{folders[part]}: no class has a folder in it{f', but {loose} files are' if loose else ''}")
    for part, other in (("train", "test"), ("test", "train")):
        if alone := sorted(set(classes[part]) - set(classes[other])):
            near = nearest(alone[0], sorted(classes[other]))
            raise DataMissing(f"{folders[other]}: of {_some(alone)}, which {folders[part]} has, there is no folder{near}")
    names = tuple(sorted(classes["train"]))
    if len(names) < 2:
        raise DataMissing(f"{root}: there is one class only, {names[0]}; two are needed at least")
    digest = hashlib.sha256()
    parts = [_part(part, folders[part], [classes[part][name] for name in names], digest) for part in folders]
    return names, *parts, digest.hexdigest()


def _part(part: str, folder: Path, classes: list[str], digest) -> Part:
    """What the folders of the classes hold, which is put into `digest`."""
    files, labels, sizes = [], [], []
    for label, name in enumerate(classes):
        others = set()
        found = sorted((_plain(file), file, size) for file, size in _pictures(folder / name, name, others))
        if not found:
            what = f"only files that are not named as pictures ({_some(sorted(others))})" if others else "no file"
            raise DataMissing(f"{folder / name}: there is {what} in it; pictures are {' '.join(EXTENSIONS)}")
        for plain, file, size in found:
            digest.update(f"{part}/{plain}\0{size}\n".encode(errors="surrogateescape"))
            files.append(os.fsencode(file))
            labels.append(label)
            sizes.append(size)
    return Part(folder, np.array(files, dtype=np.bytes_), np.array(labels, dtype=np.int64), np.array(sizes, dtype=np.int64))


def _pictures(folder: Path, name: str, others: set[str], above: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Name and size of every picture in `folder`, which is called `name`, and in folders in it; `others` gets other extensions."""
    above = (*above, os.path.realpath(folder))
    for entry in _entries(folder):
        own = f"{name}/{entry.name}"
        if entry.is_dir():
            if not entry.is_symlink() or os.path.realpath(entry.path) not in above:  # else for ever
                yield from _pictures(folder / entry.name, own, others, above)
        elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
            yield own, entry.stat().st_size if entry.is_file() else 0
        else:
            others.add(os.path.splitext(entry.name)[1] or entry.name)


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is in `folder`, but for what is hidden. Raises DataMissing, one line, if that cannot be read."""
    try:
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            raise DataMissing(f"{folder} is a file; a folder is needed that has train/<class> and val/<class>")
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        raise DataMissing(f"there is no folder {folder}; needed is one that has train/<class> and val/<class>") from None
    except (OSError, ValueError) as error:  # a name that no folder can have, such as one with a null in it
        raise DataMissing(f"{str(folder)!r:.200} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _plain(name: str) -> str:
    """`name` in the form that all file systems can agree on: some write an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
