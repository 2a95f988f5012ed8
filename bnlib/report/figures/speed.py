"""The speed of a training step."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bnlib.report.figures.alt import sentence
from bnlib.report.figures.panels import nothing
from bnlib.report.figures.style import FAINT, GREY, INK, PAGE, house_style, look
from bnlib.spec import architecture

# How each way of taking a step looks in the figures of the engine: ours in the colour of `bn`, what bounds it grey.
WAYS = {"fused": look("bn")[0], "convolutions": GREY}


def steps(rows: pd.DataFrame) -> Figure:
    """The time of a step for each way of taking it, a panel for each model of which all ways were measured.

    rows: of `bnlib.bench.stored()`, of one machine. The whiskers are quartiles; the dashed line is the convolutions alone.
    """
    rows = rows[rows.way != "cold bf16"]  # the same step, only its first one is another
    ways = rows.groupby("model").way.nunique()
    models = [model for model in rows.sort_values(["width", "depth"]).model.unique() if ways[model] > 2]
    if not models:
        return nothing("nothing has been measured yet")
    each = []
    with house_style():
        shown = [rows[rows.model == model] for model in models]
        figure = Figure(figsize=(6.4, 0.8 + sum(0.32 * len(own) + 0.7 for own in shown)), layout="constrained")
        axes = figure.subplots(len(models), 1, squeeze=False, height_ratios=[len(own) + 1 for own in shown])[:, 0]
        for ax, model, own in zip(axes, models, shown, strict=True):
            own = own.iloc[::-1]
            colours = [WAYS.get(way.split()[0], FAINT) for way in own.way]
            whiskers = 1000 * np.array([own.seconds - own.low, own.high - own.seconds]).clip(0)
            ax.barh(own.way, own.seconds * 1000, xerr=whiskers, color=colours, height=0.7, error_kw={"lw": 1, "ecolor": INK})
            for name, value in zip(own.way, own.seconds * 1000, strict=True):
                ax.annotate(_ms(value), (0, name), (4, 0), textcoords="offset points", va="center", fontsize=9,
                            color=PAGE if name.startswith("fused") else "#000000")  # fmt: skip
            floor = own[own.way == "convolutions bf16"].seconds * 1000
            if len(floor):
                ax.axvline(floor.iloc[0], color=INK, linestyle="--", linewidth=1)
            ax.grid(axis="y", visible=False)
            title = architecture(model).title
            ax.set_title(title, loc="left")
            ends = [own.loc[own.seconds == end].iloc[0] for end in (own.seconds.min(), own.seconds.max())]
            each.append(f"{title}: " + " to ".join(f"{_ms(1000 * end.seconds)} ms ({end.way})" for end in ends))
        axes[-1].set_xlabel("time of a step of 128 images (ms, median)")
    figure.alt = f"Time of a training step, way by way. {'; '.join(each)}."
    return figure


def scaling(rows: pd.DataFrame) -> Figure:
    """The time of a step against depth, and against the width of WRN-14-W, beside the convolutions alone.

    rows: as for `steps`, with columns depth and width. Against depth with a straight line through it, by least squares, whose slope
    is in the legend; against width joined, and how often a step takes longer for twice the width. A panel without two measurements
    is left out.
    """
    kinds = {"depth": rows[rows.width == 1], "width": rows[rows.depth == 14]}
    kinds = {x: own for x, own in kinds.items() if own[own.way == "fused bf16"][x].nunique() > 1}
    if not kinds:
        return nothing("too little has been measured yet")
    each = []
    with house_style():
        figure = Figure(figsize=(6.4, 3.3 * len(kinds)), layout="constrained")
        for ax, (x, some) in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds.items(), strict=True):
            for way, name in (("fused bf16", "a step"), ("convolutions bf16", "its convolutions alone")):
                own, colour, marker = some[some.way == way].sort_values(x), WAYS[way.split()[0]], "os"[way != "fused bf16"]
                if len(own) < 2:
                    continue
                ms = own.seconds * 1000
                if x == "depth":
                    slope, start = np.polyfit(own.depth, ms, 1)
                    fitted, words = start + slope * own.depth, f"{name}: {slope:.2g} ms a layer"
                else:
                    # Not a power of W: the wider, the more of a step are its convolutions, which grow with the square.
                    often = (ms / ms.shift())[1:] ** (1 / np.log2(own.width / own.width.shift())[1:])
                    fitted, words = ms, f"{name}: × {often.min():.1f} to × {often.max():.1f} for twice the width"
                ax.plot(own[x], fitted, color=colour, linewidth=1)
                ax.plot(own[x], ms, marker, color=colour, label=words)
                each.append(words)
            if x == "depth":
                ax.set_xlabel("depth N of ResNet-N (layers)")
                ax.set_xticks(sorted(set(some.depth[some.depth > 56])))
            else:
                ax.set_xlabel("width factor W of WRN-14-W (log scale)")
                ax.set_xscale("log")
                ax.set_yscale("log")
                ax.set_xticks(sorted(set(some.width)), [str(w) for w in sorted(set(some.width))])
                low, high = ax.get_ylim()
                marks = [mark for mark in (m * 10**k for k in range(-2, 6) for m in (1, 2, 5)) if low <= mark <= high]
                ax.set_yticks(marks, [f"{mark:,g}" for mark in marks])
                ax.minorticks_off()
            scale = ", log scale" if x == "width" else ""
            ax.set_ylabel(f"a step of 128 images (ms{scale})")
            ax.legend(loc="upper left")
    figure.alt = f"Time of a training step as the network grows. {sentence('; '.join(each))}."
    return figure


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
