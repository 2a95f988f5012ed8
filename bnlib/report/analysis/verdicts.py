"""Replicates put together, and verdicts by rule."""

import itertools
import math

import numpy as np
import pandas as pd

TOLERANCE = 2.0  # points of accuracy by which ours may differ from the paper's; see `judge`
MARGIN = 3.0  # points by which two of ours must differ where there are fewer than MANY replicates; see `margin`
MANY = 3  # replicates from which their spread counts
VERDICTS = ("reproduced", "in trend", "too close", "not reproduced", "not run")
RECIPES = ("paper", "short")  # those whose runs are judged, the better first
POINT = ["network", "depth", "width", "variant", "trainable", "recipe"]  # what the replicates of a point have in common


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Replicates put together: network, depth, width, variant, trainable, recipe; mean, sd, n, each, seeds, diverged.

    runs: rows of `experiments.runs`, whose order is kept. mean and sd (of the sample) in percent; sd is NaN for a single run;
    each, seeds: the replicates' values and seeds; diverged: how many of them diverged: those count with the accuracy they ended at,
    and judge nothing.
    """
    points = together(runs.assign(percent=100 * runs.accuracy.astype(float)), "percent")
    lost = together(runs.assign(lost=(runs.status == "diverged").astype(float)), "lost")
    return points.assign(diverged=(lost["mean"] * lost.n).astype(float).round().astype(int))


def together(frame: pd.DataFrame, column: str, *keys: str) -> pd.DataFrame:
    """mean, sd, n, each value and their seeds of `column`, of each point and of each of `keys`, in the order of `frame`."""
    if not len(frame):
        return pd.DataFrame(columns=[*POINT, *keys, "mean", "sd", "n", "each", "seeds"])
    grouped = frame.groupby([*POINT, *keys], sort=False, observed=True)
    found = grouped.agg(mean=(column, "mean"), sd=(column, "std"), n=(column, "count"), each=(column, tuple), seeds=("seed", tuple))
    return found.reset_index()


def sound(points: pd.DataFrame) -> pd.DataFrame:
    """Those of `points` none of whose replicates diverged."""
    return points[points.diverged == 0] if "diverged" in points else points


def margin(sd: float, n: int, other_sd: float, other_n: int) -> float:
    """How far apart two means must be for their order to count, in points: more than chance makes of replicates.

    Three times the standard error of the difference if both have three replicates: with their spread known no better than that,
    chance exceeds it one time in 25. Else 3 points, by convention: twice the standard error of two single runs that spread
    as the replicates of ResNet-14 and 32 do, with γ and β only at `short` (pooled standard deviation 1.0 points).
    """
    return 3 * math.sqrt(sd**2 / n + other_sd**2 / other_n) if min(n, other_n) >= MANY else MARGIN


def judge(summary: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each point held against its reference: one row for each recipe and each reference value that has been run.

    summary: from `summarise`. reference: rows of `bnlib.report.paper.values`, one for a network and trainable set, in percent.
    Adds reference, uncertainty, kind, difference (ours minus the reference, in points), tolerance and verdict:
    *reproduced*: recipe `paper`, and the difference is within the tolerance of 2 points plus the reference's own uncertainty.
    *in trend*: not that, but all that is decided of its order among the other points is the reference's (see `comparisons`).
    *not reproduced*: neither. Runs of `smoke`, and single points at `short`, have nothing to be judged by: *not run*; and where
    no order is decided at `short` it is *too close*. Points that diverged are left out.

    The 2 points are a convention: with γ and β alone, the one faithful reproduction by others known to us differs from the paper
    by up to 1.6 points (tdtce, one run each, in `paper_values.csv`).
    """
    known = reference[["network", "trainable", "value", "uncertainty", "kind"]].rename(columns={"value": "reference"})
    known = known.fillna({"uncertainty": 0.0})
    points = sound(summary).merge(known, on=["network", "trainable"])
    points["difference"] = points["mean"].astype(float) - points.reference
    points["tolerance"] = TOLERANCE + points.uncertainty
    pairs = comparisons(points)
    points["verdict"] = [_verdict(point, pairs) for point in points.itertuples()]
    return points


def comparisons(points: pd.DataFrame) -> pd.DataFrame:
    """Every pair of points of one recipe whose order the reference decides: recipe, first, second, ours.

    Compared are points of one trainable set, and points of one network. ours: *agrees*, *differs*, or *too close* where ours are
    within their `margin`. A pair whose reference values differ by no more than both uncertainties together is a tie and is left
    out; so are two networks of which nothing was trained: both guess.
    """
    rows = []
    for recipe, group in points.groupby("recipe"):
        for a, b in itertools.combinations(group.itertuples(), 2):
            gap, guess = a.reference - b.reference, a.trainable == b.trainable == "none"
            related = a.trainable == b.trainable or a.network == b.network
            if related and abs(gap) > a.uncertainty + b.uncertainty and not guess:
                own = a.mean - b.mean
                ours = "too close" if abs(own) <= margin(a.sd, a.n, b.sd, b.n) else "agrees" if gap * own > 0 else "differs"
                rows.append((recipe, (a.network, a.trainable), (b.network, b.trainable), ours))
    return pd.DataFrame(rows, columns=["recipe", "first", "second", "ours"])


def ordered(points: pd.DataFrame, trainable: str | None = None) -> pd.DataFrame:
    """Judged points of those recipes at which the order of two of them is decided: a statement about an order needs two.

    trainable: two of this set. A point that is *not reproduced* stays, whatever there is beside it.
    """
    pairs = comparisons(points if trainable is None else points[points.trainable == trainable])
    decided = {*pairs[pairs.ours != "too close"].recipe, *points[points.verdict == "not reproduced"].recipe}
    return points[points.recipe.isin(decided)]


def _verdict(point, pairs: pd.DataFrame) -> str:
    if point.recipe == "smoke":
        return "not run"
    if point.recipe == "paper" and abs(point.difference) <= point.tolerance:
        return "reproduced"
    name = (point.network, point.trainable)
    mine = pairs[(pairs.recipe == point.recipe) & ((pairs["first"] == name) | (pairs["second"] == name))]
    decided = mine.ours[mine.ours != "too close"]
    if not len(decided):
        return "not reproduced" if point.recipe == "paper" else "too close" if len(mine) else "not run"
    return "in trend" if (decided == "agrees").all() else "not reproduced"


def judge_differences(differences: pd.DataFrame, low: float = 0.0, high: float = np.inf) -> pd.DataFrame:
    """Differences that the paper says are positive, from `low` to `high` points; adds a verdict to each row.

    differences: rows with recipe, difference and margin. *reproduced*: recipe `paper`, above the
    margin, and from `low` to `high` within the tolerance. *in trend*: above the margin. *not reproduced*: below minus the margin.
    *too close*: between, where the sign may be chance.
    """

    def verdict(row):
        if row.recipe in RECIPES and abs(row.difference) <= row.margin:
            return "too close"
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
    """One verdict for a figure: the least of its points' verdicts, of those at recipe `paper` or, if there are none, `short`.

    From the least on: not reproduced, too close, in trend, reproduced.
    """
    return max(best(points).verdict, key=VERDICTS.index, default="not run") if len(points) else "not run"
