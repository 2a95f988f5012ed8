"""A seed with γ and β beside a network trained whole, of as many bytes: what is compared. `small`, `critique` say it."""

import numpy as np
import pandas as pd

from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.gamma import of_runs
from bnlib.report.analysis.probes import probed
from bnlib.report.analysis.replicates import PLACE, together
from bnlib.spec.architecture import Architecture
from bnlib.spec.choices import FORMATS

SEED, DENSE = "bn", "all"  # the two ways
BITS = dict(zip(FORMATS, ("32 bits", "16 bits", "8 bits"), strict=True))


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


def dense_at(points_: pd.DataFrame, size: float, formats: tuple[str, ...] = FORMATS) -> dict | None:
    """What a fully trained network of `size` bytes reaches, in the format in which that is most; None if all are larger or smaller.

    points_: of `kept`, of one recipe. formats: those that it may have. Interpolated between the networks of one format, linear in
    the logarithm of the bytes. format_less: that format; mean_less, sd_less, n_less: the percentage; of the two networks beside it
    the greater spread and the fewer replicates. smaller, smaller_work: the one of no more bytes, and its multiplications.
    """
    found = []
    for form in formats:
        line = frontier(points_[(points_.variant == DENSE) & (points_.format == form)])
        sizes = line.bytes.to_numpy(float)
        if len(line) > 1 and sizes[0] <= size <= sizes[-1]:
            place = min(int(np.searchsorted(sizes, size, side="right")), len(line) - 1)
            near, mean = line.iloc[place - 1 : place + 1], np.interp(np.log(size), np.log(sizes), line["mean"].astype(float))
            beside = {"smaller": near.network.iloc[0], "smaller_work": multiplications(near.iloc[0])}
            found.append({"format_less": form, "mean_less": mean, "sd_less": near.sd.max(), "n_less": near.n.min(), **beside})
    return max(found, key=lambda one: one["mean_less"], default=None)


def at_equal_bytes(points_: pd.DataFrame, form: str | None = None, other: str | None = None) -> pd.DataFrame:
    """How much better a seed is than a fully trained network of as many bytes: a row for each network that comes from a seed.

    points_: of `kept`. form, other: how the numbers of the seed and of the fully trained network are kept; None: that of the
    formats in which it does best. A seed counts where no other one does better in as few bytes: nobody would keep it. Nothing is
    extrapolated. Returns network, depth, width, recipe, format, format_less, bytes, smaller, smaller_work, more (the seed's
    accuracy), less (the other's), difference, half, p, n: as `analysis.differences`.
    """
    each = []
    for _, own in points_.groupby("recipe", sort=False):
        seeds = own[own.variant == SEED]
        best_ = frontier(seeds)
        each.append((own, best_ if form is None else seeds[(seeds.format == form) & seeds.network.isin(best_.network)]))
    return _beside(points_, each, FORMATS if other is None else (other,))


def beaten(points_: pd.DataFrame) -> pd.DataFrame:
    """Those seeds that `at_equal_bytes` leaves out, as another one does better in as few bytes; rows as there."""
    each = []
    for _, own in points_.groupby("recipe", sort=False):
        seeds = own[own.variant == SEED]
        each.append((own, seeds[~seeds.network.isin(frontier(seeds).network)]))
    return _beside(points_, each, FORMATS)


def _beside(points_: pd.DataFrame, each: list[tuple[pd.DataFrame, pd.DataFrame]], formats: tuple[str, ...]) -> pd.DataFrame:
    """Seeds, each beside what a fully trained network of as many bytes reaches. each: of a recipe all points, and these seeds."""
    rows = []
    for own, seeds in each:
        for seed in seeds.itertuples():
            if dense := dense_at(own, seed.bytes, formats):
                names = (*PLACE, "format", "bytes", "mean", "sd", "n")
                rows.append({name: getattr(seed, name) for name in names} | dense)
    sides = ["mean", "sd", "n", "mean_less", "sd_less", "n_less"]
    found = pd.DataFrame(rows, columns=[*PLACE, "format", "format_less", "bytes", "smaller", "smaller_work", *sides])
    gap = (found["mean"] - found.mean_less).astype(float)
    found = found.loc[gap.groupby([found.recipe, found.network], sort=False).idxmax()] if len(found) else found
    # How a single run scatters is that of the runs, once: their formats scatter together.
    return differing(found.reset_index(drop=True), points_[points_.format == FORMATS[0]])


def multiplications(point) -> int:
    """How many multiplications the convolutions of a point's network take for an image of 32×32."""
    return Architecture(int(point.depth), point.width).multiplications
