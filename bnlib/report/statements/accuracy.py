"""What accuracies say: how they grow with depth or width, how far from the paper's they are, and what is still to be trained."""

from collections import Counter

import pandas as pd

from bnlib import experiments
from bnlib.report.analysis.replicates import sound
from bnlib.report.analysis.verdicts import FULL, OPEN, RECIPES, best, comparisons, overall
from bnlib.report.statements.course import at, growth, values
from bnlib.report.statements.grammar import (
    Statement,
    after,
    diverged,
    few,
    lasting,
    listing,
    network,
    number,
    percent,
    points,
    upper,
    what,
)
from bnlib.spec import RunSpec, architecture


def judged_at(points_: pd.DataFrame) -> pd.DataFrame:
    """Those of the points that say something: at a recipe that is judged, and not all diverged."""
    return sound(points_)[lambda rows: rows.recipe.isin(RECIPES)]


def all_diverged(summary: pd.DataFrame | None, otherwise: Statement) -> Statement:
    """What is said where no run says anything: which points of `summary` diverged whole, if some did; else `otherwise`."""
    if summary is None or not len(summary):
        return otherwise
    gone = summary[(summary.n == 0) & (summary.recipe != "smoke")]
    return Statement(f"{upper(diverged(gone))}.", "not judged") if len(gone) else otherwise


def some_diverged(rows: pd.DataFrame, where) -> str:
    """Which replicates of the points of a sentence diverged, behind its semicolon; empty if none did."""
    said = diverged(rows, where)
    return f"; {said}" if said else ""


def depth(judged: pd.DataFrame, spreads: pd.DataFrame, along: str = "depth") -> Statement:
    """With γ and β alone, against depth (or width): the longest recipe with two points or more, or one, beside the paper's values.

    judged: points of `analysis.judge`, of γ and β only. spreads: of `summarise`, points whose replicates say how much a single run
    scatters, these among them.
    """
    rows, every = judged[judged.trainable == "bn"], spreads[spreads.trainable == "bn"]
    own = best(rows)
    if not len(own):  # nothing is judged: what they reach is said
        own = best(rows.drop(columns="verdict"))
    if not len(own):
        return all_diverged(every, Statement("", "not judged" if len(every) else "not trained"))
    if len(own) == 1 and len(more := best(rows[rows.recipe != own.recipe.iloc[0]])) > 1:  # of one point there is no course
        own = more
    recipe, due = own.recipe.iloc[0], experiments.EXPERIMENTS[f"fig2_{along}"].networks
    said = f"{upper(after(recipe))}, with γ and β alone, accuracy {growth(own, along, spreads[spreads.recipe == recipe])}"
    if len(own) == 1:
        said = f"γ and β alone reach {listing(values(own, along))} {after(recipe)}"
    of = f"at {len(own)} of {len(due)} {along}s" if len(own) < len(due) else ""
    lost = some_diverged(every[every.recipe == recipe], lambda row: at(row, along))
    verdict = overall(own) if "verdict" in own else "not judged"
    return Statement(f"{said}{few(own)}{_against(own, recipe)}{lost}.", verdict, of)


def width(judged: pd.DataFrame, spreads: pd.DataFrame) -> Statement:
    """As `depth`, against the width factor."""
    return depth(judged, spreads, along="width")


def top5(summary: pd.DataFrame, judged: pd.DataFrame) -> Statement:
    """Top-5 accuracy on ImageNet with γ and β alone, against depth; and the paper's, if its network has been trained.

    summary: of `summarise`, of `analysis.top5`. judged: those of its points, of `judge`, for which the paper has a value.
    """
    every = summary[summary.trainable == "bn"]
    own = best(sound(every))
    if not len(own):
        return all_diverged(every, Statement("", "not judged" if len(every) else "not trained"))
    recipe, due = own.recipe.iloc[0], experiments.EXPERIMENTS["fig2_imagenet"].networks
    course = growth(own, spreads=summary[summary.recipe == recipe])
    said = f"{upper(after(recipe))}, with γ and β alone, top-5 accuracy on ImageNet {course}"
    known = best(judged[judged.trainable == "bn"])
    theirs = "".join(f"; in {network(row.network)} the paper has {percent(row.reference)}" for row in known.itertuples())
    there = own.network.isin([architecture(name).title for name in due]).sum()
    of = f"at {there} of {len(due)} depths" if there < len(due) else ""
    lost = some_diverged(every[every.recipe == recipe], lambda row: at(row, "depth"))
    return Statement(f"{said}{theirs}{lost}.", overall(known) if len(known) else "not judged", of)


def _against(own: pd.DataFrame, recipe: str) -> str:
    """How far ours lie from the paper's, where they have been trained as long."""
    if recipe not in FULL:
        return ""
    far = own.loc[own.difference.astype(float).abs().idxmax()]
    if abs(far.difference) <= far.tolerance:
        theirs = "the paper's value is" if len(own) == 1 else "the paper's values are"
        return f"; {theirs} within {points(far.difference)}"
    side = "above" if far.difference > 0 else "below"
    right = int((own.difference.astype(float).abs() <= own.tolerance).sum())
    rest = f"; {number(right)} of {number(len(own))} are within the tolerance" if right else ""
    return f"; in {network(far.network)} that is {points(far.difference)} {side} the paper's {percent(far.reference)}{rest}"


def beside_paper(judged: pd.DataFrame) -> Statement:
    """What the paper's curve does where ours is flat or the other way round: of the pairs at 16 epochs that should differ clearly.

    judged: points of `analysis.judge`, at any recipe; those at `short` are looked at.
    """
    pairs = comparisons(judged[judged.recipe == "short"])
    gone = pairs[pairs.says.isin(["missing", "differs"])]
    if not len(gone):
        return Statement("")
    most = gone.loc[gone.reference.astype(float).idxmax()]
    (high, of_high), (low, of_low) = most["first"], most["second"]
    names = (network(low), network(high)) if of_high == of_low else (what(of_low), f"{what(of_high)} in {network(high)}")
    ours = (
        f"ours differ by {points(most.ours)}, no more than chance"
        if most.says == "missing"
        else f"ours are the other way round by {points(most.ours)}"
    )
    return Statement(
        f"From {names[0]} to {names[1]} the paper, after 160\u00a0epochs, gains {points(most.reference)}; {after('short')} {ours}."
    )


def compared(judged: pd.DataFrame) -> Statement:
    """How many of the paper's orders ours have, at the recipe with most of them: of pairs of one trainable set or one network."""
    pairs = comparisons(judged_at(judged))
    if not len(pairs):
        return Statement("")
    recipe = pairs.recipe.value_counts().index[0]
    says = pairs[pairs.recipe == recipe].says.value_counts()
    agree, wrong, open_ = (sum(says.get(one, 0) for one in some) for some in (("agrees",), ("differs", "missing"), OPEN))
    decided = f"{agree} of {agree + wrong} come out here as in the paper" if agree + wrong else "none is decided here yet"
    rest = f"; {open_} more cannot be told from chance" if open_ else ""
    own = pairs[(pairs.recipe == recipe) & pairs.says.isin(("differs", "missing"))]
    not_so = f" Not so: {listing(map(_order, own['first'], own.second))}." if 0 < len(own) < 4 else ""
    return Statement(f"Of the orders that the paper's values put clearly, {decided} {after(recipe)}{rest}.{not_so}")


def _order(first: tuple[str, str], second: tuple[str, str]) -> str:
    """One point above another, in words: of one trainable set, or of one network."""
    if first[1] == second[1]:
        return f"{network(first[0])} above {network(second[0])} with {what(first[1])}"
    return f"{what(first[1])} above {what(second[1])} in {network(first[0])}"


def counts(judged: pd.DataFrame) -> Statement:
    """Whether the parameter counts are the paper's: rows of `analysis.judge_counts`. A check of the software, not of learning."""
    known = judged.dropna(subset="equal")
    right, due = int(known.equal.sum()), 4 * len(known)
    share = known["bn share"].astype(float)
    least, most = (f"{100 * end:.2g}\u00a0%" for end in (share.min(), share.max()))
    said = f"γ and β are {least} to {most} of a network's parameters"
    if right == due:
        return Statement(f"{said}; all {due} counts are those that the paper prints, rounded.", "checked")
    return Statement(f"{said}; {right} of {due} counts are those that the paper prints, rounded.", "failed")


def replicates(summary: pd.DataFrame) -> str:
    """How many replicates the points have, for a caption: n = 3, or n = 1 to 3, and which diverged; empty without points."""
    own = sound(summary)
    lost = diverged(summary) if "diverged" in summary else ""
    if not len(own):
        return lost
    least, most = own.n.min(), own.n.max()
    return (f"n\u00a0=\u00a0{least}" if least == most else f"n\u00a0=\u00a0{least} to {most}") + (f"; {lost}" if lost else "")


def left_to_train(name: str) -> Statement:
    """Which networks of the experiment `name` have not been trained, or not in every way, at each of its `recipes`; in a line."""
    said = []
    for recipe in experiments.experiment(name).recipes:
        due = experiments.wanted(name, recipe)
        whole, some = _lacking(due, experiments.lacking(name, recipe))
        each = "all of it" if whole and len(whole) == len({spec.model for spec in due}) else _some_of(whole)
        if whole or some:
            part = f"some trainings of {_some_of(some)}" if some else ""
            said.append(f"{lasting(recipe)} " + ", and ".join(filter(None, (each, part))))
    return Statement(f"Not trained yet: {'; '.join(said)}." if said else "")


def _lacking(due: list[RunSpec], lacking: list[RunSpec]) -> tuple[list[str], list[str]]:
    """The models of which all that is `due` is lacking, and those of which a part of it is."""
    ways, left = (Counter(spec.model for spec in specs) for specs in (due, lacking))
    return [model for model in left if left[model] == ways[model]], [model for model in left if left[model] < ways[model]]


def _some_of(models: list[str]) -> str:
    """These networks, by name; empty for none."""
    return listing(network(architecture(name).title) for name in models)


def still_to_train(name: str) -> Statement:
    """What the experiment `name` lacks at its full recipe, with γ and β alone or, where that is not its line, at all."""
    due = experiments.wanted(name)
    line = [spec for spec in due if spec == RunSpec(spec.model, recipe=spec.recipe, dataset=spec.dataset)] or due
    long = lasting(due[0].recipe)
    lacking = set(experiments.lacking(name, due[0].recipe))
    whole, some = _lacking(line, [spec for spec in line if spec in lacking])
    if not whole and not some:
        return Statement("")
    if len(whole) == len({spec.model for spec in line}):
        return Statement(f"Nothing of this has been trained {long} yet.")
    part = f"some trainings of {_some_of(some)}" if some else ""
    return Statement(f"Not trained {long} yet: {', and '.join(filter(None, (_some_of(whole), part)))}.")
