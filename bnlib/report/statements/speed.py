"""What the benchmarks say."""

import math

import pandas as pd

from bnlib.report.analysis.speed import speed as measured
from bnlib.report.statements.grammar import Statement, listing, network, title
from bnlib.words import duration


def speed(rows: pd.DataFrame, model: str, machine: str) -> Statement:
    """How long an epoch takes with γ and β alone, beside a plain PyTorch loop. rows: of `bnlib.bench.stored()`, of this machine."""
    found = measured(rows, model)
    if math.isnan(found["epoch"]):
        step = "The step that a training takes today, in " if (rows.model == model).any() else ""
        return Statement(f"{step}{network(title(model))}{',' if step else ''} has not been measured on {machine}.")
    said = f"An epoch of {network(title(model))} with γ and β alone takes {duration(found['epoch'])} on {machine}"
    if not math.isnan(found["times"]):
        said += f", {found['times']:.1f} times as fast as an ordinary PyTorch loop in fp32"
        if not math.isnan(found["plain"]):
            said += f" and {found['plain']:.1f} times as fast as plain steps in bf16, as ours are"
    if not math.isnan(found["over"]):
        said += f"; a step takes {found['over']:.1f} times its convolutions alone"
    return Statement(f"{said}.")


def elsewhere(stored: dict[str, tuple[dict, pd.DataFrame]], model: str, machine: str) -> Statement:
    """How many times the plain loop's speed it is on the other machines. stored: of `bnlib.bench.stored()`."""
    times = {name: measured(rows, model)["times"] for name, (_, rows) in stored.items() if name != machine}
    known = {name: one for name, one in times.items() if not math.isnan(one)}
    each = listing(f"{one:.1f} times ({name})" for name, one in sorted(known.items(), key=lambda pair: pair[1]))
    return Statement(f"How much is gained depends on the machine: elsewhere it is {each}." if known else "")


def cheaper(epochs: pd.DataFrame) -> Statement:
    """What training γ and β alone saves of an epoch's time, in the deepest network trained both ways.

    epochs: of `analysis.epochs`.
    """
    if not len(epochs):
        return Statement("")
    row = epochs.assign(saved=1 - epochs.bn / epochs["all"]).sort_values(["depth", "bn"]).iloc[-1]
    times = f"{_seconds(row.bn)} instead of {_seconds(row['all'])}"
    if row.saved <= 0:
        return Statement(f"An epoch of {network(row.network)} takes {times} on {row.device}: training does not get cheaper.")
    return Statement(
        "Training does get somewhat cheaper here, as a step skips one of three passes over the network, that back to the weights: "
        f"an epoch of {network(row.network)} takes {times} on {row.device}, {100 * row.saved:.0f}\u00a0% less."
    )


def _seconds(value: float) -> str:
    return f"{value:.{0 if value >= 10 else 2}f}\u00a0s"
