"""Names of networks, and of the layers in them: what they say."""

import re
from dataclasses import dataclass

# Convolutions in each of the five segments of a VGG; a segment ends by halving the resolution.
VGG_SEGMENTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class Architecture:
    """What a model's name says: `depth` layers (a ResNet's are 6D+2) and `width`, the factor W on 16, 32 and 64 features.

    family: `resnet` or `vgg`.
    """

    depth: int
    width: int = 1
    family: str = "resnet"

    @property
    def name(self) -> str:
        """The name a user types. A width of 1 is the plain ResNet: `wrn14-1` and `resnet14` are one network."""
        if self.family == "vgg":
            return f"vgg{self.depth}"
        return f"resnet{self.depth}" if self.width == 1 else f"wrn{self.depth}-{self.width}"

    @property
    def title(self) -> str:
        """The name the paper prints, such as ResNet-110 or WRN-14-2."""
        if self.family == "vgg":
            return f"VGG-{self.depth}"
        return f"ResNet-{self.depth}" if self.width == 1 else f"WRN-{self.depth}-{self.width}"


def check_depth(depth: int) -> int:
    """Return `depth` if a CIFAR ResNet can have it: 6D+2 for a whole D of at least 1.

    Raises ValueError that names the nearest depths otherwise.
    """
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise ValueError(f"depth {depth!r}: a whole number of the form 6D+2 is needed, such as 14, 32, 56 or 110")
    if depth < 8 or (depth - 2) % 6:
        below = max(8, depth - (depth - 2) % 6)
        near = f"{below} and {below + 6}" if depth > 8 else "8"
        raise ValueError(f"depth {depth} is not 6D+2, as a CIFAR ResNet's must be; nearest: {near}")
    return depth


def architecture(name: str) -> Architecture:
    """Read a model's name: `resnetN` or `wrnN-W` with N = 6D+2 and W ≥ 1, or `vggN` with N one of 11, 13, 16 and 19.

    Raises ValueError for any other name, with the nearest valid one.
    """
    if vgg := re.fullmatch(r"vgg(\d+)", str(name).lower()):
        if int(vgg[1]) not in VGG_SEGMENTS:
            near = min(VGG_SEGMENTS, key=lambda depth: abs(depth - int(vgg[1])))
            raise ValueError(f"model {name!r}: a VGG has 11, 13, 16 or 19 layers; nearest: vgg{near}")
        return Architecture(int(vgg[1]), family="vgg")
    match = re.fullmatch(r"resnet(\d+)|wrn(\d+)-(\d+)", str(name).lower())
    if match is None:
        raise ValueError(
            f"unknown model {name!r}: use resnetN with N = 6D+2 (resnet14, resnet110, …), wrn14-W (wrn14-4) or vggN (vgg16)"
            + _hint(str(name))
        )
    depth, width = int(match[1] or match[2]), int(match[3] or 1)
    if width < 1:
        raise ValueError(f"model {name!r}: the width factor W must be at least 1; nearest: wrn{depth}-1, which is resnet{depth}")
    try:
        return Architecture(check_depth(depth), width)
    except ValueError as error:
        raise ValueError(f"model {name!r}: {error}") from None


def smallest_filter(name: str) -> int:
    """Weights in the smallest filter of the network `name`: the first shortcut's 1×1 convolution, or the first layer's 3·3·3."""
    arch = architecture(name)
    return min(27, 16 * arch.width) if arch.family == "resnet" else 27


def added(layer: str) -> bool:
    """Whether the output of the BatchNorm `layer` goes to a block's addition, not to a ReLU of its own.

    layer: a name in a CIFAR network, such as `segments.0.0.bn2`; true of a block's last BatchNorm and of a shortcut's.
    """
    return ".shortcut." in layer or layer.endswith(".bn2")


def place(layer: str) -> tuple:
    """A key that sorts the layers of a CIFAR network as they lie in it: `segments.0.10.bn1` behind `segments.0.9.bn2`."""
    return tuple(int(part) if part.isdigit() else part for part in layer.split("."))


def _hint(name: str) -> str:
    """A guess at what a malformed model name meant, for the error line."""
    digits = re.findall(r"\d+", name)
    if not digits or not 8 <= int(digits[0]) <= 10_000:
        return ""
    below = int(digits[0]) - (int(digits[0]) - 2) % 6
    wide = f"wrn{below}-{digits[1]}" if len(digits) > 1 and int(digits[1]) > 1 else None
    return f"; did you mean {wide or f'resnet{below}'}?"
