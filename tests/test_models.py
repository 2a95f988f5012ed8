"""Networks: the paper's counts, and the same bits from a seed on every machine."""

import time

import numpy as np
import pytest
import torch

from bnlib import RunSpec, build, models
from bnlib.report import analysis, paper
from bnlib.spec import architecture
from bnlib.spec.choices import WEIGHT_INITS
from bnlib.training import costs

# SHA-256 over all parameters, first 16 digits: a stored run's seed must draw these bits wherever it is opened.
DRAWN = {
    ("resnet14", 0, "kaiming_normal", "uniform"): "ebed54d4bb773ea1",
    ("wrn14-2", 7, "kaiming_normal", "signed_uniform"): "390f4b74987dbd59",
    ("resnet8", 0, "kaiming_uniform", "ones"): "bb422df7fec2060b",
    ("resnet8", 0, "orthogonal", "oneone"): "74450f0436f858ce",
    ("resnet8", 0, "binary", "uniform"): "5ae59c31a506639e",
    ("vgg11", 0, "kaiming_normal", "uniform"): "3a0b9d168fb169b3",
    ("imagenet-resnet18", 0, "kaiming_normal", "uniform"): "6a230bec25e669b1",
    ("resnet8", 0, "glorot_uniform", "he_normal"): "928250d90f4ec2ba",
}


def test_every_count_of_table_1_is_exact():
    counts = analysis.judge_counts(analysis.table1(), paper.values("table1"))
    assert len(counts) == 17 and (counts.equal == 4).all()


@pytest.mark.parametrize("key", DRAWN)
def test_drawn_weights_are_pinned(key):
    name, seed, weight_init, bn_init = key
    assert models.checksum(build(name, seed, weight_init=weight_init, bn_init=bn_init))[:16] == DRAWN[key]


def test_another_seed_draws_another_network_and_the_same_seed_the_same():
    one, again, other = (models.checksum(build("resnet8", seed)) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("weight_init", WEIGHT_INITS)
def test_weights_have_the_scale_they_should(weight_init):
    weight = build("resnet14", weight_init=weight_init).segments[2][1].conv1.weight.detach()
    fan_in = weight[0].numel()
    if weight_init == "orthogonal":
        rows = weight.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
        return
    fan = fan_in if weight_init != "glorot_uniform" else (fan_in + weight[:, 0].numel())  # of variance 2 / (fan-in + fan-out)
    assert weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.02)
    if weight_init == "binary":
        assert len(weight.abs().unique()) == 1
    if weight_init == "kaiming_uniform":
        assert weight.abs().max().item() <= (6 / fan_in) ** 0.5


@pytest.mark.parametrize(
    "bn_init, low, high, beta", [("uniform", 0, 1, 0), ("ones", 1, 1, 0), ("oneone", 1, 1, 1), ("signed_uniform", -1, 1, 0)]
)
def test_batchnorm_starts_as_asked(bn_init, low, high, beta):
    model = build("resnet14", bn_init=bn_init)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    gamma = torch.cat([bn.weight.detach() for bn in norms])
    assert low <= gamma.min() and gamma.max() <= high and all((bn.bias == beta).all() for bn in norms)
    assert gamma.mean().item() == pytest.approx((low + high) / 2, abs=0.06)


def test_logits_have_the_shape_of_the_classes_and_segments_halve_the_resolution():
    model = build("wrn14-2", classes=7)
    x = torch.zeros(2, 3, 32, 32)
    assert model(x).shape == (2, 7)
    assert model.segments(torch.relu(model.bn(model.conv(x)))).shape == (2, 128, 8, 8)


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_a_vgg_has_as_many_layers_as_its_name_says(depth, convolutions):
    model = models.skeleton(f"vgg{depth}")
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(layers) == convolutions == depth - 3 and all(conv.bias is not None for conv in layers)
    assert architecture(f"vgg{depth}").title == f"VGG-{depth}" and build("vgg11")(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet8", "resnet14", "wrn20-3", "vgg11", "vgg19"])
def test_the_work_reckoned_from_a_name_is_that_of_its_network(name):
    layers, network = [], models.skeleton(name)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    for module in convolutions:
        module.register_forward_hook(lambda conv, _, out: layers.append((out.numel(), conv.weight[0].numel())))
    network(torch.empty(4, 3, 32, 32, device="meta"))
    first = layers[0][0] * layers[0][1]
    expected = 2 * sum(values * inputs for values, inputs in layers) - first, sum(values for values, _ in layers)
    assert models.work(name, 4) == expected
    assert architecture(name).weights == sum(conv.weight.numel() for conv in convolutions)


def test_the_work_of_every_network_that_is_allowed_is_told_at_once():
    start = time.process_time()
    large, deep = RunSpec("wrn14-76", "all"), RunSpec("resnet9998", "none", epochs=100_000)
    small, *rest = (spec.settings.epochs * costs.epoch_work(spec) for spec in (RunSpec("wrn14-76"), large, deep))
    assert 0 < small < rest[0] < rest[1]
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(seed=-1), "seed -1: .* nearest: 0"),
        (dict(seed="0"), "seed '0': a whole number"),
        (dict(seed=3.0), "seed 3.0: .* nearest: 3"),
        (dict(seed=True), "seed True"),
        (dict(seed=10**300), "seed 1000.*…: a whole number from 0 to 9223372036854775807"),
        (dict(classes=0), "classes 0: .* nearest: 1"),
        (dict(classes=2.5), "classes 2.5: .* nearest: 2"),
        (dict(classes=10**24), "nearest: 100000"),
        (dict(name="imagenet-resnet50", classes=-3), "classes -3"),
        (dict(name="imagenet-resnet" + "9" * 5000), "imagenet-resnetN with N one of 18, 34"),
        (dict(name="resnet999998"), "nearest: 9998"),
    ],
)
def test_build_refuses_what_it_cannot_build_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        build(**{"name": "resnet8", **arguments})
    assert "\n" not in str(error.value)


def test_a_seed_of_numpys_draws_what_pythons_does():
    assert models.checksum(build("resnet8", np.int64(3), classes=np.int32(7))) == models.checksum(build("resnet8", 3, classes=7))


def test_a_vgg_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="11, 13, 16 or 19 layers; nearest: vgg13"):
        architecture("vgg14")


def test_imagenet_networks_come_in_torchvisions_layout():
    assert build("imagenet-resnet18", classes=5)(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    with pytest.raises(ValueError, match="imagenet-resnetN with N one of 18, 34"):
        models.skeleton("imagenet-resnet20")
