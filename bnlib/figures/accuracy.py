"""Accuracy: against depth, and during a training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.figures.style import RECIPE_TITLES, SETS, house_style, label, look, order


def fig2_depth(summary: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2, left: test accuracy against depth, a line for each trainable set, a panel for each recipe.

    summary: from `analysis.summarise`, of networks of width 1. reference: rows of `paper.values("fig2")`, in percent. The
    paper's values are hollow diamonds with their uncertainty, reproductions by others small crosses. Three or more
    replicates: the mean with a band of one sample standard deviation; fewer: the points.
    """
    reference = reference[reference.network.str.startswith("ResNet-") & reference.trainable.isin(SETS)]
    reference = reference.assign(depth=reference.network.str.removeprefix("ResNet-").astype(int))
    recipes = [r for r in RECIPE_TITLES if r in set(summary.recipe)] or ["paper"]
    depths = sorted(set(reference.depth) | set(summary.depth))
    with house_style():
        # One below the other: side by side they would be too small to read in a page's column, and on a phone.
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.4), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = summary[summary.recipe == recipe]
            _reference(ax, reference)
            for trainable in order(set(own.trainable)):
                _line(ax, own[own.trainable == trainable].sort_values("depth"), "depth", trainable)
            ax.axhline(10, color="#8A8A8A", linestyle="--", linewidth=1, zorder=1)
            ax.text(1.2 * depths[0], 10.8, "chance", color="#666666", fontsize=8, va="bottom")
            ax.set_xscale("log")
            ax.set_xticks(depths, [str(d) for d in depths])
            ax.minorticks_off()
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else "nothing run yet: the paper's values alone", loc="left")
        axes[-1].set_xlabel("depth N of ResNet-N (layers, log scale)")
        sets = order(set(reference.trainable) | set(summary.trainable))
        _legend(figure, sets, ours=set(summary.trainable), others=bool((reference.kind == "reproduction").any()))
    return figure


def _line(ax, rows: pd.DataFrame, x: str, trainable: str) -> None:
    """Our points of one trainable set and recipe: filled markers, joined in order; a band where n ≥ 3."""
    colour, marker, dash = look(trainable)
    ax.plot(rows[x], rows["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
    if (rows.n >= 3).any():
        many = rows[rows.n >= 3]
        ax.fill_between(many[x], many["mean"] - many.sd, many["mean"] + many.sd, color=colour, alpha=0.2, linewidth=0, zorder=2)


def _reference(ax, reference: pd.DataFrame) -> None:
    """The paper's values as hollow diamonds with their uncertainty; other people's as small crosses."""
    for row in reference.itertuples():
        colour = look(row.trainable)[0]
        if row.kind in ("reproduction", "blog"):
            ax.plot(row.depth, row.value, "x", color=colour, markersize=5, markeredgewidth=1.1, alpha=0.8, zorder=3)
        else:
            ax.errorbar(
                row.depth,
                row.value,
                yerr=row.uncertainty,
                fmt="D",
                color=colour,
                markerfacecolor="white",
                markersize=6.5,
                markeredgewidth=1.2,
                elinewidth=1,
                capsize=0,
                zorder=3,
            )


def _legend(figure, sets, ours: set[str], others: bool) -> None:
    """One legend below all panels: the sets in house order, then what the hollow and the crossed markers are."""
    handles = []
    for trainable in sets:
        colour, marker, dash = look(trainable)
        if trainable in ours:
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dash, label=label(trainable)))
        else:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=colour,
                    marker="D",
                    markerfacecolor="white",
                    linestyle="",
                    label=f"{label(trainable)} (not run here)",
                )
            )
    handles.append(Line2D([], [], color="#555555", marker="D", markerfacecolor="white", linestyle="", label="the paper's value"))
    if others:
        handles.append(Line2D([], [], color="#555555", marker="x", linestyle="", markersize=5, label="reproductions by others"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def curve(history: pd.DataFrame, title: str, chance: float = 0.1) -> Figure:
    """Accuracy during one training: training and test accuracy against the epoch. history: `run.history`."""
    colour = look("bn")[0]
    with house_style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        ax = figure.subplots()
        ax.plot(history.epoch, 100 * history.test_accuracy, color=colour, label="test")
        ax.plot(history.epoch, 100 * history.train_accuracy, color=colour, linestyle=":", label="training")
        ax.axhline(100 * chance, color="#8A8A8A", linestyle="--", linewidth=1)
        ax.text(history.epoch.iloc[-1], 100 * chance + 1, "chance", color="#666666", fontsize=8, ha="right", va="bottom")
        drops = history.epoch[history.lr.diff() < 0]
        for epoch in drops:
            ax.axvline(epoch - 0.5, color="#BBBBBB", linewidth=1)
        if len(drops):
            ax.text(drops.iloc[0] - 0.4, 3, "learning rate drops", color="#666666", fontsize=8)
        ax.set_ylim(0, 100)
        ax.set_xlim(left=0)
        ax.set_xlabel("epoch")
        ax.set_ylabel("accuracy (%)")
        ax.set_title(title, loc="left")
        ax.legend(loc="upper left")
    return figure
