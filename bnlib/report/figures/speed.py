"""The speed of a training step."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bnlib.report.figures.style import house_style

# How each way of taking a step looks in the figures of the engine: ours in the colour of `bn`, what bounds it grey.
WAYS = {"fused": "#0072B2", "convolutions": "#8A8A8A"}


def steps(rows: pd.DataFrame) -> Figure:
    """The time of a step for each way of taking it, a panel for each model of which all ways were measured.

    rows: of `bnlib.bench.stored()`, of one machine. The whiskers are quartiles; the dashed line is the convolutions alone.
    """
    rows = rows[rows.way != "cold bf16"]  # the same step, only its first one is another
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
