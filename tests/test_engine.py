"""The fused step is the plain step: loss, every gradient and every running statistic."""

import copy
import functools
import shutil

import pytest
import torch
from torch import nn

from bnlib import build, engine, freeze, machine, models
from bnlib.engine import passes, passes_c
from bnlib.engine.recorded import Recorded
from bnlib.engine.step import fits

needs_cc = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")
needs_cxx = pytest.mark.skipif(not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="no C++ compiler here")


def both(trainable, precision, model="resnet14", images=20, make_passes=passes.InTorch):
    """One step of each on the same images; returns the two networks and losses, gradients in place."""
    dtype, random = engine.DTYPES[precision], torch.Generator().manual_seed(0)
    one = freeze(build(model), trainable).to(torch.float64 if precision == "fp64" else torch.float32)
    one = one.to(memory_format=torch.channels_last).train()
    two = copy.deepcopy(one)
    x = torch.randn(images, 3, 32, 32, generator=random, dtype=torch.float64).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (images,), generator=random)
    x = x.to(dtype if precision != "bf16" else torch.float32)
    losses = []
    for step in (engine.Plain(one, precision), engine.Fused(two, precision, make_passes)):
        losses.append(step.gradients(x, y)[0])
    return one, two, losses


def apart(a, b):
    """Largest difference, over the largest value."""
    return ((a - b).abs().max() / a.abs().max().clamp_min(1e-30)).item()


@pytest.mark.parametrize(
    "trainable",
    ["bn", "gamma", "all", "all-bn", "output", "bn+shortcut+output", "random:2", "shortcut+output", "shortcut+shortcut-bn+output"],
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


@pytest.mark.parametrize("make_passes", [passes.InTorch, pytest.param(passes_c.InC, marks=needs_cc)])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16 without instructions"])
def test_rounding_takes_it_no_further_from_float64_than_the_plain_step(precision, make_passes, monkeypatch):
    """Held to the truth, not to each other: one ReLU that rounds to the other side moves a gradient by more than 1e-4."""
    if " " in precision:
        monkeypatch.setattr("bnlib.engine.step.native", lambda dtype, device: dtype != torch.bfloat16)
    precision = precision.split()[0]
    truth = gradient(both("bn", "fp64", images=64)[0])
    plain, fused, losses = both("bn", precision, images=64, make_passes=make_passes)
    far, further = (((gradient(m) - truth).norm() / truth.norm()).item() for m in (plain, fused))
    assert further < 1.5 * far and far < {"fp32": 1e-2, "bf16": 0.2}[precision]
    assert apart(*losses) < {"fp32": 1e-5, "bf16": 1e-2}[precision]
    # As they are: deviations are about 1, and a mean near 0 holds the rounding of all that it is the sum of.
    for (name, p), q in zip(plain.named_buffers(), fused.buffers(), strict=True):
        assert (p.double() - q.double()).abs().max() < {"fp32": 1e-5, "bf16": 3e-2}[precision], name


@needs_cc
@pytest.mark.parametrize("trainable", ["gamma", "all", "output", "random:2", "bn+shortcut+output", "none"])
def test_in_c_each_trainable_set_has_its_gradients(trainable):
    plain, fused, _ = both(trainable, "fp32", images=16, make_passes=passes_c.InC)
    for (name, p), q in zip(plain.named_parameters(), fused.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None) == (not p.requires_grad), name
        assert p.grad is None or ((p.grad - q.grad).norm() / p.grad.norm()).item() < 2e-2, name


@needs_cc
def test_with_a_compiler_the_fused_step_is_made():
    """Whatever goes wrong in compiling looks to a user like a machine without a compiler: here it must not."""
    step = engine.make(build("resnet8"), "fp32", steps=10**6, sizes=(16,), depth=8)
    assert type(step) is engine.Fused and type(step.passes) is passes_c.InC


@pytest.mark.slow
@needs_cxx
def test_compiled_by_pytorch_it_still_agrees():
    """As on a GPU."""
    compiling = functools.partial(passes.InTorch, sizes=(16,))
    plain, fused, (a, b) = both("bn", "fp32", model="resnet8", images=16, make_passes=compiling)
    assert apart(a, b) < 1e-5
    assert ((gradient(plain) - gradient(fused)).norm() / gradient(plain).norm()).item() < 1e-4


@pytest.mark.slow
@needs_cxx
def test_compiled_it_rounds_to_bf16_as_uncompiled():
    """Where convolutions and passes read and write bf16, and nowhere else: the two differ by what changes sums of fp32."""
    random = torch.Generator().manual_seed(0)
    x, added, grad = (torch.randn(16, 16, 8, 8, generator=random).to(memory_format=torch.channels_last) for _ in range(3))
    bn = [torch.rand(16, generator=random) for _ in range(4)]
    for dtype in (torch.float32, torch.bfloat16):  # convolutions computed in fp32 on rounded numbers, and in bf16
        compiled = passes.InTorch(torch.bfloat16, dtype, (16,))._call
        tensors = [t.to(dtype) for t in (x, added)]
        flags = {"relu": True, "eps": 1e-5, "dtype": torch.bfloat16}
        for plain, fast in zip(
            passes.forward(tensors[0], *bn[:2], tensors[1], **flags),
            compiled(passes.forward, tensors[0], *bn[:2], tensors[1], **flags),
            strict=True,
        ):
            assert plain.dtype == fast.dtype and plain.stride() == fast.stride()
            assert torch.allclose(plain.double(), fast.double(), rtol=2**-7, atol=1e-5)  # one step of bf16
            assert (plain != fast).float().mean() < 1e-2 or plain.dim() == 1
        flags = {"relu": True, "summed": True, "eps": 1e-5, "dtype": dtype}
        given = (x.bfloat16(), *bn, grad.to(dtype), added.bfloat16(), x.bfloat16())
        for plain, fast in zip(passes.backward(*given, **flags), compiled(passes.backward, *given, **flags), strict=True):
            assert plain.dtype == fast.dtype and plain.stride() == fast.stride()
            assert apart(plain.double(), fast.double()) < 1e-2
            assert (plain != fast).float().mean() < 1e-2 or plain.dim() == 1


def test_a_second_step_adds_to_the_gradients_as_autograd_does():
    model = freeze(build("resnet8"), "bn").double()
    step, x, y = engine.Fused(model, "fp64"), torch.randn(4, 3, 32, 32, dtype=torch.float64), torch.arange(4)
    step.gradients(x, y)
    once = gradient(model)
    step.gradients(x, y)
    assert apart(2 * once, gradient(model)) < 1e-12


@pytest.mark.parametrize("trainable", ["bn", "output", "none"])
def test_evaluation_folds_batchnorm_into_the_convolutions(trainable):
    model = freeze(build("resnet14"), trainable).double()
    step, x, y = engine.Fused(model, "fp64"), torch.randn(4, 3, 32, 32, dtype=torch.float64), torch.arange(4)
    step.gradients(x, y)  # so that the running statistics are not 0 and 1
    model.eval()
    assert apart(engine.Plain(model, "fp64").logits(x), step.logits(x)) < 1e-10


def test_without_bf16_instructions_convolutions_compute_in_fp32_on_rounded_numbers(monkeypatch):
    monkeypatch.setattr("bnlib.engine.step.native", lambda dtype, device: dtype != torch.bfloat16)
    plain, fused, (a, b) = both("bn", "bf16", images=64)
    assert apart(a, b) < 1e-2
    seen, conv2d = [], torch.nn.functional.conv2d
    monkeypatch.setattr("bnlib.engine.step.F.conv2d", lambda x, w, *a, **k: seen.append((x, w)) or conv2d(x, w, *a, **k))
    engine.Fused(fused, "bf16").gradients(torch.randn(4, 3, 32, 32), torch.arange(4))
    assert len(seen) == 15
    for x, w in seen:
        assert x.dtype == w.dtype == torch.float32
        assert torch.equal(x, x.bfloat16().float()) and torch.equal(w, w.bfloat16().float())


def test_without_bf16_instructions_the_plain_step_rounds_too(monkeypatch):
    monkeypatch.setattr("bnlib.engine.step.native", lambda dtype, device: dtype != torch.bfloat16)
    model, outputs = build("resnet8").train(), []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, i, o: outputs.append(o))
    engine.Plain(model, "bf16").gradients(torch.randn(4, 3, 32, 32), torch.arange(4))
    assert len(outputs) == 9 and all(torch.equal(o, o.bfloat16().float()) for o in outputs)


def test_emulated_bf16_is_not_taken_for_the_processors_own(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert not engine.native.__wrapped__(torch.bfloat16, "cpu") and engine.native.__wrapped__(torch.float32, "cpu")


def test_short_trainings_and_other_networks_take_the_plain_step():
    assert type(engine.make(build("resnet8"), "fp32", steps=10, sizes=(16,), depth=8)) is engine.Plain
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3))
    assert type(engine.make(other, "fp32", steps=10**9, sizes=(16,), depth=1)) is engine.Plain


class Other(models.ResNet):
    """Its forward pass is its own."""

    def forward(self, x):  # noqa: D102
        return super().forward(2 * x)


def _first(model):
    return model.segments[0][0]


CHANGES = {
    "grey images": lambda model: setattr(model, "conv", nn.Conv2d(1, 16, 3, padding=1)),
    "another stride": lambda model: setattr(_first(model).conv1, "stride", (2, 2)),
    "no BatchNorm": lambda model: setattr(_first(model), "bn1", nn.Identity()),
    "a cumulative average": lambda model: setattr(model.bn, "momentum", None),
    "float64": nn.Module.double,
    "Dropout": lambda model: setattr(model, "output", nn.Sequential(nn.Dropout(), model.output)),
    "a hook": lambda model: _first(model).register_forward_hook(lambda *_: None),
    "spectral norm": lambda model: nn.utils.parametrizations.spectral_norm(model.conv),
    "a forward pass of its own": lambda model: setattr(model, "forward", lambda x: x),
    "a subclass": lambda model: setattr(model, "__class__", Other),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_was_changed_is_asked_itself(change):
    model = build("resnet8")
    assert fits(model)
    CHANGES[change](model)
    assert not fits(model)


def test_other_classes_and_what_learns_change_nothing_that_the_fused_step_has_to_know():
    model = build("wrn14-0.25", classes=5)
    assert fits(model) and fits(freeze(model, "random:2+bn")) and not fits(build("resnet8", norm="group"))
    model.output = nn.Linear(model.output.in_features, 3)
    assert fits(model)


def test_without_a_compiler_it_says_so_and_goes_on(monkeypatch, capsys):
    def no_compiler():
        raise passes_c.NoCompiler("no cc")

    monkeypatch.setattr(passes_c, "library", no_compiler)
    assert type(engine.make(build("resnet8"), "fp32", steps=10**6, sizes=(16,), depth=8)) is engine.Plain
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "NoCompiler: no cc" in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_what_is_recorded_takes_images_from_wherever_they_are():
    total = torch.zeros((), device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        step = Recorded(lambda x: total.add_(x.to("cuda", non_blocking=True).sum()), torch.device("cuda"))
        for number in range(1, 5):
            step(torch.full((3,), float(number)))
        assert total.item() == 30


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_fused_step_agrees_with_the_cpu():
    cpu, _, _ = both("bn", "fp32", model="resnet8", images=16)
    model = freeze(build("resnet8"), "bn").to("cuda", memory_format=torch.channels_last).train()
    random = torch.Generator().manual_seed(0)
    x = torch.randn(16, 3, 32, 32, generator=random, dtype=torch.float64).float().cuda().to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (16,), generator=random).cuda()
    with machine.exact():
        step = engine.make(model, "fp32", steps=10**6, sizes=(16,), depth=8)
        step.gradients(x, y)
    assert type(step) is engine.Fused
    assert ((gradient(cpu) - gradient(model).cpu()).norm() / gradient(cpu).norm()).item() < 1e-3
