"""Tasks made of CIFAR-10's pictures: the same pictures, asked something else."""

from pathlib import Path

import numpy as np

from bnlib import seeds
from bnlib.data import published
from bnlib.spec.choices import TASKS
from bnlib.words import one_of

SOURCE = "cifar10"  # whose files all of them are made of
ANIMALS = (2, 3, 4, 5, 6, 7)  # bird, cat, deer, dog, frog, horse; the others are vehicles
TURNS = 4
# The class of a picture's mirror image, where that is another one: a turn to the left is one to the right there.
MIRRORED = {"cifar10-rotation": (0, 3, 2, 1)}


def arrays(name: str, root: str | Path | None = None) -> list[np.ndarray]:
    """Images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), those to test and theirs, of the task `name`.

    cifar10-rotation: every picture is turned to the left by 0, 90, 180 or 270°, which is its label from 0 to 3; by how much is
    drawn once and for all, each as often. cifar10-animals: 1 for an animal, which three of five pictures show, 0 for a vehicle.
    cifar10-first5, cifar10-last5: the classes 0 to 4, and 5 to 9 as 0 to 4; of the pictures to train on, the first 5·k are k of
    each class. Raises ValueError for another name, DataMissing as `published.arrays`.
    """
    one_of("task", name, TASKS)
    train, train_labels, test, test_labels = published.arrays(SOURCE, root)
    if name == "cifar10-rotation":
        return [*_turned(train, "train"), *_turned(test, "test")]
    if name == "cifar10-animals":
        return [train, _animals(train_labels), test, _animals(test_labels)]
    first = 0 if name == "cifar10-first5" else 5
    some, tests = _five(train_labels, first), np.flatnonzero((test_labels >= first) & (test_labels < first + 5))
    return [train[some], train_labels[some] - first, test[tests], test_labels[tests] - first]


def _turned(images: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures, each turned, and by how many quarters, int64 (N,)."""
    turns = seeds.stream("cifar10-rotation", part).permutation(np.arange(len(images)) % TURNS)
    turned = np.empty_like(images)
    for turn in range(TURNS):
        turned[turns == turn] = np.rot90(images[turns == turn], turn, axes=(1, 2))
    return turned, turns.astype(np.int64)


def _animals(labels: np.ndarray) -> np.ndarray:
    return np.isin(labels, ANIMALS).astype(np.int64)


def _five(labels: np.ndarray, first: int) -> np.ndarray:
    """The places of the pictures of five classes, one of each class after the other, in each class in the order of the files."""
    return np.stack([np.flatnonzero(labels == one) for one in range(first, first + 5)], axis=1).flatten()
