"""Numbers as the cells of tables have them."""

from collections.abc import Iterable

import pandas as pd

MANY = 3  # replicates from which their spread is shown


def mean_and_sd(points: pd.DataFrame) -> list[str]:
    """`mean ± sd` of each row in words, with one decimal; the mean alone of fewer than three runs. It does not break over lines."""
    spread = lambda sd, n: f"\u00a0±\u00a0{sd:.1f}" if n >= MANY else ""  # noqa: E731
    return [f"{m:.1f}{spread(sd, n)}" for m, sd, n in zip(points["mean"], points.sd, points.n, strict=True)]


def both_counts(one: Iterable[int], other: Iterable[int]) -> list[str]:
    """How many replicates two sides have, in words: one number where they have equally many."""
    return [f"{a}" if a == b else f"{a} and {b}" for a, b in zip(one, other, strict=True)]
