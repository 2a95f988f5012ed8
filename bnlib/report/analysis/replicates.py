"""Replicates put together, and differences between them tested."""

import math

import pandas as pd
from scipy import stats

POINT = ["network", "depth", "width", "variant", "trainable", "recipe"]  # what the replicates of a point have in common
PLACE = ["network", "depth", "width", "recipe"]  # what the points that are compared have in common


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Replicates put together: network, depth, width, variant, trainable, recipe; mean, sd, n, each, seeds, diverged.

    runs: rows of `experiments.runs`, whose order is kept. Of the replicates that did not diverge: mean and sd (of the sample) in
    percent, sd NaN for a single one; n, how many; each, seeds: their values and seeds. diverged: how many others there are. Where
    all diverged, n is 0, and the mean is what they ended at: a place to draw it, which judges nothing.
    """
    lost = runs.status == "diverged"
    frame = runs.assign(ended=100 * runs.accuracy.astype(float), lost=lost.astype(int))
    points = together(frame.assign(percent=frame.ended.where(~lost)), "percent")
    if not len(frame):
        return points.assign(diverged=pd.Series(dtype=int))
    every = frame.groupby(POINT, sort=False, observed=True).agg(ended=("ended", "mean"), lost=("lost", "sum")).reset_index()
    return points.assign(mean=points["mean"].fillna(every.ended), diverged=every.lost)


def together(frame: pd.DataFrame, column: str, *keys: str) -> pd.DataFrame:
    """mean, sd, n, each value and their seeds of `column`, of each point and of each of `keys`, in the order of `frame`.

    A value that is NaN is none: it is left out.
    """
    if not len(frame):
        return pd.DataFrame(columns=[*POINT, *keys, "mean", "sd", "n", "each", "seeds"])
    frame = frame.reset_index(drop=True)
    there = frame[column].notna()
    each = lambda values: tuple(values[there[values.index]])  # noqa: E731
    grouped = frame.groupby([*POINT, *keys], sort=False, observed=True)
    found = grouped.agg(mean=(column, "mean"), sd=(column, "std"), n=(column, "count"), each=(column, each), seeds=("seed", each))
    return found.reset_index()


def sound(points: pd.DataFrame) -> pd.DataFrame:
    """Those of `points` that have a replicate which did not diverge."""
    return points[points.n > 0]


def spread(points: pd.DataFrame) -> tuple[float, int]:
    """The standard deviation of replicates, pooled over all `points` that have two or more, and its degrees of freedom.

    points: with sd and n, of one recipe; times, if there: in how many rows the same runs are. What is not trained does not scatter
    as what is, and does not count. (NaN, 0) where nothing has been repeated.
    """
    many = points[(points.n.astype(int) > 1) & (points.get("trainable", "") != "none")]
    each = (many.n.astype(int) - 1) / many.get("times", 1)
    freedom = round(each.sum())
    return (math.sqrt((each * many.sd.astype(float) ** 2).sum() / each.sum()), freedom) if freedom else (math.nan, 0)


def tested(difference: float, one: tuple[float, int], other: tuple[float, int], pooled: tuple[float, int]) -> tuple[float, float]:
    """P and half of the 95 % interval of a difference of two means; one, other: the standard deviation and number of each.

    Welch's test where both have three replicates or more: the spread of two says next to nothing. Else `pooled`, of `spread`,
    stands for the spread of both; (NaN, NaN) without it.
    """
    (sd, n), (other_sd, other_n) = one, other
    if min(n, other_n) > 2:
        parts = sd**2 / n, other_sd**2 / other_n
        error = math.sqrt(sum(parts))
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (other_n - 1)) if error else n + other_n - 2
    else:
        error, freedom = pooled[0] * math.sqrt(1 / n + 1 / other_n), pooled[1]
    if not freedom:
        return math.nan, math.nan
    p = 2 * stats.t.sf(abs(difference) / error, freedom) if error else float(difference == 0)
    return p, error * stats.t.ppf(0.975, freedom)


def corrected(p: pd.Series) -> pd.Series:
    """p-values of tests made together, corrected for their number (Benjamini and Hochberg); NaN stays NaN."""
    known, found = p.notna(), p.astype(float).copy()
    if known.any():
        found[known] = stats.false_discovery_control(found[known].to_numpy())
    return found
