"""Answers that no figure's own sentence gives: how many random weights γ and β are worth, what the paper's other start may be."""

import pandas as pd

from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.replicates import PLACE, sound
from bnlib.report.analysis.verdicts import FULL, LEVEL, TOLERANCE, fullest
from bnlib.report.statements.accuracy import judged_at
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper, what


def as_many(summary: pd.DataFrame) -> Statement:
    """With how many random weights a channel training is as good as with γ and β; in the network with most numbers tried.

    As good is what cannot be told from it, or is better, as is every larger number tried. summary: of `summarise`, of `bn` and
    `random:K`.
    """
    own = fullest(_against(summary, "bn", summary.trainable.str.startswith("random:")), "variant")
    if not len(own):
        return Statement("", "not judged" if len(summary) else "not trained")
    own = own.assign(k=own.trainable.str.removeprefix("random:").astype(int)).sort_values("k")
    below, rest = own[(own.p < LEVEL) & (own.difference < 0)], own
    where = f"in {network(own.network.iloc[0])} {after(own.recipe.iloc[0])}"
    if own.p.isna().all():
        last = own.iloc[-1]
        text = f"{_give(last.k)} {percent(last.more)} {where}, γ and β {percent(last.less)}, one run each"
    elif len(below) and below.k.iloc[-1] == own.k.iloc[-1]:
        last = own.iloc[-1]
        text = f"{_give(last.k)} {percent(last.more)} {where}, still {points(last.difference)} less than γ and β"
    elif not len(below) and not rest.p.iloc[0] < LEVEL:
        text = f"{_weights(own.k.iloc[0])} already cannot be told from γ and β, {where}"
    else:
        text = f"γ and β give {percent(own.less.iloc[0])}"
        if len(below):
            last, rest = below.iloc[-1], own[own.k > below.k.iloc[-1]]
            text = f"{_give(last.k)} less ({percent(last.more)}) than γ and β ({percent(last.less)})"
        near, more = rest[~(rest.p < LEVEL)], rest[rest.p < LEVEL]
        text += f", {_numbers(more)} more" if len(more) else ""
        text += f"; {_numbers(near)} cannot be told from them" if len(near) else ""
        text += f", {where}"
    tried = f" Tried: {listing(own.k.astype(str))}." if len(own) > 1 else " No other number has been tried."
    return Statement(f"{upper(text)}{'' if own.p.isna().all() else few(own)}.{tried}", "not judged")


def alternate(summary: pd.DataFrame, base: str, reference: pd.DataFrame) -> Statement:
    """Which initialisations gain as much over `base` as the paper's first version says that another one, not named, does.

    summary: of `summarise`. reference: rows of `paper.alternate`, the gain of each network. A gain counts if it is no chance, and
    within the tolerance of theirs.
    """
    low, high = reference.gain.min(), reference.gain.max()
    theirs = "In the paper's first version another initialisation, we do not know which, gains "
    theirs += f"{low:.1f} to {points(high)} over its networks"
    rows = _beside(summary, base)
    if not len(rows):
        return Statement(f"{theirs}.")
    sure = rows[(rows.p < LEVEL) & (rows.difference > 0) & rows.difference.between(low - TOLERANCE, high + TOLERANCE)]
    if not len(sure):
        return Statement(f"{theirs}; none tried here gains that for sure.")
    names = dict.fromkeys(sure.sort_values("difference", ascending=False).variant)
    return Statement(f"{theirs}; here {' or '.join(names)} may be it.")


def differ(summary: pd.DataFrame, base: str, better: bool = False) -> str:
    """Whether a variant differs from `base`, or only whether one is `better`, where `statements.variants` looks.

    *yes*: one is, by more than chance; *no*: none is by more than the tolerance, surely; *too close*: neither can be told; *not
    judged*: nothing has been repeated.
    """
    rows = _beside(summary, base)
    if not len(rows):
        return "not judged" if len(summary) else "not trained"
    gap = rows.difference if better else rows.difference.abs()
    if ((rows.p < LEVEL) & (gap > 0)).any():
        return "yes"
    if rows.p.isna().all():
        return "not judged"
    return "no" if (gap + rows.half < TOLERANCE).all() else "too close"


def quoted(reference: pd.DataFrame, judged: pd.DataFrame) -> Statement:
    """The paper's shares of small γ that stand beside none of ours yet.

    reference: of `paper.small_gammas`. judged: those of ours that were held against them, of `analysis.judge`.
    """
    said = set(judged[judged.recipe.isin(FULL)].trainable) if len(judged) else set()
    own = reference[~reference.trainable.isin(said)]
    if not len(own):
        return Statement("")
    each = listing(f"{row.value:.0f}\u00a0% with {what(row.trainable)} trained" for row in own.itertuples())
    return Statement(f"The paper has {each}, as others quote it, presumably for {network(own.network.iloc[0])}.")


def _beside(summary: pd.DataFrame, base: str) -> pd.DataFrame:
    """Each variant against `base`, as `_against`, in the place that `statements.variants` tells of, and tested as there."""
    place = fullest(judged_at(summary), "variant")[["network", "recipe"]].drop_duplicates()
    there = summary.merge(place)
    return _against(there, base, there.variant != base, summary)


def _against(summary: pd.DataFrame, base: str, others: pd.Series, spreads: pd.DataFrame | None = None) -> pd.DataFrame:
    """Each of the `others` against the variant `base` in the same network and recipe, tested: as `differences`, with variant.

    spreads: points that say how far a single run scatters; without them `summary`.
    """
    sides = [*PLACE, "mean", "sd", "n", "diverged"]
    own, first = sound(summary[others]), sound(summary[summary.variant == base])[sides]
    return differing(own.merge(first, on=PLACE, suffixes=("", "_less")), sound(summary if spreads is None else spreads))


def _numbers(rows: pd.DataFrame) -> str:
    """How many random weights, and what they give: eight (42.3 %)."""
    return listing(f"{number(int(row.k))} ({percent(row.more)})" for row in rows.itertuples())


def _weights(k: int) -> str:
    return f"{number(int(k))} random weight{'s' if k > 1 else ''} a channel"


def _give(k: int) -> str:
    return f"{_weights(k)} give{'s' if k == 1 else ''}"
