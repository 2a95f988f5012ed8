"""How long a training takes here: some of its steps and evaluations measured, and what they make of the whole."""

import functools
import statistics
import sys
import time
from dataclasses import dataclass

import torch
from tqdm import tqdm

from bnlib import machine
from bnlib.engine import measure as measured
from bnlib.engine.probes import THRESHOLDS
from bnlib.spec import parse
from bnlib.spec.choices import FORMATS
from bnlib.words import duration

SOME = 500  # images of the test set that an evaluation is measured by
SECONDS = 20  # so long a measurement takes, at most: of a network of which a step takes longer, two steps and an evaluation
WARM = 3  # the first steps, which are slower
SOON = 5  # of a training that takes so many seconds, two steps are enough
MARGIN = 1.1  # on a machine that does other things, too, an epoch is not always as fast as the one before


@dataclass(frozen=True)
class Pace:
    """Seconds of a training: of a step; of an evaluation in the run's precision, and of the last, in fp32; of its probes."""

    step: float
    test: float
    last_test: float
    probes: float


def measure(training, count: int = 5, seconds: float = SECONDS) -> Pace:
    """The pace of `training`, a `bnlib.training.trainer.Trainer`; of a step the median of `count`, or of what `seconds` allow.

    Of a training that is soon done the second step alone, as measuring would take as long as training. Says what it does. Compiles
    first, which is not counted, and takes at least one more step; leaves no trace in the network.
    """
    tqdm.write(f"measuring {training.title} here: a few steps, for up to {seconds:.0f} s", file=sys.stdout)
    sys.stdout.flush()
    count_of = training.data.test_count
    images, times, evaluations = min(training.settings.test_images or count_of, count_of), [], []
    some = min(images, SOME)
    begun = time.perf_counter()
    with training.on_stream():
        before, batch = [(t, t.clone()) for t in training.state()], next(iter(training.batches(0)))
        together = 1 if training.device.type == "cpu" else 20  # a training does not wait for a GPU after each step
        left, soon = training.left * training.steps, False
        while len(times) < 2 or not soon and len(times) < WARM + count and time.perf_counter() - begun < seconds / 2:
            start = time.perf_counter()
            for _ in range(together):
                training.take_step(*batch)
            training.totals.tolist()  # waits for the device
            times.append((time.perf_counter() - start) / together)
            soon = times[-1] * left < SOON
        step = statistics.median(times[WARM:] or times[1:])
        # An image costs less to evaluate than to train: each of the evaluations has its share of the time.
        some = min(images, SOME, max(1, int(len(batch[0]) * seconds / 8 / step)))
        evaluate = functools.partial(measured, training.model, training.data, images=some, size=training.at_once)
        for evaluated_by in (training.step, None):
            if some == min(images, SOME):
                evaluate(step=evaluated_by)  # the first one is slower
            start = time.perf_counter()
            evaluate(step=evaluated_by)
            evaluations.append((time.perf_counter() - start) * images / some)
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
    return Pace(step, *evaluations, probes_seconds(evaluations[0], training.spec.asked) if training.probes else 0.0)


def next_epoch(training) -> float:
    """About how long the next epoch of `training` takes, with what must come before the run is stored, and a margin.

    As the last one did or, for the first, as measured: by all that take turns, at most. The last has its evaluation in fp32, and
    the probes of a network that cannot be asked later.
    """
    pace = training.pace
    epoch = training.last_epoch or training.together * (training.steps * pace.step + pace.test)
    if len(training.history) + 1 == training.settings.epochs:
        epoch += max(0.0, pace.last_test - pace.test)
        epoch += 0.0 if training.spec.redrawn else pace.probes
    return MARGIN * epoch


def passes(trainable: str) -> int:
    """How often a step goes over the network: forward, back to the inputs, back to the convolutions' weights."""
    # Of what learns only the convolutions matter much: the gradient of their weights is as much work as that of their inputs,
    # and as the forward pass. Where only the output layer learns, or nothing, there is no other gradient.
    groups, k = parse(trainable)
    return 3 if k or "features" in groups else 2 if groups - {"output"} else 1


def probes_seconds(test: float, names: tuple[str, ...]) -> float:
    """About how long asking a trained network the probes `names` takes, if an evaluation takes `test` seconds."""
    evaluations = {"clamping": 2.2 * len(THRESHOLDS), "relu": 1, "train": 5, "quantised": len(FORMATS)}
    return sum(evaluations[name] for name in names) * test


def estimate(training) -> str:
    """How long what is left of `training` will take, in words."""
    pace, epochs = training.pace, training.settings.epochs - len(training.history)
    about = training.left * (training.steps * pace.step + pace.test) + pace.last_test - pace.test + pace.probes
    return (
        f"{epochs} epoch{'s' * (epochs > 1)} of {training.steps} steps, "
        f"{1000 * pace.step:.{0 if pace.step > 0.02 else 1}f} ms a step: "
        f"about {duration(about)} ({training.step.name} step, {training.precision}, "
        f"{machine.device_name(training.device)})"
    )
