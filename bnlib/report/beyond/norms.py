"""Other normalisations: γ and β of GroupNorm, LayerNorm, InstanceNorm in BatchNorm's place, and those of a random transformer."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.replicates import PLACE, sound, spread, tested
from bnlib.report.analysis.tables import difference_table
from bnlib.report.analysis.verdicts import LEVEL, RECIPES, TOLERANCE, best, fullest
from bnlib.report.figures.marks import beside, recipes_of
from bnlib.report.figures.panels import column, groups, nothing
from bnlib.report.figures.style import GREY, OURS, house_style, label, look
from bnlib.report.statements.accuracy import all_diverged
from bnlib.report.statements.grammar import Statement, after, diverged, few, listing, network, percent, points, upper

BASE = "BatchNorm"
OTHERS = ("GroupNorm", "LayerNorm", "InstanceNorm")
EVERYTHING = ", everything"  # how the name of a variant ends in which all weights learn


def against_batch(summary: pd.DataFrame, ending: str = "") -> pd.DataFrame:
    """How much better γ and β of BatchNorm do than those of each other normalisation, in each network and recipe.

    summary: of `analysis.summarise`, of the experiment `beyond_norms`. ending: `EVERYTHING` for the networks of which all learns.
    Returns rows as `analysis.differences`, with `other`, the normalisation: more is BatchNorm's accuracy, less the other's; p is
    corrected for the number of rows of a recipe.
    """
    own = sound(summary)
    sides = [*PLACE, "mean", "sd", "n", "diverged"]
    others = own[own.variant.isin([name + ending for name in OTHERS])]
    others = others[sides].assign(
        other=others.variant.astype(str).str.removesuffix(ending) if ending else others.variant.astype(str)
    )
    return differing(own[own.variant == BASE + ending][sides].merge(others, on=PLACE, suffixes=("", "_less")), own)


def verdict(rows: pd.DataFrame) -> str:
    """Whether BatchNorm is the best, by the rows of one network: `no`, `yes`, `too close` or `not judged`.

    no: another one does better, or the 95 % interval of what it loses ends below the tolerance. yes: each of the three others is
    there and does worse by more than chance. not judged: so do those that are there, and another is not; or nothing has been
    repeated.
    """
    if _as_good(rows).any():
        return "no"
    if not _worse(rows).all():
        return "not judged" if rows.p.isna().all() else "too close"
    return "yes" if set(rows.other) == set(OTHERS) else "not judged"


def answer(compared: pd.DataFrame, summary: pd.DataFrame) -> Statement:
    """Is BatchNorm the best normalisation for this? compared: of `against_batch`, γ and β alone. summary: what it was made of.

    The verdict is of all networks: `no` and `too close` if one has it, `yes` if each has of which all three others have been
    trained. Said of the `fullest` of those that have it.
    """
    rows = best(compared[compared.recipe.isin(RECIPES)])
    if not len(rows):
        return all_diverged(summary, Statement("", "not judged" if len(summary) else "not trained"))
    each = {name: verdict(own) for name, own in rows.groupby("network")}
    said = next(one for one in ("no", "too close", "yes", "not judged") if one in each.values())
    own = fullest(rows[rows.network.map(each) == said], "other")
    place = own.network.iloc[0]
    decided = {"no": _as_good(own), "too close": ~_worse(own)}.get(said)  # those for which the answer is what it is
    own = own if decided is None else own[decided]
    top = own.loc[own.less.astype(float).idxmax()]
    where = f"in {network(place)} {after(top.recipe)}"
    both = f"{top.other}'s reach {percent(top.less)} {where}, BatchNorm's {percent(top.more)}"
    ahead = f"BatchNorm's γ and β alone reach {percent(top.more)} {where}, those of {top.other}, the next best,"
    texts = {
        "no": f"No: γ and β of another normalisation do as well or better. Alone, {both}",
        "yes": f"It is: {ahead} {percent(top.less)}",
        "too close": f"That cannot be told yet: {both}, which may be chance",
    }
    here = summary[(summary.recipe == top.recipe) & (summary.network == place)]
    untried = [name for name in OTHERS if name not in set(here.variant.astype(str))]
    texts["not judged"] = f"So far, with γ and β alone, {both}{', one run each' if own.p.isna().all() else ''}"
    texts["not judged"] += f"; {listing(untried)} {'has' if len(untried) == 1 else 'have'} not been tried" if untried else ""
    gone = here[here.diverged > 0]
    gone = diverged(gone[~gone.variant.astype(str).str.endswith(EVERYTHING)], lambda row: f"with {row.variant}")
    too = rows[rows.network.map(each).eq(said) & (rows.network != place)] if said == "yes" else rows[:0]
    texts["yes"] += f"; so it is in {listing(map(network, dict.fromkeys(too.network)))}, too{few(too)}" if len(too) else ""
    # Of a rate that was made for one of the four, no more can be said.
    return Statement(f"{texts[said]}{f'; {gone}' if gone else ''}.", said, "with this recipe" if said == "yes" else "")


def others(compared: pd.DataFrame, guess: float = 10.0) -> Statement:
    """What γ and β of each other normalisation reach alone, in the `fullest` network. guess: chance, in percent."""
    own = fullest(compared, "other").sort_values("less", ascending=False)
    if not len(own):
        return Statement("")
    each = listing(f"{percent(row.less)} with {row.other}" for row in own.itertuples())
    low = own.less.astype(float).min()
    every = "all " if len(own) > 1 else ""
    how = f"{every}far above chance" if low > 2 * guess else f"not {every}far above chance"
    return Statement(f"γ and β alone reach {each} in {network(own.network.iloc[0])} {after(own.recipe.iloc[0])}: {how}.")


def with_everything(alone: pd.DataFrame, every: pd.DataFrame) -> Statement:
    """How far each is behind BatchNorm with everything trained, beside how far with γ and β alone. Both of `against_batch`.

    Of the `fullest` network. What falls behind either way is not the fault of its γ and β alone.
    """
    rows = fullest(alone.merge(every, on=[*PLACE, "other"], suffixes=("", "_all")), "other")
    rows = rows.sort_values("difference_all", ascending=False)
    if not len(rows):
        return Statement("")
    where = f"in {network(rows.network.iloc[0])} {after(rows.recipe.iloc[0])}"
    behind, good = (rows.p_all < LEVEL) & (rows.difference_all > 0), _as_good(rows, "_all")
    ahead, level, near = rows[behind & ~good], rows[good], rows[~behind & ~good]
    said = []
    if len(ahead):
        values = [f"{one.other} by {points(one.difference_all)} ({one.difference:.1f})" for one in ahead.itertuples()]
        values[0] = values[0].replace(")", " with γ and β alone)")
        too = ", too," if ((ahead.p < LEVEL) & (ahead.difference > 0)).all() else ""
        said.append(f"BatchNorm is ahead{too} {listing(f'of {value}' for value in values)}".replace("-", "−"))
    if len(level):
        said.append(f"{listing(level.other)} {'does' if len(level) == 1 else 'do'} as well or better")
    if len(near):
        said.append(f"{listing(near.other)} cannot be told from {'it' if len(ahead) else 'BatchNorm'}")
    return Statement(f"With everything trained, {where}, {'; '.join(said)}.")


def _worse(rows: pd.DataFrame) -> pd.Series:
    """Whether another normalisation does worse, by more than chance. Of each row."""
    return (rows.p < LEVEL) & (rows.difference > 0)


def _as_good(rows: pd.DataFrame, ending: str = "") -> pd.Series:
    """Whether another normalisation does better, or the 95 % interval of what it loses ends below the tolerance. Of each row."""
    difference, half, p = (rows[f"{name}{ending}"] for name in ("difference", "half", "p"))
    return ((p < LEVEL) & (difference < 0)) | (difference + half < TOLERANCE)


def transformer(summary: pd.DataFrame, resnets: pd.DataFrame) -> Statement:
    """Does a random transformer learn by its norms alone? Both of `analysis.summarise`: of `beyond_transformer`, `beyond_norms`.

    yes: γ and β alone do better than the network as it was drawn, by more than chance. How far a single run scatters is said by
    all networks of the figure that have replicates, as elsewhere.
    """
    at, spreads = _deepest(summary, resnets)
    if not {"norm", "none"} <= set(at.index):
        return all_diverged(summary, Statement("", "not judged" if len(summary) else "not trained"))
    gap, p = _gap(at, spreads, "norm", "none")
    where = f"in {network(at.network.iloc[0])} {after(at.recipe.iloc[0])}"
    reached = f"γ and β of LayerNorm alone reach {percent(at['mean']['norm'])} {where}"
    if not p < LEVEL:
        known = p == p
        chance = "no more than chance" if known else "one run each, so that it may be chance"
        return Statement(f"That cannot be told: {reached}, {chance}.", "too close" if known else "not judged")
    said = f"{upper(reached)}; untrained it has {percent(at['mean']['none'])}"
    said += f", with everything trained {percent(at['mean']['all'])}" if "all" in at.index else ""
    shown = at[at.index.isin(["norm", "none", "all"])]
    once = (shown.n <= 1).all()
    said += ". Each was trained once: how far they scatter by chance is taken from the ResNets" if once else few(shown)
    return Statement(f"{said}.", "yes" if gap > 0 else "no")


def beside_output(summary: pd.DataFrame, resnets: pd.DataFrame) -> Statement:
    """Whether γ and β of a transformer do more than its output layer alone, and what both together do. As `transformer`."""
    at, spreads = _deepest(summary, resnets)
    if not {"norm", "output"} <= set(at.index):
        return Statement("")
    gap, p = _gap(at, spreads, "norm", "output")
    doubt = "" if p < LEVEL else ", which may be chance"
    both = f"; both together reach {percent(at['mean']['norm+output'])}" if "norm+output" in at.index else ""
    how = f"{points(gap)} {'more' if gap > 0 else 'less'} than the output layer alone{doubt}"
    return Statement(f"In {network(at.network.iloc[0])} γ and β alone give {how}{both}.")


def adam(summary: pd.DataFrame, resnets: pd.DataFrame) -> Statement:
    """What Adam changes in a transformer, with γ and β alone and with everything trained. As `transformer`."""
    (at, spreads), said = _deepest(summary, resnets), []
    for sgd, name in (("norm", "γ and β"), ("all", "everything")):
        if {sgd, f"{name}, Adam"} <= set(at.index):
            gap, p = _gap(at, spreads, f"{name}, Adam", sgd)
            doubt = "" if p < LEVEL else " (which may be chance)"
            said.append(f"{points(gap)} {'better' if gap > 0 else 'worse'} with {label(sgd)} trained{doubt}")
    return Statement(f"Adam at a learning rate of 0.001 is {listing(said)} than SGD as in the recipe." if said else "")


def _deepest(summary: pd.DataFrame, resnets: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points of the deepest transformer of which γ and β were trained, at the best recipe, by variant; all of that recipe."""
    own = best(sound(summary))
    deepest = own.depth == own[own.variant == "norm"].depth.max()
    return own[deepest].set_index("variant"), pd.concat([own, sound(resnets)[lambda rows: rows.recipe.isin(own.recipe)]])


def _gap(at: pd.DataFrame, spreads: pd.DataFrame, one: str, other: str) -> tuple[float, float]:
    """By how much one variant is better than another, and p; spreads: points that say how much a single run scatters."""
    gap = float(at["mean"][one] - at["mean"][other])
    return gap, tested(gap, (at.sd[one], at.n[one]), (at.sd[other], at.n[other]), spread(spreads))[0]


def table(compared: pd.DataFrame):
    """The rows of `against_batch` as a table to read."""
    shown = compared[["other", *(name for name in compared if name != "other")]].rename(columns={"other": "against"})
    return difference_table(shown, "BatchNorm", "the other")


def figure(resnets: pd.DataFrame, transformers: pd.DataFrame) -> Figure:
    """Test accuracy of every normalisation, a row each, γ and β alone and everything; of a transformer, of every trainable set.

    Both of `analysis.summarise`. A panel for each network and recipe, of ResNets those with more than BatchNorm to show. Bars: one
    standard deviation of three or more replicates.
    """
    rows = resnets.assign(row=resnets.variant.astype(str).str.removesuffix(EVERYTHING))
    found = [(key, own, (BASE, *OTHERS)) for key, own in groups(rows) if set(own.row) != {BASE}]
    for key, own in groups(transformers):
        names = own.assign(row=own.variant.astype(str).map(label))
        found.append((key, names, dict.fromkeys(names.sort_values("mean").row)))
    found = [(key, own, [name for name in names if name in set(own.row)]) for key, own, names in found]
    if not found:
        return nothing()
    with house_style():
        heights = [0.42 * len(names) + 0.3 for *_, names in found]
        figure, axes = column(len(found), sum(heights) + 0.45 * len(found) + 0.9, height_ratios=heights)
        for ax, ((place, recipe), own, names) in zip(axes, found, strict=True):
            for y, name in enumerate(names):
                for row in own[own.row == name].itertuples():
                    beside(ax, row, y)
            ax.axvline(10, color=GREY, linestyle="--", linewidth=1, zorder=1)
            ax.set_yticks(range(len(names)), names)
            ax.grid(axis="y", visible=False)
            ax.set_ylim(len(names) - 0.5, -0.7)
            ax.set_title(f"{place}: {OURS[recipe]}", loc="left")
        axes[-1].set_xlim(0, 100)
        axes[-1].set_xlabel("test accuracy (%)")
        sets = list(dict.fromkeys(name for _, own, _ in found for name in own.trainable.replace("bn", "norm")))
        handles = [Line2D([], [], color=look(one)[0], marker=look(one)[1], linestyle="", label=label(one)) for one in sets]
        handles.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="chance"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure.alt = _alt(found)
    return figure


def _alt(found: list) -> str:
    """The figure in words: of each network at its best recipe every point."""
    longest = recipes_of(pd.concat([own for _, own, _ in found]))[0]
    said = []
    for (place, recipe), own, names in found:
        if recipe == longest or len(found) < 4:
            own = own[own.n > 0].assign(rank=own.row.map(names.index)).sort_values(["rank", "mean"])
            each = (f"{row.row}{', everything' if EVERYTHING in row.variant else ''}, {row.mean:.0f} %" for row in own.itertuples())
            said.append(f"{place}, {OURS[recipe]}: {'; '.join(each)}.")
    return " ".join(["Test accuracy with each normalisation, with γ and β alone unless it says otherwise.", *said])
