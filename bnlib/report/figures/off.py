"""How many features are off, against the learning rate, with and without weight decay on γ and β; and the accuracy beside it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures import alt
from bnlib.report.figures.marks import chance, line
from bnlib.report.figures.panels import groups, nothing
from bnlib.report.figures.style import FAINT, GREY, OURS, house_style, look
from bnlib.spec import RECIPES

PANELS = {"gamma": "γ with |γ| < 0.01 (%)", "relu": "silent units (%)", "accuracy": "test accuracy (%)"}
KINDS = {True: ("-", "o", "with weight decay on γ and β"), False: ((0, (4, 2)), "s", "without")}  # by `decays`: dash, marker


def why_off(shares: pd.DataFrame, accuracy: pd.DataFrame, alone: Callable[[str, str, float], float]) -> Figure:
    """Three panels a network and recipe that has several learning rates: small γ, silent units, accuracy, over the rate.

    shares: of `analysis.off`. accuracy: of `analysis.with_rates`. alone: what weight decay alone would do, `analysis.alone`; the
    dashed grey line. The vertical line is the recipe's learning rate.
    """
    every = pd.concat([one for one in (shares, accuracy.assign(measure="accuracy")) if len(one)] or [shares], ignore_index=True)
    found = [(key, own) for key, own in groups(every) if own.variant.nunique() > 1]
    if not found:
        return nothing("no two learning rates have been run yet, and no run without weight decay")
    rates = np.sort(every.lr.unique())
    with house_style():
        figure = Figure(figsize=(6.4, 2.35 * len(found) + 0.75), layout="constrained")
        axes = figure.subplots(len(found), len(PANELS), sharex=True, sharey="col", squeeze=False)
        for row, ((network, recipe), own) in zip(axes, found, strict=True):
            grid = np.geomspace(rates[0], own.lr.max(), 33)  # further out decay would bring all of γ there, off the scale
            for ax, (measure, title) in zip(row, PANELS.items(), strict=True):
                ax.set_xscale("log")
                ax.set_xlim(rates[0] / 1.5, rates[-1] * 1.5)  # said, as there may be one rate only
                for decays, (dash, marker, _) in KINDS.items():
                    rows = own[(own.measure == measure) & (own.decays == decays)].sort_values("lr")
                    rows = rows.assign(diverged=rows.diverged.fillna(0).astype(int))
                    line(ax, rows, "lr", "bn", linestyle=dash, marker=marker, markersize=5 if decays else 4)
                if measure == "accuracy":
                    chance(ax)
                else:
                    ax.plot(grid, [alone(measure, recipe, lr) for lr in grid], color=GREY, linestyle="--", linewidth=1, zorder=1)
                ax.axvline(RECIPES[recipe].lr, color=FAINT, linewidth=1, zorder=0)
                ax.set_xticks(rates, [f"{lr:g}" for lr in rates], fontsize=8.5)
                ax.minorticks_off()
                ax.set_ylabel(title)
            row[0].set_title(f"{network}: {OURS[recipe]}", loc="left", fontsize=10)
        for ax in axes[0]:
            ax.set_ylim(bottom=0)  # of the column: they share it
        for ax in axes[-1]:
            ax.set_xlabel("learning rate (log)")
        colour = look("bn")[0]
        handles = [Line2D([], [], color=colour, linestyle=dash, marker=mark, label=text) for dash, mark, text in KINDS.values()]
        handles.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="weight decay alone"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    (network, recipe), own = found[0]
    courses = []
    for measure, title in PANELS.items():
        for decays in KINDS:
            rows = own[(own.measure == measure) & (own.decays == decays) & (own.n > 0)]
            said = alt.course(rows, "lr", "mean", "at {:g}", "at {:g}")
            courses += [f"{title.removesuffix(' (%)')} {'with' if decays else 'without'} decay, {said}"] if said else []
    figure.alt = (
        "Features that are off, and accuracy, against the learning rate, with and without weight decay on γ and β. "
        f"{network}, {OURS[recipe]}: {'; '.join(courses)}."
    )
    return figure
