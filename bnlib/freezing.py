"""Which parameters learn: groups, `freeze`, K random weights per channel, exact counts. Paper, section 3."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from bnlib import seeds
from bnlib.spec.choices import SEEDS
from bnlib.spec.trainable import GROUPS, check_random, parse
from bnlib.words import whole


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
    Raises ValueError for an unknown group, a K larger than a filter, a seed that is none, or γ, β asked of a model without
    BatchNorm.
    """
    chosen, k = parse(trainable)
    seed = whole("seed", seed, *SEEDS)
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
            random = seeds.stream("random", seed, path)
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
