"""The paper's networks, by name.

ResNet-N for CIFAR (N = 6D+2) and its wide form WRN-N-W, after section 3 of the paper and the authors' code; VGG-N for CIFAR
after the same code; ImageNet's ResNets in torchvision's layout.
"""

import re
from dataclasses import dataclass

import torch
from torch import nn

from bnlib.models.initialisation import initialise

# Blocks in each of the four segments, and whether they are bottlenecks.
IMAGENET = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
    200: ((3, 24, 36, 3), True),
}
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


def _hint(name: str) -> str:
    """A guess at what a malformed model name meant, for the error line."""
    digits = re.findall(r"\d+", name)
    if not digits or not 8 <= int(digits[0]) <= 10_000:
        return ""
    below = int(digits[0]) - (int(digits[0]) - 2) % 6
    wide = f"wrn{below}-{digits[1]}" if len(digits) > 1 and int(digits[1]) > 1 else None
    return f"; did you mean {wide or f'resnet{below}'}?"


class BasicBlock(nn.Module):
    """conv – BN – ReLU – conv – BN, plus the shortcut, then ReLU: (N, C, H, W) → (N, C', H/stride, W/stride)."""

    def __init__(self, inputs: int, features: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, features, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != features:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, features, 1, stride=stride, bias=False), nn.BatchNorm2d(features))

    def forward(self, x):
        """Map (N, C, H, W) to the block's output."""
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """The CIFAR ResNet of the paper: stem, three segments of D blocks, average pool, output layer.

    Takes images (N, 3, 32, 32), gives logits (N, classes). 16W, 32W and 64W features; the first block of the
    second and third segment halves the resolution and has a 1×1 convolution with its own BatchNorm as shortcut.
    """

    def __init__(self, depth: int, width: int = 1, classes: int = 10):
        super().__init__()
        self.conv = nn.Conv2d(3, 16 * width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16 * width)
        segments, inputs = [], 16 * width
        for index, features in enumerate((16 * width, 32 * width, 64 * width)):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(BasicBlock(inputs, features, stride=2 if index and not block else 1))
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


def skeleton(name: str, classes: int | None = None) -> nn.Module:
    """The network `name` without numbers, on the meta device: names and shapes, for counting. Costs no memory.

    name: as for `build`. classes: 10 for CIFAR networks and 1000 for ImageNet's unless given.
    """
    match = re.fullmatch(r"imagenet-resnet(\d+)", str(name).lower())
    with torch.device("meta"):
        if match is None:
            arch = architecture(name)
            if arch.family == "vgg":
                return VGG(arch.depth, classes or 10)
            return ResNet(arch.depth, arch.width, classes or 10)
        if int(match[1]) not in IMAGENET:
            raise ValueError(f"unknown model {name!r}: use imagenet-resnetN with N one of {', '.join(map(str, IMAGENET))}")
        from torchvision.models import resnet

        blocks, bottleneck = IMAGENET[int(match[1])]
        return resnet.ResNet(resnet.Bottleneck if bottleneck else resnet.BasicBlock, list(blocks), num_classes=classes or 1000)


def work(name: str, images: int) -> tuple[int, int]:
    """What a training step of the network `name` has to do: its multiplications, and the values that its convolutions give.

    Multiplications: of all convolutions, forward and for their inputs' gradients.
    """
    layers = []
    network = skeleton(name).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, i, o: layers.append((o.numel(), m.weight[0].numel())))
    network(torch.empty(images, 3, 32, 32, device="meta"))
    products = sum(out * inputs for out, inputs in layers) * 2 - layers[0][0] * layers[0][1]
    return products, sum(out for out, _ in layers)


def build(
    name: str, seed: int = 0, *, weight_init: str = "kaiming_normal", bn_init: str = "uniform", classes: int | None = None
) -> nn.Module:
    """The network `name` at its random initialisation: on the CPU, fp32, a function of its arguments alone.

    name: `resnetN` with N = 6D+2, `wrnN-W`, `vggN`, or `imagenet-resnetN`. seed: a whole number ≥ 0.
    classes: 10, or 1000 for ImageNet's networks, unless given.
    weight_init: convolutions and the output layer (all but `orthogonal` after the fan-in):
        `kaiming_normal` (the paper's, gain √2), `kaiming_uniform`, `orthogonal`, `binary` (signs times the layer's std).
    bn_init: `uniform` (the paper's: γ ~ U[0, 1], β = 0), `ones` (γ = 1, β = 0), `oneone` (γ = β = 1),
        `signed_uniform` (γ ~ U[−1, 1], β = 0; the authors' code calls it positivenegative).
    Raises ValueError for a name or an initialiser that does not exist. Source: paper, section 3; authors' code.
    """
    # From the meta device, so that no tensor is drawn twice: torch's own initialisation would cost more than ours.
    model = skeleton(name, classes).to_empty(device="cpu")
    initialise(model, seed, weight_init=weight_init, bn_init=bn_init)
    return model
