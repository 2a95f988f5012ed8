"""`prune`: the smaller network computes what the given one does with its small γ at 0, trains on, and leaves that one alone."""

import copy
import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import bnlib
from bnlib import engine, models, pruning
from bnlib.spec import added

NETWORKS = ("resnet14", "wrn14-2", "vgg11", "imagenet-resnet18", "imagenet-resnet50", "keras-resnet50")
TRAINED = "resnet14_bn_paper_seed0-3c3e6a91"


def norms(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)}


def trained(model, off=0.4, positive=True, seed=0):
    """`model` as after a training: γ of both signs, a share `off` of them small; β of both signs, statistics not as they start."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for bn in norms(model).values():
            n = bn.num_features
            bn.weight.copy_(torch.randn(n, generator=random))
            bn.weight[torch.rand(n, generator=random) < off] *= 1e-3
            bn.bias.copy_(torch.randn(n, generator=random) if positive else -torch.rand(n, generator=random))
            bn.running_mean.copy_(torch.randn(n, generator=random))
            bn.running_var.copy_(0.5 + torch.rand(n, generator=random))
    return model.eval()


def built(name, dtype=torch.float64, **how):
    return trained(bnlib.build(name, classes=10).to(dtype), **how)


def clamped(model, threshold):
    """A copy with every |γ| up to the threshold at 0: what a pruned network is held to."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for bn in norms(model).values():
            bn.weight[bn.weight.abs() <= threshold] = 0
    return model


def images(size=32, count=2, dtype=torch.float64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def apart(a, b):
    """The largest difference, over the largest value."""
    return ((a.double() - b.double()).abs().max() / a.double().abs().max()).item()


def left(bn, name, every, threshold, carries):
    """How many features of a BatchNorm stay, reckoned here for itself. carries: whether its constants need a channel."""
    if added(name, every) or "." not in name:
        return bn.num_features
    off = bn.weight.abs() <= threshold
    stay = int((~off).sum())
    return stay + (1 if not stay or carries and (off & (bn.bias > 0)).any() else 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_the_same_at_every_size(name):
    model = built(name)
    pruned, held, in_fp32 = bnlib.prune(model, 0.01), clamped(model, 0.01), bnlib.prune(copy.deepcopy(model).float(), 0.01)
    assert type(pruned) is type(model) and next(in_fp32.parameters()).dtype == torch.float32
    for x in map(images, (32, 33, 47)):  # stride 2 meets the border otherwise where a side is odd
        with torch.no_grad():
            truth = held(x)
            assert apart(truth, pruned(x)) < 1e-9 and apart(truth, in_fp32(x.float())) < 2e-4
            assert apart(truth, model(x)) > 1e-6, "the small γ matter: what is held to is another network"


@pytest.mark.parametrize("name", NETWORKS)
def test_what_stays_is_what_was_reckoned(name):
    model = built(name)
    pruned, every = bnlib.prune(model, 0.01), norms(model)
    # A 1×1 convolution pads nothing, so that bn2 of a bottleneck needs no channel; the last layer of VGG goes to a linear one.
    free = {n for n in every if n.endswith("bn2")} | ({list(every)[-1]} if name == "vgg11" else set())
    if name == "vgg11":  # no layer of it is a stem: each goes straight to the next
        due = {n: left(bn, f"segments.{i}", (), 0.01, n not in free) for i, (n, bn) in enumerate(every.items())}
    else:
        due = {n: left(bn, n, every, 0.01, n not in free) for n, bn in every.items()}
    if name in ("imagenet-resnet50", "keras-resnet50"):  # keras: the 3×3 convolution is the second, as torchvision's
        assert any(n.endswith("bn2") for n in free)
    assert {n: bn.num_features for n, bn in norms(pruned).items()} == due
    shapes = {n: tuple(p.shape) for n, p in pruned.named_parameters()}
    assert all(shapes[f"{n}.weight"] == shapes[f"{n}.bias"] == (size,) for n, size in due.items())
    fewer, total = bnlib.count(pruned), bnlib.count(model)
    assert fewer["bn"] == 2 * sum(due.values()) and fewer["total"] < 0.75 * total["total"]
    for module in pruned.modules():  # what a layer says of itself is what it has
        if isinstance(module, nn.Conv2d):
            assert module.weight.shape[:2] == (module.out_channels, module.in_channels)


def test_exact_counts_of_a_block():
    model = bnlib.build("resnet8").double().eval()
    bn = model.segments[1][0].bn1
    with torch.no_grad():
        bn.weight[:10], bn.bias[:10] = 0, torch.linspace(-1, 1, 10)
    before, pruned = bnlib.count(model)["total"], bnlib.prune(model, 0)
    assert before - bnlib.count(pruned)["total"] == 9 * (9 * 16 + 2 + 9 * 32)  # ten go, one channel comes
    with torch.no_grad():
        bn.bias[:10] = -1
        bn.bias[0] = 0
    assert before - bnlib.count(bnlib.prune(model, 0))["total"] == 10 * (9 * 16 + 2 + 9 * 32)  # constants of 0 need none
    assert bnlib.count(bnlib.prune(built("resnet8", off=0), 0))["total"] == before


def test_the_channel_of_the_constants_matters(monkeypatch):
    """Left out, or made a bias, which is as wrong as the border is long, the network is another one."""
    model, x = built("resnet14"), images()
    truth, pruned = clamped(model, 0.01)(x), bnlib.prune(model, 0.01)
    block = pruned.segments[1][0]
    assert block.bn1.weight[-1] == 0 and block.bn1.bias[-1] == 1
    with torch.no_grad():
        block.conv2.weight[:, -1] = 0
        assert apart(truth, pruned(x)) > 1e-3
    absorb = pruning._absorb

    def as_bias(layer, after, bias):
        padding, layer.padding = layer.padding, "valid"
        done = absorb(layer, after, bias)
        layer.padding = padding
        return done

    monkeypatch.setattr(pruning, "_absorb", as_bias)
    assert apart(truth, bnlib.prune(model, 0.01)(x)) > 1e-3


@pytest.mark.parametrize("name", ["resnet14", "vgg11", "imagenet-resnet50"])
def test_a_threshold_that_leaves_nothing_and_one_that_finds_nothing(name):
    model, x = built(name), images()
    for threshold in (1e9, 0):
        with torch.no_grad():
            assert apart(clamped(model, threshold)(x), bnlib.prune(model, threshold)(x)) < 1e-9
    none = bnlib.prune(built(name, positive=False), 1e9)  # constants of 0 alone
    assert min(bn.num_features for bn in norms(none).values()) == 1
    again = bnlib.prune(none, 1e9)
    assert [p.shape for p in again.parameters()] == [p.shape for p in none.parameters()]
    with torch.no_grad():
        assert apart(clamped(built(name, positive=False), 1e9)(x), again(x)) < 1e-9


def test_pruned_twice_it_is_the_same_bit_for_bit():
    once = bnlib.prune(built("resnet14"), 0.01)
    twice = bnlib.prune(once, 0.01).state_dict()
    assert all(torch.equal(tensor, twice[name]) for name, tensor in once.state_dict().items())


@pytest.mark.parametrize("name", ["resnet14", "vgg11", "keras-resnet50"])
def test_the_given_network_is_left_as_it_was(name):
    model = built(name, torch.float32)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    pruned = bnlib.prune(model, 0.01)
    with torch.no_grad():
        for tensor in [*pruned.parameters(), *pruned.buffers()]:
            tensor.zero_()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ["resnet14", "imagenet-resnet50", "keras-resnet50"])
def test_in_training_it_normalises_and_learns_as_the_clamped_one(name):
    """By the batch's own statistics; afterwards, in evaluation, they still agree, and so do the gradients of what both have."""
    model, x, y = bnlib.freeze(built(name), "all"), images(count=6), torch.arange(6) % 10
    one, two = clamped(model, 0.01).train(), bnlib.prune(model.train(), 0.01)
    assert two.training
    losses = [nn.functional.cross_entropy(network(x), y) for network in (one, two)]
    for loss in losses:
        loss.backward()
    assert abs(losses[0].item() - losses[1].item()) < 1e-9
    ends = norms(one)
    for path, bn in norms(two).items():
        stay = ends[path].weight != 0 if not added(path, ends) and "." in path else torch.ones(len(ends[path].weight)).bool()
        assert apart(ends[path].bias.grad[stay], bn.bias.grad[: int(stay.sum())]) < 1e-7, path
    with torch.no_grad():
        assert apart(one.eval()(x), two.eval()(x)) < 1e-7  # the running statistics have moved alike


@pytest.mark.parametrize("trainable", ["bn", "all"])
def test_it_trains_on(trainable):
    model = bnlib.freeze(built("resnet8", torch.float32), trainable)
    pruned, pictures = bnlib.prune(model, 0.01), (images(count=32, dtype=torch.float32), torch.arange(32) % 10)
    assert [p.requires_grad for p in pruned.parameters()] == [p.requires_grad for p in model.parameters()]
    shapes = [p.shape for p in pruned.parameters()]
    history = bnlib.fit(pruned, pictures, pictures, trainable, epochs=6, lr=0.05, batch_size=16, progress=False)
    assert history.train_loss.iloc[-1] < 0.9 * history.train_loss.iloc[0]
    assert [p.shape for p in pruned.parameters()] == shapes


@pytest.mark.parametrize("trainable", ["bn", "all"])
def test_the_fused_step_takes_it(trainable):
    one = bnlib.freeze(bnlib.prune(built("resnet14"), 0.01), trainable).train()
    two = copy.deepcopy(one)
    x, y = images(count=16), torch.arange(16) % 10
    a, b = (step(network, "fp64").gradients(x, y)[0] for step, network in ((engine.Plain, one), (engine.Fused, two)))
    assert abs(a - b) < 1e-10
    for (name, p), q in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert p.grad is None or (p.grad - q[1].grad).abs().max() < 1e-9 * max(1, p.grad.abs().max()), name


def test_it_is_saved_and_read(tmp_path):
    model = bnlib.freeze(built("resnet14", torch.float32), "bn")
    pruned, x = bnlib.prune(model, 0.01), images(dtype=torch.float32)
    torch.save(pruned, tmp_path / "whole.pt")
    torch.save(pruned.state_dict(), tmp_path / "state.pt")
    again = bnlib.prune(model, 0.01)  # shapes are those of γ; the numbers are put in
    with torch.no_grad():
        for tensor in again.parameters():
            tensor.zero_()
        again.load_state_dict(torch.load(tmp_path / "state.pt"))
        for network in (torch.load(tmp_path / "whole.pt", weights_only=False), again):
            assert torch.equal(network(x), pruned(x))
    assert (tmp_path / "state.pt").stat().st_size < 4 * bnlib.count(model)["total"]


def test_random_weights_become_plain_ones():
    model = bnlib.freeze(built("resnet14"), "random:2")
    pruned = bnlib.prune(model, 0.01)
    assert bnlib.count(model)["trainable"] and not list(pruned.named_buffers())[0][0].startswith("conv.parametrizations")
    assert not [one for one in pruned.modules() if isinstance(one, bnlib.freezing.RandomSubset)]
    with torch.no_grad():
        assert apart(clamped(model, 0.01)(images()), pruned(images())) < 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_few_bits_it_is_as_near_as_the_clamped_one(dtype):
    model = built("resnet14", torch.float32)
    truth, half = clamped(model, 0.01)(images(dtype=torch.float32)), copy.deepcopy(model).to(dtype)
    with torch.no_grad():
        far, own = (apart(truth, network(images(dtype=dtype))) for network in (clamped(half, 0.01), bnlib.prune(half, 0.01)))
    assert own < 2 * far and {p.dtype for p in bnlib.prune(half, 0.01).parameters()} == {dtype}


def test_memory_format_and_mode_are_as_they_were():
    model = built("resnet14", torch.float32).to(memory_format=torch.channels_last)
    model.segments[0].train()
    pruned = bnlib.prune(model, 0.01)
    assert [m.training for m in pruned.modules()] == [m.training for m in model.modules()]
    convs = [m.weight for m in pruned.modules() if isinstance(m, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu():
    model = built("imagenet-resnet50").cuda()
    pruned, x = bnlib.prune(model, 0.01), images().cuda()
    assert {p.device.type for p in [*pruned.parameters(), *pruned.buffers()]} == {"cuda"}
    with torch.no_grad():
        assert apart(clamped(model, 0.01)(x), pruned(x)) < 1e-9


@pytest.mark.parametrize("name", ["resnet18", "wide_resnet50_2"])
def test_torchvisions_networks_and_wrappers(name):
    model = getattr(torchvision.models, name)(num_classes=5)
    model.fc = nn.Sequential(model.fc, nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 5))  # whose γ are set to 0, and nothing cut
    model = trained(model.double())
    pruned = bnlib.prune(nn.DataParallel(model), 0.01)
    assert type(pruned) is torchvision.models.ResNet and bnlib.count(pruned)["total"] < 0.9 * bnlib.count(model)["total"]
    with torch.no_grad():
        assert apart(clamped(model, 0.01)(images(64)), pruned(images(64))) < 1e-9


def test_a_vgg_whose_output_has_no_bias_and_statistics_of_the_batch_alone():
    model = built("vgg11")
    model.output = nn.Linear(512, 7, bias=False).double()
    with torch.no_grad():
        assert apart(clamped(model, 0.01)(images()), bnlib.prune(model, 0.01)(images())) < 1e-9
    model = built("imagenet-resnet50")
    for bn in norms(model).values():
        bn.running_mean = bn.running_var = None
        bn.track_running_stats = False
    x = images(64, 4)
    with torch.no_grad():
        assert apart(clamped(model, 0.01)(x), bnlib.prune(model, 0.01)(x)) < 1e-9


def changed(name, path, layer, shared=None):
    """A network of which one layer is another."""
    model = bnlib.build(name)
    parent, _, own = path.rpartition(".")
    setattr(model.get_submodule(parent), own, model.get_submodule(shared) if shared else layer)
    return model


def weight_normed():
    model = bnlib.build("resnet8")
    nn.utils.parametrizations.weight_norm(model.segments[0][0].conv2)
    return model


class Strange(models.networks.BasicBlock):
    """A block that computes something else, as a subclass may."""

    def forward(self, x):
        return torch.tanh(super().forward(x))


def each_block_is(kind):
    model = bnlib.build("resnet8")
    for segment in model.segments:
        for block in segment:
            block.__class__ = kind
    return model


REFUSED = {
    "a name": (lambda: "resnet14", "model 'resnet14': a network is needed, such as"),
    "no block": (lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)), "this Sequential has none of the blocks"),
    "torchvision's VGG": (lambda: torchvision.models.vgg11_bn(), "this VGG has none of the blocks"),
    "another norm": (
        lambda: changed("resnet8", "segments.0.0.bn1", nn.GroupNorm(4, 16)),
        r"the layer 'segments.0.0.bn1' \(GroupNorm\): a BatchNorm2d is needed here",
    ),
    "no γ": (
        lambda: changed("resnet8", "segments.0.0.bn1", nn.BatchNorm2d(16, affine=False)),
        "it has no weight of its own that could be cut",
    ),
    "groups": (lambda: torchvision.models.resnext50_32x4d(), "'layer1.0.conv2' .*: a convolution in 32 groups cannot be cut"),
    "weight norm": (weight_normed, "'segments.0.0.conv2' .*: it has no weight of its own"),
    "a part of another": (lambda: changed("vgg11", "segments.1", nn.Conv2d(64, 64, 1)), "'segments.1' .*: a BatchNorm2d is needed"),
    "another head": (lambda: changed("vgg11", "output", nn.Identity()), "'output' .*: a Conv2d or a Linear is needed here"),
    "another ReLU": (
        lambda: next(m for m in [torchvision.models.resnet18()] if not setattr(m.layer1[0], "relu", nn.SiLU())),
        "the block 'layer1.0': its SiLU would have to be a ReLU",
    ),
    "no numbers": (lambda: models.skeleton("resnet14"), "this ResNet has no numbers, only shapes"),
    "a block of one's own": (lambda: each_block_is(Strange), "this ResNet has none of the blocks"),
    "one layer twice": (
        lambda: changed("resnet14", "segments.0.1.conv1", nn.Identity(), "segments.0.0.conv1"),
        "'segments.0.1.conv1' .*: it is 'segments.0.0.conv1', too: a layer in two places",
    ),
    "one BatchNorm twice": (
        lambda: changed("resnet14", "segments.0.1.bn1", nn.Identity(), "segments.0.0.bn1"),
        "'segments.0.1.bn1' .*: it is 'segments.0.0.bn1', too",
    ),
}


def test_synced_batchnorm_is_cut_and_inference_mode_leaves_no_trace():
    plain = built("resnet8").eval()
    model = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(plain))
    with torch.inference_mode():
        pruned = bnlib.prune(model, 0.05)
    assert bnlib.count(pruned)["total"] == bnlib.count(bnlib.prune(plain, 0.05))["total"] < bnlib.count(plain)["total"]
    bnlib.freeze(pruned, "all")(images()).sum().backward()
    assert apart(pruned(images()), clamped(plain, 0.05)(images())) < 1e-12


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_cut_is_refused_in_one_line(what):
    make, message = REFUSED[what]
    with pytest.raises(ValueError, match=message) as error:
        bnlib.prune(make(), 0.01)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "threshold, nearest",
    [
        (-0.1, "0"),
        (-(10**400), "0"),
        (10**400, "0.01"),
        (math.inf, "0.01"),
        (math.nan, "0.01"),
        ("0.01", "0.01"),
        (True, "0.01"),
        (None, "0.01"),
    ],
)
def test_a_threshold_that_is_none_is_refused(threshold, nearest):
    with pytest.raises(ValueError, match=rf"^threshold .*: a number from 0 on is needed, not infinite; nearest: {nearest}$"):
        bnlib.prune(bnlib.build("resnet8"), threshold)
    assert bnlib.count(bnlib.prune(bnlib.build("resnet8"), np.float32(0.5)))["total"]


def test_a_stored_run_pruned_has_the_accuracy_that_its_probe_found(cifar10):
    """On the test images. The probe is in bf16, this in fp32: what rounding changes, and no more."""
    run = bnlib.load(TRAINED)
    model, curve = run.model(), run.probe("clamping")
    known = dict(zip(curve["threshold"], curve["accuracy"], strict=True))
    for threshold, fewer in ((0.01, 0.4), (0.18478, 0.4)):
        pruned = bnlib.prune(model, threshold)
        assert bnlib.count(pruned)["total"] < (1 - fewer) * bnlib.count(model)["total"]
        assert abs(bnlib.evaluate(pruned, cifar10)[0] - known[threshold]) < 0.005
    few = engine.probes.clamping(model, cifar10, thresholds=(0.18478,), images=1000)["accuracy"][0]
    assert abs(bnlib.evaluate(pruned, cifar10, images=1000)[0] - few) <= 0.001  # the same network, but for one image's rounding
