"""γ after training: its distribution, and how much of it is small."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.figures.panels import finish, groups, panels
from bnlib.figures.style import PAPER, house_style, look, order


def fig4_gamma(gammas: pd.DataFrame, column: str = "gamma") -> Figure:
    """Figure 4: the distribution of γ over all features, a panel for each network and recipe, a line for each trainable set.

    gammas: of `analysis.gammas`, one row a feature; replicates are pooled. column: `gamma` or `beta`. The dashed grey line is
    where γ starts, uniform on [0, 1]. All panels share their bins; the few values beyond them are in the outermost.
    """
    low, high = np.percentile(gammas[column], [0.1, 99.9]) if len(gammas) else (0, 1)
    low, high = min(-0.1, low), max(1.1 if column == "gamma" else 0.1, high)
    bins = np.linspace(low, high, 81)
    with house_style():
        figure, axes = panels(gammas)
        for ax, (_, own) in zip(axes, groups(gammas), strict=True):
            if column == "gamma":
                height = 100 * (bins[1] - bins[0])
                ax.plot([0, 0, 1, 1], [0, height, height, 0], color="#8A8A8A", linestyle="--", linewidth=1)
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

    shares: of `analysis.shares`. reference: `paper.small_gammas()`, percent below 0.01; hollow diamonds.
    """
    with house_style():
        figure, axes = panels(shares)
        for ax, ((network, _), own) in zip(axes, groups(shares), strict=True):
            for trainable in order(set(own.trainable)):
                line = own[own.trainable == trainable].sort_values("threshold")
                colour, _, dash = look(trainable)
                ax.plot(line.threshold, 100 * line.share, color=colour, linestyle=dash)
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
        finish(figure, axes, shares, "threshold on |γ| (log scale)", "features below it (%)", [PAPER] if paper else [])
    return figure


def gamma_layers(layers: pd.DataFrame, column: str = "gamma") -> Figure:
    """γ layer by layer: median and quartiles, a panel for each network and recipe. column: `gamma` or `beta`.

    layers: of `analysis.layers`.
    """
    with house_style():
        figure, axes = panels(layers)
        for ax, (_, own) in zip(axes, groups(layers), strict=True):
            for trainable in order(set(own.trainable)):
                rows, (colour, _, dash) = own[own.trainable == trainable], look(trainable)
                ax.plot(100 * rows.place, rows[column], color=colour, linestyle=dash)
                ax.fill_between(
                    100 * rows.place, rows[f"{column}_low"], rows[f"{column}_high"], color=colour, alpha=0.2, linewidth=0
                )
            ax.axhline(0, color="#8A8A8A", linewidth=1, zorder=0)
        finish(figure, axes, layers, "place of the layer (% of the depth)", {"gamma": "γ", "beta": "β"}[column], [])
    return figure
