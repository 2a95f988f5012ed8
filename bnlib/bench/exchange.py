"""What several processes of one training exchange in a step, and how long that takes here: γ and β, or every weight."""

import json
import os
import statistics
import subprocess
import sys
import time

import torch

from bnlib import freezing, models, processes, store
from bnlib.bench.measure import WorkerFailed

MODELS = ("resnet14", "resnet110", "imagenet-resnet50")
TIMES = 30  # of each exchange, in turns


def measure(names=MODELS, count: int = 2, device: str = "cpu") -> list[dict]:
    """Measure how long `count` processes on this machine take to add up the gradients of a step; a list of dicts.

    Each: model, processes, trainable (`bn` or `all`), bytes, seconds (median), low and high (quartiles). device: `cpu`, by
    gloo, or `cuda`, by NCCL. Raises ValueError for a name that is none, WorkerFailed with what a process said, if one fails.
    """
    for name in names:
        models.skeleton(name)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(store.ROOT), os.environ.get("PYTHONPATH", "")])}
    command += ["--no-python", sys.executable, "-c", "from bnlib.bench import exchange; exchange.worker()", device, *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if "Error" in line] or ["it said nothing"]
        raise WorkerFailed(f"bench: {count} processes failed: {said[0]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def worker() -> None:
    """In one of the processes: measure, each exchange in its turn in every round; the first one prints the rows."""
    where, *names = sys.argv[1:]
    ours = processes.started(where)
    device = torch.device("cuda", torch.cuda.current_device()) if where == "cuda" else torch.device("cpu")
    tensors, times = {}, {}
    for name in names:
        for trainable in ("bn", "all"):
            learns = freezing.count(freezing.freeze(models.skeleton(name), trainable))["trainable"]
            tensors[name, trainable], times[name, trainable] = torch.ones(learns, device=device), []
    for _ in range(TIMES + 3):
        for key, tensor in tensors.items():
            ours.total(torch.zeros(1, device=device)).item()  # all are here
            start = time.perf_counter()
            ours.total(tensor)[:1].item()
            times[key].append(time.perf_counter() - start)
            tensor.fill_(1.0)
    rows = []
    for (name, trainable), taken in times.items():
        low, middle, high = statistics.quantiles(taken[3:], n=4)
        size = tensors[name, trainable].numel() * 4
        row = {"model": name, "processes": ours.count, "trainable": trainable, "bytes": size, "seconds": middle}
        rows.append({**row, "low": low, "high": high})
    if ours.first:
        print(json.dumps(rows))
