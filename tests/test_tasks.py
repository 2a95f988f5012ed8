"""Tasks made of CIFAR-10: what a picture is asked, how often, and that augmentation leaves the answer right."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from bnlib import RunSpec, cli, data, models
from bnlib.data import tasks
from bnlib.spec import datasets
from bnlib.spec.choices import TASKS


@pytest.fixture(scope="module")
def rotation(cifar10):
    return data.load("cifar10-rotation")


def test_a_turned_picture_is_the_picture_turned_to_the_left_by_its_label(cifar10, rotation):
    for part in ("train", "test"):
        pictures, turned, labels = (
            getattr(one, f"{part}_{what}").numpy()
            for one, what in ((cifar10, "images"), (rotation, "images"), (rotation, "labels"))
        )
        for i in (*range(20), -1):
            np.testing.assert_array_equal(turned[i], np.rot90(pictures[i], labels[i]))
        assert np.bincount(labels).tolist() == [len(pictures) // 4] * 4
    assert rotation.train_labels[:10_000].tolist() != rotation.test_labels.tolist()
    again = data.load("cifar10-rotation")
    assert again.checksum == rotation.checksum != cifar10.checksum


def test_a_mirrored_picture_has_the_label_of_the_turn_that_it_shows(cifar10, rotation):
    """What a training sees is a picture that was mirrored or not, and then turned by its label."""
    seen = set()
    for flip in (False, True):
        order, flips, middle = torch.arange(64), torch.full((64,), flip), torch.full((64, 2), 4)
        x, labels = rotation.take(order, middle, flips)
        for i in range(64):
            upright = cifar10.train_images[i].flip(1) if flip else cifar10.train_images[i]
            assert torch.equal(x[i], data.normalise(upright.rot90(int(labels[i]))[None])[0])
        seen |= {(flip, *pair) for pair in zip(rotation.train_labels[:64].tolist(), labels.tolist(), strict=True)}
    assert {(was, now) for flip, was, now in seen if flip} == {(0, 0), (1, 3), (2, 2), (3, 1)}
    assert {(was, now) for flip, was, now in seen if not flip} == {(k, k) for k in range(4)}


def test_only_turned_pictures_change_their_class_in_a_mirror(cifar10):
    batch = torch.arange(16), torch.full((16, 2), 4), torch.ones(16, dtype=torch.bool)
    for name in ("cifar10", "cifar10-animals"):
        one = data.load(name)
        assert one.mirrored is None and torch.equal(one.take(*batch)[1], one.train_labels[:16])
        assert torch.equal(one.take(*batch)[0], cifar10.take(*batch)[0])


def test_animals_are_three_of_five(cifar10):
    animals = data.load("cifar10-animals")
    for part in ("train", "test"):
        labels, names = getattr(animals, f"{part}_labels"), getattr(cifar10, f"{part}_labels")
        assert labels.double().mean() == 0.6
        assert sorted(names[labels == 1].unique().tolist()) == list(tasks.ANIMALS)


@pytest.mark.parametrize("name, first", [("cifar10-first5", 0), ("cifar10-last5", 5)])
def test_of_five_classes_the_first_pictures_are_as_many_of_each(cifar10, name, first):
    five = data.load(name)
    assert five.classes == 5 and five.test_count == 5000
    for k in (1, 10, 100, 5000):
        assert five.train_labels[: 5 * k].bincount().tolist() == [k] * 5
    own = (cifar10.test_labels >= first) & (cifar10.test_labels < first + 5)
    assert torch.equal(five.test_labels, cifar10.test_labels[own] - first)
    assert torch.equal(five.test_images, cifar10.test_images[own])
    assert torch.equal(five.train_images[five.train_labels == 2], cifar10.train_images[cifar10.train_labels == first + 2])
    with_few = five.epoch(seed=0, epoch=0, batch_size=128, augment="none", images=50)
    assert len(with_few) == 1 and sorted(with_few[0][0].tolist()) == list(range(50))


@pytest.mark.parametrize("name", TASKS)
def test_what_a_spec_says_of_a_task_is_so(cifar10, name):
    one = data.load(name)
    assert (one.name, one.classes, one.train_count, one.test_count) == (name, datasets.CLASSES[name], *datasets.COUNTS[name])
    assert sorted(one.train_labels.unique().tolist()) == list(range(one.classes)) == sorted(one.test_labels.unique().tolist())
    assert RunSpec("resnet14", dataset=name).classes == one.classes and RunSpec("resnet14", dataset=name).id.startswith(f"{name}_")


@pytest.mark.parametrize("classes", [2, 4, 5])
@pytest.mark.parametrize("weight_init", ["kaiming_normal", "kaiming_uniform"])
def test_a_network_of_fewer_classes_is_the_first_outputs_of_that_of_ten(classes, weight_init):
    ten, fewer = (models.draw("resnet14", 3, weight_init=weight_init, classes=count).state_dict() for count in (10, classes))
    for name, tensor in fewer.items():
        assert torch.equal(tensor, ten[name][:classes] if name.startswith("output.") else ten[name]), name


def test_a_mistyped_task_is_told_the_nearest():
    with pytest.raises(ValueError, match="dataset 'cifar10-rotations': .*cifar10-last5.*did you mean 'cifar10-rotation'"):
        RunSpec("resnet14", dataset="cifar10-rotations")
    with pytest.raises(ValueError, match="task 'cifar10': use one of cifar10-rotation"):
        tasks.arrays("cifar10")
    with pytest.raises(data.DataMissing, match="CIFAR-10 is not in /nowhere"):
        data.load("cifar10-animals", "/nowhere")


def test_bnlib_data_lists_them(cifar10):
    said = CliRunner().invoke(cli.main, ["data"]).output
    assert "every md5 right" in said and all(name in said for name in TASKS)
    own = CliRunner().invoke(cli.main, ["data", "--dataset", "cifar10-animals"]).output
    assert "made of them, cifar10-animals: 2 classes" in own and "cifar10-last5" not in own
