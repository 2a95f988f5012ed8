"""`fit`: any network, any images, the same loop as a run."""

import copy
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import bnlib
from bnlib import data, store, training
from bnlib.engine import optimiser
from bnlib.spec import RECIPES, RunSpec


def images(count=48, classes=4, seed=0):
    """Images (N, 3, 8, 8) whose class is the quarter that is bright, and their labels: easy to learn."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    x = 0.3 * torch.randn(count, 3, 8, 8, generator=random)
    for i, label in enumerate(labels.tolist()):
        x[i, :, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 1.5
    return x, labels


def network(**more):
    """A network of nobody here, with Dropout and two kinds of normalisation; seeded."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(256, 4),
    )


QUICK = {"epochs": 4, "lr": 0.05, "batch_size": 16, "progress": False}


def test_it_learns_and_only_what_it_should():
    model, pair = network(), images()
    before = copy.deepcopy(model.state_dict())
    history = training.fit(model, pair, pair, "bn", **(QUICK | {"epochs": 8}))
    assert list(history.epoch) == list(range(1, 9)) and history.test_accuracy.iloc[-1] > 0.6
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]
    for name, value in model.state_dict().items():
        learns = name.startswith(("1.", "4."))
        assert torch.equal(value, before[name]) is not learns, name
    assert all(p.grad is None for p in model.parameters())
    assert history.test_accuracy.iloc[-1] == bnlib.evaluate(model, pair)[0]


def test_loaders_and_tensors_give_the_same_and_leave_no_trace_in_the_generators():
    x, labels = images()
    loader = DataLoader(TensorDataset(x, labels), batch_size=16)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    assert bnlib.evaluate(network().eval(), loader) == pytest.approx(bnlib.evaluate(network().eval(), (x, labels)))
    model = network()
    torch.set_rng_state(state)
    bnlib.evaluate(model, DataLoader(TensorDataset(x, labels), batch_size=16, shuffle=True))
    assert torch.equal(torch.get_rng_state(), state)
    history = training.fit(network(), loader, loader, "bn", **{**QUICK, "batch_size": 5})  # the loader's own 16 count
    assert len(history) == 4 and history.train_accuracy.between(0, 1).all()


@pytest.mark.parametrize("held", [True, False])
def test_statistics_are_held_or_move_and_modes_stay(held):
    model, pair = network(), images()
    model[4].eval()
    modes = [module.training for module in model.modules()]
    before = {name: b.clone() for name, b in model.named_buffers()}
    training.fit(model, pair, pair, "none", statistics="held" if held else "moving", **QUICK)
    for name, b in model.named_buffers():
        assert torch.equal(b, before[name]) is held, name
    assert [module.training for module in model.modules()] == modes


def test_held_statistics_are_what_it_normalises_by():
    model, (x, labels) = network().eval(), images()
    model[8].p = 0.0  # else training and evaluation differ by the dropout
    loss = torch.nn.functional.cross_entropy(model(x), labels).item()
    history = training.fit(model, (x, labels), (x, labels), "none", statistics="held", **QUICK | {"epochs": 1, "batch_size": 48})
    assert history.train_loss[0] == pytest.approx(loss, rel=1e-5)


def test_it_goes_on_where_it_was_stopped_and_the_history_can_be_read_meanwhile(tmp_path, capsys):
    pair, seen = images(), []
    whole = network()
    wanted = training.fit(whole, pair, pair, "bn", **QUICK)

    def stop(row):
        seen.append(row)
        assert len(pd.read_csv(tmp_path / "history.csv")) == row["epoch"]
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    state = torch.get_rng_state()
    half = network()
    torch.set_rng_state(state)
    with pytest.raises(KeyboardInterrupt):
        training.fit(half, pair, pair, "bn", folder=tmp_path, callbacks=[stop], **QUICK)
    assert "saved after epoch 2 of 4" in capsys.readouterr().out
    again = network()
    found = training.fit(again, pair, pair, "bn", folder=tmp_path, callbacks=[seen.append], **QUICK)
    assert "going on after epoch 2 of 4" in capsys.readouterr().out
    assert [row["epoch"] for row in seen] == [1, 2, 3, 4] and set(seen[-1]) == set(wanted.columns)
    assert list(found.lr) == list(wanted.lr) and len(found) == 4
    done = training.fit(network(), pair, pair, "bn", folder=tmp_path, **QUICK)  # nothing left to do
    assert done.equals(found)


def test_without_chance_in_the_network_going_on_gives_the_same_bits(tmp_path):
    pair = images()

    def fitted(**more):
        model = network()
        model[8].p = 0.0
        try:
            training.fit(model, pair, pair, "bn", **QUICK, **more)
        except KeyboardInterrupt:
            return fitted(folder=more["folder"])
        return model.state_dict()

    def stop(row):
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    wanted, found = fitted(), fitted(folder=tmp_path, callbacks=[stop])
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_another_networks_checkpoint_is_refused_and_kept(tmp_path):
    pair = images()
    training.fit(network(), pair, pair, "bn", folder=tmp_path, **QUICK)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    for change in ({"lr": 0.01}, {"seed": 1}, {"precision": "bf16"}):
        with pytest.raises(ValueError, match="another network, of other images or of other settings"):
            training.fit(network(), pair, pair, "bn", folder=tmp_path, **QUICK | change)
    with pytest.raises(ValueError, match="another network"):
        training.fit(network(), pair, pair, "all", folder=tmp_path, **QUICK)
    for others in (images(40), (pair[0], pair[1].flip(0))):
        with pytest.raises(ValueError, match="of other images"):
            training.fit(network(), others, pair, "bn", folder=tmp_path, **QUICK)
    other = network()
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1e-3  # frozen
    with pytest.raises(ValueError, match=r"another network.* must be drawn alike, as after torch.manual_seed\(0\)"):
        training.fit(other, pair, pair, "bn", folder=tmp_path, **QUICK)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept
    learnt = network()
    with torch.no_grad():
        learnt[1].weight += 1  # what learns is the checkpoint's
    assert len(training.fit(learnt, pair, pair, "bn", folder=tmp_path, **QUICK)) == 4


def test_every_recipe_gives_its_optimiser_and_schedule_whatever_its_pictures_are():
    for recipe in RECIPES:
        found = sys.modules["bnlib.training.fit"]._settings(recipe, {})
        wanted = replace(RECIPES[recipe], size=found.size, augment=found.augment)
        assert found == wanted, recipe


def test_a_loaders_batches_scale_the_learning_rate_as_other_batches_do(monkeypatch):
    found, fit = [], sys.modules["bnlib.training.fit"]
    monkeypatch.setattr(fit, "_Fit", lambda name, model, source, chosen, *_, **__: found.append(chosen) or sys.exit())
    pair = images()
    for train, more in ((pair, {"batch_size": 16}), (DataLoader(TensorDataset(*pair), batch_size=16), {})):
        with pytest.raises(SystemExit):
            training.fit(network(), train, pair, "bn", recipe="imagenet", progress=False, **more)
    assert found[0] == found[1] and found[0].lr == pytest.approx(0.4 * 16 / 1024)


def test_one_image_that_would_be_left_joins_the_batch_before():
    flat = nn.Sequential(nn.Conv2d(3, 8, 8), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4))  # one pixel a feature
    seen = []
    flat.register_forward_pre_hook(lambda module, inputs: seen.append((module.training, len(inputs[0]))))
    training.fit(flat, images(33), images(90), "bn", **QUICK | {"epochs": 1})
    assert seen == [(True, 16), (True, 17), (False, 64), (False, 26)]  # and no more at once than four batches
    given = data.Given(images(33), images())
    assert given.sizes(16, 33) == (16, 17) and given.sizes(16, 48) == (16,), "what the step is compiled for"


def test_what_has_no_length_can_be_evaluated_on_but_not_trained():
    class Stream(IterableDataset):
        def __iter__(self):
            return zip(*images(), strict=True)

    loader, model = DataLoader(Stream(), batch_size=16), network()
    assert bnlib.evaluate(model, loader) == pytest.approx(bnlib.evaluate(model, images()))
    with pytest.raises(ValueError, match="train .*a DataLoader that has a length"):
        training.fit(model, loader, images(), "bn", **QUICK)


def test_a_loader_that_gives_no_batch_is_refused_before_any_work():
    pair, model = images(), network()
    none = DataLoader(TensorDataset(*pair), batch_size=64, drop_last=True)
    for name, given in (("train", (none, pair)), ("test", (pair, none))):
        with pytest.raises(ValueError, match=rf"no images to {name} on: its 48 fill no batch of 64, .* nearest: batch_size 48$"):
            training.fit(model, *given, "bn", **QUICK)
    with pytest.raises(ValueError, match="no images to train on$"):
        training.fit(model, [], pair, "bn", **QUICK)
    assert all(p.requires_grad for p in model.parameters()), "nothing was done yet"


@pytest.mark.parametrize("count, near", [(9, "; nearest: 5$"), (7, "; nearest: 4$"), (1, "this network$")])
def test_a_lone_image_that_has_no_variance_is_refused_before_any_work(count, near):
    x, labels = images(count)
    size, model = {9: 4, 7: 2, 1: 4}[count], nn.Sequential(network()[:8], nn.Linear(256, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    loader = lambda **how: DataLoader(TensorDataset(x, labels), size, **how)  # noqa: E731
    state, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(ValueError, match=rf"batch_size {size}: the last batch of an epoch of {count} images would have 1.*{near}"):
        training.fit(model, loader(), (x, labels), "bn", **QUICK)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items()) and model.training
    assert torch.equal(torch.get_rng_state(), random) and all(p.requires_grad for p in model.parameters())
    if count > 1:  # where it is left out, joined to another, not normalised by itself, or has pixels enough, it is trained
        training.fit(model, loader(drop_last=True), (x, labels), "bn", **QUICK | {"epochs": 1})
        training.fit(model, (x, labels), (x, labels), "bn", **QUICK | {"epochs": 1, "batch_size": size})
        training.fit(model, loader(), (x, labels), "bn", statistics="held", **QUICK | {"epochs": 1})
        training.fit(network(), loader(), (x, labels), "bn", **QUICK | {"epochs": 1})


def test_a_sampler_says_how_many_images_there_are_or_else_the_data_set():
    class Loader(list):
        batch_size, dataset = 16, range(33)

    assert data.Given(Loader([1, 2, 3]), None).train_count == 33 and data.Given([1, 2, 3], None).train_count == 3
    pair = images(48)
    some = DataLoader(TensorDataset(*pair), 16, sampler=torch.utils.data.SubsetRandomSampler(range(33)))
    with pytest.raises(ValueError, match="an epoch of 33 images would have 1"):
        training.fit(nn.Sequential(network()[:8], nn.BatchNorm1d(256), nn.Linear(256, 4)), some, pair, "bn", **QUICK)


def test_a_parameter_that_is_part_of_a_larger_tensor_keeps_its_values():
    whole, grey = nn.Conv2d(3, 8, 3, padding=1), [network()[:8] + nn.Sequential(nn.Linear(256, 4)) for _ in range(2)]
    for model, weight in zip(grey, (whole.weight[:, :1].detach(), whole.weight[:, :1].detach().contiguous()), strict=True):
        model[0] = nn.Conv2d(1, 8, 3, padding=1)
        model[0].weight, model[0].bias = nn.Parameter(weight), nn.Parameter(whole.bias.detach().clone())
    x, labels = images()
    given = x[:, :1], labels
    found = [training.fit(model, given, given, "all", **QUICK | {"epochs": 1}) for model in grey]
    assert found[0].train_loss.tolist() == pytest.approx(found[1].train_loss.tolist(), rel=1e-4)
    for name, value in grey[0].state_dict().items():
        assert torch.allclose(value, grey[1].state_dict()[name], atol=1e-5), name
    wide = nn.Parameter(torch.arange(3.0)[:, None].expand(3, 4))  # one number in four places
    flat = optimiser.flatten([wide, nn.Parameter(torch.full((5,), 7.0))])
    assert wide.tolist() == [[k] * 4 for k in range(3)] and flat[12:].tolist() == [7] * 5


def test_a_seed_of_numpy_goes_on_where_a_plain_one_stopped_and_a_wrong_one_is_refused(tmp_path):
    pair = images()
    for seed in (np.int64(0), 0):
        training.fit(network(), pair, pair, "bn", seed=seed, folder=tmp_path, **QUICK)
    with pytest.raises(ValueError, match="seed 0.5: a whole number"):
        training.fit(network(), pair, pair, None, seed=0.5, **QUICK)


def test_a_batch_that_is_no_pair_is_refused():
    x, labels = images()
    loader = [{"pixel_values": x, "labels": labels}]
    for call in (lambda: training.fit(network(), loader, loader, "bn", **QUICK), lambda: bnlib.evaluate(network(), loader)):
        with pytest.raises(ValueError, match=r"a dict of 'pixel_values', 'labels': a pair \(images, labels\) is needed"):
            call()
    with pytest.raises(ValueError, match="is a Tensor: a pair"):
        bnlib.evaluate(network(), DataLoader(x, batch_size=16))
    for given, count in (((x,), "1 tensor"), ((x, labels, labels), "3 tensors")):
        with pytest.raises(ValueError, match=f"test: {count}: a pair"):
            bnlib.evaluate(network(), given)
    with pytest.raises(ValueError, match="no images to evaluate on"):
        bnlib.evaluate(network(), [])
    assert bnlib.evaluate(network(), [[x, labels, "more"]]) == bnlib.evaluate(network(), (x, labels))


def test_no_weight_decay_on_gamma_and_beta():
    model, pair = network(), images()
    with torch.no_grad():
        model[9].weight.zero_()  # so that no gradient reaches γ and β: only decay can move them
        model[9].bias.zero_()
    before = model[1].weight.clone()
    for decay_bn in (False, True):
        training.fit(model, pair, pair, "bn", weight_decay=0.5, decay_bn=decay_bn, momentum=0.0, **QUICK)
        assert torch.equal(model[1].weight, before) is not decay_bn


def test_our_own_networks_take_the_fused_step_and_give_what_a_run_gives(tmp_path):
    digits = data.load("digits")
    spec = RunSpec("resnet8", recipe="smoke", dataset="digits", epochs=2, train_images=512, test_images=200, augment="none")
    run = training.train(spec, folder=tmp_path, progress=False)
    model = bnlib.build("resnet8", seed=0)
    train = tuple(torch.cat(parts) for parts in zip(*digits.parts(train=True, images=512), strict=True))
    test = tuple(torch.cat(parts) for parts in zip(*digits.parts(images=200), strict=True))
    history = training.fit(model, train, test, "bn", recipe="smoke", epochs=2, precision="bf16", progress=False)
    assert history.test_accuracy.iloc[-1] == pytest.approx(run.accuracy, abs=0.1)
    assert history.train_loss.iloc[-1] == pytest.approx(run.history.train_loss.iloc[-1], rel=0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trainable": "bm"}, "did you mean 'bn'"),
        ({"statistics": "hold"}, "use one of moving, held; did you mean 'held'"),
        ({"precision": "fp16"}, "use one of bf16, fp32"),
        ({"recipe": "papr"}, "did you mean 'paper'"),
        ({"learning_rate": 0.1}, "setting 'learning_rate': use one of"),
        ({"augment": "flip"}, "augment: the images are yours"),
        ({"lr": -1}, "lr -1: a number above 0"),
        ({"train": 3}, "train 3: a DataLoader"),
        ({"train": TensorDataset(*images())}, "put it in a torch.utils.data.DataLoader"),
        ({"test": (images()[0], images()[1][:5])}, "as many whole labels"),
        ({"train": (images()[0], images()[1].int())}, "torch.int32: as many whole labels .*torch.int64"),
        ({"train": (images()[0][:0], images()[1][:0])}, "as many whole labels"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_before_any_work(change, says):
    model, pair = network(), images()
    before = copy.deepcopy(model.state_dict())
    given = {"train": pair, "test": pair, "trainable": "bn", **QUICK, **change}
    with pytest.raises(ValueError, match=says) as error:
        training.fit(model, given.pop("train"), given.pop("test"), given.pop("trainable"), **given)
    assert len(str(error.value).splitlines()) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_folder_that_cannot_be_written_is_said_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(store.StoreError, match="cannot be written"):
        training.fit(network(), images(), images(), folder=tmp_path / "file", **QUICK)


class Heads(nn.Module):
    """Gives a tuple, as networks with more heads than one do."""

    def __init__(self):
        super().__init__()
        self.body = network()

    def forward(self, x):
        scores = self.body(x)
        return scores, scores * 0


def test_networks_that_give_more_than_scores_and_doubles(recwarn):
    x, labels = images()
    assert len(training.fit(Heads(), (x, labels), (x, labels), **QUICK)) == 4
    assert len(training.fit(network().double(), (x, labels), (x, labels), **QUICK)) == 4


def test_evaluate_leaves_the_model_as_it_was():
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(256, 4)

        def forward(self, x):
            return self.fc(self.bn(self.conv(x)).view(len(x), -1))

    model, pair = Views().train(), images()
    model.bn.eval()
    strides, state = model.conv.weight.stride(), copy.deepcopy(model.state_dict())
    torch.set_default_dtype(torch.float64)
    try:
        bnlib.evaluate(model, pair)
        digits = data.load("digits")
        assert next(iter(digits.parts(images=2)))[0].dtype == torch.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert model.training and not model.bn.training and model.conv.weight.stride() == strides
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    model(pair[0])  # a forward with .view still works


def test_top_five():
    x, labels = images(40, 4)
    scores = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return scores[: len(x)]

    from bnlib import engine

    source = data.Given(None, (x, labels))
    source.classes = 12
    found = engine.measure(Fixed(), source)
    order = scores.argsort(1, descending=True)[:, :5]
    assert found.top5 == pytest.approx((order == labels[:, None]).any(1).float().mean().item())
    assert engine.measure(Fixed(), (x, labels)).top5 is None
