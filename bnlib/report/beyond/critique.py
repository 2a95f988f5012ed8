"""Who is right: what a public critique says of seeds with a few trained numbers, against what is measured at equal bytes."""

import numpy as np
import pandas as pd

from bnlib.report.analysis.verdicts import LEVEL, best
from bnlib.report.beyond.equal_bytes import BITS, at_equal_bytes, beaten
from bnlib.report.statements.grammar import Statement, after, few, in_bytes, listing, network, number, points, upper
from bnlib.spec.choices import FORMATS

CRITIQUE = (13.0, 17.0)  # by so many points, says a public critique, are seeds behind small dense networks of the same bytes


def judged(points_: pd.DataFrame) -> Statement:
    """Whether the public critique is right: what it says against what is measured, at each size. points_: of `equal_bytes.kept`.

    It is where the gap is what it says and more than chance, it is not where its 95 % interval lies outside of that. Said of each
    seed and each fully trained network in its best format, then with nothing rounded, then of the seeds that `beaten` has.
    """
    rows = best(at_equal_bytes(points_)).sort_values("bytes")
    if not len(rows):
        return Statement("")
    gap, half, (low, high) = -rows.difference, rows.half, CRITIQUE
    kinds = ("as it says", "smaller", "larger", "the other way round", "not clear")
    right = gap.between(low, high) & (rows.p < LEVEL)
    said = np.select([right, gap + half < 0, gap + half < low, gap - half > high], [kinds[0], kinds[3], *kinds[1:3]], kinds[4])
    count, open_ = len(rows), said == kinds[4]
    known = not open_.all()
    forms = {*rows.format, *rows.format_less}
    so = f", both rounded to {BITS[rows.format.iloc[0]]}," if len(forms) == 1 and FORMATS[0] not in forms else ""
    if not known:
        who = "Whether the critique holds here cannot be told"
    elif right.any():
        where = "" if right.all() else " at some sizes" if (right | open_).all() else " at some sizes only"
        who = f"For such a seed the critique holds here{where}"
    elif open_.any():
        who = "For such a seed the critique does not hold here at some sizes, and at others it cannot be told"
    else:  # a gap that grows may be as large where none was compared
        who = f"For such a seed the critique does not hold here, up to {in_bytes(rows.bytes.max())}"
    found = [f"{words} at {number((said == words).sum())}" for words in kinds if (said == words).any()]
    each = listing(found) if len(found) > 1 else said[0] if count == 1 else f"{said[0]} at each"
    seeds = f"of the {number(count)} seeds compared, " if count > 1 else ""
    more = "" if right.all() or not known else f": {seeds}the gap is {each}"
    grows = ", further behind the larger it is" if len(gap) > 2 and gap.is_monotonic_increasing else ""
    return Statement(
        f"A public critique says that a seed with a few trained numbers lies {low:.0f} to {high:.0f} points behind a small dense "
        f"network of equal bytes. {upper(after(rows.recipe.iloc[0]))} it is{so} {_span(gap)}{grows}{few(rows)}. {who}{more}."
        f"{_unrounded(rows, points_)}{_left_out(rows, points_)}"
    )


def _span(gap: pd.Series) -> str:
    """From the least to the greatest of these gaps in points: 1.0 to 2.0 points behind, 1.0 points ahead to 2.0 points behind."""
    least, most = sorted((gap.min(), gap.max()), key=abs)
    side = lambda one: "behind" if one > 0 else "ahead"  # noqa: E731
    if len(gap) == 1 or side(least) != side(most):
        return " to ".join(dict.fromkeys(f"{points(one)} {side(one)}" for one in (gap.min(), gap.max())))
    return f"{abs(least):.1f} to {points(most)} {side(most)}"


def _unrounded(rows: pd.DataFrame, points_: pd.DataFrame) -> str:
    """How far the same seeds lie behind if nothing is rounded, and if the seed alone is not. rows: of `at_equal_bytes`."""
    if (rows.format == FORMATS[0]).all():
        return ""
    whole, other = BITS[FORMATS[0]], FORMATS[-1]
    beside = {f"With both in {whole}": FORMATS[0], f"With the seed in {whole} and the dense network in {BITS[other]}": other}
    said = ""
    for how, form in beside.items():
        own = at_equal_bytes(points_, FORMATS[0], form)
        own = own[(own.recipe == rows.recipe.iloc[0]) & own.network.isin(rows.network)]
        if len(own):
            said += f" {how} it is {_span(-own.difference.astype(float))}{few(own)}: {_held(own)}."
    return said


def _held(own: pd.DataFrame) -> str:
    """Whether so far behind is what the critique says, at how many sizes. own: of `at_equal_bytes`."""
    gap, (low, high) = -own.difference.astype(float), CRITIQUE
    holds = (gap >= low) & (own.p < LEVEL)
    if not holds.any():
        return (
            "less than the critique says"
            if (gap + own.half < low).all()
            else "whether that is what the critique says cannot be told"
        )
    more = ", or more" if (gap[holds] > high).any() else ""
    return f"as the critique says{more}" + ("" if holds.all() else f", at {number(holds.sum())} of {number(len(own))} sizes")


def _left_out(rows: pd.DataFrame, points_: pd.DataFrame) -> str:
    """Of the seeds that are not among the compared, as a smaller one does better, the one that lies furthest behind."""
    others = beaten(points_)
    others = others[(others.recipe == rows.recipe.iloc[0]) & (others.difference < 0)]
    if not len(others):
        return ""
    last = others.loc[others.difference.astype(float).idxmin()]
    as_said = ", as the critique says" if CRITIQUE[0] <= -last.difference <= CRITIQUE[1] else ""
    return (
        f" {network(last.network)} is not among them, as a smaller seed reaches as much: in {in_bytes(last.bytes)} it is "
        f"{points(last.difference)} behind{as_said}{few(others.loc[[last.name]])}."
    )
