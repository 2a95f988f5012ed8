"""From runs to statements: replicates put together, verdicts by rule, what became of γ, and tables to read."""

from bnlib.analysis.accuracy import at_epochs, at_equal_parameters, differences, histories, overfitting
from bnlib.analysis.gamma import gammas, shares, small_gammas, small_headline
from bnlib.analysis.probes import clamping, clamping_answer, probed, relu, relu_layers
from bnlib.analysis.speed import machines, precisions, speed
from bnlib.analysis.tables import counts_table, difference_table, judge_counts, provenance, table, verdict_table
from bnlib.analysis.verdicts import (
    RECIPES,
    TOLERANCE,
    VERDICTS,
    best,
    comparisons,
    deepest,
    judge,
    judge_differences,
    leaders,
    overall,
    replicates,
    summarise,
)

__all__ = [
    "RECIPES",
    "TOLERANCE",
    "VERDICTS",
    "at_epochs",
    "at_equal_parameters",
    "best",
    "clamping",
    "clamping_answer",
    "comparisons",
    "counts_table",
    "deepest",
    "difference_table",
    "differences",
    "gammas",
    "histories",
    "judge",
    "judge_counts",
    "judge_differences",
    "leaders",
    "machines",
    "overall",
    "overfitting",
    "precisions",
    "probed",
    "provenance",
    "relu",
    "relu_layers",
    "replicates",
    "shares",
    "small_gammas",
    "small_headline",
    "speed",
    "summarise",
    "table",
    "verdict_table",
]
