"""Whether something could be stored in a place: asked before any work, and without making anything there. Needs no PyTorch."""

import os
import shlex
from pathlib import Path

from bnlib.spec import RunSpec
from bnlib.store.runs import StoreError, find, runs_folder


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


def check(specs: list[RunSpec], folder: Path | None = None) -> None:
    """Raise StoreError, one line that says what to do, if a run of `specs` could not be stored in `folder`, or in `runs/`.

    A folder of a run's name without a run in it is in the way: a run is written once, and never over what is there.
    """
    target = folder or runs_folder()
    if why := unwritable(target):
        raise StoreError(f"the results folder {target} cannot be written ({why}); set BNLIB_RUNS to a folder that can")
    for spec in specs:
        place = target / spec.id
        if os.path.lexists(place) and find(spec, folder) is None:
            raise StoreError(
                f"{place} is in the way: it holds no run (no run.json), and nothing is written over it. "
                f"Look at it, then remove it: rm -r {shlex.quote(str(place.absolute()))}"
            )
