"""Sentences that say what the runs show, each made by looking at a table. The tables they look at are made in `analysis`.

Every function returns a `Statement`: one or two sentences of at most three numbers each, with a verdict where there is one.
"""

from bnlib.report.statements.accuracy import (
    beside_paper,
    compared,
    counts,
    depth,
    replicates,
    still_to_train,
    top5,
    width,
)
from bnlib.report.statements.comparison import collapse, depth_or_width, gain, sets, shortcuts
from bnlib.report.statements.cost import whole_cost
from bnlib.report.statements.features import (
    against_all,
    clamped,
    clamped_to_nothing,
    decay,
    moved,
    near_zero,
    nothing_already,
    silent,
    small,
    where_small,
    without_decay,
)
from bnlib.report.statements.grammar import (
    Statement,
    after,
    listing,
    network,
    number,
    percent,
    title,
    upper,
    what,
)
from bnlib.report.statements.learned import alternate, as_many, differ, quoted
from bnlib.report.statements.off import EXPLANATIONS, as_the_paper_trains, explanations, take_away, why
from bnlib.report.statements.speed import speed
from bnlib.report.statements.variants import (
    blog,
    curve,
    halves,
    longer,
    overfitting,
    overfitting_as_they_are,
    reach,
    variants,
)

__all__ = [
    "EXPLANATIONS",
    "Statement",
    "after",
    "against_all",
    "alternate",
    "as_many",
    "as_the_paper_trains",
    "beside_paper",
    "blog",
    "clamped",
    "clamped_to_nothing",
    "collapse",
    "compared",
    "counts",
    "curve",
    "decay",
    "depth",
    "depth_or_width",
    "differ",
    "explanations",
    "gain",
    "halves",
    "listing",
    "longer",
    "moved",
    "near_zero",
    "nothing_already",
    "network",
    "number",
    "overfitting",
    "overfitting_as_they_are",
    "percent",
    "quoted",
    "reach",
    "replicates",
    "sets",
    "shortcuts",
    "silent",
    "small",
    "speed",
    "still_to_train",
    "take_away",
    "title",
    "top5",
    "upper",
    "variants",
    "what",
    "where_small",
    "whole_cost",
    "why",
    "width",
    "without_decay",
]
