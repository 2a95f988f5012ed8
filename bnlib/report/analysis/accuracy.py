"""Accuracies held against each other: two variants, two ways to grow, training and test."""

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.report.analysis.replicates import PLACE, corrected, sound, spread, summarise, tested, together
from bnlib.report.analysis.verdicts import RECIPES, TOLERANCE, judge_differences
from bnlib.report.analysis.words import both_counts, counts
from bnlib.report.paper import PAPER
from bnlib.spec import RECIPES as SETTINGS


def differences(summary: pd.DataFrame, more: str | list[str], less: str) -> pd.DataFrame:
    """How much better the variant `more` is than `less`, in each network and recipe that has both.

    summary: of `analysis.summarise`. more: one variant, or several; then `variant` says which. Returns network, depth, width,
    recipe, more, less (percent), difference, half (of its 95 % interval), p (see `replicates.tested`; corrected for the number of
    rows of a recipe), n (the replicates, of both if they have not equally many; a text).
    """
    summary = sound(summary)
    sides = [*PLACE, "mean", "sd", "n", *(["diverged"] if "diverged" in summary else [])]
    one = (
        summary[summary.variant == more][sides]
        if isinstance(more, str)
        else summary[summary.variant.isin(more)][[*sides, "variant"]]
    )
    return differing(one.merge(summary[summary.variant == less][sides], on=PLACE, suffixes=("", "_less")), summary)


def on_front(summary: pd.DataFrame) -> pd.DataFrame:
    """Those points of `summary` that the first page's figure shows: γ and β alone, of 160 epochs; of 16, if a depth has no more.

    What diverged whole is not among them.
    """
    own = summary[(summary.trainable == "bn") & summary.recipe.isin(["paper", "short"]) & (summary.n > 0)]
    whole = set(own[own.recipe == "short"].depth) <= set(own[own.recipe == "paper"].depth)
    return own[own.recipe == "paper"] if whole and len(own) else own.sort_values(["recipe", "depth"])


def differing(
    both: pd.DataFrame, spreads: pd.DataFrame, greatest: bool = False, within: tuple[str, ...] = ("recipe",)
) -> pd.DataFrame:
    """Two sides of a row as a tested difference: mean, sd, n against mean_less, sd_less, n_less; and, if known, diverged of both.

    spreads: points whose replicates say how much a single run scatters, of the same recipes; greatest: the most that it does in any
    of RECIPES, instead of each recipe's own. within: the columns within which they scatter alike; each run is there but once.
    Other columns are kept.
    """
    sides = [f"{name}{side}" for side in ("", "_less") for name in ("mean", "sd", "n", "diverged")]
    n = both_counts(counts(both.n, both.get("diverged")), counts(both.n_less, both.get("diverged_less")))
    pooled = {key: spread(own) for key, own in spreads.groupby([*within])}
    if greatest:
        known = [one for (recipe, *_), one in pooled.items() if one[1] and recipe in RECIPES]
        pooled = dict.fromkeys(pooled, max(known, default=(float("nan"), 0)))
    found = both.assign(more=both["mean"].astype(float), less=both.mean_less.astype(float))
    found["difference"] = found.more - found.less
    keys = zip(*(found[name] for name in within), strict=True)
    sides_ = zip(found.difference, found.sd, found.n, found.sd_less, found.n_less, keys, strict=True)
    tests = [tested(gap, (sd, n), (sd_less, n_less), pooled[key]) for gap, sd, n, sd_less, n_less, key in sides_]
    found[["p", "half"]] = pd.DataFrame(tests, columns=["p", "half"], index=found.index, dtype=float)
    found["p"] = found.groupby("recipe").p.transform(corrected) if len(found) else found.p
    return found.drop(columns=sides, errors="ignore").assign(n=n)


def at_equal_parameters(points: pd.DataFrame) -> pd.DataFrame:
    """How much better the deeper of two networks with equally many γ and β is, for each wider network.

    points: rows with network, depth, width, recipe, parameters (γ and β), mean, sd and n. The accuracy of a ResNet with exactly
    as many is interpolated between its neighbours, linear in the logarithm of the number; nothing is extrapolated. Returns network,
    depth, width, recipe, parameters, more (the deep one's accuracy), less (the wide one's), difference, half, p, n: as
    `differences`. Of the deep one's neighbours the greater spread and the fewer replicates count.
    """
    rows = []
    for recipe, own in sound(points).groupby("recipe", sort=False):
        deep = own[own.width == 1].sort_values("parameters")
        for wide in own[own.width > 1].itertuples():
            if len(deep) > 1 and deep.parameters.iloc[0] <= wide.parameters <= deep.parameters.iloc[-1]:
                after = max(1, int(np.searchsorted(deep.parameters, wide.parameters)))
                near = deep.iloc[after - 1 : after + 1]  # the two between which it lies; the more uncertain of them counts
                more = np.interp(np.log(wide.parameters), np.log(deep.parameters.astype(float)), deep["mean"].astype(float))
                row = {"network": wide.network, "depth": wide.depth, "width": wide.width, "recipe": recipe}
                row |= {"parameters": wide.parameters, "mean": more, "sd": near.sd.max(), "n": near.n.min()}
                rows.append({**row, "mean_less": wide.mean, "sd_less": wide.sd, "n_less": wide.n})
    sides = ["mean", "sd", "n", "mean_less", "sd_less", "n_less"]
    return differing(pd.DataFrame(rows, columns=[*PLACE, "parameters", *sides]), sound(points))


def papers_at_equal_parameters(reference: pd.DataFrame) -> pd.DataFrame:
    """The paper's own values compared as `at_equal_parameters` compares ours. reference: of `paper.with_parameters`."""
    own = reference[reference.kind.isin(PAPER)]
    deep = ~own.network.str.startswith("WRN")
    own = own.assign(mean=own.value, depth=14, width=np.where(deep, 1, 2), recipe="the paper's", sd=0.0, n=1)
    return at_equal_parameters(own).drop(columns=["half", "p", "n"])


def histories(runs: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of `runs`: one row an epoch, with the run's network, depth, trainable, variant, recipe, seed, status."""
    own = ["network", "depth", "trainable", "variant", "recipe", "seed", "status"]
    parts = [store.load(row.id).history.assign(**{name: getattr(row, name) for name in own}) for row in runs.itertuples()]
    columns = ["epoch", "lr", "train_accuracy", "test_accuracy", *own]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def plateaus(histories: pd.DataFrame) -> pd.DataFrame:
    """What each learning rate comes to: test accuracy in percent, the mean over the last half of its epochs.

    histories: of `histories`; replicates are averaged. Returns depth, network, trainable, recipe, n, and a column for each learning
    rate, the largest first; NaN where a recipe does not have it.
    """
    keys = ["depth", "network", "trainable", "recipe"]
    phase = histories.groupby([*keys, "seed", "lr"])
    late = phase.epoch.rank(method="first") > phase.epoch.transform("size") / 2
    own = histories[late].assign(percent=100 * histories.test_accuracy.astype(float))
    own = own.assign(n=own.groupby(keys).seed.transform("nunique"))
    found = own.groupby([*keys, "n", "lr"]).percent.mean().unstack("lr").sort_index(axis=1, ascending=False)
    return found.rename(columns="lr {:g}".format).rename_axis(columns=None).reset_index()


def overfitting(runs: pd.DataFrame) -> pd.DataFrame:
    """By how many points training accuracy lies above test accuracy at the end, replicates put together: as `summarise`.

    Training accuracy is that of the last epoch's batches as they were trained on, augmented and in training mode. Without runs
    that diverged.
    """
    runs = runs[runs.status == "finished"]
    return together(runs.assign(gap=100 * (runs.train_accuracy.astype(float) - runs.accuracy.astype(float))), "gap")


def judge_overfitting(gaps: pd.DataFrame) -> pd.DataFrame:
    """By how much less γ and β alone overfit than everything, as `differences` of `overfitting`, judged.

    *reproduced* and *in trend*, as `judge_differences` says, where the gap of γ and β is also within the tolerance; more is the
    gap of everything, less that of γ and β.
    """
    rows = judge_differences(differences(gaps, "all", "bn"))
    wide = rows.less.astype(float) > TOLERANCE
    return rows.assign(verdict=rows.verdict.where(~wide | ~rows.recipe.isin(RECIPES), "not reproduced"))


def at_epochs(histories: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points of learning curves at the epochs of `reference`, for `analysis.judge`: as `summarise`; and the reference.

    times: in how many of the points the same runs are.
    reference: with a column `epoch`, of recipe `paper`. Each epoch is a network of its own, as `judge` sees it. Only after the
    first drop of the learning rate: before it, test accuracy goes up and down by several points from one epoch to the next.
    """
    reference = reference[reference.epoch > SETTINGS["paper"].milestones[0]]
    named = lambda frame: frame.assign(network=frame.network + ", epoch " + frame.epoch.astype(int).astype(str))  # noqa: E731
    own = histories[histories.epoch.isin(set(reference.epoch)) & (histories.recipe == "paper")]
    percent = named(own).assign(percent=100 * own.test_accuracy.astype(float), width=1)
    points = together(percent, "percent")
    return points.assign(times=points.groupby(["depth", "variant"]).n.transform("size")), named(reference)


def top5(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs`, those whose top-5 accuracy is known, with it as `accuracy`: for `summarise` and all that looks at its points."""
    known = pd.Series([store.load(name).info.get("top5") for name in runs.id], index=runs.index, dtype=float)
    return runs.assign(accuracy=known)[known.notna()]


def with_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """The points of `runs` as `analysis.summarise`, with `parameters`: how many γ and β their networks have."""
    points = summarise(runs)
    return points.assign(parameters=points.network.map(dict(zip(runs.network, runs.get("parameters_bn", []), strict=False))))
