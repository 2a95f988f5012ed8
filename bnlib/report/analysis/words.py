"""Numbers as the cells of tables have them."""

from collections.abc import Iterable

import pandas as pd

from bnlib.report.figures.style import lost

MANY = 3  # replicates from which their spread is shown


def mean_and_sd(points: pd.DataFrame) -> list[str]:
    """`mean ± sd` of each row in words, with one decimal; the mean alone of fewer than three runs. It does not break over lines."""
    spread = lambda sd, n: f"\u00a0±\u00a0{sd:.1f}" if n >= MANY else ""  # noqa: E731
    return [f"{m:.1f}{spread(sd, n)}" for m, sd, n in zip(points["mean"], points.sd, points.n, strict=True)]


def counts(n: Iterable[int], diverged: Iterable[int] | None = None) -> list[str]:
    """How many replicates each row has, in words: `3`, or `3 (1 of 4 diverged)` where others diverged."""
    n = list(n)
    return [f"{a} ({lost(a, b)})" if b else f"{a}" for a, b in zip(n, [0] * len(n) if diverged is None else diverged, strict=True)]


def both_counts(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """How many replicates two sides have, in words: one of their `counts` where they are alike."""
    return [a if a == b else f"{a} and {b}" for a, b in zip(one, other, strict=True)]


def replicates(count: int | str) -> list[int]:
    """How many replicates each side of a row has, of a number, `counts` or `both_counts`."""
    return [int(side.split()[0]) for side in str(count).split(" and ")]
