"""What the whole paper costs, in a sentence."""

import pandas as pd

from bnlib.report.analysis.tables import device_names
from bnlib.report.statements.grammar import Statement
from bnlib.spec import RECIPES
from bnlib.words import duration


def whole_cost(frame: pd.DataFrame, recipe: str) -> Statement:
    """How long all trainings of all figures would take, one at a time. frame: of `experiments.whole_cost`, with that recipe."""
    if not len(frame):
        return Statement("What the whole paper costs is not known: no machine has trained enough of it.")
    first, device = frame.iloc[0], device_names(frame.device).iloc[0]
    said = f"All {first.trainings} trainings of the figures on CIFAR\u201110, of {RECIPES[recipe].epochs}\u00a0epochs each, "
    said += f"would take {duration(first.seconds)} one after the other on {device}."
    return Statement(said + ("" if first.gpu else " What they take on a GPU has not been measured."))
