"""The passes in C: each against the same in fp64, on every shape; and how they come to be compiled."""

import itertools
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from bnlib.engine import passes, passes_c

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler here")

KINDS = {  # what values are rounded to, what convolutions compute in, and how large a difference one rounding makes
    "bf16": (torch.bfloat16, torch.bfloat16, 2**-8),
    "fp32": (torch.float32, torch.float32, 1e-5),
    "rounded": (torch.bfloat16, torch.float32, 2**-8),
}
# As in the networks; wider ones; rows that fill no vector; fewer values than one vector has; one image, more threads than images.
SHAPES = [
    *((5, 16, 32, 32), (5, 32, 16, 16), (6, 64, 8, 8), (3, 128, 4, 4), (2, 48, 8, 8), (2, 96, 4, 8), (3, 24, 8, 8)),
    *((2, 100, 6, 6), (3, 17, 7, 5), (2, 33, 3, 3), (1, 3, 5, 5), (7, 1, 1, 3), (1, 513, 3, 1), (2, 16, 14, 14)),
    *((3, 1, 32, 32), (3, 2, 16, 16), (3, 4, 8, 8), (2, 3, 8, 8)),  # of narrow networks
]


@pytest.fixture
def threads():
    """Whatever number of threads a test sets, as before behind it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def tensors(shape, dtype, compute):
    """A convolution's output, what is added, two gradients (all as convolutions leave them), and a BatchNorm."""
    random = torch.Generator().manual_seed(sum(shape))
    draw = lambda *size: torch.randn(*size, generator=random)  # noqa: E731
    some = [draw(*shape).to(dtype).to(compute).to(memory_format=torch.channels_last) for _ in range(4)]
    some[0] = (some[0] * 2 + 1).to(dtype).to(compute)
    bn = SimpleNamespace(weight=draw(shape[1]), bias=draw(shape[1]), eps=1e-5)
    return some, bn


def run(made, x, bn, added, relu, grads):
    """Forward and backward: all that comes out."""
    y, found, kept = made.forward(x.clone(), bn, added, relu)
    grad, of_norm, around = made.backward(kept, found, [g.clone() for g in grads], bn)
    return [y, *found, grad, *of_norm, *([] if around is None else [around])]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["nothing", "relu", "relu, two gradients", "sum", "sum, one gradient"])
def test_each_pass_is_that_of_float64(form, kind, shape):
    dtype, compute, one_rounding = KINDS[kind]
    (x, added, *grads), bn = tensors(shape, dtype, compute)
    added = added if form.startswith("sum") else None
    grads = grads[: 2 if form in ("relu, two gradients", "sum") else 1]
    double = SimpleNamespace(weight=bn.weight.double(), bias=bn.bias.double(), eps=bn.eps)
    wide = [None if t is None else t.double() for t in (x, added)]
    exact = run(
        passes.InTorch(torch.float64, torch.float64), wide[0], double, wide[1], form != "nothing", [g.double() for g in grads]
    )
    mine = run(passes_c.InC(dtype, compute), x, bn, added, form != "nothing", grads)
    names = ["y", "mean", "variance", "scale", "offset", "of x", "of γ", "of β", "of the sum"]
    for name, a, b in itertools.zip_longest(names[: len(exact)], exact, mine):
        size = a.abs().max().clamp_min(1)
        assert (a - b.double()).abs().max() < 4 * one_rounding * size, name
        assert b.dtype == (torch.float32 if b.dim() == 1 else compute), name
        if kind == "rounded" and b.dim() == 4:
            assert torch.equal(b, b.bfloat16().float()), f"{name} is not rounded"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 16, 32, 32), (3, 17, 7, 5), (1, 64, 8, 8)], ids=str)
def test_the_number_of_threads_changes_no_bit(kind, shape, threads, monkeypatch):
    dtype, compute, _ = KINDS[kind]
    (x, added, *grads), bn = tensors(shape, dtype, compute)
    outcomes = []
    for count in (1, 2, 2, 5):
        torch.set_num_threads(count)
        outcomes.append(run(passes_c.InC(dtype, compute), x, bn, added, True, grads))
    for other in outcomes[1:]:
        assert all(torch.equal(a, b) for a, b in zip(outcomes[0], other, strict=True))


def test_more_threads_are_at_work_where_pytorch_has_them(threads):
    """The names under which they are found exist only by agreement."""
    if not sys.platform.startswith("linux"):
        pytest.skip("known of Linux only")
    assert all(passes_c._threads())


def test_what_is_not_a_number_stays_so():
    """A training that diverges is known by its loss; ReLUs must not hide it."""
    for value in (float("nan"), float("inf")):
        for kind, (dtype, compute, _) in KINDS.items():
            (x, added, *grads), bn = tensors((2, 16, 8, 8), dtype, compute)
            x[0, 3, 1, 1] = value
            y, found, _ = passes_c.InC(dtype, compute).forward(x, bn, added, True)
            assert not y[:, 3].isfinite().any() and y[:, :3].isfinite().all() and not found[0, 3].isfinite(), kind


def test_ties_are_rounded_to_even_as_pytorch_does():
    made = passes_c.InC(torch.bfloat16, torch.float32)
    bits = (torch.arange(2**14, dtype=torch.int32) << 14) + 2**29  # every third is half way between two bf16 numbers
    x = torch.cat([bits, bits + 1, bits - 1]).view(torch.float32).reshape(-1, 1, 1, 8).contiguous(memory_format=torch.channels_last)
    bn = SimpleNamespace(weight=torch.ones(1), bias=torch.zeros(1), eps=1e-5)
    for image in x.split(1):
        assert made.forward(image, bn, None, False)[1][0] == image.bfloat16().double().mean().float()


def test_a_network_of_another_dtype_is_refused():
    with pytest.raises(KeyError):
        passes_c.InC(torch.float64, torch.float64)
    (x, *_), bn = tensors((2, 16, 8, 8), torch.float32, torch.float32)
    with pytest.raises(TypeError, match="activations of torch.float64"):
        passes_c.InC(torch.float32, torch.float32).forward(x.double(), bn, None, True)


def test_the_default_dtype_is_of_no_account():
    (x, added, *grads), bn = tensors((2, 16, 8, 8), torch.float32, torch.float32)
    before = run(passes_c.InC(torch.float32, torch.float32), x, bn, added, True, grads)
    torch.set_default_dtype(torch.float64)
    try:
        after = run(passes_c.InC(torch.float32, torch.float32), x, bn, added, True, grads)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Nothing compiled yet, and a compiler whose script the test writes; gives the function that writes it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    passes_c.library.cache_clear()

    def compiler(script: str):
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))

    yield compiler
    passes_c.library.cache_clear()


REAL = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def test_it_is_compiled_once_and_kept(fresh, tmp_path):
    fresh(f'echo called >> {tmp_path}/calls; exec {REAL} "$@"')
    _, name = passes_c.library()
    assert "-march=native" in name or "-O3" in name
    assert [p.suffix for p in (tmp_path / "cache" / "bnlib").iterdir()] == [".so"]
    calls = (tmp_path / "calls").read_text().count("called")
    passes_c.library.cache_clear()
    passes_c.library()
    assert (tmp_path / "calls").read_text().count("called") == calls + 1  # asked for its version only


def test_what_is_kept_and_damaged_is_made_anew(fresh, tmp_path):
    once = f'if [ ! -e {tmp_path}/once ] && [ $# -gt 1 ]; then touch {tmp_path}/once; echo damaged > "$5"; exit 0; fi'
    fresh(f'{once}; exec {REAL} "$@"')
    with pytest.raises(OSError):
        passes_c._library([str(tmp_path / "compiler")], ["-O3"])
    assert (tmp_path / "once").exists()
    library, name = passes_c._library([str(tmp_path / "compiler")], ["-O3"])
    assert library.signs_size(64, 64) > 0 and name.endswith("-O3")


def test_a_compiler_that_lacks_an_option_is_asked_without_it(fresh):
    fresh(f'case "$*" in *-march=native*) echo "unknown option" >&2; exit 1;; esac; exec {REAL} "$@"')
    assert "-march" not in passes_c.library()[1]


def test_a_compiler_that_fails_says_why(fresh):
    fresh('echo "cc: no room left" >&2; exit 1')
    with pytest.raises(passes_c.NoCompiler, match="no room left"):
        passes_c.library()
    fresh("exit 1")
    with pytest.raises(passes_c.NoCompiler, match="exit status 1"):
        passes_c.library()


def test_without_openmp_there_is_one_thread_and_the_same_result(fresh, threads, monkeypatch):
    torch.set_num_threads(3)
    (x, added, *grads), bn = tensors((5, 16, 8, 8), torch.float32, torch.float32)
    passes_c.library.cache_clear()
    with_threads = run(passes_c.InC(torch.float32, torch.float32), x, bn, added, True, grads)
    passes_c.library.cache_clear()
    monkeypatch.setattr(passes_c, "_threads", lambda: [None] * 3)
    alone = run(passes_c.InC(torch.float32, torch.float32), x, bn, added, True, grads)
    assert all(torch.equal(a, b) for a, b in zip(with_threads, alone, strict=True))


@pytest.mark.parametrize("processor", ["x86-64", "haswell", "skylake-avx512"])
def test_it_compiles_for_other_processors_without_a_warning(processor, tmp_path):
    if "x86" not in (machine := subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout):
        pytest.skip(f"this is {machine.strip()}")
    words = [REAL, "-O1", f"-march={processor}", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*words, "-o", tmp_path / "passes.so", passes_c.SOURCE, "-lm"], check=True)
