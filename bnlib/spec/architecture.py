"""Names of networks: what they say. Those of the layers in them are in `layers`."""

import math
import re
from dataclasses import dataclass

from bnlib.spec.choices import LAYERS, MOST_WEIGHTS, NORMALISATIONS, SIZES
from bnlib.spec.datasets import SIDE
from bnlib.words import nearest, one_of, plain, shown

# Convolutions in each of the five segments of a VGG; a segment ends by halving the resolution.
VGG_SEGMENTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
VGG_FEATURES = (64, 128, 256, 512, 512)
# Blocks in each of the four segments of ImageNet's ResNets.
IMAGENET_SEGMENTS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
IMAGENET_FEATURES = (64, 128, 256, 512)  # of a block's first convolution; a bottleneck gives four times as many
KERAS_DEPTHS = (50, 101, 152)
VIT_DEPTHS = tuple(range(1, 25))
VIT = {"patch": 4, "features": 128, "hidden": 512, "heads": 4}  # side of a patch in pixels; of a token, of the layer between
_DEPTHS = {
    "vgg": tuple(VGG_SEGMENTS),
    "imagenet-resnet": tuple(IMAGENET_SEGMENTS),
    "keras-resnet": KERAS_DEPTHS,
    "vit": VIT_DEPTHS,
}
# Widths below 1, as a name writes them: those at which 16W is a whole number of features.
NARROW = {f"{k / 16}": k / 16 for k in range(1, 16)}
_USUAL = ("resnet14", "wrn14-4", "vgg16", "imagenet-resnet50", "keras-resnet50", "vit6")
_LISTED = tuple(f"{kind}{depth}" for kind, depths in _DEPTHS.items() for depth in depths)


@dataclass(frozen=True)
class Architecture:
    """What a model's name says: `depth` layers and `width`, the factor W on 16, 32 and 64 features of a CIFAR ResNet.

    width: a whole number, or below 1 a multiple of 1/16. family: `resnet` (for CIFAR, 6D+2 layers), `vgg`, `imagenet`
    (ImageNet's ResNets as torchvision has them), `keras` (the same as Keras has them), or `vit` (a small vision transformer of
    `depth` blocks).
    """

    depth: int
    width: int | float = 1
    family: str = "resnet"

    @property
    def name(self) -> str:
        """The name a user types. A width of 1 is the plain ResNet: `wrn14-1` and `resnet14` are one network."""
        if self.family in ("vgg", "vit"):
            return f"{self.family}{self.depth}"
        if self.family != "resnet":
            return f"{self.family}-resnet{self.depth}"
        return f"resnet{self.depth}" if self.width == 1 else f"wrn{self.depth}-{self.width}"

    @property
    def title(self) -> str:
        """The name in figures and tables, such as the paper's ResNet-110 or WRN-14-2; ImageNet ResNet-50, Keras ResNet-50."""
        if self.family in ("vgg", "vit"):
            return f"{'VGG' if self.family == 'vgg' else 'ViT'}-{self.depth}"
        before = {"imagenet": "ImageNet ", "keras": "Keras "}.get(self.family, "")
        return f"{before}ResNet-{self.depth}" if self.width == 1 else f"WRN-{self.depth}-{self.width}"

    @property
    def bottleneck(self) -> bool:
        """Whether its blocks are 1×1, 3×3 and 1×1 convolutions, not two of 3×3."""
        return self.family in ("imagenet", "keras") and self.depth >= 50

    @property
    def least(self) -> int:
        """The smallest side of pictures that it takes."""
        return {"vgg": 16, "vit": SIDE}.get(self.family, SIZES[0])  # four maximum pools; a place for each patch is drawn

    @property
    def most(self) -> int:
        """The largest side of pictures that it takes."""
        return SIDE if self.family == "vit" else SIZES[1]

    @property
    def normalisations(self) -> tuple[str, ...]:
        """What may stand in BatchNorm's place, BatchNorm first."""
        return tuple(NORMALISATIONS) if self.family == "resnet" else tuple(NORMALISATIONS)[:1]

    def kind(self, norm: str = "batch") -> str:
        """The group that `freeze` counts its γ and β in, with `norm` in BatchNorm's place: `bn`, `gn`, `in`, or `ln` of a ViT."""
        return "ln" if self.family == "vit" else NORMALISATIONS[norm]

    def convolutions(self, size: int = 32) -> list[tuple[int, int, int, int, int]]:
        """Its convolutions, the stem's first: how many alike, inputs, outputs, kernel's side, output's side.

        size: the side of the pictures. Of a ViT its linear layers, each a 1×1 convolution of the patches: without the one token
        more and without the products of attention, together a tenth of what there is to multiply.
        """
        if self.family == "vit":
            side, f, hidden = size // VIT["patch"], VIT["features"], VIT["hidden"]
            each = [(3 * f, f), (f, f), (hidden, f), (f, hidden)]  # of a block: queries, keys and values; what attention gives; two
            return [(1, 3, f, VIT["patch"], side), *((self.depth, i, o, 1, side) for o, i in each)]
        if self.family == "vgg":
            layers = [(f, size >> i) for i, f in enumerate(VGG_FEATURES) for _ in range(VGG_SEGMENTS[self.depth][i])]
            return [(1, before, f, 3, side) for (before, _), (f, side) in zip([(3, size), *layers], layers, strict=False)]
        if self.family != "resnet":
            return self._of_four_segments(size)
        f, blocks = round(16 * self.width), (self.depth - 2) // 6
        found = [(1, 3, f, 3, size), (2 * blocks, f, f, 3, size)]
        for wide in (2 * f, 4 * f):
            size = _half(size)
            found += [(1, wide // 2, wide, 3, size), (1, wide // 2, wide, 1, size), (2 * blocks - 1, wide, wide, 3, size)]
        return found

    def _of_four_segments(self, size: int) -> list[tuple[int, int, int, int, int]]:
        found, before, size = [(1, 3, 64, 7, _half(size))], 64, _half(_half(size))  # the stem; a maximum pool halves once more
        for f, blocks in zip(IMAGENET_FEATURES, IMAGENET_SEGMENTS[self.depth], strict=True):
            whole, size = size, size if f == 64 else _half(size)
            out = 4 * f if self.bottleneck else f
            if not self.bottleneck:
                found += [(1, before, f, 3, size), (2 * blocks - 1, f, f, 3, size)]
            else:  # torchvision halves the resolution in the 3×3 convolution of a segment's first block, Keras in the 1×1 before
                first = size if self.family == "keras" else whole
                found += [(1, before, f, 1, first), (blocks - 1, out, f, 1, size)]
                found += [(blocks, f, f, 3, size), (blocks, f, out, 1, size)]
            if before != out:
                found.append((1, before, out, 1, size))  # the shortcut
            before = out
        return found

    @property
    def weights(self) -> int:
        """How many weights its convolutions have."""
        return sum(times * inputs * outputs * kernel**2 for times, inputs, outputs, kernel, _ in self.convolutions())

    @property
    def multiplications(self) -> int:
        """How many multiplications its convolutions take for a picture of 32×32."""
        return sum(times * i * o * (kernel * side) ** 2 for times, i, o, kernel, side in self.convolutions())


def _half(side: int) -> int:
    """What a convolution or a pool of stride 2, padded by half its kernel, leaves of a side."""
    return (side + 1) // 2


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
        near = " and ".join(str(one) for one in (below, below + 6) if one <= LAYERS[1]) if depth > 8 else "8"
        raise ValueError(f"depth {depth} is not 6D+2, as a CIFAR ResNet's must be; nearest: {near}")
    return depth


def architecture(name: str) -> Architecture:
    """Read a model's name: `resnetN` or `wrnN-W` with N = 6D+2, `vggN`, `imagenet-resnetN`, `keras-resnetN` or `vitN`.

    W is a whole number, or below 1 a multiple of 1/16, such as 0.25. A VGG's N is one of 11, 13, 16 and 19; of ImageNet's ResNets
    18, 34, 50, 101, 152 and 200; of Keras's 50, 101 and 152; a ViT's is 1 to 24. In capitals or not. Raises ValueError for any
    other name, with the nearest valid one; and for a network of more than 10,000 layers or a thousand million weights.
    """
    name = plain(name)
    if listed := re.fullmatch(r"(vgg|imagenet-resnet|keras-resnet|vit)(\d+)", str(name).lower()):
        kind, layers = listed[1], counted(listed[2])
        if kind == "vit" and layers not in VIT_DEPTHS:
            near = min(max(layers, VIT_DEPTHS[0]), VIT_DEPTHS[-1])
            raise ValueError(f"model {shown(name)}: a ViT has from {VIT_DEPTHS[0]} to {VIT_DEPTHS[-1]} blocks; nearest: vit{near}")
        if layers not in _DEPTHS[kind]:
            near = min(_DEPTHS[kind], key=lambda depth: abs(depth - layers))
            *some, last = map(str, _DEPTHS[kind])
            what = f"{'a VGG has' if kind == 'vgg' else f'use {kind}N with N one of'} {', '.join(some)} or {last}"
            raise ValueError(f"model {shown(name)}: {what}{' layers' if kind == 'vgg' else ''}; nearest: {kind}{near}")
        return Architecture(layers, family=kind.removesuffix("-resnet"))
    match = re.fullmatch(r"resnet(\d+)|wrn(\d+)-(\d+(?:[.]\d*)?|[.]\d+)", str(name).lower())
    if match is None:
        raise ValueError(
            f"unknown model {shown(name)}: use resnetN with N = 6D+2 (resnet14, …), wrn14-W (wrn14-4, wrn14-0.25), "
            f"vggN (vgg16), imagenet-resnetN, keras-resnetN (keras-resnet50) or vitN (vit6){_hint(str(name))}"
        )
    depth, (width, exact) = counted(match[1] or match[2]), _factor(match[3] or "1")
    try:
        arch = Architecture(check_depth(depth), width)
    except ValueError as error:
        other = f"; ImageNet's is called imagenet-resnet{depth}" if match[1] and depth in IMAGENET_SEGMENTS else ""
        raise ValueError(f"model {shown(name)}: {error}{other}") from None
    if arch.weights > MOST_WEIGHTS:
        about = math.isqrt(MOST_WEIGHTS * width**2 // arch.weights)  # all but the stem's grow with the square of the width
        widest = next(one for w in range(about, 0, -1) if (one := Architecture(depth, w)).weights <= MOST_WEIGHTS)
        raise ValueError(f"model {shown(name)}: a network has at most {MOST_WEIGHTS} weights; nearest: {widest.name}")
    if not exact:
        allowed = "the width factor W must be whole and at least 1, or a multiple of 1/16 below 1"
        raise ValueError(f"model {shown(name)}: {allowed}; nearest: {arch.name}")
    return arch


def check_norm(name: str, norm: str) -> str:
    """Return `norm`, if it may stand in BatchNorm's place in the network `name`. Raises ValueError, one line, if not."""
    one_of("norm", norm, tuple(NORMALISATIONS))
    arch = architecture(name)
    if norm not in arch.normalisations:
        only = "LayerNorm, and nothing in its place" if arch.family == "vit" else "BatchNorm alone"
        raise ValueError(
            f"norm {norm!r}: {arch.name} has {only}; the CIFAR ResNets, resnetN and wrnN-W, have others; nearest: batch"
        )
    return norm


def _factor(digits: str) -> tuple[int | float, bool]:
    """The width factor next to the number that a name says in `digits`, and whether it is just that."""
    whole, _, part = digits.partition(".")
    whole, part = counted(whole), part.rstrip("0")
    if whole and not part:
        return whole, True
    said = f"{whole}.{part}"
    if said in NARROW:
        return NARROW[said], True
    return min((*NARROW.values(), max(1, whole), whole + 1), key=lambda width: abs(width - float(said))), False


def namesake(name: str) -> str:
    """Which network `name` is, where torchvision or ImageNet has another of that name, in one line; empty where none does.

    Raises ValueError as `architecture`.
    """
    arch = architecture(name)
    if arch.family == "vgg":
        return (
            f"{arch.name} is the network for CIFAR, with BatchNorm and one linear layer; "
            f"ImageNet's is torchvision.models.{arch.name}_bn"
        )
    if arch.family != "resnet" or arch.width != 1 or arch.depth not in IMAGENET_SEGMENTS:
        return ""
    return f"{arch.name} is the network for CIFAR, of three segments; ImageNet's is called imagenet-{arch.name}"


def counted(digits: str) -> int:
    """The number that a name says in `digits`; of more than nine, a thousand million: as refused, and read at once."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) < 10 else 10**9


def smallest_filter(name: str) -> int:
    """Weights in the smallest filter of the network `name`, such as a shortcut's 1×1 convolution or the first layer's 3·3·3."""
    return min(inputs * side**2 for _, inputs, _, side, _ in architecture(name).convolutions())


def _hint(name: str) -> str:
    """A guess at what a malformed model name meant, for the error line; of a family without a number its usual network.

    Of what is like no name that there is: how such a network is trained.
    """
    if len(name) > 2 and (usual := [one for one in _USUAL if one.startswith(name.lower())]):
        return f"; did you mean {usual[0]}?"
    if len(name) < 40 and re.search("vgg|imagenet|keras|vit", name.lower()) and (near := nearest(name.lower(), _LISTED)):
        return near.replace("'", "")
    letters, digits = re.match(r"[a-z_-]*", name.lower())[0].strip("_-"), re.findall(r"\d+", name)
    if letters and "resnet" not in letters and not nearest(letters, ("resnet", "wrn"), cutoff=0.75):
        return "; any other network learns by bnlib.fit(model, …)"
    if not digits or not LAYERS[0] <= counted(digits[0]) <= LAYERS[1]:
        return ""
    below = counted(digits[0]) - (counted(digits[0]) - 2) % 6
    wide = f"wrn{below}-{digits[1]}" if len(digits) > 1 and 1 < counted(digits[1]) < 1000 else None
    if wide:
        try:
            architecture(wide)
        except ValueError:  # too many weights
            wide = None
    return f"; did you mean {wide or f'resnet{below}'}?"
