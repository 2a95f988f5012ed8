"""Which layer of a network gives its outputs, if nobody says it."""

import functools
import logging
from collections import Counter

from torch import nn

from bnlib.freezing.layers import called, named, unwrapped
from bnlib.spec.trainable import NORMS
from bnlib.words import nearest, shown

_TAKES = ("in_features", "in_channels", "num_features", "num_channels", "input_size")
_log = logging.getLogger("bnlib.freezing")


def find(model: nn.Module, output: str | None = None) -> tuple[dict[str, nn.Module], list[str]]:
    """The output layer of `model`, by its path, and the paths of other layers that it could have been.

    Without `output`, its path: what the network's own `get_classifier()` says (timm's networks have it); else the last linear
    layer whose outputs no other layer takes, by their number; else the last linear layer. Never one of an attention; one of an
    auxiliary head only if there is no other. Raises ValueError, with the nearest, for a path that is none or has no parameters.
    """
    layers = dict(named(model))
    if output is not None:
        with_parameters = [path for path, module in layers.items() if path and any(True for _ in module.parameters())]
        if output not in with_parameters:
            said = "has no parameters" if output in layers else "is no layer"
            near = nearest(output, with_parameters, cutoff=0.4)
            raise ValueError(f"output {shown(output)}: {said} of this {called(unwrapped(model))}; give the path of one{near}")
        return {output: layers[output]}, []
    if (said := _said(unwrapped(model))) is not None:
        return {path: module for path, module in layers.items() if any(module is one for one in said)}, []
    root, linear, attention = unwrapped(model), {}, ()
    takes = {path: _sizes(layer) for path, layer in layers.items()}
    for path, layer in layers.items():  # a layer comes before those in it
        if layer is not root and "attention" in called(layer).lower():
            attention += (f"{path}.",)
        elif isinstance(layer, nn.Linear) and not path.startswith(attention):
            linear[path] = layer
    if not linear:
        return {}, []
    taken = Counter(size for sizes in takes.values() for size in sizes)
    ends = [path for path, layer in linear.items() if not taken[layer.out_features] - (layer.out_features in takes[path])]
    last, order = list(linear)[-1], list(layers)
    main = [path for path in ends if not auxiliary(path)]
    chosen = (main or ends or [last])[-1]
    # The last one may be what is meant although another layer takes as many, if that one is registered before it.
    after = {size for path in order[order.index(last) + 1 :] for size in takes[path]}
    late = [] if linear[last].out_features in after else [last]
    could = ends + late or list(linear)  # all, where it is a guess
    return {chosen: linear[chosen]}, [path for path in dict.fromkeys(could) if path != chosen]


def auxiliary(path: str) -> bool:
    """Whether a layer is of an auxiliary head, by its path."""
    return any(part.lower().startswith("aux") for part in path.split("."))


def say(model: nn.Module, output: str | None, found: dict[str, list[tuple[nn.Module, str]]]) -> None:
    """Tell the log, once, which layer was taken for the output layer, if there was a choice, and if another group has some of it.

    found: the groups of `model`.
    """
    taken, others = find(model, output)
    own = {id(getattr(*member)) for group in ("output", *NORMS) for member in found.get(group, ())}
    for path, head in taken.items():
        if found["output"] and any(id(parameter) not in own for parameter in head.parameters()):
            _say(f"the output layer {path} shares parameters with layers before it, in whose group they are")
    if others:
        rest = f"{', '.join(others[:3])}{f' or {len(others) - 3} others' if len(others) > 3 else ''}"
        _say(
            f"this {called(unwrapped(model))} has more than one layer that could be its output layer: {', '.join(taken)} is taken, "
            f"not {rest}; output= names another"
        )


@functools.cache
def _say(message: str) -> None:
    _log.warning(message)


def _said(root: nn.Module) -> list[nn.Module] | None:
    """What the network itself calls its classifier; None if it says nothing that is a layer of its own."""
    ask = getattr(root, "get_classifier", None)
    try:
        answer = ask() if callable(ask) else None
    except Exception:  # a method of that name that is somebody else's idea
        return None
    said = list(answer) if isinstance(answer, tuple | list) else [answer]
    mine = {id(module) for module in root.modules()}
    return said if said and all(isinstance(one, nn.Module) and id(one) in mine for one in said) else None


def _sizes(layer: nn.Module) -> set[int]:
    """How many features a layer takes, by what it says itself."""
    said = [getattr(layer, name, None) for name in _TAKES]
    shape = getattr(layer, "normalized_shape", None)
    return {size for size in [*said, *(shape if isinstance(shape, tuple) else ())] if isinstance(size, int)}
