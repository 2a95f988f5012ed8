"""What trainings would cost here: reckoned from the stored runs of this machine, measured only where it has none like them."""

import contextlib
import math
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bnlib import data, machine, models, store
from bnlib.spec import RunSpec
from bnlib.training import parents
from bnlib.training.timing import passes, probes_seconds
from bnlib.training.trainer import Trainer
from bnlib.words import duration

PIXELS = (50_000, 10_000)  # CIFAR-10's images to train and to test: only its networks are asked probes


@dataclass(frozen=True)
class Cost:
    """About how long a training takes, in seconds: an epoch with its evaluation, and all of it with its probes.

    Both are infinite where not even the smallest training of its kind fits in memory. measured: by steps taken now, not by runs.
    """

    epoch: float
    whole: float
    measured: bool = False


@dataclass(frozen=True)
class Pace:
    """How long an epoch of one training takes at its fastest, in seconds, what there is to multiply in it, and of which network."""

    work: float
    epoch: float
    model: str = ""


def epoch_work(spec: RunSpec) -> float:
    """What an epoch of `spec` has to multiply, in units that are the same for all specs of one kind."""
    return models.work(spec.model, 1, spec.settings.size)[0] * mean_passes(spec)


def mean_passes(spec: RunSpec) -> float:
    """How often a step goes over the network; of all its epochs the mean."""
    epochs = spec.settings.epochs
    before = spec.switch if spec.then else epochs
    return (before * passes(spec.trainable) + (epochs - before) * passes(spec.then or spec.trainable)) / epochs


def kind(spec: RunSpec) -> tuple:
    """What trainings have in common of which the time of an epoch goes with the multiplications."""
    settings = spec.settings
    images = settings.train_images, settings.test_images
    return spec.dataset, settings.size, spec.precision, settings.batch_size, *images, spec.kind  # without BatchNorm, the plain step


def alike(spec: RunSpec, known: dict[tuple, list[Pace]]) -> list[Pace]:
    """The paces that say most of `spec`: of its kind; where there are none, of networks with BatchNorm that see the same images."""
    return known.get(kind(spec)) or known.get((*kind(spec)[:-1], "bn"), [])


def paces(device: str, runs: Iterable[store.Run] | None = None) -> dict[tuple, list[Pace]]:
    """How long an epoch of the stored runs took that were trained wholly on `device`, by their `kind`: of each run the fastest.

    What else a machine does makes an epoch slower, and nothing makes it faster. device: as `machine.device_name` calls it. runs:
    all stored ones, unless given; one whose curve is damaged is left out.
    """
    found = {}
    for run in store.all_runs() if runs is None else runs:
        info, spec = run.info, run.spec
        if info["device"] != device or info["status"] != "finished" or info.get("earlier") or info.get("processes", 1) > 1:
            continue
        with contextlib.suppress(store.StoreError):
            passed = min(seconds / passes(spec.learning(epoch)) for epoch, seconds in enumerate(run.history.seconds))
            found.setdefault(kind(spec), []).append(Pace(epoch_work(spec), passed * mean_passes(spec), spec.model))
    return found


def reckon(spec: RunSpec, known: list[Pace], probes: bool = True, measured: bool = False) -> Cost:
    """What `spec` would cost, if trainings of its kind took as long as `known` says.

    By its multiplications, at the best rate of those that have most nearly as many: small networks are slower for what they do.
    """
    own = epoch_work(spec)
    near = min((one.work for one in known), key=lambda work: abs(math.log(work / own)))
    epoch = own * min(one.epoch / one.work for one in known if one.work == near)
    return Cost(epoch, spec.settings.epochs * epoch + (_probes(spec, epoch) if probes else 0.0), measured)


def _probes(spec: RunSpec, epoch: float) -> float:
    """About how long asking the trained network takes, if an epoch takes `epoch` seconds."""
    if spec.recipe == "smoke" or spec.dataset != "cifar10":
        return 0.0
    train, test = (min(n, m or n) for n, m in zip(PIXELS, (spec.settings.train_images, spec.settings.test_images), strict=True))
    return probes_seconds(epoch * test / (test + mean_passes(spec) * train), spec.asked)  # an evaluation is one pass


def costs(
    specs: list[RunSpec],
    *,
    device: str | None = None,
    data_root: str | Path | None = None,
    probes: bool = True,
    until: float | None = None,
) -> dict[RunSpec, Cost]:
    """About what each of `specs` costs here, by the stored runs of this machine; of a kind without any the smallest is measured.

    Also of the trainings that must come before them, as some of `specs` begin from their networks. until: of `time.monotonic`;
    after that nothing is measured, and what has not been is left out.
    """
    if not specs:
        return {}
    specs = [*parents.lacking(specs), *specs]
    where = machine.device(device)
    known, found = paces(machine.device_name(where)), {}
    for same in {kind(spec) for spec in specs}:
        own = [spec for spec in specs if kind(spec) == same]
        measured = same not in known
        if measured and until is not None and time.monotonic() >= until:
            continue
        if measured:
            pace = _measure(min(own, key=epoch_work), where, data_root)
            known[same] = [pace] if pace else []
        for spec in own:
            found[spec] = reckon(spec, known[same], probes, measured) if known[same] else Cost(math.inf, math.inf, True)
    return found


def _measure(spec: RunSpec, where, data_root) -> Pace | None:
    """The pace of `spec` here, from some of its steps; None, saying so, if it does not fit in memory."""
    less = f"{spec.id} does not fit here; another device, or smaller networks would"
    try:
        with tempfile.TemporaryDirectory() as folder, machine.learning(), machine.enough_memory(lambda: less):
            one = Trainer(spec, where, data.of(spec, data_root).to(where), Path(folder))
            pace = one.pace
            one.release()
    except machine.OutOfMemory as error:
        print(error, flush=True)
        return None
    return Pace(epoch_work(spec), one.steps * pace.step + pace.test, spec.model)


def plan(specs: list[RunSpec], expected: dict[RunSpec, Cost]) -> list[str]:
    """A line for each of `specs`: its accuracy if it is stored, else what is `expected` of it; and one that sums up.

    Ahead of them one for each training that must come before, as some of `specs` begin from its network.
    """
    lines, missing, before = [], [], parents.lacking(specs)
    for spec in before:
        missing.append(expected.get(spec))
        lines.append(f"{spec.id:60} comes first, as others begin from its network, {_said(missing[-1])}")
    for spec in specs:
        found = store.find(spec)
        if found is None:
            missing.append(expected.get(spec))
        lines.append(f"{spec.id:60} {f'{found.accuracy:.2%}' if found else f'missing, {_said(missing[-1])}'}")
    total = ""
    if seconds := [cost.whole for cost in missing if cost and math.isfinite(cost.whole)]:
        by = "steps measured now" if any(cost and cost.measured for cost in missing) else "runs stored of this machine"
        open_ = missing.count(None)  # there was no time to measure them
        of = "in all" if not open_ else f"for {len(missing) - open_} of them"
        total = f", about {duration(sum(seconds))} {of}, by {by}"
    count, first = len(missing) - len(before), f", and {len(before)} to come first" if before else ""
    return [*lines, f"{len(specs) - count} of {len(specs)} runs are there, {count} missing{first}{total}"]


def _said(cost: Cost | None) -> str:
    if cost is None:
        return "its cost is not known"
    return f"about {duration(cost.whole)}" if math.isfinite(cost.whole) else "too large for the memory here"


def on_gpu(device: str) -> bool:
    """Whether `device`, a name by `machine.device_name`, is a GPU's: a CPU's ends in its threads."""
    return not re.search(r"\d threads?$", device)
