"""What one condition reaches beside another, which is better, and by how much."""

import pandas as pd

from bnlib import experiments
from bnlib.report.analysis.replicates import sound
from bnlib.report.analysis.verdicts import FULL, LEVEL, RECIPES, best, fullest, overall
from bnlib.report.statements.accuracy import all_diverged, judged_at
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper, what


def sets(summary: pd.DataFrame, of: tuple[str, ...] = ("all", "bn", "random:2")) -> Statement:
    """What three trainable sets reach in one network: the `fullest`, which has all of them, or most.

    summary: of `analysis.summarise`.
    """
    own = judged_at(summary)
    own = fullest(own[own.trainable.isin(of)], "trainable")
    if own.trainable.nunique() < 2:
        return Statement("")
    means = own.set_index("trainable")["mean"]
    first, *others = (name for name in of if name in means)
    each = listing([f"{what(first)} gives {percent(means[first])}", *(f"{what(name)} {percent(means[name])}" for name in others)])
    return Statement(f"In {network(own.network.iloc[0])} {after(own.recipe.iloc[0])}, training {each}.")


def gain(
    rows: pd.DataFrame, more: str, less: str, verb: str = "reaches", summary: pd.DataFrame | None = None, alike: str = ""
) -> Statement:
    """Which of two is better, and by how much: rows of `differences` or the like, at the longest recipe that has been run.

    more, less: the two sides, in words; verb: of the former. rows: with a verdict of `judge_differences` if the paper says which is
    higher. summary: the points that were compared, of `summarise`: without a difference, what of them diverged is said. alike: what
    both sides have in common, where each row's network is the other side itself, not the place where two sides are compared.
    """
    own = best(rows.drop(columns="verdict", errors="ignore"))
    if not len(own):
        some = "not judged" if summary is not None and len(summary) else "not trained"
        return all_diverged(summary, Statement("", some if "verdict" in rows else ""))
    verdict = overall(rows) if "verdict" in rows else ""
    recipe = own.recipe.iloc[0]
    own = own.assign(difference=own.difference.astype(float)).sort_values("difference")
    sure, again = own[own.p < LEVEL], "than" if alike else "in"
    where = f", {alike}, {after(recipe)}" if alike else f", {after(recipe)}"

    def than(row):
        return f"than {network(row.network)}" if alike else f"than {less} in {network(row.network)}"

    if not len(sure):
        way = lambda row: f"{points(row.difference)} {'more' if row.difference > 0 else 'less'}"  # noqa: E731
        first, *others = own.itertuples()
        if len(own) > 3:
            first, others = own.iloc[0], [own.iloc[-1]]
        each = [f"{way(first)} {than(first)}", *(f"{way(row)} {again} {network(row.network)}" for row in others)]
        each = (
            listing(each)
            if len(own) <= 3
            else f"from {' to '.join(each)}, over {number(len(own))} {'of them' if alike else 'networks'}"
        )
        where, why = (where, "one run each") if own.p.isna().all() else (f"{where}{few(own)}", "which may be chance")
        shorter = rows[rows.recipe.isin(RECIPES) & (rows.recipe != recipe) & (rows.p < LEVEL)]
        clear = gain(shorter.drop(columns="verdict", errors="ignore"), more, less, verb, alike=alike).text
        return Statement(f"{upper(more)} {verb} {each}{where}, {why}. {clear}".strip(), verdict)
    least, most, where = sure.iloc[0], sure.iloc[-1], f"{where}{few(own)}"
    if least.difference > 0 or most.difference < 0:
        word = "more" if least.difference > 0 else "less"
        near, far = (points(one) for one in sorted((abs(least.difference), abs(most.difference))))
        if len(sure) == 1:
            how = f"{near} {word} {than(least)}"
        else:
            span = far if near == far else f"{near.split(chr(160))[0]} to {far}"
            how = f"{span} {word} than {less} in {number(len(sure))} networks"
            how = f"{span} {word} than {number(len(sure))} {less}" if alike else how
        said = f"{upper(more)} {verb} {how}{where}"
    else:
        said = (
            f"{upper(more)} {verb} {points(most.difference)} more {than(most)}, "
            f"and {points(least.difference)} less {again} {network(least.network)}{where}"
        )
    open_ = own[~(own.p < LEVEL)]
    rest = f"; {'against' if alike else 'in'} {listing(map(network, open_.network))} it cannot be told" if len(open_) else ""
    return Statement(f"{said}{rest}.", verdict)


def depth_or_width(rows: pd.DataFrame, summary: pd.DataFrame | None = None) -> Statement:
    """Deeper against wider with equally many γ and β: rows of `at_equal_parameters`, judged. summary: as of `gain`."""
    return gain(rows, "deeper networks", "wider ones", "reach", summary, alike="with as many γ and β")


def collapse(judged: pd.DataFrame, verdict: str) -> Statement:
    """Shortcuts and the output layer alone: on the widest network, the shallowest and the deepest, at the recipe with most points.

    judged: points of `analysis.judge`, of this set. verdict: of the whole claim.
    """
    if not len(judged):
        return Statement("", verdict)
    recipe = judged.recipe.value_counts().index[0]
    own = judged[judged.recipe == recipe].sort_values(["width", "depth"])
    narrow = own[own.width == own.width.min()]
    ends = pd.DataFrame([own.iloc[-1], narrow.iloc[0], narrow.iloc[-1]]).drop_duplicates("network")
    each = listing(f"{percent(mean)} in {network(name)}" for mean, name in zip(ends["mean"], ends.network, strict=True))
    return Statement(f"{upper(after(recipe))}, shortcuts and the output layer alone reach {each}.", verdict)


def shortcuts(judged: pd.DataFrame, summary: pd.DataFrame) -> Statement:
    """Whether the paper's line of shortcuts and output layer may be one of which the shortcuts' own γ and β learned, too.

    Said where ours without them lies outside the tolerance. judged: points of `analysis.judge`; summary: of `summarise`.
    """
    own = judged[(judged.trainable == "shortcut+output") & judged.recipe.isin(FULL)]
    far = own[own.difference.astype(float).abs() > own.tolerance].sort_values("depth")
    if not len(far):
        return Statement("")
    more = sound(summary)[lambda rows: rows.trainable == experiments.WITH_BESIDE]
    both = far.merge(more[["network", "recipe", "mean"]].rename(columns={"mean": "with_"}), on=["network", "recipe"])
    row = (both if len(both) else far).iloc[0]
    side = "above" if row.difference > 0 else "below"
    theirs = f"the paper's {percent(row.reference)}"
    said = (
        f"With the output layer and the shortcuts alone, ours reach {percent(row['mean'])} in {network(row.network)}, "
        f"{points(row.difference)} {side} {theirs}"
    )
    if not len(both):
        return Statement(f"{said}; whether the shortcuts' own γ and β learn in the paper's line has not been tried yet.")
    left = float(row.with_ - row.reference)
    if abs(left) <= row.tolerance:
        near = f"within {points(left)} of the paper's" if round(left, 1) else "as in the paper"
        why = f"{percent(row.with_)}, {near}: that [would explain it](../book/deviations.md)"
    else:
        why = f"{percent(row.with_)}, {points(left)} from the paper's: that does not explain it"
    return Statement(f"{said}; if the shortcuts' own γ and β learn, too, {why}.")
