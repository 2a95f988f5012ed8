"""Networks narrower than the paper's: their names, their numbers, the fused step on few channels, where they are shown."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from test_engine import apart, both, gradient, needs_cc

from bnlib import RunSpec, build, count, experiments, models, run, store
from bnlib.engine import convolution, passes, passes_c
from bnlib.spec import architecture
from bnlib.spec.architecture import NARROW
from bnlib.store import verification

NAMES = [f"wrn14-{width}" for width in NARROW]


@pytest.mark.parametrize(
    ("given", "name", "title"),
    [
        ("wrn14-0.5", "wrn14-0.5", "WRN-14-0.5"),
        ("WRN14-0.50", "wrn14-0.5", "WRN-14-0.5"),
        ("wrn14-.5", "wrn14-0.5", "WRN-14-0.5"),
        ("wrn014-00.0625", "wrn14-0.0625", "WRN-14-0.0625"),
        ("wrn32-0.25", "wrn32-0.25", "WRN-32-0.25"),
        ("wrn14-1.0", "resnet14", "ResNet-14"),
        ("wrn14-2.", "wrn14-2", "WRN-14-2"),
    ],
)
def test_a_network_has_one_spelling(given, name, title):
    arch = architecture(given)
    assert (arch.name, arch.title) == (name, title)
    assert RunSpec(given) == RunSpec(name) and RunSpec(given).id.startswith(f"{name}_bn_")
    assert arch == architecture(arch.name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("wrn14-0.3", "wrn14-0.3125"),
        ("wrn14-0.51", "wrn14-0.5"),
        ("wrn14-0", "wrn14-0.0625"),
        ("wrn14-0.0", "wrn14-0.0625"),
        ("wrn14-0.99", "resnet14"),
        ("wrn14-1.5", "resnet14"),
        ("wrn32-2.9", "wrn32-3"),
        ("wrn14-0.500000000000000000001", "wrn14-0.5"),
        ("wrn14-0." + "9" * 5000, "resnet14"),
    ],
)
def test_another_fraction_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(ValueError, match="must be whole and at least 1, or a multiple of 1/16 below 1") as said:
        architecture(name)
    assert str(said.value).endswith(f"; nearest: {nearest}") and "\n" not in str(said.value)
    assert architecture(nearest).name == nearest


@pytest.mark.parametrize("name", ["wrn14-0.5.5", "wrn14-.", "wrn14-0,5", "wrn14--0.5", "wrn14-1/2", "wrn14-5e-1", "resnet14.0"])
def test_what_is_no_number_is_no_name(name):
    with pytest.raises(ValueError, match="unknown model"):
        architecture(name)


def test_a_fraction_of_a_network_that_is_too_large_is_refused_as_that():
    with pytest.raises(ValueError, match="at most 1000000000 weights; nearest: wrn14-76"):
        architecture("wrn14-900.5")


def test_old_names_are_the_same_networks():
    assert RunSpec("resnet14", recipe="paper").id == "resnet14_bn_paper_seed0-3c3e6a91"
    assert RunSpec("wrn14-2").model == "wrn14-2" and type(architecture("wrn14-2").width) is int
    assert models.checksum(build("wrn14-1")) == models.checksum(build("resnet14"))


def test_the_numbers_of_a_network_by_hand():
    # 8, 16 and 32 features: the stem; blocks of two 3×3 each, of which the first of a segment begins with half as many; shortcuts.
    features = 27 * 8 + 9 * (4 * 8 * 8 + 8 * 16 + 3 * 16 * 16 + 16 * 32 + 3 * 32 * 32)
    shortcut, norm, output = 8 * 16 + 16 * 32, 5 * 8 + 5 * 16 + 5 * 32, 32 * 10 + 10
    found = count(build("wrn14-0.5"))
    assert (found["features"], found["shortcut"], found["bn"], found["output"]) == (features, shortcut, 2 * norm, output)
    assert found["total"] == features + shortcut + 2 * norm + output == 44_370
    one = count(build("wrn14-0.0625"))
    assert one["bn"] == 2 * 5 * (1 + 2 + 4) and one["output"] == 4 * 10 + 10 and one["shortcut"] == 1 * 2 + 2 * 4


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_weights_and_the_work_that_its_name_says(name):
    network = models.skeleton(name)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert (
        convolutions[0].out_channels == 16 * architecture(name).width
        and network.output.in_features == 64 * architecture(name).width
    )
    assert architecture(name).weights == sum(conv.weight.numel() for conv in convolutions)
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10) and models.work(name, 2)[0] > 0


FEW = [f"wrn8-{width}" for width in (0.0625, 0.125, 0.1875, 0.25, 0.5)]


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("trainable", ["bn", "all"])
def test_on_few_channels_the_fused_step_is_the_plain_one(name, trainable):
    plain, fused, (a, b) = both(trainable, "fp64", model=name)
    assert apart(a, b) < 1e-10 and apart(gradient(plain), gradient(fused)) < 1e-10
    for (buffer, p), q in zip(plain.named_buffers(), fused.buffers(), strict=True):
        assert apart(p.double(), q.double()) < 1e-10, buffer


@needs_cc
@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("trainable", ["bn", "all"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_few_channels_the_passes_in_c_are_right(name, trainable, precision):
    """Held to fp64: they are no further from it than the plain step, give or take a ReLU that falls on the other side."""
    truth = gradient(both(trainable, "fp64", model=name, images=64)[0])
    plain, fused, losses = both(trainable, precision, model=name, images=64, make_passes=passes_c.InC)
    far, further = (((gradient(m) - truth).norm() / truth.norm()).item() for m in (plain, fused))
    assert further < max(2 * far, {"fp32": 1e-3, "bf16": 0.1}[precision])
    assert apart(*losses) < {"fp32": 1e-5, "bf16": 2e-2}[precision]


def test_no_step_on_few_channels_writes_where_it_may_not():
    """In a process that checks its memory: oneDNN wrote past it for the gradient of a shortcut's strided convolution."""
    code = f"""
        import itertools, torch, bnlib
        from bnlib.engine import step
        for name, make in itertools.product({FEW}, (step.Plain, step.Fused)):
            model = bnlib.freeze(bnlib.build(name), "all").to(memory_format=torch.channels_last).train()
            train = make(model, "fp32")
            x, labels = torch.randn(64, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.arange(64) % 10
            for _ in range(3):
                others = [torch.empty(17 + i) for i in range(200)]
                train.gradients(x, labels)
                del others
    """
    strict = {**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=strict, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


FEATURES = [1, 2, 3, 5, 7, 8, 12, 15, 16]


@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("features", FEATURES)
def test_a_convolutions_gradients_are_autograds_of_fp64(features, stride):
    conv = torch.nn.Conv2d(features, 2 * features, 1, stride, bias=False).double()
    x = torch.randn(6, features, 8, 8, dtype=torch.double, requires_grad=True)
    out = conv(x)
    grad = torch.randn_like(out)
    out.backward(grad)
    narrow = [t.detach().float().contiguous(memory_format=torch.channels_last) for t in (grad, x, conv.weight)]
    below, of_weight = convolution.backward(*narrow, conv, (True, True))
    assert torch.allclose(below, x.grad.float(), atol=1e-4) and torch.allclose(of_weight, conv.weight.grad.float(), atol=1e-4)
    assert convolution.backward(*narrow, conv, (False, False)) == (None, None)
    again, weight = narrow[1].clone().requires_grad_(), narrow[2].clone().requires_grad_()
    with convolution.Convolutions(rounded=False):
        once = torch.nn.functional.conv2d(again, weight, stride=stride)
    once.backward(narrow[0])
    assert torch.allclose(once, out.float(), atol=1e-4) and once.shape == out.shape
    assert torch.allclose(again.grad, below, atol=1e-4) and torch.allclose(weight.grad, of_weight, atol=1e-4)


@pytest.mark.parametrize("made", [passes.InTorch, pytest.param(passes_c.InC, marks=needs_cc)])
def test_one_channel_is_normalised_as_pytorch_does(made):
    bn = torch.nn.BatchNorm2d(1)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    y, *_ = made(torch.float32, torch.float32).forward(x.clone(), bn, None, True)
    assert torch.allclose(y, torch.relu(bn(x)), atol=1e-5)


def test_figures_of_the_papers_networks_have_no_place_for_them_and_theirs_has():
    for name in ("fig2_depth", "fig2_width", "fig3_depth_or_width", "ablation_recipe"):
        assert not experiments.EXPERIMENTS[name].takes("wrn14-0.5") and not experiments.EXPERIMENTS[name].takes("wrn32-0.5"), name
    own = experiments.EXPERIMENTS["beyond_bytes"]
    assert own.takes("wrn14-0.5") and own.takes("wrn32-0.25") and own.takes("resnet110")
    assert not own.takes("wrn14-2") and not own.takes("vgg11")
    with pytest.raises(ValueError, match="beyond_bytes has no place for wrn14-2"):
        experiments.points("beyond_bytes", "wrn14-2")


def test_a_sweep_trains_seeds_on_deep_networks_and_everything_on_narrow_ones():
    pairs = [(spec.model, spec.trainable) for spec in experiments.wanted("beyond_bytes", "short")]
    assert {model for model, trainable in pairs if trainable == "bn"} == set(experiments.DEEP)
    assert {model for model, trainable in pairs if trainable == "all"} == {"resnet14", *experiments.NARROW}
    assert len(pairs) == len(set(pairs)) == 14
    both_ways = experiments.EXPERIMENTS["beyond_bytes"].specs("short", 0, ("wrn14-0.75",))
    assert [spec.trainable for spec in both_ways] == ["bn", "all"]


def test_one_is_trained_stored_and_drawn_again(tiny):
    made = run(tiny(model="wrn8-0.125", trainable="bn+output"))
    assert made.id.startswith("digits_wrn8-0.125_bn+output_smoke_seed0-") and verification.verify(made) == []
    assert store.find(made.spec).model().output.in_features == 8
    row = store.results().set_index("id").loc[made.id]
    assert row.width == 0.125 and row.network == "WRN-8-0.125"


def test_widths_are_whole_numbers_in_figures_of_the_papers_networks(tiny):
    run(tiny(model="wrn8-0.25"))
    assert store.results().width.dtype == float
    frame = experiments.runs("fig2_depth")
    assert len(frame) and frame.width.dtype == int and set(frame.width) == {1}
