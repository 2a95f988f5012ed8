"""Cut out for good the features that training has turned off: a smaller network that computes the same.

Where γ is 0, BatchNorm gives a constant, β, and the ReLU behind it relu(β), whatever the image. Nothing of such a feature needs to
be computed; but a constant is not nothing: the convolution behind adds it up, at the border, where it pads with zeros, less of it.
"""

import copy
import math
from collections.abc import Iterator
from numbers import Real

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnlib.freezing import merge
from bnlib.freezing.layers import called, unwrapped
from bnlib.freezing.subset import subset
from bnlib.models import ends_in_relu
from bnlib.models.networks import VGG
from bnlib.words import plain, shown

BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


@torch.inference_mode(False)
@torch.no_grad()
def prune(model: nn.Module, threshold: float = 0.01) -> nn.Module:
    """A new, smaller network: what `model` computes with every γ up to `threshold`, of either sign, at 0. `model` is left as it is.

    model: a network of `build`, or torchvision's ResNet of ordinary convolutions; trained in whatever way, on any device, in any
    dtype and mode, which the new one has too. Of one in a wrapper, such as DataParallel, the network inside is taken; `random:K`
    convolutions become plain. threshold: a number from 0 on.

    Removed is a feature whose BatchNorm, with γ at 0, goes through a ReLU of its own straight to the next layer: its filter, its
    place in BatchNorm, and what the next layer multiplies it by. Features that are added to a shortcut, and those of a ResNet's
    first layer, stay, with γ at 0: other layers count on their places.

    A removed feature was a constant, relu(β), and what the next layer makes of these constants goes on: in the output layer's bias;
    in the mean that the next BatchNorm subtracts, if the convolution pads nothing; else in one channel of γ = 0 and β = 1, since at
    a border of zeros a constant is no bias. Where the constants are 0 there is no such channel, but in a layer that would be empty.

    The result is of the same class, of ordinary layers: it takes pictures of every size, trains on, and is saved, whole, by
    `torch.save`. What learned still does; make a new optimiser. Sums are in fp64: outputs are the same to rounding. Hooks are
    copied with the network, and what they change is not known here.
    Raises ValueError, one line, for a network or a threshold that is none of these.
    """
    threshold = _number(threshold)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {shown(model)}: a network is needed, such as bnlib.build('resnet14')")
    source = unwrapped(model)
    if any(parameter.is_meta for parameter in source.parameters()):
        raise ValueError(f"this {called(source)} has no numbers, only shapes (device meta)")
    seen = {}
    for chain in _chains(source):
        _check(chain, seen)
    pruned = merge(copy.deepcopy(source))
    for module in pruned.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None:
            module.weight.masked_fill_(module.weight.abs() <= threshold, 0)
    for chain in _chains(pruned):
        layers = list(chain.values())
        for i in range(0, len(layers) - 2, 2):
            _cut(*layers[i : i + 4])
    if any(p.dim() == 4 and not p.is_contiguous() for p in source.parameters()):
        pruned.to(memory_format=torch.channels_last)
    return pruned


def _chains(network: nn.Module) -> Iterator[dict[str, nn.Module]]:
    """The chains of layers between which there is nothing but ReLUs and pools, by path: convolution, BatchNorm and so on.

    Each ends in the BatchNorm behind its last convolution, or in a linear layer. Raises ValueError if there are none.
    """
    found = False
    for path, module in network.named_modules():
        inside = f"{path}.".removeprefix(".")
        if isinstance(module, VGG):
            layers = {f"{inside}segments.{name}": one for name, one in module.segments.named_children()}
            yield {name: one for name, one in layers.items() if not isinstance(one, nn.ReLU | nn.MaxPool2d)} | {
                f"{inside}output": module.output
            }
        elif ends_in_relu(module):
            if not isinstance(getattr(module, "relu", nn.ReLU()), nn.ReLU):
                raise ValueError(f"the block {path!r}: its {called(module.relu)} would have to be a ReLU")
            names = [f"{kind}{i}" for i in (1, 2, 3) for kind in ("conv", "bn") if hasattr(module, f"{kind}{i}")]
            yield {inside + name: getattr(module, name) for name in names}
        else:
            continue
        found = True
    if not found:
        which = "a network of bnlib.build with BatchNorm, or torchvision's ResNet"
        raise ValueError(f"this {called(network)} has none of the blocks that can be cut: use {which}")


def _check(chain: dict[str, nn.Module], seen: dict[nn.Module, str]) -> None:
    """Raise ValueError, which names the layer, if one of a chain is not of its kind, or cannot be cut. seen: layers so far."""
    for i, (path, layer) in enumerate(chain.items()):
        kinds = BATCH_NORMS if i % 2 else (nn.Conv2d, nn.Linear) if i and i + 1 == len(chain) else (nn.Conv2d,)
        wrong = ""
        if not isinstance(layer, kinds):
            wrong = f"a {' or a '.join(kind.__name__ for kind in kinds if kind is not nn.SyncBatchNorm)} is needed here"
        elif layer._parameters.get("weight") is None and not subset(layer):
            wrong = "it has no weight of its own that could be cut"
        elif getattr(layer, "groups", 1) != 1:
            wrong = f"a convolution in {layer.groups} groups cannot be cut"
        elif layer in seen:
            wrong = f"it is {seen[layer]!r}, too: a layer in two places cannot be cut in one"
        seen[layer] = path
        if wrong:
            raise ValueError(f"the layer {path!r} ({called(layer)}): {wrong}")


def _cut(conv: nn.Conv2d, bn: nn.BatchNorm2d, behind: nn.Conv2d | nn.Linear, after: nn.BatchNorm2d | None = None) -> None:
    """Remove the features of `bn` whose γ is 0. behind: the layer that reads them. after: the BatchNorm behind that, if any."""
    off = (bn.weight == 0).cpu()
    if not off.any():
        return
    keep = (~off).nonzero().flatten()
    weight, constants = behind.weight.cpu().double(), bn.bias.cpu().double().relu()
    carried = torch.einsum("oi...,i->o...", weight[:, off], constants[off])
    if _absorb(behind, after, carried.flatten(1).sum(1) if carried.dim() > 1 else carried):
        carried = torch.zeros_like(carried)
    more = int(carried.any() or not len(keep))  # a channel of γ = 0 and β = 1
    new = (
        (conv, "weight", 0),
        (conv, "bias", 0),
        (bn, "weight", 0),
        (bn, "bias", 1),
        (bn, "running_mean", 0),
        (bn, "running_var", 1),
    )
    for layer, name, value in new:
        if (old := getattr(layer, name)) is not None:
            kept = old.cpu()[keep]
            _set(layer, name, torch.cat([kept, kept.new_full((more, *kept.shape[1:]), value)]))
    _set(behind, "weight", torch.cat([weight[:, keep], carried.unsqueeze(1)[:, :more]], 1))
    conv.out_channels = bn.num_features = len(keep) + more
    setattr(behind, "in_features" if isinstance(behind, nn.Linear) else "in_channels", len(keep) + more)


def _absorb(layer: nn.Conv2d | nn.Linear, after: nn.BatchNorm2d | None, bias: torch.Tensor) -> bool:
    """Carry on `bias`, what is added to each output of `layer` at every place, behind its weights; whether that can be."""
    if isinstance(layer, nn.Linear):  # it reads the mean over the image: that of a constant is the constant
        if layer.bias is not None:
            _set(layer, "bias", layer.bias.cpu().double() + bias)
        return layer.bias is not None
    if after is None or layer.padding != "valid" and (isinstance(layer.padding, str) or any(layer.padding)):
        return False
    if after.running_mean is not None:  # else BatchNorm takes the mean of every batch
        _set(after, "running_mean", after.running_mean.cpu().double() - bias)
    return True


def _set(layer: nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Put `tensor` in the place of a layer's parameter or buffer, which keeps its device, dtype, and whether it learns."""
    old = getattr(layer, name)
    new = tensor.to(old)
    setattr(layer, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


def _number(threshold) -> float:
    """The threshold. Raises ValueError for what is none."""
    value = plain(threshold)
    try:
        fine = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    except OverflowError:  # a whole number beyond all floats
        fine = False
    if not fine:
        near = "0" if isinstance(value, Real) and not isinstance(value, bool) and value < 0 else "0.01"
        raise ValueError(f"threshold {shown(value)}: a number from 0 on is needed, not infinite; nearest: {near}")
    return float(value)
