"""How few bytes keep a network of some accuracy: a seed with γ and β, against a narrow network trained as a whole."""

from fractions import Fraction

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.gamma import of_runs
from bnlib.report.analysis.probes import probed
from bnlib.report.analysis.replicates import PLACE, together
from bnlib.report.analysis.tables import difference_table, table
from bnlib.report.analysis.verdicts import FULL, LEVEL, RECIPES, best
from bnlib.report.analysis.words import mean_and_sd
from bnlib.report.figures.marks import band, recipes_of
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import HALO, MUTED, OURS, house_style, look
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper
from bnlib.spec.architecture import Architecture
from bnlib.spec.choices import FORMATS

SEED, DENSE = "bn", "all"  # the two ways
CRITIQUE = (13.0, 17.0)  # by so many points, says a public critique, are seeds behind small dense networks of the same bytes
BITS = dict(zip(FORMATS, ("32 bits", "16 bits", "8 bits"), strict=True))
DASHES = dict(zip(FORMATS, (":", "--", "-"), strict=True))


def kept(runs: pd.DataFrame) -> pd.DataFrame:
    """What the networks of `runs` that have been asked reach from how many bytes: a row for each point and format.

    runs: of `experiments.runs("beyond_bytes")`. The point's fields; format, bytes; mean, sd, n, each, seeds: as of `summarise`.
    """

    def read(run):
        rows = [{"format": form, **kept} for form, kept in run.probe("quantised").items()]
        return [pd.DataFrame(rows).assign(percent=lambda frame: 100 * frame.accuracy)]

    return together(of_runs(probed(runs, "quantised"), read), "percent", "format", "bytes")


def frontier(points_: pd.DataFrame) -> pd.DataFrame:
    """Those of `points_`, of one recipe and way, that no other reaches with as few bytes; by bytes."""
    rows = points_.sort_values(["bytes", "mean"], ascending=[True, False])
    return rows[rows["mean"] > rows["mean"].cummax().shift(fill_value=-np.inf)]


def dense_at(points_: pd.DataFrame, size: float) -> dict | None:
    """What a fully trained network of `size` bytes reaches, in the format in which that is most; None if all are larger or smaller.

    points_: of `kept`, of one recipe. Interpolated between the networks of one format, linear in the logarithm of the bytes.
    mean_less, sd_less, n_less: the percentage; of the two networks beside it the greater spread and the fewer replicates. smaller,
    smaller_work: the one of no more bytes, and its multiplications.
    """
    found = []
    for form in FORMATS:
        line = frontier(points_[(points_.variant == DENSE) & (points_.format == form)])
        sizes = line.bytes.to_numpy(float)
        if len(line) > 1 and sizes[0] <= size <= sizes[-1]:
            place = min(int(np.searchsorted(sizes, size, side="right")), len(line) - 1)
            near, mean = line.iloc[place - 1 : place + 1], np.interp(np.log(size), np.log(sizes), line["mean"].astype(float))
            beside = {"smaller": near.network.iloc[0], "smaller_work": multiplications(near.iloc[0])}
            found.append({"mean_less": mean, "sd_less": near.sd.max(), "n_less": near.n.min(), **beside})
    return max(found, key=lambda one: one["mean_less"], default=None)


def at_equal_bytes(points_: pd.DataFrame, form: str | None = None) -> pd.DataFrame:
    """How much better a seed is than a fully trained network of as many bytes: a row for each network that comes from a seed.

    points_: of `kept`. form: how a seed's numbers are kept; of the formats, if None, that in which it does best against
    `dense_at`. A seed counts where no other one does better in as few bytes: nobody would keep it. Nothing is extrapolated.
    Returns network, depth, width, recipe, format, bytes, smaller, smaller_work, more (the seed's accuracy), less (the other's),
    difference, half, p, n: as `analysis.differences`.
    """
    each = []
    for _, own in points_.groupby("recipe", sort=False):
        seeds = own[own.variant == SEED]
        best_ = frontier(seeds)
        each.append((own, best_ if form is None else seeds[(seeds.format == form) & seeds.network.isin(best_.network)]))
    return _beside(points_, each)


def beaten(points_: pd.DataFrame) -> pd.DataFrame:
    """Those seeds that `at_equal_bytes` leaves out, as another one does better in as few bytes; rows as there."""
    each = []
    for _, own in points_.groupby("recipe", sort=False):
        seeds = own[own.variant == SEED]
        each.append((own, seeds[~seeds.network.isin(frontier(seeds).network)]))
    return _beside(points_, each)


def _beside(points_: pd.DataFrame, each: list[tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Seeds, each beside what a fully trained network of as many bytes reaches. each: of a recipe all points, and these seeds."""
    rows = []
    for own, seeds in each:
        for seed in seeds.itertuples():
            if dense := dense_at(own, seed.bytes):
                names = (*PLACE, "format", "bytes", "mean", "sd", "n")
                rows.append({name: getattr(seed, name) for name in names} | dense)
    sides = ["mean", "sd", "n", "mean_less", "sd_less", "n_less"]
    found = pd.DataFrame(rows, columns=[*PLACE, "format", "bytes", "smaller", "smaller_work", *sides])
    gap = (found["mean"] - found.mean_less).astype(float)
    found = found.loc[gap.groupby([found.recipe, found.network], sort=False).idxmax()] if len(found) else found
    # How a single run scatters is that of the runs, once: their formats scatter together.
    return differing(found.reset_index(drop=True), points_[points_.format == FORMATS[0]])


def answer(points_: pd.DataFrame) -> Statement:
    """Whether a seed with γ and β is the smallest thing to store for its accuracy, at the longest recipe that says so.

    points_: of `kept`. *no*: fully trained networks of as many bytes do better, by a test, at one size at least; `of` says at how
    many. *yes*: seeds do better, and nowhere worse.
    """
    rows = best(at_equal_bytes(points_)).sort_values("bytes")
    if not len(rows):
        return Statement("", "not judged" if len(points_) else "not trained")
    behind, ahead = rows[(rows.p < LEVEL) & (rows.difference < 0)], rows[(rows.p < LEVEL) & (rows.difference > 0)]
    verdict, decided = ("no", behind) if len(behind) else ("yes", ahead) if len(ahead) else ("too close", rows)
    first, last = rows.iloc[0], rows.iloc[-1]
    open_to_chance = lambda row: not (row.p < LEVEL or rows.p.isna().all() or verdict == "too close")  # noqa: E731
    doubt = lambda row: ", a difference that may be chance" if open_to_chance(row) else ""  # noqa: E731
    narrow = f"a narrow network of as many bytes, trained as a whole, about {percent(first.less)}{doubt(first)}"
    text = f"{upper(after(first.recipe))} a seed with γ and β reaches {percent(first.more)} in {size(first.bytes)}, {narrow}"
    if len(rows) > 1:
        text += f"; and {percent(last.more)} in {size(last.bytes)}, against about {percent(last.less)}{doubt(last)}"
    if rows.p.isna().all():
        return Statement(f"{text}. One run each, so no order can be told.", "not judged")
    if verdict == "too close":
        return Statement(f"{text}. They are no further apart than by chance.", verdict)
    open_, of = len(rows) - len(behind) - len(ahead), ""
    if len(decided) < len(rows):
        of = f"at {len(decided)} of {len(rows)} sizes" + (f", open at {open_}" if open_ else "")
    if len(behind) and len(ahead):
        below = ahead.bytes.max() < behind.bytes.min()
        text += f". It is ahead {'up to ' + size(ahead.bytes.max()) if below else 'at ' + listing(map(size, ahead.bytes))}"
    elif open_ and decided.bytes.min() > rows.bytes[~rows.index.isin(decided.index)].max():
        text += f". From {size(decided.bytes.min())} on it is {'behind' if len(behind) else 'ahead'}{few(decided)}"
    return Statement(f"{text}.", verdict, of)


def longer(points_: pd.DataFrame) -> Statement:
    """What seeds reach after the paper's epochs, where no narrow network has been trained so long to hold them against."""
    seeds = points_[(points_.variant == SEED) & points_.recipe.isin(FULL)]
    if not len(seeds) or at_equal_bytes(points_).recipe.isin(FULL).any():
        return Statement("")
    top = seeds.sort_values(["mean", "bytes"], ascending=[False, True]).iloc[0]
    small = seeds[(seeds.network == top.network) & (seeds.recipe == top.recipe)].sort_values("bytes").iloc[0]
    most = f"{percent(top['mean'])} in {size(top.bytes)}"
    less = f", and {percent(small['mean'])} in {size(small.bytes)}" if small.bytes < top.bytes else ""
    return Statement(
        f"{upper(after(small.recipe))} a seed reaches up to {most}{less}{few(seeds.loc[[top.name, small.name]])}; narrow networks "
        "have not been trained so long, so nothing there can be compared."
    )


def critique(compared: pd.DataFrame, whole: pd.DataFrame, others: pd.DataFrame) -> Statement:
    """Whether the public critique is right: what it says against what is measured, at each size.

    It is where the gap is what it says and more than chance, it is not where its 95 % interval lies outside of that.
    compared: of `at_equal_bytes`, each seed in its best format; whole: of it, too, in the format that nothing was rounded to.
    others: of `beaten`, of which the one that lies furthest behind is named.
    """
    rows = best(compared).sort_values("bytes")
    if not len(rows):
        return Statement("")
    gap, half, (low, high) = -rows.difference, rows.half, CRITIQUE
    kinds = ("as it says", "smaller", "larger", "the other way round", "not clear")
    right = gap.between(low, high) & (rows.p < LEVEL)
    said = np.select([right, gap + half < 0, gap + half < low, gap - half > high], [kinds[0], kinds[3], *kinds[1:3]], kinds[4])
    count, known = len(rows), (said != kinds[4]).any()
    far = f", up to {size(rows.bytes.max())}" if known else ""  # a gap that grows may be as large where none was compared
    so = f", rounded to {BITS[rows.format.iloc[0]]}," if rows.format.nunique() == 1 and rows.format.iloc[0] != FORMATS[0] else ""
    who = f"For such a seed the critique does not hold here{far}" if known else "Whether the critique holds here cannot be told"
    if right.any():
        who = f"For such a seed the critique holds here{'' if right.all() else ' at some sizes only'}"
    found = [f"{words} at {number((said == words).sum())}" for words in kinds if (said == words).any()]
    each = listing(found) if len(found) > 1 else said[0] if count == 1 else f"{said[0]} at each"
    seeds = f"of the {number(count)} seeds compared, " if count > 1 else ""
    more = "" if right.all() or not known else f": {seeds}the gap is {each}"
    grows = ", further behind the larger it is" if len(gap) > 2 and gap.is_monotonic_increasing else ""
    return Statement(
        f"A public critique says that a seed with a few trained numbers lies {low:.0f} to {high:.0f} points behind a small dense "
        f"network of equal bytes. {upper(after(rows.recipe.iloc[0]))} it is{so} {_span(gap)}{grows}. {who}{more}."
        f"{_unrounded(rows, whole)}{_left_out(rows, others)}"
    )


def _span(gap: pd.Series) -> str:
    """From the least to the greatest of these gaps in points: 1.0 to 2.0 points behind, 1.0 points ahead to 2.0 points behind."""
    least, most = sorted((gap.min(), gap.max()), key=abs)
    side = lambda one: "behind" if one > 0 else "ahead"  # noqa: E731
    if len(gap) == 1 or side(least) != side(most):
        return " to ".join(dict.fromkeys(f"{points(one)} {side(one)}" for one in (gap.min(), gap.max())))
    return f"{abs(least):.1f} to {points(most)} {side(most)}"


def _unrounded(rows: pd.DataFrame, whole: pd.DataFrame) -> str:
    """How far the same seeds lie behind if nothing is rounded, and what that says of the critique. rows, whole: of `critique`."""
    own = whole[(whole.recipe == rows.recipe.iloc[0]) & whole.network.isin(rows.network)]
    if not len(own) or (rows.format == FORMATS[0]).all():
        return ""
    gap, (low, high) = -own.difference.astype(float), CRITIQUE
    holds = (gap >= low) & (own.p < LEVEL)
    says = (
        f"as the critique says{', or more' if (gap[holds] > high).any() else ''}" if holds.any() else "less than the critique says"
    )
    says += "" if holds.all() or not holds.any() else f", at {number(holds.sum())} of {number(len(own))} sizes"
    return f" Kept in {BITS[FORMATS[0]]} it is {_span(gap)}{few(own)}: {says}."


def _left_out(rows: pd.DataFrame, others: pd.DataFrame) -> str:
    """Of the seeds that are not among the compared, as a smaller one does better, the one that lies furthest behind."""
    others = others[(others.recipe == rows.recipe.iloc[0]) & (others.difference < 0)]
    if not len(others):
        return ""
    last = others.loc[others.difference.astype(float).idxmin()]
    as_said = ", as the critique says" if CRITIQUE[0] <= -last.difference <= CRITIQUE[1] else ""
    return (
        f" {network(last.network)} is not among them, as a smaller seed reaches as much: in {size(last.bytes)} it is "
        f"{points(last.difference)} behind{as_said}{few(others.loc[[last.name]])}."
    )


def rounding(points_: pd.DataFrame) -> Statement:
    """What 8 bits cost in accuracy, of each way at most. points_: of `kept`."""
    own = points_[points_.recipe.isin(RECIPES)].pivot(index=["recipe", "network", "variant"], columns="format", values="mean")
    worst = (own[FORMATS[0]] - own["int8"]).groupby("variant", observed=True).max() if len(own) else own
    names = {SEED: "of a seed with γ and β", DENSE: "of a fully trained network"}
    lost = lambda most: "no accuracy" if most < 0.05 else f"at most {points(most)}"  # noqa: E731
    each = [f"{lost(worst[way])} {name}" for way, name in names.items() if way in worst]
    return Statement(f"Eight bits a number instead of 32 cost {listing(each)}." if each else "")


def work(compared: pd.DataFrame) -> Statement:
    """What computing costs: the largest seed that was compared, beside the fully trained network that no more bytes keep."""
    rows = best(compared).sort_values("bytes")
    if not len(rows):
        return Statement("")
    seed = rows.iloc[-1]
    return Statement(
        f"{network(seed.network)} drawn from its seed computes as much as if it were stored whole: "
        f"{multiplications(seed) / 1e6:,.0f} million multiplications an image, where {network(seed.smaller)}, kept in no more "
        f"bytes, takes {seed.smaller_work / 1e6:,.1f} million."
    )


def multiplications(point) -> int:
    """How many multiplications the convolutions of a point's network take for an image of 32×32."""
    return Architecture(int(point.depth), point.width).multiplications


def figure(points_: pd.DataFrame) -> Figure:
    """Test accuracy against the bytes that keep the network, a line for each way and format, a panel for each recipe.

    points_: of `kept`. Labels: N of ResNet-N, W of WRN-14-W.
    """
    if not len(points_):
        return nothing("no network has been asked yet")
    recipes = recipes_of(points_)
    with house_style():
        drawn, axes = column(len(recipes), 3.6 * len(recipes) + 0.9)
        for ax, recipe in zip(axes, recipes, strict=True):
            for (way, form), rows in points_[points_.recipe == recipe].groupby(["variant", "format"], observed=True):
                (colour, marker, _), rows = look(way), rows.sort_values("bytes")
                ax.plot(rows.bytes, rows["mean"], color=colour, marker=marker, markersize=4, linestyle=DASHES[form], linewidth=1.3)
                band(ax, rows, "bytes", colour)
                # Seeds' at the left of their lines, the others' at the right of theirs: there is room.
                for row in rows[rows.format == ("int8" if way == SEED else "fp32")].itertuples():
                    text, place, align = (row.depth, (-4, 5), "right") if way == SEED else (fraction(row.width), (5, -11), "left")
                    style = {"ha": align, "fontsize": 9, "color": colour, "path_effects": HALO}
                    ax.annotate(text, (row.bytes, row.mean), place, textcoords="offset points", **style)
            ax.set_xscale("log")
            ax.set_xticks(ticks := [10**k for k in range(3, 7)], [size(tick) for tick in ticks])
            ax.minorticks_off()
            ax.set_xlim(0.8 * points_.bytes.min(), 1.5 * points_.bytes.max())
            ax.set_ylim(10 * max(0, points_["mean"].min() // 10 - 1), 100)  # lines, which need not begin at 0
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(OURS[recipe], loc="left")
        axes[-1].set_xlabel("bytes that keep the network (log scale); labels: N of ResNet-N, W of WRN-14-W")
        names = {SEED: "seed, γ and β", DENSE: "every weight stored"}
        handles = [Line2D([], [], color=look(way)[0], marker=look(way)[1], markersize=4, label=name) for way, name in names.items()]
        handles += [Line2D([], [], color=MUTED, linestyle=dash, label=form) for form, dash in reversed(DASHES.items())]
        drawn.legend(handles=handles, loc="outside lower center", ncols=5)
    own = points_[(points_.recipe == recipes[0]) & (points_.format == "int8")].sort_values("bytes")
    said = [
        f"{names[way]}: " + ", ".join(f"{row.mean:.0f} % from {size(row.bytes)}" for row in own[own.variant == way].itertuples())
        for way in names
        if (own.variant == way).any()
    ]
    drawn.alt = f"Test accuracy against the bytes that keep the network, at 8 bits, {OURS[recipes[0]]}. {'; '.join(said)}."
    return drawn


def fraction(width: float) -> str:
    """A width as a label has it: 3/16 for 0.1875."""
    return str(Fraction(width))


def kept_table(points_: pd.DataFrame):
    """The rows of `kept` as a table to read, with what computing takes."""
    rows = points_.sort_values(["recipe", "variant", "bytes"], kind="stable")
    shown = rows[["network", "trainable", "recipe", "format", "bytes"]].assign(
        accuracy=mean_and_sd(rows), n=rows.n, work=[multiplications(row) / 1e6 for row in rows.itertuples()]
    )
    return table(shown.rename(columns={"work": "million multiplications"}), {"bytes": "{:,.0f}"})


def size(count: float) -> str:
    """Bytes as a person says them: 940 bytes, 1.3 kB, 178 kB; a kB is 1,000 bytes."""
    if count < 1000:
        return f"{count:.0f}\u00a0bytes"
    unit, name = (1e6, "MB") if count >= 999_500 else (1e3, "kB")
    return f"{count / unit:.{0 if count / unit >= 10 else 1}f}".removesuffix(".0") + f"\u00a0{name}"


def compared_table(points_: pd.DataFrame):
    """The rows of `at_equal_bytes`, in each format, as a table to read."""
    each = pd.concat([at_equal_bytes(points_, form) for form in reversed(FORMATS)], ignore_index=True)
    rows = each.sort_values(["recipe", "depth", "bytes"], kind="stable").drop(columns=["smaller", "smaller_work"])
    return difference_table(rows.assign(bytes=rows.bytes.map(size)), "seed", "fully trained")
