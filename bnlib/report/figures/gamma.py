"""γ after training: its distribution, and how much of it is small."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures import alt
from bnlib.report.figures.marks import paper_handle, recipes_of
from bnlib.report.figures.panels import finish, groups, nothing, panels
from bnlib.report.figures.style import FAINT, GREY, HALO, MUTED, OURS, PALE, house_style, label, look, order

BIN = 0.05  # of the distributions
SYMBOLS = {"gamma": "γ", "beta": "β"}


def fig4_gamma(gammas: pd.DataFrame, column: str = "gamma") -> Figure:
    """Figure 4: the distribution of γ over all features, a panel for each network and recipe, a line for each trainable set.

    gammas: of `analysis.gammas`, one row a feature; replicates are pooled. column: `gamma` or `beta`. The dashed grey line is
    where γ starts, uniform on [0, 1]. All panels share their bins, 0.05 wide from 0 on, over the middle 92 % of the line that
    is widest; what lies beyond them is counted in the outermost.
    """
    symbol = SYMBOLS[column]
    lines = gammas.groupby(["network", "recipe", "trainable"])[column] if len(gammas) else []
    ends = np.array([np.percentile(values, [4, 96]) for _, values in lines]) if len(gammas) else np.array([[0, 1]])
    low, high = min(-0.1, ends[:, 0].min()), max(1.1 if column == "gamma" else 0.1, ends[:, 1].max())
    bins = BIN * np.arange(np.floor(low / BIN), np.ceil(high / BIN) + 1)  # 0 is an edge: a peak there is on its own side
    with house_style():
        figure, axes = panels(gammas)
        for ax, (_, own) in zip(axes, groups(gammas), strict=True):
            if column == "gamma":
                ax.plot([0, 0, 1, 1], [0, 100 * BIN, 100 * BIN, 0], color=GREY, linestyle="--", linewidth=1)
            for trainable in order(set(own.trainable)):
                values = own[own.trainable == trainable][column].clip(bins[0], bins[-1])
                counts = np.histogram(values, bins)[0]
                colour, _, dash = look(trainable)
                ax.stairs(100 * counts / len(values), bins, color=colour, linestyle=dash, linewidth=1.3)
            ax.set_xlim(bins[0] - BIN, bins[-1] + BIN)
        for ax in axes[:1]:
            ax.set_ylim(bottom=0)
        start = Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="at the start")
        finish(figure, axes, gammas, symbol, "features (%)", [start] if column == "gamma" else [])

    def measure(rows):
        low, middle, high = (alt.number(value, ".2f") for value in np.percentile(rows[column], [5, 50, 95]))
        return f"median {middle}, nine tenths from {low} to {high}"

    figure.alt = alt.telling(f"Distribution of {symbol} over the features", gammas, measure)
    return figure


def fig5_thresholds(shares: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 5: the share of features with |γ| below a threshold, a panel for each network and recipe.

    shares: of `analysis.shares`. reference: `paper.small_gammas()`, percent below 0.01; hollow diamonds. The dashed grey line is
    what weight decay alone would do.
    """
    reference = reference[reference.network.isin(set(shares.network))]
    with house_style():
        figure, axes = panels(shares)
        for ax, ((network, recipe), own) in zip(axes, groups(shares), strict=True):
            for trainable in order(set(own.trainable)):
                line = own[own.trainable == trainable].sort_values("threshold")
                colour, _, dash = look(trainable)
                ax.plot(line.threshold, 100 * line.share, color=colour, linestyle=dash)
            alone = own.drop_duplicates("threshold").sort_values("threshold")
            ax.plot(alone.threshold, 100 * alone.decayed, color=GREY, linestyle="--", linewidth=1, zorder=1)
            strength, size = (1, 6.5) if recipe == "paper" else (PALE, 5.2)
            for row in reference[reference.network == network].itertuples():
                ax.errorbar(0.01, row.value, row.uncertainty, fmt="D", color=look(row.trainable)[0], markerfacecolor="none",
                            markersize=size, markeredgewidth=1.2, elinewidth=1, alpha=strength)  # fmt: skip
            ax.axvline(0.01, color=FAINT, linewidth=1, zorder=0)
            ax.set_xscale("log")
            ax.set_xlim(1e-4, 2)
            ax.set_xticks([1e-3, 1e-2, 1e-1, 1], ["0.001", "0.01", "0.1", "1"])
            ax.minorticks_off()
            ax.set_ylim(0, 100)
        alone = Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="weight decay alone")
        known = shares[shares.network.isin(set(reference.network))]
        theirs = [paper_handle(reference.kind, strong, recipes_of(known) if len(known) else []) for strong in (True, False)]
        more = [alone, *(one for one in theirs if one)]
        finish(figure, axes, shares, "threshold on |γ| (log scale)", "features with |γ| below it (%)", more)

    def measure(rows):
        near = rows.iloc[(rows.threshold - 0.01).abs().argmin()]
        return f"{100 * near.share:.0f} % below {near.threshold:.2g}"

    figure.alt = alt.telling("Share of the features with |γ| below a threshold", shares, measure)
    for network, rows in reference.groupby("network"):
        each = ", ".join(f"{label(row.trainable)} {row.value:.0f} %" for row in rows.itertuples())
        figure.alt += f" The paper, {network}, below 0.01: {each}."
    return figure


def gamma_layers(layers: pd.DataFrame, column: str = "gamma") -> Figure:
    """γ layer by layer: median and quartiles, a row of panels for each network and recipe. column: `gamma` or `beta`.

    layers: of `analysis.layers`. Left the layers before a ReLU of their own, right those whose output is added to another's.
    All rows have one scale, which the medians and 98 % of the quartiles keep to; how far the others reach is said.
    """
    found = groups(layers)
    if not found:
        return nothing()
    symbol, names = SYMBOLS[column], [f"{column}_low", column, f"{column}_high"]
    ends = layers[names].astype(float)
    low = min(np.percentile(ends[names[0]], 2), np.percentile(ends[column], 1))
    high = max(np.percentile(ends[names[2]], 98), np.percentile(ends[column], 99))
    room = 0.08 * (high - low)
    with house_style():
        figure = Figure(figsize=(6.4, 1.9 * len(found) + 0.9), layout="constrained")
        axes = figure.subplots(len(found), 2, sharex=True, sharey=True, squeeze=False)
        for row, ((network, recipe), own) in zip(axes, found, strict=True):
            for ax, added in zip(row, (False, True), strict=True):
                beyond = []
                for trainable in order(set(own.trainable)):
                    line, (colour, _, dash) = own[(own.trainable == trainable) & (own.added == added)], look(trainable)
                    place, below, above = 100 * line.place, line[names[0]].astype(float), line[names[2]].astype(float)
                    ax.plot(place, line[column], color=colour, linestyle=dash, linewidth=1.3)
                    ax.fill_between(place, below, above, color=colour, alpha=0.2, linewidth=0)
                    beyond += [value for value in (below.min(), above.max()) if not low - room <= value <= high + room]
                ax.axhline(0, color=GREY, linewidth=1, zorder=0)
                if beyond:
                    reach = " and ".join(alt.number(value, ".1f") for value in sorted({min(beyond), max(beyond)}))
                    corner = {"ha": "right", "va": "top", "transform": ax.transAxes, "path_effects": HALO}
                    ax.text(0.99, 0.97, f"quartiles reach {reach}", color=MUTED, fontsize=9, **corner)
            above = ("then a ReLU\n", "then the sum\n") if (network, recipe) == found[0][0] else ("", "")
            row[0].set_title(f"{above[0]}{network}: {OURS[recipe]}", loc="left", fontsize=10)
            row[1].set_title(f"{above[1]} ", loc="left", fontsize=10)
            row[0].set_ylabel(symbol)
        axes[0, 0].set_ylim(low - room, high + room)
        for ax in axes[-1]:
            ax.set_xlabel("place of the layer (% of the depth)")
        handles = [Line2D([], [], color=look(t)[0], linestyle=look(t)[2], label=label(t)) for t in order(set(layers.trainable))]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)

    def measure(rows):
        return alt.course(rows, "place", column, "in the first layer", "in the last", unit="", form=".2f")

    figure.alt = alt.telling(f"Median and quartiles of {symbol}, layer by layer, before a ReLU or a sum", layers, measure)
    return figure
