"""Accuracy against depth, width and number of parameters."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures import alt
from bnlib.report.figures.marks import (
    SOURCES,
    band,
    chance,
    diverged,
    handle,
    line,
    log_axis,
    other_handles,
    recipes_of,
    reference_points,
    title,
)
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import GREY, GRID, HALO, MUTED, OURS, PAGE, SETS, house_style, label, look, order


def fig1_affine(summary: pd.DataFrame, differences: pd.DataFrame, low: float, high: float, reference: pd.DataFrame) -> Figure:
    """Figure 1: accuracy with γ and β trained or not, all else trained, and the difference, a pair of panels for each recipe.

    summary: from `analysis.summarise`, of `all` and `all-bn`. differences: of `analysis.differences`. low, high: between what the
    paper says the difference lies, in points; a grey band. reference: rows of `paper.values("fig2")`, of which `all` is shown.
    A recipe without a difference has its upper panel alone.
    """
    reference = _deep(reference[reference.trainable == "all"])
    recipes, depths = recipes_of(summary), sorted(set(summary.depth) | set(reference.depth))
    kinds = [(recipe, kind) for recipe in recipes for kind in ("accuracy", "difference")]
    kinds = [(recipe, kind) for recipe, kind in kinds if kind == "accuracy" or recipe in set(differences.recipe)]
    if not depths:
        return nothing()
    with house_style():
        heights = [2.7 if kind == "accuracy" else 1.7 for _, kind in kinds]
        figure, axes = column(len(kinds), sum(heights) + 1.2, height_ratios=heights)
        for ax, (recipe, kind) in zip(axes, kinds, strict=True):
            own, gains = summary[summary.recipe == recipe], differences[differences.recipe == recipe].sort_values("depth")
            if kind == "accuracy":
                reference_points(ax, reference, "depth", recipe)
                for trainable in order(set(own.trainable)):
                    line(ax, own[own.trainable == trainable].sort_values("depth"), "depth", trainable)
                ax.set_ylabel("test accuracy (%)")
                ax.set_title(title(own, recipe), loc="left")
            else:
                ax.axhspan(low, high, color=GRID, zorder=1, linewidth=0)
                ax.axhline(0, color=GREY, linewidth=1)
                ax.plot(gains.depth, gains.difference, color=look("all")[0], marker="o", zorder=4)
                for row in gains.itertuples():
                    ax.annotate(alt.number(row.difference, "+.1f"), (row.depth, row.difference), (0, 6),
                                textcoords="offset points", ha="center", fontsize=9, zorder=5)  # fmt: skip
                ax.set_ylim(min(-0.5, 1.15 * gains.difference.min()), 1.25 * max(high, gains.difference.max()))
                ax.set_ylabel("difference\n(points)")
            log_axis(ax, depths)
        axes[-1].set_xlabel("depth N of ResNet-N (layers, log scale)")
        handles = [handle(name) for name in ("all", "all-bn") if name in set(summary.trainable)]
        handles += other_handles(reference, recipes)
        if len(differences):
            handles.append(Line2D([], [], color=GRID, linewidth=8, label=f"the paper: {low:g} to {high:g} points"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    words = alt.against("Test accuracy against depth, with γ and β trained or not", summary, reference, "depth", *alt.LAYERS)
    for recipe in recipes:
        gains = alt.course(differences[differences.recipe == recipe], "depth", "difference", *alt.LAYERS, " points", "+.1f")
        words += f" Everything less everything but γ and β, {OURS[recipe]}: {gains}." if gains else ""
    figure.alt = words
    return figure


def fig2_depth(summary: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2, left: test accuracy against depth, a line for each trainable set, a panel for each recipe.

    summary: from `analysis.summarise`, of networks of width 1. reference: rows of `paper.values("fig2")`, in percent. The
    paper's values are hollow diamonds with their uncertainty, reproductions by others small crosses; both are of 160 epochs, and
    pale in a panel of fewer. Three or more replicates: the mean with a band of one sample standard deviation; fewer: the points.
    """
    return _against(summary, _deep(reference), "depth", "depth N of ResNet-N (layers, log scale)", "depth", alt.LAYERS)


def fig2_width(summary: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2, wide networks: as `fig2_depth`, against the width factor W of WRN-14-W; ResNet-14 is W = 1."""
    names = reference.network.replace("ResNet-14", "WRN-14-1").fillna("")
    reference = reference[names.str.startswith("WRN-14-")]
    reference = reference.assign(width=names.str.removeprefix("WRN-14-")[reference.index].astype(int))
    return _against(summary, reference, "width", "width factor W of WRN-14-W (log scale)", "width", ("at W = {:g}", "at W = {:g}"))


def vgg(summary: pd.DataFrame) -> Figure:
    """Networks without shortcuts: as `fig2_depth`, against the depth of the VGG; the paper's values are not known."""
    unknown = pd.DataFrame(columns=["depth", "trainable", "kind", "value"])
    return _against(summary, unknown, "depth", "depth of the VGG (layers with weights, log scale)", "the depth of VGGs", alt.LAYERS)


def fig3_depth_or_width(points: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 3: test accuracy against the number of γ and β, one line for deeper networks and one for wider ones.

    points: of `analysis.summarise`, of `bn`, with a column `parameters`. reference: rows of `paper.values("fig2")` with a
    column `parameters`, of `bn`. A label belongs to the paper's value, or to ours where the paper has none,
    and of wider networks to ours, as theirs would lie on our lines.
    """
    recipes, colour, wider = recipes_of(points), look("bn")[0], (points.width > 1).any()
    if not len(points) and not len(reference):
        return nothing()
    with house_style():
        figure, axes = column(len(recipes), 3.5 * len(recipes) + 0.9)
        for ax, recipe in zip(axes, recipes, strict=True):
            own = points[points.recipe == recipe]
            reference_points(ax, reference, "parameters", recipe)
            wide = own[own.depth == 14]  # ResNet-14 is the first of both lines
            for rows, marker, dash in ((wide[: 0 if wide.width.eq(1).all() else None], "s", "--"), (own[own.width == 1], "o", "-")):
                rows = rows.sort_values("parameters")
                sound = rows[rows.n > 0]
                if len(rows):
                    ax.plot(sound.parameters, sound["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
                    band(ax, sound, "parameters", colour)
                    diverged(ax, rows, "parameters", colour, marker)
            theirs = reference[reference.kind.isin(SOURCES)]
            ours = own.rename(columns={"mean": "value"})
            places = pd.concat([ours[ours.width > 1], theirs, ours]).drop_duplicates("network")
            for network, x, y in zip(places.network, places.parameters, places.value, strict=True):
                short = network.removeprefix("ResNet-").replace("WRN-14-", "W = ")
                offset, ha = ((8, -4), "left") if network.startswith("WRN") else ((-6, 8), "right")
                offset, ha = ((0, -16), "center") if network in set(ours.network[ours.width > 1]) else (offset, ha)
                style = {"ha": ha, "fontsize": 9, "color": MUTED, "zorder": 5, "path_effects": HALO}
                ax.annotate(short, (x, y), offset, textcoords="offset points", **style)
            ax.set_xscale("log")
            deep = sorted(set(places[~places.network.str.startswith("WRN")].parameters))
            ax.set_xticks(deep, [f"{count:,.0f}" for count in deep])
            ax.minorticks_off()
            ax.margins(x=0.07)
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(title(own, recipe), loc="left")
        axes[-1].set_xlabel("γ and β in the network (log scale); labels: N of ResNet-N, W of WRN-14-W")
        handles = [Line2D([], [], color=colour, marker="o", label="deeper: ResNet-N")] if (points.width == 1).any() else []
        if wider:
            handles.append(Line2D([], [], color=colour, marker="s", linestyle="--", label="wider: WRN-14-W"))
        figure.legend(handles=handles + other_handles(reference, recipes), loc="outside lower center", ncols=2)
    words = "Test accuracy against the number of γ and β, deeper networks"
    deeper, theirs = points[points.width == 1], reference[reference.network.str.startswith("ResNet-").fillna(False)]
    figure.alt = alt.against(words, deeper, theirs, "parameters", "with {:,.0f}", "with {:,.0f}")
    theirs = reference[reference.network.str.startswith("WRN-").fillna(False)]
    if wider or len(theirs):
        more = alt.against("Wider ones", points[points.width > 1], theirs, "parameters", "with {:,.0f}", "with {:,.0f}")
        figure.alt += f" {more}"
    return figure


def front(own: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """The first page's figure: accuracy with γ and β alone against depth, ours and the paper's, below everything trained.

    own: of `analysis.on_front`; of 160 epochs large, of 16 small. reference: `paper.accuracies()`, of which the paper's
    own are drawn.
    """
    theirs = _deep(reference[reference.kind.isin(SOURCES)]).drop_duplicates(["depth", "trainable"], keep="last")
    theirs = theirs.sort_values("depth")  # what the text says comes behind what is read off a picture
    if not len(theirs) and not len(own):
        return nothing()
    colour, depths = look("bn")[0], sorted({*theirs.depth, *own.depth})
    with house_style():
        figure = Figure(figsize=(6.8, 2.9), layout="constrained")
        ax = figure.subplots()
        labels, style = [], {"marker": "D", "markerfacecolor": PAGE, "linewidth": 1, "zorder": 2}
        for trainable, size in (("all", 5), ("bn", 6)):
            rows = theirs[theirs.trainable == trainable]
            if len(rows):
                ax.plot(rows.depth, rows.value, color=look(trainable)[0], markersize=size, **style)
                words = f"{label(trainable)}: the paper"
                # In the left half, which a phone shows: of everything below its line, of γ and β above.
                row, place = rows.iloc[min(2, len(rows) - 1)], ((0, -9), "top") if trainable == "all" else ((0, 12), "bottom")
                labels.append((row.depth, row.value, words, look(trainable)[0], place[0], "right", place[1]))
        for recipe, style, place in (
            ("paper", {"markersize": 7}, ((6, -6), "left", "top")),
            ("short", {"markersize": 4, "linewidth": 0.8}, ((0, -8), "right", "top")),
        ):
            rows = own[own.recipe == recipe]
            if len(rows):
                ax.plot(rows.depth, rows["mean"], color=colour, marker="o", zorder=4, **style)
                row = rows.iloc[-1]
                labels.append((row.depth, row["mean"], OURS[recipe], colour, *place))
        for x, y, words, tint, offset, ha, va in labels:
            ax.annotate(words, (x, y), offset, textcoords="offset points", color=tint, ha=ha, va=va, zorder=5, path_effects=HALO)
        chance(ax, 0.01)
        log_axis(ax, depths)
        ax.set_ylim(0, 100)
        ax.set_yticks([0, 25, 50, 75, 100])
        ax.set_ylabel("test accuracy (%)")
        ax.set_xlabel("depth (layers, log scale)")
    figure.alt = alt.against("Test accuracy against depth", own, theirs[theirs.trainable.isin(["bn", "all"])], "depth", *alt.LAYERS)
    return figure


def _deep(reference: pd.DataFrame) -> pd.DataFrame:
    """The values of ResNets, with their depth."""
    reference = reference[reference.network.str.startswith("ResNet-").fillna(False)]
    return reference.assign(depth=reference.network.str.removeprefix("ResNet-").astype(int))


def _against(summary: pd.DataFrame, reference: pd.DataFrame, x: str, xlabel: str, what: str, places: tuple[str, str]) -> Figure:
    """Accuracy against `x`, a column of both; one panel below the other for each recipe."""
    reference = reference[reference.trainable.isin(SETS)]
    recipes, ticks = recipes_of(summary), sorted(set(reference[x]) | set(summary[x]))
    if not ticks:
        return nothing()
    with house_style():
        figure, axes = column(len(recipes), 3.5 * len(recipes) + 1.4)
        for ax, recipe in zip(axes, recipes, strict=True):
            own = summary[summary.recipe == recipe]
            reference_points(ax, reference, x, recipe)
            for trainable in order(set(own.trainable)):
                line(ax, own[own.trainable == trainable].sort_values(x), x, trainable)
            chance(ax, 0.06)
            log_axis(ax, ticks)
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(title(own, recipe), loc="left")
        axes[-1].set_xlabel(xlabel)
        ours = set(summary.trainable)
        handles = [handle(trainable, trainable in ours) for trainable in order(set(reference.trainable) | ours)]
        figure.legend(handles=handles + other_handles(reference, recipes), loc="outside lower center", ncols=2)
    figure.alt = alt.against(f"Test accuracy against {what}", summary, reference, x, *places)
    return figure
