"""Adapt the normalisation of a trained network to images without labels."""

import math
from numbers import Real

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnlib import freezing, machine
from bnlib.engine.evaluation import evaluating
from bnlib.spec.choices import BATCH_SIZES, EPOCHS
from bnlib.words import shown, whole


def adapt(
    model: nn.Module, images, trainable: str = "bn", *, epochs: int = 1, lr: float = 1e-3, batch_size: int = 128
) -> list[float]:
    """Freeze `model` but for `trainable`, and adapt it to `images`, which need no labels, on its device, in place.

    Over `epochs` passes what learns makes the predictions surer: Adam lowers their mean entropy, BatchNorm normalises by the
    batch. Then BatchNorm's running statistics become those of `images`, so that `bnlib.evaluate` has the adapted network. epochs
    0: the statistics alone. After Tent (Wang et al., ICLR 2021), which predicts each batch as it comes, by the batch's statistics.

    images: a tensor (N, …), ready for the model, of which `batch_size` or somewhat fewer make a batch, in order; or batches that
    can be gone through again, such as a DataLoader's, each a tensor or a tuple that starts with one. trainable: as for
    `bnlib.freeze`. Returns the mean entropy in nats of each pass. Dropout is off; afterwards every module's mode is as before.
    Raises ValueError, one line, for what cannot be, and for an entropy that is not finite any more; then, and where the model
    itself fails, γ, β and statistics are as they were.
    """
    epochs, size = whole("epochs", epochs, 0, EPOCHS[1]), whole("batch_size", batch_size, *BATCH_SIZES)
    if isinstance(lr, bool) or not isinstance(lr, Real) or not 0 < lr < math.inf:
        raise ValueError(f"lr {shown(lr)}: a number above 0 is needed, such as 0.001")
    if isinstance(images, torch.Tensor):
        # Parts of one size, or nearly: a small last one would have poor statistics.
        images = images.tensor_split(math.ceil(len(images) / size)) if images.ndim and len(images) else []
    elif not hasattr(images, "__iter__"):
        raise ValueError(f"images {shown(images)}: a tensor, a list of batches or a DataLoader is needed")
    elif iter(images) is images:
        raise ValueError(f"images: a {type(images).__name__} can be gone through once; give a tensor, a list or a DataLoader")
    first = next(_batches(images, "cpu"), None)
    if first is None:
        raise ValueError("images: there are none")
    if not first.is_floating_point():
        raise ValueError(f"images: numbers of kind {first.dtype} are not ready for the model; give them normalised, as floats")
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not epochs and not norms:
        raise ValueError(f"epochs 0: this {type(model).__name__} has no BatchNorm with running statistics; nearest: 1")
    freezing.freeze(model, trainable)
    learning = [p for p in model.parameters() if p.requires_grad]
    if epochs and not learning:
        raise ValueError(f"trainable {shown(trainable)}: nothing learns; epochs=0 takes the statistics alone")
    momenta, entropies = {module: module.momentum for module in norms}, []
    before = [(tensor, tensor.detach().clone()) for tensor in (*learning, *model.buffers())]
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam(learning, lr) if epochs else None
    with machine.exact(), evaluating(model):
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.train()
        try:
            for _ in range(epochs):
                entropies.append(_sharpen(model, images, optimiser, device))
            _take_statistics(model, images, norms, device)
        except BaseException:
            with torch.no_grad():
                for tensor, value in before:
                    tensor.copy_(value)
            raise
        finally:
            for module, momentum in momenta.items():
                module.momentum = momentum
            model.zero_grad()
    return entropies


def _sharpen(model: nn.Module, images, optimiser, device) -> float:
    """One pass over the images that lowers the entropy of the predictions; returns its mean, in nats."""
    total = count = 0
    for x in _batches(images, device):
        logs = model(x).log_softmax(1)
        entropy = -(logs.exp() * logs).sum(1).mean()
        optimiser.zero_grad()
        entropy.backward()
        optimiser.step()
        total, count = total + entropy.detach() * len(x), count + len(x)
    mean = float(total) / count
    if not math.isfinite(mean):
        raise ValueError("the entropy of the predictions is not finite any more; a smaller lr may help")
    return mean


@torch.no_grad()
def _take_statistics(model: nn.Module, images, norms: list[_BatchNorm], device) -> None:
    """Make the running statistics of `norms` the mean of those of the batches, each by its number of images."""
    for module in norms:
        module.reset_running_stats()
    seen = 0
    for x in _batches(images, device) if norms else ():
        seen += len(x)
        for module in norms:
            module.momentum = len(x) / seen
        model(x)


def _batches(images, device):
    """The images of each batch, without what else the batch has, on the device."""
    return ((batch if isinstance(batch, torch.Tensor) else batch[0]).to(device) for batch in images)
