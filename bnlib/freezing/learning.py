"""`freeze` and `count`: let some groups of a network's parameters learn, and say how many they are."""

from torch import nn

from bnlib.freezing import output as outputs
from bnlib.freezing import subset
from bnlib.freezing.grouping import beside, groups, missing
from bnlib.spec.choices import SEEDS
from bnlib.spec.trainable import BESIDE, NORMS, parse
from bnlib.words import shown, whole


def freeze(model: nn.Module, trainable: str = "bn", seed: int = 0, *, output: str | None = None) -> nn.Module:
    """Let the groups of `trainable` learn and freeze all else, in place; returns the model.

    trainable: groups joined by `+`: `gamma`, `beta` and `bn`, both of them, of BatchNorm; `ln`, `gn`, `in` and `rms`, γ and β of
    LayerNorm, GroupNorm, InstanceNorm and RMSNorm, and `norm`, those of all kinds; `shortcut-bn`, γ and β of BatchNorm inside
    shortcuts; `output`, `shortcut`, `features`, all else;
    `random:K`, K random weights of each output channel of every convolution. Or `all`, `none`, `all-bn`.
    seed: places the weights of `random:K`, the same in a model, its DataParallel and its compiled form.
    output: the path of the output layer, such as `fc` or `heads.head`. If it is None and there was a choice, the log
    `bnlib.freezing` says which was taken.

    Works on any torch network. Make the optimiser afterwards; one made before moves nothing that is frozen here, as its gradients
    are taken away. BatchNorm's running statistics go on moving in training mode, whatever is trainable: they are not parameters.
    A parameter that several layers share is in the group of the first. Calling it again starts from scratch.
    Raises ValueError, before anything is changed, for an unknown group or one that the model has not, which says what it has
    instead; for a K larger than a filter, a convolution of which no weights can be taken, a seed or an `output` that is none, and
    a layer that has no shape yet.
    """
    chosen, k = parse(trainable)
    seed = whole("seed", seed, *SEEDS)
    found = groups(model, output) | {BESIDE: beside(model)}
    _check(model, trainable, chosen, found, output)
    learning = {id(getattr(holder, name)) for group in chosen for holder, name in found.get(group, ())}
    convs = subset.check(model, str(trainable), learning) if k else []
    if "output" in chosen and "features" not in chosen:
        outputs.say(model, output, found)
    subset.merge(model)
    for group, members in groups(model, output).items():
        for holder, name in members:
            parameter = getattr(holder, name)
            if group in chosen and (parameter.is_floating_point() or parameter.is_complex()):
                parameter.requires_grad_(True)
            else:
                parameter.requires_grad_(False).grad = None  # an optimiser would go on from it
    for holder, name in found[BESIDE] if BESIDE in chosen else ():
        getattr(holder, name).requires_grad_(True)
    for path, conv in convs:
        subset.put(conv, subset.draw(conv, path, k, seed))
    return model


def count(model: nn.Module, output: str | None = None) -> dict[str, int]:
    """Exact numbers of parameters: `total`, `trainable`, `bn` (γ and β) and each group; the groups sum up to `total`.

    Of a network with other normalisation than BatchNorm also `ln`, `gn`, `in` and `rms`, those that it has, and `norm`, all kinds
    together. A parameter that several layers share counts once. `random:K` weights are counted where they lie and, in
    `trainable`, once each. output: as for `freeze`.
    """
    found = groups(model, output)
    outputs.say(model, output, found)
    numbers = {group: sum(subset.size(*member) for member in members) for group, members in found.items()}
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    every = sum(numbers.get(group, 0) for group in NORMS)
    bn = numbers["gamma"] + numbers["beta"]
    more = {"norm": every} if every > bn else {}
    return {"total": sum(numbers.values()), "trainable": trainable, "bn": bn, **more, **numbers}


def _check(model, trainable, chosen, found, output) -> None:
    """Raise ValueError if `model` has nothing of a group that was asked for by its name."""
    words = [word.strip() for word in str(trainable).split("+")]
    for word in words:
        members = parse(word)[0] if word in ("bn", "norm") else {word} & chosen
        if members and word != "features" and not any(found.get(group) for group in members):
            named = output is not None and word == "output"
            why = f"all parameters of {output!r} are in other groups" if named else missing(model, word)
            raise ValueError(f"trainable {shown(trainable)}: {why}")
