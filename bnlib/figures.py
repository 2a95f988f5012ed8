"""One function per figure: DataFrame in, matplotlib Figure out. The house style. Reads no file, shows nothing."""

import contextlib

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Colour, marker and dash mean the trainable set, in every figure: safe for colour-blind readers, legible without colour.
SETS = {
    "all": ("#000000", "s", "-"),
    "bn": ("#0072B2", "o", "-"),
    "bn+output": ("#009E73", "^", "--"),
    "bn+shortcut+output": ("#00684B", "v", "-."),
    "shortcut+output": ("#AA4499", "P", (0, (4, 1, 1, 1, 1, 1))),
    "output": ("#CC79A7", "D", (0, (1, 1))),
    "random": ("#D55E00", "X", (0, (5, 2))),
    "none": ("#8A8A8A", "*", (0, (2, 2))),
}
LABELS = {
    "all": "all parameters",
    "bn": "γ and β only",
    "bn+output": "γ, β, output",
    "bn+shortcut+output": "γ, β, output, shortcuts",
    "shortcut+output": "output, shortcuts",
    "output": "output layer only",
    "none": "nothing",
}
STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",  # opaque: legible on a dark page too
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.hashsalt": "bnlib",
    "svg.fonttype": "path",
}
RECIPE_TITLES = {
    "paper": "recipe paper: 160 epochs",
    "short": "recipe short: 16 epochs",
    "smoke": "recipe smoke: a test, not a result",
}


def look(trainable: str) -> tuple[str, str, object]:
    """Colour, marker and dash of a trainable set; every `random:K` looks alike."""
    return SETS["random" if trainable.startswith("random") else trainable]


def label(trainable: str) -> str:
    """What a legend calls a trainable set."""
    return LABELS.get(trainable) or f"{trainable.removeprefix('random:')} random weights a channel"


@contextlib.contextmanager
def house_style():
    """The rc parameters of every figure of the book."""
    with matplotlib.rc_context(STYLE):
        yield


def _order(names) -> list[str]:
    """Trainable sets in the order of SETS, which is the legend's."""
    keys = list(SETS)
    return sorted(names, key=lambda n: (keys.index("random" if n.startswith("random") else n), n))


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
            for trainable in _order(set(own.trainable)):
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
        sets = _order(set(reference.trainable) | set(summary.trainable))
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


def table1(counts: pd.DataFrame) -> Figure:
    """Table 1 as a picture: BatchNorm's share of all parameters, against the size of the network.

    counts: columns network, family, total, bn, output, shortcut; one row a network.
    """
    with house_style():
        figure = Figure(figsize=(6.4, 3.9), layout="constrained")
        ax = figure.subplots()
        markers = {"CIFAR-10, deeper": "o", "CIFAR-10, wider": "s", "ImageNet": "^"}
        for family, rows in counts.groupby("family"):
            ax.plot(
                rows.total,
                100 * rows.bn / rows.total,
                marker=markers.get(family, "o"),
                label=family,
                color=look("bn")[0],
                linestyle={"CIFAR-10, deeper": "-", "CIFAR-10, wider": "--"}.get(family, ":"),
            )
            for row in rows.iloc[[0, -1]].itertuples():
                ax.annotate(
                    row.network, (row.total, 100 * row.bn / row.total), xytext=(5, 5), textcoords="offset points", fontsize=8
                )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("all parameters (log scale)")
        ax.set_ylabel("γ and β among them (%, log scale)")
        ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.legend()
    return figure


# How each way of taking a step looks in the figures of the engine: ours in the colour of `bn`, what bounds it grey.
WAYS = {"fused": "#0072B2", "convolutions": "#8A8A8A"}


def steps(rows: pd.DataFrame) -> Figure:
    """The time of a step for each way of taking it, a panel for each model of which all ways were measured.

    rows: of `bnlib.bench.stored()`, of one machine. The whiskers are quartiles; the dashed line is the convolutions alone.
    """
    ways = rows.groupby("model").way.nunique()
    models = [model for model in rows.model.unique() if ways[model] > 2]
    with house_style():
        shown = [rows[rows.model == model] for model in models]
        figure = Figure(figsize=(6.4, 0.8 + sum(0.32 * len(own) + 0.7 for own in shown)), layout="constrained")
        axes = figure.subplots(len(models), 1, squeeze=False, height_ratios=[len(own) + 1 for own in shown])[:, 0]
        for ax, model, own in zip(axes, models, shown, strict=True):
            own = own.iloc[::-1]
            colours = [WAYS.get(way.split()[0], "#BBBBBB") for way in own.way]
            whiskers = 1000 * np.array([own.seconds - own.low, own.high - own.seconds]).clip(0)
            ax.barh(own.way, own.seconds * 1000, xerr=whiskers, color=colours, height=0.7, error_kw={"lw": 1, "ecolor": "#333333"})
            for name, value in zip(own.way, own.seconds * 1000, strict=True):
                ax.annotate(f"{value:,.0f}" if value >= 10 else f"{value:.1f}", (0, name), (4, 0), textcoords="offset points",
                            va="center", fontsize=8, color="white" if name.startswith("fused") else "black")  # fmt: skip
            floor = own[own.way == "convolutions bf16"].seconds * 1000
            if len(floor):
                ax.axvline(floor.iloc[0], color="#333333", linestyle="--", linewidth=1)
            ax.grid(axis="y", visible=False)
            ax.set_title(model, loc="left")
        axes[-1].set_xlabel("ms a step of 128 images, median")
    return figure


def scaling(rows: pd.DataFrame) -> Figure:
    """The time of a step against depth, and against the width of WRN-14-W, beside the convolutions alone.

    rows: as for `steps`, with columns depth and width. Each with a straight line through it: its slope, for the depth in ms a
    layer, for the width as the power of W, is in the legend.
    """
    with house_style():
        figure = Figure(figsize=(6.4, 6.6), layout="constrained")
        deep, wide = figure.subplots(2, 1)
        for way, name in (("fused bf16", "a step"), ("convolutions bf16", "its convolutions alone")):
            own, colour = rows[rows.way == way], WAYS[way.split()[0]]
            one, marker = own[own.width == 1].sort_values("depth"), "o" if way.startswith("fused") else "s"
            if len(one) > 1:
                slope, start = np.polyfit(one.depth, one.seconds * 1000, 1)
                deep.plot(one.depth, start + slope * one.depth, color=colour, linewidth=1)
                deep.plot(one.depth, one.seconds * 1000, marker, color=colour, label=f"{name}: {slope:.2g} ms a layer")
            one = own[own.depth == 14].sort_values("width")
            if len(one) > 1:
                power, start = np.polyfit(np.log(one.width), np.log(one.seconds * 1000), 1)
                wide.plot(one.width, np.exp(start) * one.width**power, color=colour, linewidth=1)
                wide.plot(one.width, one.seconds * 1000, marker, color=colour, label=f"{name}: as W to the power of {power:.2f}")
        deep.set_xlabel("depth N of ResNet-N")
        deep.set_xticks(sorted(set(rows[(rows.width == 1) & (rows.depth > 56)].depth)))
        wide.set_xlabel("width factor W of WRN-14-W (log scale)")
        wide.set_xscale("log")
        wide.set_yscale("log")
        wide.set_xticks(sorted(set(rows[rows.depth == 14].width)), [str(w) for w in sorted(set(rows[rows.depth == 14].width))])
        wide.minorticks_off()
        for ax in (deep, wide):
            ax.set_ylabel("ms a step of 128 images")
            if ax.lines:
                ax.legend(loc="upper left")
    return figure
