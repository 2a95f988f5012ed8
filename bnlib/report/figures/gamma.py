"""γ after training: its distribution, and how much of it is small."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures.panels import finish, groups, nothing, panels
from bnlib.report.figures.style import PAPER, house_style, label, look, order

BIN = 0.05  # of the distributions


def fig4_gamma(gammas: pd.DataFrame, column: str = "gamma") -> Figure:
    """Figure 4: the distribution of γ over all features, a panel for each network and recipe, a line for each trainable set.

    gammas: of `analysis.gammas`, one row a feature; replicates are pooled. column: `gamma` or `beta`. The dashed grey line is
    where γ starts, uniform on [0, 1]. All panels share their bins, 0.05 wide from 0 on; the few values beyond them are in the
    outermost.
    """
    low, high = np.percentile(gammas[column], [0.1, 99.9]) if len(gammas) else (0, 1)
    low, high = min(-0.1, low), max(1.1 if column == "gamma" else 0.1, high)
    bins = BIN * np.arange(np.floor(low / BIN), np.ceil(high / BIN) + 1)  # 0 is an edge: a peak there is on its own side
    with house_style():
        figure, axes = panels(gammas)
        for ax, (_, own) in zip(axes, groups(gammas), strict=True):
            if column == "gamma":
                ax.plot([0, 0, 1, 1], [0, 100 * BIN, 100 * BIN, 0], color="#8A8A8A", linestyle="--", linewidth=1)
            for trainable in order(set(own.trainable)):
                values = own[own.trainable == trainable][column].clip(bins[0], bins[-1])
                counts = np.histogram(values, bins)[0]
                colour, _, dash = look(trainable)
                ax.stairs(100 * counts / len(values), bins, color=colour, linestyle=dash, linewidth=1.3)
            ax.set_ylim(bottom=0)
        start = Line2D([], [], color="#8A8A8A", linestyle="--", linewidth=1, label="at the start")
        finish(figure, axes, gammas, {"gamma": "γ", "beta": "β"}[column], "features (%)", [start] if column == "gamma" else [])
    return figure


def fig5_thresholds(shares: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 5: the share of features with |γ| below a threshold, a panel for each network and recipe.

    shares: of `analysis.shares`. reference: `paper.small_gammas()`, percent below 0.01; hollow diamonds. The dashed grey line is
    what weight decay alone would do.
    """
    with house_style():
        figure, axes = panels(shares)
        for ax, ((network, _), own) in zip(axes, groups(shares), strict=True):
            for trainable in order(set(own.trainable)):
                line = own[own.trainable == trainable].sort_values("threshold")
                colour, _, dash = look(trainable)
                ax.plot(line.threshold, 100 * line.share, color=colour, linestyle=dash)
            alone = own.drop_duplicates("threshold").sort_values("threshold")
            ax.plot(alone.threshold, 100 * alone.decayed, color="#8A8A8A", linestyle="--", linewidth=1, zorder=1)
            for row in reference[reference.network == network].itertuples():
                colour = look(row.trainable)[0]
                ax.errorbar(0.01, row.value, row.uncertainty, fmt="D", color=colour, markerfacecolor="white")
            ax.axvline(0.01, color="#BBBBBB", linewidth=1, zorder=0)
            ax.set_xscale("log")
            ax.set_xlim(1e-4, 2)
            ax.set_xticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
            ax.minorticks_off()
            ax.set_ylim(0, 100)
        paper = set(reference.network) & set(shares.network)
        alone = Line2D([], [], color="#8A8A8A", linestyle="--", linewidth=1, label="weight decay without a gradient")
        more = [alone, *([PAPER] if paper else [])]
        finish(figure, axes, shares, "threshold on |γ| (log scale)", "features below it (%)", more)
    return figure


def gamma_layers(layers: pd.DataFrame, column: str = "gamma") -> Figure:
    """γ layer by layer: median and quartiles, a row of panels for each network and recipe. column: `gamma` or `beta`.

    layers: of `analysis.layers`. Left the layers ahead of a ReLU of their own, right those whose output is added to another's.
    """
    found = groups(layers)
    if not found:
        return nothing()
    symbol = {"gamma": "γ", "beta": "β"}[column]
    with house_style():
        figure = Figure(figsize=(6.4, 2.1 * len(found) + 0.9), layout="constrained")
        axes = figure.subplots(len(found), 2, sharex=True, sharey="row", squeeze=False)
        for row, ((network, recipe), own) in zip(axes, found, strict=True):
            for ax, (added, follows) in zip(row, ((False, "then a ReLU"), (True, "then the sum")), strict=True):
                for trainable in order(set(own.trainable)):
                    line, (colour, _, dash) = own[(own.trainable == trainable) & (own.added == added)], look(trainable)
                    place, low, high = 100 * line.place, line[f"{column}_low"], line[f"{column}_high"]
                    ax.plot(place, line[column], color=colour, linestyle=dash)
                    ax.fill_between(place, low, high, color=colour, alpha=0.2, linewidth=0)
                ax.axhline(0, color="#8A8A8A", linewidth=1, zorder=0)
                ax.set_title(f"{network}, {recipe}: {follows}", loc="left", fontsize=10)
            row[0].set_ylabel(symbol)
        for ax in axes[-1]:
            ax.set_xlabel("place of the layer (% of the depth)")
        handles = [Line2D([], [], color=look(t)[0], linestyle=look(t)[2], label=label(t)) for t in order(set(layers.trainable))]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
