"""Adapt γ and β to images without labels: a network's answers shall be sure, and its statistics those of what it sees."""

import contextlib

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnlib import engine, freezing, machine
from bnlib.data import Given
from bnlib.engine.evaluation import evaluating
from bnlib.spec.choices import BATCH_SIZES, EPOCHS
from bnlib.words import shown, whole


@machine.exact()
def adapt(model: nn.Module, images, *, epochs: int = 1, lr: float = 1e-3, batch_size: int = 128, seed: int = 0) -> nn.Module:
    """Adapt the BatchNorm of `model` to `images` that have no labels, in place; returns the model, in evaluation mode.

    images: a tensor (N, …) of batches ready for the model, or a DataLoader of (images, …), of which only the images are looked at.
    Each of `epochs` passes moves γ and β, by Adam at the rate `lr`, so that the entropy of the network's answers falls, while every
    batch is normalised by itself; then the running statistics are taken anew, over all images. 0 epochs: the statistics alone.
    All else is frozen. Raises ValueError, one line, before any work, if the model has no BatchNorm that can learn, or there are no
    images. Source: Tent (Wang et al., ICLR 2021), which never looks back at running statistics; here they are kept, so that the
    adapted network can be evaluated and stored as any other.
    """
    epochs = whole("epochs", epochs, 0, EPOCHS[1])
    if not isinstance(lr, int | float) or not 0 < lr <= 10:
        raise ValueError(f"lr {shown(lr)}: a number above 0 and up to 10 is needed; Tent has 0.001")
    if isinstance(images, torch.Tensor):
        images = (images, torch.zeros(len(images), dtype=torch.int64))
    source, size = Given(images, None), whole("batch_size", batch_size, *BATCH_SIZES)
    freezing.freeze(model, "bn")
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    optimiser, step = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr), engine.Plain(model, "fp32")
    device = next(model.parameters()).device
    with evaluating(model):
        for epoch in range(epochs + 1):
            last = epoch == epochs
            with _by_the_batch(norms, anew=last), torch.set_grad_enabled(not last):
                for batch in source.epoch(seed=seed, epoch=epoch, batch_size=size):
                    scores = step.logits(source.take(*batch)[0].to(device))
                    if not last:
                        optimiser.zero_grad()
                        (-(scores.softmax(1) * scores.log_softmax(1)).sum(1)).mean().backward()
                        optimiser.step()
    optimiser.zero_grad()
    return model.eval()


@contextlib.contextmanager
def _by_the_batch(norms: list[_BatchNorm], anew: bool):
    """A context in which `norms` normalise by the batch; anew: their running statistics become the mean over all that they see."""
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        if anew:
            norm.reset_running_stats()
            norm.momentum = None
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.eval()
