"""What the benchmarks say."""

import math

import pandas as pd

from bnlib.report.analysis.speed import speed as measured
from bnlib.report.statements.grammar import Statement, network, title
from bnlib.words import duration


def speed(rows: pd.DataFrame, model: str, machine: str) -> Statement:
    """How long an epoch takes with γ and β alone, beside a plain PyTorch loop. rows: of `bnlib.bench.stored()`, of this machine."""
    found = measured(rows, model)
    if math.isnan(found["epoch"]):
        return Statement(f"{network(title(model))} has not been measured on {machine}.")
    said = f"An epoch of {network(title(model))} with γ and β alone takes {duration(found['epoch'])} on {machine}"
    if not math.isnan(found["times"]):
        said += f", {found['times']:.1f} times less than a plain PyTorch loop"
    if not math.isnan(found["over"]):
        said += f"; a step takes {found['over']:.1f} times its convolutions alone"
    return Statement(f"{said}.")
