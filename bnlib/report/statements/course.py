"""How means go along depth or width, in words: where they turn, and what chance may have done."""

import itertools

import numpy as np
import pandas as pd

from bnlib.report.analysis.replicates import corrected, spread, tested
from bnlib.report.analysis.verdicts import LEVEL
from bnlib.report.statements.grammar import listing, percent


def at(row, along: str) -> str:
    """Where a point lies, in words: at 14 layers, at width 2."""
    return f"at {row.depth}\u00a0layers" if along == "depth" else f"at width\u00a0{row.width}"


def values(own: pd.DataFrame, along: str) -> list[str]:
    """Each mean and where it lies: 50.0 % at 14 layers."""
    return [f"{percent(mean)} {at(row, along)}" for mean, row in zip(own["mean"].astype(float), own.itertuples(), strict=True)]


def growth(own: pd.DataFrame, along: str = "depth", spreads: pd.DataFrame | None = None) -> str:
    """How the means of one trainable set go along depth or width, as the predicate of a sentence: `rises from … to …`.

    own: rows of one recipe with depth or width, mean, sd, n. spreads: points whose replicates say how much a single run scatters,
    if others than `own`. Differences are tested pair by pair (`replicates.tested`), corrected for the number of pairs.
    """
    own = own.sort_values(along).reset_index(drop=True)
    mean, said = own["mean"].astype(float).to_numpy(), values(own, along)
    if len(own) < 2:
        return f"is {said[0]}" if said else ""
    differ = _apart(own, mean, spread(own if spreads is None else spreads))
    if differ is None:
        return f"goes from {said[0]} to {said[-1]}, one run each: whether that is chance cannot be told"
    end = f"{own[along].iloc[-1]}" + ("\u00a0layers" if along == "depth" else "")
    turns = _turns(mean, differ)
    if not turns:
        if len(own) == 2:
            return f"is {said[0]} and {said[1]}, no further apart than by chance"
        way = "rises" if (np.diff(mean) > 0).all() else "falls" if (np.diff(mean) < 0).all() else ""
        if way:
            return f"{way} with {along}, from {said[0]} to {said[-1]}, which may be chance"
        low, high = percent(mean.min()), percent(mean.max())
        return f"stays between {low} and {high} from {own[along].iloc[0]} to {end}, no two further apart than by chance"
    ways = ["rises" if mean[j] > mean[i] else "falls" for i, j in itertools.pairwise(turns)]
    legs = [f"{way} to {said[j]}" for way, j in zip(ways, turns[1:], strict=True)]
    legs[0] = f"{ways[0]} from {said[turns[0]]} to {said[turns[1]]}"
    return listing(legs) + _rest(turns, differ, mean, said, end)


def _apart(own: pd.DataFrame, mean: np.ndarray, pooled) -> np.ndarray | None:
    """Which two means differ by more than chance, (N, N); None where no replicates say how much a run scatters."""
    pairs = list(itertools.combinations(range(len(own)), 2))
    sides = list(zip(own.sd, own.n, strict=True))
    p = corrected(pd.Series([tested(mean[j] - mean[i], sides[i], sides[j], pooled)[0] for i, j in pairs], dtype=float))
    if p.isna().all():
        return None
    differ = np.zeros((len(own), len(own)), dtype=bool)
    for (i, j), one in zip(pairs, p, strict=True):
        differ[i, j] = differ[j, i] = one < LEVEL
    return differ


def _turns(mean: np.ndarray, differ: np.ndarray) -> list[int]:
    """Where the course begins, turns and ends, each surely apart from the one before; empty if no two means differ.

    It ends at the first point from which on no two differ, or else at the highest or lowest since it last turned.
    """
    turns, way, far = [], 0.0, 0
    for j in range(1, len(mean)):
        if not way:
            if differ[:j, j].any():
                begin = max(np.flatnonzero(differ[:j, j]), key=lambda i: abs(mean[j] - mean[i]))
                turns, way, far = [int(begin)], np.sign(mean[j] - mean[begin]), j
        elif way * (mean[j] - mean[far]) >= 0:
            far = j
        elif differ[far, j]:
            turns, way, far = [*turns, far], -way, j
    if not way:
        return []
    flat = next(k for k in range(len(mean)) if not differ[k:, k:].any())
    return [*turns, flat if turns[-1] < flat < far and differ[turns[-1], flat] else far]


def _rest(turns: list[int], differ: np.ndarray, mean: np.ndarray, said: list[str], end: str) -> str:
    """What is said of the points behind the last turn."""
    *_, before, turn = turns
    last = len(said) - 1
    if turn == last:
        return ""
    if differ[turn:, turn:].any() or not differ[before, last]:
        return ", and further on it cannot be told"
    if last - turn == 1:
        return f"; whether the {said[last]} is {'more' if mean[last] > mean[turn] else 'less'} than that cannot be told"
    return f"; from there to {end} no two differ by more than chance"
