"""`freeze`, `count`, `merge`, `save_trained` and `load_trained` on networks that nobody here wrote."""

import copy
import hashlib
import json
import logging
import math
import struct

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load, save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torchvision.models import get_model

import bnlib
from bnlib import RunSpec, build, count, freeze, load_trained, merge, save_trained
from bnlib.engine.optimiser import flatten
from bnlib.freezing import RandomSubset, groups
from bnlib.spec import canonical, parse
from bnlib.store import StoreError
from bnlib.store import trained as trained_file


def small(*layers, classes=5):
    """A convolution, BatchNorm and an output layer, with other layers in between."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *layers, nn.Flatten(), nn.Linear(4 * 36, classes))


def step(model, optimiser, images=None):
    """One step of training on images of 8×8 pixels, by a user who keeps the gradients' memory."""
    optimiser.zero_grad(set_to_none=False)
    model(torch.randn(6, 3, 8, 8) if images is None else images).square().sum().backward()
    optimiser.step()


def moved(before: dict, model) -> set[str]:
    """The names of the parameters that are not as before."""
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def parameters(model) -> dict:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def numbers(model) -> int:
    return sum(p.numel() for p in model.parameters())


def drawn(model) -> str:
    """A digest of the places of random weights, each channel's own, in all of a network's convolutions."""
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        if isinstance(module, RandomSubset):
            own = module.index - torch.arange(len(module.index))[:, None] * module.frozen[0].numel()
            digest.update(name.encode() + own.numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


# --- Frozen is frozen, whatever came before.


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, foreach=True),
    ],
)
@pytest.mark.parametrize("wrap", [lambda conv: conv, parametrizations.weight_norm, parametrizations.spectral_norm])
def test_an_optimiser_made_before_moves_nothing_that_is_frozen(make, wrap):
    model = small()
    wrap(model[0])
    optimiser = make(model.parameters())
    step(model, optimiser)
    model(torch.randn(6, 3, 8, 8)).sum().backward()  # a gradient that is left over
    freeze(model, "bn")
    before = parameters(model)
    for _ in range(3):
        step(model, optimiser)
    assert moved(before, model) == {"1.weight", "1.bias"}


def test_gradients_of_what_learns_are_left():
    model = small()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    grad = model[1].weight.grad.clone()
    freeze(model, "bn")
    assert torch.equal(model[1].weight.grad, grad) and model[0].weight.grad is None


def test_parameters_that_cannot_learn_are_left_alone():
    model = small()
    model.register_parameter("whole", nn.Parameter(torch.tensor([1, 2]), requires_grad=False))
    assert not freeze(model, "all").whole.requires_grad and count(model)["trainable"] == count(model)["total"] - 2


# --- Tied and re-parametrised tensors.


def test_a_tied_tensor_counts_once_and_stays_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.norm, self.head = nn.Embedding(9, 16), nn.LayerNorm(16), nn.Linear(16, 9)
            self.head.weight = self.embedding.weight

    model = Tied()
    numbers_ = count(model)
    assert numbers_["total"] == numbers(model) == 9 * 16 + 32 + 9
    assert (numbers_["features"], numbers_["ln"], numbers_["output"]) == (144, 32, 9)
    for trainable, learns in (("features", True), ("output", False), ("ln", False), ("all", True)):
        freeze(model, trainable)
        assert model.head.weight is model.embedding.weight and model.head.weight.requires_grad is learns
    assert count(freeze(model, "output"))["trainable"] == 9


def test_of_a_tied_output_layer_the_log_says_what_learns(caplog):
    model = nn.Sequential(nn.Linear(8, 8, bias=True), nn.LayerNorm(8), nn.Linear(8, 8))
    model[2].weight = model[0].weight
    freeze(model, "output", output="2")
    assert "the output layer 2 shares parameters with layers before it" in caplog.text
    assert not model[0].weight.requires_grad and model[2].bias.requires_grad
    model[2].bias = model[0].bias
    with pytest.raises(ValueError, match="all parameters of '2' are in other groups"):
        freeze(model, "output", output="2")


def test_a_layer_that_is_used_twice_counts_once():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    model = small(conv, conv)
    assert count(model)["total"] == numbers(model)
    assert count(freeze(model, "random:2"))["trainable"] == 2 * 8  # one layer, not a shared weight


def test_random_weights_of_a_tied_convolution_are_refused_by_name():
    model = small(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    model[4].weight = model[3].weight
    before = [p.requires_grad for p in freeze(model, "bn").parameters()]
    with pytest.raises(ValueError, match=r"of the layer '3' \(Conv2d\) no weights can be taken: it shares its weight with '4'"):
        freeze(model, "random:2")
    assert [p.requires_grad for p in model.parameters()] == before and model[4].weight is model[3].weight


def old(name):
    """A function of torch.nn.utils that it calls deprecated."""

    def made(conv):
        with pytest.warns(FutureWarning) if name == "weight_norm" else pytest.MonkeyPatch.context():
            return getattr(nn.utils, name)(conv)

    return made


MADE = {
    "weight_norm": (parametrizations.weight_norm, "WeightNorm", 4),
    "spectral_norm": (parametrizations.spectral_norm, "SpectralNorm", 0),
    "old weight_norm": (old("weight_norm"), "weight_g, weight_v by WeightNorm", 4),
    "old spectral_norm": (old("spectral_norm"), "weight_orig by SpectralNorm", 0),
    "pruned": (lambda conv: prune.l1_unstructured(conv, "weight", amount=0.5), "weight_orig by L1Unstructured", 0),
}


@pytest.mark.parametrize("name", MADE)
def test_what_makes_a_weight_is_counted_and_refuses_random_weights_by_name(name):
    make, said, more = MADE[name]
    model = small()
    make(model[0])
    for trainable in ("all", "features", "bn", "none"):
        found = count(freeze(model, trainable))
        assert found["total"] == numbers(model) == numbers(small()) + more
        assert found["trainable"] == sum(p.numel() for p in model.parameters() if p.requires_grad) <= found["total"]
        assert found["features"] == 4 * 27 + 4 + more
    before = parameters(model)
    with pytest.raises(ValueError, match=rf"of the layer '0' \(\w*Conv2d\) no weights can be taken: its weight is made of {said};"):
        freeze(model, "random:2")
    assert not moved(before, model)
    freeze(model, "random:2+features")  # learns whole, so that nothing is to be drawn
    assert all(p.requires_grad for p in model[0].parameters())


def test_pruned_batchnorm_is_still_gamma():
    model = small()
    prune.l1_unstructured(model[1], "weight", amount=0.5)
    assert count(model)["gamma"] == count(model)["beta"] == 4


def test_parameters_of_a_parametrization_are_in_its_layers_group():
    class LowRank(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(5, 2)), nn.Parameter(torch.zeros(2, 144))

        def forward(self, weight):
            return weight + self.a @ self.b

    model = small()
    parametrize.register_parametrization(model[-1], "weight", LowRank())
    found = count(freeze(model, "output"))
    assert found["output"] == found["trainable"] == 5 * 144 + 5 + 2 * (5 + 144) and found["total"] == numbers(model)


@pytest.mark.parametrize("call", [freeze, count, groups, lambda model: save_trained(model, "never.st")])
def test_a_layer_without_a_shape_is_said_in_one_line(call):
    with pytest.raises(ValueError, match=r"^the layer '1' \(LazyConv2d\) has no shape yet; put a batch through the network first$"):
        call(nn.Sequential(nn.ReLU(), nn.LazyConv2d(4, 3), nn.BatchNorm2d(4)))


CONVOLUTIONS = {
    "1d": (nn.Conv1d(4, 6, 3), (2, 4, 9)),
    "2d in groups": (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 9, 9)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4), (2, 4, 9, 9)),
    "3d": (nn.Conv3d(4, 6, 3), (2, 4, 5, 5, 5)),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 3), (2, 4, 9)),
    "transposed 2d": (nn.ConvTranspose2d(4, 6, (3, 2), stride=2), (2, 4, 9, 9)),
    "transposed 2d in groups": (nn.ConvTranspose2d(4, 6, 3, groups=2), (2, 4, 9, 9)),
    "transposed 3d in groups": (nn.ConvTranspose3d(4, 8, (1, 2, 3), groups=4), (2, 4, 5, 5, 5)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_random_weights_are_k_of_each_output_channel_of_any_convolution(name):
    conv, shape = CONVOLUTIONS[name]
    conv, images = copy.deepcopy(conv), torch.randn(shape)
    # Which weights an output channel hangs on, asked of autograd and not of a formula.
    reached = []
    for channel in range(conv.out_channels):
        (grad,) = torch.autograd.grad(conv(images)[:, channel].square().sum(), conv.weight)
        reached.append(grad != 0)
    assert sum(one.sum() for one in reached) == conv.weight.numel()
    model = nn.Sequential(conv)
    before, out = conv.weight.detach().clone(), conv(images)
    assert count(freeze(model, "random:3", seed=7)) == {
        **count(model),
        "total": numbers(nn.Sequential(CONVOLUTIONS[name][0])),
        "trainable": 3 * conv.out_channels,
    }
    assert torch.equal(model(images), out)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(images).square().mean().backward()
        optimiser.step()
    changed = merge(model)[0].weight != before
    assert [int((changed & one).sum()) for one in reached] == [3] * conv.out_channels
    assert changed.sum() == 3 * conv.out_channels
    with pytest.raises(ValueError, match="K is larger than the smallest filter of Sequential"):
        freeze(model, "random:1000")


def test_a_shortcut_may_be_any_convolution():
    model = torchvision.models.video.r3d_18(weights=None)
    assert count(freeze(model, "shortcut"))["trainable"] == 64 * 128 + 128 * 256 + 256 * 512


def test_freezing_a_copy_leaves_the_original_as_it_was():
    images = torch.randn(2, 3, 16, 16)
    model = freeze(build("resnet8").eval(), "random:2")
    out, learns = model(images), count(model)["trainable"]
    for trainable in ("bn", "random:3", "all"):
        twin = freeze(copy.deepcopy(model), trainable)
        assert torch.equal(model(images), out) and torch.equal(twin(images), out)
        assert count(model)["trainable"] == learns and isinstance(model.conv.parametrizations.weight[0], RandomSubset)
    merged = merge(copy.deepcopy(model))
    assert torch.equal(merged(images), out) and torch.equal(model(images), out)
    freeze(model, "bn")  # and the other way round
    assert torch.equal(twin(images), out)


def test_a_copy_of_a_layer_that_is_parametrized_elsewhere_keeps_its_weight():
    class Twice(nn.Module):
        def forward(self, bias):
            return 2 * bias

    model = small()
    parametrize.register_parametrization(model[0], "bias", Twice())
    twin, images = copy.deepcopy(model), torch.randn(2, 3, 8, 8)
    out = model(images)
    assert torch.equal(freeze(twin, "random:2")(images), out) and torch.equal(model(images), out)
    assert torch.equal(merge(twin)(images), out) and torch.equal(model(images), out)
    assert parametrize.is_parametrized(twin[0], "bias") and not parametrize.is_parametrized(twin[0], "weight")


class Distributed(nn.Module):
    """A wrapper as DistributedDataParallel is one, which needs no process group."""

    def __init__(self, module):
        super().__init__()
        self.module = module


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "like DistributedDataParallel": Distributed,
    "compiled": torch.compile,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "compiled, then DataParallel": lambda model: nn.DataParallel(torch.compile(model)),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_random_weights_are_in_the_same_places_within_wrappers(name):
    plain = freeze(build("resnet8"), "random:3", seed=5)
    wrapped = freeze(WRAPPERS[name](build("resnet8")), "random:3", seed=5)
    places = [[m.index for m in model.modules() if isinstance(m, RandomSubset)] for model in (plain, wrapped)]
    assert len(places[0]) == 9 and all(torch.equal(a, b) for a, b in zip(*places, strict=True))
    assert count(plain) == count(wrapped) and count(freeze(wrapped, "output", output="output"))["trainable"] == 650


def test_random_weights_are_in_the_same_places_where_a_part_is_compiled():
    plain, part = build("resnet8"), build("resnet8")
    part.segments[1] = torch.compile(part.segments[1])
    places = [[m.index for m in freeze(n, "random:3").modules() if isinstance(m, RandomSubset)] for n in (plain, part)]
    assert all(torch.equal(a, b) for a, b in zip(*places, strict=True))


@pytest.mark.parametrize(
    "name, k, seed, digest",
    [("resnet8", 2, 0, "8238d96e6f3b2f0e"), ("resnet14", 5, 3, "498adeeed19107e4"), ("vgg11", 2, 0, "fd720afa9018e64e")],
)
def test_the_drawn_places_never_change(name, k, seed, digest):
    assert drawn(freeze(build(name), f"random:{k}", seed)) == digest  # stored runs are made of them


# --- Say what was taken.


class Heads(nn.Module):
    """A body and several layers that could give the outputs, in the order in which they are given."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)


def learning(model) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_an_attentions_projection_is_never_the_output_layer(caplog):
    model = Heads(head=nn.Linear(8, 3), norm=nn.LayerNorm(8), attention=nn.MultiheadAttention(8, 2))
    assert learning(freeze(model, "output")) == {"head.weight", "head.bias"} and not caplog.text
    only = Heads(attention=nn.MultiheadAttention(8, 2))
    with pytest.raises(ValueError, match="this Heads has no linear layer that could be its output layer; name it, as in output="):
        freeze(only, "output")
    named = freeze(only, "output", output="attention.out_proj")
    assert learning(named) == {"attention.out_proj.weight", "attention.out_proj.bias"}


def test_the_output_layer_may_be_registered_before_the_rest(caplog):
    model = Heads(head=nn.Linear(8, 3), body=nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)))
    assert learning(freeze(model, "output")) == {"head.weight", "head.bias"}
    assert "head is taken, not body.2" in caplog.text  # the last one might be meant


def test_of_several_heads_the_log_says_once_which_was_taken_and_the_user_may_name_another(caplog):
    model = Heads(body=nn.Linear(4, 8), age=nn.Linear(8, 100), sex=nn.Linear(8, 2))
    with caplog.at_level(logging.WARNING, "bnlib.freezing"):
        freeze(model, "output")
        freeze(model, "output")
        assert count(model)["output"] == 18
    assert learning(model) == {"sex.weight", "sex.bias"}
    assert [record.getMessage() for record in caplog.records] == [
        "this Heads has more than one layer that could be its output layer: sex is taken, not age; output= names another"
    ]
    assert learning(freeze(model, "output", output="age")) == {"age.weight", "age.bias"}
    assert count(model, output="age")["output"] == 900 and len(groups(model, output="age")["output"]) == 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "name, others",
    [("inception_v3", "AuxLogits.fc"), ("googlenet", "aux1.fc2, aux2.fc2")],
)
def test_an_auxiliary_head_is_not_taken_and_said(name, others, caplog):
    with torch.device("meta"):
        model = freeze(get_model(name, weights=None, init_weights=False), "bn+output")
    assert {one for one in learning(model) if "bn" not in one} == {"fc.weight", "fc.bias"}
    assert f"fc is taken, not {others};" in caplog.text


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "vit_b_16", "swin_v2_t", "convnext_tiny", "efficientnet_b0", "maxvit_t"])
def test_where_there_is_one_output_layer_nothing_is_said(name, caplog):
    with torch.device("meta"):
        model = get_model(name, weights=None)
    assert count(freeze(model, "output"))["trainable"] in {k * 1000 + bias for k in (512, 768, 1280, 4096) for bias in (0, 1000)}
    assert not caplog.records


def test_a_network_that_names_its_classifier_is_believed(caplog):
    class Named(Heads):
        def get_classifier(self):
            return self.answer

    model = Named(head=nn.Conv2d(8, 3, 1), fc=nn.Linear(8, 8), other=nn.Linear(8, 2))
    for answer, due in (
        (model.head, {"head"}),
        ((model.fc, model.head), {"fc", "head"}),
        ("fc", {"other"}),
        (nn.Linear(1, 1), {"other"}),
    ):
        object.__setattr__(model, "answer", answer)
        assert {name.split(".")[0] for name in learning(freeze(nn.DataParallel(model), "output").module)} == due
    object.__setattr__(model, "answer", nn.Identity())
    model.add_module("none", model.answer)
    with pytest.raises(ValueError, match="no linear layer that could be its output layer; name it, as in output='other'"):
        freeze(model, "output")


@pytest.mark.parametrize(
    "output, why",
    [
        ("outptu", "output 'outptu': is no layer of this ResNet; give the path of one; did you mean 'output'?"),
        ("segments.0.0.shortcut", "output 'segments.0.0.shortcut': has no parameters of this ResNet; give the path"),
        ("", "output '': "),
        (3, "output 3: is no layer"),
    ],
)
@pytest.mark.parametrize("call", [lambda model, output: freeze(model, "bn", output=output), count, groups])
def test_a_wrong_output_is_one_line_with_the_nearest(call, output, why):
    with pytest.raises(ValueError) as error:
        call(build("resnet8"), output=output)
    assert str(error.value).startswith(why) and "\n" not in str(error.value)


def test_a_named_output_layer_may_hold_several_but_normalisation_stays_its_own():
    head = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model = Heads(body=nn.Linear(4, 8), head=head)
    found = count(freeze(model, "output", output="head"), output="head")
    assert (found["output"], found["bn"], found["trainable"]) == (72 + 27, 16, 72 + 27)


# --- What a network has instead.


@pytest.mark.parametrize(
    "make, trainable, said",
    [
        (
            lambda: get_model("swin_t", weights=None),
            "bn",
            "SwinTransformer has no BatchNorm, but 29 LayerNorm: use ln or norm",
        ),
        (
            lambda: get_model("resnet18", weights=None, norm_layer=torchvision.ops.FrozenBatchNorm2d),
            "bn+output",
            "this ResNet has no BatchNorm that could learn, but 20 FrozenBatchNorm2d whose γ and β are fixed",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)),
            "norm",
            "this Sequential has no normalisation that could learn, but 1 BatchNorm2d without γ and β (affine=False)",
        ),
        (lambda: get_model("alexnet", weights=None), "gamma", "this AlexNet has no BatchNorm, nor any other normalisation"),
        (lambda: get_model("alexnet", weights=None), "norm", "this AlexNet has no normalisation"),
        (lambda: bnlib.models.skeleton("resnet8"), "ln", "this ResNet has no LayerNorm, but 9 BatchNorm2d: use bn or norm"),
        (lambda: bnlib.models.skeleton("resnet8"), "output+rms", "this ResNet has no RMSNorm, but 9 BatchNorm2d: use bn or norm"),
        (lambda: get_model("vgg11_bn", weights=None), "shortcut", "this VGG has no parameters in the group 'shortcut'"),
        (
            lambda: get_model("squeezenet1_0", weights=None),
            "output",
            "no linear layer that could be its output layer; name it, as in",
        ),
    ],
)
def test_a_group_that_is_not_there_is_one_line_that_says_what_is(make, trainable, said):
    with torch.device("meta"):
        model = make()
    before = [p.requires_grad for p in model.parameters()]
    with pytest.raises(ValueError) as error:
        freeze(model, trainable)
    assert str(error.value).startswith(f"trainable {trainable!r}: ") and said in str(error.value) and "\n" not in str(error.value)
    assert [p.requires_grad for p in model.parameters()] == before


def test_batchnorm_without_a_shift_has_gamma_alone():
    model = small()
    model[1].bias = None
    assert count(freeze(model, "bn"))["trainable"] == count(freeze(model, "gamma"))["trainable"] == 4
    with pytest.raises(ValueError, match="the BatchNorm of this Sequential has no parameters in the group 'beta'"):
        freeze(model, "beta")


# --- Every normalisation.


class LlamaRMSNorm(nn.Module):
    """As others write it: nobody's subclass."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class OwnBatchNorm2d(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))


class ConvBatchNorm(nn.Sequential):
    """A container that is called after what it holds."""


class MatrixLayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 3))


NORMS = {
    "bn": [nn.BatchNorm1d(3), nn.BatchNorm3d(3), nn.SyncBatchNorm(3), OwnBatchNorm2d(3)],
    "ln": [nn.LayerNorm(3), nn.LayerNorm((3, 1, 1)), type("T5LayerNorm", (LlamaRMSNorm,), {})(3)],
    "gn": [nn.GroupNorm(1, 3), type("GroupNorm32", (nn.GroupNorm,), {})(1, 3)],
    "in": [nn.InstanceNorm2d(3, affine=True), nn.InstanceNorm1d(3)],
    "rms": [nn.RMSNorm(3), LlamaRMSNorm(3), type("RmsNorm", (LlamaRMSNorm,), {})(3)],
    "features": [MatrixLayerNorm(), nn.LocalResponseNorm(2), ConvBatchNorm(nn.Conv2d(3, 3, 1, bias=False)), nn.PReLU(3)],
}


def test_each_kind_of_normalisation_has_its_group_and_norm_has_all():
    model = nn.Sequential(*(layer for layers in NORMS.values() for layer in layers))
    found = count(freeze(model, "none"))
    sizes = {group: sum(map(numbers, layers)) for group, layers in NORMS.items()}
    assert sizes == {"bn": 24, "ln": 15, "gn": 12, "in": 6, "rms": 9, "features": 21}
    assert {group: found[group] for group in sizes} == sizes and (found["gamma"], found["beta"]) == (12, 12)
    assert found["norm"] == 24 + 15 + 12 + 6 + 9 and found["total"] == numbers(model)
    for trainable, groups_ in {**{group: [group] for group in sizes}, "norm": list(sizes)[:-1], "ln+gn": ["ln", "gn"]}.items():
        freeze(model, trainable)
        learns = {id(p) for p in model.parameters() if p.requires_grad}
        assert learns == {id(p) for group in groups_ for layer in NORMS[group] for p in layer.parameters()}
    assert count(freeze(model, "all"))["trainable"] == numbers(model)
    assert count(freeze(model, "all-bn"))["trainable"] == numbers(model) - 24


NETWORKS = {  # γ and β of all normalisation, by hand: twice the features of each layer
    "resnet18": 9_600,
    "vgg11_bn": 5_504,
    "mobilenet_v3_small": 12_112,
    "inception_v3": 36_224,
    "googlenet": 15_072,
    "efficientnet_b0": 42_016,
    "swin_t": 24_768,
    "vit_b_16": 25 * 2 * 768,
    "convnext_tiny": 16_320,
    "densenet121": 83_648,
    "maxvit_t": 70_144,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_public_networks(name):
    with torch.device("meta"):
        model = get_model(name, weights=None, **({"init_weights": False} if name in ("inception_v3", "googlenet") else {}))
    found = count(model)
    parts = [group for group in found if group not in ("total", "trainable", "bn", "norm")]
    assert found["total"] == found["trainable"] == numbers(model) == sum(found[group] for group in parts)
    layers = (nn.BatchNorm2d, nn.LayerNorm)
    assert NETWORKS[name] == sum(numbers(m) for m in model.modules() if isinstance(m, layers)) == found.get("norm", found["bn"])
    assert count(freeze(model, "norm"))["trainable"] == NETWORKS[name]
    assert count(freeze(model, "norm+output"))["trainable"] == NETWORKS[name] + found["output"]


@pytest.mark.parametrize(
    "name", ["convnext_atto", "resnet50_gn", "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "regnety_002"]
)
def test_networks_of_timm(name, caplog):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name)
    found, said = count(freeze(model, "norm+output")), model.get_classifier()
    heads = said if isinstance(said, tuple) else (said,)
    assert found["output"] == sum(map(numbers, heads)) and found["total"] == numbers(model)
    assert found["trainable"] == found["output"] + found.get("norm", found["bn"]) and not caplog.records


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_network_keeps_its_kinds():
    scripted = torch.jit.script(small().eval())
    assert count(freeze(scripted, "bn"))["trainable"] == 8 and learning(scripted) == {"1.weight", "1.bias"}


@pytest.mark.parametrize("name", ["resnet8", "wrn14-2", "vgg11", "imagenet-resnet18"])
def test_networks_with_batchnorm_alone_have_the_keys_of_stored_runs(name):
    found = count(bnlib.models.skeleton(name))
    assert set(found) == {"total", "trainable", "bn", "gamma", "beta", "features", "shortcut", "output"}


def test_names_of_normalisation():
    assert parse("norm") == (frozenset({"gamma", "beta", "ln", "gn", "in", "rms"}), 0)
    assert parse("ln+gn+output") == (frozenset({"ln", "gn", "output"}), 0)
    assert parse("all")[0] - parse("all-bn")[0] == {"gamma", "beta"} and parse("norm")[0] < parse("all")[0]
    with pytest.raises(ValueError, match="unknown group 'nrom'.*did you mean 'norm'"):
        parse("nrom")
    # Of runs, whose networks have BatchNorm alone.
    for ours, spelt in (("norm", "bn"), ("norm+output", "bn+output"), ("gamma+norm", "bn"), ("all", "all")):
        assert canonical(ours) == spelt and RunSpec("resnet14", ours).id == RunSpec("resnet14", spelt).id
    for strange in ("ln", "bn+gn", "norm+rms", "in"):
        with pytest.raises(ValueError, match="BatchNorm alone; nearest: bn"):
            RunSpec("resnet14", strange)


# --- Merged, saved and loaded.


def trained(trainable="bn+random:2+output", name="resnet8", steps=3, **more):
    """A network of which some learned, in training mode, and images to ask it."""
    torch.manual_seed(0)
    model = freeze(build(name), trainable, **more)
    learns = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(learns, lr=0.01) if learns else None
    for _ in range(steps):
        loss = model(torch.randn(4, 3, 16, 16)).square().mean()
        if learns:
            loss.backward()
            optimiser.step()
    return model, torch.randn(4, 3, 16, 16)


def test_merged_weights_fit_the_plain_network_bit_for_bit():
    model, images = trained()
    out = model.eval()(images)
    assert merge(model) is model and torch.equal(model(images), out)
    plain = build("resnet8", seed=1).eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain(images), out)
    learned = ("bn", "shortcut.1", "output")
    assert learning(model) == {name for name, _ in model.named_parameters() if any(part in name for part in learned)}
    assert type(model.conv) is nn.Conv2d and not model.conv.weight.requires_grad and merge(model) is model


def test_merging_refuses_what_came_on_top_and_changes_nothing():
    model, images = trained()
    parametrizations.spectral_norm(model.segments[0][0].conv1)
    with pytest.raises(ValueError, match=r"'segments.0.0.conv1' \(Conv2d\): after freeze its weight was also given Spectral"):
        merge(model)
    assert parametrize.is_parametrized(model.conv, "weight")


@pytest.mark.parametrize("trainable", ["bn", "none", "random:3", "bn+random:2+output", "features", "all"])
def test_what_learned_comes_back_in_the_network_that_it_came_from(trainable, tmp_path):
    model, images = trained(trainable, seed=4)
    assert save_trained(model, tmp_path / "small.st") == tmp_path / "small.st"
    assert [path.name for path in tmp_path.iterdir()] == ["small.st"]
    again = build("resnet8")
    assert load_trained(again, tmp_path / "small.st") is again
    assert torch.equal(again.eval()(images), model.eval()(images))
    assert count(again) == count(model) and learning(again) == learning(model)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), again.buffers(), strict=True) if a.dim() != 4)
    assert save_trained(again, tmp_path / "twice.st").read_bytes() == (tmp_path / "small.st").read_bytes()


def test_the_file_is_small(tmp_path):
    model, _ = trained("bn", "resnet14", steps=1)
    size = save_trained(model, tmp_path / "bn.st").stat().st_size
    assert size < 30_000 < 700_000 < sum(p.numel() * 4 for p in model.parameters())


def test_frozen_gradients_are_taken_away_when_it_is_loaded(tmp_path):
    model, images = trained("bn")
    save_trained(model, tmp_path / "bn.st")
    again = build("resnet8")
    again(images).sum().backward()
    optimiser = torch.optim.SGD(again.parameters(), lr=0.1, weight_decay=0.1)
    load_trained(again, tmp_path / "bn.st")
    before = parameters(again)
    step(again, optimiser, images)
    assert moved(before, again) == learning(model)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_do_not_matter(name, tmp_path):
    model, images = trained()
    save_trained(WRAPPERS[name](model), tmp_path / "wrapped.st")
    assert save_trained(model, tmp_path / "plain.st").read_bytes() == (tmp_path / "wrapped.st").read_bytes()
    again = build("resnet8")
    if name == "AveragedModel":  # a copy
        load_trained(again, tmp_path / "wrapped.st")
    else:
        load_trained(WRAPPERS[name](again), tmp_path / "plain.st")
    assert torch.equal(again.eval()(images), model.eval()(images))


class Standardised(nn.Module):
    """A network behind statistics of its own of the images: no wrapper, though its only child is called as a wrapper's."""

    def __init__(self):
        super().__init__()
        self.module = build("resnet8")
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        return self.module(x - self.mean[:, None, None])


def test_buffers_around_a_network_are_kept(tmp_path):
    model = freeze(Standardised(), "bn")
    model.mean.copy_(torch.tensor([3.0, 4.0, 5.0]))
    load_trained(other := Standardised(), save_trained(model, tmp_path / "file"))
    assert other.mean.tolist() == [3.0, 4.0, 5.0]


def test_random_weights_may_be_loaded_over_others_of_the_same_network(tmp_path):
    model, images = trained("random:2")
    save_trained(model, tmp_path / "a.st")
    fresh = freeze(build("resnet8"), "random:5", seed=9)  # other places, not trained
    merged = merge(copy.deepcopy(model))  # trained, at the places of the file alone
    for other in (fresh, merged, model):
        load_trained(other, tmp_path / "a.st")
        assert torch.equal(other.eval()(images), model.eval()(images)) and count(other)["trainable"] == count(model)["trainable"]


def test_tied_tensors_are_written_once_and_stay_tied(tmp_path):
    def tied():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 6))
        model[2].weight = model[0].weight
        return model

    model = freeze(tied(), "features")
    with torch.no_grad():
        model[0].weight.normal_()
    save_trained(model, tmp_path / "tied.st")
    again = load_trained(tied(), tmp_path / "tied.st")
    assert again[2].weight is again[0].weight and torch.equal(again[0].weight, model[0].weight)
    untied = tied()
    untied[2].weight = nn.Parameter(untied[0].weight.detach().clone())
    with pytest.raises(StoreError, match="the parameter '2.weight' is only in the network"):
        load_trained(untied, tmp_path / "tied.st")


def test_parameters_that_share_one_memory_are_written_each(tmp_path):
    model, images = trained("bn")
    flatten([p for p in model.parameters() if p.requires_grad])
    save_trained(model, tmp_path / "flat.st")
    assert torch.equal(load_trained(build("resnet8"), tmp_path / "flat.st").eval()(images), model.eval()(images))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_kinds_of_numbers(dtype, tmp_path):
    model = freeze(small().to(dtype), "bn+random:2")
    save_trained(model, tmp_path / "a.st")
    again = small()
    again.load_state_dict(merge(copy.deepcopy(model)).state_dict())
    assert load_trained(again.to(dtype), tmp_path / "a.st")[1].weight.dtype == dtype
    with pytest.raises(StoreError, match=r"the parameter '0.weight' is float32 4×3×3×3 here, \w+ 4×3×3×3 in the file"):
        load_trained(small(), tmp_path / "a.st")


def test_buffers_that_are_no_part_of_the_state_are_left_out(tmp_path):
    model, again = small(), small()
    for one, value in ((model, 1.0), (again, 2.0)):
        one.register_buffer("kept", torch.tensor([value]))
        one.register_buffer("passing", torch.tensor([value]), persistent=False)
    again.load_state_dict(model.state_dict())
    again.kept.fill_(2.0)
    load_trained(again, save_trained(freeze(model, "bn"), tmp_path / "a.st"))
    assert again.kept == 1 and again.passing == 2


OTHERS = {
    "deeper": (lambda: build("resnet14"), "the parameter 'segments.0.1.conv1.weight' is only in the network"),
    "another seed": (lambda: build("resnet8", seed=1), "the frozen 'conv.weight' has other values here"),
    "other classes": (lambda: build("resnet8", classes=7), "'output.weight' is float32 7×64 here, float32 10×64 in the file"),
    "one number": (lambda: nudged(build("resnet8")), "the frozen 'segments.2.0.conv2.weight' has other values here"),
    "another buffer": (lambda: with_buffer(build("resnet8")), "the buffer 'more' is only in the network"),
    "of somebody else": (small, "the parameter '0.weight' is only in the network"),
}


def nudged(model):
    with torch.no_grad():
        model.segments[2][0].conv2.weight[5, 6, 1, 2] += 1e-6
    return model


def with_buffer(model):
    model.register_buffer("more", torch.zeros(2))
    return model


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_network_is_refused_by_its_first_tensor_and_nothing_changes(name, tmp_path):
    model, _ = trained("bn+output")
    save_trained(model, tmp_path / "a.st")
    make, said = OTHERS[name]
    other = make()
    state, learns = copy.deepcopy(other.state_dict()), learning(other)
    with pytest.raises(StoreError) as error:
        load_trained(other, tmp_path / "a.st")
    assert f"a.st does not fit this {type(other).__name__}: " in str(error.value) and said in str(error.value)
    assert "\n" not in str(error.value) and learning(other) == learns
    assert all(torch.equal(state[key], tensor) for key, tensor in other.state_dict().items())


def test_a_file_that_lacks_what_the_network_has_not_is_refused_too(tmp_path):
    model = with_buffer(trained("bn")[0])
    save_trained(model, tmp_path / "a.st")
    with pytest.raises(StoreError, match="the buffer 'more' is only in the file"):
        load_trained(build("resnet8"), tmp_path / "a.st")


def digest_of(info: dict, data: bytes) -> str:
    """The digest that belongs to these metadata: what is wrong in them is to be found, not that they were changed."""
    return trained_file._digest({key: value for key, value in info.items() if key != "digest"}, load(data))


def rewritten(data: bytes, change) -> bytes:
    """A file with other metadata, and a digest that fits them."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    info = json.loads(header["__metadata__"]["bnlib_trained"])
    change(info)
    info["digest"] = digest_of(info, data)
    header["__metadata__"]["bnlib_trained"] = json.dumps(info)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


BAD = {
    "a shape of texts": lambda data: rewritten(data, lambda info: info["frozen"].update({"conv.weight": ["float32", ["a"], "b"]})),
    "nothing": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "a header of exabytes": lambda data: struct.pack("<Q", 2**60) + data[8:],
    "a text": lambda data: b"no tensors at all, but long enough to look at",
    "another format": lambda data: rewritten(data, lambda info: info.update(format=2)),
    "no format": lambda data: rewritten(data, lambda info: info.pop("format")),
    "what learned is a number": lambda data: rewritten(data, lambda info: info.update(trainable=7)),
    "another learned": lambda data: rewritten(data, lambda info: info["trainable"].append("conv.weight")),
    "a list": lambda data: rewritten(data, lambda info: info.clear()),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_one_line(name, tmp_path):
    model, _ = trained("bn+random:2", steps=1)
    path = save_trained(model, tmp_path / "a.st")
    path.write_bytes(BAD[name](path.read_bytes()))
    again = build("resnet8")
    with pytest.raises(StoreError) as error:
        load_trained(again, path)
    assert str(error.value).startswith(f"{path} ") and str(error.value).isprintable()
    assert learning(again) == {name for name, _ in again.named_parameters()}


def forged(tensors, info, path):
    info.pop("digest")
    save_file(tensors, path, {"bnlib_trained": json.dumps({**info, "digest": trained_file._digest(info, tensors)})})


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda index: index.fill_(0), "are not those of its values"),
        (lambda index: index.add_(10**6), "are outside of its 432 weights"),
        (lambda index: index.sub_(10**6), "are outside of its 432 weights"),
    ],
)
def test_places_that_cannot_be_are_refused(change, said, tmp_path):
    path = save_trained(trained("random:2", steps=1)[0], tmp_path / "a.st")
    with safe_open(path, "pt") as file:
        tensors, info = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["bnlib_trained"])
    change(tensors["conv.weight:places"])
    forged(tensors, info, path)
    with pytest.raises(StoreError, match=said):
        load_trained(build("resnet8"), path)


def test_files_of_another_kind_and_places_that_cannot_be_written_are_one_line(tmp_path):
    model = freeze(build("resnet8"), "bn")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.st")
    with pytest.raises(StoreError, match="holds tensors, but not what learned: bnlib.save_trained writes such files"):
        load_trained(model, tmp_path / "other.st")
    with pytest.raises(StoreError, match="never.st is not there"):
        load_trained(model, tmp_path / "never.st")
    with pytest.raises(StoreError, match="is not a file"):
        load_trained(model, tmp_path)
    with pytest.raises(StoreError, match="is a folder; give the name of a file"):
        save_trained(model, tmp_path)
    with pytest.raises(StoreError, match="cannot be written .No such file or directory"):
        save_trained(model, tmp_path / "no" / "a.st")
    with pytest.raises(StoreError, match="cannot be written: safetensors has no numbers of the kind torch.qint8"):
        save_trained(with_quantised(model), tmp_path / "a.st")
    with pytest.raises(ValueError, match="is on the meta device and has no values"):
        save_trained(bnlib.models.skeleton("resnet8"), tmp_path / "a.st")
    assert [path.name for path in tmp_path.iterdir()] == ["other.st"]


def with_quantised(model):
    model.register_buffer("odd", torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8))
    return model


def test_a_file_that_is_there_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    model, _ = trained("bn", steps=1)
    path = save_trained(model, tmp_path / "a.st")
    before = path.read_bytes()
    monkeypatch.setattr("bnlib.store.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="cannot be written .No space left on device"):
        save_trained(model, path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_sizes_of_a_bigger_network(tmp_path):
    model = freeze(get_model("resnet18", weights=None), "bn+output")
    size = save_trained(model, tmp_path / "a.st").stat().st_size
    learned = count(model)["trainable"] + 2 * 4800  # and the running statistics
    assert math.isclose(size, 4 * learned, rel_tol=0.02)
