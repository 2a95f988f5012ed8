"""What can be asked for, in words: run specs, recipes, names. What the names stand for lives in `models`, `freezing`, `data`.

Nothing here needs PyTorch.
"""

from bnlib.spec.architecture import Architecture, architecture, check_depth, check_norm, namesake, smallest_filter
from bnlib.spec.datasets import dataset, image_folder
from bnlib.spec.layers import added, place
from bnlib.spec.recipes import RECIPES, Recipe
from bnlib.spec.run_spec import RunSpec
from bnlib.spec.trainable import GROUPS, canonical, check_random, parse

__all__ = [
    "GROUPS",
    "RECIPES",
    "Architecture",
    "Recipe",
    "RunSpec",
    "added",
    "architecture",
    "canonical",
    "check_depth",
    "check_norm",
    "check_random",
    "dataset",
    "image_folder",
    "namesake",
    "parse",
    "place",
    "smallest_filter",
]
