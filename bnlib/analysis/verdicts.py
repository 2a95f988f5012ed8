"""Replicates put together, and verdicts by rule."""

import itertools

import numpy as np
import pandas as pd

TOLERANCE = 2.0  # points of accuracy; see `judge`
VERDICTS = ("reproduced", "in trend", "not reproduced", "not run")
RECIPES = ("paper", "short")  # those whose runs are judged, the better first
POINT = ["network", "depth", "width", "variant", "trainable", "recipe"]  # what the replicates of a point have in common


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Replicates put together: network, depth, width, variant, trainable, recipe; mean, sd, n, each. In the order of `runs`.

    runs: rows of `experiments.runs`. mean and sd (of the sample) in percent; sd is NaN for a single run; each: the
    replicates' values. Diverged runs count with the accuracy they ended at.
    """
    return together(runs.assign(percent=100 * runs.accuracy.astype(float)), "percent")


def together(frame: pd.DataFrame, column: str, *keys: str) -> pd.DataFrame:
    """mean, sd, n and each value of `column` over the replicates of each point, and of each of `keys`, in the order of `frame`."""
    if not len(frame):
        return pd.DataFrame(columns=[*POINT, *keys, "mean", "sd", "n", "each"])
    grouped = frame.groupby([*POINT, *keys], sort=False, observed=True)[column]
    return grouped.agg(mean="mean", sd="std", n="count", each=tuple).reset_index()


def judge(summary: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each point held against its reference: one row for each recipe and each reference value that has been run.

    summary: from `summarise`. reference: rows of `bnlib.paper.values`, one for a network and trainable set, in percent.
    Adds reference, uncertainty, kind, difference (ours minus the reference, in points), tolerance and verdict:
    *reproduced*: recipe `paper`, and the difference is within the tolerance of 2 points plus the reference's own uncertainty.
    *in trend*: not that, but with every other point of the same recipe the order is the reference's (see `comparisons`).
    *not reproduced*: neither. Runs of `smoke`, and single points at `short`, have nothing to be judged by: *not run*.

    The 2 points are a convention: with γ and β alone, the one faithful reproduction by others known to us differs from the paper
    by up to 1.6 points (tdtce, one run each, in `paper_values.csv`), and every step in depth changes the accuracy by more.
    """
    known = reference[["network", "trainable", "value", "uncertainty", "kind"]].rename(columns={"value": "reference"})
    known = known.fillna({"uncertainty": 0.0})
    points = summary.merge(known, on=["network", "trainable"])
    points["difference"] = points["mean"].astype(float) - points.reference
    points["tolerance"] = TOLERANCE + points.uncertainty
    pairs = comparisons(points)
    points["verdict"] = [_verdict(point, pairs) for point in points.itertuples()]
    return points


def comparisons(points: pd.DataFrame) -> pd.DataFrame:
    """Every pair of points of one recipe whose order the reference decides, and whether ours agrees: recipe, first, second, agrees.

    A pair whose reference values differ by no more than both uncertainties together is a tie and is left out; so are two networks
    of which nothing was trained: both guess.
    """
    rows = []
    for recipe, group in points.groupby("recipe"):
        for a, b in itertools.combinations(group.itertuples(), 2):
            gap, guess = a.reference - b.reference, a.trainable == b.trainable == "none"
            if abs(gap) > a.uncertainty + b.uncertainty and not guess:
                rows.append((recipe, (a.network, a.trainable), (b.network, b.trainable), gap * (a.mean - b.mean) > 0))
    return pd.DataFrame(rows, columns=["recipe", "first", "second", "agrees"])


def _verdict(point, pairs: pd.DataFrame) -> str:
    if point.recipe == "smoke":
        return "not run"
    if point.recipe == "paper" and abs(point.difference) <= point.tolerance:
        return "reproduced"
    name = (point.network, point.trainable)
    mine = pairs[(pairs.recipe == point.recipe) & ((pairs["first"] == name) | (pairs["second"] == name))]
    if not len(mine):
        return "not reproduced" if point.recipe == "paper" else "not run"
    return "in trend" if mine.agrees.all() else "not reproduced"


def judge_differences(differences: pd.DataFrame, low: float = 0.0, high: float = np.inf) -> pd.DataFrame:
    """Differences that the paper says are positive, from `low` to `high` points; adds a verdict to each row.

    differences: rows with recipe and difference. *reproduced*: recipe `paper`, above 0, and from `low` to `high` within the
    tolerance. *in trend*: above 0. *not reproduced*: not even that.
    """

    def verdict(row):
        inside = low - TOLERANCE <= row.difference <= high + TOLERANCE
        said = holds(row.recipe, row.difference > 0)
        return "in trend" if said == "reproduced" and not inside else said

    return differences.assign(verdict=[verdict(row) for row in differences.itertuples()])


def holds(recipe: str, truth: bool) -> str:
    """The verdict on a statement that either holds or not, in runs of `recipe`."""
    said = {"paper": "reproduced", "short": "in trend"}.get(recipe, "not run")
    return "not reproduced" if said != "not run" and not truth else said


def best(points: pd.DataFrame) -> pd.DataFrame:
    """The rows at recipe `paper`, or at `short` if there are none at `paper`; those that have nothing to be judged by left out."""
    for recipe in RECIPES:
        found = points[points.recipe == recipe] if len(points) else points
        found = found[found.verdict != "not run"] if "verdict" in found else found
        if len(found):
            return found
    return points[:0]


def overall(points: pd.DataFrame) -> str:
    """One verdict for a figure: the least of its points' verdicts, of those at recipe `paper` or, if there are none, `short`."""
    return max(best(points).verdict, key=VERDICTS.index, default="not run") if len(points) else "not run"


def deepest(points: pd.DataFrame, trainable: str = "bn", recipes: tuple[str, ...] = RECIPES) -> str:
    """The accuracy of the deepest network in words, at the first of `recipes` that has any; *not run* if none has.

    points: of `judge`.
    """
    text = "{mean:.1f} % for {network} at recipe {recipe} (n = {n}; the paper: {reference:.1f} ± {uncertainty:.1f} %)"
    return of_deepest(points, text, trainable, recipes)


def of_deepest(points: pd.DataFrame, text: str, trainable: str = "bn", recipes: tuple[str, ...] = RECIPES) -> str:
    """`text` filled in from the row of the deepest network, at the first of `recipes` that has any; *not run* if none has."""
    for recipe in recipes:
        found = points[(points.recipe == recipe) & (points.trainable == trainable)]
        if len(found):
            return text.format(**found.sort_values("depth").iloc[-1])
    return "not run"


def leaders(summary: pd.DataFrame) -> str:
    """The best variant of each network and recipe of which at least two have been run, in words."""
    found = [own.sort_values("mean").iloc[-1] for _, own in summary.groupby(["recipe", "depth"]) if len(own) > 1]
    each = [f"{row.network} ({row.recipe}): {row.variant}, {row['mean']:.1f} %" for row in found]
    return "; ".join(each) or "nothing to compare has been run yet"


def replicates(summary: pd.DataFrame) -> str:
    """How many replicates the points of a figure have, in words for its caption."""
    if not len(summary):
        return "none yet"
    least, most = summary.n.min(), summary.n.max()
    return f"n = {least} for every point" if least == most else f"n = {least} to {most} a point"
