"""Train what is missing of a list of specs, in a given time: one after the other, in processes side by side, or on an executor."""

import math
import os
import subprocess
import sys
import time
from concurrent.futures import Executor

from bnlib import data, machine, store
from bnlib.spec import RunSpec
from bnlib.store import places
from bnlib.training import executors, parents, workers
from bnlib.training.costs import Cost, costs, epoch_work, kind
from bnlib.training.executors import Failed, fits
from bnlib.training.loop import OutOfTime
from bnlib.training.workers import groups

__all__ = ["Failed", "costs", "side_by_side", "storable", "sweep"]
ENDING = 20  # seconds that the processes of a sweep have to end when they are told to


def sweep(
    specs: list[RunSpec],
    *,
    budget: float | None = None,
    executor: Executor | None = None,
    expected: dict[RunSpec, Cost] | None = None,
    **settings,
) -> list[RunSpec]:
    """Train those of `specs` that are missing, in their order, for `budget` seconds (None: to the end); returns what is left.

    executor: any `concurrent.futures.Executor` whose workers share the results folder with this process and have its bnlib; each
    training is a task, and says in a line how it ended. None: here, one after the other. expected: what they cost, of `costs`;
    here, with a budget, it is asked if it is not given. settings: as for `training.train_together`.

    Begins no epoch that would not end in time: such a training keeps its checkpoint, and what is cheaper has its turn; what is
    not cheaper is not even looked at, nor is what by `expected` has no time for an epoch. Leaves out what another process is
    training, so that several may sweep the same list, and, saying so, what could not be stored or begins from what diverged. On a
    GPU replicates are trained together, but for that of seed 0. What it raises before any work, it raises before anything is made.
    Raises Failed when all is done, if a training failed: here one that does not fit in memory, on an executor whatever goes wrong.
    """
    until = None if budget is None else time.monotonic() + budget
    can = storable(parents.possible(specs))
    if executor is not None:
        executors.everywhere(executor, can, until, expected or {}, settings)
        return [spec for spec in specs if store.find(spec) is None]
    on_gpu = machine.device(settings.get("device")).type == "cuda"
    for name in parents.datasets(can):
        data.load(name, settings.get("data_root"))
    if can:
        store.check_writable(store.runs_folder() / ".unfinished")
    if until is not None and time.monotonic() < until and expected is None:
        lacking = [spec for spec in can if store.find(spec) is None]
        expected = costs(lacking, device=settings.get("device"), data_root=settings.get("data_root"), until=until)
    too_much, failed = {}, 0  # the work of an epoch, of each kind of training
    for group in groups(can, together=on_gpu):
        left = math.inf if until is None else until - time.monotonic()
        if left <= 0:
            break
        if (
            epoch_work(group[0]) >= too_much.get(kind(group[0]), math.inf)
            or until is not None
            and not fits(group[0], expected, left)
        ):
            continue
        try:
            workers.train_free(group, until=until, **settings)
        except OutOfTime:
            too_much[kind(group[0])] = epoch_work(group[0])
        except parents.Barren as error:  # since now: that was trained first, and diverged
            print(f"left out: {error}", flush=True)
        except machine.OutOfMemory as error:
            print(error, flush=True)
            failed += 1
    if failed:
        raise Failed(f"{failed} training{'s' if failed > 1 else ''} did not fit in memory; what was said is above")
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
