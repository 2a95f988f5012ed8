"""How values are drawn and what the legend calls them: ours filled, the paper's hollow, other people's crossed."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from bnlib.report.figures.style import FULL, GREY, HALO, MUTED, OURS, PALE, THEIRS, label, look, lost

SOURCES = {  # of the kinds of `paper.KINDS`: how we know what the paper says
    "paper-table": "its table",
    "paper-text": "its text",
    "digitised": "read off a figure",
    "review": "quoted by others",
}


def recipes_of(frame: pd.DataFrame) -> list[str]:
    """The recipes that `frame` has, in order; `paper` if it has none, for the paper's values alone."""
    return [recipe for recipe in OURS if recipe in set(frame.recipe)] or ["paper"]


def title(own: pd.DataFrame, recipe: str) -> str:
    """The title of the panel of a recipe, of which `own` are our runs."""
    return OURS[recipe] if len(own) else THEIRS


def line(ax, rows: pd.DataFrame, x: str, trainable: str, **other) -> None:
    """Our points of one trainable set and recipe: filled markers, joined in order; a band where n ≥ 3; and what diverged.

    other: what sets the line apart from another one of the same set, as matplotlib calls it.
    """
    colour, marker, dash = look(trainable)
    style = {"color": colour, "marker": marker, "linestyle": dash, "zorder": 4, **other}
    sound = rows[rows.n > 0]
    ax.plot(sound[x], sound["mean"], **style)
    band(ax, sound, x, colour)
    diverged(ax, rows, x, colour, style["marker"])


def band(ax, rows: pd.DataFrame, x: str, colour: str) -> None:
    """How replicates spread, for `rows` sorted by `x`: three or more, one sample standard deviation; two, the points themselves."""
    for place, values, sd, n in zip(rows[x], rows.each, rows.sd, rows.n, strict=True):
        if n == 2:
            ax.plot([place, place], values, ".", color=colour, markersize=4, zorder=5)
        elif n >= 3:  # a band has no width where its neighbours have none
            ax.errorbar(place, sum(values) / n, yerr=sd, color=colour, alpha=0.4, linewidth=3, zorder=2)
    many = (rows.n >= 3).to_numpy()
    if many.any():
        low, high = ((rows["mean"] + sign * rows.sd).astype(float) for sign in (-1, 1))
        ax.fill_between(rows[x].astype(float), low, high, where=many, color=colour, alpha=0.2, linewidth=0, zorder=2)


def reference_points(ax, reference: pd.DataFrame, x: str, recipe: str = "paper") -> None:
    """The paper's values as hollow diamonds with their uncertainty; other people's as small crosses, a little to the left.

    Against depth or width, where ours lie at the same places, the diamonds are a little to the right.

    recipe: of our runs in this panel. All of these values are of a whole training: beside runs of fewer epochs they are pale
    and small.
    """
    strength, size = (1, 1) if recipe in FULL else (PALE, 0.8)
    left, right = (offset_copy(ax.transData, ax.figure, x=by, units="points") for by in (-6, 6 * (x in ("depth", "width"))))
    for _, row in reference.iterrows():
        look_ = {"color": look(row.trainable)[0], "alpha": strength, "zorder": 3}
        if row.kind in ("reproduction", "blog"):
            ax.plot(row[x], row.value, "x", transform=left, markersize=5 * size, markeredgewidth=1.1, **look_)
        else:
            # Empty, not white: one diamond does not hide another. Whole, even on the axis.
            parts = ax.errorbar(row[x], row.value, yerr=row.uncertainty, fmt="D", markerfacecolor="none", markersize=6.5 * size,
                                markeredgewidth=1.2, elinewidth=1, capsize=0, clip_on=False, **look_)  # fmt: skip
            for part in parts.get_children():  # now: the axes' limits are those of the data
                part.set_transform(right)


def handle(trainable: str, ours: bool = True) -> Line2D:
    """A trainable set in the legend: as our line, or hollow where only the paper has it."""
    colour, marker, dash = look(trainable)
    if ours:
        return Line2D([], [], color=colour, marker=marker, linestyle=dash, label=label(trainable))
    return Line2D(
        [], [], color=colour, marker="D", markerfacecolor="none", linestyle="", label=f"{label(trainable)}: the paper's alone"
    )


def other_handles(reference: pd.DataFrame, recipes: list[str], pale: str = "") -> list[Line2D]:
    """What the hollow and the crossed markers are, in the legend, where there are any; pale ones in panels of fewer epochs.

    pale: what these are, if not what the paper has after all of its epochs.
    """
    crosses = reference.kind.isin(["reproduction", "blog"])
    handles = [paper_handle(reference[~crosses].kind, strong, recipes, pale) for strong in (True, False)]
    if crosses.any():
        handles.append(Line2D([], [], color=MUTED, marker="x", linestyle="", markersize=5, label="reproductions by others"))
    return [one for one in handles if one]


def paper_handle(kinds: pd.Series, strong: bool, recipes: list[str], pale: str = "") -> Line2D | None:
    """The paper's hollow diamond in the legend, strong or pale, if a panel of `recipes` has one. kinds: how we know the values."""
    panels = [recipe for recipe in recipes if (recipe in FULL) == strong]
    if not len(kinds) or not panels:
        return None
    known = ", ".join(words for kind, words in SOURCES.items() if kind in set(kinds))
    pale = pale or ("the same, after 160 epochs, beside our 16" if "paper" in recipes else f"{THEIRS} ({known})")
    style = {"alpha": 1, "markersize": 6.5, "label": f"the paper ({known})"} if strong else {"alpha": PALE, "label": pale}
    return Line2D([], [], **{"color": MUTED if strong else "#000000", "marker": "D", "markersize": 5.2, **style},
                  markerfacecolor="none", markeredgewidth=1.2, linestyle="")  # fmt: skip


def chance(ax, x: float | None = None, level: float = 10) -> None:
    """The dashed line of chance, at `level` percent; named at `x` of the axis (0 to 1) if there is one."""
    ax.axhline(level, color=GREY, linestyle="--", linewidth=1, zorder=1)
    if x is not None:
        ax.text(x, level - 1, "chance", color=MUTED, fontsize=9, ha="right" if x > 0.5 else "left", va="top",
                transform=ax.get_yaxis_transform())  # fmt: skip


def beside(ax, row, y: int) -> str:
    """A point of `analysis.summarise` at height `y`, its spread, and beside it its value in words, which are returned."""
    colour, mark, _ = look(row.trainable)
    spread, alpha = row.sd if row.n >= 3 else None, 1 if row.n else PALE
    ax.errorbar(row.mean, y, xerr=spread, linestyle="", marker=mark, color=colour, alpha=alpha)
    if row.n == 2:
        ax.plot(row.each, [y, y], ".", color=colour, markersize=4)
    words = ", ".join(filter(None, (f"{row.mean:.1f} %" if row.n else "", lost(row.n, row.diverged))))
    ax.annotate(words, (row.mean, y), (5, 4), textcoords="offset points", fontsize=9, path_effects=HALO)
    return words


def log_axis(ax, ticks) -> None:
    """Depths, or other counts, from left to right on a logarithmic scale, with these ticks and no others."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()


def diverged(ax, rows: pd.DataFrame, x: str, colour: str, marker: str) -> None:
    """Say at each point how many replicates diverged; one of which all did lies pale, and joined to none, where they ended.

    rows: of `analysis.summarise`, with `x`, what they are drawn against.
    """
    for place, mean, n, count in zip(*(rows.loc[rows.diverged > 0, name] for name in (x, "mean", "n", "diverged")), strict=True):
        if not n:
            ax.plot(place, mean, marker, color=colour, alpha=PALE, zorder=4)
        last = len(rows) > 1 and place == rows[x].max()  # whose words would run over the edge
        ax.annotate(lost(n, count), (place, mean), (-5 if last else 5, -12), textcoords="offset points", color=colour,
                    ha="right" if last else "left", fontsize=9, zorder=5, path_effects=HALO)  # fmt: skip
