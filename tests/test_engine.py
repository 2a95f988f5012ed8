"""The fused step is the plain step: loss, every gradient and every running statistic."""

import copy

import pytest
import torch

from bnlib import build, engine, freeze


def both(trainable, precision, model="resnet14", images=20, batch=None):
    """One step of each on the same images; returns the two networks and losses, gradients in place."""
    dtype, random = engine.DTYPES[precision], torch.Generator().manual_seed(0)
    one = freeze(build(model), trainable).to(torch.float64 if precision == "fp64" else torch.float32)
    one = one.to(memory_format=torch.channels_last).train()
    two = copy.deepcopy(one)
    x = torch.randn(images, 3, 32, 32, generator=random, dtype=torch.float64).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (images,), generator=random)
    x = x.to(dtype if precision != "bf16" else torch.float32)
    losses = []
    for step in (engine.Plain(one, precision), engine.Fused(two, precision, batch)):
        loss, correct = step.loss(x, y)
        loss.backward()
        losses.append(loss)
    return one, two, losses


def apart(a, b):
    """Largest difference, over the largest value."""
    return ((a - b).abs().max() / a.abs().max().clamp_min(1e-30)).item()


@pytest.mark.parametrize(
    "trainable", ["bn", "gamma", "all", "all-bn", "output", "bn+shortcut+output", "random:2", "shortcut+output"]
)
def test_in_float64_they_agree_to_1e_10(trainable):
    plain, fused, (a, b) = both(trainable, "fp64")
    assert apart(a, b) < 1e-10
    for (name, p), q in zip(plain.named_parameters(), fused.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None) == (not p.requires_grad), name
        assert p.grad is None or apart(p.grad, q.grad) < 1e-10, name
    for (name, p), q in zip(plain.named_buffers(), fused.named_buffers(), strict=True):
        assert apart(p.double(), q[1].double()) < 1e-10, name


def gradient(model):
    """All gradients as one fp64 vector."""
    return torch.cat([p.grad.flatten().double() for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_rounding_takes_it_no_further_from_float64_than_the_plain_step(precision):
    """Held to the truth, not to each other: one ReLU that rounds to the other side moves a gradient by more than 1e-4."""
    truth = gradient(both("bn", "fp64", images=64)[0])
    plain, fused = (((gradient(m) - truth).norm() / truth.norm()).item() for m in both("bn", precision, images=64)[:2])
    assert fused < 1.5 * plain and plain < {"fp32": 1e-2, "bf16": 0.2}[precision]


@pytest.mark.slow
def test_compiled_it_still_agrees():
    if type(engine.make(build("resnet8"), "fp32", steps=10**6, batch=16, depth=8)) is engine.Plain:
        pytest.skip("no working compiler on this machine")
    plain, fused, (a, b) = both("bn", "fp32", model="resnet8", images=16, batch=16)
    assert apart(a, b) < 1e-5
    gradients = [torch.cat([p.grad.flatten() for p in m.parameters() if p.requires_grad]) for m in (plain, fused)]
    assert ((gradients[0] - gradients[1]).norm() / gradients[0].norm()).item() < 1e-4


def test_short_trainings_and_other_networks_take_the_plain_step(capsys):
    assert type(engine.make(build("resnet8"), "fp32", steps=10, batch=16, depth=8)) is engine.Plain
    assert type(engine.make(torch.nn.Conv2d(3, 3, 3), "fp32", steps=10**9, batch=16, depth=1)) is engine.Plain


def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch, capsys):
    def no_compiler(*_, **__):
        raise RuntimeError("no g++")

    monkeypatch.setattr(torch, "compile", no_compiler)
    assert type(engine.make(build("resnet8"), "fp32", steps=10**6, batch=16, depth=8)) is engine.Plain
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_fused_step_agrees_with_the_cpu():
    cpu, _, _ = both("bn", "fp32", model="resnet8", images=16)
    model = freeze(build("resnet8"), "bn").to("cuda", memory_format=torch.channels_last).train()
    random = torch.Generator().manual_seed(0)
    x = torch.randn(16, 3, 32, 32, generator=random, dtype=torch.float64).float().cuda().to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (16,), generator=random).cuda()
    torch.backends.cudnn.allow_tf32 = False
    engine.make(model, "fp32", steps=10**6, batch=16, depth=8).loss(x, y)[0].backward()
    for (name, p), q in zip(cpu.named_parameters(), model.parameters(), strict=True):
        assert p.grad is None or apart(p.grad, q.grad.cpu()) < 1e-3, name
