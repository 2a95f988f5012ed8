"""What a figure shows, in one to three sentences for those who cannot see it, made of the data that it draws."""

from collections.abc import Callable

import pandas as pd

from bnlib.report.figures.marks import SOURCES, recipes_of
from bnlib.report.figures.style import OURS, label, order

LAYERS = ("at {:g} layers", "at {:g}")  # the places of a line against depth, the first and the later ones, as `course` takes them


def number(value: float, form: str = ".0f") -> str:
    """A number with a true minus."""
    text = f"{value:{form}}".replace("-", "−")
    return text.lstrip("−") if not text.strip("−+0.") else text  # no minus before a zero


def sentence(words: str) -> str:
    """Words as the start of a sentence; γ and β stay small."""
    return words if words[0] in "γβ" else words[0].upper() + words[1:]


def course(rows: pd.DataFrame, x: str, y: str, first: str, later: str, unit: str = " %", form: str = ".0f") -> str:
    """From the first point of a line to its last, such as `48 % at 14 layers to 59 % at 32`; empty without any.

    first, later: what is said of the places, such as `at {:g} layers` and `at {:g}`.
    """
    rows = rows.dropna(subset=[x, y]).sort_values(x)
    ends = rows.iloc[[0, -1]] if len(rows) > 1 else rows
    forms = zip(ends[x], ends[y], (first, later), strict=False)
    return " to ".join(f"{number(value, form)}{unit} {where.format(place)}" for place, value, where in forms)


def against(what: str, summary: pd.DataFrame, reference: pd.DataFrame, x: str, first: str, later: str) -> str:
    """Accuracy against `x`: of γ and β, or else of the first trainable set, ours and the paper's; and what else is drawn.

    summary: of `analysis.summarise`. reference: rows of `paper.values` in percent; both with `x`. Points that diverged say nothing.
    """
    every, summary = len(summary), summary[summary.n > 0] if "n" in summary else summary
    theirs = reference[reference.kind.isin(SOURCES)]
    sets = order({*summary.trainable, *theirs.trainable})
    if not sets:
        return f"{what}: {'all that has been run diverged' if every else 'nothing has been run yet'}."
    main = "bn" if "bn" in sets else sets[0]
    parts = []
    for recipe in [one for one in OURS if one in set(summary.recipe)]:
        own = summary[(summary.recipe == recipe) & (summary.trainable == main)]
        parts.append((OURS[recipe], course(own, x, "mean", first, later)))
    parts.append(("the paper", course(theirs[theirs.trainable == main], x, "value", first, later)))
    said = "; ".join(f"{who}: {values}" for who, values in parts if values)
    others = "; ".join(label(one) for one in sets if one != main)
    return f"{what}. {sentence(label(main))}, {said}." + (f" Also drawn: {others}." if others else "")


def telling(
    what: str, frame: pd.DataFrame, measure: Callable[[pd.DataFrame], str], panel: tuple[str, ...] = ("network", "recipe")
) -> str:
    """What is drawn, and what `measure` says of each trainable set of the network that tells most: the deepest at most epochs.

    panel: what those in one panel have in common.
    """
    if not len(frame):
        return f"{what}: nothing has been run yet."
    recipe = recipes_of(frame)[0]
    own = frame[frame.recipe == recipe]
    own = own[own.depth == own.depth.max()]
    own = own[own.network == own.network.iloc[0]]
    many, words = frame.groupby([*panel]).ngroups, {"network": "network", "recipe": "number of epochs"}
    of = " and ".join(words[one] for one in panel)
    each = "; ".join(f"{label(one)}, {measure(own[own.trainable == one])}" for one in order(set(own.trainable)))
    panels = f", in {many} panels, for each {of}" if many > 1 else ""
    return f"{what}{panels}. {own.network.iloc[0]}, {OURS[recipe]}: {each}."
