"""One of several processes that torchrun starts for tests/test_processes.py: of each case a step and an evaluation, into a file."""

import sys
from pathlib import Path

import torch

from bnlib import build, data, engine, freeze, processes
from bnlib.spec import RunSpec
from bnlib.training.loop import Loop

ours, digits, found = processes.started("cpu"), data.load("digits"), {}
for case in sys.argv[2:]:
    trainable, statistics, size = case.split("-")
    model = freeze(build("resnet8"), trainable).double()  # in fp32 the order of a sum decides whether a ReLU is on
    model = engine.synced(model, ours) if statistics == "common" else model
    settings = RunSpec("resnet8", recipe="smoke", batch_size=int(size), augment="none").settings
    one = Loop("one step", model, digits, settings, processes=ours)
    one.batch = int(size)
    one.take_step(*next(iter(one.batches(0))))
    score = engine.measure(one.model, digits, images=303, processes=ours)
    numbers = {"gradient": one.learning[0].grad, "score": torch.tensor([score.accuracy, score.loss])}
    found[case] = {**numbers, **dict(one.model.named_buffers())}
torch.save(found, Path(sys.argv[1]) / f"{ours.rank}.pt")
