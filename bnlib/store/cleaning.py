"""What killed processes left in the store: temporary files, what unfinished trainings keep, of runs that are stored, and locks.

A lock is left over if nobody holds it.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from bnlib.store import files, places
from bnlib.store.files import StoreError
from bnlib.store.runs import folders, named

LONG = 7 * 24 * 3600  # seconds after which no sweep is taken to be going on any more
ID = r"[a-z0-9][\w+.-]*_seed\d+-[0-9a-f]{8}"  # of a run


def leftovers() -> dict[Path, str]:
    """What could be removed, by path, and what it is. Nothing of a run that a process is training, storing or asking."""
    found = {}
    for name, paths in _by_run().items():
        with alone(name) as free:
            found |= paths if free else {}
    return found


def clean() -> dict[Path, str]:
    """Remove the `leftovers`, each while its run's lock is held; returns them. Raises StoreError for the first that it can't."""
    gone = {}
    for name, paths in _by_run().items():
        with alone(name) as free:
            for path, what in paths.items() if free else ():
                try:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
                except OSError as error:
                    raise StoreError(f"{path} cannot be removed ({error.strerror or error})") from None
                gone[path] = what
    return gone


def _by_run() -> dict[str, dict[Path, str]]:
    """Paths and what they are, by the id of the run that they belong to; of each run its locks last."""
    found = {}

    def add(name, path, what):
        found.setdefault(name, {})[path] = what

    for where in places.searched():
        for path in inside(where):
            if (match := files.TEMPORARY.fullmatch(path.name)) and re.fullmatch(ID, match[1], flags=re.ASCII):
                add(match[1], path, "a run that was not stored to its end")
        for path in inside(where / places.NETWORKS):
            if match := re.fullmatch(rf"\.({ID})\.safetensors-[0-9a-f]{{8}}", path.name, flags=re.ASCII):
                add(match[1], path, "a network that was not kept to its end")
    for folder in folders():
        for path in inside(folder) if not folder.is_symlink() else ():
            if files.TEMPORARY.fullmatch(path.name) or path.name == "probes.json.part":
                add(folder.name, path, "a file that was not stored to its end")
    for path in sorted(inside(places.unfinished_folder()), key=lambda path: path.suffix == ".lock"):
        if re.fullmatch(r"\.sweep-[0-9a-f]{16}", path.name) and _age(path) > LONG:
            add(path.name, path, "the mark of a sweep that was killed")
            continue
        if (match := re.fullmatch(rf"({ID})\.(.+)", path.name, flags=re.ASCII)) is None:
            continue
        if match[2] == "lock":
            add(match[1], path, "a lock that nobody holds")
            continue
        what = "a history" if match[2].startswith("csv") else "a checkpoint"
        if match[2].endswith("part"):
            add(match[1], path, f"{what} that was not saved to its end")
        elif named(match[1]):
            add(match[1], path, f"{what} of a run that is stored")
    return found


def _age(path: Path) -> float:
    """How many seconds ago a file was written; 0 for one that is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def inside(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing, if it is not there or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


@contextlib.contextmanager
def alone(name: str) -> Iterator[bool]:
    """Hold the lock of the run `name`, the same as a training holds, if there is one; whether nobody else does."""
    path = places.unfinished_folder() / f"{name}.lock"
    if not os.path.lexists(path):  # nobody has ever held it; looking must not make one
        yield True
        return
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError):  # the last two: another user's, or a file system that knows no locks
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
