"""The paper's networks by name, at their random initialisation. Which of their parameters learn is decided in `freezing`."""

from bnlib.models.networks import VGG_SEGMENTS, BasicBlock, ResNet, added, architecture, build, skeleton, smallest_filter, work

__all__ = ["VGG_SEGMENTS", "BasicBlock", "ResNet", "added", "architecture", "build", "skeleton", "smallest_filter", "work"]
