"""Which parameters of a network learn: groups, freezing, K random weights a channel, exact counts. Networks live in `models`.

Everything here works on any PyTorch network, not on those of `models` alone. Paper, section 3.
"""

from bnlib.freezing.grouping import groups
from bnlib.freezing.layers import norm
from bnlib.freezing.learning import count, freeze
from bnlib.freezing.subset import RandomSubset, merge

__all__ = ["RandomSubset", "count", "freeze", "groups", "merge", "norm"]
