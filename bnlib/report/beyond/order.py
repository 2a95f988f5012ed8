"""γ and β first, then everything: is it better than everything from the start?"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.experiments import EXPERIMENTS
from bnlib.report.analysis import LEVEL, best, differences, histories, summarise
from bnlib.report.analysis.verdicts import fullest
from bnlib.report.figures.marks import chance
from bnlib.report.figures.panels import groups, nothing
from bnlib.report.figures.style import FAINT, HALO, MUTED, OURS, house_style, look
from bnlib.report.statements.accuracy import all_diverged
from bnlib.report.statements.grammar import Statement, after, diverged, few, listing, network, percent, points, upper
from bnlib.spec import RECIPES

START, *FIRST = EXPERIMENTS["beyond_bn_first"].variants
LOOKS = dict(zip((START, *FIRST), ("all", "gamma", "bn", "beta"), strict=True))  # the sets whose colour and dash they have


def against_start(summary: pd.DataFrame) -> pd.DataFrame:
    """What each variant gains against everything from the start, as `analysis.differences`, with the variant.

    summary: of `analysis.summarise`. p is corrected for the networks and the variants of a recipe together.
    """
    return differences(summary, FIRST, START)


def answer(summary: pd.DataFrame) -> Statement:
    """What comes of γ and β first, in the networks at the longest recipe that there is.

    *yes*: some share of the epochs is better than none, by a test, in a network, and none is worse in any; *no*: the other way
    round; *in part*: both, and which is said; *too close*: nothing can be told.
    """
    rows = best(against_start(summary))
    if not len(rows):
        return all_diverged(summary, Statement("", "not judged" if len(summary) else "not trained"))
    alone = summary[(summary.recipe == rows.recipe.iloc[0]) & (summary.n > 0)]
    name = fullest(rows, "variant").network.iloc[0]
    own = alone[(alone.network == name)].set_index("variant")["mean"]
    shares = {v: _epochs(v, rows.recipe.iloc[0]) for v in FIRST if v in own.index}
    reached = listing(percent(own[v]) for v in shares)
    said = (
        f"{upper(after(rows.recipe.iloc[0]))} {network(name)} reaches {percent(own[START])} with everything from the start; "
        f"with γ and β alone for the first {listing(map(str, shares.values()))} of them, {reached}"
    )
    up, down = rows[(rows.p < LEVEL) & (rows.difference > 0)], rows[(rows.p < LEVEL) & (rows.difference < 0)]
    if rows.p.isna().all():
        doubt, verdict = "; one run each, so no order can be told", "not judged"
    elif not len(up) and not len(down):
        doubt, verdict = "; no further apart than by chance", "too close"
    elif len(up) and len(down):
        doubt, verdict = f". It is better with {_which(up)}, and worse with {_which(down)}", "in part"
    else:
        (verdict, how), decided = (("yes", "better"), up) if len(up) else (("no", "worse"), down)
        doubt = "" if set(decided.network) == {name} else f". It is {how} with {_which(decided)}"
    lost = diverged(summary[summary.recipe == rows.recipe.iloc[0]])
    return Statement(f"{said}{doubt}.{f' {upper(lost)}.' if lost else ''}", verdict)


def _which(rows: pd.DataFrame) -> str:
    """For how many epochs γ and β learnt alone, and in which network: the first 2 and 4 in ResNet-14."""
    found = []
    for name, own in rows.groupby("network", sort=False):
        epochs = listing(str(_epochs(row.variant, row.recipe)) for row in own.itertuples())
        found.append(f"the first {epochs} in {network(name)}{few(own)}")
    return listing(found)


def lead(runs: pd.DataFrame) -> Statement:
    """How far behind, or ahead, the latest switch is when it comes, and at the end. runs: of `experiments.runs`."""
    own = fullest(_mean_curves(runs), "variant")
    if not len(own) or not {START, FIRST[-1]} <= set(own.variant):
        return Statement("")
    epoch = _epochs(FIRST[-1], own.recipe.iloc[0])
    at = {v: own[(own.variant == v)].set_index("epoch").test_accuracy for v in (START, FIRST[-1])}
    gap = 100 * (at[START] - at[FIRST[-1]])
    drops = ", where the learning rate drops, too" if epoch in RECIPES[own.recipe.iloc[0]].milestones else ""
    (then, side), (last, other) = ((points(one), _side(one)) for one in (gap[epoch], gap.iloc[-1]))
    there = f"{then} {side}{' of' if side == 'ahead' else ''}" if side else "as far as"
    end = (
        f"it is {'still ' if side == other else ''}{last} {other}"
        if other
        else "it has caught up"
        if side == "behind"
        else "they are alike"
    )
    return Statement(
        f"When the rest joins, after {epoch} epochs{drops}, {network(own.network.iloc[0])} is {there} the training of everything "
        f"from the start; at the end {end}."
    )


def _side(gap: float) -> str:
    """Which side of another it is on that is `gap` points better; none if they are the same to a tenth."""
    return "" if abs(gap) < 0.05 else "behind" if gap > 0 else "ahead"


def shown(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of `runs` that are in the figure: of networks and recipes with more than one line."""
    return runs[runs.groupby(["network", "recipe"]).variant.transform("nunique") > 1]


def figure(runs: pd.DataFrame) -> Figure:
    """Test accuracy during the training, a line for each share of the epochs that γ and β learn alone; a panel for each network.

    runs: of `experiments.runs`; the mean over replicates. Networks of which there is but one line are left out.
    """
    curves = _mean_curves(shown(runs))
    found = list(groups(curves)) if len(curves) else []
    if not found:
        return nothing("nothing to compare has been run yet")
    with house_style():
        drawn = Figure(figsize=(6.4, 3.2 * len(found) + 0.9), layout="constrained")
        axes = drawn.subplots(len(found), 1, squeeze=False)[:, 0]
        for ax, ((name, recipe), own) in zip(axes, found, strict=True):
            for variant, rows in own.groupby("variant", sort=False, observed=True):
                colour, _, dash = look(LOOKS[variant])
                ax.plot(rows.epoch, 100 * rows.test_accuracy, color=colour, linestyle=dash)
                at = rows[rows.epoch == _epochs(variant, recipe)]  # the last epoch of γ and β alone
                ax.plot(
                    at.epoch, 100 * at.test_accuracy, "o", color=colour, markersize=6, markerfacecolor="none", markeredgewidth=1.4
                )
            for i, epoch in enumerate(RECIPES[recipe].milestones):
                ax.axvline(epoch + 0.5, color=FAINT, linewidth=1, zorder=0)
                if i == 0:
                    ax.annotate("learning rate drops", (epoch + 0.6, 2), fontsize=9, color=MUTED, path_effects=HALO)
            chance(ax, 0.99)
            ax.set_ylim(0, 100)
            ax.set_xlim(0.5, RECIPES[recipe].epochs + 0.5)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(f"{name}: {OURS[recipe]}", loc="left")
        axes[-1].set_xlabel("epoch")
        there = [v for v in LOOKS if any(v in set(own.variant) for _, own in found)]
        handles = [Line2D([], [], color=look(LOOKS[v])[0], linestyle=look(LOOKS[v])[2], label=v) for v in there]
        handles.append(Line2D([], [], color=MUTED, marker="o", markerfacecolor="none", linestyle="", label="then everything joins"))
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    ends = summarise(shown(runs))[lambda rows: rows.n > 0]
    said = [f"{row.network}, {OURS[row.recipe]}, {row.variant}: {row.mean:.0f} %" for row in ends.itertuples()]
    drawn.alt = "Test accuracy during the training, with γ and β alone at first. At the end: " + "; ".join(said) + "."
    return drawn


def _epochs(variant: str, recipe: str) -> int:
    """For how many epochs γ and β learn alone."""
    return EXPERIMENTS["beyond_bn_first"].specs(recipe, 0, ("resnet14",))[[START, *FIRST].index(variant)].switch or 0


def _mean_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """The curves of runs that did not diverge, their replicates' mean: network, depth, recipe, variant, epoch, test_accuracy, n."""
    own = histories(runs[runs.status != "diverged"])
    keys = ["network", "depth", "recipe", "variant", "epoch"]
    if not len(own):
        return own
    mean = own.groupby(keys, sort=False, observed=True).agg(test_accuracy=("test_accuracy", "mean"), n=("seed", "nunique"))
    return mean.reset_index()
