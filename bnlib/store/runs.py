"""The store of finished runs: one folder a run, written once, read as pandas, verified. One of them is read in `run`.

`results/` holds the committed runs, `runs/` (ignored by git) the user's own in the same form; both are read.
"""

import logging
import math
import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pandas as pd

from bnlib.spec import Recipe, RunSpec, architecture
from bnlib.store import files, places
from bnlib.store.files import StoreError, shown
from bnlib.store.run import Run
from bnlib.words import nearest

METRICS = ("status", "accuracy", "test_loss", "train_accuracy", "train_loss", "seconds", "engine", "device", "commit", "started")


def find(spec: RunSpec, folder: Path | None = None) -> Run | None:
    """The stored run of `spec`, from results/ or runs/, or from `folder` alone; None if there is none that can be read."""
    return named(spec.id, folder)


def named(name: str, folder: Path | None = None) -> Run | None:
    """The stored run called `name`, a run's id; as `find`."""
    for where in (folder,) if folder else places.searched():
        run = Run(where / name)
        if os.path.lexists(run.folder) and not _left_out(run):
            return run
    return None


def load(run_id: str) -> Run:
    """The stored run called `run_id`. Raises StoreError, naming the nearest, if there is none; saying why, if it cannot be read."""
    if not isinstance(run_id, str):
        raise StoreError(f"run {shown(run_id)}: a run's id is needed; of a spec it is its `id`, or `bnlib.run` has the run")
    why = ""
    for folder in places.searched():
        if re.fullmatch(r"[a-z0-9][\w+.-]*", run_id, flags=re.ASCII) and os.path.lexists(folder / run_id):
            run = Run(folder / run_id)
            why = _left_out(run)
            if not why:
                return run
    if why:
        raise StoreError(why)
    near = nearest(run_id, [run.id for run in all_runs()], cutoff=0.3)
    raise StoreError(f"no run {shown(run_id)!r} in {' or '.join(map(str, places.searched()))}{near}")


def folders() -> list[Path]:
    """Every folder in results/ and runs/ that holds a run or should: it has a file of a run, or the name of one.

    Where the committed runs are not, this is logged, once in a process.
    """
    found = []
    if why := places.absent():
        _say(why)
    for where in places.searched():
        try:
            inside = sorted(where.iterdir()) if where.exists() else []
        except OSError as error:
            raise StoreError(f"{where} cannot be read ({error.strerror})") from None
        for path in inside:
            named = re.fullmatch(r".+_seed\d+-[0-9a-f]{8}", path.name)
            has = named or any(os.path.lexists(path / name) for name in (*files.PARTS, files.SUMS))
            if has and not path.name.startswith("."):
                found.append(path)
    return found


def all_runs() -> list[Run]:
    """Every stored run that can be read, sorted by name; a run that is in both folders once.

    A folder that cannot be read is left out. It and the reason are logged, once in a process; `unreadable` has them.
    """
    found = {}
    for path in folders():
        run = Run(path)
        if not _left_out(run):
            found.setdefault(path.name, run)
    return [found[name] for name in sorted(found)]


def unreadable(whole: bool = False) -> dict[Path, str]:
    """The folders that hold a run or should, but one that cannot be read: why, by folder. whole: as for `results`."""
    return {path: why for path in folders() if (why := _fault(Run(path), whole))}


def _left_out(run: Run, whole: bool = False) -> str:
    """Why a run cannot be read; empty if it can. Logs it, once in a process."""
    why = _fault(run, whole)
    if why:
        _say(f"left out: {why} ({shown(run.folder)})")
    return why


def _fault(run: Run, whole: bool) -> str:
    """`Run.fault`, once in a process."""
    return _once(run, f"fault, {whole=}", lambda one: one.fault(whole))


def _once(run: Run, what: str, find: Callable[[Run], object]):
    """What `find` says of a run, asked once in a process while its files stay as they are: pages ask for the same runs often."""
    if run.stamp is None:
        return find(run)
    if _known.get(run.folder, ((), {}))[0] != run.stamp:
        _known[run.folder] = run.stamp, {}
    known = _known[run.folder][1]
    if what not in known:
        known[what] = find(run)
    return known[what]


_known: dict[Path, tuple[tuple, dict]] = {}


def _say(line: str) -> None:
    """Log a line, once in a process."""
    if line not in _said:
        _said.add(line)
        logging.getLogger("bnlib.store").warning("%s", line)


_said: set[str] = set()


def results(whole: bool = False) -> pd.DataFrame:
    """One row a run: id, the spec's fields with the recipe's values filled in, network, metrics, counts, machine, folder.

    top5 is NaN where there are no more than 10 classes; processes: so many trained the run together.
    whole: also read the curves, the tensors and the probes, and leave out runs of which one of them is damaged. Runs that are left
    out are logged, once in a process; `bnlib.store.unreadable` has them.
    """
    rows = [_once(run, "row", _row) for run in all_runs() if not (whole and _left_out(run, whole))]
    names = ["id", *(field.name for field in fields(RunSpec)), "network", "family", "depth", "width", *METRICS]
    return pd.DataFrame(rows, columns=None if rows else [*names, "top5", "classes", "processes", "folder"])


def _row(run: Run) -> dict:
    """The run's row in `results`."""
    spec, arch, info = run.spec, architecture(run.spec.model), run.info
    settings = {field.name: getattr(spec.settings, field.name) for field in fields(Recipe)}
    network = {"network": arch.title, "family": arch.family, "depth": arch.depth, "width": arch.width}
    metrics = {name: math.nan if info[name] is None else info[name] for name in METRICS}
    metrics |= {"top5": run.top5, "classes": run.classes, "processes": info.get("processes", 1)}
    counts = {f"parameters_{group}": number for group, number in info["counts"].items()}
    return {"id": run.id, **spec.to_dict(), **settings, **network, **metrics, **counts, "folder": str(run.folder)}
