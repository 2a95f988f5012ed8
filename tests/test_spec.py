"""Specs: one content, one name, for ever; and a clear line for every bad value."""

import dataclasses
import time

import numpy as np
import pytest

from bnlib import RECIPES, RunSpec
from bnlib.spec import architecture, check_depth, parse

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
        (dict(trainable="random:2+random:3"), "stands there once.*nearest: random:2"),
        (dict(trainable="random:" + "9" * 5000), "smallest filter of resnet14, which has 16 weights"),
        (dict(trainable="random:17"), "smallest filter of resnet14, which has 16 weights; nearest: random:16"),
        (dict(recipe="papr"), "use one of paper, short, smoke, imagenet, blog, blog-short; did you mean 'paper'"),
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
        (dict(seed=10**300), "whole number from 0 to 9223372036854775807 is needed; nearest: 9223372036854775807"),
        (dict(seed=10**5000), "of thousands of digits.*nearest: 9223372036854775807"),
        (dict(seed=True), "seed True: a whole number"),
        (dict(seed="3"), "seed '3': a whole number from 0 .* nearest: 3"),
        (dict(seed=np.True_), "seed True: a whole number"),
        (dict(seed=np.float64(3.0)), "seed 3.0: a whole number from 0 .* nearest: 3"),
        (dict(seed=np.array([3])), "seed .3.: a whole number"),
        (dict(seed=float("nan")), "seed nan: a whole number"),
        (dict(epochs=10**24), "from 1 to 100000 is needed; nearest: 100000"),
        (dict(batch_size=10**24), "from 2 to 100000 is needed; nearest: 100000"),
        (dict(train_images=10**12), "from 1 to 1000000"),
        (dict(weight_decay=1e308), "of at least 0 and up to 1000 is needed; the recipe 'paper' has 0.0001"),
        (dict(lr=10**400), "above 0 and up to 1000"),
        (dict(lr=True), "above 0"),
        (dict(lr="0.1"), "lr '0.1': a number above 0"),
        (dict(lr_drop=10, milestones=tuple(range(1, 160))), "after 159 of them the learning rate would be above 1000"),
        (dict(decay_bn=1), "use True or False"),
        (dict(model="wrn14-1000000"), "at most 1000000000 weights; nearest: wrn14-76"),
        (dict(model="wrn866-" + "9" * 5000), "at most 1000000000 weights; nearest: wrn866-8"),
        (dict(model="resnet999998"), "at most 10000 layers; nearest: 9998"),
        (dict(model="resnet" + "9" * 5000), "at most 10000 layers; nearest: 9998"),
        (dict(model="vgg" + "9" * 5000), "nearest: vgg19"),
        (dict(model="resnt" + "9" * 5000), "unknown model"),
        (dict(model=None), "unknown model None"),
        (dict(recipe=10**5000), "recipe of thousands of digits"),
        (dict(recipe=np.array([[1], [2]])), "recipe"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_values_give_one_clear_line(fields, message):
    with pytest.raises(ValueError, match=message) as error:
        RunSpec(**{"model": "resnet14", **fields})
    assert "\n" not in str(error.value) and len(str(error.value)) < 260


@pytest.mark.parametrize(
    "fields",
    [
        dict(seed=np.int64(3), epochs=np.uint8(40), lr=np.float64(0.3), milestones=np.array([10, 20])),
        dict(seed=np.array(3), epochs=np.int16(40), lr=np.float64(0.3), milestones=[np.int32(10), np.int64(20)]),
        dict(
            seed=3,
            epochs=40,
            lr=0.3,
            milestones=(10, 20),
            model=np.str_("resnet14"),
            decay_bn=np.True_,
            weight_decay=np.float64(1e-4),
        ),
    ],
)
def test_numpys_numbers_are_pythons(fields):
    spec, same = RunSpec(**{"model": "resnet14", **fields}), RunSpec("resnet14", seed=3, epochs=40, lr=0.3, milestones=(10, 20))
    assert spec == same and spec.id == same.id and spec.text == same.text and spec.to_dict() == same.to_dict()
    assert {type(value) for value in spec.to_dict().values()} <= {str, int, float, bool, tuple, type(None)}
    assert {type(epoch) for epoch in spec.milestones} == {int}


def test_what_is_equal_has_one_id():
    assert RunSpec("resnet14", weight_decay=-0.0).id == RunSpec("resnet14", weight_decay=0).id
    assert RunSpec("resnet14", lr=1).id == RunSpec("resnet14", lr=1.0).id
    assert len(RunSpec("resnet14", "random:16+output", seed=2**63 - 1).id) < 200  # it names a folder


def test_the_largest_that_is_allowed_is_allowed():
    most = dict(epochs=100_000, batch_size=100_000, train_images=1_000_000, lr=1000, weight_decay=1000, momentum=0.999999)
    assert RunSpec("resnet9998", seed=2**63 - 1, **most).settings.weight_decay == 1000
    assert RunSpec("wrn14-76").model == "wrn14-76" and check_depth(np.int64(9998)) == 9998
    assert RunSpec("resnet14", lr=1e-3, lr_drop=10, milestones=(1, 2, 3, 4, 5, 6)).settings.learning_rate(6) == pytest.approx(1000)
    with pytest.raises(ValueError, match="above 1000"):
        RunSpec("resnet14", lr=1e-2, lr_drop=10, milestones=(1, 2, 3, 4, 5, 6))


def test_a_name_is_read_at_once_however_long_it_is():
    start = time.perf_counter()
    for name in ("resnet" + "9" * 10**6, "wrn14-" + "7" * 10**6, "x" * 10**6, "vgg1" + "1" * 10**6):
        with pytest.raises(ValueError):
            architecture(name)
    with pytest.raises(ValueError):
        parse("random:1+" + "bn+" * 10**5 + "x")
    assert time.perf_counter() - start < 2
