"""Accuracy of a network, the same number wherever it is computed."""

import torch

from bnlib import data, machine
from bnlib.engine.step import Plain

BATCH = 500


@machine.exact()
@torch.no_grad()
def evaluate(
    model, dataset: data.Dataset, *, images: int | None = None, step: Plain | None = None, train: bool = False
) -> tuple[float, float]:
    """Accuracy (a fraction) and mean cross-entropy of `model` on the test images, on the model's device.

    In fp32 and without compiling, so that it gives the same number wherever it is called; `step` evaluates by another
    step instead. images: only the first so many. train: on the training images instead, in the same way, not augmented.
    """
    step, mode = step or Plain(model, "fp32"), model.training
    model.eval().to(memory_format=torch.channels_last)
    device = next(model.parameters()).device
    pixels, labels = (dataset.train_images, dataset.train_labels) if train else (dataset.test_images, dataset.test_labels)
    pixels, labels = pixels[:images], labels[:images].to(device)
    correct, loss = 0.0, 0.0
    for start in range(0, len(labels), BATCH):
        part = slice(start, start + BATCH)
        mean, right = step.loss(data.normalise(pixels[part].to(device)), labels[part])
        correct, loss = correct + right, loss + mean * len(labels[part])
    model.train(mode)
    return float(correct) / len(labels), float(loss) / len(labels)
