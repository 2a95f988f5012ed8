"""A trained network carried to new classes by few images: a table, a figure, and what they say."""

import pandas as pd
from matplotlib.figure import Figure

from bnlib import experiments
from bnlib.report.analysis.replicates import corrected, sound, spread, summarise, tested
from bnlib.report.analysis.tables import table
from bnlib.report.analysis.verdicts import LEVEL, RECIPES
from bnlib.report.analysis.words import counts, mean_and_sd
from bnlib.report.beyond.tasks import PLACE, at, each, every
from bnlib.report.figures.marks import chance, handle, line
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import house_style, label, order
from bnlib.report.statements.grammar import Statement, few, listing, network, number, percent, points, what

GUESS = 20  # percent, of five classes


def carried(runs: pd.DataFrame) -> pd.DataFrame:
    """What each set reaches with so many images a class, at each rate: `analysis.summarise`, with images, rate, and best.

    runs: of the experiment `beyond_transfer`. best: whether of the set's two rates this one ends higher, on the test images.
    """
    fields = experiments.experiment("beyond_transfer").variants
    found = summarise(runs)
    images, rates = ([fields[one][name] for one in found.variant] for name in ("train_images", "lr"))
    found = found.assign(images=[count // 5 for count in images], rate=rates)
    highest = sound(found).groupby([*PLACE, "images", "trainable"])["mean"].idxmax()
    return found.assign(best=found.index.isin(highest))


def ranking(points_: pd.DataFrame, spreads: pd.DataFrame | None = None) -> pd.DataFrame:
    """The sets at their better rate, for each number of images, the best first.

    points_: of `carried`. spreads: points whose replicates say how far a single run with as many images scatters; None: these.
    Returns images, trainable, rate, rates, mean, sd, n, gap, p. rates: how many have been tried. gap: to the first, in points;
    p: of that (`replicates.tested`), corrected for all of these tests together; NaN in the first row. In the network and recipe of
    which there is most.
    """
    both, rows = at(points_), []
    own, tried = both[both.best], both.groupby(["images", "trainable"]).rate.nunique()
    for images, group in own.groupby("images"):
        pooled = _spread(both if spreads is None else spreads, group.recipe.iloc[0], images)
        group = group.sort_values("mean", ascending=False)
        first = group.iloc[0]
        for i, row in enumerate(group.itertuples()):
            gap = float(first["mean"] - row.mean)
            p = tested(gap, (first.sd, first.n), (row.sd, row.n), pooled)[0] if i else float("nan")
            of = row.network, row.recipe, images, row.trainable, row.rate, tried[images, row.trainable]
            rows.append((*of, row.mean, row.sd, row.n, row.diverged, gap, p))
    names = ["network", "recipe", "images", "trainable", "rate", "rates", "mean", "sd", "n", "diverged", "gap", "p"]
    found = pd.DataFrame(rows, columns=names)
    return found.assign(p=corrected(found.p))


def less_pays(ranked: pd.DataFrame) -> Statement:
    """Whether it pays to train less than everything, and where. ranked: of `ranking`.

    It does with so many images, if a smaller set comes first and everything falls behind it by more than chance; it does not, if
    everything comes first and all others fall behind it by more than chance. Only where every set has been trained, at each rate.
    """
    variants = experiments.experiment("beyond_transfer").variants.values()
    found, sets, rates = {}, {one["trainable"] for one in variants}, len({one["lr"] for one in variants})
    for images, group in ranked.groupby("images"):
        if set(group.trainable) == sets and (group.rates == rates).all():
            ahead, whole = group.trainable.iloc[0] != "all", group[group.trainable == "all"]
            clear = (whole.p < LEVEL).all() if ahead else (group.p.iloc[1:] < LEVEL).all()
            known = not group.p.iloc[1:].isna().any()
            found[images] = ("yes" if ahead else "no") if clear else "too close" if known else "not judged"
    if not found:
        there = int(ranked.rates.sum()) if len(ranked) else 0
        are = "is" if there == 1 else "are"
        of = f"the {len(variants)} trainings of {network(ranked.network.iloc[0])}" if there else ""
        some = f"{there} of {of} {are} there, not enough to compare" if there else ""
        return Statement(f"{some}." if some else "", "not judged" if some else "not trained")
    text = _all_alike(ranked[ranked.images.isin(found)]) or " ".join(
        f"With {images:,} images a class, {_first(group)}." for images, group in ranked.groupby("images") if images in found
    )
    name, tried = network(ranked.network.iloc[0]), number(rates)
    text = f"{name}, trained on five classes, goes on with the other five, each set at the better of {tried} learning rates. {text}"
    if ranked.recipe.iloc[0] not in RECIPES or set(found.values()) == {"not judged"}:
        return Statement(text, "not judged")
    where = {verdict: [f"{images:,}" for images, own in found.items() if own == verdict] for verdict in ("yes", "no")}
    verdict = "yes" if where["yes"] else "no" if where["no"] else "too close"
    some = where.get(verdict, found)
    return Statement(text, verdict, "" if len(some) == len(found) else f"with {listing(some)} images a class")


def elsewhere(points_: pd.DataFrame) -> Statement:
    """The same of every other network that has been trained enough to compare. points_: of `carried`."""
    first = set(at(points_).network)
    others = [less_pays(ranking(own, points_)) for own in each(points_) if not first & set(own.network)]
    return Statement(" ".join(found.text for found in others if found))


def edge(points_: pd.DataFrame) -> Statement:
    """Which sets do better at the higher rate by more than chance, and with how many images: a still higher one may do better yet.

    points_: of `carried`. Tested as in `ranking`, corrected for the number of pairs.
    """
    own, rates = sound(at(points_)), ["", "_less"]
    tried = sorted(set(own.rate))[-2:]
    if len(tried) < 2:
        return Statement("")
    low, high = (own[own.rate == rate] for rate in tried)
    both = high.merge(low, on=["trainable", "images"], suffixes=rates)
    gap, sides = (both["mean"] - both.mean_less).astype(float), [both[[f"sd{side}", f"n{side}"]].to_numpy() for side in rates]
    pooled = [_spread(own, own.recipe.iloc[0], images) for images in both.images]
    p = corrected(pd.Series([tested(*one)[0] for one in zip(gap, *sides, pooled, strict=True)], dtype=float))
    sure = both[(p < LEVEL) & (gap > 0)].sort_values("images")
    if not len(sure):
        return Statement("")
    alike = {}  # which sets have it with the same numbers of images
    for one in order(set(sure.trainable)):
        alike.setdefault(listing(f"{images:,}" for images in sure.images[sure.trainable == one]), []).append(_called(one))
    most = sorted(alike, key=len, reverse=True)
    each = [
        f"for {listing(f'{name}' for name in alike[one])} with {one}{' images a class' if not i else ''}"
        for i, one in enumerate(most)
    ]
    least = sure.assign(n=sure[["n", "n_less"]].min(axis=1))
    return Statement(
        f"Learning rate {tried[1]:g} does better than {tried[0]:g}, by more than chance, {'; '.join(each)}"
        f"{few(pd.concat([least, sure]))}. A still higher one may do better yet."
    )


def _spread(points_: pd.DataFrame, recipe: str, images: int) -> tuple[float, int]:
    """How far a single run of that recipe scatters with so many images a class: the fewer, the further."""
    return spread(sound(points_[(points_.recipe == recipe) & (points_.images == images)]))


def _all_alike(ranked: pd.DataFrame) -> str:
    """Where with each number of images the same set is surely best, and the same one next: that, in a sentence; else empty."""
    first, second = (ranked.groupby("images", as_index=False).nth(i) for i in (0, 1))
    sure = (ranked[ranked.p.notna()].p < LEVEL).all() and len(ranked[ranked.p.isna()]) == len(first)
    if not sure or len(first) < 2 or first.trainable.nunique() > 1 or second.trainable.nunique() > 1:
        return ""
    best, ahead = listing(map(percent, first["mean"])), listing(f"{gap:.1f}" for gap in second.gap)
    images, name, other = listing(f"{one:,}" for one in first.images), _called(first.trainable.iloc[0]), second.trainable.iloc[0]
    return (
        f"Training {name} is best with {images} images a class: {best}, {ahead}\u00a0points ahead of {_called(other)}{few(ranked)}."
    )


def _first(group: pd.DataFrame) -> str:
    """Which set is best with so many images, by how much, and which cannot be told from it."""
    first, others = group.iloc[0], group.iloc[1:]
    if others.p.isna().all():
        each = listing(f"{_called(row.trainable)} {percent(row.mean)}" for row in others.itertuples())
        return f"training {_called(first.trainable)} reaches {percent(first['mean'])}, {each}, one run each"
    behind, near = others[others.p < LEVEL], others[~(others.p < LEVEL)]
    text = f"training {_called(first.trainable)} {'comes first' if len(near) else 'is best'}: {percent(first['mean'])}"
    text += f", {points(behind.gap.iloc[0])} ahead of {_called(behind.trainable.iloc[0])}" if len(behind) else ""
    return text + few(group) + (f"; {listing(map(_called, near.trainable))} cannot be told from it" if len(near) else "")


def _called(trainable: str) -> str:
    """What learns, as a sentence on a single network says it."""
    return what(trainable).replace("output layer", "the output layer") + (" alone" if trainable in ("bn", "output") else "")


def table_of(points_: pd.DataFrame):
    """`carried` as a table to read: both rates of each set, of each network at one recipe."""
    own = every(points_).sort_values(["depth", "images", "trainable", "rate"], ascending=[True, True, True, False])
    shown = {"network": own.network, "images a class": own.images, "trainable": own.trainable, "learning rate": own.rate}
    shown |= {"accuracy (%)": mean_and_sd(own), "n": counts(own.n, own.diverged), "shown": own.best.map({True: "yes", False: ""})}
    return table(pd.DataFrame(shown), {"learning rate": "{:g}"})


def figure(points_: pd.DataFrame) -> Figure:
    """Accuracy against images a class, a line for each set at its better rate, a panel for each network. points_: of `carried`."""
    networks = [own for rows in each(points_) if len(own := rows[rows.best])]
    if not networks:
        return nothing()
    shown = pd.concat(networks)
    ticks, sets = sorted(set(shown.images)), order(set(shown.trainable))
    with house_style():
        drawn, axes = column(len(networks), 3.0 * len(networks) + 0.9)
        for ax, own in zip(axes, networks, strict=True):
            for trainable in order(set(own.trainable)):
                line(ax, own[own.trainable == trainable].sort_values("images"), "images", trainable)
            chance(ax, 0.99, GUESS)
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(f"{own.network.iloc[0]}: trained whole on five classes, carried to the other five", loc="left")
        axes[-1].set_xscale("log")
        axes[-1].set_xticks(ticks, [f"{images:,}" for images in ticks])
        axes[-1].minorticks_off()
        axes[-1].set_xlabel("images of each new class to train on (log scale)")
        drawn.legend(handles=[handle(one) for one in sets], loc="outside lower center", ncols=2)
    said = []
    for own in networks:
        for images in dict.fromkeys((min(own.images), max(own.images))):
            some = own[own.images == images].set_index("trainable")["mean"]
            reached = "; ".join(f"{label(one)}, {some[one]:.0f} %" for one in order(some.index))
            said.append(f"{own.network.iloc[0]} with {images:,} images a class: {reached}.")
    drawn.alt = " ".join(["Test accuracy against the images of each new class.", *said])
    return drawn
