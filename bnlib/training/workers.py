"""What a sweep asks of a worker, on whichever machine it is: plain functions of plain values, each of which may be run twice."""

import contextlib
import dataclasses
import hashlib
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from bnlib import __version__, data, machine, store
from bnlib.spec import RunSpec
from bnlib.training import together
from bnlib.training.costs import costs
from bnlib.training.loop import OutOfTime
from bnlib.words import Mendable, duration

STORED, ELSEWHERE, LATE, FAILED = "stored", "elsewhere", "late", "failed"  # how a training on a worker ends


@contextlib.contextmanager
def here() -> Iterator[dict]:
    """What a worker must share with this process, as plain values: the code, and a folder of results that has a certain file.

    The file is there as long as the context is. Raises StoreError if none can be written.
    """
    folder = store.check_writable(store.runs_folder() / ".unfinished")
    mark = folder / f".sweep-{secrets.token_hex(8)}"
    mark.touch()
    try:
        yield {"mark": mark.name, "folder": str(folder.parent.absolute()), "host": socket.gethostname(), **_code()}
    finally:
        mark.unlink(missing_ok=True)


def _code() -> dict:
    """Which bnlib this is: its version and its commit for people, and the digest of its files, which decides."""
    package, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".c")):
        digest.update(f"{path.relative_to(package).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return {"bnlib": f"{__version__}, commit {machine.commit(store.ROOT)[0][:12]}", "digest": digest.hexdigest()}


def look(wanted: dict, datasets: list[str] = (), data_root: str | None = None, device: str | None = None) -> dict[str, str]:
    """Which device this worker trains on; and why it cannot train for the process that said `here`, `unfit`, empty if it can."""
    who = f"the worker on {socket.gethostname()}"
    try:
        name = machine.device_name(machine.device(device))
        unfit = _unlike(wanted)
        for dataset in datasets if not unfit else ():
            data.load(dataset, data_root)
    except (ValueError, OSError, Mendable) as error:
        name, unfit = "", str(error)
    return {"device": name, "unfit": f"{who}: {unfit}" if unfit else ""}


def _unlike(wanted: dict) -> str:
    own = _code()
    if own["digest"] != wanted["digest"]:
        return (
            f"it has another bnlib ({own['bnlib']}) than the sweep on {wanted['host']} ({wanted['bnlib']}), or other files in it; "
            "give both the same"
        )
    folder = store.runs_folder().absolute()
    if not (folder / ".unfinished" / wanted["mark"]).exists():
        return (
            f"its results folder {folder} is not {wanted['folder']} on {wanted['host']}; "
            "set BNLIB_RUNS, there and here, to one folder that both see"
        )
    return ""


def price(fields: list[dict], settings: dict) -> list[list]:
    """What trainings cost on this worker, in order: the values of a `bnlib.training.costs.Cost` each.

    fields: of `RunSpec.to_dict`, of each.
    """
    specs = [RunSpec(**one) for one in fields]
    found = costs(specs, **{name: settings.get(name) for name in ("device", "data_root")}, probes=settings.get("probes", True))
    return [[found[spec].epoch, found[spec].whole, found[spec].measured] for spec in specs]


def train(fields: list[dict], wanted: dict, settings: dict, end: float | None = None) -> list[list[str]]:
    """Train specs together on this worker; how each ended (a word above), and the same in a line that tells the user.

    fields, settings: as for `price`. wanted: of `here`. end: a time of `time.time()`, by this machine's clock; no epoch is
    begun that would not end by then. Raises nothing: an error of a worker's own kind might not be readable where it arrives.
    """
    specs = [RunSpec(**one) for one in fields]
    until = None if end is None else time.monotonic() + end - time.time()
    fault, late = _unlike(wanted), until is not None and time.monotonic() >= until
    if not fault and not late:
        try:
            train_free(specs, until=until, progress=False, **settings)
        except OutOfTime:
            late = True
        except (ValueError, Mendable, OSError) as error:
            fault = str(error)
        except Exception as error:  # a bug in one training is no reason to lose what the others have to say
            fault = f"{type(error).__name__}: {error}"
    return [_ended(spec, fault, late) for spec in specs]


def _ended(spec: RunSpec, fault: str, late: bool) -> list[str]:
    host = socket.gethostname()
    if run := store.find(spec):
        return [STORED, f"{run.accuracy:.2%} test accuracy, {run.info['status']} in {duration(run.info['seconds'])} on {host}"]
    if fault:
        return [FAILED, f"failed on {host}: {' '.join(fault.split())}"]
    return [LATE, "out of time; goes on next time"] if late else [ELSEWHERE, "another process is at it"]


def train_free(specs: list[RunSpec], **settings) -> list[RunSpec]:
    """Train those of `specs` together that no other process is at; returns them. settings: as for `training.train_together`."""
    work, free = store.check_writable(store.runs_folder() / ".unfinished"), []
    with contextlib.ExitStack() as locks:
        for spec in specs:
            with contextlib.suppress(Timeout):
                locks.enter_context(together.alone(spec, work, wait=False))
                free.append(spec)
        together.train_together(free, **settings)
    return free


def groups(specs: list[RunSpec], *, together: bool) -> list[list[RunSpec]]:
    """What is trained one after the other: each of `specs`, or, if `together`, each of seed 0 and all its further replicates."""
    found = {}
    for spec in specs:
        found.setdefault(dataclasses.replace(spec, seed=min(spec.seed, 1)) if together else spec, []).append(spec)
    return list(found.values())
