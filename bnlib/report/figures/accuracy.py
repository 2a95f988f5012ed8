"""Accuracy against depth, width and number of parameters."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from bnlib.report.figures.marks import NOTHING, band, diverged, handle, line, other_handles, recipes_of, reference_points
from bnlib.report.figures.panels import nothing
from bnlib.report.figures.style import RECIPE_TITLES, SETS, house_style, look, order


def fig1_affine(summary: pd.DataFrame, differences: pd.DataFrame, low: float, high: float, reference: pd.DataFrame) -> Figure:
    """Figure 1: accuracy with γ and β trained or not, all else trained, and the difference, a pair of panels for each recipe.

    summary: from `analysis.summarise`, of `all` and `all-bn`. differences: of `analysis.differences`. low, high: between what the
    paper says the difference lies, in points; a grey band. reference: rows of `paper.values("fig2")`, of which `all` is shown.
    """
    reference = _deep(reference[reference.trainable == "all"])
    recipes = recipes_of(summary)
    depths = sorted(set(summary.depth) | set(reference.depth))
    with house_style():
        figure = Figure(figsize=(6.4, 4.6 * len(recipes) + 0.8), layout="constrained")
        axes = figure.subplots(len(recipes) * 2, 1, sharex=True, height_ratios=[1.4, 1] * len(recipes))
        for above, below, recipe in zip(axes[::2], axes[1::2], recipes, strict=True):
            own, gains = summary[summary.recipe == recipe], differences[differences.recipe == recipe].sort_values("depth")
            reference_points(above, reference, "depth")
            for trainable in order(set(own.trainable)):
                line(above, own[own.trainable == trainable].sort_values("depth"), "depth", trainable)
            _depths(above, depths)
            above.set_ylabel("test accuracy (%)")
            above.set_title(RECIPE_TITLES[recipe] if len(own) else NOTHING, loc="left")
            below.axhspan(low, high, color="#DDDDDD", zorder=1, linewidth=0)
            below.axhline(0, color="#8A8A8A", linewidth=1)
            below.plot(gains.depth, gains.difference, color="black", marker="o", zorder=4)
            below.set_ylim(min(-0.5, 1.15 * gains.difference.min()) if len(gains) else -0.5, None)
            below.set_ylabel("difference\n(points)")
        axes[-1].set_xlabel("depth N of ResNet-N (layers, log scale)")
        handles = [handle(name) for name in ("all", "all-bn")] + other_handles(reference)
        handles.append(Line2D([], [], color="#DDDDDD", linewidth=8, label=f"the paper: {low:g} to {high:g} points"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def fig2_depth(summary: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2, left: test accuracy against depth, a line for each trainable set, a panel for each recipe.

    summary: from `analysis.summarise`, of networks of width 1. reference: rows of `paper.values("fig2")`, in percent. The
    paper's values are hollow diamonds with their uncertainty, reproductions by others small crosses. Three or more
    replicates: the mean with a band of one sample standard deviation; fewer: the points.
    """
    return _against(summary, _deep(reference), "depth", "depth N of ResNet-N (layers, log scale)")


def fig2_width(summary: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2, right: as `fig2_depth`, against the width factor W of WRN-14-W; ResNet-14 is W = 1."""
    names = reference.network.replace("ResNet-14", "WRN-14-1").fillna("")
    reference = reference[names.str.startswith("WRN-14-")]
    reference = reference.assign(width=names.str.removeprefix("WRN-14-")[reference.index].astype(int))
    return _against(summary, reference, "width", "width factor W of WRN-14-W (log scale)")


def vgg(summary: pd.DataFrame) -> Figure:
    """Networks without shortcuts: as `fig2_depth`, against the depth of the VGG; the paper's values are not known."""
    if not len(summary):
        return nothing()
    return _against(
        summary, pd.DataFrame(columns=["depth", "trainable", "kind"]), "depth", "depth of the VGG (layers with weights)"
    )


def fig3_depth_or_width(points: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 3: test accuracy against the number of γ and β, one line for deeper networks and one for wider ones.

    points: of `analysis.summarise`, of `bn`, with a column `parameters`. reference: rows of `paper.values("fig2")` with a
    column `parameters`, of `bn`.
    """
    recipes, colour, wider = recipes_of(points), look("bn")[0], (points.width > 1).any()
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 0.8), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = points[points.recipe == recipe]
            reference_points(ax, reference, "parameters")
            wide = own[own.depth == 14]  # ResNet-14 is the first of both lines
            for rows, marker, dash in ((wide[: 0 if wide.width.eq(1).all() else None], "s", "--"), (own[own.width == 1], "o", "-")):
                rows = rows.sort_values("parameters")
                ax.plot(rows.parameters, rows["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
                band(ax, rows, "parameters", colour)
                diverged(ax, rows, "parameters")
            places = pd.concat([reference, own.rename(columns={"mean": "value"})]).drop_duplicates("network")
            for network, x, y in zip(places.network, places.parameters, places.value, strict=True):
                short = network.removeprefix("ResNet-").replace("WRN-14-", "W=")
                offset, ha = ((6, -10), "left") if network.startswith("WRN") else ((-7, 8), "center")
                text = ax.annotate(short, (x, y), offset, textcoords="offset points", ha=ha, fontsize=8, color="#444444", zorder=5)
                text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # readable where a line runs through it
            ax.set_xscale("log")
            deep = sorted(set(places[~places.network.str.startswith("WRN")].parameters))
            ax.set_xticks(deep, [f"{count:,.0f}" for count in deep])
            ax.minorticks_off()
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else NOTHING, loc="left")
        axes[-1].set_xlabel("γ and β in the network (log scale); labels: N of ResNet-N, W of WRN-14-W")
        handles = [
            Line2D([], [], color=colour, marker="o", label="deeper: ResNet-N"),
            Line2D(
                [], [], color=colour, marker="s", linestyle="--", label="wider: WRN-14-W" + ("" if wider else " (not run here)")
            ),
        ]
        figure.legend(handles=handles + other_handles(reference), loc="outside lower center", ncols=2)
    return figure


def _deep(reference: pd.DataFrame) -> pd.DataFrame:
    """The values of ResNets, with their depth."""
    reference = reference[reference.network.str.startswith("ResNet-").fillna(False)]
    return reference.assign(depth=reference.network.str.removeprefix("ResNet-").astype(int))


def _against(summary: pd.DataFrame, reference: pd.DataFrame, x: str, xlabel: str) -> Figure:
    """Accuracy against `x`, a column of both; one panel below the other for each recipe."""
    reference = reference[reference.trainable.isin(SETS)]
    recipes, ticks = recipes_of(summary), sorted(set(reference[x]) | set(summary[x]))
    with house_style():
        # Side by side they would be too small to read in a page's column, and on a phone.
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.4), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = summary[summary.recipe == recipe]
            reference_points(ax, reference, x)
            for trainable in order(set(own.trainable)):
                line(ax, own[own.trainable == trainable].sort_values(x), x, trainable)
            ax.axhline(10, color="#8A8A8A", linestyle="--", linewidth=1, zorder=1)
            if ticks:
                ax.text(1.2 * ticks[0], 10.8, "chance", color="#666666", fontsize=8, va="bottom")
                _depths(ax, ticks)
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else NOTHING, loc="left")
        axes[-1].set_xlabel(xlabel)
        ours = set(summary.trainable)
        handles = [handle(trainable, trainable in ours) for trainable in order(set(reference.trainable) | ours)]
        figure.legend(handles=handles + other_handles(reference), loc="outside lower center", ncols=2)
    return figure


def _depths(ax, ticks) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
