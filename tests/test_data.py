"""Data: checked files, batches that depend on seed and epoch alone, augmentation against an obvious implementation."""

import shutil

import numpy as np
import pytest
import torch

from bnlib import data
from bnlib.data import cifar10 as files


def obvious(image, top, left, flip):
    """Pad by four black pixels, cut, mirror: one image at a time."""
    padded = np.zeros((40, 40, 3), np.uint8)
    padded[4:36, 4:36] = image
    cut = padded[top : top + 32, left : left + 32]
    return cut[:, ::-1] if flip else cut


def test_augmentation_is_crop_then_mirror():
    random = np.random.RandomState(0)
    images, offsets, flips = random.randint(0, 256, (50, 32, 32, 3), np.uint8), random.randint(0, 9, (50, 2)), random.rand(50) < 0.5
    got = data.augment(torch.tensor(images), torch.tensor(offsets), torch.tensor(flips)).numpy()
    for i in range(50):
        np.testing.assert_array_equal(got[i], obvious(images[i], *offsets[i], flips[i]))


def test_the_checksums_and_images_are_torchvisions(cifar10):
    from torchvision.datasets import CIFAR10

    assert list(map(list, files.MD5.items())) == CIFAR10.train_list + CIFAR10.test_list
    test = CIFAR10(data.folder(), train=False)
    assert (cifar10.test_images.numpy() == test.data).all() and cifar10.test_labels.tolist() == test.targets


def test_normalisation_is_torchvisions():
    from torchvision.transforms import Compose, Normalize, ToTensor

    images = np.random.RandomState(0).randint(0, 256, (4, 32, 32, 3), np.uint8)
    expected = torch.stack([Compose([ToTensor(), Normalize(data.MEAN, data.STD)])(image) for image in images])
    got = data.normalise(torch.tensor(images))
    torch.testing.assert_close(got, expected)
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_is_a_function_of_seed_and_epoch():
    digits = data.load("digits")
    epoch = lambda seed, number: data.take(digits, *data.draw(1437, seed=seed, epoch=number, kind="flip+crop"))  # noqa: E731
    first, again, later, other = epoch(0, 3), epoch(0, 3), epoch(0, 4), epoch(1, 3)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], later[1]) and not torch.equal(first[1], other[1])
    assert torch.equal(first[1].sort()[0], digits.train_labels.sort()[0])


def test_without_augmentation_images_stay_as_they_are():
    digits = data.load("digits")
    order, offsets, flips = data.draw(1437, seed=0, epoch=0, kind="none")
    assert torch.equal(data.take(digits, order, offsets, flips)[0], digits.train_images[order])


def test_order_and_crops_are_pinned():
    digits = data.load("digits")
    images, labels = data.take(digits, *(t[:8] for t in data.draw(1437, seed=0, epoch=0, kind="flip+crop")))
    assert labels.tolist() == [4, 6, 0, 8, 9, 3, 9, 1] and int(images.sum()) == 1675896


def test_digits_are_real_and_split():
    digits = data.load("digits")
    assert digits.train_images.shape == (1437, 32, 32, 3) and digits.test_images.shape == (360, 32, 32, 3)
    assert digits.train_images.max() == 255 and set(digits.test_labels.tolist()) == set(range(10))


def test_a_missing_cifar10_says_the_command(tmp_path):
    with pytest.raises(data.DataMissing, match=r"bnlib data --download --data .*BNLIB_DATA") as error:
        data.load("cifar10", tmp_path)
    assert "\n" not in str(error.value)


def test_one_flipped_byte_is_found(cifar10, tmp_path):
    copy = tmp_path / files.FOLDER
    copy.mkdir()
    for file in (data.folder() / files.FOLDER).iterdir():
        (copy / file.name).symlink_to(file)
    (copy / "data_batch_3").unlink()
    shutil.copy(data.folder() / files.FOLDER / "data_batch_3", copy)
    with open(copy / "data_batch_3", "r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(data.DataMissing, match="data_batch_3 is damaged"):
        data.load("cifar10", tmp_path)


def test_cifar10_is_whole(cifar10):
    assert cifar10.train_images.shape == (50_000, 32, 32, 3) and torch.bincount(cifar10.test_labels).tolist() == [1000] * 10
    assert cifar10.checksum.startswith("6b3883dc")
