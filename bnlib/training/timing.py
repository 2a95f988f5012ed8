"""How long a training takes here: some of its steps and evaluations measured, and what they make of the whole."""

import statistics
import time
from dataclasses import dataclass

import torch

from bnlib import machine
from bnlib.engine.evaluation import evaluate
from bnlib.engine.probes import THRESHOLDS
from bnlib.words import duration

SOME = 500  # images of the test set that an evaluation is measured by


@dataclass(frozen=True)
class Pace:
    """Seconds of a training: of a step; of an evaluation in the run's precision, and of the last, in fp32; of its probes."""

    step: float
    test: float
    last_test: float
    probes: float


def measure(training, count: int = 5) -> Pace:
    """The pace of `training`, a `bnlib.training.trainer.Trainer`; of a step the median of `count`.

    Compiles first, which is not counted; leaves no trace in the network.
    """
    count_of = training.data.test_count
    images, times, evaluations = min(training.settings.test_images or count_of, count_of), [], []
    some = min(images, SOME)
    with training.on_stream():
        before, batch = [(t, t.clone()) for t in training.state()], next(iter(training.batches(0)))
        together = 1 if training.device.type == "cpu" else 20  # a training does not wait for a GPU after each step
        for _ in range(3 + count):
            start = time.perf_counter()
            for _ in range(together):
                training.take_step(*batch)
            training.totals.tolist()  # waits for the device
            times.append((time.perf_counter() - start) / together)
        for step in (training.step, None):
            evaluate(training.model, training.data, images=some, step=step)
            start = time.perf_counter()
            evaluate(training.model, training.data, images=some, step=step)
            evaluations.append((time.perf_counter() - start) * images / some)
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
    return Pace(statistics.median(times[3:]), *evaluations, probes_seconds(evaluations[0]) if training.probes else 0.0)


def probes_seconds(test: float) -> float:
    """About how long asking a trained network takes, if an evaluation takes `test` seconds."""
    return (2.2 * len(THRESHOLDS) + 5) * test


def estimate(training) -> str:
    """How long what is left of `training` will take, in words."""
    pace, epochs = training.pace, training.settings.epochs - len(training.history)
    about = epochs * (training.steps * pace.step + pace.test) + pace.last_test - pace.test + pace.probes
    return (
        f"{epochs} epochs of {training.steps} steps, {1000 * pace.step:.{0 if pace.step > 0.02 else 1}f} ms a step: "
        f"about {duration(about)} ({training.step.name} step, {training.precision}, "
        f"{machine.device_name(training.device)})"
    )
