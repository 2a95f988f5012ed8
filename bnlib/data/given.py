"""Images that a user has: a DataLoader, or a pair of tensors, as a source of batches."""

import hashlib
from collections.abc import Iterator, Mapping

import torch

from bnlib import seeds
from bnlib.words import shown


class Given:
    """Batches for training and testing that need nothing more done to them, as `bnlib.data.Dataset` has them.

    train, test: each a loader that has a length, or a pair of tensors (images, labels int64 (N,)); or None. A loader decides for
    itself in what order its images come and how many make a batch; tensors are mixed anew in each epoch, by the seed.
    """

    name, classes = "given", None

    def __init__(self, train, test):
        trains = train is not None  # what is only evaluated on needs no length
        self.sets = {"train": _checked("train", train, trains), "test": _checked("test", test, trains)}
        self.train_count, self.test_count = (_count(one) if trains and one is not None else 0 for one in (train, test))

    def check_batches(self) -> None:
        """Raise ValueError, one line, if there is no batch to train on, or none to test on."""
        for name, given in self.sets.items():
            if not len(given):
                count, size = _count(given), getattr(given, "batch_size", None)
                left = (
                    f": its {count} fill no batch of {size}, and drop_last leaves them out; nearest: batch_size {count}"
                    if count
                    else ""
                )
                raise ValueError(f"there are no images to {name} on{left}")

    @property
    def checksum(self) -> str:
        """Of the labels, and of a loader, which may give others each time, of the number of images."""
        text = hashlib.sha256()
        for given in self.sets.values():
            text.update(given[1].cpu().numpy().tobytes() if _tensors(given) else str(_count(given)).encode())
        return text.hexdigest()

    @property
    def batch_size(self) -> int | None:
        """How many images make a batch of the loader to train with; None if it does not say, and of tensors."""
        return None if _tensors(self.sets["train"]) else getattr(self.sets["train"], "batch_size", None)

    def sizes(self, size: int, images: int) -> tuple[int, ...]:
        """How many images the batches of an epoch have, each number once.

        A loader's are of `size`, but for its last; one that says nothing of its batches is taken to have such alone.
        """
        train = self.sets["train"]
        if _tensors(train):
            return tuple(dict.fromkeys(_sizes(images, size)))
        if self.batch_size is None or getattr(train, "drop_last", False):
            return (size,)
        return tuple(dict.fromkeys((min(size, images), images % size or size)))

    def steps(self, size: int, images: int | None = None) -> int:
        """How many batches make an epoch."""
        return len(_sizes(len(self.sets["train"][1][:images]), size)) if _tensors(self.sets["train"]) else len(self.sets["train"])

    def epoch(self, *, seed: int, epoch: int, batch_size: int, augment: str = "none", images: int | None = None, share=(0, 1)):
        """The batches of one epoch, a tuple of tensors each, as `take` wants them."""
        if not _tensors(self.sets["train"]):
            return map(_pair, self.sets["train"])
        x, labels = self.sets["train"]
        order = torch.from_numpy(seeds.stream("epoch", seed, epoch).permutation(len(labels[:images])))
        return ((x[part.to(x.device)], labels[part.to(labels.device)]) for part in order.split(_sizes(len(order), batch_size)))

    def take(self, x, labels) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch as the network wants it: as it is."""
        return x, labels

    def parts(self, *, train: bool = False, images: int | None = None, size: int = 500, share=(0, 1)) -> Iterator[tuple]:
        """Batches to evaluate on."""
        given, left = self.sets["train" if train else "test"], images
        if _tensors(given):
            given = zip(*(tensor.split(size) for tensor in given), strict=True)
        for x, labels in map(_pair, given):
            if left is not None:
                x, labels = x[:left], labels[:left]
                left -= len(labels)
            if len(labels):
                yield x, labels
            if left == 0:
                return


def _sizes(count: int, size: int) -> list[int]:
    """How many images are in each batch; a last one of a single image, of which BatchNorm can't take statistics, joins another."""
    sizes = [min(size, count - start) for start in range(0, count, size)]
    return [*sizes[:-2], sizes[-2] + 1] if len(sizes) > 1 and sizes[-1] == 1 else sizes


def _pair(batch) -> tuple:
    """Images and labels of a batch, whatever else is behind them. Raises ValueError, one line, if they do not come first."""
    if isinstance(batch, tuple | list) and len(batch) > 1 and all(hasattr(one, "to") for one in batch[:2]):
        return batch[0], batch[1]
    what = type(batch).__name__ + (f" of {', '.join(map(shown, batch))}" if isinstance(batch, Mapping) else "")
    raise ValueError(f"a batch of the loader is a {what}: a pair (images, labels) is needed, which a collate_fn can make of it")


def source(given):
    """What `given` is as a source of images: a data set of `bnlib.data.load` as it is, a loader or a pair of tensors to test on."""
    return given if hasattr(given, "parts") else Given(None, given)


def _tensors(given) -> bool:
    return isinstance(given, tuple | list) and len(given) > 0 and all(isinstance(one, torch.Tensor) for one in given)


def _count(given) -> int:
    """How many images there are; of a loader as many as its sampler takes."""
    if _tensors(given):
        return len(given[1])
    known = (getattr(given, name, None) for name in ("sampler", "dataset"))
    return len(next((one for one in known if hasattr(one, "__len__")), given))


def _checked(name: str, given, needs_length: bool):
    """`given` if it is something to take batches from. Raises ValueError, one line, if not."""
    if given is None:
        return given
    if _tensors(given):
        if len(given) != 2:
            raise ValueError(f"{name}: {len(given)} tensor{'s' * (len(given) > 1)}: a pair (images, labels) is needed")
        x, labels = given
        if len(x) != len(labels) or labels.ndim != 1 or labels.dtype != torch.int64 or not len(labels):
            raise ValueError(
                f"{name}: images {tuple(x.shape)} and labels {tuple(labels.shape)} {labels.dtype}: "
                "as many whole labels (N,), torch.int64, as images are needed"
            )
        return x, labels
    if isinstance(given, torch.utils.data.Dataset) and not hasattr(given, "batch_size"):
        raise ValueError(f"{name}: a {type(given).__name__} gives single images; put it in a torch.utils.data.DataLoader")
    try:  # a DataLoader of a stream has no length, and says so only when it is asked
        fits = hasattr(given, "__iter__") and (not needs_length or len(given) >= 0)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(f"{name} {shown(given)}: a DataLoader that has a length, or a pair of tensors (images, labels), is needed")
    return given
