"""Accuracy of a network, the same number wherever it is computed."""

import contextlib
from dataclasses import dataclass

import torch

from bnlib import data, machine
from bnlib.engine.step import Plain
from bnlib.processes import ALONE, Processes
from bnlib.words import whole

TOP = 5  # with more than 10 classes: how often the right one is among so many


@dataclass(frozen=True)
class Evaluation:
    """What a network does on a set of images: accuracy and top5, fractions (top5: None up to 10 classes); mean cross-entropy."""

    accuracy: float
    loss: float
    top5: float | None = None


def evaluate(model, dataset, *, images: int | None = None, step: Plain | None = None, train: bool = False) -> tuple[float, float]:
    """Accuracy (a fraction) and mean cross-entropy of `model` on the test images, on the model's device.

    In fp32 and without compiling, so that it gives the same number wherever it is called; `step` evaluates by another step
    instead. dataset: what `bnlib.data.load` gives, or of your own a DataLoader, or a pair of tensors: batches ready for the model
    and labels int64. images: only so many, the first; of a folder of pictures spread evenly over all. train: on the training
    images of a data set instead, in the same way, not augmented. Leaves everything as it was: each module's mode, the model's
    memory format, the global random generators.
    """
    found = measure(model, dataset, images=images, step=step, train=train)
    return found.accuracy, found.loss


@machine.exact()
@torch.no_grad()
def measure(
    model,
    dataset,
    *,
    images: int | None = None,
    step: Plain | None = None,
    train: bool = False,
    size: int = 500,
    processes: Processes = ALONE,
) -> Evaluation:
    """As `evaluate`, with top-5. size: so many images at a time. processes: which share them; each is told the whole result."""
    source, images = data.source(dataset), None if images is None else whole("images", images, 1, 10**9)
    step = step or Plain(model, "fp32")
    device = next(model.parameters(), torch.empty(0)).device
    sums = torch.zeros(4, dtype=torch.float64, device=device)  # right, among five, loss, images
    gpus = [device] if device.type == "cuda" else []
    with evaluating(model), torch.random.fork_rng(gpus, device_type="cuda"):
        for x, labels in source.parts(train=train, images=images, size=size, share=processes.share):
            x, labels = x.to(device), labels.to(device)
            scores = step.logits(x)
            labels = checked(labels, scores)
            loss = torch.nn.functional.cross_entropy(scores, labels)
            ranked = scores.topk(min(TOP, scores.shape[1]), 1).indices == labels[:, None]
            right = (scores.argmax(1) == labels).sum()
            sums += torch.stack([right.double(), ranked.sum().double(), loss.double() * len(labels), sums.new_tensor(len(labels))])
    right, among, loss, count = processes.total(sums).tolist()
    if not count:
        raise ValueError("there are no images to evaluate on")
    return Evaluation(right / count, loss / count, among / count if source.classes and source.classes > 10 else None)


def checked(labels: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The labels as int64. Raises ValueError, one line, if they are not a whole one for each row of scores (N, classes)."""
    if labels.ndim != 1 or len(labels) != len(scores) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"labels {tuple(labels.shape)} {labels.dtype} beside scores {tuple(scores.shape)}: whole labels (N,) are needed"
        )
    if labels.device.type == "cpu" and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.shape[1]:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()}: from 0 to {scores.shape[1] - 1} are needed, as this network has "
            f"{scores.shape[1]} scores"
        )
    return labels.long()


@contextlib.contextmanager
def evaluating(model):
    """A context in which every module of `model` is in evaluation mode; behind it each has its own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
