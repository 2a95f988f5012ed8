"""Cut out the features that are off: what that saves, what it costs, and how much faster it is."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.analysis.accuracy import differences
from bnlib.report.analysis.replicates import together
from bnlib.report.analysis.tables import table
from bnlib.report.analysis.verdicts import LEVEL, best
from bnlib.report.analysis.words import counts
from bnlib.report.beyond.cut_out import AT, at
from bnlib.report.figures import alt
from bnlib.report.figures.marks import recipes_of
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import FAINT, HALO, MUTED, OURS, house_style, label, look, order
from bnlib.report.statements.grammar import Statement, after, few, listing, network, percent, points, upper

SMALL = 0.01  # the threshold that the question is answered at: what the paper counts as turned off
COST, WORTH = 0.5, 10.0  # points of accuracy that it may cost, and percent of the multiplications that it must save
DEEPEST = 56  # of the networks that are timed while the page is made
SHOWN = -3.0  # points of accuracy; what loses more is not in the figure


def answer(found: pd.DataFrame) -> Statement:
    """Whether the features that training turned off can be cut out, γ and β alone, and what that saves.

    found: of `cut_out.replicated`. yes: at |γ| ≤ SMALL accuracy falls by at most COST points, in each replicate, and at least WORTH
    percent of the multiplications go; `of` says in how many of the networks, if not in all that have been asked. no: in none.
    """
    every = at(found[found.trainable == "bn"], SMALL)
    rows = best(every[every.change.notna()]).sort_values("depth")
    if not len(rows):
        return Statement("", "not judged" if len(every) else "not trained")
    right = (rows.low >= -COST) & (rows.saved >= WORTH)
    ends = rows.iloc[[0, -1]] if len(rows) > 1 else rows
    first, *others = [f"{percent(row.saved)} of {{}} of {network(row.network)}" for row in ends.itertuples()]
    saves = listing([first.format("the multiplications"), *(one.format("those") for one in others)])
    worst = rows.low.min()
    costs = "no accuracy" if worst > -0.05 else f"at most {points(worst)} of accuracy"
    long = upper(after(rows.recipe.iloc[0]))
    text = f"{long} with γ and β alone, cutting out what has |γ| up to {SMALL:g} saves {saves}, and costs {costs}{few(rows)}."
    some = f"in {right.sum()} of {len(rows)} networks" if 0 < right.sum() < len(rows) else ""
    return Statement(text, "yes" if right.any() else "no", some)


def sooner(single: pd.DataFrame) -> Statement:
    """What goes after the shorter training, where a longer one gives the answer, γ and β alone. single: of `cut_out.savings`."""
    rows = at(single[single.trainable == "bn"], SMALL)
    less = together(rows[rows.recipe == "short"], "products_saved_percent")
    if not len(less) or best(rows).recipe.iloc[0] == "short":
        return Statement("")
    low, high = less.loc[less["mean"].astype(float).idxmin()], less.loc[less["mean"].astype(float).idxmax()]
    most = f"{percent(high['mean'])} ({network(high.network)})"
    span = most if low.network == high.network else f"{percent(low['mean'])} ({network(low.network)}) to {most}"
    goes = f"{upper(after('short'))} only {span} of the multiplications go{few(less)}"
    return Statement(f"{goes}: γ take their time to come near 0.")


def further(found: pd.DataFrame) -> Statement:
    """How far the threshold can be raised in each network, γ and β alone. found: of `cut_out.replicated`."""
    own = best(found[(found.trainable == "bn") & found.change.notna()])
    if not len(own):
        return Statement("")
    each = []
    for _, rows in own.sort_values("threshold").groupby("depth"):
        lost = (rows.low < -COST).to_numpy()
        safe = rows.iloc[max(0, lost.argmax() - 1)] if lost.any() else rows.iloc[-1]
        what = " of the multiplications go" if not each else ""
        each.append(f"{safe.threshold:.2g} in {network(safe.network)} ({percent(safe.saved)}{what})")
    return Statement(f"The largest threshold that costs no more than {points(COST)}{few(own)} is {listing(each)}.")


def whole(single: pd.DataFrame) -> Statement:
    """How much less can go where everything was trained, in the deepest network trained both ways. single: of `cut_out.savings`."""
    rows = best(differences(together(at(single, SMALL), "products_saved_percent"), "bn", "all"))
    if not len(rows):
        return Statement("")
    row = rows.sort_values("depth").iloc[-1]
    sure = "" if row.p < LEVEL else ", a difference that may be chance"
    where = f"in {network(row.network)} {after(row.recipe)}"
    less = f"With everything trained, {percent(row.less)} of the multiplications go at {SMALL:g} {where}"
    return Statement(f"{less}, with γ and β alone {percent(row.more)}{few(rows.loc[[row.name]])}{sure}.")


def to_time(runs: pd.DataFrame) -> list[str]:
    """The runs whose networks are timed: γ and β alone, one a network, of the longest recipe, none deeper than DEEPEST."""
    own = runs[(runs.trainable == "bn") & (runs.status == "finished") & (runs.depth <= DEEPEST)]
    return list(best(own).sort_values(["depth", "seed"]).drop_duplicates("depth").id)


def speed(timed: pd.DataFrame) -> Statement:
    """What is gained in milliseconds in the deepest network timed, and at best and at worst. timed: of `bnlib.bench.pruned`."""
    if not len(timed):
        return Statement("")
    own = at(timed, SMALL)
    row = own[own.depth == own.depth.max()].iloc[0]
    share = lambda ratio: f"{100 * ratio:.0f}\u00a0%"  # noqa: E731
    times = f"{row.pruned:.0f}\u00a0ms instead of {row.whole:.0f}\u00a0ms, {share(row.ratio)} of the time"
    without = f"{network(row.network)} without what has |γ| up to {SMALL:g}"
    best_, worst = timed.loc[timed.ratio.idxmin()], timed.loc[timed.ratio.idxmax()]
    ends = [f"{share(one.ratio)} (|γ| up to {one.threshold:.2g} in {network(one.network)})" for one in (best_, worst)]
    slower = ", that is, slower" if worst.ratio > 1.01 else ""
    return Statement(
        f"In {without}, a batch of {row.images} pictures takes {times}, on {row.machine}, as this page was made. Over all networks "
        f"and thresholds in the table it is {ends[0]} to {ends[1]}{slower}. Measured again, a share comes out a few points "
        "elsewhere; the quartiles are of one measurement."
    )


def timing_table(timed: pd.DataFrame):
    """The rows of `bnlib.bench.pruned` as a table to read."""
    names = {"threshold": "|γ| ≤", "whole": "whole (ms)", "pruned": "pruned (ms)"}
    shown = timed.assign(share=[f"{100 * r.ratio:.0f} ({100 * r.low:.0f} to {100 * r.high:.0f})" for r in timed.itertuples()])
    shown = shown.rename(columns={**names, "share": "of the time (%, quartiles)"})
    columns = ["network", *names.values(), "of the time (%, quartiles)", "turns"]
    return table(shown[columns], {"|γ| ≤": "{:.2g}", **dict.fromkeys(("whole (ms)", "pruned (ms)"), "{:.0f}")})


def savings_table(found: pd.DataFrame):
    """The rows of `cut_out.replicated` at the thresholds AT as a table to read; the parameters in kB of fp32, 4 bytes each."""
    rows = at(found, *AT).sort_values(["recipe", "trainable", "depth"], kind="stable")
    spread = [f" ({low:+.2f} to {high:+.2f})" if n > 1 else "" for low, high, n in zip(rows.low, rows.high, rows.n, strict=True)]
    before, gone = rows.parameters * 4 / 1000, rows.parameters_saved * 4 / 1000
    shown = pd.DataFrame(
        {
            **{name: rows[name] for name in ("network", "trainable", "recipe")},
            "n": counts(rows.n),
            "|γ| ≤": rows.threshold,
            "γ at 0 (%)": rows.off,
            "cut out (%)": rows.removed,
            "multiplications saved (%)": rows.saved,
            "kB": [f"{a:,.0f} → {b:,.0f}" for a, b in zip(before, before - gone, strict=True)],
            "accuracy (points)": [
                f"{c:+.2f}{s}" if c == c else "not asked" for c, s in zip(rows.change.round(2) + 0.0, spread, strict=True)
            ],
        }
    )  # fmt: skip
    return table(shown, {"|γ| ≤": "{:.2g}"})


def figure(found: pd.DataFrame) -> Figure:
    """What accuracy changes by against the multiplications saved, a panel for each recipe, a line for each network and set.

    found: of `cut_out.replicated`. Along a line the threshold grows; markers: those of AT, the filled ones SMALL. The number is
    the depth.
    """
    found = found[found.change.notna()]
    if not len(found):
        return nothing("no network has been asked yet")
    recipes = recipes_of(found)
    with house_style():
        drawn, axes = column(len(recipes), 2.9 * len(recipes) + 0.7, sharey=True)
        for ax, recipe in zip(axes, recipes, strict=True):
            ends = []
            for (trainable, depth), rows in found[found.recipe == recipe].groupby(["trainable", "depth"], observed=True):
                rows, (colour, marker, _) = rows.sort_values("threshold"), look(trainable)
                gone = (rows.change < SHOWN).to_numpy()
                rows = rows[: gone.argmax()] if gone.any() else rows
                ax.plot(rows.saved, rows.change, color=colour, linewidth=1.3)
                some, small = at(rows, *AT), at(rows, SMALL)
                ax.plot(some.saved, some.change, marker, color=colour, markersize=4, markerfacecolor="none")
                ax.plot(small.saved, small.change, marker, color=colour, markersize=6)
                ends.append((rows.saved.iloc[-1], rows.change.iloc[-1], f"{depth}", colour))
            ends.sort()
            for i, (x, y, text, colour) in enumerate(ends):  # a line beside which another one ends has its number at its left
                left = i + 1 < len(ends) and ends[i + 1][0] - x < 3
                ax.annotate(text, (x, y), (-4 if left else 4, -3), textcoords="offset points", color=colour, fontsize=9,
                            ha="right" if left else "left", va="top", path_effects=HALO)  # fmt: skip
            ax.axhline(0, color=FAINT, linewidth=1, zorder=0)
            ax.axhline(-COST, color=MUTED, linewidth=1, linestyle="--", zorder=1)
            ax.set_title(OURS[recipe], loc="left")
            ax.set_ylabel("accuracy, change (points)")
            ax.set_ylim(SHOWN - 0.3, 0.8)
            ax.set_xlim(0, 1.08 * found.saved[found.change >= SHOWN].max())  # room for the last number
        axes[-1].set_xlabel("multiplications saved (%)")
        handles = [Line2D([], [], color=look(one)[0], marker=look(one)[1], label=label(one)) for one in order(set(found.trainable))]
        handles.append(Line2D([], [], color=MUTED, linestyle="--", label=f"{points(COST)} lost"))
        others = f"other thresholds than {SMALL:g}"
        handles.append(Line2D([], [], color=MUTED, marker="o", markersize=4, markerfacecolor="none", linestyle="", label=others))
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)

    said = [
        f"{row.network}, {label(row.trainable)}, {OURS[row.recipe]}: {row.saved:.0f} %, {alt.number(row.change, '+.2f')} points"
        for row in at(found, SMALL).itertuples()
    ]
    what = "Change of the test accuracy against the multiplications saved by cutting features out, a line for each network and set"
    drawn.alt = f"{what}. At |γ| up to {SMALL:g}: {'; '.join(said)}."
    return drawn
