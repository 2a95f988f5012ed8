"""Data: checked files, batches that depend on seed and epoch alone, augmentation against an obvious implementation."""

import contextlib
import hashlib
import os
import pickle
import shutil
from pathlib import Path

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
    epoch = lambda seed, number: digits.take(*data.draw(1437, seed=seed, epoch=number, kind="flip+crop"))  # noqa: E731
    first, again, later, other = epoch(0, 3), epoch(0, 3), epoch(0, 4), epoch(1, 3)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], later[1]) and not torch.equal(first[1], other[1])
    assert torch.equal(first[1].sort()[0], digits.train_labels.sort()[0])


def test_without_augmentation_images_stay_as_they_are():
    digits = data.load("digits")
    order, offsets, flips = data.draw(1437, seed=0, epoch=0, kind="none")
    assert torch.equal(digits.take(order, offsets, flips)[0], data.normalise(digits.train_images[order]))


def test_order_and_crops_are_pinned():
    digits = data.load("digits")
    drawn = [t[:8] for t in data.draw(1437, seed=0, epoch=0, kind="flip+crop")]
    images, labels = data.augment(digits.train_images[drawn[0]], *drawn[1:]), digits.train_labels[drawn[0]]
    assert labels.tolist() == [4, 6, 0, 8, 9, 3, 9, 1] and int(images.sum()) == 1675896
    assert torch.equal(digits.take(*drawn)[0], data.normalise(images)) and torch.equal(digits.take(*drawn)[1], labels)


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


@pytest.fixture
def linked(cifar10, tmp_path):
    """A folder of CIFAR-10's files, as links: one may be replaced."""
    (tmp_path / files.FOLDER).mkdir()
    for file in files.MD5:
        (tmp_path / files.FOLDER / file).symlink_to(data.folder().resolve() / files.FOLDER / file)
    return tmp_path


class Runs:
    """A pickle of this runs a command when it is opened in the usual way."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_what_is_put_in_a_files_place_after_its_check_is_not_read(linked, cifar10, monkeypatch):
    real = hashlib.md5

    def then_replaced(*args, **kwargs):
        checked = linked / files.FOLDER / "data_batch_1"
        checked.unlink()
        checked.write_bytes(pickle.dumps(Runs(f"touch {linked}/ran")))
        monkeypatch.setattr(hashlib, "md5", real)
        return real(*args, **kwargs)

    monkeypatch.setattr(hashlib, "md5", then_replaced)
    assert data.load("cifar10", linked).checksum == cifar10.checksum and not (linked / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch {ran}'\ntR.",
        b"cnumpy\nload\n(S'{ran}'\ntR.",
        b"cnumpy\nndarray.tofile\n(S'{ran}'\ntR.",
        b"cbuiltins\nexec\n(Vopen('{ran}', 'w')\ntR.",
        b"N.",
        b"",
        b"}.",
        b"(lp0\n.",
        pickle.dumps({"data": np.zeros((3, 3072), np.uint8), "labels": [0] * 3}, protocol=2),
        pickle.dumps({"data": [0], "labels": [[]]}, protocol=2),
        b"(" * 100_000 + b"l" * 100_000 + b".",
    ],
    ids=["system", "load", "tofile", "exec", "nothing", "empty", "no data", "a list", "too few", "no array", "nested"],
)
def test_nothing_is_run_from_a_file_even_if_its_md5_were_right(content, linked, monkeypatch):
    path = linked / files.FOLDER / "data_batch_1"
    path.unlink()
    path.write_bytes(content.replace(b"{ran}", str(linked / "ran").encode()))
    monkeypatch.setitem(files.MD5, "data_batch_1", hashlib.md5(path.read_bytes()).hexdigest())
    with pytest.raises(data.DataMissing, match="data_batch_1 is not a batch of images") as error:
        data.load("cifar10", linked)
    assert "\n" not in str(error.value) and not (linked / "ran").exists()


@contextlib.contextmanager
def nobody():
    """As a user who may read nothing that is not everybody's."""
    if os.geteuid():
        yield
    else:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)


def unreadable(path: Path):
    path.unlink(missing_ok=True)
    path.touch()
    path.chmod(0)


def a_closed_folder(path: Path):
    path.parent.chmod(0)


def a_folder(path: Path):
    path.unlink()
    path.mkdir()


def a_pipe(path: Path):
    path.unlink()
    os.mkfifo(path)


def a_loop(path: Path):
    path.unlink()
    path.symlink_to(path)


def without_end(path: Path):
    path.unlink()
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing


@pytest.mark.parametrize(
    "change, message",
    [
        (unreadable, "data_batch_1 cannot be read .Permission denied"),
        (a_closed_folder, "data_batch_1 cannot be read .Permission denied"),
        (a_folder, "data_batch_1 is not a file. Move it away"),
        (a_pipe, "data_batch_1 is not a file"),
        (a_loop, "data_batch_1 cannot be read .Too many"),
        (without_end, "data_batch_1 is damaged"),
    ],
)
def test_what_cannot_be_read_is_one_line(change, message, linked):
    change(linked / files.FOLDER / "data_batch_1")
    try:
        with nobody() if "denied" in message else contextlib.nullcontext(), pytest.raises(data.DataMissing, match=message) as error:
            data.load("cifar10", linked)
    finally:
        (linked / files.FOLDER).chmod(0o755)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_there_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    with pytest.raises(data.DataMissing, match="is not in .* --data '.*/a file'"):
        data.load("cifar10", tmp_path / "a file")
    for root in ("~nosuchuser/x", None):
        monkeypatch.delenv("BNLIB_DATA", raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where there is no account and no HOME
        with pytest.raises(data.DataMissing, match="no home folder for ~.*set BNLIB_DATA"):
            data.load("cifar10", root)
    with pytest.raises(data.DataMissing, match="--data /nowhere"):  # which needs no home
        data.load("cifar10", "/nowhere")


def test_a_download_opens_no_file_as_a_pickle_and_what_is_right_is_not_asked_for_again(linked, monkeypatch):
    from torchvision.datasets import CIFAR10, utils

    asked = []
    monkeypatch.setattr(utils, "download_and_extract_archive", lambda *args, **kwargs: asked.append((args, kwargs)))
    monkeypatch.setattr(pickle, "load", None)
    assert data.download(linked) == linked and not asked
    (linked / files.FOLDER / "test_batch").unlink()
    data.download(linked)
    assert asked == [((CIFAR10.url, str(linked)), {"filename": CIFAR10.filename, "md5": CIFAR10.tgz_md5})]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(utils, "download_and_extract_archive", full)
    with pytest.raises(data.DataMissing, match="could not be downloaded into .*No space left"):
        data.download(linked)
