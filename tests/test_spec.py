"""Specs: one content, one name, for ever; and a clear line for every bad value."""

import dataclasses

import pytest

from bnlib import RECIPES, RunSpec

# These ids name folders of results/. They may never change: a new field of RunSpec needs a default that leaves them alone.
GOLDEN = {
    "resnet110_bn_paper_seed0-86cc7f64": dict(model="resnet110"),
    "resnet14_bn_paper_seed0-3c3e6a91": dict(model="resnet14"),
    "resnet14_bn_short_seed3-0f3f4ffc": dict(model="resnet14", recipe="short", seed=3),
    "resnet14_bn_short_seed0-f7b08146": dict(model="resnet14", recipe="short"),
    "resnet14_all_short_seed0-45e7a78d": dict(model="resnet14", trainable="all", recipe="short"),
    "resnet14_random2_smoke_seed0-892bd5fc": dict(model="resnet14", trainable="random:2", recipe="smoke"),
    "resnet14_bn_paper_seed0-aeb35458": dict(model="resnet14", epochs=40),
}


@pytest.mark.parametrize("run_id", GOLDEN)
def test_ids_are_pinned(run_id):
    assert RunSpec(**GOLDEN[run_id]).id == run_id


@pytest.mark.parametrize(
    "fields, same_as",
    [
        (dict(trainable="beta+gamma"), dict(trainable="bn")),
        (dict(trainable="output+bn"), dict(trainable="bn+output")),
        (dict(trainable="features+shortcut+output"), dict(trainable="all-bn")),
        (dict(trainable="gamma+beta+features+shortcut+output"), dict(trainable="all")),
        (dict(model="wrn14-1"), dict(model="resnet14")),
        (dict(epochs=160, lr=0.1, milestones=(80, 120)), {}),
    ],
)
def test_equal_content_is_one_spec(fields, same_as):
    spec, other = (RunSpec(**{"model": "resnet14", **f}) for f in (fields, same_as))
    assert spec == other and spec.id == other.id


def test_a_spec_survives_json_and_cannot_be_changed():
    spec = RunSpec("wrn14-2", "random:3+output", recipe="short", milestones=[2, 5], lr=0.3)
    assert RunSpec(**spec.to_dict()) == spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.seed = 1


def test_epochs_alone_move_the_milestones():
    assert RunSpec("resnet14", epochs=40).settings.milestones == (20, 30)
    assert RunSpec("resnet14", epochs=1).settings.milestones == ()
    assert RunSpec("resnet14", recipe="short").settings == dataclasses.replace(RECIPES["paper"], epochs=16, milestones=(8, 12))


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(model="resnet433"), "nearest: 428 and 434"),
        (dict(model="resnet7"), "nearest: 8"),
        (dict(model="resnt14"), "did you mean resnet14?"),
        (dict(model="wrn14-0"), "width factor W must be at least 1"),
        (dict(trainable="bnn"), "unknown group 'bnn'.*did you mean 'bn'"),
        (dict(trainable="bn+all"), "'all' stands alone"),
        (dict(trainable="random:0"), "nearest: random:1"),
        (dict(trainable="random:17"), "smallest filter of resnet14, which has 16 weights; nearest: random:16"),
        (dict(recipe="papr"), "use one of paper, short, smoke; did you mean 'paper'"),
        (dict(dataset="cifar"), "did you mean 'cifar10'"),
        (dict(epochs=0), "epochs 0: .* nearest: 1"),
        (dict(epochs=2.5), "epochs 2.5"),
        (dict(batch_size=1), "nearest: 2"),
        (dict(seed=-1), "nearest: 0"),
        (dict(lr=0), "above 0"),
        (dict(lr=float("nan")), "above 0"),
        (dict(momentum=1.0), "below 1"),
        (dict(weight_decay=-1), "at least 0"),
        (dict(precision="fp16"), "did you mean 'bf16'|fp32"),
        (dict(weight_init="he"), "kaiming_normal"),
        (dict(bn_init="zeros"), "uniform"),
        (dict(augment="crop+flip"), "did you mean 'flip\\+crop'|flip"),
        (dict(milestones=(9, 3)), "increasing"),
        (dict(milestones=(200,)), "between 1 and 159"),
        (dict(milestones=5), "a tuple of epochs"),
        (dict(epochs=1, milestones=(1,)), "1 epoch has none"),
    ],
)
def test_bad_values_give_one_clear_line(fields, message):
    with pytest.raises(ValueError, match=message) as error:
        RunSpec(**{"model": "resnet14", **fields})
    assert "\n" not in str(error.value)
