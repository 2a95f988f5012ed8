"""A folder of one's own pictures: what is in it, what of it is said in a line, what a network sees, and how it is decoded."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional  # noqa: F401  before a test becomes a user who may not read it
from patience import until
from PIL import Image
from test_data import nobody

import bnlib
from bnlib import data
from bnlib.cli import main
from bnlib.data import crew, decoding, pictures

COUNTS = {"train": {"Zoo": 30, "ant": 50, "bee with é": 40}, "val": {"Zoo": 7, "ant": 5, "bee with é": 6}}


def noise(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A picture like no other, that survives JPEG."""
    small = np.random.RandomState(seed).randint(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of small pictures, of which each is different."""
    seed = 0
    for part, classes in COUNTS.items():
        for name, count in classes.items():
            (tmp_path / "own" / part / name).mkdir(parents=True)
            for number in range(count):
                noise(seed).save(tmp_path / "own" / part / name / f"{number:03}.png")
                seed += 1
    return tmp_path / "own"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Pictures are decoded in this process, but where a test says otherwise."""
    monkeypatch.setenv("BNLIB_WORKERS", "0")


def load(folder: Path, size: int = 16) -> pictures.Pictures:
    return data.load(f"imagefolder:{folder}", size=size)


def epoch(source, **how) -> tuple[torch.Tensor, torch.Tensor]:
    """All pixels and labels of an epoch."""
    how = {"seed": 0, "epoch": 0, "batch_size": 50, "augment": "flip+resized", **how}
    return tuple(torch.cat(parts) for parts in zip(*source.epoch(**how), strict=True))


def test_classes_and_their_numbers_are_imagefolders(folder):
    from torchvision.datasets import ImageFolder

    ours, train, val = load(folder), ImageFolder(folder / "train"), ImageFolder(folder / "val")
    assert ours.class_names == tuple(train.classes) == ("Zoo", "ant", "bee with é") and ours.classes == 3
    assert (ours.train_count, ours.test_count) == (len(train), len(val)) == (120, 18)
    for part, theirs in (("train", train), ("test", val)):
        files = ours.files[part]
        assert [str(files.path(i)) for i in range(len(files))] == [path for path, _ in theirs.samples]
        assert files.labels.tolist() == theirs.targets
    labels = torch.cat([labels for _, labels in ours.parts(size=5)])
    assert labels.tolist() == val.targets


def test_a_last_batch_too_small_for_batchnorm_is_said_before_any_work(folder, runs_folder):
    # Of pictures of 16×16 one pixel is left behind this network's last convolution; 120 are 7 batches of 17, and one more.
    spec = bnlib.RunSpec("vgg11", recipe="smoke", dataset=f"imagefolder:{folder}", size=16, train_images=120, batch_size=17)
    with pytest.raises(ValueError, match="the last batch of an epoch of 120 images would have 1, .* nearest: 18"):
        bnlib.run(spec, progress=False)
    assert not runs_folder.exists() or not list(runs_folder.glob("imagefolder*"))


def test_the_folder_test_stands_for_val_where_there_is_none(folder):
    count = load(folder).test_count
    (folder / "val").rename(folder / "test")
    assert load(folder).test_count == count


# What is said in a line.


def a_file(folder):
    os.rename(folder, folder.with_name("away"))
    folder.write_text("")


def no_folder(folder):
    folder.rename(folder.with_name("away"))


def training(folder):
    (folder / "train").rename(folder / "training")


def no_val(folder):
    (folder / "val").rename(folder / "valid")


def no_class_in_val(folder):
    (folder / "val" / "ant").rename(folder / "val" / "ants")


def no_class_in_train(folder):
    (folder / "train" / "Zoo").rename(folder / "away")


def loose(folder):
    for path in sorted(folder.glob("val/*/*")):
        path.rename(folder / "val" / f"{path.parent.name}{path.name}")
    for path in folder.glob("val/*/"):
        path.rmdir()


def an_empty_class(folder):
    for path in folder.glob("val/ant/*"):
        path.unlink()


def another_kind(folder):
    for path in folder.glob("train/ant/*"):
        path.rename(path.with_suffix(".heic"))


def one_class(folder):
    for path in [*folder.glob("*/Zoo"), *folder.glob("*/bee*")]:
        path.rename(folder / f"{path.parent.name} {path.name}")


def a_class_of_text(folder):
    for path in folder.glob("train/ant/*"):
        path.write_text("not a picture")


def closed(folder):
    for parent in folder.parents[:4]:  # which pytest lets nobody else into
        parent.chmod(0o711)
    (folder / "train" / "ant").chmod(0)


@pytest.mark.parametrize(
    "change, message",
    [
        (a_file, "own is a file; a folder is needed"),
        (no_folder, "there is no folder .*own; needed"),
        (training, "there is no folder train; it has training, val; did you mean 'training'"),
        (no_val, r"there is no folder val \(or test\); it has train, valid; did you mean 'valid'"),
        (no_class_in_val, "val: of ant, which .*train has, there is no folder; did you mean 'ants'"),
        (no_class_in_train, "train: of Zoo, which .*val has, there is no folder"),
        (loose, "val: no class has a folder in it, but 18 files are"),
        (an_empty_class, "val/ant: there is no file in it"),
        (another_kind, r"train/ant: there is only files that are not named as pictures \(.heic\) in it; pictures are .bmp"),
        (one_class, "there is one class only, ant; two are needed"),
        (a_class_of_text, r"train/ant: not one of its 50 pictures can be read \(no picture that can be recognised\)|more than 1%"),
        (closed, "train/ant' cannot be read .Permission denied"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_one_line(change, message, folder):
    change(folder)
    with nobody() if change == closed else contextlib.nullcontext(), pytest.raises(data.DataMissing, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_the_command_says_it_in_a_line_and_how_fast_pictures_are_decoded(folder):
    from click.testing import CliRunner

    said = CliRunner().invoke(main, ["data", "--dataset", f"imagefolder:{folder}", "--size", "16"])
    assert said.exit_code == 0 and "3 classes, 120 training and 18 test images; 0 known to be unreadable" in said.output
    assert "decoded here to 16×16: " in said.output and "pictures a second, by the training itself" in said.output
    no_val(folder)
    said = CliRunner().invoke(main, ["data", "--dataset", f"imagefolder:{folder}"])
    assert said.exit_code == 1 and said.output.startswith("Error: ") and said.output.count("\n") == 1
    said = CliRunner().invoke(main, ["data", "--dataset", "digits", "--download"])
    assert said.exit_code == 1 and "those that are: cifar10, cifar100, svhn" in said.output


def test_how_many_processes_decode(monkeypatch):
    assert crew.workers() == 0
    monkeypatch.setenv("BNLIB_WORKERS", "many")
    with pytest.raises(ValueError, match="BNLIB_WORKERS 'many': a whole number from 0 to 1024"):
        crew.workers()
    monkeypatch.delenv("BNLIB_WORKERS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12), raising=False)
    assert crew.workers() == 11
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert crew.workers() == 2


# Which files are pictures.


def test_hidden_files_other_files_and_loops_are_left_out_and_links_and_capitals_are_not(folder):
    before, ant = load(folder), folder / "train" / "ant"
    for name in (".DS_Store", "._x.jpg", "Thumbs.db", "notes.txt"):
        (ant / name).write_text("x")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    assert load(folder).checksum == before.checksum
    noise(1).save(folder / "a picture.jpg")
    (ant / "A LINK.JPEG").symlink_to(folder / "a picture.jpg")
    (ant / "more").mkdir()
    (ant / "more" / "loop").symlink_to(ant)
    noise(2).save(ant / "more" / "im Grünen.Png", "PNG")
    (folder / "train" / "more").mkdir()
    (folder / "val" / "more").symlink_to(folder / "train" / "more")
    noise(3).save(folder / "train" / "more" / "x.webp")
    after = load(folder)
    assert after.train_count == before.train_count + 3 and after.classes == 4
    names = [after.files["train"].path(i).name for i in after.files["train"].of_class(1)]
    assert names[-1] == "A LINK.JPEG" or "A LINK.JPEG" in names and "im Grünen.Png" in names
    epoch(after)
    assert not after.unreadable


def test_the_checksum_is_of_names_and_sizes_on_every_file_system(folder):
    before = load(folder).checksum
    path = folder / "train" / "ant" / "004.png"
    os.utime(path, (0, 0))
    decomposed = folder / "train" / "bee with é"
    decomposed.rename(decomposed.with_name("bee with é"))  # as an older Mac writes the name
    assert load(folder).checksum == before and load(folder).class_names[2] == "bee with é"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert load(folder).checksum != before
    path.write_bytes(content)
    assert load(folder).checksum == before
    path.rename(path.with_name("004a.png"))
    assert load(folder).checksum != before


# What kinds of pictures there are.

PLAIN = (200, 40, 90)


def plain(mode="RGB", colour=PLAIN) -> Image.Image:
    return Image.new(mode, (20, 10), colour)


def cmyk(path):
    plain().convert("CMYK").save(path, "JPEG", quality=100)


def grey(path):
    plain("L", 77).save(path, "PNG")


def black_and_white(path):
    plain("1", 1).save(path, "PNG")


def sixteen_bits(path):
    Image.fromarray(np.full((10, 20), 77 * 257, np.uint16)).save(path, "PNG")


def sixteen_bits_tiff(path):
    Image.fromarray(np.full((10, 20), 77 * 257, np.uint16)).save(path, "TIFF")


def palette(path):
    plain().quantize(4).save(path, "PNG")


def transparent_palette(path):
    image = plain("P", 1)
    image.putpalette([0, 0, 0, *PLAIN])
    image.save(path, "PNG", transparency=1)


def half_transparent(path):
    plain("RGBA", (0, 0, 0, 128)).save(path, "PNG")


def transparent_grey(path):
    plain("LA", (10, 0)).save(path, "PNG")


def sixteen_bits_with_a_clear_value(path):
    Image.fromarray(np.full((10, 20), 5, np.uint16)).save(path, "PNG", transparency=5)


def moving(path):
    plain().save(path, "GIF", save_all=True, append_images=[plain(colour=(0, 0, 0)), plain(colour=(9, 9, 9))])


def webp(path):
    plain().save(path, "WEBP", lossless=True)


def other_extension(path):
    plain().save(path, "BMP")


@pytest.mark.parametrize(
    "write, colour",
    [
        (cmyk, PLAIN),
        (grey, (77, 77, 77)),
        (black_and_white, (255, 255, 255)),
        (sixteen_bits, (77, 77, 77)),
        (sixteen_bits_tiff, (77, 77, 77)),
        (palette, PLAIN),
        (transparent_palette, (255, 255, 255)),
        (half_transparent, (127, 127, 127)),
        (transparent_grey, (255, 255, 255)),
        (sixteen_bits_with_a_clear_value, (255, 255, 255)),
        (moving, PLAIN),
        (webp, PLAIN),
        (other_extension, PLAIN),
    ],
)
def test_every_kind_of_picture_is_seen_as_a_person_sees_it(write, colour, tmp_path):
    path = tmp_path / "picture.jpg"  # whatever it is
    write(path)
    image = decoding.picture(path)
    assert image.mode == "RGB" and image.size == (20, 10)
    np.testing.assert_allclose(np.asarray(image), np.broadcast_to(colour, (10, 20, 3)), atol=3)


def test_thirty_two_bits_are_of_no_known_range_however_small_the_values(tmp_path):
    Image.fromarray(np.full((10, 20), 200, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(decoding.Unreadable, match="32 bits, of an unknown range"):
        decoding.picture(tmp_path / "a.tif")


def test_two_folders_of_one_name_are_refused(folder):
    for part in ("train", "val"):
        for name in ("caf\u00e9", "cafe\u0301"):
            (folder / part / name).mkdir()
            noise(0).save(folder / part / name / "a.png")
    if len(list((folder / "train").glob("caf*"))) < 2:
        pytest.skip("this file system writes accents in one way alone")
    with pytest.raises(
        data.DataMissing, match="two folders are called 'caf\u00e9', with the accent written in two ways; join them"
    ):
        load(folder)


def test_a_training_does_not_go_on_with_other_pictures(folder, monkeypatch, capsys):
    spec = bnlib.RunSpec(
        "resnet8",
        recipe="smoke",
        dataset=f"imagefolder:{folder}",
        precision="fp32",
        epochs=2,
        batch_size=8,
        size=16,
        augment="flip+resized",
    )

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bnlib.training.train_together([spec], progress=False, callbacks=(stop,))
    first = next(iter(sorted((folder / "train").glob("*/*.png"))))
    first.unlink()
    run = bnlib.training.train_together([spec], progress=False)[0]
    assert "its images are not those that are here now" in capsys.readouterr().out
    assert run.info["data_checksum"] == load(folder).checksum and "earlier" not in run.info and len(run.history) == 2


def test_a_photograph_taken_upright_stands_upright(tmp_path):
    image = Image.fromarray(np.repeat(np.arange(20, dtype=np.uint8)[None] * 12, 10, 0))  # brighter to the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter, clockwise
    image.save(tmp_path / "a.png", exif=exif)
    seen = np.asarray(decoding.picture(tmp_path / "a.png"))[..., 0]
    assert seen.shape == (20, 10) and (seen == np.arange(20)[:, None] * 12).all()  # brighter to the bottom
    image.save(tmp_path / "b.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01nonsense")
    assert decoding.picture(tmp_path / "b.png").size == (20, 10)


# What cannot be read.


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("<svg/>")


def cut_off(path):
    noise(5, 400, 300).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:4000])


def cut_off_png(path):
    noise(5, 400, 300).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:4000])


def damaged(path):
    noise(5).save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[50:300] = bytes(250)
    path.write_bytes(content)


def too_large(path):
    Image.new("1", (20_000, 20_000)).save(path, "PNG")


def a_strip(path):
    Image.new("L", (65_000, 1)).save(path, "PNG")


def fractions(path):
    Image.fromarray(np.full((9, 9), 0.5, np.float32)).save(path, "TIFF")


def bits_32(path):
    Image.fromarray(np.full((9, 9), 1 << 20, np.int32)).save(path, "TIFF")


def gone(path):
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


BAD = [empty, text, cut_off, cut_off_png, damaged, too_large, a_strip, fractions, bits_32, gone, a_pipe]


@pytest.mark.parametrize("change", BAD)
def test_the_next_picture_stands_in_for_one_that_cannot_be_read_and_it_is_said_once(change, folder, caplog, monkeypatch):
    size = 64
    bad = folder / "train" / "ant" / "049.png"  # the last: the next is the first
    monkeypatch.setattr(pictures, "MOST_UNREADABLE", 0.2)
    before = load(folder, size)
    seen, labels = epoch(before, augment="none")
    change(bad)
    after = load(folder, size)
    again, same = epoch(after, augment="none")
    epoch(after, epoch=1)
    assert torch.equal(labels, same)
    different = (seen != again).flatten(1).any(1)
    first = decoding.view(decoding.picture(folder / "train" / "ant" / "000.png"), "none", size, None)
    assert different.sum() == 1 and np.array_equal(again[different][0].numpy(), first)
    assert list(after.unreadable) == [bad]
    (said,) = (record.getMessage() for record in caplog.records if record.name == "bnlib.data")
    assert "ant/049.png cannot be read (" in said and "the next picture of its class" in said and "\n" not in said


def test_an_evaluation_asks_about_a_blank_picture_instead(folder, caplog, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_UNREADABLE", 0.2)
    text(folder / "val" / "ant" / "003.png")
    source = load(folder)
    x, labels = (torch.cat(parts) for parts in zip(*source.parts(size=4), strict=True))
    assert len(labels) == 18 and x[7 + 3].abs().max() < 0.02 and x[7 + 2].abs().max() > 0.1
    assert "ant/003.png cannot be read (no picture that can be recognised): it counts as a blank picture" in caplog.text


def test_more_than_one_in_a_hundred_unreadable_ends_the_training_in_a_line(folder):
    for number in (20, 30):
        text(folder / "train" / "ant" / f"{number:03}.png")
    source = load(folder)
    with pytest.raises(
        data.DataMissing, match=r"train: 2 of 120 pictures cannot be read, more than 1%, such as .*ant/0.0.png"
    ) as error:
        epoch(source)
    assert "\n" not in str(error.value)
    for number in (20, 30):
        empty(folder / "train" / "ant" / f"{number:03}.png")
    with pytest.raises(data.DataMissing, match="2 of 120 pictures cannot be read.*empty"):  # known ahead
        load(folder)


# What a network sees.


def test_a_test_picture_is_torchvisions_resize_and_centre_crop():
    from torchvision.transforms import v2

    for width, height in ((640, 427), (300, 500), (20, 333), (224, 224)):
        image = noise(3, width, height)
        expected = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])(image)
        np.testing.assert_array_equal(decoding.view(image, "test", 224, None), np.asarray(expected))
        small = v2.Compose([v2.Resize(37), v2.CenterCrop(32)])(image)
        np.testing.assert_array_equal(decoding.view(image, "test", 32, None), np.asarray(small))


def test_a_random_cut_is_torchvisions():
    from torchvision.transforms import v2

    theirs = v2.RandomResizedCrop(224, scale=(0.1, 1), ratio=(0.8, 1.25))
    drawn = {}
    torch.manual_seed(0)
    for width, height in ((500, 375), (300, 400)):
        image, random = torch.zeros(3, height, width), np.random.RandomState(0)
        ours = np.array([decoding.cut(width, height, random) for _ in range(4000)])
        drawn = [theirs.make_params([image]) for _ in range(4000)]
        other = np.array([[one[name] for name in ("top", "left", "height", "width")] for one in drawn])
        assert (ours[:, 0] + ours[:, 2] <= height).all() and (ours[:, 1] + ours[:, 3] <= width).all() and (ours >= 0).all()
        for one in (ours, other):
            area, ratio = one[:, 2] * one[:, 3] / (width * height), one[:, 3] / one[:, 2]
            assert 0.098 < area.min() < 0.11 and area.max() > 0.9 and 0.78 < ratio.min() < 0.82 and 1.22 < ratio.max() < 1.28
        spread = other.std(0)
        assert (np.abs(ours.mean(0) - other.mean(0)) < 0.1 * spread).all() and (np.abs(ours.std(0) / spread - 1) < 0.06).all()
    for width, height in ((1000, 10), (10, 1000)):  # where no cut fits
        params = theirs.make_params([torch.zeros(3, height, width)])
        expected = tuple(params[name] for name in ("top", "left", "height", "width"))
        assert decoding.cut(width, height, np.random.RandomState(0)) == expected


def test_half_of_the_pictures_are_mirrored_and_a_crop_moves_by_four():
    image = noise(3, 32, 32)
    straight = np.asarray(image)
    for kind in ("flip", "crop", "none", "flip+crop"):
        random = np.random.RandomState(0)
        views = [decoding.view(image, kind, 32, random) for _ in range(300)]
        padded = np.pad(straight, ((4, 4), (4, 4), (0, 0)))
        places = [padded[top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
        allowed = places if "crop" in kind else [straight]
        flipped = [not any(np.array_equal(view, one) for one in allowed) for view in views]
        assert all(any(np.array_equal(v[:, ::-1], one) for one in allowed) for v, f in zip(views, flipped, strict=True) if f)
        assert (0.4 < np.mean(flipped) < 0.6) if "flip" in kind else not any(flipped)
        assert len({view.tobytes() for view in views}) > (60 if "crop" in kind else 0)


def test_a_batch_is_normalised_and_channels_last(folder):
    source = load(folder)
    batch = next(iter(source.epoch(seed=0, epoch=0, batch_size=10, augment="none")))
    x, labels = source.take(*batch)
    assert x.shape == (10, 3, 16, 16) and x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x, data.normalise(batch[0]))
    assert labels.dtype == torch.int64 and (labels < 3).all()


# An epoch.


def test_an_epoch_depends_on_seed_and_epoch_alone_whoever_decodes(folder, monkeypatch):
    source = load(folder)
    torch.manual_seed(3)
    state, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    seen, labels = epoch(source)
    assert torch.equal(torch.get_rng_state(), state) and (np.random.get_state()[1] == numpys).all()
    assert labels.bincount().tolist() == list(COUNTS["train"].values())
    for count in ("1", "3"):
        monkeypatch.setenv("BNLIB_WORKERS", count)
        other = load(folder)
        epoch(other, epoch=7)  # what went before makes no difference
        assert all(map(torch.equal, (seen, labels), epoch(other, batch_size=33)))
    monkeypatch.setattr(crew, "START", "spawn")  # as on a Mac
    monkeypatch.setenv("BNLIB_WORKERS", "1")
    assert torch.equal(epoch(load(folder))[0], seen)
    later, other = epoch(source, epoch=1), epoch(source, seed=1)
    assert not torch.equal(later[1], labels) and not torch.equal(other[1], labels)
    # The cut, too, is drawn anew: not only the order.
    one = lambda **how: decoding.Decoder(source.files, 16)(decoding.Task("train", "flip+resized", np.array([5]), **how))[0]  # noqa: E731
    assert not np.array_equal(one(seed=0, epoch=0), one(seed=0, epoch=1)) and not np.array_equal(one(seed=0), one(seed=1))
    assert np.array_equal(one(seed=0, epoch=1), one(seed=0, epoch=1))


def test_few_images_are_spread_over_the_classes(folder):
    source = load(folder)
    assert epoch(source, images=12)[1].bincount().tolist() == [3, 5, 4]
    assert torch.cat([labels for _, labels in source.parts(images=9)]).bincount().tolist() == [4, 2, 3]
    assert len(torch.cat([labels for _, labels in source.parts(train=True, images=10**6)])) == 120


def test_processes_share_a_batch_and_an_evaluation(folder):
    source = load(folder)
    how = dict(seed=0, epoch=0, batch_size=50, augment="flip+resized")
    shares = [list(source.epoch(**how, share=(k, 3))) for k in range(3)]
    for whole, *theirs in zip(source.epoch(**how), *shares, strict=True):
        assert torch.equal(torch.cat([pixels for pixels, _ in theirs]), whole[0])
        assert [len(labels) for _, labels in theirs] in ([17, 17, 16], [7, 7, 6])
    parts = [[len(labels) for _, labels in source.parts(size=5, share=(k, 2))] for k in (0, 1)]
    assert parts == [[5, 5], [5, 3]]
    assert [len(labels) for _, labels in source.epoch(**{**how, "batch_size": 2}, images=2, share=(2, 3))] == [0]


def test_two_trainings_and_an_evaluation_take_turns(folder, monkeypatch):
    monkeypatch.setenv("BNLIB_WORKERS", "2")
    source = load(folder)
    how = dict(epoch=0, batch_size=20, augment="flip+resized")
    alone = [list(source.epoch(seed=seed, **how)) for seed in (0, 1)]
    both = []
    for pair in zip(source.epoch(seed=0, **how), source.epoch(seed=1, **how), strict=True):
        both.append(pair)
        assert sum(len(labels) for _, labels in source.parts()) == 18
    for mine, theirs in zip(zip(*alone, strict=True), both, strict=True):
        assert all(torch.equal(a, b) for one, other in zip(mine, theirs, strict=True) for a, b in zip(one, other, strict=True))
    abandoned = source.epoch(seed=0, **how)
    next(abandoned)
    abandoned.close()
    assert len(epoch(source)[1]) == 120


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_process_that_is_killed_is_one_line_and_the_next_epoch_has_others(folder, monkeypatch):
    monkeypatch.setenv("BNLIB_WORKERS", "2")
    source = load(folder)
    batches = source.epoch(seed=0, epoch=0, batch_size=10, augment="none")
    next(batches)
    os.kill(next(iter(source.crew.pool._processes)), signal.SIGKILL)
    with pytest.raises(data.DataMissing, match="a process that decodes pictures was ended from outside .*BNLIB_WORKERS=1") as error:
        for _ in range(3):
            list(batches)
            batches = source.epoch(seed=0, epoch=1, batch_size=10, augment="none")
    assert "\n" not in str(error.value)
    assert len(epoch(source)[1]) == 120


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes by /proc")
def test_processes_that_decode_end_with_the_training_that_is_killed(folder):
    script = f"""
from bnlib import data
import itertools, sys
source = data.load("imagefolder:{folder}")
for number in itertools.count():
    for batch in source.epoch(seed=0, epoch=number, batch_size=10, augment="none"):
        print("batch", flush=True)
"""
    environment = {**os.environ, "BNLIB_WORKERS": "2"}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout.readline()
            children = workers_of(process.pid)
            assert len(children) == 2
        finally:
            process.kill()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), lambda: "they are still there")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_the_batches_are_the_same_on_any_stream(folder):
    source = load(folder, 64)
    expected = list(source.epoch(seed=0, epoch=0, batch_size=7, augment="flip+resized"))
    stream, sums = torch.cuda.Stream(), []
    with torch.cuda.stream(stream):
        batches = source.to("cuda").epoch(seed=0, epoch=0, batch_size=7, augment="flip+resized")
    for pixels, labels in batches:
        with torch.cuda.stream(stream):
            torch.cuda._sleep(1_000_000)  # so that copies run ahead
            sums.append((pixels.long().sum(), labels.clone()))
    stream.synchronize()
    for (total, labels), (pixels, theirs) in zip(sums, expected, strict=True):
        assert total.item() == pixels.long().sum().item() and torch.equal(labels.cpu(), theirs)


# Real photographs, and a training.


def test_real_photographs(photographs, caplog):
    source = load(photographs, 224)
    assert (source.classes, source.train_count, source.test_count) == (10, 200, 100)
    seen, labels = epoch(source)
    assert seen.shape == (200, 224, 224, 3) and labels.bincount().tolist() == [20] * 10
    x = torch.cat([x for x, _ in source.parts()])
    assert not source.unreadable and abs(x.mean()) < 0.5 and 0.8 < x.std() < 1.6  # as photographs are


@pytest.mark.slow
def test_a_network_learns_from_photographs(photographs):
    """The path is alive: its loss falls. Nothing more is to be had of 200 pictures."""
    spec = bnlib.RunSpec(
        "resnet8",
        "bn+output",
        recipe="smoke",
        dataset=f"imagefolder:{photographs}",
        precision="fp32",
        epochs=4,
        lr=0.1,
        batch_size=32,
        augment="flip+resized",
        size=24,
    )
    run = bnlib.run(spec, progress=False)
    assert run.history.train_loss.iloc[-1] < run.history.train_loss.iloc[0] - 0.05
    assert run.info["test_images"] == 100 and run.info["counts"]["output"] == 650
    source = data.of(spec)
    assert run.info["data_checksum"] == source.checksum
    assert bnlib.evaluate(run.model(), source)[0] == run.accuracy
