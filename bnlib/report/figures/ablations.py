"""Variants of a training held against each other."""

import itertools

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures import alt
from bnlib.report.figures.marks import beside, chance, diverged, log_axis
from bnlib.report.figures.panels import column, groups, nothing
from bnlib.report.figures.style import MUTED, OURS, house_style, label, look

MARKS = ("o", "s", "^", "D", "v", "P", "X")


def variants(summary: pd.DataFrame, names: list[str]) -> Figure:
    """The accuracy of each variant, a row each, a panel for each network and recipe with two at least.

    summary: of `analysis.summarise`. names: the variants in order; the first is a line, those not run are left out. Bars: one
    sample standard deviation where there are three or more replicates.
    """
    found = [(key, own, [name for name in names if name in set(own.variant)]) for key, own in groups(summary)]
    found = [one for one in found if len(one[2]) > 1]
    if not found:
        return nothing("nothing to compare has been run yet")
    with house_style():
        heights = [0.36 * len(own) + 0.35 for *_, own in found]
        figure, axes = column(len(found), sum(heights) + 0.4 * len(found) + 0.4, height_ratios=heights)
        said = []
        for ax, ((network, recipe), own, rows) in zip(axes, found, strict=True):
            for y, name in enumerate(rows):
                for row in own[own.variant == name].itertuples():
                    said.append((network, recipe, f"{label(name)} {beside(ax, row, y)}"))
                    if name == names[0] and row.n:
                        ax.axvline(row.mean, color=look(row.trainable)[0], linewidth=0.8, linestyle="--", zorder=0)
            ax.set_yticks(range(len(rows)), [label(name) for name in rows])
            ax.grid(axis="y", visible=False)
            ax.set_ylim(len(rows) - 0.5, -0.7)
            ax.set_title(f"{network}: {OURS[recipe]}", loc="left")
            ax.margins(x=0.14)
        axes[-1].set_xlabel("test accuracy (%)")
    each = [
        f"{network}, {OURS[recipe]}: {'; '.join(words for *key, words in said if key == [network, recipe])}."
        for (network, recipe), *_ in found
    ]
    figure.alt = " ".join(["Test accuracy of each variant.", *each[:2]])
    return figure


def random_parameters(summary: pd.DataFrame) -> Figure:
    """Accuracy against the number K of random weights trained in each channel, a line for each network, a panel for each recipe.

    summary: of `analysis.summarise`, of `random:K` and `bn`. The dashed blue lines are γ and β, which are two of each channel.
    """
    some = summary[summary.trainable.str.startswith("random")]
    if not len(some):
        return nothing("nothing to compare has been run yet")
    some = some.assign(k=some.trainable.str.removeprefix("random:").astype(int)).sort_values("k")
    recipes, networks = [recipe for recipe in OURS if recipe in set(some.recipe)], some.sort_values("depth").network.unique()
    marks = dict(zip(networks, itertools.cycle(MARKS), strict=False))
    ticks = sorted({1, 2, 4, *some.k})
    with house_style():
        figure, axes = column(len(recipes), 3.1 * len(recipes) + 0.9)
        for ax, recipe in zip(axes, recipes, strict=True):
            for network, mark in marks.items():
                own = summary[(summary.recipe == recipe) & (summary.network == network)]
                line = some[(some.recipe == recipe) & (some.network == network)]
                if not len(line):
                    continue
                sound, colour = line[line.n > 0], look("random")[0]
                ax.errorbar(sound.k, sound["mean"], yerr=sound.sd.where(sound.n >= 3), color=colour, marker=mark)
                diverged(ax, line, "k", colour, mark)
                for row in own[(own.trainable == "bn") & (own.n > 0)].itertuples():
                    ax.axhline(row.mean, color=look("bn")[0], linestyle="--", linewidth=1.2)
                    ax.plot(2, row.mean, mark, color=look("bn")[0])
                    # On the left, where few random weights a channel are far below.
                    ax.annotate(network, (0, row.mean), (4, 3), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
                                fontsize=9, color=MUTED)  # fmt: skip
            chance(ax, 0.01)
            log_axis(ax, ticks)
            ax.set_xlim(0.85 * ticks[0], ticks[-1] / 0.85)
            ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(OURS[recipe], loc="left")
        axes[-1].set_xlabel("K: random weights trained in each channel (log scale)")
        handles = [Line2D([], [], color=MUTED, marker=m, linestyle="", label=n) for n, m in marks.items()]
        handles.append(Line2D([], [], color=look("random")[0], label="K random weights a channel"))
        handles.append(Line2D([], [], color=look("bn")[0], linestyle="--", label=f"{label('bn')}: two a channel"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    shown = summary[summary.trainable.eq("bn") | summary.trainable.str.startswith("random")]
    shown = shown.merge(some[["network", "recipe"]].drop_duplicates())
    what = "Test accuracy against the number of random weights trained in each channel"
    measure = lambda rows: f"{rows['mean'].iloc[0]:.0f} %" if rows.n.iloc[0] else "diverged"  # noqa: E731
    figure.alt = alt.telling(what, shown, measure, panel=("recipe",))
    return figure
