"""Train specs, one or several together: locks, estimate, progress bar, and what happens on Ctrl-C."""

import contextlib
import functools
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from bnlib import data, engine, machine, processes, store
from bnlib.spec import RunSpec
from bnlib.spec.choices import PROBES
from bnlib.store import places, pretrained
from bnlib.store.writing import add_probes
from bnlib.training import parents, timing
from bnlib.training.loop import Loop, OutOfTime
from bnlib.training.trainer import Trainer
from bnlib.words import shown


def run(spec: RunSpec, *, device: str | None = None, data_root: str | Path | None = None, progress: bool = True) -> store.Run:
    """The run of `spec`: from the store if it is there, else trained and stored. See `train`."""
    if not isinstance(spec, RunSpec):
        raise ValueError(f"spec {shown(spec)}: a RunSpec is needed, as RunSpec('resnet14'); `bnlib.load` knows ids")
    return store.find(spec) or train(spec, device=device, data_root=data_root, progress=progress)


def train(spec: RunSpec, **settings) -> store.Run:
    """Train `spec` and store it, going on from its last checkpoint if there is one; returns the finished run.

    settings: as for `train_together`. Every epoch ends with an evaluation and a checkpoint; Ctrl-C loses at most one epoch.
    The last epoch counts. A loss that is not finite ends the training with status `diverged`.
    Raises StoreError or DataMissing before any work, and before anything is made, if the results cannot be written or the data
    are not there; StoreError if a checkpoint cannot be written, OutOfMemory if there is not enough: what was saved is kept.
    """
    return train_together([spec], **settings)[0]


def train_together(
    specs: list[RunSpec],
    *,
    device: str | None = None,
    data_root: str | Path | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
    until: float | None = None,
    probes: bool = True,
    callbacks: tuple[Callable[[dict], None], ...] = (),
    keep: bool = False,
) -> list[store.Run]:
    """Train all `specs` in one process, step by step in turn; returns the finished runs. Each is what it would be alone.

    For replicates on a GPU: one small network leaves most of it idle, and each training has a stream of its own.
    device: `cpu`, `cuda` or None (CUDA if there is one). data_root: the folder with CIFAR-10, see `bnlib.data.folder`.
    folder: where to store the runs, instead of `runs/`; only there are they looked for. until: a time of
    `time.monotonic()`; an epoch that would not end by then is not begun, and OutOfTime is raised.
    probes: ask the trained network what only it can tell (`bnlib.engine.probe`); `bnlib results probe` can do so later, but not
    where convolutions were trained. callbacks: each is called after each epoch with a dict, the row of the history. keep: also keep
    the whole network, for trainings that begin from it; what is stored, but whose network is not there, is trained again for it.

    What `specs` begin from (`RunSpec.pretrained`) is trained first, if its network is not there.
    Under torchrun its processes train each spec together, each a part of every batch; the first one writes and speaks.
    """
    folder, all_of_us = places.expanded(folder) if folder else None, processes.started(device)
    if until is not None and all_of_us.count > 1:  # each would look at its own clock, and wait for the others
        raise ValueError(f"until is for one process; here {all_of_us.count} train each spec together: leave it out")
    where = machine.device(device)

    def there(spec):
        run = store.find(spec, folder)
        known = not keep or run and run.info["status"] == "diverged" or pretrained.found(spec, *([folder] if folder else []))
        return run and known

    missing = [spec for spec in dict.fromkeys(specs) if not there(spec)]
    if missing:
        # All that can be refused is refused now, while nothing has been made yet: no folder, no lock.
        due = all_of_us.told(parents.lacking(missing, folder))
        places.check([*missing, *due], folder)
        datasets = {_seen(spec): data.of(spec, data_root) for spec in {_seen(spec): spec for spec in (*missing, *due)}.values()}
        target = store.check_writable(folder or store.runs_folder())
        work = store.check_writable(target / ".unfinished")
        if due:
            if all_of_us.first:
                parents.say(due)
            own = {"device": device, "data_root": data_root, "folder": folder, "progress": progress, "until": until}
            train_together(due, **own, probes=probes, keep=True)
            parents.lacking(missing, folder)  # again: if one diverged, that is said now
        with contextlib.ExitStack() as stack:
            # In one order everywhere: two processes can't wait for each other.
            for spec in sorted(missing, key=lambda spec: spec.id) if all_of_us.first else ():
                stack.enter_context(alone(spec, work))
            missing = [spec for spec in missing if not there(spec)]  # another process may have trained it
            missing = all_of_us.told(missing)
            trainers = []
            stack.enter_context(machine.learning())
            stack.enter_context(machine.enough_memory(lambda: _memory(missing, trainers)))
            datasets = {seen: datasets[seen].to(where) for seen in map(_seen, missing)}
            for spec in missing:
                trainers.append(Trainer(spec, where, datasets[_seen(spec)], target, probes, all_of_us, callbacks, keep))
            if trainers:
                with all_of_us.guarded(lambda: "; ".join(f"{one.name}: {one.kept}" for one in trainers if not one.stored)):
                    in_turn(trainers, progress, until)
                    all_of_us.told()  # the first one has stored it
    return [store.find(spec, folder) for spec in specs]


def _memory(specs: list[RunSpec], trainers: list[Trainer]) -> str:
    """What is kept of trainings that had not memory enough, and what helps."""
    kept = [f"{one.name}: {one.kept}" for one in trainers if not one.stored]
    less = "fewer replicates or jobs at a time, other programs ended, or a smaller network"
    return "; ".join([*(kept or [f"nothing is kept of {', '.join(spec.id for spec in specs)}"]), f"what helps: {less}"])


def ask(runs: list[store.Run], *, device: str | None = None, data_root: str | Path | None = None, names=PROBES) -> None:
    """Ask the networks of stored `runs` those of the probes `names` that they have not been asked, and store them with them.

    Their networks are drawn again from the seed; where convolutions were trained they cannot be, which is said. On a CPU it takes
    minutes each. device, data_root: as for `train_together`. Runs whose folder cannot be written are left out, which is said.
    """
    where, load = machine.device(device), functools.cache(lambda name, size: data.load(name, data_root, size).to(where))
    work = store.check_writable(store.runs_folder() / ".unfinished") if runs else None
    for run in (bar := tqdm(runs, unit="run", desc="asking", disable=not runs)):
        if not os.access(run.folder, os.W_OK):
            bar.write(f"{run.id}: not asked, as its folder {run.folder} cannot be written", file=sys.stdout)
            continue
        try:
            network = run.model()
        except store.StoreError as error:
            bar.write(str(error), file=sys.stdout)
            continue
        bar.write(f"{run.id}: asking its network what a figure needs; on a CPU that takes minutes", file=sys.stdout)
        with alone(run.spec, work):
            known = store.Run(run.folder).probes  # another process may have asked while this one waited
            add_probes(run, engine.probe(network.to(where), load(*_seen(run.spec)), run.spec, known, names))


def _seen(spec: RunSpec) -> tuple[str, int]:
    """What decides which images a training sees: trainings of which it is the same share them."""
    return spec.dataset, spec.settings.size


@contextlib.contextmanager
def alone(spec: RunSpec, work: Path, wait: bool = True):
    """Hold the lock of `spec`, so that no other process trains it meanwhile. Raises Timeout if one does and we do not wait."""
    lock = FileLock(work / f"{spec.id}.lock", is_singleton=True)
    try:
        try:
            lock.acquire(timeout=1)  # who only looks how far a training is holds it for an instant, too
        except Timeout:
            if not wait:
                raise
            print(f"{spec.id}: another process is at it; waiting for it to finish", flush=True)
            lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise store.StoreError(_no_lock(spec, Path(lock.lock_file), error)) from None
    try:
        yield
    finally:
        lock.release()


def _no_lock(spec: RunSpec, path: Path, error: OSError) -> str:
    """Why no process can be alone with `spec`, and what to do."""
    if isinstance(error, PermissionError) and path.exists():
        owner = path.stat().st_uid
        with contextlib.suppress(KeyError, NotImplementedError):  # who has no account has no name
            owner = path.owner()
        return (
            f"{spec.id}: its lock {path} belongs to user {owner}, who may be training it. If not, let it be removed: "
            f"rm {shlex.quote(str(path.absolute()))}; or set BNLIB_RUNS to a folder of your own"
        )
    return (
        f"{spec.id}: the lock {path} cannot be taken ({error.strerror}), and without it two processes might train one run. "
        "Set BNLIB_RUNS to a folder on a disk of this machine"
    )


def in_turn(trainers: list[Loop], progress: bool, until: float | None) -> None:
    """Train all of them, a step of each in turn, under one progress bar; store each when it is through."""
    first, several = trainers[0], len(trainers) > 1
    bar = tqdm(
        total=sum(t.settings.epochs * t.steps for t in trainers),
        initial=sum(len(t.history) * t.steps for t in trainers),
        unit="step",
        desc=first.title + (f" ×{len(trainers)}" if several else ""),
        disable=not (progress and first.processes.first),
        smoothing=0.05,
        mininterval=0.1 if sys.stderr.isatty() else 2,  # in a notebook every refresh is kept, in hours they are megabytes
    )
    try:
        on_cpu = first.device.type == "cpu"
        if first.step.name == "fused" and not on_cpu and first.processes.first:
            bar.write("compiling the step: up to a minute the first time", file=sys.stdout)
        for trainer in trainers[:1] if on_cpu else trainers:
            every = f"; the {len(trainers)} in turn: {len(trainers)} times that" if on_cpu else ", alone"
            if (said := trainer.outlook()) and first.processes.first:
                bar.write(said + (every if several else ""), file=sys.stdout)
        sys.stdout.flush()  # in a file it would else come when the training is through
        going = {trainer: trainer.train(until) for trainer in trainers}
        while going:
            for one in list(going):
                one.together = len(going)
                said = next(going[one], None)
                if said is None:
                    del going[one]
                elif said:
                    bar.set_postfix_str(said)
                else:
                    bar.update()
    except KeyboardInterrupt:
        bar.close()
        for t in trainers:
            if not t.stored and t.processes.first:  # what is stored is through
                print(f"\n{t.name}: stopped; {t.kept}", flush=True)
        raise
    except OutOfTime:
        bar.write(f"out of time after epoch {first.saved} of {first.settings.epochs}: goes on next time", file=sys.stdout)
        raise
    finally:
        for trainer in trainers:
            trainer.release()
        bar.close()


def estimate(spec: RunSpec, *, device: str | None = None, data_root: str | Path | None = None) -> str:
    """How long `spec` would train on this machine, in a line, from a few measured steps; stores nothing.

    One line more for a training that must come first, as `spec` begins from its network, which is not there.
    """
    where = machine.device(device)
    less = "nothing can be said of it here; a smaller network or another device would fit"
    with tempfile.TemporaryDirectory() as folder, machine.learning(), machine.enough_memory(lambda: f"{spec.id}: {less}"):
        lines = []
        for one in (*parents.lacking([spec]), spec):
            lines.append(timing.estimate(Trainer(one, where, data.of(one, data_root).to(where), Path(folder))))
    return "; then ".join(lines)
