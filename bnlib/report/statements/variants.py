"""What one network's trainings say: a variant against its base, γ against β, longer against shorter, training against test."""

import pandas as pd

from bnlib import experiments
from bnlib.report.analysis.replicates import corrected, sound, spread, tested
from bnlib.report.analysis.verdicts import LEVEL, RECIPES, best, fullest, overall
from bnlib.report.statements.accuracy import all_diverged, judged_at, some_diverged
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper, what


def longer(points_: pd.DataFrame, what_: str = "accuracy", trainable: str = "bn") -> Statement:
    """What 160 epochs bring over 16, in the networks that have been trained both ways: replicates of equal seed where there are.

    points_: of `summarise` or `small_gammas`.
    """
    own = sound(points_)
    own = own[own.trainable == trainable]
    both = own[own.recipe == "paper"].merge(own[own.recipe == "short"], on=["network", "depth", "width"], suffixes=("", "_short"))
    if not len(both):
        return Statement("")
    both = both.assign(gain=(both["mean"] - both.mean_short).astype(float)).sort_values("depth")
    each = listing(f"{row.gain:+.1f} in {network(row.network)}".replace("-", "−") for row in both.tail(4).itertuples())
    return Statement(f"160\u00a0epochs instead of 16 change {what_} by points: {each}.")


def variants(summary: pd.DataFrame, base: str, subject: str, called: str = "") -> Statement:
    """Which variants of a training do better or worse than `base`, in the network and recipe with most of them.

    summary: of `summarise`. subject: what the variants are, in the plural: `other initialisations`. called: the base's name in a
    sentence.
    """
    sound_ = judged_at(summary)
    own = fullest(sound_, "variant")
    if own.variant.nunique() < 2:
        return all_diverged(summary, Statement(""))
    place, spreads, own = own.iloc[0], sound_[sound_.recipe == own.recipe.iloc[0]], own.set_index("variant")
    every = summary[(summary.network == place.network) & (summary.recipe == place.recipe)]
    lost = some_diverged(every, lambda row: f"of “{row.variant}”")
    if base not in own.index:
        return all_diverged(every[every.variant == base], Statement(""))
    first, others, pooled = own.loc[base], own.drop(index=base), spread(spreads)
    gap = (others["mean"] - first["mean"]).astype(float)
    p = corrected(
        pd.Series(
            [tested(gap[i], (others.sd[i], others.n[i]), (first.sd, first.n), pooled)[0] for i in others.index], index=others.index
        )
    )
    once = "" if p.isna().all() else few(own.reset_index())
    where, far = f"in {network(place.network)} {after(place.recipe)}{once}", gap.abs().idxmax()
    better, worse = gap[(p < LEVEL) & (gap > 0)], gap[(p < LEVEL) & (gap < 0)]
    if p.isna().all():
        said = f"{subject} change accuracy by up to {points(gap[far])} {where} ({far}), one run each: no order can be told"
    elif not len(better) and not len(worse) and len(gap) == 1:
        said = f"{far} changes accuracy by {points(gap[far])} {where}, no more than chance"
    elif not len(better) and not len(worse):
        none = f"none of the {number(len(gap))} {subject} tried differs from {called or base} by more than chance {where}"
        said = f"{none}; the largest difference is {points(gap[far])} ({far})"
    else:
        each = [f"{name} gains {points(one)}" for name, one in better.sort_values(ascending=False).items()]
        each += [f"{name} loses {points(one)}" for name, one in worse.sort_values().items()]
        rest = len(gap) - len(better) - len(worse)
        more = f"; {number(rest)} of the {number(len(gap))} tried cannot be told from it" if rest else ""
        said = f"{listing(each)} against {called or base} {where}{more}"
    return Statement(f"{upper(said)}{lost}.".replace(" = ", "\u00a0=\u00a0"), "not judged")


def blog(summary: pd.DataFrame, reference: pd.DataFrame, guess: float = 10.0) -> Statement:
    """What a network of the blog reaches with each γ it starts from, in the network and recipe with most of them.

    summary: of `summarise`, of the experiment `blog_keras`. reference: of `paper.blog`, held beside ours after as many epochs.
    guess: what chance gives, in percent.
    """
    drawn, ones = experiments.EXPERIMENTS["blog_keras"].variants
    own = sound(summary)
    rows = fullest(own, "variant", recipes=("blog", "blog-short"))
    if not len(rows):
        return all_diverged(summary, Statement("", "not trained"))
    place, same, rows = rows.iloc[0], own[own.recipe == rows.recipe.iloc[0]], rows.set_index("variant")
    called = {drawn: "γ drawn He normal as in the blog", ones: "γ at 1"}
    each = listing(f"{percent(rows['mean'][name])} with {words}" for name, words in called.items() if name in rows.index)
    doubt = ""
    if len(rows) > 1:
        sides = [(rows.sd[name], rows.n[name]) for name in called]
        p, _ = tested(rows["mean"][drawn] - rows["mean"][ones], *sides, spread(same))
        doubt = ", one run each" if p != p else "" if p < LEVEL else ", no further apart than by chance"
    theirs = reference[(reference.network == place.network) & (reference.metric == "test_accuracy_percent")].value
    beside = f"; the blog has {theirs.iloc[0]:.0f}\u00a0%" if place.recipe == "blog" and drawn in rows.index and len(theirs) else ""
    every = summary[(summary.network == place.network) & (summary.recipe == place.recipe)]
    lost = some_diverged(every, lambda row: f"with {called[row.variant]}")
    if ones in rows.index and rows["mean"][ones] > 2 * guess:
        lost += ". With γ at 1 the blog's networks did not train; this one does"
    return Statement(f"{upper(after(place.recipe))} {network(place.network)} reaches {each}{doubt}{beside}{lost}.", "not judged")


def halves(summary: pd.DataFrame) -> Statement:
    """What γ alone and β alone reach, and both, in the network and recipe that has most of the three. summary: of `summarise`."""
    own = judged_at(summary)
    own = own[own.trainable.isin(["bn", "gamma", "beta"])]
    rows = fullest(own, "trainable")
    if len(rows) < 2:
        return all_diverged(summary, Statement(""))
    place, spreads, rows = rows.iloc[0], own[own.recipe == rows.recipe.iloc[0]], rows.set_index("trainable")
    every = summary[(summary.network == place.network) & (summary.recipe == place.recipe)]
    if "bn" not in rows.index:
        return all_diverged(every, Statement(""))
    pooled, lost = spread(spreads), some_diverged(every, lambda row: f"with {what(row.trainable)}")
    there = [name for name in ("gamma", "beta") if name in rows.index]
    reached = listing(f"{what(name)}{'' if i else ' reaches'} {percent(rows['mean'][name])}" for i, name in enumerate(there))
    said = f"{reached}, both together {percent(rows['mean']['bn'])}, in {network(place.network)} {after(place.recipe)}{few(rows)}"
    pairs = [("bn", name) for name in there] + ([("gamma", "beta")] if len(there) == 2 else [])
    p = corrected(pd.Series({pair: _tested(rows, *pair, pooled) for pair in pairs}))
    doubts = [pair for pair in pairs if not p[pair] < LEVEL]
    doubt = f"; that {listing(_lower(rows, *pair) for pair in doubts)} may be chance" if doubts else ""
    due = [what(name) for name in ("gamma", "beta") if name not in set(every.trainable)]
    missing = f"; {listing(due)} {'has' if len(due) == 1 else 'have'} not been trained" if due else ""
    return Statement(f"{upper(said)}{doubt}{missing}{lost}.", "not judged")


def _tested(rows: pd.DataFrame, one: str, other: str, pooled: tuple[float, int]) -> float:
    """P of the difference of two of `rows`, by name."""
    sides = [(rows.sd[name], rows.n[name]) for name in (one, other)]
    return tested(float(rows["mean"][one] - rows["mean"][other]), *sides, pooled)[0]


def _lower(rows: pd.DataFrame, one: str, other: str) -> str:
    """Which of two of `rows` is the lower, in words."""
    together = "γ and β together"
    low, high = (together if name == "bn" else what(name) for name in sorted((one, other), key=lambda name: rows["mean"][name]))
    return f"{low} {'do' if low == together else 'does'} worse than {high}"


def reach(summary: pd.DataFrame, guess: float = 10.0) -> Statement:
    """What γ and β alone reach in the networks of `summary`, at the longest recipe; guess: what chance gives, in percent."""
    every = summary[summary.trainable == "bn"]
    own = best(sound(every))
    if not len(own):
        return all_diverged(every, Statement(""))
    own = own.sort_values("mean")
    low, high = own.iloc[0], own.iloc[-1]
    span = f"{percent(high['mean'])} in {network(high.network)}"
    if len(own) > 1:
        span = f"{percent(low['mean'])} in {network(low.network)} to {span}"
    above = "well above chance" if low["mean"] > 2 * guess else "hardly above chance"
    if high["mean"] > 2 * guess >= low["mean"]:
        above += f" in {network(low.network)}"
    lost = some_diverged(every[every.recipe == own.recipe.iloc[0]], lambda row: f"of {network(row.network)}")
    return Statement(f"With γ and β alone accuracy is {span} {after(own.recipe.iloc[0])}, {above}{few(own)}{lost}.", "not judged")


def curve(judged: pd.DataFrame, histories: pd.DataFrame, reference: pd.DataFrame, name: str) -> Statement:
    """What `name` does during training with γ and β alone: after the drops of the learning rate; beside the paper's last value.

    judged: points of `analysis.at_epochs`. histories: of `analysis.histories`, of this network. reference: of `paper.curve`.
    """
    own = histories[histories.trainable == "bn"]
    if not len(own):
        return Statement(f"{network(name)} has not been trained yet.", "not trained")
    if (own.status == "diverged").all():
        epochs = listing(map(str, sorted(set(own.groupby(["recipe", "seed"]).epoch.max()))))
        return Statement(f"With γ and β alone {network(name)} diverged, in epoch {epochs}.", "not judged")
    own = own[own.status != "diverged"]
    recipe = next(one for one in (*RECIPES, *own.recipe.unique()) if (own.recipe == one).any())
    own = 100 * own[own.recipe == recipe].groupby(["lr", "epoch"]).test_accuracy.mean()
    rates = sorted({lr for lr, _ in own.index}, reverse=True)
    ends = [own[lr].iloc[-1] for lr in rates]
    said = f"With γ and β alone {network(name)} is at {percent(ends[0])} before the learning rate first drops"
    said += f" and at {percent(ends[-1])} at the end, {after(recipe)}" if len(ends) > 1 else f", {after(recipe)}"
    theirs = reference[reference.trainable == "bn"].sort_values("epoch") if len(reference) else reference
    if recipe == "paper" and len(theirs):
        said += f"; the paper has {percent(theirs.value.iloc[-1])}"
    held = judged[(judged.trainable == "bn") & (judged.recipe == recipe)] if len(judged) else judged
    return Statement(f"{said}.", overall(held) if len(held) else "not judged")


def overfitting_as_they_are(gaps: pd.DataFrame) -> Statement:
    """The same on the training images as they are, not augmented, γ and β alone. gaps: of `analysis.overfitting_as_they_are`."""
    own = best(gaps[gaps.trainable == "bn"])
    if not len(own):
        return Statement("")
    row = own.sort_values("depth").iloc[-1]
    return Statement(
        f"On the training images as they are, neither shifted nor mirrored, accuracy ends {_above(row['mean'])} test accuracy in "
        f"{network(row.network)} with γ and β alone, {after(row.recipe)}."
    )


def overfitting(gaps: pd.DataFrame, judged: pd.DataFrame) -> Statement:
    """Training accuracy above test accuracy at the end. gaps: of `overfitting`. judged: of `judge_overfitting`."""
    own = best(judged)
    if len(own):
        row = own.sort_values("depth").iloc[-1]
        text = (
            f"In {network(row.network)} training accuracy ends {_above(row.less)} test accuracy with γ and β alone, "
            f"and {_above(row.more)} it with everything trained, {after(row.recipe)}{few(own.loc[[row.name]])}."
        )
        return Statement(text, overall(judged))
    alone = gaps[gaps.trainable == "bn"]
    if not len(alone):
        return Statement("", "not judged" if len(gaps) else "not trained")
    row = best(alone).sort_values("depth").iloc[-1] if len(best(alone)) else alone.iloc[-1]
    alone = f"ends {_above(row['mean'])} test accuracy with γ and β alone"
    once = few(gaps.loc[[row.name]])
    return Statement(f"In {network(row.network)} training accuracy {alone}, {after(row.recipe)}{once}.", "not judged")


def _above(value: float) -> str:
    return f"{points(value)} {'above' if value > 0 else 'below'}"
