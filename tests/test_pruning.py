"""`prune`: the smaller network computes what the given one does with its small γ at 0; it trains, is saved, and leaves that one alone."""

import copy

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import bnlib
from bnlib.engine import evaluate, probes
from bnlib.freezing import RandomSubset

NETWORKS = ("resnet14", "wrn14-2", "vgg11", "imagenet-resnet18", "imagenet-resnet50", "keras-resnet50")
