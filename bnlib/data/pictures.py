"""The user's own pictures as a source of images: decoded by processes of their own, on the device ahead of need."""

import collections
import itertools
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from bnlib import seeds
from bnlib.data import decoding, folders
from bnlib.data.augmentation import normalise
from bnlib.data.crew import Crew, workers
from bnlib.data.dataset import DataMissing
from bnlib.data.decoding import Decoder, Task
from bnlib.data.folders import Part

CHUNK = 32  # pictures that a process decodes at a time: a batch is decoded by all of them
MOST_UNREADABLE = 0.01  # of a part's pictures
log = logging.getLogger("bnlib.data")


@dataclass(frozen=True)
class Pictures:
    """A source of images, see `bnlib.data.Dataset`: files that are decoded when they are needed.

    class_names: in the order of their numbers. files: those to `train` and to `test`. size: the side of the square that the
    network sees. unreadable: the files that cannot be read, with the reason; each is said once by the logger `bnlib.data`. In
    training the next readable picture of its class stands in for such a file; an evaluation asks the network about a blank picture,
    so that the number of images stays the same. Once they are more than 1 % of those to train or to test, DataMissing is raised.
    """

    name: str
    class_names: tuple[str, ...]
    files: dict[str, Part] = field(repr=False)
    checksum: str
    size: int
    crew: Crew = field(repr=False)
    device: torch.device = torch.device("cpu")
    unreadable: dict[Path, str] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def train_count(self) -> int:
        """How many images there are to train on."""
        return len(self.files["train"])

    @property
    def test_count(self) -> int:
        """How many images there are to test on."""
        return len(self.files["test"])

    def to(self, device) -> "Pictures":
        """The same data set on `device`."""
        return replace(self, device=torch.device(device))

    def epoch(
        self, *, seed: int, epoch: int, batch_size: int, augment: str, images: int | None = None, share=(0, 1)
    ) -> Iterator[tuple[torch.Tensor, ...]]:
        """The batches of one epoch, in order, as `take` wants them. A GPU's are for the stream that is current at this call.

        augment: see `bnlib.data.decoding.view`. images: only so many, spread evenly over all. share: (rank, count), for one of
        several processes: of each batch its part.
        """
        chosen = _spread(self.train_count, images)
        order = chosen[seeds.stream("epoch", seed, epoch).permutation(len(chosen))]
        starts = range(0, len(order), batch_size)
        batches = (np.array_split(order[start : start + batch_size], share[1])[share[0]] for start in starts)
        return self._on_device(self._batches(batches, batch_size, "train", augment, seed, epoch))

    def take(self, pixels: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch of `epoch` normalised, fp32 (B, 3, size, size), channels_last; and its labels (B,)."""
        return normalise(pixels), labels

    def parts(self, *, train: bool = False, images: int | None = None, size: int = 500, share=(0, 1)) -> Iterator[tuple]:
        """Normalised test images fp32 (B, 3, size, size) and their labels (B,), in order, B at most `size`; train: training images.

        images: only so many, spread evenly over all. share: (rank, count), for one of several processes: its batches.
        """
        part = "train" if train else "test"
        chosen = _spread(len(self.files[part]), images)
        batches = (chosen[start : start + size] for start in range(share[0] * size, len(chosen), share[1] * size))
        moved = self._on_device(self._batches(batches, size, part, "test"))
        return ((normalise(pixels), labels) for pixels, labels in moved)

    def _batches(self, batches: Iterable[np.ndarray], most: int, part: str, *how) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """The decoded pieces of each batch of indices, of which none has more than `most`, and its labels."""
        batches, again = itertools.tee(batches)
        tasks = (Task(part, how[0], some, *how[1:]) for batch in again for some in _chunks(batch))
        decoded = self.crew.decode(tasks, ahead=math.ceil(most / CHUNK) + 2 * self.crew.count)
        for batch in batches:
            pieces = []
            for _ in _chunks(batch):
                seen, unreadable = next(decoded)
                self.note(part, unreadable)
                pieces.append(seen)
            yield pieces, self.files[part].labels[batch]

    def _on_device(self, batches: Iterator[tuple[list[np.ndarray], np.ndarray]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Pixels uint8 (B, size, size, 3) and labels (B,) on the device: on a GPU copied there while it computes something else."""
        on_gpu = self.device.type == "cuda"
        whole = (tuple(_tensor(array, on_gpu) for array in (_joined(pieces, self.size), labels)) for pieces, labels in batches)
        if not on_gpu:
            return (tuple(tensor.to(self.device) for tensor in batch) for batch in whole)
        return self._ahead(whole, torch.cuda.current_stream(self.device))

    def _ahead(self, batches, stream: "torch.cuda.Stream") -> Iterator[tuple[torch.Tensor, ...]]:
        copies, used = torch.cuda.Stream(self.device), collections.deque()
        for batch in batches:
            with torch.cuda.stream(copies):
                batch = tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)
            stream.wait_stream(copies)
            for tensor in batch:
                tensor.record_stream(stream)
            yield batch
            # What is done with a batch has been asked of the GPU by now; with two on their way, wait for the first of them.
            used.append(stream.record_event())
            if len(used) > 1:
                used.popleft().synchronize()

    def rate(self, seconds: float = 3.0) -> float:
        """Pictures a second that are decoded here, cut at random, when nothing else is to be done; measured for so long."""
        start, count = 0.0, 0
        for number in itertools.count():
            for pixels, _ in self.epoch(seed=0, epoch=number, batch_size=CHUNK, augment="flip+resized"):
                if start:
                    count += len(pixels)
                start = start or time.perf_counter()  # the first have waited for the processes to begin
                if count and (passed := time.perf_counter() - start) > seconds:
                    return count / passed

    def note(self, part: str, found: dict[int, str]) -> None:
        """Say which files cannot be read, once. Raises DataMissing if they are too many."""
        files = self.files[part]
        for index, reason in found.items():
            if (path := files.path(index)) not in self.unreadable:
                self.unreadable[path] = reason
                instead = "the next picture of its class stands in for it" if part == "train" else "it counts as a blank picture"
                log.warning("%s cannot be read (%s): %s", _shown(path), reason, instead)
        count = sum(path.is_relative_to(files.folder) for path in self.unreadable) if found else 0
        if count > MOST_UNREADABLE * len(files):
            path, reason = next((p, r) for p, r in self.unreadable.items() if p.is_relative_to(files.folder))
            raise DataMissing(
                f"{_shown(files.folder)}: {count} of {len(files)} pictures cannot be read, more than {MOST_UNREADABLE:.0%}, "
                f"such as {_shown(path)} ({reason}). Mend or remove them"
            )


def load(name: str, folder: Path, size: int = 32) -> Pictures:
    """The pictures in `folder`, a data set called `name`, shown to a network as `size`×`size`. Raises DataMissing, one line.

    Ahead of all work it finds every file, see `folders.find`, notes those that are empty, and opens pictures of each class until
    one can be read. To decode all would take as long as an epoch: what is damaged further in a file is found in training.
    """
    import torchvision.transforms.v2.functional  # noqa: F401  now, not once more in each process that decodes

    names, train, test, checksum = folders.find(folder)
    files = {"train": train, "test": test}
    found = Pictures(name, names, files, checksum, size, Crew(Decoder(files, size), workers()))
    for part, its in files.items():
        found.note(part, dict.fromkeys(np.flatnonzero(its.sizes == 0).tolist(), "empty"))
        for label in range(len(names)):
            found.note(part, decoding.first(its, label))
    return found


def _spread(total: int, images: int | None) -> np.ndarray:
    """The numbers of `images` of `total` pictures, or of all: evenly, for they are sorted by class."""
    count = min(images or total, total)
    return np.arange(count) * total // count


def _chunks(batch: np.ndarray) -> list[np.ndarray]:
    return [batch[start : start + CHUNK] for start in range(0, len(batch), CHUNK)]


def _joined(pieces: list[np.ndarray], size: int) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.empty((0, size, size, 3), np.uint8)


def _tensor(array: np.ndarray, pinned: bool) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if pinned else tensor


def _shown(path: Path) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")
