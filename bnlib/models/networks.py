"""The paper's networks, by name.

ResNet-N for CIFAR (N = 6D+2) and its wide form WRN-N-W, after section 3 of the paper and the authors' code; VGG-N for CIFAR
after the same code; ImageNet's ResNets of torchvision's blocks, and those of Keras. Beyond the paper: the CIFAR ResNets with
another normalisation in BatchNorm's place, and a small vision transformer of torchvision's.
"""

import functools
import logging
import math

import torch
from torch import nn

from bnlib.models.initialisation import initialise
from bnlib.models.keras import Bottleneck, KerasResNet
from bnlib.spec.architecture import IMAGENET_SEGMENTS, VGG_FEATURES, VGG_SEGMENTS, VIT, architecture, check_norm, namesake
from bnlib.spec.choices import CLASSES, SEEDS
from bnlib.words import whole

# GroupNorm's authors take 32 groups, or 16 features a group, of layers of 64 features and more. Of 16 features 32 groups are too
# many, and 16 a group would be LayerNorm in a third of the network: with 8 each layer differs from LayerNorm and from InstanceNorm.
GROUPS = 8


class GroupNorm(nn.GroupNorm):
    """PyTorch's, which is given its input with the channels first.

    Last, on a CPU, it takes up to twenty times as long; and where γ learns and the input needs no gradient, as behind a frozen
    stem, its backward pass ends the process. Seen with PyTorch 2.11.
    """

    def forward(self, x):
        """Normalise (N, C, H, W) over each image's groups of features."""
        return super().forward(x.contiguous())


def normalisation(norm: str, features: int) -> nn.Module:
    """What stands in BatchNorm's place, of so many features, with γ and β of one number a feature: see `build`."""
    if norm == "group":
        return GroupNorm(math.gcd(GROUPS, features), features)
    if norm == "layer":
        return GroupNorm(1, features)
    return nn.InstanceNorm2d(features, affine=True) if norm == "instance" else nn.BatchNorm2d(features)


class BasicBlock(nn.Module):
    """conv – BN – ReLU – conv – BN, plus the shortcut, then ReLU: (N, C, H, W) → (N, C', H/stride, W/stride).

    norm: see `build`; what stands in BatchNorm's place has its name, and so draws the same γ.
    """

    def __init__(self, inputs: int, features: int, stride: int, norm: str = "batch"):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, features, 3, stride=stride, padding=1, bias=False)
        self.bn1 = normalisation(norm, features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn2 = normalisation(norm, features)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != features:
            project = nn.Conv2d(inputs, features, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(project, normalisation(norm, features))

    def forward(self, x):
        """Map (N, C, H, W) to the block's output."""
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """The CIFAR ResNet of the paper: stem, three segments of D blocks, average pool, output layer.

    Takes images (N, 3, 32, 32), gives logits (N, classes). 16W, 32W and 64W features; the first block of the
    second and third segment halves the resolution and has a 1×1 convolution with its own BatchNorm as shortcut.
    norm: what stands in BatchNorm's place.
    """

    def __init__(self, depth: int, width: int | float = 1, classes: int = 10, norm: str = "batch"):
        super().__init__()
        self.made = depth, width, classes, norm  # of what, so that what has been changed since can be told
        filters = round(16 * width)
        self.conv = nn.Conv2d(3, filters, 3, padding=1, bias=False)
        self.bn = normalisation(norm, filters)
        segments, inputs = [], filters
        for index, features in enumerate((filters, 2 * filters, 4 * filters)):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(BasicBlock(inputs, features, 2 if index and not block else 1, norm))
                inputs = features
            segments.append(nn.Sequential(*blocks))
        self.segments = nn.Sequential(*segments)
        self.output = nn.Linear(inputs, classes)

    def forward(self, x):
        """Map images (N, 3, 32, 32) to logits (N, classes)."""
        x = self.segments(torch.relu(self.bn(self.conv(x))))
        return self.output(x.mean(dim=(2, 3)))


class VGG(nn.Module):
    """The CIFAR VGG with BatchNorm: five segments of 3×3 convolutions (with bias) – BN – ReLU, average pool, output layer.

    Takes images (N, 3, 32, 32), gives logits (N, classes). 64, 128, 256, 512 and 512 features; each of the first four
    segments ends in a 2×2 maximum pool. Without shortcuts. Source: authors' code.
    """

    def __init__(self, depth: int, classes: int = 10):
        super().__init__()
        layers, inputs = [], 3
        for segment, (count, features) in enumerate(zip(VGG_SEGMENTS[depth], VGG_FEATURES, strict=True)):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, features, 3, padding=1), nn.BatchNorm2d(features), nn.ReLU()]
                inputs = features
            layers += [nn.MaxPool2d(2)] if segment < 4 else []
        self.segments = nn.Sequential(*layers)
        self.output = nn.Linear(inputs, classes)

    def forward(self, x):
        """Map images (N, 3, 32, 32) to logits (N, classes)."""
        return self.output(self.segments(x).mean(dim=(2, 3)))


def skeleton(name: str, classes: int | None = None, norm: str = "batch") -> nn.Module:
    """The network `name` without numbers, on the meta device: names and shapes, for counting. Costs no memory.

    name, norm: as for `build`. classes: 10 for CIFAR networks and 1000 for ImageNet's unless given. In fp32, whatever torch's
    default is. Raises ValueError as `build`.
    """
    arch, norm = architecture(name), check_norm(name, norm)
    classes = (10 if arch.family in ("resnet", "vgg", "vit") else 1000) if classes is None else whole("classes", classes, *CLASSES)
    with torch.device("meta"):
        if arch.family == "resnet":
            return ResNet(arch.depth, arch.width, classes, norm).float()
        if arch.family == "vgg":
            return VGG(arch.depth, classes).float()
        if arch.family == "keras":
            return KerasResNet(arch.depth, classes).float()
        if arch.family == "vit":
            from torchvision.models import VisionTransformer

            sides = {"image_size": arch.least, "patch_size": VIT["patch"], "hidden_dim": VIT["features"], "mlp_dim": VIT["hidden"]}
            return VisionTransformer(**sides, num_layers=arch.depth, num_heads=VIT["heads"], num_classes=classes).float()
        from torchvision.models import resnet  # which takes a second, and most networks do without

        block = resnet.Bottleneck if arch.bottleneck else resnet.BasicBlock
        return resnet.ResNet(block, list(IMAGENET_SEGMENTS[arch.depth]), num_classes=classes).float()


def ends_in_relu(module: nn.Module) -> bool:
    """Whether `module` is a block of one of these networks: what it gives has been through the ReLU behind its addition."""
    theirs = type(module).__module__ == "torchvision.models.resnet" and hasattr(module, "downsample")
    return type(module) in (BasicBlock, Bottleneck) or theirs  # a subclass may compute something else


def work(name: str, images: int, size: int = 32) -> tuple[int, int]:
    """What a training step of the network `name` has to do: its multiplications, and the values that its convolutions give.

    size: the side of the pictures. Multiplications: of all convolutions, forward and for their inputs' gradients, which the first
    one does not need. Reckoned from the name: no network is made, so that the largest takes no longer than the smallest.
    """
    layers = [(n * o * images * side**2, i * kernel**2) for n, i, o, kernel, side in architecture(name).convolutions(size)]
    products = sum(out * inputs for out, inputs in layers) * 2 - layers[0][0] * layers[0][1]
    return products, sum(out for out, _ in layers)


def draw(name: str, seed: int = 0, *, classes: int | None = None, norm: str = "batch", **inits: str) -> nn.Module:
    """As `build`, without a word: for networks that are drawn again, or whose spec has been read. inits: weight_init, bn_init."""
    seed = whole("seed", seed, *SEEDS)  # before a large network takes its memory
    # From the meta device, so that no tensor is drawn twice: torch's own initialisation would cost more than ours.
    model = skeleton(name, classes, norm).to_empty(device="cpu")
    initialise(model, seed, **inits)
    return model


def build(
    name: str,
    seed: int = 0,
    *,
    weight_init: str = "kaiming_normal",
    bn_init: str = "uniform",
    classes: int | None = None,
    norm: str = "batch",
) -> nn.Module:
    """The network `name` at its random initialisation: on the CPU, fp32, a function of its arguments alone.

    name: `resnetN` with N = 6D+2, `wrnN-W`, W whole or below 1 a multiple of 1/16, `vggN`, `imagenet-resnetN` (torchvision's
    layout), `keras-resnetN` (Keras's), or `vitN`, a vision transformer for CIFAR of N blocks, from 1 to 24 (torchvision's, of 4×4
    patches and 128 features). Of a name that torchvision has for another network, such as `resnet50`, a line is logged that says
    which one this is.
    seed: a whole number from 0 to 2⁶³ − 1. classes: 10, or 1000 for ImageNet's networks, unless given; up to 100,000.
    weight_init: convolutions and the output layer (all but `orthogonal` after their size):
        `kaiming_normal` (the paper's, fan-in, gain √2), `kaiming_uniform`, `orthogonal`, `binary` (signs times the layer's std),
        `glorot_uniform` (Keras's, U[−a, a] with a² = 6 / (fan-in + fan-out)). Biases are zero with `glorot_uniform`, else drawn as
        torch does.
    bn_init: `uniform` (the paper's: γ ~ U[0, 1], β = 0), `ones` (γ = 1, β = 0), `oneone` (γ = β = 1),
        `signed_uniform` (γ ~ U[−1, 1], β = 0; the authors' code calls it positivenegative), `he_normal` (Keras's of that name:
        γ normal of variance 2 / features, cut off at two standard deviations; β = 0).
    norm: what stands in BatchNorm's place in `resnetN` and `wrnN-W`, with as many γ and β, drawn alike: `batch`; `group`, GroupNorm
        of 8 groups, as few as 2 of the 16 features and as many as 8 of the 64 are one group's, in narrower layers of fewer;
        `layer`, LayerNorm of all features and pixels of an image, a GroupNorm of one group; `instance`, InstanceNorm of each
        feature of an image.
    Raises ValueError for a name or an initialiser that does not exist, for a norm that the network cannot have, and for a seed or a
    number of classes that is none. Source: paper, section 3; authors' code; Keras; torchvision.
    """
    model = draw(name, seed, weight_init=weight_init, bn_init=bn_init, classes=classes, norm=norm)
    say_which(name)
    return model


def say_which(name: str) -> None:
    """Log in one line, once in a process, which network `name` is, where torchvision or ImageNet has another of that name."""
    _say(namesake(name))


@functools.cache
def _say(line: str) -> None:
    if line:
        logging.getLogger("bnlib.models").warning("%s", line)
