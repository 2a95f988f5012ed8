"""Data: checked files, batches that depend on seed and epoch alone, augmentation against an obvious implementation."""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bnlib import data
from bnlib.data import digits, published
from bnlib.spec import datasets

files = published.SETS["cifar10"]


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

    assert list(map(list, files.md5.items())) == CIFAR10.train_list + CIFAR10.test_list
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


def test_digits_are_scikit_learns_read_without_importing_it(monkeypatch):
    from sklearn.datasets import load_digits

    there, (pixels, labels) = load_digits(), digits._read()
    assert np.array_equal(pixels, there.images) and np.array_equal(labels, there.target)
    monkeypatch.setattr(digits.Path, "exists", lambda path: False)  # as where scikit-learn keeps its files elsewhere
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(digits._read(), (pixels, labels), strict=True))
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(data.DataMissing, match="pip install scikit-learn"):
        digits.arrays()
    code = "import sys; from bnlib import data; data.load('digits'); raise SystemExit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_digits_are_real_and_split():
    digits = data.load("digits")
    assert digits.train_images.shape == (1437, 32, 32, 3) and digits.test_images.shape == (360, 32, 32, 3)
    assert digits.train_images.max() == 255 and set(digits.test_labels.tolist()) == set(range(10))


def test_a_missing_cifar10_says_the_command(tmp_path):
    with pytest.raises(data.DataMissing, match=r"bnlib data --download --data .*BNLIB_DATA") as error:
        data.load("cifar10", tmp_path)
    assert "\n" not in str(error.value)


def test_one_flipped_byte_is_found(cifar10, tmp_path):
    copy = tmp_path / files.folder
    copy.mkdir()
    for file in (data.folder() / files.folder).iterdir():
        (copy / file.name).symlink_to(file)
    (copy / "data_batch_3").unlink()
    shutil.copy(data.folder() / files.folder / "data_batch_3", copy)
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
    (tmp_path / files.folder).mkdir()
    for file in files.md5:
        (tmp_path / files.folder / file).symlink_to(data.folder().resolve() / files.folder / file)
    return tmp_path


class Runs:
    """A pickle of this runs a command when it is opened in the usual way."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Python2(pickle._Pickler):
    """Writes bytes as Python 2 did, which the files are from."""

    def save_bytes(self, content):
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes}


def written(folder: Path, name: str, monkeypatch, change=None) -> published.Published:
    """A few images in the form of the set `name`, in `folder`: its table as if these were the published ones."""
    real, random, counts = published.SETS[name], np.random.RandomState(0), (7, 3)
    (folder / real.folder).mkdir(exist_ok=True)
    for files, count in zip((real.train, real.test), counts, strict=True):
        for file in files:
            images, labels = random.randint(0, 256, (count, 32, 32, 3), np.uint8), random.randint(0, real.classes, count)
            labels[:2] = 0, real.classes - 1
            if change:
                change(labels)
            if name == "svhn":
                scipy_io = pytest.importorskip("scipy.io")
                y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
                scipy_io.savemat(folder / file, {"X": images.transpose(1, 2, 3, 0), "y": y}, do_compression=True)
            else:
                rows = images.transpose(0, 3, 1, 2).reshape(count, 3072)
                content = {"data": rows, "fine_labels": labels.tolist(), "coarse_labels": [0] * count, "filenames": ["x"] * count}
                Python2(stream := io.BytesIO(), protocol=2).dump(content)
                # numpy had another name for the place then.
                (folder / real.folder / file).write_bytes(stream.getvalue().replace(b"numpy._core.", b"numpy.core."))
    md5 = lambda file: hashlib.md5((folder / real.folder / file).read_bytes()).hexdigest()  # noqa: E731
    train, test = ({file: md5(file) for file in files} for files in (real.train, real.test))
    fake = dataclasses.replace(real, counts=counts, train=train, test=test)
    monkeypatch.setitem(published.SETS, name, fake)
    return fake


@pytest.mark.parametrize("name, kind", [("cifar100", "CIFAR100"), ("svhn", "SVHN")])
def test_other_sets_hold_what_torchvision_reads_from_the_same_files(name, kind, tmp_path, monkeypatch):
    import torchvision.datasets

    fake, its = written(tmp_path, name, monkeypatch), getattr(torchvision.datasets, kind)
    ours = data.load(name, tmp_path)
    assert ours.classes == fake.classes and ours.name == name and (ours.train_count, ours.test_count) == fake.counts
    for images, labels, files in (
        (ours.train_images, ours.train_labels, fake.train),
        (ours.test_images, ours.test_labels, fake.test),
    ):
        train, (file, md5), argument = files == fake.train, *files.items(), {}
        if name == "svhn":
            argument["split"] = part = "train" if train else "test"
            monkeypatch.setitem(its.split_list, part, ["", file, md5])
        else:
            argument["train"] = train
            monkeypatch.setattr(its, "train_list" if train else "test_list", [[file, md5]])
            monkeypatch.setattr(its, "_check_integrity", lambda self: True)  # of a file that we do not fake
            monkeypatch.setattr(its, "_load_meta", lambda self: None)
        theirs = its(tmp_path, **argument)
        pairs = [(np.asarray(image), label) for image, label in theirs]
        np.testing.assert_array_equal(images.numpy(), [image for image, _ in pairs])
        assert labels.tolist() == [label for _, label in pairs] and {0, fake.classes - 1} <= set(labels.tolist())


@pytest.mark.parametrize("name, kind", [("cifar100", "CIFAR100"), ("svhn", "SVHN")])
def test_other_sets_have_torchvisions_checksums(name, kind):
    import torchvision.datasets

    its, ours = getattr(torchvision.datasets, kind), published.SETS[name]
    theirs = {part: its.split_list[part][1:] for part in ("train", "test")} if name == "svhn" else None
    assert list(map(list, ours.train.items())) == ([theirs["train"]] if theirs else its.train_list)
    assert list(map(list, ours.test.items())) == ([theirs["test"]] if theirs else its.test_list)
    assert ours.folder == getattr(its, "base_folder", "")


@pytest.mark.parametrize("name, file", [("cifar100", "cifar-100-python/train"), ("svhn", "train_32x32.mat")])
def test_other_sets_say_in_a_line_what_is_wrong_with_them(name, file, tmp_path, monkeypatch):
    command = rf"bnlib data --dataset {name} --download --data {tmp_path}"
    with pytest.raises(data.DataMissing, match=command):  # nothing is there
        data.load(name, tmp_path)
    written(tmp_path, name, monkeypatch)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(data.DataMissing, match=f"{file} is damaged .*{command}"):
        data.load(name, tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(data.DataMissing, match=f"{file} is missing.*{command}"):
        data.load(name, tmp_path)

    def beyond(labels):
        labels[2] = 200

    written(tmp_path, name, monkeypatch, beyond if name == "cifar100" else None)
    if name == "cifar100":  # SVHN's are taken modulo 10
        with pytest.raises(data.DataMissing, match="is not a batch of images"):
            data.load(name, tmp_path)


def test_svhn_without_scipy_is_one_line(tmp_path, monkeypatch):
    written(tmp_path, "svhn", monkeypatch)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(data.DataMissing, match="SVHN: .*pip install scipy"):
        data.load("svhn", tmp_path)


def test_a_pickle_in_place_of_cifar100_is_not_run(tmp_path, monkeypatch):
    fake = written(tmp_path, "cifar100", monkeypatch)
    path = tmp_path / fake.folder / "train"
    path.write_bytes(pickle.dumps(Runs(f"touch {tmp_path}/ran")))
    monkeypatch.setitem(fake.train, "train", hashlib.md5(path.read_bytes()).hexdigest())
    with pytest.raises(data.DataMissing, match="is not a batch of images .*it asks for"):
        data.load("cifar100", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_name_or_a_size_that_is_none_gets_the_nearest():
    with pytest.raises(ValueError, match=r"dataset 'cifar1OO': use one of .*svhn, .*, imagefolder:PATH; did you mean 'cifar10+'"):
        data.load("cifar1OO")
    with pytest.raises(ValueError, match="size 64: the pictures of digits are 32×32; nearest: 32"):
        data.load("digits", size=64)
    with pytest.raises(ValueError, match="size 4: a whole number from 8 to 1024"):
        data.load("imagefolder:/nowhere", size=4)


def test_every_name_that_a_spec_may_have_can_be_loaded():
    made = {"cifar10-rotation": 4, "cifar10-animals": 2, "cifar10-first5": 5, "cifar10-last5": 5}
    assert datasets.CLASSES == {**{name: one.classes for name, one in published.SETS.items()}, "digits": 10, **made}
    assert datasets.COUNTS.keys() == datasets.CLASSES.keys()
    for name, one in published.SETS.items():
        assert datasets.COUNTS[name] == tuple(len(files) * n for files, n in zip((one.train, one.test), one.counts, strict=True))


def test_an_augmentation_that_needs_pictures_of_their_own_size_is_refused():
    with pytest.raises(ValueError, match=r"augment 'flip\+resized': .*imagefolder.*; nearest: flip\+crop"):
        data.load("digits").epoch(seed=0, epoch=0, batch_size=64, augment="flip+resized")


def test_what_is_put_in_a_files_place_after_its_check_is_not_read(linked, cifar10, monkeypatch):
    real = hashlib.md5

    def then_replaced(*args, **kwargs):
        checked = linked / files.folder / "data_batch_1"
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
    path = linked / files.folder / "data_batch_1"
    path.unlink()
    path.write_bytes(content.replace(b"{ran}", str(linked / "ran").encode()))
    monkeypatch.setitem(files.train, "data_batch_1", hashlib.md5(path.read_bytes()).hexdigest())
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
    change(linked / files.folder / "data_batch_1")
    try:
        with nobody() if "denied" in message else contextlib.nullcontext(), pytest.raises(data.DataMissing, match=message) as error:
            data.load("cifar10", linked)
    finally:
        (linked / files.folder).chmod(0o755)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_there_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    with pytest.raises(data.DataMissing, match="a file is a file; the folder that holds the data sets is needed"):
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
    (linked / files.folder / "test_batch").unlink()
    data.download(linked)
    assert asked == [((CIFAR10.url, str(linked)), {"filename": CIFAR10.filename, "md5": CIFAR10.tgz_md5})]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(utils, "download_and_extract_archive", full)
    with pytest.raises(data.DataMissing, match="could not be downloaded into .*No space left"):
        data.download(linked)


@pytest.mark.parametrize("name", ["cifar100", "svhn"])
def test_other_sets_are_asked_of_torchvisions_addresses(name, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR100, SVHN, utils

    asked = []
    monkeypatch.setattr(utils, "download_and_extract_archive", lambda *args, **kwargs: asked.append((*args, *kwargs.values())))
    monkeypatch.setattr(utils, "download_url", lambda *args: asked.append(args))
    data.download(tmp_path, name)
    whole = {
        "cifar100": [(CIFAR100.url, str(tmp_path), CIFAR100.filename, CIFAR100.tgz_md5)],
        "svhn": [(url, str(tmp_path), file, md5) for url, file, md5 in map(SVHN.split_list.get, ("train", "test"))],
    }
    assert asked == whole[name]
    written(tmp_path, name, monkeypatch)
    assert data.download(tmp_path, name) == tmp_path and len(asked) == len(whole[name])  # it is there now


def test_parts_are_the_images_in_order_and_not_augmented():
    digits = data.load("digits")
    parts = list(digits.parts(images=350, size=100))
    assert [len(labels) for _, labels in parts] == [100, 100, 100, 50]
    assert torch.equal(torch.cat([x for x, _ in parts]), data.normalise(digits.test_images[:350]))
    (x, labels), *_ = digits.parts(train=True, size=7)
    assert torch.equal(x, data.normalise(digits.train_images[:7])) and torch.equal(labels, digits.train_labels[:7])


def test_processes_share_a_batch_and_an_evaluation_without_leaving_or_doubling_any():
    digits = data.load("digits")
    whole = digits.epoch(seed=0, epoch=0, batch_size=100, augment="none")
    shares = [digits.epoch(seed=0, epoch=0, batch_size=100, augment="none", share=(k, 3)) for k in range(3)]
    for batch, *theirs in zip(whole, *shares, strict=True):
        assert torch.cat([part[0] for part in theirs]).equal(batch[0])
    labels = [[labels for _, labels in digits.parts(images=101, size=20, share=(k, 2))] for k in (0, 1)]
    assert [list(map(len, some)) for some in labels] == [[20, 20, 20], [20, 20, 1]]
    assert torch.cat([part for two in itertools.zip_longest(*labels) for part in two]).equal(digits.test_labels[:101])
