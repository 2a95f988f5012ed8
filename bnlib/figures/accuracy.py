"""Accuracy: against depth, width and number of parameters, and during a training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.figures.panels import mark_diverged, nothing
from bnlib.figures.style import PAPER, RECIPE_TITLES, SETS, house_style, label, look, order

NOTHING = "nothing run yet: the paper's values alone"


def fig1_affine(summary: pd.DataFrame, differences: pd.DataFrame, low: float, high: float, reference: pd.DataFrame) -> Figure:
    """Figure 1: accuracy with γ and β trained or not, all else trained, and the difference, a pair of panels for each recipe.

    summary: from `analysis.summarise`, of `all` and `all-bn`. differences: of `analysis.differences`. low, high: between what the
    paper says the difference lies, in points; a grey band. reference: rows of `paper.values("fig2")`, of which `all` is shown.
    """
    reference = _deep(reference[reference.trainable == "all"])
    recipes = _recipes(summary)
    depths = sorted(set(summary.depth) | set(reference.depth))
    with house_style():
        figure = Figure(figsize=(6.4, 4.6 * len(recipes) + 0.8), layout="constrained")
        axes = figure.subplots(len(recipes) * 2, 1, sharex=True, height_ratios=[1.4, 1] * len(recipes))
        for above, below, recipe in zip(axes[::2], axes[1::2], recipes, strict=True):
            own, gains = summary[summary.recipe == recipe], differences[differences.recipe == recipe].sort_values("depth")
            _reference(above, reference, "depth")
            for trainable in order(set(own.trainable)):
                _line(above, own[own.trainable == trainable].sort_values("depth"), "depth", trainable)
            _depths(above, depths)
            above.set_ylabel("test accuracy (%)")
            above.set_title(RECIPE_TITLES[recipe] if len(own) else NOTHING, loc="left")
            below.axhspan(low, high, color="#DDDDDD", zorder=1, linewidth=0)
            below.axhline(0, color="#8A8A8A", linewidth=1)
            below.plot(gains.depth, gains.difference, color="black", marker="o", zorder=4)
            below.set_ylim(min(-0.5, 1.15 * gains.difference.min()) if len(gains) else -0.5, None)
            below.set_ylabel("difference\n(points)")
        axes[-1].set_xlabel("depth N of ResNet-N (layers, log scale)")
        handles = [_handle(name) for name in ("all", "all-bn")] + _others(reference)
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
    recipes, colour = _recipes(points), look("bn")[0]
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 0.8), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = points[points.recipe == recipe]
            _reference(ax, reference, "parameters")
            wide = own[own.depth == 14]  # ResNet-14 is the first of both lines
            for rows, marker, dash in ((wide[: 0 if wide.width.eq(1).all() else None], "s", "--"), (own[own.width == 1], "o", "-")):
                rows = rows.sort_values("parameters")
                ax.plot(rows.parameters, rows["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
                _band(ax, rows, "parameters", colour)
                mark_diverged(ax, rows, "parameters")
            places = pd.concat([reference, own.rename(columns={"mean": "value"})]).drop_duplicates("network")
            for network, x, y in zip(places.network, places.parameters, places.value, strict=True):
                short = network.removeprefix("ResNet-").replace("WRN-14-", "W=")
                offset, ha = ((6, -4), "left") if network.startswith("WRN") else ((-7, 8), "center")
                ax.annotate(short, (x, y), offset, textcoords="offset points", ha=ha, fontsize=8, color="#444444")
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
            Line2D([], [], color=colour, marker="s", linestyle="--", label="wider: WRN-14-W"),
        ]
        figure.legend(handles=handles + _others(reference), loc="outside lower center", ncols=2)
    return figure


def curves(histories: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Accuracy during the training of one network, a panel for each recipe, a line for each trainable set.

    histories: of `analysis.histories`; solid the test accuracy, dotted the training accuracy, of the first replicate.
    reference: rows of `paper.values("curve")` with a column `epoch`; at recipe `paper` only, whose epochs they are.
    """
    if not len(histories) and not len(reference):
        return nothing()
    recipes = [r for r in RECIPE_TITLES if r in set(histories.recipe) or (r == "paper" and len(reference))]
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.2), layout="constrained")
        axes = figure.subplots(len(recipes), 1, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = histories[histories.recipe == recipe]
            if recipe == "paper":
                _reference(ax, reference, "epoch")
            for trainable in order(set(own.trainable)):
                rows = own[own.trainable == trainable]
                _course(ax, rows[rows.seed == rows.seed.min()], look(trainable)[0])
            _accuracy_axis(ax)
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else "the paper's values, 160 epochs", loc="left")
        axes[-1].set_xlabel("epoch")
        ours = set(histories.trainable)
        handles = [Line2D([], [], color=look(t)[0], label=label(t)) for t in order(ours)]
        handles += [Line2D([], [], color="#555555", linestyle=":", label="training, the same colour")] if ours else []
        handles += [_handle(t, ours=False) for t in order(set(reference.trainable) - ours)]
        figure.legend(handles=handles + _others(reference), loc="outside lower center", ncols=2)
    return figure


def curve(history: pd.DataFrame, title: str, chance: float = 0.1) -> Figure:
    """Accuracy during one training: training and test accuracy against the epoch. history: `run.history`."""
    with house_style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        ax = figure.subplots()
        _course(ax, history, look("bn")[0], chance)
        ax.set_xlabel("epoch")
        ax.set_title(title, loc="left")
        ax.legend(loc="upper left")
    return figure


def _course(ax, history: pd.DataFrame, colour: str, chance: float = 0.1) -> None:
    """One training: test accuracy solid, training accuracy dotted, chance, and where the learning rate drops."""
    ax.plot(history.epoch, 100 * history.test_accuracy, color=colour, label="test")
    ax.plot(history.epoch, 100 * history.train_accuracy, color=colour, linestyle=":", label="training")
    if not ax.texts:
        ax.axhline(100 * chance, color="#8A8A8A", linestyle="--", linewidth=1)
        ax.text(history.epoch.iloc[-1], 100 * chance + 1, "chance", color="#666666", fontsize=8, ha="right", va="bottom")
        drops = history.epoch[history.lr.diff() < 0]
        for epoch in drops:
            ax.axvline(epoch - 0.5, color="#BBBBBB", linewidth=1)
        if len(drops):
            ax.text(drops.iloc[0] - 0.4, 3, "learning rate drops", color="#666666", fontsize=8)
    _accuracy_axis(ax)


def _accuracy_axis(ax) -> None:
    ax.set_ylim(0, 100)
    ax.set_xlim(left=0)
    ax.set_ylabel("accuracy (%)")


def _recipes(frame: pd.DataFrame) -> list[str]:
    """The recipes that `frame` has, in order; `paper` if it has none, for the paper's values alone."""
    return [recipe for recipe in RECIPE_TITLES if recipe in set(frame.recipe)] or ["paper"]


def _deep(reference: pd.DataFrame) -> pd.DataFrame:
    """The values of ResNets, with their depth."""
    reference = reference[reference.network.str.startswith("ResNet-").fillna(False)]
    return reference.assign(depth=reference.network.str.removeprefix("ResNet-").astype(int))


def _against(summary: pd.DataFrame, reference: pd.DataFrame, x: str, xlabel: str) -> Figure:
    """Accuracy against `x`, a column of both; one panel below the other for each recipe."""
    reference = reference[reference.trainable.isin(SETS)]
    recipes, ticks = _recipes(summary), sorted(set(reference[x]) | set(summary[x]))
    with house_style():
        # Side by side they would be too small to read in a page's column, and on a phone.
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.4), layout="constrained")
        axes = figure.subplots(len(recipes), 1, sharex=True, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = summary[summary.recipe == recipe]
            _reference(ax, reference, x)
            for trainable in order(set(own.trainable)):
                _line(ax, own[own.trainable == trainable].sort_values(x), x, trainable)
            ax.axhline(10, color="#8A8A8A", linestyle="--", linewidth=1, zorder=1)
            if ticks:
                ax.text(1.2 * ticks[0], 10.8, "chance", color="#666666", fontsize=8, va="bottom")
                _depths(ax, ticks)
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else NOTHING, loc="left")
        axes[-1].set_xlabel(xlabel)
        ours = set(summary.trainable)
        handles = [_handle(trainable, trainable in ours) for trainable in order(set(reference.trainable) | ours)]
        figure.legend(handles=handles + _others(reference), loc="outside lower center", ncols=2)
    return figure


def _depths(ax, ticks) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()


def _line(ax, rows: pd.DataFrame, x: str, trainable: str) -> None:
    """Our points of one trainable set and recipe: filled markers, joined in order; a band where n ≥ 3."""
    colour, marker, dash = look(trainable)
    ax.plot(rows[x], rows["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
    _band(ax, rows, x, colour)
    mark_diverged(ax, rows, x)


def _band(ax, rows: pd.DataFrame, x: str, colour: str) -> None:
    """How replicates spread, for `rows` sorted by `x`: three or more, one sample standard deviation; two, the points themselves."""
    for place, values, sd, n in zip(rows[x], rows.each, rows.sd, rows.n, strict=True):
        if n == 2:
            ax.plot([place, place], values, ".", color=colour, markersize=4, zorder=5)
        elif n >= 3:  # a band has no width where its neighbours have none
            ax.errorbar(place, sum(values) / n, yerr=sd, color=colour, alpha=0.4, linewidth=3, zorder=2)
    many = (rows.n >= 3).to_numpy()
    low, high = ((rows["mean"] + sign * rows.sd).astype(float) for sign in (-1, 1))
    ax.fill_between(rows[x].astype(float), low, high, where=many, color=colour, alpha=0.2, linewidth=0, zorder=2)


def _reference(ax, reference: pd.DataFrame, x: str) -> None:
    """The paper's values as hollow diamonds with their uncertainty; other people's as small crosses."""
    for _, row in reference.iterrows():
        colour = look(row.trainable)[0]
        if row.kind in ("reproduction", "blog"):
            ax.plot(row[x], row.value, "x", color=colour, markersize=5, markeredgewidth=1.1, alpha=0.8, zorder=3)
        else:
            ax.errorbar(row[x], row.value, yerr=row.uncertainty, fmt="D", color=colour, markerfacecolor="white", markersize=6.5,
                        markeredgewidth=1.2, elinewidth=1, capsize=0, zorder=3)  # fmt: skip


def _handle(trainable: str, ours: bool = True) -> Line2D:
    """A trainable set in the legend: as our line, or hollow where only the paper has it."""
    colour, marker, dash = look(trainable)
    if ours:
        return Line2D([], [], color=colour, marker=marker, linestyle=dash, label=label(trainable))
    return Line2D(
        [], [], color=colour, marker="D", markerfacecolor="white", linestyle="", label=f"{label(trainable)} (not run here)"
    )


def _others(reference: pd.DataFrame) -> list[Line2D]:
    """What the hollow and the crossed markers are, in the legend, where there are any."""
    crosses = reference.kind.isin(["reproduction", "blog"])
    handles = []
    if (~crosses).any():
        handles.append(PAPER)
    if crosses.any():
        handles.append(Line2D([], [], color="#555555", marker="x", linestyle="", markersize=5, label="reproductions by others"))
    return handles
