"""How long networks take to answer for a batch, whole and pruned, in turns."""

import contextlib
import statistics
import time

import pandas as pd
import torch
from torch import nn

from bnlib import machine, store
from bnlib.bench.table import BATCH
from bnlib.pruning import prune
from bnlib.spec import architecture


@machine.exact()
@torch.inference_mode()
def turns(networks: list[nn.Module], *, images: int = BATCH, size: int = 32, seconds: float = 1.5, least: int = 5) -> list[tuple]:
    """The seconds that each of `networks` takes for a batch of random pictures, in fp32, on its device, one after the other: turns.

    In evaluation mode, as ordinary PyTorch modules. On a CPU only the time counts in which the calling thread computes: with one
    thread it does not matter what else the machine does. At least `least` turns, then until `seconds` have passed;
    before, each network is run once, which does not count.
    """
    device = next(networks[0].parameters()).device
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    x = torch.randn(images, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device, memory_format=torch.channels_last)

    def taken(network):
        start = clock()
        network(x).sum().item()  # which waits for a GPU
        return clock() - start

    networks = [network.eval().to(memory_format=torch.channels_last) for network in networks]
    _ = [taken(network) for network in networks]
    found, start = [], time.perf_counter()
    while len(found) < least or time.perf_counter() - start < seconds:
        found.append(tuple(map(taken, networks)))
    return found


def pruned(runs: list[str], thresholds: tuple[float, ...], **how) -> pd.DataFrame:
    """Networks of stored runs timed whole and pruned at each threshold, here and now: a row for each run and threshold.

    run, network, depth, threshold; machine; images, of the batch; ratio, low, high: median and quartiles, over the turns, of
    pruned over whole; whole: the median milliseconds; pruned: ratio of them; turns: how many there were. how: as for `turns`.
    Raises StoreError where a network cannot be drawn again.
    """
    device, rows = machine.device(), []
    with _one_thread():
        where = machine.device_name(device)
    for name in runs:
        run = store.load(name)
        model, arch = run.model().to(device), architecture(run.spec.model)
        with _one_thread():
            times = turns([model, *(prune(model, threshold) for threshold in thresholds)], **how)
        for i, threshold in enumerate(thresholds, start=1):
            low, middle, high = statistics.quantiles([turn[i] / turn[0] for turn in times], n=4, method="inclusive")
            whole = 1000 * statistics.median(turn[0] for turn in times)
            row = {"run": name, "network": arch.title, "depth": arch.depth, "threshold": threshold}
            row |= {"machine": where, "images": how.get("images", BATCH), "whole": whole, "pruned": middle * whole}
            rows.append({**row, "ratio": middle, "low": low, "high": high, "turns": len(times)})
    columns = ["run", "network", "depth", "threshold", "machine", "images", "whole", "pruned", "ratio", "low", "high", "turns"]
    return pd.DataFrame(rows, columns=columns)


@contextlib.contextmanager
def _one_thread():
    """A context in which PyTorch computes on one thread of the CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
