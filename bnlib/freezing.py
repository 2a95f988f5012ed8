"""Which parameters learn: groups, `freeze`, K random weights per channel, exact counts. Paper, section 3."""

import difflib
import re

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from bnlib.models import initialisation

GROUPS = ("gamma", "beta", "features", "shortcut", "output")
_SETS = {
    "all": frozenset(GROUPS),
    "none": frozenset(),
    "bn": frozenset({"gamma", "beta"}),
    "all-bn": frozenset({"features", "shortcut", "output"}),
}
_ALLOWED = ("bn", "gamma", "beta", "output", "shortcut", "features", "random:K", "all", "none", "all-bn")


def parse(trainable: str) -> tuple[frozenset[str], int]:
    """Read a trainable set: its groups, and K of `random:K` (0 where there is none).

    `bn` = γ and β; `output` = the output layer; `shortcut` = the shortcuts' 1×1 convolutions; `features` = everything
    else (in the paper's networks: all other convolutions); `random:K` = K fixed random weights of each output channel of
    every convolution; joined by `+`. `all`, `none` and `all-bn` stand alone. Raises ValueError with the nearest valid name.
    """
    groups, k = frozenset(), 0
    words = [word.strip() for word in str(trainable).split("+")]
    for word in words:
        if match := re.fullmatch(r"random:(\d+)", word):
            k = int(match[1])
            if k < 1:
                raise ValueError(f"trainable {trainable!r}: random:K needs K of at least 1; nearest: random:1")
        elif word in ("all", "none", "all-bn") and len(words) > 1:
            raise ValueError(f"trainable {trainable!r}: {word!r} stands alone; join groups such as bn+output")
        elif word in _SETS:
            groups |= _SETS[word]
        elif word in GROUPS:
            groups |= {word}
        else:
            near = difflib.get_close_matches(word, [*_SETS, *GROUPS, "random:2"], n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"trainable {trainable!r}: unknown group {word!r}; use {', '.join(_ALLOWED)}, joined by +{hint}")
    return groups, k


def canonical(trainable: str) -> str:
    """The one spelling of a trainable set: `output+bn` and `gamma+beta+output` are both `bn+output`."""
    groups, k = parse(trainable)
    k = 0 if {"features", "shortcut"} <= groups else k  # all convolutions learn whole
    for name, members in _SETS.items():
        if groups == members and not (k and name == "none"):
            return f"{name}+random:{k}" if k else name
    parts = ["bn"] if _SETS["bn"] <= groups else [g for g in ("gamma", "beta") if g in groups]
    parts += [f"random:{k}"] if k else []
    return "+".join(parts + [g for g in ("features", "shortcut", "output") if g in groups])


def check_random(trainable: str, smallest: int, name: str) -> None:
    """Raise ValueError if `random:K` asks for more weights than the smallest filter of the network `name` has."""
    k = parse(trainable)[1]
    if k > smallest:
        raise ValueError(
            f"trainable {trainable!r}: random:{k} is larger than the smallest filter of {name}, "
            f"which has {smallest} weights; nearest: random:{smallest}"
        )


def groups(model: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Every parameter of `model` under its group, as (layer, name) pairs. Each parameter is in exactly one group.

    γ and β are the affine parameters of every BatchNorm layer; the output layer is the last linear layer; shortcut
    convolutions are those inside a module named `shortcut` or `downsample` (torchvision's name).
    """
    found = {group: [] for group in GROUPS}
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for path, module in model.named_modules():
        if "parametrizations" in path.split("."):
            continue
        names = [name for name, _ in module.named_parameters(recurse=False)]
        for name in names + list(getattr(module, "parametrizations", ())):
            if isinstance(module, _BatchNorm):
                group = "gamma" if name == "weight" else "beta"
            elif linear and module is linear[-1]:
                group = "output"
            elif isinstance(module, nn.Conv2d) and {"shortcut", "downsample"} & set(path.split(".")):
                group = "shortcut"
            else:
                group = "features"
            found[group].append((module, name))
    return found


class RandomSubset(nn.Module):
    """A convolution's weight of which K entries per output channel learn and all others stay bit for bit.

    Maps values (outputs, K) to the weight (outputs, inputs, height, width). Only the values are a parameter, so that
    neither gradients nor weight decay reach the rest. Source: the paper's control, as many random parameters elsewhere.
    """

    def __init__(self, weight: torch.Tensor, index: torch.Tensor):
        super().__init__()
        self.register_buffer("frozen", weight.detach().clone())
        self.register_buffer("index", index)

    def forward(self, values):
        """Put the values (outputs, K) in their places."""
        return self.frozen.flatten(1).scatter(1, self.index, values).view_as(self.frozen)

    def right_inverse(self, weight):
        """Take the K entries of each output channel out of a full weight."""
        return weight.detach().flatten(1).gather(1, self.index)


def freeze(model: nn.Module, trainable: str = "bn", seed: int = 0) -> nn.Module:
    """Let the groups of `trainable` learn and freeze all else, in place; returns the model.

    Works on any torch model with BatchNorm. BatchNorm's running statistics go on moving in training mode, whatever is
    trainable: they are not parameters. `seed` places the weights of `random:K`. Calling it again starts from scratch.
    Raises ValueError for an unknown group, a K larger than a filter, or γ, β asked of a model without BatchNorm.
    """
    chosen, k = parse(trainable)
    convs = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    if k:
        if not convs:
            raise ValueError(f"trainable {trainable!r}: this {type(model).__name__} has no convolution to take random weights from")
        check_random(trainable, min(conv.weight[0].numel() for _, conv in convs), type(model).__name__)
    for _, conv in convs:
        if parametrize.is_parametrized(conv, "weight") and isinstance(conv.parametrizations.weight[0], RandomSubset):
            parametrize.remove_parametrizations(conv, "weight")
    found = groups(model)
    for group in ("gamma", "beta", "shortcut", "output"):
        if group in chosen and not found[group]:
            if trainable not in ("all", "all-bn"):
                raise ValueError(f"trainable {trainable!r}: this {type(model).__name__} has no parameters in the group {group!r}")
    for group, members in found.items():
        for module, name in members:
            own = parametrize.is_parametrized(module, name)  # by the user, such as a spectral norm
            for tensor in module.parametrizations[name].parameters() if own else [getattr(module, name)]:
                tensor.requires_grad_(group in chosen)
    for path, conv in convs if k else ():
        if not conv.weight.requires_grad:
            random = initialisation.stream("random", seed, path)
            rows = [random.permutation(conv.weight[0].numel())[:k] for _ in range(conv.out_channels)]
            index = torch.tensor([sorted(row) for row in rows], device=conv.weight.device)
            parametrize.register_parametrization(conv, "weight", RandomSubset(conv.weight, index))
            conv.parametrizations.weight.original.requires_grad_(True)
    return model


def count(model: nn.Module) -> dict[str, int]:
    """Exact numbers of parameters: `total`, `trainable`, `bn` (γ and β) and each group.

    `random:K` weights are counted where they lie and, in `trainable`, once each.
    """
    numbers = {group: sum(getattr(module, name).numel() for module, name in members) for group, members in groups(model).items()}
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"total": sum(numbers.values()), "trainable": trainable, "bn": numbers["gamma"] + numbers["beta"], **numbers}
