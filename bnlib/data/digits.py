"""scikit-learn's handwritten digits: no download."""

import importlib.util
from pathlib import Path

import numpy as np

from bnlib import seeds
from bnlib.data.dataset import DataMissing


def arrays() -> tuple[np.ndarray, ...]:
    """1,437 images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), 360 to test and theirs. Raises DataMissing."""
    pixels, labels = _read()
    # 8×8 pixels from 0 to 16, each repeated 4×4 times: exact on every machine, which an interpolation is not.
    images = np.kron(np.round(pixels * (255 / 16)).astype(np.uint8), np.ones((1, 4, 4), np.uint8))
    images = np.repeat(images[..., None], 3, axis=3)
    labels = labels.astype(np.int64)
    order = seeds.stream("digits split").permutation(len(images))
    train, test = order[:1437], order[1437:]
    return images[train], labels[train], images[test], labels[test]


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 8, 8) and labels (1797,) as scikit-learn has them, of its file where it lies: to import it takes seconds."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.origin:  # the latter of an empty folder of that name
        raise DataMissing("the data set digits comes with scikit-learn: pip install scikit-learn")
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.exists():
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images, digits.target
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1]
