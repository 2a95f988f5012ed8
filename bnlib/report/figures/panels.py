"""A panel for each network and recipe, in two columns: the frame of the figures of trained networks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bnlib.report.figures.style import MUTED, OURS, label, look, order


def groups(frame: pd.DataFrame):
    """The panels' data: a network at a recipe each, `paper` first, from the shallowest."""
    rank = list(OURS).index
    return sorted(frame.groupby(["network", "recipe"]), key=lambda group: (rank(group[0][1]), group[1].depth.iloc[0]))


def panels(frame: pd.DataFrame, lacks: str = "not trained yet"):
    """A figure and its axes, one for each of `groups`, titled, on the same scales; with nothing in `frame`, one that says so.

    Of two recipes each has a column, and each network a row, in which what is missing is said, by the words `lacks`; else they
    lie two by two.
    """
    found = groups(frame)
    if not found:
        return nothing(), []
    keys = [key for key, _ in found]
    names, recipes = list(frame.sort_values("depth").network.unique()), list(dict.fromkeys(recipe for _, recipe in keys))
    if len(recipes) == 2:
        places = {(name, recipe): (row, column) for row, name in enumerate(names) for column, recipe in enumerate(recipes)}
    else:
        places = {key: divmod(i, 2) for i, key in enumerate(keys)}
    rows, columns = (1 + max(own) for own in zip(*places.values(), strict=True))
    figure = Figure(figsize=(6.4, 2.3 * rows + 1.1), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place in np.ndindex(rows, columns):
        if place not in places.values():
            axes[place].remove()
    for (network, recipe), place in places.items():
        axes[place].set_title(f"{network}: {OURS[recipe]}", loc="left", fontsize=10)
        if (network, recipe) not in keys:
            ax = axes[place]
            ax.text(0.5, 0.5, lacks, ha="center", color=MUTED, fontsize=10, transform=ax.transAxes)
    return figure, [axes[places[key]] for key in keys]


def column(count: int, height: float, **how):
    """A figure of the page's width and `height` inches, and its axes: `count`, one below the other, on one scale.

    how: what else `Figure.subplots` takes. Side by side they would be too small to read in a page's column, and on a phone.
    """
    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.subplots(count, 1, sharex=True, squeeze=False, **how)[:, 0]


def nothing(what: str = "nothing has been run yet") -> Figure:
    """A figure that shows nothing but these words."""
    figure = Figure(figsize=(6.4, 1))
    ax = figure.subplots()  # IPython does not show a figure without axes
    ax.set_axis_off()
    ax.text(0.5, 0.5, what, ha="center", va="center", color=MUTED, fontsize=10)
    figure.alt = what[0].upper() + what[1:] + "."
    return figure


def finish(figure: Figure, axes, frame: pd.DataFrame, x: str, y: str, more: list, lines: bool = True) -> None:
    """The axes' names, and one legend below: the trainable sets, as lines or else as areas, and `more`."""
    places = [(ax, ax.get_subplotspec()) for ax in (figure.axes if len(axes) else ())]
    rows = max((place.rowspan.stop for _, place in places), default=0)
    for ax, place in places:
        if place.is_first_col():
            ax.set_ylabel(y)
        if place.rowspan.stop == rows:
            ax.set_xlabel(x)
        elif not any(below.rowspan.start > place.rowspan.start and below.colspan == place.colspan for _, below in places):
            ax.tick_params(labelbottom=True)  # beside the last one, which is alone in its row
    handles = []
    for trainable in order(set(frame.trainable)):
        colour, _, dash = look(trainable)
        style = {"color": colour, "label": label(trainable)}
        handles.append(Line2D([], [], linestyle=dash, **style) if lines else Patch(**style))
    if len(axes):
        figure.legend(handles=handles + more, loc="outside lower center", ncols=2)
