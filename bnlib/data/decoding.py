"""A file to pixels as a network sees them: any kind of picture, cut at random to train or in the middle to test."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bnlib import seeds
from bnlib.data.augmentation import CROP_PADDING, MEAN
from bnlib.data.dataset import DataMissing
from bnlib.data.folders import Part

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # by what is in the file; Pillow would run a program for some others
LARGEST = 89_478_485  # pixels, from where on Pillow warns of a file that is small and wants all memory
SCALE, RATIO = (0.1, 1.0), (0.8, 1.25)  # a random cut's share of the picture, and its width over its height: the authors' code
BLANK = np.array(np.round(np.array(MEAN) * 255), np.uint8)  # a pixel that normalised is about 0


class Unreadable(Exception):
    """A file is no picture that can be used; the message says why in a few words."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A context with the picture in a file, of which the head alone has been read. Raises Unreadable, whatever goes wrong in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd in a file and does no harm
        try:
            with open(path, "rb") as file:
                image = Image.open(file, formats=FORMATS)
                if image.width * image.height > LARGEST:
                    raise Unreadable(f"{image.width}×{image.height} pixels are too many")
                yield image
        except (Unreadable, MemoryError):  # for want of memory a picture is not a bad one
            raise
        except Image.UnidentifiedImageError:
            raise Unreadable("no picture that can be recognised") from None
        except Exception as error:  # as many kinds as there are ways to write such a file
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreadable(" ".join(said.split())[:120]) from None


def picture(path: Path) -> Image.Image:
    """The picture in a file, red, green and blue, as a person would see it. Raises Unreadable.

    Of a moving one the first frame; turned as its EXIF says; 16 bits brought to 8; what is transparent laid on white. (ImageFolder
    neither turns nor lays on white, and shows 16 bits almost white.) Colour profiles are not applied.
    """
    with opened(path) as image:
        image.load()
        if image.format == "TIFF" and image.mode == "I" and image.tag_v2.get(258) == (32,):  # bits a sample
            raise Unreadable("its pixels have 32 bits, of an unknown range")
        image = _turned(image)
        if image.mode.startswith("I"):
            image = _from_16_bits(np.asarray(image), image.info.get("transparency"))
        if image.mode == "F":
            raise Unreadable("its pixels are fractions of an unknown range")
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # what it says of itself is damaged, and not the picture
        return image


def _from_16_bits(values: np.ndarray, clear: int | None = None) -> Image.Image:
    """Grey of 8 bits; the value `clear` is transparent, and laid on white."""
    if values.max(initial=0) > 65535 or values.min(initial=0) < 0:
        raise Unreadable("its pixels have 32 bits, of an unknown range")
    grey = ((values.astype(np.int64) + 128) // 257).astype(np.uint8)
    return Image.fromarray(np.where(values == clear, np.uint8(255), grey) if isinstance(clear, int) else grey)


def cut(width: int, height: int, random: np.random.RandomState) -> tuple[int, int, int, int]:
    """Top, left, height, width of a random cut, as torchvision's RandomResizedCrop draws it.

    By a stream of our own, for torchvision draws from torch's global one: the cut would depend on the process that decodes.
    """
    for _ in range(10):
        area, ratio = width * height * random.uniform(*SCALE), math.exp(random.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(random.randint(height - h + 1)), int(random.randint(width - w + 1)), h, w
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - h) // 2, (width - w) // 2, h, w


def view(image: Image.Image, kind: str, size: int, random: np.random.RandomState) -> np.ndarray:
    """What the network sees of a picture, uint8 (size, size, 3).

    kind: `test`, the shorter side 256/224 of `size` and the middle of that; `flip+resized`, a random cut made `size`, and mirrored
    or not; `flip+crop`, `flip`, `crop`, `none`: the shorter side `size`, the middle of that, then as CIFAR-10. Resized by
    torchvision, bilinear, antialiased.
    """
    from torchvision.transforms.v2 import functional as F

    if "resized" in kind:
        image = F.resized_crop(image, *cut(image.width, image.height, random), [size, size])
    else:
        side = round(size * 256 / 224) if kind == "test" else size
        short, long = sorted(image.size)
        if long / short * side**2 > LARGEST:
            raise Unreadable(f"{image.width}×{image.height} pixels are too long a strip")
        image = F.center_crop(F.resize(image, [side]), [size, size])
        if "crop" in kind:
            top, left = map(int, random.randint(0, 2 * CROP_PADDING + 1, 2))
            image = F.crop(F.pad(image, [CROP_PADDING]), top, left, size, size)
    if "flip" in kind and random.randint(2):
        image = F.horizontal_flip(image)
    return np.asarray(image)


@dataclass(frozen=True)
class Task:
    """Pictures to decode: those `indices` of a part (`train` or `test`), as `view` has `kind`, at random by seed and epoch."""

    part: str
    kind: str
    indices: np.ndarray
    seed: int = 0
    epoch: int = 0


@dataclass(frozen=True)
class Decoder:
    """Decodes pictures of these parts to this size, wherever it is: in this process or in another."""

    parts: dict[str, Part]
    size: int

    def __call__(self, task: Task) -> tuple[np.ndarray, dict[int, str]]:
        """The pictures of a task, uint8 (N, size, size, 3), and which of them cannot be read, with the reason.

        In training the next one of its class that can be read stands in for such a picture; in a test, a blank one. What is random
        depends on seed, epoch and picture alone. Raises DataMissing if no picture of a class can be read.
        """
        seen, unreadable = np.empty((len(task.indices), self.size, self.size, 3), np.uint8), {}
        for place, index in zip(seen, task.indices.tolist(), strict=True):
            place[:] = BLANK if task.kind == "test" else 0
            part = self.parts[task.part]
            own = part.of_class(int(part.labels[index]))
            for other in (index,) if task.kind == "test" else itertools.chain(range(index, own.stop), range(own.start, index)):
                try:
                    place[:] = self._view(part, other, task, index)
                    break
                except Unreadable as error:
                    unreadable[other] = str(error)
            else:
                if task.kind != "test":
                    raise DataMissing(
                        f"{part.path(index).parent}: not one of its {len(own)} pictures can be read ({unreadable[index]})"
                    )
        return seen, unreadable

    def _view(self, part: Part, index: int, task: Task, drawn: int) -> np.ndarray:
        if not part.sizes[index]:
            raise Unreadable("empty")
        random = seeds.stream("picture", task.seed, task.epoch, drawn)
        return view(picture(part.path(index)), task.kind, self.size, random)


def first(part: Part, label: int) -> dict[int, str]:
    """The pictures of a class before the first that can be opened, with the reason. Raises DataMissing if there is none."""
    unreadable = {}
    for index in part.of_class(label):
        try:
            if not part.sizes[index]:
                raise Unreadable("empty")
            with opened(part.path(index)):
                return unreadable
        except Unreadable as error:
            unreadable[index] = str(error)
    raise DataMissing(f"{part.path(index).parent}: not one of its {len(unreadable)} pictures can be read ({unreadable[index]})")
