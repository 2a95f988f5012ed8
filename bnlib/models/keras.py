"""ResNet-50, 101 and 152 for ImageNet as Keras builds them (`keras.applications.ResNet50` and so on): version 1.

They differ from torchvision's, which `imagenet-resnetN` are, in this: the first block of a segment halves the resolution in its
first 1×1 convolution, not in the 3×3 one; every convolution has a bias; BatchNorm's ε is 1.001e-5, not 1e-5, and its running
statistics move by 0.01 a step, not by 0.1. One difference stays: what goes into the running variance is over n − 1, as PyTorch
has it, in Keras 3 over n.
"""

import torch
from torch import nn

from bnlib.spec.architecture import IMAGENET_FEATURES, IMAGENET_SEGMENTS


def norm(features: int) -> nn.BatchNorm2d:
    """Keras's BatchNorm: its momentum of 0.99 is what stays, PyTorch's 0.01 what comes anew."""
    return nn.BatchNorm2d(features, eps=1.001e-5, momentum=0.01)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution, each with BN, plus the shortcut, then ReLU; stride in the first.

    (N, C, H, W) → (N, 4·features, H/stride, W/stride). project: whether the shortcut is a convolution.
    """

    def __init__(self, inputs: int, features: int, stride: int, project: bool):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, features, 1, stride=stride), norm(features)
        self.conv2, self.bn2 = nn.Conv2d(features, features, 3, padding=1), norm(features)
        self.conv3, self.bn3 = nn.Conv2d(features, 4 * features, 1), norm(4 * features)
        self.shortcut = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * features, 1, stride=stride), norm(4 * features))

    def forward(self, x):
        """Map (N, C, H, W) to the block's output."""
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.shortcut(x) + self.bn3(self.conv3(out)))


class KerasResNet(nn.Module):
    """Keras's ResNet-50, 101 or 152: stem, four segments of bottlenecks, average pool, output layer.

    Takes images (N, 3, H, W), gives logits (N, classes), where Keras's own ends in a softmax. The first block of every segment,
    the first one's too, has a 1×1 convolution with its own BatchNorm as shortcut.
    """

    def __init__(self, depth: int, classes: int = 1000):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 64, 7, stride=2, padding=3), norm(64)
        # Keras pads with zeros here, PyTorch with −∞: behind a ReLU the maximum is the same.
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        segments, inputs = [], 64
        for index, (features, blocks) in enumerate(zip(IMAGENET_FEATURES, IMAGENET_SEGMENTS[depth], strict=True)):
            made = []
            for block in range(blocks):
                made.append(Bottleneck(inputs, features, stride=2 if index and not block else 1, project=not block))
                inputs = 4 * features
            segments.append(nn.Sequential(*made))
        self.segments = nn.Sequential(*segments)
        self.output = nn.Linear(inputs, classes)

    def forward(self, x):
        """Map images (N, 3, H, W) to logits (N, classes)."""
        x = self.segments(self.pool(torch.relu(self.bn(self.conv(x)))))
        return self.output(x.mean(dim=(2, 3)))
