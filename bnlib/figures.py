"""One function per figure: DataFrame in, matplotlib Figure out. The house style. Reads no file, shows nothing."""

import contextlib

import matplotlib
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
