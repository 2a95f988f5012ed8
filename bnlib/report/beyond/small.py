"""How few bytes keep a network of some accuracy: a seed with γ and β, against a narrow network trained as a whole."""

from fractions import Fraction

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.analysis.tables import difference_table, table
from bnlib.report.analysis.verdicts import FULL, LEVEL, RECIPES, best
from bnlib.report.analysis.words import mean_and_sd
from bnlib.report.beyond.equal_bytes import BITS, DENSE, SEED, at_equal_bytes, multiplications
from bnlib.report.figures.marks import band, recipes_of
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import HALO, MUTED, OURS, house_style, look
from bnlib.report.statements.grammar import Statement, after, few, in_bytes, listing, network, percent, points, upper
from bnlib.spec.choices import FORMATS

DASHES = dict(zip(FORMATS, (":", "--", "-"), strict=True))


def answer(points_: pd.DataFrame) -> Statement:
    """Whether a seed with γ and β is the smallest thing to store for its accuracy, at the longest recipe that says so.

    points_: of `equal_bytes.kept`. *no*: fully trained networks of as many bytes do better, by a test, at one size at least; `of`
    says at how many. *yes*: seeds do better, and nowhere worse.
    """
    rows = best(at_equal_bytes(points_)).sort_values("bytes")
    if not len(rows):
        return Statement("", "not judged" if len(points_) else "not trained")
    behind, ahead = rows[(rows.p < LEVEL) & (rows.difference < 0)], rows[(rows.p < LEVEL) & (rows.difference > 0)]
    verdict, decided = ("no", behind) if len(behind) else ("yes", ahead) if len(ahead) else ("too close", rows)
    first, last = rows.iloc[0], rows.iloc[-1]
    chance = ", a difference that may be chance" if len(behind) or len(ahead) else ""  # else it is said of all at once
    doubt = lambda row: "" if row.p < LEVEL else chance  # noqa: E731
    narrow = f"a narrow network of as many bytes, trained as a whole, about {percent(first.less)}{doubt(first)}"
    text = f"{upper(after(first.recipe))} a seed with γ and β reaches {percent(first.more)} in {in_bytes(first.bytes)}, {narrow}"
    if len(rows) > 1:
        text += f"; and {percent(last.more)} in {in_bytes(last.bytes)}, against about {percent(last.less)}{doubt(last)}"
    if rows.p.isna().all():
        return Statement(f"{text}. One run each, so no order can be told.", "not judged")
    if verdict == "too close":
        return Statement(f"{text}. They are no further apart than by chance.", verdict)
    open_, of = len(rows) - len(behind) - len(ahead), ""
    if len(decided) < len(rows):
        of = f"at {len(decided)} of {len(rows)} sizes" + (f", open at {open_}" if open_ else "")
    if len(behind) and len(ahead):
        below = (rows.bytes <= ahead.bytes.max()).sum() == len(ahead)
        text += f". It is ahead {'up to ' + in_bytes(ahead.bytes.max()) if below else 'at ' + listing(map(in_bytes, ahead.bytes))}"
    elif open_ and decided.bytes.min() > rows.bytes[~rows.index.isin(decided.index)].max():
        text += f". From {in_bytes(decided.bytes.min())} on it is {'behind' if len(behind) else 'ahead'}{few(decided)}"
    return Statement(f"{text}.", verdict, of)


def longer(points_: pd.DataFrame) -> Statement:
    """What seeds reach after the paper's epochs, where no narrow network has been trained so long to hold them against."""
    seeds = points_[(points_.variant == SEED) & points_.recipe.isin(FULL)]
    if not len(seeds) or at_equal_bytes(points_).recipe.isin(FULL).any():
        return Statement("")
    top = seeds.sort_values(["mean", "bytes"], ascending=[False, True]).iloc[0]
    small = seeds[(seeds.network == top.network) & (seeds.recipe == top.recipe)].sort_values("bytes").iloc[0]
    most = f"{percent(top['mean'])} in {in_bytes(top.bytes)}"
    less = f", and {percent(small['mean'])} in {in_bytes(small.bytes)}" if small.bytes < top.bytes else ""
    return Statement(
        f"{upper(after(small.recipe))} a seed reaches up to {most}{less}{few(seeds.loc[[top.name, small.name]])}; narrow networks "
        "have not been trained so long, so nothing there can be compared."
    )


def rounding(points_: pd.DataFrame) -> Statement:
    """What 8 bits cost in accuracy, of each way at most. points_: of `equal_bytes.kept`."""
    own = points_[points_.recipe.isin(RECIPES)].pivot(index=["recipe", "network", "variant"], columns="format", values="mean")
    worst = (own[FORMATS[0]] - own["int8"]).groupby("variant", observed=True).max() if len(own) else own
    names = {SEED: "of a seed with γ and β", DENSE: "of a fully trained network"}
    lost = lambda most: "no accuracy" if most < 0.05 else f"at most {points(most)}"  # noqa: E731
    each = [f"{lost(worst[way])} {name}" for way, name in names.items() if way in worst]
    return Statement(f"Eight bits a number instead of 32 cost {listing(each)}." if each else "")


def work(points_: pd.DataFrame) -> Statement:
    """What computing costs: the largest seed that was compared, beside the fully trained network that no more bytes keep."""
    rows = best(at_equal_bytes(points_)).sort_values("bytes")
    if not len(rows):
        return Statement("")
    seed = rows.iloc[-1]
    return Statement(
        f"{network(seed.network)} drawn from its seed computes as much as if it were stored whole: "
        f"{multiplications(seed) / 1e6:,.0f} million multiplications an image, where {network(seed.smaller)}, kept in no more "
        f"bytes, takes {seed.smaller_work / 1e6:,.1f} million."
    )


def figure(points_: pd.DataFrame) -> Figure:
    """Test accuracy against the bytes that keep the network, a line for each way and format, a panel for each recipe.

    points_: of `equal_bytes.kept`. Labels: N of ResNet-N, W of WRN-14-W.
    """
    if not len(points_):
        return nothing("no network has been asked yet")
    recipes = recipes_of(points_)
    with house_style():
        drawn, axes = column(len(recipes), 3.6 * len(recipes) + 0.9)
        for ax, recipe in zip(axes, recipes, strict=True):
            for (way, form), rows in points_[points_.recipe == recipe].groupby(["variant", "format"], observed=True):
                (colour, marker, _), rows = look(way), rows.sort_values("bytes")
                strong = form == FORMATS[-1]  # in which each does best; of the others only how far they lie
                how = {"markersize": 4.5, "linewidth": 1.5} if strong else {"markersize": 2.5, "linewidth": 0.8}
                ax.plot(rows.bytes, rows["mean"], color=colour, marker=marker, linestyle=DASHES[form], **how)
                if strong:
                    band(ax, rows, "bytes", colour)
                # Seeds' below their line, the others' above theirs: there is room.
                for row in rows.itertuples() if strong else ():
                    text, place, align = (row.depth, (3, -12), "left") if way == SEED else (fraction(row.width), (-3, 5), "right")
                    style = {"ha": align, "fontsize": 9, "color": colour, "path_effects": HALO}
                    ax.annotate(text, (row.bytes, row.mean), place, textcoords="offset points", **style)
            ax.set_xscale("log")
            ax.set_xticks(ticks := [10**k for k in range(3, 7)], [in_bytes(tick) for tick in ticks])
            ax.minorticks_off()
            ax.set_xlim(0.6 * points_.bytes.min(), 1.5 * points_.bytes.max())
            ax.set_ylim(10 * max(0, points_["mean"].min() // 10 - 1), 100)  # lines, which need not begin at 0
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(OURS[recipe], loc="left")
        axes[-1].set_xlabel("bytes that keep the network (log scale); labels: N of ResNet-N, W of WRN-14-W")
        names = {SEED: "seed, γ and β", DENSE: "every weight stored"}
        handles = [Line2D([], [], color=look(way)[0], marker=look(way)[1], markersize=4, label=name) for way, name in names.items()]
        handles += [Line2D([], [], color=MUTED, linestyle=dash, label=form) for form, dash in reversed(DASHES.items())]
        drawn.legend(handles=handles, loc="outside lower center", ncols=5)
    said = []
    for recipe in recipes:
        own = points_[(points_.recipe == recipe) & (points_.format == FORMATS[-1])].sort_values("bytes")
        lines = {name: own[own.variant == way] for way, name in names.items()}
        each = [
            f"{name}, " + listing(f"{row.mean:.0f} % in {in_bytes(row.bytes)}" for row in rows.itertuples())
            for name, rows in lines.items()
            if len(rows)
        ]
        said.append(f"{upper(OURS[recipe])}: {'; '.join(each)}.")
    drawn.alt = f"Test accuracy against the bytes that keep the network, at {BITS[FORMATS[-1]]} a number. {' '.join(said)}"
    return drawn


def fraction(width: float) -> str:
    """A width as a label has it: 3/16 for 0.1875."""
    return str(Fraction(width))


def kept_table(points_: pd.DataFrame):
    """The rows of `equal_bytes.kept` as a table to read, with what computing takes."""
    rows = points_.sort_values(["recipe", "variant", "bytes"], kind="stable")
    shown = rows[["network", "trainable", "recipe", "format", "bytes"]].assign(
        accuracy=mean_and_sd(rows), n=rows.n, work=[multiplications(row) / 1e6 for row in rows.itertuples()]
    )
    return table(shown.rename(columns={"work": "million multiplications"}), {"bytes": "{:,.0f}"})


def compared_table(points_: pd.DataFrame):
    """The rows of `at_equal_bytes`, in each format on both sides, and the seed alone not rounded, as a table to read."""
    sides = [*((form, form) for form in reversed(FORMATS)), (FORMATS[0], FORMATS[-1])]
    each = pd.concat([at_equal_bytes(points_, *both) for both in sides], ignore_index=True)
    rows = each.sort_values(["recipe", "depth", "bytes"], kind="stable").drop(columns=["smaller", "smaller_work"])
    rows = rows.rename(columns={"format": "seed's format", "format_less": "the other's"})
    return difference_table(rows.assign(bytes=rows.bytes.map(in_bytes)), "seed", "fully trained")
