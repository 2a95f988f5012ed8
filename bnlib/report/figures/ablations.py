"""Variants of a training held against each other."""

import itertools

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures.marks import diverged
from bnlib.report.figures.panels import groups, nothing
from bnlib.report.figures.style import LABELS, house_style, label, look

MARKS = ("o", "s", "^", "D", "v", "P", "X")


def variants(summary: pd.DataFrame, names: list[str]) -> Figure:
    """The accuracy of each variant, a row each, a panel for each network and recipe with two at least; the first is a line.

    summary: of `analysis.summarise`. names: the variants in order; those not run are in grey. Bars: one sample standard
    deviation where there are three or more replicates.
    """
    found = [(title, own) for title, own in groups(summary) if len(own) > 1]
    with house_style():
        if not found:
            return nothing("nothing to compare has been run yet")
        figure = Figure(figsize=(6.4, 0.36 * len(names) * len(found) + 0.75 * len(found) + 0.3), layout="constrained")
        axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
        for ax, ((network, recipe), own) in zip(axes, found, strict=True):
            for y, name in enumerate(names):
                for row in own[own.variant == name].itertuples():
                    colour = look(row.trainable)[0]
                    ax.errorbar(row.mean, y, xerr=row.sd if row.n >= 3 else None, fmt=look(row.trainable)[1], color=colour)
                    if row.n == 2:
                        ax.plot(row.each, [y, y], ".", color=colour, markersize=4)
                    said = f"{row.mean:.1f}" + (", diverged" if row.diverged else "")
                    ax.annotate(said, (row.mean, y), (5, 4), textcoords="offset points", fontsize=8)
                    if y == 0:
                        ax.axvline(row.mean, color=colour, linewidth=0.8, linestyle="--", zorder=0)
            ax.set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
            for tick, name in zip(ax.get_yticklabels(), names, strict=True):
                tick.set_color("black" if (own.variant == name).any() else "#999999")
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.set_title(f"{network}, {recipe}", loc="left")
            ax.margins(x=0.12)
        axes[-1].set_xlabel("test accuracy (%)")
    return figure


def random_parameters(summary: pd.DataFrame) -> Figure:
    """Accuracy against the number K of random weights trained in each channel, a line for each network, a panel for each recipe.

    summary: of `analysis.summarise`, of `random:K` and `bn`. The dashed blue lines are γ and β, which are two of each channel.
    """
    some = summary[summary.trainable.str.startswith("random")]
    if not len(some):
        return nothing("nothing to compare has been run yet")
    recipes, networks = sorted(set(some.recipe)), list(dict.fromkeys(some.sort_values("depth").network))
    marks = dict(zip(networks, itertools.cycle(MARKS), strict=False))
    with house_style():
        figure = Figure(figsize=(6.4, 3.3 * len(recipes) + 0.6), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            for network, mark in marks.items():
                own = summary[(summary.recipe == recipe) & (summary.network == network)]
                line = some[(some.recipe == recipe) & (some.network == network)]
                line = line.assign(k=line.trainable.str.removeprefix("random:").astype(int)).sort_values("k")
                ax.errorbar(line.k, line["mean"], yerr=line.sd.where(line.n >= 3), color=look("random")[0], marker=mark)
                diverged(ax, line, "k")
                for row in own[own.trainable == "bn"].itertuples() if len(line) else ():
                    ax.axhline(row.mean, color=look("bn")[0], linestyle="--", linewidth=1.2)
                    ax.plot(2, row.mean, mark, color=look("bn")[0])
                    ax.annotate(network, (16, row.mean), (0, 3), textcoords="offset points", ha="right", fontsize=8)
            ax.axhline(10, color="#8A8A8A", linestyle="--", linewidth=1, zorder=0)
            ax.set_xscale("log")
            ax.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
            ax.minorticks_off()
            ax.set_ylim(0, None)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(f"recipe {recipe}", loc="left")
        axes[-1].set_xlabel("K: random weights trained in each channel (log scale)")
        handles = [Line2D([], [], color="#555555", marker=m, linestyle="", label=n) for n, m in marks.items()]
        handles.append(Line2D([], [], color=look("random")[0], label="K random weights a channel"))
        handles.append(Line2D([], [], color=look("bn")[0], linestyle="--", label=f"{label('bn')}: two a channel"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
