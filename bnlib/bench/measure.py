"""How fast a step is here, and how much memory it takes, beside the ways it could be done otherwise.

Every way is a process of its own, so that its memory, its start and its settings are its own; they take turns, a few steps
each, so that what else the machine does falls on all of them alike; of each the median counts.
"""

import contextlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from bnlib import engine, machine, models, spec, store

# What each way is, in the order of the table: one thing more is changed from row to row, as far as that goes.
WAYS = {
    "loop": "plain PyTorch loop: fp32, NCHW, PIL augmentation in a DataLoader with 2 workers",
    "plain fp32": "plain step, fp32: channels_last, data set and augmentation as tensors, one flat tensor for SGD",
    "plain bf16": "plain step, bf16: by autocast, or by rounding where there are no bf16 instructions",
    "fused fp32": "fused step, fp32",
    "uncompiled bf16": "fused step, bf16, its passes uncompiled",
    "inductor bf16": "fused step, bf16, its passes compiled by PyTorch, as on a GPU",
    "unrecorded bf16": "fused step, bf16, without a CUDA graph",
    "fused bf16": "fused step, bf16: what a training takes",
    "convolutions fp32": "its convolutions alone, forward and input gradient, fp32",
    "convolutions bf16": "its convolutions alone, forward and input gradient, bf16",
    "cold bf16": "fused step, bf16, on a machine that has compiled nothing yet",
    "replicates bf16": "five replicates together: a fifth of the time for a step of each",
}
FEW = ["loop", "plain fp32", "fused bf16", "convolutions bf16"]
BATCH, REPLICATES = spec.Recipe().batch_size, 5
SCALING = [f"resnet{depth}" for depth in (14, 32, 56, 110, 218, 434, 866)], [f"wrn14-{width}" for width in (1, 2, 4, 8)]


class WorkerFailed(RuntimeError):
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
        "bytes_per_second": 2 * wide.numel() * 4 / seconds(wide.clone),
    }


def table(rows: list[dict]) -> pd.DataFrame:
    """The rows of one model, readable: a step, an epoch, how many times faster than the loop, memory, the first step."""
    frame = pd.DataFrame(rows).set_index("way")
    shown = pd.DataFrame({"ms a step": frame.seconds * 1000, "from": frame.low * 1000, "to": frame.high * 1000}).round(1)
    shown["s an epoch"] = frame.epoch_seconds.round(1)
    for column, base in (("× the loop", "loop"), ("÷ convolutions", "convolutions bf16")):
        if base in frame.index:
            ratio = frame.seconds[base] / frame.seconds
            shown[column] = (ratio if base == "loop" else 1 / ratio).round(2)
    shown["peak GiB"] = (frame.peak_bytes / 2**30).round(2)
    shown["first step s"] = frame.first_seconds.round(1)
    return shown


def legend() -> pd.DataFrame:
    """What each way is, in words."""
    return pd.DataFrame({"a training step as": WAYS}).rename_axis("way")


def floor(model: str, rates: dict) -> float:
    """Seconds that a step of `model` takes at least at the measured `rates` (of `describe`), in bf16, batch 128.

    Its multiplications at the rate of a large matrix product; or, if that takes longer, nine passes over the output of every
    convolution at the rate of a copy: the convolution writes it, the pass behind reads it and writes its own, which the next
    convolution reads; back, that pass reads its two and writes one, which the convolution reads to write another. Where all
    of that fits in a cache, less is possible.
    """
    products, values = models.work(model, BATCH)
    return max(2 * products / rates["flop_per_second"], 9 * 2 * values / rates["bytes_per_second"])


def save(found: dict, folder: Path) -> Path:
    """Write what was found to a file named after the machine; models measured before and not now stay in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^a-z0-9]+", "-", found["machine"].lower()).strip("-") + ".json")
    found = {**found, "rows": [{"commit": found["commit"], **row} for row in found["rows"]]}
    if path.exists():
        before, measured = json.loads(path.read_text()), {row["model"] for row in found["rows"]}
        found = {**found, "rows": [row for row in before["rows"] if row["model"] not in measured] + found["rows"]}
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def stored(folder: Path = store.ROOT / "benchmarks") -> dict[str, tuple[dict, pd.DataFrame]]:
    """What was measured so far, by machine: where and with what, and the rows, with depth, width and the floor."""
    machines = {}
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        rows = pd.DataFrame(found.pop("rows"))
        arch = rows.model.map(models.architecture)
        rows["depth"], rows["width"] = arch.map(lambda a: a.depth), arch.map(lambda a: a.width)
        rows["floor"] = rows.model.map({model: floor(model, found) for model in rows.model.unique()})
        machines[found["machine"]] = found, rows
    return machines
