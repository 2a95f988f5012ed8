"""How values are drawn and what the legend calls them: ours filled, the paper's hollow, other people's crossed."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from bnlib.report.figures.style import PAPER, RECIPE_TITLES, label, look

NOTHING = "nothing run yet: the paper's values alone"


def recipes_of(frame: pd.DataFrame) -> list[str]:
    """The recipes that `frame` has, in order; `paper` if it has none, for the paper's values alone."""
    return [recipe for recipe in RECIPE_TITLES if recipe in set(frame.recipe)] or ["paper"]


def line(ax, rows: pd.DataFrame, x: str, trainable: str) -> None:
    """Our points of one trainable set and recipe: filled markers, joined in order; a band where n ≥ 3."""
    colour, marker, dash = look(trainable)
    ax.plot(rows[x], rows["mean"], color=colour, marker=marker, linestyle=dash, zorder=4)
    band(ax, rows, x, colour)
    diverged(ax, rows, x)


def band(ax, rows: pd.DataFrame, x: str, colour: str) -> None:
    """How replicates spread, for `rows` sorted by `x`: three or more, one sample standard deviation; two, the points themselves."""
    for place, values, sd, n in zip(rows[x], rows.each, rows.sd, rows.n, strict=True):
        if n == 2:
            ax.plot([place, place], values, ".", color=colour, markersize=4, zorder=5)
        elif n >= 3:  # a band has no width where its neighbours have none
            ax.errorbar(place, sum(values) / n, yerr=sd, color=colour, alpha=0.4, linewidth=3, zorder=2)
    many = (rows.n >= 3).to_numpy()
    low, high = ((rows["mean"] + sign * rows.sd).astype(float) for sign in (-1, 1))
    ax.fill_between(rows[x].astype(float), low, high, where=many, color=colour, alpha=0.2, linewidth=0, zorder=2)


def reference_points(ax, reference: pd.DataFrame, x: str) -> None:
    """The paper's values as hollow diamonds with their uncertainty; other people's as small crosses, a little to the left."""
    left = offset_copy(ax.transData, ax.figure, x=-6, units="points")
    for _, row in reference.iterrows():
        colour = look(row.trainable)[0]
        if row.kind in ("reproduction", "blog"):
            ax.plot(row[x], row.value, "x", transform=left, color=colour, markersize=5, markeredgewidth=1.1, alpha=0.8, zorder=3)
        else:
            # Empty, not white: one diamond does not hide another. Whole, even on the axis.
            ax.errorbar(row[x], row.value, yerr=row.uncertainty, fmt="D", color=colour, markerfacecolor="none", markersize=6.5,
                        markeredgewidth=1.2, elinewidth=1, capsize=0, zorder=3, clip_on=False)  # fmt: skip


def handle(trainable: str, ours: bool = True) -> Line2D:
    """A trainable set in the legend: as our line, or hollow where only the paper has it."""
    colour, marker, dash = look(trainable)
    if ours:
        return Line2D([], [], color=colour, marker=marker, linestyle=dash, label=label(trainable))
    return Line2D(
        [], [], color=colour, marker="D", markerfacecolor="white", linestyle="", label=f"{label(trainable)} (not run here)"
    )


def other_handles(reference: pd.DataFrame) -> list[Line2D]:
    """What the hollow and the crossed markers are, in the legend, where there are any."""
    crosses = reference.kind.isin(["reproduction", "blog"])
    handles = []
    if (~crosses).any():
        handles.append(PAPER)
    if crosses.any():
        handles.append(Line2D([], [], color="#555555", marker="x", linestyle="", markersize=5, label="reproductions by others"))
    return handles


def diverged(ax, rows: pd.DataFrame, x: str) -> None:
    """Say so at points of which a replicate diverged. rows: of `analysis.summarise`, with `x`, what they are drawn against."""
    for place, mean in zip(*(rows.loc[rows.diverged > 0, column] for column in (x, "mean")), strict=True):
        ax.annotate("diverged", (place, mean), (0, -12), textcoords="offset points", ha="center", fontsize=8)
