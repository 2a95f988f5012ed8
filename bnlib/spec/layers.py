"""Names of the layers in a network: what they say."""

import re
from collections.abc import Iterable


def in_shortcut(path: str) -> bool:
    """Whether the layer at `path` is inside a shortcut: a module called `shortcut`, or `downsample`, torchvision's name."""
    return bool({"shortcut", "downsample"} & set(path.split(".")))


def added(layer: str, layers: Iterable[str] = ()) -> bool:
    """Whether the output of the BatchNorm `layer` goes to a block's addition, not to a ReLU of its own.

    layer: its name in a network, such as `segments.0.0.bn2`; true of a block's last BatchNorm and of a shortcut's. layers: the
    names of all the network's BatchNorm layers, which tell a bottleneck, whose last is `bn3`, from a block of two.
    """
    block, _, own = layer.rpartition(".")
    if in_shortcut(layer) or own == "bn3":
        return True
    return own == "bn2" and bool(block) and f"{block}.bn3" not in layers


def place(layer: str) -> tuple:
    """A key that sorts the normalisation layers of a network as they lie in it: `segments.0.10.bn1` behind `segments.0.9.bn2`."""
    return tuple(tuple(int(one) if one.isdigit() else one for one in re.split(r"(\d+)", part)) for part in layer.split("."))
