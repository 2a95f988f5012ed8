"""K random weights of each output channel of every convolution: the paper's control, as many parameters elsewhere."""

import math

import torch
from torch import nn
from torch.nn.utils import parametrize

from bnlib import seeds
from bnlib.freezing.layers import CONVOLUTION, TRANSPOSED, called, named, own, unwrapped
from bnlib.spec.trainable import check_random


class RandomSubset(nn.Module):
    """A convolution's weight of which K entries per output channel learn and all others stay bit for bit.

    Maps values (outputs, K) to the weight, of any shape; `index`, (outputs, K), has their places in the flattened weight. Only the
    values are a parameter, so that neither gradients nor weight decay reach the rest.
    """

    def __init__(self, weight: torch.Tensor, index: torch.Tensor):
        super().__init__()
        self.register_buffer("frozen", weight.detach().clone())
        self.register_buffer("index", index)

    def forward(self, values):
        """Put the values (outputs, K) in their places."""
        return self.frozen.flatten().scatter(0, self.index.flatten(), values.flatten()).view_as(self.frozen)

    def right_inverse(self, weight):
        """Take the values at the places out of a full weight."""
        return weight.detach().flatten()[self.index]


def subset(layer: nn.Module) -> RandomSubset | None:
    """The K random weights a channel of a layer; None if it has none."""
    if isinstance(layer, CONVOLUTION) and parametrize.is_parametrized(layer, "weight"):
        first = layer.parametrizations["weight"][0]
        return first if isinstance(first, RandomSubset) else None
    return None


def size(holder: nn.Module, name: str) -> int:
    """How many weights there are where the parameter `name` of `holder` lies: of a RandomSubset all, that learn or not."""
    if isinstance(holder, parametrize.ParametrizationList) and isinstance(holder[0], RandomSubset):
        return holder[0].frozen.numel()
    return getattr(holder, name).numel()


def check(model: nn.Module, trainable: str, whole: set[int]) -> list[tuple[str, nn.Module]]:
    """The convolutions, with their paths, of which `random:K` takes weights: those whose weight is not among the ids `whole`.

    Raises ValueError, which names the layer and says why, if weights of one cannot be taken.
    """
    convs = [(path, layer) for path, layer in named(model) if isinstance(layer, CONVOLUTION)]
    who, first = called(unwrapped(model)), {}
    if not convs:
        raise ValueError(f"trainable {trainable!r}: this {who} has no convolution to take random weights from")
    for path, layer in named(model):
        for _, holder, name in own(layer):
            first.setdefault(id(getattr(holder, name)), []).append(path)
    taken = []
    for path, conv in convs:
        parts = [getattr(holder, name) for tensor, holder, name in own(conv) if tensor.startswith("weight")]
        if parts and all(id(part) in whole for part in parts):
            continue
        if subset(conv) is None:
            here = f"trainable {trainable!r}: of the layer {path!r} ({called(conv)}) no weights can be taken"
            if "weight" not in conv._parameters:
                raise ValueError(f"{here}: its weight is made of {_made_of(conv)}; take that away first")
            if len(places := first[id(conv.weight)]) > 1:
                other = next((one for one in places if one != path), path)
                raise ValueError(f"{here}: it shares its weight with {other!r}")
        taken.append((path, conv))
    if taken:
        check_random(trainable, min(weights_each(conv) for _, conv in taken), who)
    return taken


def weights_each(conv: nn.Module) -> int:
    """How many weights each output channel of a convolution has."""
    return (subset(conv).frozen if subset(conv) else conv.weight).numel() // conv.out_channels


def draw(conv: nn.Module, path: str, k: int, seed: int) -> torch.Tensor:
    """The places of K weights of each output channel of the convolution at `path`, drawn from the seed: (outputs, K)."""
    random, each = seeds.stream("random", seed, path), weights_each(conv)
    own = torch.tensor([sorted(random.permutation(each)[:k].tolist()) for _ in range(conv.out_channels)])
    outputs = torch.arange(conv.out_channels)[:, None]
    if not isinstance(conv, TRANSPOSED):  # (outputs, inputs of a group, …)
        return outputs * each + own
    # (inputs, outputs of a group, …), the inputs of one group after those of the other
    pixels, inputs, of_group = math.prod(conv.kernel_size), conv.in_channels // conv.groups, conv.out_channels // conv.groups
    row = outputs // of_group * inputs + own // pixels
    return (row * of_group + outputs % of_group) * pixels + own % pixels


def put(conv: nn.Module, index: torch.Tensor) -> None:
    """Let those entries of a convolution's weight learn whose places are in `index`, (outputs, K), and none of the others."""
    _own_class(conv)
    parametrize.register_parametrization(conv, "weight", RandomSubset(conv.weight, index.to(conv.weight.device)))
    conv.parametrizations.weight.original.requires_grad_(True).grad = None  # it had another shape


def merge(model: nn.Module) -> nn.Module:
    """Make the convolutions of which `random:K` lets some weights learn plain ones again, in place; returns the model.

    The weights keep their values, so that the network computes the same, bit for bit, and its `state_dict` fits the plain network.
    They are frozen. Nothing else changes. Raises ValueError, which names the layer, if something else was registered on top.
    """
    for _, conv in subsets(model):
        _own_class(conv)
        parametrize.remove_parametrizations(conv, "weight")
        conv.weight.requires_grad_(False).grad = None
    return model


def subsets(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The convolutions of which K weights a channel learn, with their paths. Raises ValueError as `merge` does."""
    found = [(path, layer) for path, layer in named(model) if subset(layer)]
    for path, conv in found:
        if len(conv.parametrizations["weight"]) > 1:
            more = f"after freeze its weight was also given {_made_of(conv, 1)}; take that away first"
            raise ValueError(f"the layer {path!r} ({called(conv)}): {more}")
    return found


def _own_class(conv: nn.Module) -> None:
    """Give a parametrized layer a class of its own.

    PyTorch makes one for each layer, with the parametrized tensors as properties, and a copy of the layer shares it: to change it
    for the copy would break the original.
    """
    if parametrize.is_parametrized(conv):
        kind = type(conv)
        content = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
        conv.__class__ = type(kind.__name__, kind.__bases__, content)


def _made_of(conv: nn.Module, start: int = 0) -> str:
    """In words, by what, and of which parameters, a layer's weight is made: of `parametrize`, of hooks, or of neither."""
    if parametrize.is_parametrized(conv, "weight"):
        return " and ".join(type(one).__name__.strip("_") for one in list(conv.parametrizations["weight"])[start:])
    names = [name for name in conv._parameters if name.startswith("weight")] or ["what is no parameter of it"]
    makers = [type(hook).__name__ for hook in conv._forward_pre_hooks.values() if hasattr(hook, "apply")]
    return ", ".join(names) + "".join(f" by {maker}" for maker in makers)
