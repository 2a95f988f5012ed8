"""Numbers, names and lists in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from bnlib.report.analysis.words import replicates
from bnlib.report.figures.style import NAMES, label
from bnlib.spec import RECIPES, architecture

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Statement:
    """What is so, in Markdown; where the paper says something that it can be held against, a verdict (one of VERDICTS).

    To a question beyond the paper, an answer (one of ANSWERS).

    of: how much of it the verdict is about, such as `at 2 of 7 depths`; empty for all.
    """

    text: str
    verdict: str = ""
    of: str = ""

    def __bool__(self):
        return bool(self.text)


def percent(value: float) -> str:
    """48.3 %, which does not break over lines."""
    return f"{value:.1f}\u00a0%".replace("-", "−")


def points(value: float) -> str:
    """By how many points, without a sign."""
    return f"{abs(value):.1f}\u00a0point{'' if f'{abs(value):.1f}' == '1.0' else 's'}"


def in_bytes(count: float) -> str:
    """Bytes as a person says them: 940 bytes, 1.3 kB, 178 kB; a kB is 1,000 bytes."""
    if count < 1000:
        return f"{count:.0f}\u00a0bytes"
    unit, name = (1e6, "MB") if count >= 999_500 else (1e3, "kB")
    return f"{count / unit:.{0 if count / unit >= 10 else 1}f}".removesuffix(".0") + f"\u00a0{name}"


def network(name: str) -> str:
    """ResNet-14, which does not break over lines."""
    return name.replace("-", "\u2011")


def title(model: str) -> str:
    """The name of a model as tables have it, ResNet-14 for resnet14."""
    return architecture(model).title


def what(trainable: str) -> str:
    """What learns, as a sentence says it."""
    if trainable.startswith("random:"):
        count = trainable.removeprefix("random:")
        return f"{number(int(count))} random weight{'' if count == '1' else 's'} a channel"
    return NAMES.get(trainable, trainable)


def number(count: int) -> str:
    """A small number as a word."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def after(recipe: str) -> str:
    """After how many epochs."""
    return f"after {RECIPES[recipe].epochs}\u00a0epochs"


def lasting(recipe: str) -> str:
    """For how many epochs."""
    return f"for {RECIPES[recipe].epochs}\u00a0epochs"


def few(rows: pd.DataFrame) -> str:
    """Behind what is said of `rows`, how many replicates they have, where one has but one: ` (n = 1 to 3)`; else empty."""
    counts = sorted(count for n in rows.n for count in replicates(n))
    if not counts or counts[0] != 1:
        return ""
    return f" (n\u00a0=\u00a01{f' to {counts[-1]}' if counts[-1] > 1 else ''})"


def listing(items) -> str:
    """One, two and three."""
    items = list(items)
    return " and ".join(([", ".join(items[:-1])] if len(items) > 1 else []) + items[-1:])


def diverged(rows: pd.DataFrame, where: Callable | None = None) -> str:
    """Which replicates diverged, in words; empty if none did. rows: of `summarise`. where: of a row, instead of all that it is."""
    gone = rows[rows.diverged > 0]
    where = where or (
        lambda row: f"of {network(row.network)} ({label(str(row.variant))}, {RECIPES[row.recipe].epochs}\u00a0epochs)"
    )
    if len(gone) > 3:
        return f"{gone.diverged.sum()} of {(gone.n + gone.diverged).sum()} replicates of {len(gone)} points diverged"

    def count(row):
        if row.n:
            return f"{row.diverged} of {row.n + row.diverged} replicates"
        return {1: "the only replicate", 2: "both replicates"}.get(row.diverged, f"all {row.diverged} replicates")

    return listing(f"{count(row)} {where(row)}" for row in gone.itertuples()) + (" diverged" if len(gone) else "")


def upper(text: str) -> str:
    """The text with a capital at its beginning; γ and β stay as they are."""
    return (text[:1].upper() if text[:1].isascii() else text[:1]) + text[1:]
