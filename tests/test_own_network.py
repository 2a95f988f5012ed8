"""The page on your own network: its examples hold what they say; and `adapt`, which it shows."""

import copy

import pandas as pd
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import bnlib
from bnlib import data

QUICK = {"epochs": 3, "batch_size": 32, "progress": False}


@pytest.fixture(scope="module")
def digits():
    """Training and test images with their labels, as the page has them."""
    source = data.load("digits")
    return [tuple(torch.cat(parts) for parts in zip(*source.parts(train=train), strict=True)) for train in (True, False)]


def half(pair, low):
    """The digits 0 to 4, or 5 to 9 as labels 0 to 4."""
    chosen = (pair[1] < 5) == low
    return pair[0][chosen], pair[1][chosen] % 5


@pytest.fixture(scope="module")
def trained(digits):
    """A network that knows the digits 0 to 4."""
    model = bnlib.build("resnet14", classes=5)
    bnlib.fit(model, half(digits[0], True), half(digits[1], True), "all", **QUICK)
    return model


def same(model, before) -> set[str]:
    """The parameters that are bit for bit what they were."""
    return {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}


def frozen(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_a_network_of_torchvisions_learns_by_bn_alone_and_is_kept_in_a_small_file(digits, tmp_path):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10)
    plain, rows = copy.deepcopy(model), []
    history = bnlib.fit(model, *digits, "bn", callbacks=[rows.append], **QUICK)
    assert history.test_accuracy.iloc[-1] > 0.5 and [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(isinstance(value, int | float) for row in rows for value in row.values()), "what a board can draw"
    assert bnlib.count(model)["trainable"] == bnlib.count(model)["bn"] == 9600
    assert same(model, plain.state_dict()) == frozen(model) and len(frozen(model)) == 22
    small = bnlib.save_trained(model, tmp_path / "small.safetensors")
    assert 4 * 2 * 9600 < small.stat().st_size < 4 * 11_181_642 / 100
    assert bnlib.evaluate(bnlib.load_trained(plain, small), digits[1]) == bnlib.evaluate(model, digits[1])


def test_a_network_of_timms_learns_with_a_folder(digits, tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=10)
    before = copy.deepcopy(model.state_dict())
    history = bnlib.fit(model, *digits, "bn", folder=tmp_path, decay_bn=False, **QUICK)
    assert history.test_accuracy.iloc[-1] > 0.5
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv").drop(columns="epochs"), history, check_exact=False)
    assert same(model, before) == frozen(model) and bnlib.count(model)["trainable"] == bnlib.count(model)["bn"]


def test_the_norms_of_a_transformer_add_to_its_output_layer(digits):
    shape = {"image_size": 32, "patch_size": 8, "num_layers": 4, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(**shape, num_classes=10)
    before, head = copy.deepcopy(model.state_dict()), copy.deepcopy(model)
    adam = {"optimiser": "adam", "lr": 0.02, **QUICK}
    both = bnlib.fit(model, *digits, "ln+output", **adam)
    alone = bnlib.fit(head, *digits, "output", **adam)
    assert both.test_accuracy.iloc[-1] > 0.3
    assert both.train_loss.iloc[-1] < alone.train_loss.iloc[-1]
    counts = bnlib.count(model)
    assert counts["trainable"] == counts["ln"] + counts["output"] == 9 * 2 * 64 + 650
    assert same(model, before) == frozen(model)


@pytest.mark.parametrize(
    "what, how, lr, least", [("bn", "moving", 0.1, 0.6), ("bn", "held", 0.01, 0.3), ("output", "held", 0.1, 0.5)]
)
def test_a_trained_network_learns_other_classes_by_a_part_of_itself(digits, trained, what, how, lr, least):
    model, before = copy.deepcopy(trained), copy.deepcopy(trained.state_dict())
    history = bnlib.fit(model, half(digits[0], False), half(digits[1], False), what, statistics=how, lr=lr, **QUICK)
    assert history.test_accuracy.iloc[-1] > least
    assert same(model, before) == frozen(model)
    moved = [name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])]
    assert bool(moved) is (how == "moving")


# adapt


@pytest.fixture
def corrupted(digits):
    """Test images 0 to 4 of little contrast, with noise, and their labels."""
    x, labels = half(digits[1], True)
    return 0.4 * x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), labels


def test_adapting_to_corrupted_images_needs_no_labels(trained, corrupted):
    plain, adapted, before = copy.deepcopy(trained), copy.deepcopy(trained), trained.state_dict()
    known = bnlib.evaluate(trained, corrupted)[0]
    assert bnlib.adapt(plain, corrupted[0], epochs=0) == []
    assert bnlib.evaluate(plain, corrupted)[0] > known + 0.2
    assert same(plain, before) == set(dict(plain.named_parameters())), "the statistics alone"
    entropies = bnlib.adapt(adapted, corrupted[0], epochs=10, lr=0.01, batch_size=64)
    assert len(entropies) == 10 and entropies[-1] < entropies[0] / 2
    assert bnlib.evaluate(adapted, corrupted)[0] > known + 0.2
    assert same(adapted, before) == frozen(adapted) and all(p.grad is None for p in adapted.parameters())


def test_the_statistics_are_those_of_the_images_and_nothing_else_changes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(4, momentum=0.3), nn.Dropout(0.5), nn.Linear(4, 3), nn.BatchNorm1d(3))
    model[3].eval()
    modes = [module.training for module in model.modules()]
    x = 3 + 2 * torch.randn(40, 4)
    bnlib.adapt(model, x, epochs=0, batch_size=20)
    variance = torch.stack([part.var(0) for part in x.split(20)]).mean(0)
    torch.testing.assert_close(model[0].running_mean, x.mean(0))
    torch.testing.assert_close(model[0].running_var, variance)
    assert [module.training for module in model.modules()] == modes and model[0].momentum == 0.3


def test_a_loader_gives_what_a_tensor_gives_and_its_labels_are_not_looked_at():
    def adapted(images):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        return bnlib.adapt(model, images, epochs=2, batch_size=10), model.state_dict()

    x = torch.randn(40, 4)
    losses, state = adapted(x)
    again, other = adapted(DataLoader(TensorDataset(x, torch.full((40,), -7)), batch_size=10))
    assert losses == again and all(torch.equal(state[name], other[name]) for name in state)


def test_layer_norm_adapts_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3))
    entropies = bnlib.adapt(model, torch.randn(64, 4), "ln", epochs=5, lr=0.05)
    assert entropies[-1] < entropies[0]


@pytest.mark.parametrize(
    "images, given, message",
    [
        (torch.randn(8, 4), {"epochs": -1}, "epochs -1: .*nearest: 0"),
        (torch.randn(8, 4), {"lr": 0}, "lr 0: a number above 0"),
        (torch.randn(8, 4), {"lr": float("nan")}, "lr nan"),
        (torch.randn(8, 4), {"batch_size": 1}, "batch_size 1: .*nearest: 2"),
        (torch.randn(8, 4), {"trainable": "bnn"}, "trainable 'bnn': .*did you mean 'bn'"),
        (torch.randn(8, 4), {"trainable": "ln"}, "has no LayerNorm"),
        (torch.randn(8, 4), {"trainable": "none"}, "trainable 'none': nothing learns; epochs=0"),
        (torch.randn(0, 4), {}, "images: there are none"),
        (iter([torch.randn(8, 4)]), {}, "can be gone through once"),
        (torch.zeros(8, 4, dtype=torch.uint8), {}, "torch.uint8 are not ready"),
        (torch.full((8, 4), float("inf")), {}, "not finite"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(images, given, message):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message) as error:
        bnlib.adapt(model, images, **given)
    assert "\n" not in str(error.value)
    assert "finite" in message or all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_without_batchnorm_there_are_no_statistics_to_take():
    with pytest.raises(ValueError, match="epochs 0: this Sequential has no BatchNorm with running statistics"):
        bnlib.adapt(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), torch.randn(8, 4), "ln", epochs=0)
