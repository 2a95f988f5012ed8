"""A panel for each network and recipe, in two columns: the frame of the figures of trained networks."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bnlib.report.figures.style import MUTED, OURS, label, look, order


def groups(frame: pd.DataFrame):
    """The panels' data: a network at a recipe each, `paper` first, from the shallowest."""
    rank = list(OURS).index
    return sorted(frame.groupby(["network", "recipe"]), key=lambda group: (rank(group[0][1]), group[1].depth.iloc[0]))


def panels(frame: pd.DataFrame):
    """A figure and its axes, one for each of `groups`, titled, on the same scales; with nothing in `frame`, one that says so."""
    found = groups(frame)
    if not found:
        return nothing(), []
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(6.4, 2.3 * rows + 1.1), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for ax in axes[len(found) :]:
        ax.remove()
    for ax, ((network, recipe), _) in zip(axes, found, strict=False):
        ax.set_title(f"{network}: {OURS[recipe]}", loc="left", fontsize=10)
    return figure, axes[: len(found)]


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
    for i, ax in enumerate(axes):
        if i % 2 == 0:
            ax.set_ylabel(y)
        if i >= len(axes) - 2:
            ax.set_xlabel(x)
            ax.tick_params(labelbottom=True)
    handles = []
    for trainable in order(set(frame.trainable)):
        colour, _, dash = look(trainable)
        style = {"color": colour, "label": label(trainable)}
        handles.append(Line2D([], [], linestyle=dash, **style) if lines else Patch(**style))
    if len(axes):
        figure.legend(handles=handles + more, loc="outside lower center", ncols=2)
