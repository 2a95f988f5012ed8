"""What a trained network can be asked: accuracy when small γ are 0, how often ReLUs are off, training accuracy, in few bytes.

Stored with a run because they need its whole network. Paper, the sections on γ and on ReLU activity. What the paper counts as an
off ReLU is not known: three definitions are kept.
"""

import contextlib

import numpy as np
import torch
from torch import nn

from bnlib import data, freezing, models, seeds
from bnlib.engine.evaluation import evaluate
from bnlib.engine.quantised import quantised
from bnlib.engine.step import Fused, Plain, fits
from bnlib.spec import RunSpec, added
from bnlib.spec.choices import PROBES

THRESHOLDS = (0.0, *(10 ** np.linspace(-3, 0.2, 49)).round(5).tolist())  # on |γ|, fifteen to a power of ten; 0.01 is one of them
OFF = (0.9, 0.99, 0.999)  # a unit counts as off if it is 0 for more than this share of the images


def probe(model: nn.Module, dataset: data.Dataset, spec: RunSpec, known: dict | None = None, names=PROBES) -> dict:
    """The probes `names` of `model`, trained as `spec` says, as plain JSON values; those that are `known` already are kept.

    clamping, relu and quantised over the test images, train over the training images; as many of them as the recipe uses. A network
    is not asked what makes no sense for it, see `RunSpec.probes`.
    """
    settings = spec.settings
    ask = {
        "clamping": lambda: clamping(model, dataset, images=settings.test_images, precision=spec.precision),
        "relu": lambda: relu_activity(model, dataset, images=settings.test_images),
        "train": lambda: dict(
            zip(("accuracy", "loss"), evaluate(model, dataset, images=settings.train_images, train=True), strict=True)
        ),
        "quantised": lambda: quantised(model, dataset, images=settings.test_images),
    }
    known = known or {}
    return known | {name: ask[name]() for name in names if name in spec.probes and name not in known}


@torch.no_grad()
def clamping(
    model: nn.Module,
    dataset: data.Dataset,
    *,
    thresholds=THRESHOLDS,
    images: int | None = None,
    precision: str = "fp32",
    every: int = 5,
) -> dict[str, list]:
    """Test accuracy with every γ of |γ| ≤ t set to 0, for each threshold t; the network is left as it was.

    Lists of equal length: threshold; share of the features set to 0; accuracy with β kept, so that a feature set to 0 is a
    constant; accuracy_beta with the β of these features at 0 too, so that it is nothing; accuracy_random, for comparison, with
    as many features drawn at random set to 0 instead and β kept, at every `every`-th threshold, 0.01 among them, and None
    between. Accuracies are fractions, computed in `precision`.
    """
    norms = [module for module in model.modules() if freezing.norm(module)]
    before = [(bn.weight.clone(), bn.bias.clone()) for bn in norms]
    step = (Fused if fits(model) else Plain)(model, precision)
    sizes = [gamma.numel() for gamma, _ in before]
    features = torch.cat([gamma for gamma, _ in before]).abs().cpu()
    lot = torch.from_numpy(seeds.stream("clamping").permutation(len(features)))  # who goes first if chance decides

    def accuracy(off, beta_too=False):
        masks = off.split(sizes)
        for bn, mask, (gamma, beta) in zip(norms, masks, before, strict=True):
            mask = mask.to(gamma.device)
            bn.weight.copy_(gamma.masked_fill(mask, 0))
            bn.bias.copy_(beta.masked_fill(mask & beta_too, 0))
        return evaluate(model, dataset, images=images, step=step)[0]

    found = {"threshold": list(thresholds), "share": [], "accuracy": [], "accuracy_beta": [], "accuracy_random": []}
    last = None
    try:
        for i, threshold in enumerate(thresholds):
            off = features <= threshold
            if last is None or not torch.equal(off, last):  # else it is the same network as before
                kept = accuracy(off)
                nothing = accuracy(off, beta_too=True) if off.any() else kept
            last, count = off, int(off.sum())
            found["share"].append(count / len(features))
            found["accuracy"].append(kept)
            found["accuracy_beta"].append(nothing)
            some = torch.zeros_like(off).index_fill_(0, lot[:count], True)
            asked = not count or i % every == 1
            found["accuracy_random"].append((accuracy(some) if count else kept) if asked else None)
    finally:
        for bn, (gamma, beta) in zip(norms, before, strict=True):
            bn.weight.copy_(gamma)
            bn.bias.copy_(beta)
    return found


@torch.no_grad()
def relu_activity(model: nn.Module, dataset: data.Dataset, *, images: int | None = None) -> dict:
    """How often the units behind each ReLU are 0, over the test images; a unit is one feature at one pixel.

    layers: a list of dicts in the order of the network: layer, units, zero (the share of all its values that are 0), off (for
    each share in OFF, the share of its units that are 0 for more than that share of the images). total: the same of all
    units.
    """
    counts, hooks = {}, []

    def count(name):
        def hook(_module, _inputs, output):
            zero = (output <= 0).sum(0)
            counts[name] = counts[name] + zero if name in counts else zero

        return hook

    norms = [name for name, module in model.named_modules() if freezing.norm(module)]
    for name, module in model.named_modules():
        # What enters a ReLU is at most 0 where the ReLU is off, as is what leaves it.
        if models.ends_in_relu(module) or (freezing.norm(module) and not added(name, norms)):
            hooks.append(module.register_forward_hook(count(name)))
    with contextlib.ExitStack() as stack:
        for hook in hooks:
            stack.callback(hook.remove)
        evaluate(model, dataset, images=images)
    seen = len(dataset.test_labels[:images])
    shares = {name: (zero.flatten().double() / seen).cpu() for name, zero in counts.items()}
    every = torch.cat(list(shares.values()))
    return {
        "images": seen,
        "layers": [{"layer": name, **_activity(share)} for name, share in shares.items()],
        "total": _activity(every),
    }


def _activity(share: torch.Tensor) -> dict:
    return {"units": len(share), "zero": float(share.mean()), "off": {str(t): float((share > t).double().mean()) for t in OFF}}
