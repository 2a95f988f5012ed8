"""Specs: one content, one name, for ever; and a clear line for every bad value."""

import dataclasses
import os
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bnlib import RECIPES, RunSpec
from bnlib.cli import main
from bnlib.spec import architecture, check_depth, image_folder, parse

# These ids name folders of results/. They may never change: a new field of RunSpec needs a default that leaves them alone.
GOLDEN = {
    "resnet110_bn_paper_seed0-86cc7f64": dict(model="resnet110"),
    "resnet14_bn_paper_seed0-3c3e6a91": dict(model="resnet14"),
    "resnet14_bn_short_seed3-0f3f4ffc": dict(model="resnet14", recipe="short", seed=3),
    "resnet14_bn_short_seed0-f7b08146": dict(model="resnet14", recipe="short"),
    "resnet14_all_short_seed0-45e7a78d": dict(model="resnet14", trainable="all", recipe="short"),
    "resnet14_random2_smoke_seed0-892bd5fc": dict(model="resnet14", trainable="random:2", recipe="smoke"),
    "resnet14_bn_paper_seed0-aeb35458": dict(model="resnet14", epochs=40),
    "imagefolder-BNLIB-IMAGENET_imagenet-resnet50_bn_imagenet_seed0-937e92ea": dict(
        model="imagenet-resnet50", recipe="imagenet", dataset="imagefolder:$BNLIB_IMAGENET"
    ),
    "keras-resnet50_bn_blog_seed0-2834bd3a": dict(
        model="keras-resnet50", recipe="blog", weight_init="glorot_uniform", bn_init="he_normal"
    ),
    "cifar100_resnet14_bn_paper_seed0-9eefa641": dict(model="resnet14", dataset="cifar100", warmup=5, sync_bn=True),
}


PHOTOS = dict(recipe="imagenet", dataset="imagefolder:/data/pictures")


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
        (dict(warmup=0, size=32, sync_bn=False), {}),
        (dict(PHOTOS, batch_size=256, lr=0.1), dict(PHOTOS, batch_size=256)),
        (dict(PHOTOS, epochs=18, warmup=1, milestones=(6, 12, 16)), dict(PHOTOS, epochs=18)),
        (dict(PHOTOS, dataset="imagefolder:/data//pictures/x/../"), PHOTOS),
        (dict(PHOTOS, dataset="imagefolder:pictures"), dict(PHOTOS, dataset=f"imagefolder:{os.path.abspath('pictures')}")),
        (dict(PHOTOS, dataset="imagefolder:~/x"), dict(PHOTOS, dataset=f"imagefolder:{os.path.expanduser('~/x')}")),
        (dict(PHOTOS, dataset="imagefolder:$PICTURES/x/"), dict(PHOTOS, dataset="imagefolder:$PICTURES/x")),
        (dict(model="Keras-ResNet50"), dict(model="keras-resnet50")),
    ],
)
def test_equal_content_is_one_spec(fields, same_as):
    spec, other = (RunSpec(**{"model": "resnet14", **f}) for f in (fields, same_as))
    assert spec == other and spec.id == other.id


def test_the_rate_of_a_warm_up_rises_step_by_step_and_follows_the_batch():
    settings = RunSpec("imagenet-resnet50", batch_size=512, **PHOTOS).settings
    assert settings.lr == 0.2 and settings.warmup == 5 and settings.milestones == (30, 60, 80)
    assert [
        settings.learning_rate(epoch, done) for epoch, done in ((0, 0.25), (0, 1), (4, 0.5), (4, 1), (5, 0.01))
    ] == pytest.approx([0.2 * share for share in (0.05, 0.2, 0.9, 1, 1)])
    assert settings.learning_rate(30) == pytest.approx(0.02) and settings.learning_rate(89) == pytest.approx(0.0002)
    assert RunSpec("resnet14", batch_size=512).settings.lr == 0.1, "of the paper's recipe for CIFAR it does not"
    given = RunSpec("imagenet-resnet50", batch_size=512, lr=0.4, **PHOTOS)
    assert given.settings.lr == 0.4 and given.lr == 0.4
    assert not settings.alike(dataclasses.replace(settings, warmup=0), 1)


def test_a_data_set_says_how_many_classes_it_has_and_what_its_runs_are_called(monkeypatch, tmp_path):
    known = {name: RunSpec("resnet14", dataset=name).classes for name in ("cifar10", "digits", "cifar100", "svhn")}
    assert known == {"cifar10": 10, "digits": 10, "cifar100": 100, "svhn": 10}
    spec = RunSpec("resnet14", dataset="imagefolder:/data/my pictures (2)/été_1")
    assert spec.classes is None and spec.id.startswith("imagefolder-t-1_resnet14_bn_paper_seed0-") and spec.id.isascii()
    assert RunSpec("resnet14", dataset="imagefolder:/").id.startswith("imagefolder-pictures_resnet14")
    long = RunSpec("resnet14", dataset="imagefolder:/" + "x" * 5000)
    assert len(long.id) < 200
    assert RunSpec("resnet14", dataset="imagefolder:D:\\pictures\\x\\").dataset == "imagefolder:D:\\pictures\\x"
    monkeypatch.setenv("PICTURES", str(tmp_path))
    assert image_folder(RunSpec("resnet14", dataset="imagefolder:$PICTURES/a").dataset) == tmp_path / "a"
    assert image_folder("imagefolder:/a/$PICTURES") == Path("/a/$PICTURES") and image_folder("cifar10") is None
    monkeypatch.delenv("PICTURES")
    with pytest.raises(ValueError, match="set PICTURES to the folder that holds train/ and val/"):
        image_folder("imagefolder:$PICTURES/a")


def test_a_path_is_not_taken_for_more_fields():
    one = RunSpec("resnet14", dataset="imagefolder:/a decay_bn=False")
    other = RunSpec("resnet14", dataset="imagefolder:/a", decay_bn=False)
    assert one.text != other.text and one.id[-8:] != other.id[-8:]


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "resnet14", "--dataset", "cifar"], "did you mean 'cifar10'"),
        (["run", "resnet14", "--dataset", "imagefolder:"], "a path of printable characters"),
        (["run", "resnet14", "--warmup", "200"], "nearest: 160"),
        (["run", "resnet14", "--size", "64"], "nearest: 32"),
        (["run", "imagenet-resnet50", "--recipe", "imagenet"], "imagefolder:PATH"),
        (["estimate", "imagenet-resnet51"], "nearest: imagenet-resnet50"),
        (["sweep", "fig2_depth", "--recipe", "blog"], "use one of paper, short, smoke"),
        (["sweep", "blog_keras", "--dataset", "cifar"], "did you mean 'cifar10'"),
    ],
)
def test_the_command_line_says_the_same(words, message):
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 1 and message in said.output and len(said.output.splitlines()) == 1


def test_every_field_of_a_spec_is_an_option_but_how_many_images_it_is_tested_on():
    run = main.get_command(None, "run")
    asked = {parameter.name for parameter in run.params}
    assert {field.name for field in dataclasses.fields(RunSpec)} - asked == {"test_images"}


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
        (dict(model="resnet9999"), "nearest: 9998$"),
        (dict(model="wrn-40-999"), "did you mean resnet38"),
        (dict(model="vgg16", size=8), "nearest: 32"),
        (dict(model="vgg16", trainable="bn+shortcut+output"), "vgg16 has no shortcuts; nearest: bn.output"),
        (dict(model="vgg16", trainable="shortcut"), "trainable 'shortcut': vgg16 has no shortcuts; nearest: bn"),
        (dict(model="vgg16", then="shortcut", switch=2), "then 'shortcut': vgg16 has no shortcuts"),
        (dict(then="all", epochs=1), "then 'all': there is but 1 epoch; give epochs=2"),
        (dict(trainable="random:2", then="bn", switch=2), "random:K learns from the first epoch to the last; nearest: all"),
        (dict(trainable="norm+random:2", norm="group", then="all", switch=2), "first epoch to the last; nearest: norm"),
        (dict(model="resnt14"), "did you mean resnet14?"),
        (dict(model="wrn14-0"), "width factor W must be whole and at least 1"),
        (dict(trainable="bnn"), "unknown group 'bnn'.*did you mean 'bn'"),
        (dict(trainable="bn+all"), "'all' stands alone"),
        (dict(trainable="random:0"), "nearest: random:1"),
        (dict(trainable="random:2+random:3"), "stands there once.*nearest: random:2"),
        (dict(trainable="random:" + "9" * 5000), "smallest filter of resnet14, which has 16 weights"),
        (dict(trainable="random:17"), "smallest filter of resnet14, which has 16 weights; nearest: random:16"),
        (dict(recipe="papr"), "use one of paper, short, smoke, imagenet, blog, blog-short; did you mean 'paper'"),
        (dict(dataset="cifar"), "did you mean 'cifar10'"),
        (dict(epochs=0), "epochs 0: .* nearest: 1"),
        (dict(dataset="imagefolder"), "did you mean 'imagefolder:PATH'"),
        (dict(dataset="imagefolder: "), "a path of printable characters"),
        (dict(dataset="imagefolder:a\nb"), "a path of printable characters"),
        (dict(dataset="imagefolder:~nobody-of-that-name/x"), "no home folder for '~nobody-of-that-name'"),
        (dict(dataset="cifar-100"), "did you mean 'cifar100'"),
        (dict(dataset=100), "dataset 100: use one of cifar10, digits, cifar100, svhn, .*, imagefolder:PATH"),
        (dict(model="resnet18"), "nearest: 14 and 20; ImageNet's is called imagenet-resnet18"),
        (dict(model="resnet34"), "ImageNet's is called imagenet-resnet34"),
        (dict(model="resnet101"), "ImageNet's is called imagenet-resnet101"),
        (dict(model="imagenet-resnet20"), "N one of 18, 34, 50, 101, 152 or 200; nearest: imagenet-resnet18"),
        (dict(model="keras-resnet34"), "N one of 50, 101 or 152; nearest: keras-resnet50"),
        (dict(model="imagenet-resnt50"), "did you mean imagenet-resnet50?"),
        (dict(model="vgg16_bn"), "did you mean vgg16?"),
        (dict(model="vit"), "did you mean vit6?"),
        (dict(model="VGG"), "did you mean vgg16?"),
        (dict(model="resnet"), "did you mean resnet14?"),
        (dict(model="wrn14"), "did you mean wrn14-4?"),
        (dict(model="keras"), "did you mean keras-resnet50?"),
        (dict(model="densenet121"), "any other network learns by bnlib.fit"),
        (dict(model="imagenet-resnet"), "did you mean imagenet-resnet50?"),
        (dict(model="keras-resnet" + "9" * 5000), "nearest: keras-resnet152"),
        (dict(model="imagenet-resnet50", trainable="random:65"), "smallest filter of imagenet-resnet50, which has 64"),
        (dict(recipe="imagenet"), "recipe 'imagenet': its pictures are 224×224, those of cifar10 32×32; .*imagefolder:PATH"),
        (dict(recipe="imagenet", augment="flip+crop"), "size 224: the pictures of cifar10 are 32×32; nearest: 32"),
        (dict(size=64), "size 64: .* nearest: 32"),
        (dict(size=7), "from 8 to 1024 is needed; nearest: 8"),
        (dict(model="vgg11", size=15, dataset="imagefolder:x"), "vgg11 needs pictures of at least 16×16; nearest: 16"),
        (dict(augment="flip+resized"), "augment 'flip.resized': .*nearest: flip.crop"),
        (dict(warmup=161), "from 0 to 160 is needed; nearest: 160"),
        (dict(warmup=True), "warmup True"),
        (dict(sync_bn=1), "sync_bn 1: use True or False"),
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


def test_no_more_images_can_be_asked_for_than_there_are():
    for dataset, train, test in (("cifar10", 50_000, 10_000), ("digits", 1_437, 360), ("cifar10-last5", 25_000, 5_000)):
        assert RunSpec("resnet14", dataset=dataset, train_images=train, test_images=test).settings.train_images == train
        with pytest.raises(ValueError, match=f"train_images {train + 1}: {dataset} has {train:,} of them; nearest: {train}"):
            RunSpec("resnet14", dataset=dataset, train_images=train + 1)
        with pytest.raises(ValueError, match=f"test_images {test + 1}: .*nearest: {test}"):
            RunSpec("resnet14", dataset=dataset, test_images=test + 1)
    assert RunSpec("resnet14", dataset="imagefolder:/data", train_images=1_000_000).train_images == 1_000_000


def test_the_largest_that_is_allowed_is_allowed():
    most = dict(epochs=100_000, batch_size=100_000, train_images=50_000, lr=1000, weight_decay=1000, momentum=0.999999)
    assert RunSpec("resnet9998", seed=2**63 - 1, **most).settings.weight_decay == 1000
    assert RunSpec("wrn14-76").model == "wrn14-76" and check_depth(np.int64(9998)) == 9998
    assert RunSpec("resnet14", lr=1e-3, lr_drop=10, milestones=(1, 2, 3, 4, 5, 6)).settings.learning_rate(6) == pytest.approx(1000)
    with pytest.raises(ValueError, match="above 1000"):
        RunSpec("resnet14", lr=1e-2, lr_drop=10, milestones=(1, 2, 3, 4, 5, 6))


def test_a_name_is_read_at_once_however_long_it_is():
    start = time.process_time()
    for name in ("resnet" + "9" * 10**6, "wrn14-" + "7" * 10**6, "x" * 10**6, "vgg1" + "1" * 10**6):
        with pytest.raises(ValueError):
            architecture(name)
    with pytest.raises(ValueError):
        parse("random:1+" + "bn+" * 10**5 + "x")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [
        ("dataset", "CIFAR-10", "cifar10"),
        ("trainable", "BN", "bn"),
        ("recipe", "PAPER", "paper"),
        ("optimiser", "SGD", "sgd"),
        ("precision", "BF16", "bf16"),
    ],
)
def test_capitals_hide_no_nearest_value(field, value, near):
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        RunSpec("resnet14", **{field: value})
