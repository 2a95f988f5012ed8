"""A trained network in few bytes: what must be kept of it at 32, 16 and 8 bits, and what it computes from what was kept.

In evaluation BatchNorm is an affine map of each feature: a·x + b, with a = γ / √(variance + ε) and b = β − mean · a. So its four
numbers are two. Where a convolution's weights were drawn and never trained, the seed brings them back, and a and b are kept; where
they were trained, a is multiplied into them, and they are kept, and b.
"""

import copy

import numpy as np
import torch
from torch import nn

from bnlib import data
from bnlib.engine.evaluation import evaluate
from bnlib.spec.choices import FORMATS

NAME, SEED = 16, 8  # bytes: what network it is, and what its frozen weights are drawn from, where there are any


def quantised(model: nn.Module, dataset: data.Dataset, *, images: int | None = None) -> dict[str, dict]:
    """For each of FORMATS the `bytes` that keep the network, and its `accuracy` on the test images from them, a fraction.

    What was kept is computed with in fp32. images: only the first so many. The network is left as it was. Raises ValueError as
    `kept` does.
    """
    found = {}
    for form in FORMATS:
        network, size = kept(model, form)
        found[form] = {"bytes": size, "accuracy": evaluate(network, dataset, images=images)[0]}
    return found


@torch.no_grad()
def kept(model: nn.Module, form: str) -> tuple[nn.Module, int]:
    """A copy of `model` that has only what `form` keeps of what learns, BatchNorm folded away; and how many bytes that is.

    model: convolutions with a BatchNorm behind each, and linear layers; `freeze` has said what learns. Counted are NAME, SEED if
    anything is left as it was drawn, and of each layer:

    - its a and its b, where its convolution is frozen. At `int8` each number is one of 256 levels, evenly from the least to the
      greatest of the layer; the first level and their distance are kept in fp16. So are the values of `random:K`.
    - else the weights times a. At `int8` from −127 to 127 times a step of each output channel, which is kept in fp16; so is b.
    - a linear layer that learns: its weights and biases, as the weights and b above.

    Raises ValueError if something else learns, or stands between a convolution and its BatchNorm.
    """
    network, size, drawn = copy.deepcopy(model), NAME, False
    learns = {id(p) for p in network.parameters() if p.requires_grad}
    done = {id(p) for bn in network.modules() if isinstance(bn, nn.BatchNorm2d) for p in bn.parameters()}
    for conv, bn in _pairs(network):
        own = [p for p in conv.parameters() if id(p) in learns]
        scale = _numbers(bn.weight) / np.sqrt(_numbers(bn.running_var) + bn.eps)
        shift = _numbers(bn.bias) - _numbers(bn.running_mean) * scale
        if any(p is conv.weight for p in own):
            shift = shift + (0 if conv.bias is None else _numbers(conv.bias) * scale)
            size += _put(conv.weight, *_channels(_numbers(conv.weight) * scale[:, None, None, None], form))
            size += _put(bn.bias, *_floats(shift, form))
            bn.weight.fill_(1)
            if conv.bias is not None:
                conv.bias.zero_()
        else:
            drawn = True
            size += sum(_put(p, *_levels(values, form)) for p, values in ((bn.weight, scale), (bn.bias, shift)))
            size += sum(_put(p, *_levels(_numbers(p), form)) for p in own)
        bn.running_mean.zero_(), bn.running_var.fill_(1)
        bn.eps = 1e-12  # PyTorch takes none of 0; beside 1 it is nothing
        done |= {id(p) for p in own}
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            own = [p for p in layer.parameters() if id(p) in learns]
            drawn |= len(own) < len(list(layer.parameters()))
            size += sum(_put(p, *(_channels if p is layer.weight else _floats)(_numbers(p), form)) for p in own)
            done |= {id(p) for p in own}
    if learns - done:
        names = [name for name, p in network.named_parameters() if id(p) in learns - done]
        raise ValueError(f"{names[0]} learns, and is neither of a convolution with BatchNorm behind it nor of a linear layer")
    return network, size + SEED * drawn


def _pairs(network: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution and its BatchNorm, which follows it in the networks here. Raises ValueError if one has none."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    convs, norms = layers[::2], layers[1::2]
    alike = len(convs) == len(norms) and all(isinstance(one, nn.Conv2d) for one in convs)
    if not alike or any(getattr(bn, "num_features", 0) != conv.out_channels for conv, bn in zip(convs, norms, strict=True)):
        raise ValueError("not every convolution of this network has a BatchNorm of its own behind it, which could be folded away")
    return list(zip(convs, norms, strict=True))


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _put(tensor: torch.Tensor, values: np.ndarray, size: int) -> int:
    """Put `values` into `tensor`; returns the bytes that they took, for a sum."""
    tensor.copy_(torch.from_numpy(values.reshape(tensor.shape)))
    return size


def _floats(values: np.ndarray, form: str) -> tuple[np.ndarray, int]:
    """Each number in fp32, or else in fp16, or the nearest that there is: the numbers as they come back, and the bytes."""
    dtype = np.float32 if form == "fp32" else np.float16
    kept = values.clip(np.finfo(dtype).min, np.finfo(dtype).max).astype(dtype)
    return kept.astype(np.float64), kept.nbytes


def _levels(values: np.ndarray, form: str) -> tuple[np.ndarray, int]:
    """As `_floats`; at `int8` each as one of 256 levels that reach from the least number to the greatest."""
    if form != "int8":
        return _floats(values, form)
    first = _half(values.min(), -np.inf)
    step = _half((values.max() - first) / 255, np.inf)
    level = np.rint((values - first) / (step or 1)).clip(0, 255).astype(np.uint8)
    return first + step.astype(np.float64) * level, level.nbytes + first.nbytes + step.nbytes


def _channels(values: np.ndarray, form: str) -> tuple[np.ndarray, int]:
    """As `_floats`; at `int8` each as a whole multiple, from −127 to 127, of a step of its output channel, the first axis."""
    if form != "int8":
        return _floats(values, form)
    rows = values.reshape(len(values), -1)
    step = _half(abs(rows).max(1, keepdims=True) / 127, np.inf)
    level = np.rint(rows / np.where(step > 0, step, 1)).clip(-127, 127).astype(np.int8)
    return step.astype(np.float64) * level, level.nbytes + step.nbytes


def _half(values: np.ndarray, towards: float) -> np.ndarray:
    """The next numbers in fp16 towards `towards`, −∞ or ∞, if there are any, so that no number lies beyond the last level."""
    last = np.finfo(np.float16).max
    near = np.float16(np.clip(values, -last, last))
    with np.errstate(over="ignore"):
        near = np.where((near < values) if towards > 0 else (near > values), np.nextafter(near, np.float16(towards)), near)
    return near.clip(-last, last)
