"""Train what is missing of a list of specs, in a given time; and what that would cost here."""

import contextlib
import dataclasses
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import Timeout

from bnlib import data, machine, models, store
from bnlib.spec import RunSpec, parse
from bnlib.store import places
from bnlib.training import together
from bnlib.training.trainer import OutOfTime, Trainer
from bnlib.words import duration

ENDING = 20  # seconds that the processes of a sweep have to end when they are told to


def sweep(specs: list[RunSpec], *, budget: float | None = None, **settings) -> list[RunSpec]:
    """Train those of `specs` that are missing, in their order, for `budget` seconds (None: to the end); returns what is left.

    settings: as for `training.train_together`. Begins no epoch that would not end in time: such a training keeps its checkpoint,
    and what is cheaper has its turn; what is not cheaper is not even looked at. Leaves out what another process is training, so
    that several may sweep the same list, and, saying so, what could not be stored. On a GPU replicates are trained together, but
    for that of seed 0. What it raises before any work, it raises before anything is made.
    """
    until = None if budget is None else time.monotonic() + budget
    on_gpu, can = machine.device(settings.get("device")).type == "cuda", storable(specs)
    for name in {spec.dataset for spec in can}:
        data.load(name, settings.get("data_root"))
    work = store.check_writable(store.runs_folder() / ".unfinished") if can else None
    too_much = math.inf
    for group in groups(can, together=on_gpu):
        if until is not None and time.monotonic() >= until:
            break
        if _work(group[0]) >= too_much:
            continue
        with contextlib.ExitStack() as locks:
            free = []
            for spec in group:
                with contextlib.suppress(Timeout):
                    locks.enter_context(together.alone(spec, work, wait=False))
                    free.append(spec)
            try:
                together.train_together(free, until=until, **settings)
            except OutOfTime:
                too_much = _work(group[0])
    return [spec for spec in specs if store.find(spec) is None]


def storable(specs: list[RunSpec]) -> list[RunSpec]:
    """Those of `specs` that can be stored; says of each other one what is in its way. Raises StoreError if nothing can be."""
    places.check([])
    can = []
    for spec in specs:
        try:
            places.check([spec])
            can.append(spec)
        except store.StoreError as error:
            print(f"left out: {error}", flush=True)
    return can


def groups(specs: list[RunSpec], *, together: bool) -> list[list[RunSpec]]:
    """What is trained one after the other: each of `specs`, or, if `together`, each of seed 0 and all its further replicates."""
    found = {}
    for spec in specs:
        found.setdefault(dataclasses.replace(spec, seed=min(spec.seed, 1)) if together else spec, []).append(spec)
    return list(found.values())


def side_by_side(jobs: int, words: list[str]) -> None:
    """Run `bnlib sweep` with `words` in so many processes, which share the cores; locks see to it that each trains another run.

    They end when this one does, be it by Ctrl-C or SIGTERM, each with its last checkpoint. Raises StoreError if one fails.
    """
    threads = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    command = [sys.executable, "-m", "bnlib", "sweep", *words, "--no-list"]
    processes = []
    try:
        for _ in range(jobs):
            processes.append(subprocess.Popen(command, env=threads))
        failed = [code for code in [process.wait() for process in processes] if code]
    finally:
        going = [process for process in processes if process.poll() is None]
        for process in going:
            process.terminate()
        for process in going:
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if failed:
        killed = [-code for code in failed if code < 0]
        more = f", {len(killed)} killed by signal {killed[0]}, as when memory runs out" if killed else ""
        raise store.StoreError(f"{len(failed)} of {jobs} processes failed{more}; what they said is above")


def plan(specs: list[RunSpec], *, device: str | None = None, data_root: str | Path | None = None) -> list[str]:
    """A line for each of `specs`: its accuracy if it is stored, else about how long it would train here; and one that sums up."""
    missing = [spec for spec in specs if store.find(spec) is None]
    expected = dict(zip(missing, costs(missing, device=device, data_root=data_root), strict=True))
    lines = []
    for spec in specs:
        found = store.find(spec)
        lines.append(f"{spec.id:60} {f'{found.accuracy:.2%}' if found else f'missing, about {duration(expected[spec])}'}")
    total = f", about {duration(sum(expected.values()))} in all" if missing else ""
    return [*lines, f"{len(specs) - len(missing)} of {len(specs)} runs are there, {len(missing)} missing{total}"]


def costs(specs: list[RunSpec], *, device: str | None = None, data_root: str | Path | None = None) -> list[float]:
    """About how many seconds each of `specs` would train here: the smallest is measured, the others by their multiplications."""
    if not specs:
        return []
    amounts = [work(spec) for spec in specs]
    least = min(range(len(specs)), key=amounts.__getitem__)
    where = machine.device(device)
    less = f"{specs[least].id} does not fit here; another device, or smaller networks would"
    with tempfile.TemporaryDirectory() as folder, machine.exact(), machine.enough_memory(lambda: less):
        one = Trainer(specs[least], where, data.load(specs[least].dataset, data_root).to(where), Path(folder))
        pace = one.pace
        one.release()
    seconds = one.settings.epochs * (one.steps * pace.step + pace.test) + pace.probes
    return [seconds * amount / amounts[least] for amount in amounts]


def work(spec: RunSpec) -> float:
    """What the whole training of `spec` has to multiply, in units that are the same for all specs."""
    return spec.settings.epochs * _work(spec)


def _work(spec: RunSpec) -> float:
    """What an epoch of `spec` has to multiply, in units that are the same for all specs."""
    groups, k = parse(spec.trainable)
    # Of what learns only the convolutions matter much: the gradient of their weights is as much work as that of their inputs,
    # and as the forward pass. Where only the output layer learns, or nothing, there is no other gradient.
    passes = 3 if k or "features" in groups else 2 if groups - {"output"} else 1
    return models.work(spec.model, 1, spec.settings.size)[0] * passes
