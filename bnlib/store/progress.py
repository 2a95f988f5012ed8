"""Trainings that have not come to their end: what is to be seen of them while they go on. Finished ones are in `runs`."""

import re
from pathlib import Path

import pandas as pd

from bnlib.store import files, form, places
from bnlib.store.cleaning import ID, alone, inside
from bnlib.store.files import StoreError, shown
from bnlib.store.runs import named

COLUMNS = {  # and what pandas keeps them as
    "id": "str",
    "epoch": "Int64",
    "epochs": "Int64",
    "accuracy": "float64",
    "seconds": "float64",
    "written": "datetime64[ns, UTC]",
    "busy": "bool",
    "fault": "str",
}


def unfinished() -> pd.DataFrame:
    """One row a training in runs/ that is not stored yet, by id: how far it is, and whether a process is at it.

    epoch: the last that was saved, 0 before the first; epochs: of how many; accuracy: on the test images after it; seconds: of
    training up to it; written: when (UTC); busy: whether a process holds the training's lock, or that cannot be known, as the lock
    is another user's; fault: why its history cannot be read, empty if it can. What is not known is NA, NaN or NaT.
    """
    folder, found = places.unfinished_folder(), {}
    for path in inside(folder):
        if match := re.fullmatch(rf"({ID})\.(pt|pt\.before|csv|lock)", path.name, flags=re.ASCII):
            found.setdefault(match[1], []).append(path)
    rows = []
    for name, paths in found.items():
        with alone(name) as free:
            kept = [path for path in paths if path.suffix != ".lock"]
            written = _written(kept)
            # Of a finished training only the run is left, and of one that was stopped before its first epoch ended only the lock.
            if (written or not free) and not named(name):
                rows.append({"id": name, **_progress(folder, name, kept), "written": written, "busy": not free})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _progress(folder: Path, name: str, kept: list[Path]) -> dict:
    """What the history so far says of a training of which the files `kept` are there."""
    nothing = {"epoch": None if kept else 0, "epochs": None, "accuracy": None, "seconds": None, "fault": ""}
    if folder / f"{name}.csv" not in kept:  # a version that wrote none
        return nothing
    try:
        history = form.history(files.read(folder, f"{name}.csv"), more=("epochs",))
    except (StoreError, ValueError) as error:
        return nothing | {"fault": shown(error)[:200]}
    last = history.iloc[-1]
    epochs = last.epochs if "epochs" in history and 0 < last.epochs < 1e9 else None
    return {
        "epoch": int(last.epoch),
        "epochs": epochs and int(epochs),
        "accuracy": last.test_accuracy,
        "seconds": history.seconds.sum(),
        "fault": "",
    }


def _written(paths: list[Path]) -> pd.Timestamp | None:
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime)
        except OSError:  # the training has come to its end meanwhile
            continue
    return pd.Timestamp(max(times), unit="s", tz="UTC") if times else None
