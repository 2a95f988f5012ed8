"""Where runs lie, and whether something could be stored in a place: asked before any work, and without making anything there.

Needs no PyTorch.
"""

import os
import shlex
import tempfile
from pathlib import Path

from bnlib.spec import RunSpec
from bnlib.store.files import StoreError
from bnlib.store.run import Run

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ".networks"  # in a folder of runs: whole networks that other trainings begin from, see `pretrained`
CHECKOUT = (ROOT / "pyproject.toml").exists()  # not so where the package is installed without it


def results_folder() -> Path:
    """The committed runs: the folder that the environment variable BNLIB_RESULTS names, else `results/` beside the package.

    Raises StoreError, one line, for a BNLIB_RESULTS that is no folder. An installed package has none beside it; see `absent`.
    """
    folder = _named("BNLIB_RESULTS")
    if folder is None:
        return ROOT / "results"
    if not folder.is_dir():
        raise StoreError(f"BNLIB_RESULTS {str(folder)!r}: {'not a' if os.path.lexists(folder) else 'there is no such'} folder")
    if (folder / "pyproject.toml").exists() and (folder / "results").is_dir():
        raise StoreError(
            f"BNLIB_RESULTS {str(folder)!r}: a checkout, whose runs are in its folder results; nearest: {folder / 'results'}"
        )
    return folder


def runs_folder() -> Path:
    """Where new runs go: the environment variable BNLIB_RUNS, else `runs/` in the checkout, else in the working folder.

    Raises StoreError for a BNLIB_RUNS in the home folder of nobody.
    """
    return _named("BNLIB_RUNS") or (ROOT if CHECKOUT else Path.cwd()) / "runs"


def searched() -> list[Path]:
    """The folders in which runs are looked for, in this order: the committed ones, where they are, and the user's own."""
    return list(dict.fromkeys([*([] if absent() else [results_folder()]), runs_folder()]))


def absent() -> str:
    """What to do, in a line, where the committed runs are not: the package was installed without them. Empty where they are."""
    if os.environ.get("BNLIB_RESULTS") or CHECKOUT:
        return ""
    return (
        "the project's stored runs are not here: they come with its checkout, not with the installed package; "
        "set BNLIB_RESULTS to the folder results of a checkout"
    )


def unfinished_folder() -> Path:
    """Where trainings keep their checkpoints, their histories so far, and their locks."""
    return runs_folder() / ".unfinished"


def _named(variable: str) -> Path | None:
    """The folder that an environment variable names. Raises StoreError, one line, for one in the home folder of nobody."""
    if not os.environ.get(variable):
        return None
    try:
        return Path(os.environ[variable]).expanduser()
    except RuntimeError:  # ~nobody
        raise StoreError(f"{variable} {os.environ[variable]!r} names no home folder that is known here") from None


def expanded(folder: str | Path) -> Path:
    """`folder` with `~` as the home folder it stands for. Raises StoreError, one line, if it stands for none."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise StoreError(f"the folder {folder}: nobody here has that home folder; give it by its full path") from None


def unwritable(folder: Path) -> str:
    """Why nothing could be written in `folder`, which need not be there yet, in a few words; empty if something could."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"no permission to write in {nearest}"


def check_writable(folder: Path) -> Path:
    """Create `folder` and return it. Raises StoreError, one line, if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(_cannot(folder, error.strerror)) from None


def check(specs: list[RunSpec], folder: Path | None = None) -> None:
    """Raise StoreError, one line that says what to do, if a run of `specs` could not be stored in `folder`, or in `runs/`.

    A run that is there is no hindrance: there is nothing to train then.
    """
    target = folder or runs_folder()
    if why := unwritable(target):
        raise StoreError(_cannot(target, why))
    for spec in specs:
        if why := in_the_way(target / spec.id):
            raise StoreError(why)


def in_the_way(place: Path) -> str:
    """What lies at `place`, a run's, without being a run, and what to do, in a line; empty if nothing does."""
    if not os.path.lexists(place) or not (why := Run(place).fault()):
        return ""
    return (
        f"{place} is in the way: it holds no run that can be read ({why}), and nothing is written over it. "
        f"Look at it, then remove it: rm -r {shlex.quote(str(place.absolute()))}"
    )


def _cannot(folder: Path, why: str) -> str:
    return f"the results folder {folder} cannot be written ({why}); set BNLIB_RUNS to a folder that can"
