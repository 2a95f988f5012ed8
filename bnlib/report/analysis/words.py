"""What the points of a figure say, in words for the text of its page."""

from collections.abc import Iterable

import pandas as pd

from bnlib.report.analysis.verdicts import MANY, comparisons, margin, sound
from bnlib.spec import RECIPES as SETTINGS


def mean_and_sd(points: pd.DataFrame) -> list[str]:
    """`mean ± sd` of each row in words, with one decimal; the mean alone of a single run. It does not break over lines."""
    spread = lambda sd, n: f"\u00a0±\u00a0{sd:.1f}" if n > 1 else ""  # noqa: E731
    return [f"{m:.1f}{spread(sd, n)}" for m, sd, n in zip(points["mean"], points.sd, points.n, strict=True)]


def both_counts(one: Iterable[int], other: Iterable[int]) -> list[str]:
    """How many replicates two sides have, in words: one number where they have equally many."""
    return [f"{a}" if a == b else f"{a} and {b}" for a, b in zip(one, other, strict=True)]


def by_network(points: pd.DataFrame, recipe: str, trainable: str = "bn", unit: str = "%", absent: str = "not run") -> str:
    """Mean, spread and number of replicates of each network trained with `recipe`, in words, the shallowest first; or `absent`.

    Without those that diverged.
    """
    own = sound(points)[lambda rows: (rows.recipe == recipe) & (rows.trainable == trainable)].sort_values(["depth", "width"])
    each = [
        f"{network} {value}\u00a0{unit} (n = {n})" for network, value, n in zip(own.network, mean_and_sd(own), own.n, strict=True)
    ]
    return ", ".join(each) or absent


def by_recipe(points: pd.DataFrame, trainable: str = "bn") -> str:
    """What the networks trained with several recipes have after each, in words, the shorter first; says so if there are none.

    And what replicates gain that have been trained with both: their spread is less than that of the two means.
    """
    points = sound(points)
    own = points[points.trainable == trainable].sort_values(["depth", "recipe"], ascending=[True, False])
    said = []
    for network, rows in own.groupby("network", sort=False):
        each = [
            f"{value} % after {SETTINGS[recipe].epochs} epochs (n = {n})"
            for recipe, value, n in zip(rows.recipe, mean_and_sd(rows), rows.n, strict=True)
        ]
        said += [f"{network}: {', '.join(each)}{_paired(rows)}"] if len(each) > 1 else []
    return "; ".join(said) or "not run with several recipes"


def _paired(rows: pd.DataFrame) -> str:
    """What the same seeds gain from the first of `rows` to the last, in words, if several have both."""
    first, last = (dict(zip(row.seeds, row.each, strict=True)) for row in (rows.iloc[0], rows.iloc[-1]))
    gains = pd.Series([last[seed] - first[seed] for seed in first if seed in last])
    return f"; the same seeds gain {gains.mean():+.1f}\u00a0±\u00a0{gains.std():.1f} points" if len(gains) > 1 else ""


def span(points: pd.DataFrame, trainable: str = "bn", absent: str = "not run") -> str:
    """From where to where the means of a trainable set lie, in words, with their sign; or `absent`."""
    ends = [f"{end:+.1f}" for end in points[points.trainable == trainable]["mean"].agg(["min", "max"]).dropna()]
    return f"{' to '.join(dict.fromkeys(ends))} points" if ends else absent


def compared(points: pd.DataFrame) -> str:
    """How many `comparisons` of judged points come out in the reference's order: of two networks, and of two trainable sets."""
    pairs = comparisons(points)
    sets = pd.Series([a[1] != b[1] for a, b in zip(pairs["first"], pairs["second"], strict=True)], index=pairs.index, dtype=bool)
    return f"{_agreeing(pairs.ours[~sets])} between two networks, {_agreeing(pairs.ours[sets])} between two trainable sets"


def _agreeing(ours: pd.Series) -> str:
    close = (ours == "too close").sum()
    said = f"{(ours == 'agrees').sum()} of {len(ours) - close}" if len(ours) > close else "none decided yet"
    return said + (f" ({close} more: too close to decide)" if close else "")


def leaders(summary: pd.DataFrame) -> str:
    """The best variant of each network and recipe of which at least two have been run, and those too close to it, in words."""
    said = []
    for _, own in sound(summary).groupby(["recipe", "depth"]):
        best, *others = own.sort_values("mean", ascending=False).itertuples()
        near = [row.variant for row in others if best.mean - row.mean <= margin(best.sd, best.n, row.sd, row.n)]
        close = f"; too close to it: {', '.join(near)}" if near else ""
        said += [f"{best.network} ({best.recipe}): {best.variant}, {best.mean:.1f} %{close}"] if others else []
    return ". ".join(said) or "nothing to compare has been run yet"


def noise(summary: pd.DataFrame) -> str:
    """How much replicates of one training differ, where there are three or more, in words."""
    many = sound(summary)[lambda points: points.n >= MANY].itertuples()
    said = "; ".join(f"± {row.sd:.1f} points ({row.variant}, {row.network}, {row.recipe}, n = {row.n})" for row in many)
    return (
        f"replicates of one and the same training differ by a standard deviation of {said}"
        if said
        else "not known before there are three replicates"
    )


def replicates(summary: pd.DataFrame) -> str:
    """How many replicates the points of a figure have, in words for its caption."""
    if not len(summary):
        return "none yet"
    least, most = summary.n.min(), summary.n.max()
    return f"n = {least}" if least == most else f"n = {least} to {most}"
