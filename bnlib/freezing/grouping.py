"""The groups of parameters of any network, and what a network has instead of a group that it has not."""

from collections import Counter

from torch import nn

from bnlib.freezing import output as outputs
from bnlib.freezing.layers import CONVOLUTION, TITLES, called, check_shapes, named, norm, own, unwrapped
from bnlib.spec.layers import in_shortcut
from bnlib.spec.trainable import BESIDE, GROUPS, NORMS

_SHIFTS = ("bias", "beta", "shift")  # how β is called; under pruning and the like with an ending


def groups(model: nn.Module, output: str | None = None) -> dict[str, list[tuple[nn.Module, str]]]:
    """Every parameter of `model` under its group, as (holder, name) pairs: `getattr(holder, name)` is the parameter.

    Each parameter is in exactly one group; one that several layers share is in that of the first. γ and β are the affine
    parameters of every BatchNorm layer; `ln`, `gn`, `in` and `rms` those of LayerNorm, GroupNorm, InstanceNorm and RMSNorm, and
    are left out where there are none; the output layer is the layer at the path `output`, or as `find` finds it; shortcut
    convolutions are those, of any dimension, inside a module named `shortcut` or `downsample` (torchvision's name).
    The holder is the layer, or what parametrizes a tensor of it. Raises ValueError for a layer without a shape yet, and for an
    `output` that is none.
    """
    check_shapes(model)
    found = {group: [] for group in (*GROUPS, *(kind for kind in NORMS if kind not in GROUPS))}
    heads = {id(module) for head in outputs.find(model, output)[0].values() for module in head.modules()}
    seen = set()
    for path, layer in named(model):
        kind = norm(layer)
        for tensor, holder, name in own(layer):
            if id(parameter := getattr(holder, name)) in seen:
                continue
            seen.add(id(parameter))
            if kind == "bn":
                group = "beta" if tensor.startswith(_SHIFTS) else "gamma"
            elif kind:
                group = kind
            elif id(layer) in heads:
                group = "output"
            elif isinstance(layer, CONVOLUTION) and in_shortcut(path):
                group = "shortcut"
            else:
                group = "features"
            found[group].append((holder, name))
    return {group: members for group, members in found.items() if members or group in GROUPS}


def beside(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """γ and β of the BatchNorm that is inside a shortcut, as (holder, name) pairs: parameters of the groups `gamma` and `beta`."""
    layers = [layer for path, layer in named(model) if norm(layer) == "bn" and in_shortcut(path)]
    return [(holder, name) for layer in layers for _, holder, name in own(layer)]


def missing(model: nn.Module, group: str) -> str:
    """In words, what `model` has instead of the group `group`, of which it has no parameters."""
    who = f"this {called(unwrapped(model))}"
    if group == "output":
        taken = outputs.find(model)[0]
        if any(True for head in taken.values() for _ in head.parameters()):
            return f"the output layer of {who}, {next(iter(taken))}, has only parameters of layers before it or of normalisation"
        could = [path for path, layer in named(model) if path and own(layer) and not norm(layer)]
        last = [path for path in could if not outputs.auxiliary(path)][-1:]
        example = f"; name it, as in output={last[0]!r}" if last else ""
        return f"{who} has no linear layer that could be its output layer{example}"
    if group == BESIDE:
        return f"{who} has no BatchNorm with γ and β inside a module called shortcut or downsample"
    if group not in NORMS and group not in ("bn", "norm"):
        return f"{who} has no parameters in the group {group!r}"
    affine, fixed = Counter(), Counter()
    for _, layer in named(model):
        if kind := norm(layer):
            (affine if own(layer) else fixed)[kind, called(layer)] += 1
    wanted = {"gamma": "bn", "beta": "bn"}.get(group, group)
    kinds = [kind for kind in TITLES if any(kind == one for one, _ in affine)]
    if wanted in kinds:  # the layers are there: γ or β alone is not
        return f"the {TITLES[wanted]} of {who} has no parameters in the group {group!r}"
    has = [f"{number} {name}" for (_, name), number in affine.items()]
    for (_, name), number in fixed.items():
        why = "whose γ and β are fixed" if "frozen" in name.lower() else "without γ and β (affine=False)"
        has.append(f"{number} {name} {why}")
    none = TITLES.get(wanted, "normalisation")
    use = f": use {', '.join(kinds)} or norm" if kinds else ""
    learns = " that could learn" if any(wanted in (kind, "norm") for kind, _ in fixed) else ""
    instead = f"but {' and '.join(has)}{use}" if has else "nor any other normalisation"
    return f"{who} has no {none}{learns}, {instead}" if group != "norm" or has else f"{who} has no {none}"
