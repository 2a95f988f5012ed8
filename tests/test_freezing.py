"""Frozen is frozen: bit for bit, after training with weight decay; and BatchNorm's running statistics move."""

import pytest
import torch
import torchvision

from bnlib import build, count, data, freeze, store
from bnlib.spec import canonical, parse
from bnlib.spec.trainable import union
from bnlib.store import networks
from bnlib.training.trainer import Trainer

SETS = [
    "bn",
    "gamma",
    "beta",
    "output",
    "shortcut",
    "features",
    "random:2",
    "all",
    "none",
    "all-bn",
    "bn+output",
    "bn+shortcut+output",
    "shortcut+output",
    "shortcut+shortcut-bn+output",
    "gamma+shortcut-bn",
    "random:3+output",
]


def group_of(name: str) -> str:
    """The group of a parameter of our ResNet by its name: an independent statement of what `groups` finds."""
    module, _, kind = name.rpartition(".")
    if "bn" in module.split(".")[-1] or module.endswith("shortcut.1"):
        return "gamma" if kind == "weight" else "beta"
    return "output" if module == "output" else "shortcut" if "shortcut" in module else "features"


def learns(name: str, groups) -> bool:
    """Whether the parameter learns, of our ResNet, where `groups` do."""
    return group_of(name) in groups or ("shortcut-bn" in groups and ".shortcut.1." in name)


@pytest.mark.parametrize("trainable", SETS)
def test_what_is_frozen_stays_and_what_is_trained_moves(trainable, tiny, runs_folder):
    spec = tiny(trainable=trainable, epochs=1, weight_decay=0.1)
    before = networks.draw(spec)
    folder = store.check_writable(runs_folder / ".unfinished").parent
    training = Trainer(spec, torch.device("cpu"), data.load("digits"), folder)
    assert list(training.train())
    freeze(training.model, "none")  # takes the random weights' places away again: plain tensors under their old names
    after, groups, k = dict(training.model.named_parameters()), *parse(trainable)
    for name, start in before.named_parameters():
        moved = after[name] != start
        if learns(name, groups):
            assert moved.any(), f"{name} is trainable and did not move"
        elif k and group_of(name) in ("features", "shortcut"):
            assert (moved.flatten(1).sum(1) <= k).all() and moved.sum() > 0.9 * k * len(start), f"{name}: not {k} a channel"
        else:
            assert not moved.any(), f"{name} is frozen and moved"
    for name, buffer in training.model.named_buffers():
        assert (buffer != dict(before.named_buffers())[name]).any(), f"{name} did not move"


@pytest.mark.parametrize("trainable", SETS)
def test_only_the_trainable_set_is_given_to_the_optimiser(trainable):
    model = freeze(build("resnet14"), trainable)
    groups, k = parse(trainable)
    expected = sum(p.numel() for name, p in build("resnet14").named_parameters() if learns(name, groups))
    convolutions = sum(m.out_channels for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    assert count(model)["trainable"] == expected + k * convolutions
    assert count(model)["total"] == 175_258


def test_two_random_weights_a_channel_are_as_many_as_batchnorm_has():
    assert count(freeze(build("resnet32"), "random:2"))["trainable"] == count(freeze(build("resnet32"), "bn"))["trainable"] == 2464


def test_random_places_come_from_the_seed_and_are_distinct():
    places = [freeze(build("resnet8"), "random:5", seed).conv.parametrizations.weight[0].index for seed in (0, 0, 1)]
    assert torch.equal(places[0], places[1]) and not torch.equal(places[0], places[2])
    assert all(len(set(row.tolist())) == 5 for row in places[0])


def test_freezing_again_starts_from_scratch_and_keeps_the_weights():
    model, untouched = build("resnet8"), build("resnet8")
    freeze(freeze(freeze(model, "random:2"), "random:4", seed=3), "bn")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), untouched.parameters(), strict=True))


@pytest.mark.parametrize("name, total", [("resnet18", 11_689_512), ("mobilenet_v2", 3_504_872), ("vgg11_bn", 132_868_840)])
def test_any_model_with_batchnorm_can_be_frozen(name, total):
    with torch.device("meta"):
        model = freeze(getattr(torchvision.models, name)(weights=None), "bn+output")
    norms = sum(m.num_features for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    numbers = count(model)
    assert numbers["total"] == total and numbers["bn"] == 2 * norms and numbers["trainable"] == numbers["bn"] + numbers["output"]


def test_what_else_parametrizes_a_convolution_stays():
    conv = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(3, 4, 3))
    model = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(4))
    freeze(model, "bn")
    assert torch.nn.utils.parametrize.is_parametrized(conv, "weight") and not conv.parametrizations.weight.original.requires_grad
    freeze(model, "features")
    assert conv.parametrizations.weight.original.requires_grad and not model[1].weight.requires_grad


def test_a_model_without_batchnorm_is_refused():
    with pytest.raises(ValueError, match="this Sequential has no BatchNorm, nor any other normalisation"):
        freeze(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)), "bn")
    with pytest.raises(ValueError, match="larger than the smallest filter"):
        freeze(build("resnet8"), "random:28")


def test_spellings():
    assert canonical("beta+output+random:2") == "beta+random:2+output"
    assert canonical("features+shortcut+output+random:2") == "all-bn"  # all convolutions learn whole
    for spelling in ("bn+random:2", "features+shortcut+random:2", "features+random:2", "output+beta+gamma", "all-bn", "none"):
        assert canonical(canonical(spelling)) == canonical(spelling)
    assert parse("all-bn")[0] | parse("bn")[0] == parse("all")[0]
    assert canonical("output+shortcut-bn+shortcut") == "shortcut+shortcut-bn+output"
    assert canonical("shortcut-bn+bn") == "bn" and canonical("shortcut-bn+beta") == "beta+shortcut-bn"
    assert canonical("shortcut-bn+norm+features") == "bn+features" and union("shortcut-bn", "output") == "shortcut-bn+output"
