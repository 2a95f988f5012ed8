"""Each experiment's runs, in order of value: what a figure needs, and what there is. How to train them lives in `training`."""

from bnlib.experiments.catalogue import (
    BLOG,
    DEEP,
    EXPERIMENTS,
    FIG2_IMAGENET,
    IMAGENET_CLASSES,
    IMAGENET_FOLDER,
    INITIALISATIONS,
    NARROW,
    WIDE,
    WITH_BESIDE,
    Experiment,
    experiment,
    missing,
    wanted,
)
from bnlib.experiments.point import clamped, points
from bnlib.experiments.price import cost, whole_cost
from bnlib.experiments.stored import coverage, lacking, precisions, progress, runs

__all__ = [
    "BLOG",
    "DEEP",
    "EXPERIMENTS",
    "FIG2_IMAGENET",
    "IMAGENET_CLASSES",
    "IMAGENET_FOLDER",
    "INITIALISATIONS",
    "NARROW",
    "WIDE",
    "WITH_BESIDE",
    "Experiment",
    "clamped",
    "cost",
    "coverage",
    "experiment",
    "lacking",
    "missing",
    "points",
    "precisions",
    "progress",
    "runs",
    "wanted",
    "whole_cost",
]
