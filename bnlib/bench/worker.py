"""A process of `bnlib bench`: it takes training steps in one way, and says how long each took."""

import argparse
import contextlib
import functools
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from bnlib import data, engine, freezing, machine, models, spec, store
from bnlib.bench import BATCH, REPLICATES
from bnlib.engine import passes
from bnlib.engine.recorded import Recorded
from bnlib.training import trainer


def _work(way: str, model: str, device: torch.device, data_root):
    """The process: a step for every one that is asked for."""
    kind, precision = (way.split() + ["fp32"])[:2]
    if kind != "loop":
        machine.keep_memory()
    # The loop is as PyTorch comes: on a GPU with TF32.
    with contextlib.nullcontext() if kind == "loop" else machine.exact(), tempfile.TemporaryDirectory() as folder:
        ways = {"loop": _loop, "convolutions": _convolutions}
        take, wait = ways.get(kind, _training)(kind, model, precision, device, data_root, folder)
        together, first = 1 if device.type == "cpu" else 20, None  # a training does not wait for a GPU after each step
        replicates = REPLICATES if kind == "replicates" else 1
        for line in sys.stdin:
            seconds = []
            for _ in range(int(line)):
                start = time.perf_counter()
                for _ in range(together if first else 1):
                    take()
                wait()
                seconds.append((time.perf_counter() - start) / together / replicates)
                first = first or time.perf_counter()
            print(json.dumps({"seconds": seconds, "peak": _peak(device), "first": first}), file=ANSWERS, flush=True)


def _peak(device: torch.device) -> int:
    """Most bytes so far: on a GPU allocated there, else in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved()  # what a recorded graph holds counts as freed
    with contextlib.suppress(OSError, StopIteration):  # getrusage counts from before the process became this program
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _loop(_kind, model, _precision, device, data_root, _folder):
    """BN-only training as published code for this paper does it: torchvision's data set and transforms, eager, fp32, NCHW."""
    from torchvision import transforms
    from torchvision.datasets import CIFAR10

    flips_and_crops = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, 4)]
    to_tensor = [transforms.ToTensor(), transforms.Normalize(data.MEAN, data.STD)]
    images = CIFAR10(data.folder(data_root), transform=transforms.Compose(flips_and_crops + to_tensor))
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=2, pin_memory=device.type == "cuda")
    network = freezing.freeze(models.build(model), "bn").to(device).train()
    learning = [p for p in network.parameters() if p.requires_grad]
    optimiser, loss_of = torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=1e-4), nn.CrossEntropyLoss()
    batches = (batch for _ in iter(int, 1) for batch in loader if len(batch[1]) == BATCH)

    def take():
        x, y = (t.to(device, non_blocking=True) for t in next(batches))
        optimiser.zero_grad()
        loss = loss_of(network(x), y)
        loss.backward()
        optimiser.step()

    return take, lambda: learning[0].sum().item()


def _training(kind, model, precision, device, data_root, folder):
    """The steps of a real training, in one of the engine's ways."""
    dataset = data.load("cifar10", data_root).to(device)
    store.check_writable(Path(folder) / ".unfinished")
    other_steps = {
        "plain": engine.Plain,
        "uncompiled": engine.Fused,
        "inductor": functools.partial(engine.Fused, make_passes=functools.partial(passes.InTorch, sizes=(BATCH,))),
    }
    if kind in other_steps:
        engine.make = lambda network, precision, **_: other_steps[kind](network, precision)
    trainers = []
    for seed in range(REPLICATES if kind == "replicates" else 1):
        wanted = spec.RunSpec(model, recipe="short", seed=seed, precision=precision)
        one = trainer.Trainer(wanted, device, dataset, Path(folder))
        if kind not in other_steps and one.step.name != "fused":
            raise SystemExit(f"{model} is not trained by the fused step here: it cannot be compiled")
        if kind == "unrecorded":
            one.take_step = one._work
        trainers.append((one, one.batches(0)[0]))

    def take():
        for one, batch in trainers:
            with one.on_stream():
                one.take_step(*batch)

    def wait():
        for one, _ in trainers:
            with one.on_stream():
                one.totals.tolist()

    return take, wait


def _convolutions(_kind, model, precision, device, _data_root, _folder):
    """Every convolution of the network, forward and for its input's gradient, and nothing else."""
    dtype = engine.DTYPES[precision] if engine.native(engine.DTYPES[precision], device.type) else torch.float32
    shapes, network = [], models.build(model).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, i, o: shapes.append((m, i[0].shape[1:], o.shape[1:])))
    network(torch.zeros(2, 3, 32, 32))
    full = lambda shape: torch.randn(BATCH, *shape, device=device).to(dtype, memory_format=torch.channels_last)  # noqa: E731
    some = {shape: full(shape) for _, *both in shapes for shape in both}
    layers = [(m, m.weight.detach().to(device, dtype), some[i], some[o]) for m, i, o in shapes]

    @torch.no_grad()
    def take():
        for m, weight, x, _ in layers:
            out = F.conv2d(x, weight, stride=m.stride, padding=m.padding)
        for m, weight, x, g in layers[1:]:
            out = torch.ops.aten.convolution_backward(
                g, x, weight, None, m.stride, m.padding, m.dilation, False, (0, 0), 1, (True, False, False)
            )[0]
        last.copy_(out.flatten()[:1])

    last = torch.zeros(1, dtype=dtype, device=device)
    if device.type == "cpu":
        return take, last.item
    recorded, stream = Recorded(take), torch.cuda.Stream()
    torch.cuda.synchronize()

    def on_stream(work):
        with torch.cuda.stream(stream):
            return work()

    return functools.partial(on_stream, recorded), functools.partial(on_stream, last.item)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("way", "model", "device"):
        parser.add_argument(name)
    parser.add_argument("data_root", nargs="?")
    given = parser.parse_args()
    ANSWERS, sys.stdout = sys.stdout, sys.stderr  # whatever else prints does not come between the answers
    _work(given.way, given.model, torch.device(given.device), given.data_root)
