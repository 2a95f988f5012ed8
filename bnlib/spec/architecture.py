"""Names of networks, and of the layers in them: what they say."""

import math
import re
from dataclasses import dataclass

from bnlib.spec.choices import LAYERS, MOST_WEIGHTS
from bnlib.words import plain, shown

# Convolutions in each of the five segments of a VGG; a segment ends by halving the resolution.
VGG_SEGMENTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
VGG_FEATURES = (64, 128, 256, 512, 512)


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

    @property
    def convolutions(self) -> list[tuple[int, int, int, int, int]]:
        """Its convolutions on images of 32×32, the stem's first: how many alike, inputs, outputs, kernel's side, output's side."""
        if self.family == "vgg":
            layers = [(f, 32 >> i) for i, f in enumerate(VGG_FEATURES) for _ in range(VGG_SEGMENTS[self.depth][i])]
            return [(1, before, f, 3, side) for (before, _), (f, side) in zip([(3, 32), *layers], layers, strict=False)]
        f, blocks = 16 * self.width, (self.depth - 2) // 6
        found = [(1, 3, f, 3, 32), (2 * blocks, f, f, 3, 32)]
        for wide, side in ((2 * f, 16), (4 * f, 8)):
            found += [(1, wide // 2, wide, 3, side), (1, wide // 2, wide, 1, side), (2 * blocks - 1, wide, wide, 3, side)]
        return found

    @property
    def weights(self) -> int:
        """How many weights its convolutions have."""
        return sum(times * inputs * outputs * side**2 for times, inputs, outputs, side, _ in self.convolutions)


def check_depth(depth: int) -> int:
    """Return `depth` as an int if a CIFAR ResNet can have it: 6D+2 for a whole D of at least 1, up to 10,000 layers.

    Raises ValueError that names the nearest depths otherwise.
    """
    depth = plain(depth)
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise ValueError(f"depth {shown(depth)}: a whole number of the form 6D+2 is needed, such as 14, 32, 56 or 110")
    if depth > LAYERS[1]:
        deepest = LAYERS[1] - (LAYERS[1] - 2) % 6
        raise ValueError(f"depth {shown(depth)}: a network has at most {LAYERS[1]} layers; nearest: {deepest}")
    if depth < 8 or (depth - 2) % 6:
        below = max(8, depth - (depth - 2) % 6)
        near = f"{below} and {below + 6}" if depth > 8 else "8"
        raise ValueError(f"depth {depth} is not 6D+2, as a CIFAR ResNet's must be; nearest: {near}")
    return depth


def architecture(name: str) -> Architecture:
    """Read a model's name: `resnetN` or `wrnN-W` with N = 6D+2 and W ≥ 1, or `vggN` with N one of 11, 13, 16 and 19.

    Raises ValueError for any other name, with the nearest valid one; and for a network of more than 10,000 layers or a thousand
    million weights.
    """
    name = plain(name)
    if vgg := re.fullmatch(r"vgg(\d+)", str(name).lower()):
        layers = counted(vgg[1])
        if layers not in VGG_SEGMENTS:
            near = min(VGG_SEGMENTS, key=lambda depth: abs(depth - layers))
            raise ValueError(f"model {shown(name)}: a VGG has 11, 13, 16 or 19 layers; nearest: vgg{near}")
        return Architecture(layers, family="vgg")
    match = re.fullmatch(r"resnet(\d+)|wrn(\d+)-(\d+)", str(name).lower())
    if match is None:
        raise ValueError(
            f"unknown model {shown(name)}: use resnetN with N = 6D+2 (resnet14, resnet110, …), wrn14-W (wrn14-4) or vggN (vgg16)"
            + _hint(str(name))
        )
    depth, width = counted(match[1] or match[2]), counted(match[3] or "1")
    try:
        arch = Architecture(check_depth(depth), width)
    except ValueError as error:
        raise ValueError(f"model {shown(name)}: {error}") from None
    if width < 1:
        raise ValueError(
            f"model {shown(name)}: the width factor W must be at least 1; nearest: wrn{depth}-1, which is resnet{depth}"
        )
    if arch.weights > MOST_WEIGHTS:
        about = math.isqrt(MOST_WEIGHTS * width**2 // arch.weights)  # all but the stem's grow with the square of the width
        widest = next(one for w in range(about, 0, -1) if (one := Architecture(depth, w)).weights <= MOST_WEIGHTS)
        raise ValueError(f"model {shown(name)}: a network has at most {MOST_WEIGHTS} weights; nearest: {widest.name}")
    return arch


def counted(digits: str) -> int:
    """The number that a name says in `digits`; of more than nine, a thousand million: as refused, and read at once."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) < 10 else 10**9


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
    if not digits or not LAYERS[0] <= counted(digits[0]) <= LAYERS[1]:
        return ""
    below = counted(digits[0]) - (counted(digits[0]) - 2) % 6
    wide = f"wrn{below}-{digits[1]}" if len(digits) > 1 and 1 < counted(digits[1]) < 1000 else None
    return f"; did you mean {wide or f'resnet{below}'}?"
