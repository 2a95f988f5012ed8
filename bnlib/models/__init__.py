"""The paper's networks by name, at their random initialisation. Which of their parameters learn is decided in `freezing`."""

from bnlib.models.initialisation import checksum, initialise
from bnlib.models.networks import BasicBlock, ResNet, build, draw, ends_in_relu, say_which, skeleton, work

__all__ = ["BasicBlock", "ResNet", "build", "checksum", "draw", "ends_in_relu", "initialise", "say_which", "skeleton", "work"]
