"""scikit-learn's handwritten digits: no download."""

import numpy as np

from bnlib import seeds
from bnlib.data.dataset import DataMissing


def arrays() -> tuple[np.ndarray, ...]:
    """1,437 images to train uint8 (N, 32, 32, 3) and their labels int64 (N,), 360 to test and theirs. Raises DataMissing."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataMissing("the data set digits comes with scikit-learn: pip install scikit-learn") from None
    digits = load_digits()
    # 8×8 pixels from 0 to 16, each repeated 4×4 times: exact on every machine, which an interpolation is not.
    images = np.kron(np.round(digits.images * (255 / 16)).astype(np.uint8), np.ones((1, 4, 4), np.uint8))
    images = np.repeat(images[..., None], 3, axis=3)
    labels = digits.target.astype(np.int64)
    order = seeds.stream("digits split").permutation(len(images))
    train, test = order[:1437], order[1437:]
    return images[train], labels[train], images[test], labels[test]
