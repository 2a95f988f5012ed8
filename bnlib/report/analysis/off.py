"""Why features go off: their share against the learning rate, with and without weight decay, and what each explanation adds."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from bnlib.experiments import EXPERIMENTS
from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.gamma import gammas, shrunk, small_gammas
from bnlib.report.analysis.probes import relu
from bnlib.report.analysis.replicates import PLACE, sound
from bnlib.report.analysis.tables import table
from bnlib.report.analysis.verdicts import LEVEL, RECIPES, TOLERANCE
from bnlib.spec import RECIPES as SETTINGS

SMALL = 0.01  # |γ| below it is near 0
SILENT = "0.99"  # a unit that is 0 for more than this share of the images is silent: one of the probe's definitions
# What an untrained network has, in percent: γ is drawn uniform on [0, 1]; before every ReLU BatchNorm centres, as β starts at 0.
START = {"gamma": 100 * SMALL, "relu": 0.0}
PARTS = ("training", "rate", "decay")
CLEAR = 2.0  # points that an explanation would add at least if it mattered; see `accounts`
_KNOWN = 10**9  # replicates of a value that is known: it adds nothing to the error of a test


def with_rates(points: pd.DataFrame) -> pd.DataFrame:
    """Points of the experiment `why_off` with their learning rate, lr, and whether weight decay acts on γ and β, decays."""
    fields = [EXPERIMENTS["why_off"].variants[str(name)] for name in points.variant]
    rates = [own.get("lr", SETTINGS[recipe].lr) for own, recipe in zip(fields, points.recipe, strict=True)]
    decays = pd.Series([own.get("decay_bn", True) for own in fields], index=points.index, dtype=bool)
    return points.assign(lr=pd.Series(rates, index=points.index, dtype=float), decays=decays)


def off(runs: pd.DataFrame) -> pd.DataFrame:
    """How many features are off at the end of `runs`, of the experiment `why_off`, replicates put together: as `summarise`.

    A row for each point and measure, in percent: `gamma`, of γ those below SMALL in magnitude; `relu`, of the units after ReLUs
    the silent ones, of those runs that have been asked. With lr and decays, of `with_rates`. Without runs that diverged.
    """
    silent = relu(runs)
    silent = silent[silent.definition == SILENT].drop(columns="definition")
    found = {"gamma": small_gammas(gammas(runs), SMALL), "relu": silent}
    parts = [part.assign(measure=measure) for measure, part in found.items() if len(part)]
    return with_rates(pd.concat(parts, ignore_index=True) if parts else silent.assign(measure=[]))


def alone(measure: str, recipe: str, lr: float) -> float:
    """The share, in percent, that weight decay alone would bring off: if no γ and no β ever had a gradient.

    Of γ, which start uniform on [0, 1], those that start below SMALL over `shrunk`. Of units none: decay shrinks γ and β alike,
    and the sign of what enters a ReLU stays.
    """
    return min(100.0, START["gamma"] / shrunk(replace(SETTINGS[recipe], lr=lr))) if measure == "gamma" else START["relu"]


def trains_well(accuracy: pd.DataFrame) -> float | None:
    """The smallest learning rate without weight decay whose accuracy is within TOLERANCE of the best one's; None without any.

    accuracy: of `with_rates` of `summarise`, of one network and recipe.
    """
    own = sound(accuracy[~accuracy.decays])
    return own.lr[own["mean"] >= own["mean"].max() - TOLERANCE].min() if len(own) else None


def accounts(shares: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """What each explanation adds to the share of features that are off, tested: of each network, recipe and measure.

    shares: of `off`. accuracy: of `with_rates` of `summarise`. part says which:
    *training*: what is off without weight decay, at the smallest learning rate that trains well, beyond what an untrained network
    has. *rate*: what more is off, still without decay, at the largest rate. *decay*: what more is off with decay than without, a
    row for each learning rate that has both.

    Returns network, depth, width, recipe, measure, part, lr, lr_less, more, less (percent), difference, half, p, n, as
    `differences`; and verdict: *yes*, the part is more than 0 (p below 0.05, corrected for all parts of the recipe and measure);
    *no*, it is less than 0, or its 95 % interval ends below CLEAR points; *too close* between; *not judged* for a test recipe.
    """
    found = [_tested(rows, own) for own, rows in ((own, _parts(own, accuracy)) for _, own in shares.groupby("measure")) if rows]
    columns = [*PLACE, "measure", "part", "lr", "lr_less", "more", "less", "difference", "half", "p", "n"]
    found = pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)
    return found.assign(verdict=[_verdict(row) for row in found.itertuples()])


def _parts(shares: pd.DataFrame, accuracy: pd.DataFrame) -> list[dict]:
    """The two sides of every part, of the shares of one measure."""
    rows, measure = [], shares.measure.iloc[0]
    for key, own in shares.groupby(PLACE, sort=False):
        network, *_, recipe = key
        base = trains_well(accuracy[(accuracy.network == network) & (accuracy.recipe == recipe)])
        bound, free = (own[own.decays == decays].set_index("lr").sort_index() for decays in (True, False))
        pairs = []
        asked = [lr for lr in free.index if base is not None and lr >= base]
        if asked:
            base = asked[0]
            start = {"mean": START[measure], "sd": 0.0, "n": _KNOWN}
            pairs.append(("training", base, base, free.loc[base], start))
            if free.index[-1] > base:
                pairs.append(("rate", free.index[-1], base, free.iloc[-1], free.loc[base]))
        pairs += [("decay", lr, lr, bound.loc[lr], free.loc[lr]) for lr in bound.index.intersection(free.index)]
        for part, lr, lr_less, more, less in pairs:
            row = dict(zip(PLACE, key, strict=True)) | {"measure": measure, "part": part, "lr": lr, "lr_less": lr_less}
            row |= {name: more[name] for name in ("mean", "sd", "n")}  # of a point, or of what is known
            rows.append(row | {f"{name}_less": less[name] for name in ("mean", "sd", "n")})
    return rows


def _tested(rows: list[dict], spreads: pd.DataFrame) -> pd.DataFrame:
    # At a recipe of which only the training as the paper has it has been repeated, single runs of the others would be taken to
    # scatter as little: where larger rates have been repeated, they scatter several times as much.
    found = differing(pd.DataFrame(rows), spreads, greatest=True)
    return found.assign(n=found.n.astype(str).str.removesuffix(f" and {_KNOWN}"))


def _verdict(row) -> str:
    if row.recipe not in RECIPES or pd.isna(row.p):
        return "not judged"
    if row.p < LEVEL:
        return "yes" if row.difference > 0 else "no"
    return "no" if row.difference + row.half < CLEAR else "too close"


def answers(verdicts: Iterable[str]) -> str:
    """One verdict on a question that several points answer: what those say that can tell, *in part* where they do not agree.

    *yes* beside *too close* is *yes*; *no* beside it is *too close*.
    """
    found = set(verdicts)
    if "in part" in found or {"yes", "no"} <= found:
        return "in part"
    return next((one for one in ("yes", "too close", "no", "not judged") if one in found), "not trained")


def accounts_table(accounts: pd.DataFrame):
    """The rows of `accounts` as a table to read, in percent and points."""
    parts = {"training": "training", "rate": "a larger rate", "decay": "weight decay"}
    measures = {"gamma": "small γ", "relu": "silent ReLUs"}
    rates = [f"{row.lr_less:g} → {row.lr:g}" if row.lr != row.lr_less else f"{row.lr:g}" for row in accounts.itertuples()]
    shown = accounts.assign(measure=accounts.measure.map(measures), part=accounts.part.map(parts), lr=rates)
    names = {"measure": "of", "part": "adds", "lr": "learning rate", "more": "with", "less": "without"}
    names |= {"difference": "difference (points)", "half": "95 % interval", "p": "p, corrected"}
    shown = shown.drop(columns=["depth", "width", "lr_less"]).rename(columns=names)
    return table(shown, {"difference (points)": "{:+.1f}", "95 % interval": "± {:.1f}", "p, corrected": "{:.2g}"})
