"""How fast a step is here, and how much memory it takes, beside the ways it could be done otherwise.

Every way is a process of its own, so that its memory, its start and its settings are its own; they take turns, a few steps
each, so that what else the machine does falls on all of them alike; of each the median counts.
"""

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch

from bnlib import engine, machine, store
from bnlib.bench.table import BATCH, WAYS
from bnlib.words import Mendable


class WorkerFailed(Mendable):
    """A way of taking steps cannot be taken here; the message has what its process said last."""


def ways(device: torch.device) -> list[str]:
    """All ways that mean something on `device`."""
    other = ("inductor bf16",) if device.type == "cuda" else ("unrecorded bf16", "replicates bf16")
    return [way for way in WAYS if way not in other]


def compare(model: str, ways: list[str], device: torch.device, data_root=None, *, rounds: int = 3, steps: int = 4, say=None):
    """Measure `ways` of taking a training step of `model` with batch 128, in turns; returns a list of dicts, one a way.

    Each: model, way, seconds (median step), low and high (quartiles), epoch_seconds (391 steps), peak_bytes (CPU: of the
    process; GPU: held there), first_seconds (from the command to the end of the first step). say: called with each line of
    progress. Raises WorkerFailed with what a process said, if one fails.
    """
    workers, times, rows = {}, {way: [] for way in ways}, []
    with contextlib.ExitStack() as stack:
        for way in ways:  # one after the other: a start is measured too
            if say:
                say(f"{model}: starting {way}")
            workers[way] = stack.enter_context(_Worker(way, model, device, data_root))
            workers[way].steps(2)
        for turn in range(rounds):
            for way, worker in workers.items():
                if say:
                    say(f"{model}: round {turn + 1} of {rounds}, {way}")
                # The loop's workers have prepared batches meanwhile; those it gets for nothing do not count.
                times[way] += worker.steps(steps + (5 if way == "loop" else 1))[-steps:]
        for way, worker in workers.items():
            low, middle, high = statistics.quantiles(times[way], n=4)
            rows.append(
                {
                    "model": model,
                    "way": way,
                    "seconds": middle,
                    "low": low,
                    "high": high,
                    "epoch_seconds": middle * math.ceil(50_000 / BATCH),
                    "peak_bytes": worker.peak,
                    "first_seconds": worker.first,
                }
            )
    return rows


class _Worker:
    """A process that takes steps in one way; asked for n of them, it gives their seconds."""

    def __init__(self, way: str, model: str, device: torch.device, data_root):
        command = [sys.executable, "-m", "bnlib.bench.worker", way, model, str(device), *([str(data_root)] if data_root else [])]
        self.started, self.first = time.perf_counter(), None
        self.errors, self.cache = tempfile.TemporaryFile("w+"), tempfile.TemporaryDirectory()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(store.ROOT), os.environ.get("PYTHONPATH", "")])}
        if way.startswith("cold"):
            environment["TORCHINDUCTOR_CACHE_DIR"] = environment["XDG_CACHE_HOME"] = self.cache.name
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)

    def steps(self, count: int) -> list[float]:
        with contextlib.suppress(BrokenPipeError):  # it has died: its last words come below
            self.process.stdin.write(f"{count}\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            said = (self.errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise WorkerFailed(f"bench: {' '.join(self.process.args[3:5])} failed: {said}")
        answer = json.loads(answer)
        self.peak, self.first = answer["peak"], self.first or answer["first"] - self.started
        return answer["seconds"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()
        self.cache.cleanup()


def describe(device: torch.device) -> dict:
    """Where the numbers were taken: machine, versions, commit, and the device's measured rates."""
    size = 4096 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if engine.native(torch.bfloat16, device.type) else torch.float32
    a, wide = torch.randn(size, size, device=device).to(dtype), torch.randn(2**26, device=device)
    copy = wide.clone()  # to memory that is there: new memory, which a copy would ask for each time, takes longer than the copy

    def seconds(work, times=7):
        taken, together = [], 1 if device.type == "cpu" else 50
        for _ in range(times):
            start = time.perf_counter()
            for _ in range(together):
                out = work()
            out.flatten()[0].item()
            taken.append((time.perf_counter() - start) / together)
        return statistics.median(taken[2:])

    return {
        "machine": machine.device_name(device),
        "bf16": engine.native(torch.bfloat16, device.type),
        "cores": os.cpu_count(),
        "versions": machine.versions(),
        "commit": machine.commit(store.ROOT)[0],
        "flop_per_second": 2 * size**3 / seconds(lambda: a @ a),
        "bytes_per_second": 2 * wide.numel() * 4 / seconds(lambda: copy.copy_(wide)),
    }
