"""One of several processes that torchrun starts for tests/test_processes.py: one step and one evaluation, written to a file."""

import sys
from pathlib import Path

import torch

from bnlib import build, data, engine, freeze, processes
from bnlib.spec import RunSpec
from bnlib.training.loop import Loop

out, trainable, sync, size = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "sync", int(sys.argv[4])
ours, digits = processes.started("cpu"), data.load("digits")
model = freeze(build("resnet8"), trainable).double()  # in fp32 the order of a sum decides whether a ReLU is on
settings = RunSpec("resnet8", recipe="smoke", batch_size=size, augment="none").settings
one = Loop("one step", engine.synced(model, ours) if sync else model, digits, settings, processes=ours)
one.batch = size
one.take_step(*next(iter(one.batches(0))))
score = engine.measure(one.model, digits, images=303, processes=ours)
found = {"gradient": one.learning[0].grad, "score": torch.tensor([score.accuracy, score.loss])}
torch.save({**found, **dict(one.model.named_buffers())}, out / f"{ours.rank}.pt")
