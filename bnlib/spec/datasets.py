"""Names of data sets: those of small pictures, tasks made of them, and a folder of the user's own."""

import ntpath
import os
import posixpath
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from bnlib.spec.choices import DATASETS
from bnlib.words import nearest, plain, shown

CLASSES = {"cifar10": 10, "digits": 10, "cifar100": 100, "svhn": 10}
CLASSES |= {"cifar10-rotation": 4, "cifar10-animals": 2, "cifar10-first5": 5, "cifar10-last5": 5}
COUNTS = {"digits": (1_437, 360), "svhn": (73_257, 26_032)}  # pictures to train and to test
COUNTS |= dict.fromkeys(("cifar10", "cifar100", "cifar10-rotation", "cifar10-animals"), (50_000, 10_000))
COUNTS |= dict.fromkeys(("cifar10-first5", "cifar10-last5"), (25_000, 5_000))
SIDE = 32  # of the pictures of all these
FOLDER = "imagefolder:"
_VARIABLE = r"\$([A-Za-z_]\w*)"


def dataset(name: str) -> str:
    """The one spelling of a data set's name: one of DATASETS, or `imagefolder:PATH`.

    PATH is made absolute, without looking whether it is there. One that begins with an environment variable, such as
    `$BNLIB_IMAGENET`, stays as it is: such a run has the same name on every machine. Raises ValueError, with the nearest.
    """
    name = plain(name)
    if not isinstance(name, str) or not name.startswith(FOLDER):
        if isinstance(name, str) and name in DATASETS:
            return name
        near = nearest(name, (*DATASETS, f"{FOLDER}PATH"))
        raise ValueError(f"dataset {shown(name)}: use one of {', '.join(DATASETS)}, {FOLDER}PATH{near}")
    path = name.removeprefix(FOLDER)
    if not path.strip() or not path.isprintable():
        raise ValueError(f"dataset {shown(name)}: a path of printable characters is needed, such as {FOLDER}/data/imagenet")
    if variable := re.match(rf"{_VARIABLE}(/|$)", path):
        return FOLDER + posixpath.join(
            variable[0].rstrip("/"), posixpath.normpath(path[variable.end() :].lstrip("/"))
        ).removesuffix("/.")
    if path.startswith("~"):
        path = os.path.expanduser(path)
        if path.startswith("~"):
            raise ValueError(f"dataset {shown(name)}: there is no home folder for {shown(path.split('/')[0])} here")
    # A path that is absolute on another system came from a run that was trained there: it stays, as the run's name hangs on it.
    if PurePosixPath(path).is_absolute():
        return FOLDER + "/" + posixpath.normpath(path).lstrip("/")
    if PureWindowsPath(path).is_absolute():
        return FOLDER + ntpath.normpath(path)
    return FOLDER + os.path.abspath(path)


def image_folder(name: str) -> Path | None:
    """Where the pictures of the data set `name` lie, its environment variable put in; None if it is none of a folder.

    Raises ValueError if the variable is not set.
    """
    if not name.startswith(FOLDER):
        return None
    path = name.removeprefix(FOLDER)
    if variable := re.match(_VARIABLE, path):
        value = os.environ.get(variable[1])
        if not value:
            raise ValueError(f"dataset {shown(name)}: set {variable[1]} to the folder that holds train/ and val/")
        path = value + path[variable.end() :]
    return Path(os.path.abspath(os.path.expanduser(path)))


def short_name(name: str) -> str:
    """The data set `name` as a run's id has it: of a folder the last part of its path, cleaned."""
    if not name.startswith(FOLDER):
        return name
    last = re.split(r"[/\\]", name.removeprefix(FOLDER))[-1]
    return "imagefolder-" + (re.sub(r"[^A-Za-z0-9]+", "-", last).strip("-")[:40] or "pictures")
