"""What the probes of trained networks show: accuracy when small γ are set to 0, and how often ReLUs are off."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bnlib.report.figures import alt
from bnlib.report.figures.marks import chance
from bnlib.report.figures.panels import finish, groups, panels
from bnlib.report.figures.style import FAINT, GREY, MUTED, house_style, label, look, order

LACKS = "not trained, or not measured yet"
DEFINITIONS = {"0.9": "> 90 %", "0.99": "> 99 %", "0.999": "> 99.9 %", "zero": "zeros of\nall values"}


def fig6_clamping(clamping: pd.DataFrame) -> Figure:
    """Figure 6: test accuracy when every |γ| up to a threshold is set to 0, a panel for each network and recipe.

    clamping: of `analysis.clamping`. Solid: β kept; dotted: β at 0 too; thin dashed: the share of the features set to 0.
    """
    with house_style():
        figure, axes = panels(clamping, LACKS)
        for ax, (_, own) in zip(axes, groups(clamping), strict=True):
            for trainable in order(set(own.trainable)):
                rows = own[(own.trainable == trainable) & (own.threshold > 0)].sort_values("threshold")
                colour = look(trainable)[0]
                ax.plot(rows.threshold, 100 * rows.accuracy, color=colour)
                ax.plot(rows.threshold, 100 * rows.accuracy_beta, color=colour, linestyle=":")
                ax.plot(rows.threshold, 100 * rows["share"], color=colour, linestyle="--", linewidth=0.9, alpha=0.6)
            chance(ax, 0.01)
            ax.axvline(0.01, color=FAINT, linewidth=1, zorder=0)
            ax.set_xscale("log")
            ax.set_xticks([1e-3, 1e-2, 1e-1, 1], ["0.001", "0.01", "0.1", "1"])
            ax.minorticks_off()
            ax.set_ylim(0, 100)
        more = [
            Line2D([], [], color=MUTED, label="test accuracy, β kept"),
            Line2D([], [], color=MUTED, linestyle=":", label="test accuracy, β at 0 too"),
            Line2D([], [], color=MUTED, linestyle="--", linewidth=0.9, label="share of features set to 0"),
        ]
        finish(figure, axes, clamping, "threshold on |γ| (log scale)", "accuracy, features (%)", more)

    def measure(rows):
        rows = rows.sort_values("threshold")
        at = rows[rows.threshold <= 0.01].iloc[-1]
        return f"{_percent(rows.accuracy.iloc[0])} as trained, {_percent(at.accuracy)} with |γ| up to {at.threshold:.2g} at 0"

    figure.alt = alt.telling("Test accuracy with every |γ| up to a threshold set to 0", clamping, measure)
    return figure


def clamping_or_chance(clamping: pd.DataFrame) -> Figure:
    """Accuracy against the share of the features that are set to 0: the smallest |γ| first, or as many drawn at random.

    clamping: of `analysis.clamping`. Lines: the smallest first; crosses: at random; β is kept in both.
    """
    with house_style():
        figure, axes = panels(clamping, LACKS)
        for ax, (_, own) in zip(axes, groups(clamping), strict=True):
            for trainable in order(set(own.trainable)):
                rows, colour = own[own.trainable == trainable].sort_values("threshold"), look(trainable)[0]
                ax.plot(100 * rows["share"], 100 * rows.accuracy, color=colour)
                some = rows.dropna(subset="accuracy_random")
                ax.plot(100 * some["share"], 100 * some.accuracy_random, "x", color=colour, markersize=5)
            chance(ax, 0.99)
            ax.set_xlim(-2, 100)  # crosses at 0 whole
            ax.set_ylim(-2, 100)
        more = [
            Line2D([], [], color=MUTED, label="the smallest |γ| first"),
            Line2D([], [], color=MUTED, marker="x", linestyle="", markersize=5, label="as many at random"),
        ]
        finish(figure, axes, clamping, "features set to 0 (%)", "test accuracy (%)", more)

    def measure(rows):
        rows = rows.dropna(subset="accuracy_random")
        if not len(rows):
            return "the smallest alone were asked"
        at = rows.iloc[(rows["share"] - 0.2).abs().argmin()]
        smallest, random = _percent(at.accuracy), _percent(at.accuracy_random)
        return f"{smallest} without the smallest {_percent(at['share'])}, {random} without as many at random"

    figure.alt = alt.telling("Test accuracy against the share of the features set to 0", clamping, measure)
    return figure


def fig7_relu(relu: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """The share of units after ReLUs that are off, by four definitions, a panel for each network and recipe.

    relu: of `analysis.relu`, in percent. reference: rows of `paper.values("relu")`, fractions: the bands and the line are what
    a review says of a network and a definition that are not known.
    """
    known = {(row.trainable, row.metric.rpartition("_")[2]): 100 * row.value for row in reference.itertuples()}
    with house_style():
        figure, axes = panels(relu, LACKS)
        for ax, (_, own) in zip(axes, groups(relu), strict=True):
            three = (len(DEFINITIONS) - 1) / len(DEFINITIONS)
            ax.axhspan(known["bn", "low"], known["bn", "high"], 0, three, color=look("bn")[0], alpha=0.15, linewidth=0)
            ax.axhline(known["all", "off"], 0, three, color=look("all")[0], linewidth=1, linestyle=":")
            ax.set_xlim(-0.5, len(DEFINITIONS) - 0.5)
            sets = order(set(own.trainable))
            for i, trainable in enumerate(sets):
                rows = own[own.trainable == trainable].set_index("definition").reindex(list(DEFINITIONS))
                places = [k + (i - (len(sets) - 1) / 2) * 0.38 for k in range(len(DEFINITIONS))]
                ax.bar(places, rows["mean"], width=0.36, color=look(trainable)[0], yerr=rows.sd.where(rows.n >= 3), ecolor=GREY)
            ax.axvline(len(DEFINITIONS) - 1.5, color=FAINT, linewidth=1)  # what is behind it is no share of units that are off
            ax.set_xticks(range(len(DEFINITIONS)), list(DEFINITIONS.values()), fontsize=9)
            ax.grid(axis="x", visible=False)
        more = [
            Patch(color=look("bn")[0], alpha=0.15, label=f"{label('bn')}, as a review has it"),
            Line2D([], [], color=look("all")[0], linewidth=1, linestyle=":", label=f"{label('all')}, as a review has it"),
        ]
        finish(figure, axes, relu, "off: 0 for … of the images", "share (%)", more, lines=False)

    def measure(rows):
        rows = rows[rows.definition == "0.99"] if (rows.definition == "0.99").any() else rows
        return f"{rows['mean'].iloc[0]:.0f} %"

    figure.alt = alt.telling("Share of units after ReLUs that are 0 for more than 99 % of the images", relu, measure)
    return figure


def relu_layers(layers: pd.DataFrame) -> Figure:
    """The share of units that are off, layer by layer: those after BatchNorm apart from those after an addition.

    layers: of `analysis.relu_layers`. A line is the definition > 99 %; its shade reaches from > 99.9 % to > 90 %.
    """
    kinds = {"BatchNorm": ("-", "o", "after BatchNorm"), "addition": (":", "D", "after a block's addition")}
    with house_style():
        figure, axes = panels(layers, LACKS)
        for ax, (_, own) in zip(axes, groups(layers), strict=True):
            for (trainable, after), rows in own.groupby(["trainable", "after"]):
                off = rows.assign(place=100 * rows.place).pivot(index="place", columns="definition", values="off")
                dash, marker, _ = kinds[after]
                ax.plot(off["0.99"], dash, color=look(trainable)[0], marker=marker, markersize=3, linewidth=1.2)
                ax.fill_between(off.index, off["0.999"], off["0.9"], color=look(trainable)[0], alpha=0.15, linewidth=0)
        for ax in axes[:1]:
            ax.set_ylim(bottom=0)  # of all: they share it
        more = [
            Line2D([], [], color=MUTED, linestyle=dash, marker=marker, markersize=3, label=text)
            for dash, marker, text in kinds.values()
        ]
        finish(figure, axes, layers, "place of the ReLU (% of the depth)", "units off (%)", more, lines=False)

    def measure(rows):
        means = rows[rows.definition == "0.99"].groupby("after").off.mean()
        return ", ".join(f"{means[after]:.0f} % {words}" for after, (*_, words) in kinds.items() if after in means)

    figure.alt = alt.telling("Share of units that are 0 for more than 99 % of the images, ReLU by ReLU", layers, measure)
    return figure


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"
