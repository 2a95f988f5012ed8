"""`adapt`: γ and β and the statistics follow the images, without labels, and nothing else does."""

import copy

import pytest
import torch
from test_fit import images, network
from torch.utils.data import DataLoader, TensorDataset

import bnlib


@pytest.fixture(scope="module")
def trained():
    """A network that has learned the images of tests/test_fit.py, the images, and the same ones changed."""
    pair = images(96)
    model = network()
    bnlib.fit(model, pair, pair, "all", epochs=10, lr=0.05, batch_size=16, progress=False)
    noise = torch.randn(pair[0].shape, generator=torch.Generator().manual_seed(1))
    return model, pair, (0.1 * pair[0] + 0.02 * noise, pair[1])


def adapted_to(model, images, **more):
    """A copy of `model`, adapted."""
    bnlib.adapt(copied := copy.deepcopy(model), images, **more)
    return copied


def entropy(model, x):
    with torch.no_grad():
        p = model.eval()(x).softmax(1)
    return float(-(p * p.clamp_min(1e-12).log()).sum(1).mean())


def test_changed_images_are_recognised_again(trained):
    model, pair, changed = trained
    before = bnlib.evaluate(model, changed)[0]
    adapted = adapted_to(model, changed[0], epochs=0)
    assert bnlib.evaluate(model, pair)[0] > 0.9 and before < 0.6 < bnlib.evaluate(adapted, changed)[0]


def test_without_epochs_only_the_statistics_change_and_are_those_of_all_images(trained):
    model, _, changed = trained
    adapted = adapted_to(model, changed[0], epochs=0, batch_size=32)
    for name, value in adapted.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]) is ("running" not in name and "tracked" not in name), name
    with torch.no_grad():
        seen = adapted[0](changed[0])
    torch.testing.assert_close(adapted[1].running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert adapted[1].momentum == 0.1 and adapted.training == model.training


def test_the_entropy_falls_and_all_else_is_frozen(trained):
    model, _, changed = trained
    only, more = (adapted_to(model, changed[0], epochs=epochs, lr=0.01) for epochs in (0, 8))
    assert entropy(more, changed[0]) < entropy(only, changed[0])
    frozen = [name for name in model.state_dict() if not name.startswith(("1.", "4."))]
    assert all(torch.equal(more.state_dict()[name], model.state_dict()[name]) for name in frozen)
    assert not torch.equal(more[1].weight, model[1].weight) and all(p.grad is None for p in more.parameters())


def test_a_loader_does_as_well(trained):
    model, _, changed = trained
    loader = DataLoader(TensorDataset(*changed), batch_size=32)
    found, wanted = adapted_to(model, loader, epochs=0), adapted_to(model, changed[0], epochs=0)
    torch.testing.assert_close(found[1].running_mean, wanted[1].running_mean, rtol=1e-4, atol=1e-5)


def test_images_without_labels_in_a_loader_and_batches_of_any_size(trained):
    model, _, (x, _) = trained
    x = x.clone()
    x[-1] = 100.0  # an odd image in a batch of its own counts as one of them all
    alone = [x[:40], x[40:95], x[95:]]
    for given in (alone, DataLoader(x, batch_size=95)):
        adapted = adapted_to(model, given, epochs=0)
        with torch.no_grad():
            seen = adapted[0](x)
        torch.testing.assert_close(adapted[1].running_mean, seen.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)


def test_a_model_that_fails_in_the_middle_is_as_it_was():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="more than 1 value"):  # PyTorch's own: a batch of one has no variance
        bnlib.adapt(model, [torch.randn(8, 4), torch.randn(1, 4)], lr=0.1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()) and model.training


@pytest.mark.parametrize(
    "model, change, says",
    [
        (network, {"epochs": -1}, "epochs -1: a whole number from 0"),
        (network, {"lr": 0}, "lr 0: a number above 0"),
        (network, {"batch_size": 1}, "batch_size 1: a whole number from 2"),
        (network, {"images": torch.zeros(0, 3, 8, 8)}, "images: there are none"),
        (network, {"images": 3}, "images 3: .* a DataLoader"),
        (lambda: torch.nn.Linear(3, 2), {}, "no BatchNorm"),
    ],
)
def test_what_cannot_be_is_a_line(model, change, says):
    given = {"images": images()[0], **change}
    with pytest.raises(ValueError, match=says) as error:
        bnlib.adapt(model(), given.pop("images"), **given)
    assert "\n" not in str(error.value)
