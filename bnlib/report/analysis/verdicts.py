"""Verdicts, by rule, on what replicates say."""

import itertools

import numpy as np
import pandas as pd

from bnlib.report.analysis.replicates import corrected, sound, spread, tested
from bnlib.report.analysis.words import replicates

TOLERANCE = 2.0  # points of accuracy by which ours may differ from the paper's; see `judge`
LEVEL = 0.05  # of a test, after the correction for how many there are
VERDICTS = ("reproduced", "in trend", "in part", "too close", "not reproduced", "not judged", "not trained")
HOLD = ("reproduced", "in trend")
OPEN = ("too close", "not judged")  # a test says that it may be chance; there is nothing to test with
ANSWERS = ("yes", "no", "in part", "too close", "not judged", "not trained")  # to a question that the paper does not answer
FULL = ("paper", "imagenet")  # recipes that train as long as the paper, so that a value can be held against its own
RECIPES = (*FULL, "short")  # those whose runs are judged, the better first


def judge(summary: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each point held against its reference: one row for each recipe and each reference value that has been run.

    summary: from `summarise`. reference: rows of `bnlib.report.paper.values`, one for a network and trainable set, in percent.
    Adds reference, uncertainty, kind, difference (ours minus the reference, in points), tolerance and verdict:
    *reproduced*: a recipe of FULL, and the difference is within the tolerance of 2 points plus the reference's own uncertainty.
    Else its order among the other points decides (see `comparisons`): *in trend* if it is the reference's in every pair that is
    decided, *not reproduced* if in none, *in part* between; *too close* if no pair is decided at `short`, where values judge
    nothing. *not judged*: runs of `smoke`, single points at `short`, and its pairs where nothing has been repeated. Points all of
    whose replicates diverged are left out.

    The 2 points are a convention: with γ and β alone, the one faithful reproduction by others known to us differs from the paper
    by up to 1.6 points (tdtce, one run each, in `paper_values.csv`).
    """
    known = reference[["network", "trainable", "value", "uncertainty", "kind"]].rename(columns={"value": "reference"})
    known = known.fillna({"uncertainty": 0.0})
    points = sound(summary).merge(known, on=["network", "trainable"])
    points["difference"] = (points["mean"].astype(float) - points.reference).round(9)  # so that a value at the tolerance is within
    points["tolerance"] = (TOLERANCE + points.uncertainty).round(9)
    pairs = comparisons(points)
    points["verdict"] = [_verdict(point, pairs) for point in points.itertuples()]
    return points


def comparisons(points: pd.DataFrame) -> pd.DataFrame:
    """Every pair of points of one recipe whose order the reference decides: recipe, first, second, reference, ours, half, p, says.

    Compared are points of one trainable set, and points of one network. first is the one that the reference puts higher, by
    `reference` points; ours: by how many ours is higher; half: of its 95 % interval; p: of `tested`, corrected for the number of
    pairs. says: *agrees* or *differs* where p is below 0.05; *missing* where it is not, though the reference's difference is larger
    than half of our interval and the tolerance together, so that we should see it; *not judged* where nothing says how far single
    runs scatter, so that p cannot be had; else *too close*.
    A pair whose reference values differ by no more than both uncertainties together is a tie and is left out; so are two networks
    of which nothing was trained: both guess.
    """
    rows = []
    for recipe, group in points.groupby("recipe"):
        pooled = spread(group)
        for a, b in itertools.combinations(group.sort_values("reference", ascending=False).itertuples(), 2):
            gap, guess = a.reference - b.reference - a.uncertainty - b.uncertainty, a.trainable == b.trainable == "none"
            if (a.trainable == b.trainable or a.network == b.network) and gap > 0 and not guess:
                own = float(a.mean - b.mean)
                p, half = tested(own, (a.sd, a.n), (b.sd, b.n), pooled)
                names = (a.network, a.trainable), (b.network, b.trainable)
                rows.append((recipe, *names, a.reference - b.reference, own, half, p, gap > half + TOLERANCE))
    columns = ["recipe", "first", "second", "reference", "ours", "half", "p", "clear"]
    found = pd.DataFrame(rows, columns=columns)
    found["p"] = found.groupby("recipe").p.transform(corrected) if len(found) else found.p
    order = np.where(found.ours > 0, "agrees", "differs")
    undecided = np.where(found.p.isna(), "not judged", np.where(found.clear.astype(bool), "missing", "too close"))
    found["says"] = np.where(found.p < LEVEL, order, undecided)
    return found.drop(columns="clear")


def ordered(points: pd.DataFrame) -> pd.DataFrame:
    """Judged points of those recipes at which the order of two of them is decided: a statement about an order needs two."""
    pairs = comparisons(points)
    return points[points.recipe.isin(pairs[~pairs.says.isin(OPEN)].recipe)]


def _verdict(point, pairs: pd.DataFrame) -> str:
    if point.recipe not in RECIPES:
        return "not judged"
    if point.recipe in FULL and abs(point.difference) <= point.tolerance:
        return "reproduced"
    name = (point.network, point.trainable)
    mine = pairs[(pairs.recipe == point.recipe) & ((pairs["first"] == name) | (pairs["second"] == name))]
    decided = mine.says[~mine.says.isin(OPEN)]
    if not len(decided):
        return "not reproduced" if point.recipe in FULL else "too close" if "too close" in set(mine.says) else "not judged"
    right = decided == "agrees"
    return "in trend" if right.all() else "in part" if right.any() else "not reproduced"


def judge_differences(differences: pd.DataFrame, low: float = 0.0, high: float = np.inf) -> pd.DataFrame:
    """Differences that the paper says are positive, from `low` to `high` points; adds a verdict to each row.

    differences: rows with recipe, difference and p. *too close*: p is not below 0.05, so that the sign may be chance; *not judged*:
    it cannot be had, as nothing has been repeated. Else *reproduced*: a recipe of FULL, positive, and from `low` to `high` within
    the tolerance; *in trend*: positive; *not reproduced*: negative.
    """

    def verdict(row):
        if row.recipe in RECIPES and not row.p < LEVEL:
            return "not judged" if pd.isna(row.p) else "too close"
        inside = low - TOLERANCE <= round(row.difference, 9) <= high + TOLERANCE
        said = holds(row.recipe, row.difference > 0)
        return "in trend" if said == "reproduced" and not inside else said

    return differences.assign(verdict=[verdict(row) for row in differences.itertuples()])


def holds(recipe: str, truth: bool) -> str:
    """The verdict on a statement that either holds or not, in runs of `recipe`."""
    said = {**dict.fromkeys(FULL, "reproduced"), "short": "in trend"}.get(recipe, "not judged")
    return "not reproduced" if said != "not judged" and not truth else said


def best(points: pd.DataFrame) -> pd.DataFrame:
    """The rows at the best of RECIPES that there are, such as `short` where there are none at `paper`.

    Those that have nothing to be judged by are left out.
    """
    for recipe in RECIPES:
        found = points[points.recipe == recipe] if len(points) else points
        found = found[found.verdict != "not judged"] if "verdict" in found else found
        if len(found):
            return found
    return points[:0]


def fullest(points: pd.DataFrame, *columns: str, recipes: tuple[str, ...] = RECIPES) -> pd.DataFrame:
    """The rows of the network and recipe of which most can be said: that have most different values of `columns`, taken together.

    points: with n, the replicates of each row, a number or `words.counts` of it. Of several with as many the longer recipe, the
    first of `recipes`; then that with most replicates, of which three are enough; then the deeper network.
    """
    own = points[points.recipe.isin(recipes)]
    if not len(own):
        return own
    place = ["network", "depth", "recipe"]
    each = own.assign(sure=own.n.map(replicates).map(min).clip(upper=3)).groupby(place, observed=True)
    most = each.sure.mean().reset_index(name="sure")
    most["count"] = each.apply(lambda rows: len(rows[[*columns]].drop_duplicates()), include_groups=False).to_numpy()
    most["late"] = most.recipe.map(recipes.index)
    first = most.sort_values(["count", "late", "sure", "depth"], ascending=[False, True, False, False]).iloc[0]
    return own[(own.network == first.network) & (own.recipe == first.recipe)]


def overall(points: pd.DataFrame) -> str:
    """One verdict for a figure, of its points' verdicts at the `best` recipe.

    The same as theirs if all agree; *in trend* if some are *reproduced* and all others *in trend*; *in part* if some hold and
    others do not, or cannot be told; *not reproduced* if none holds and one does not. *not judged*: there are runs, and nothing
    that they could be held against; *not trained*: there are none.
    """
    found = set(best(points).verdict) if len(points) else set()
    return _one(found) if found else "not judged" if len(points) else "not trained"


def whole(*parts: str) -> str:
    """One verdict of those of the parts of a claim, as `overall`; parts of which nothing could be judged are left out."""
    found = {part for part in parts if part not in ("not judged", "not trained")}
    return _one(found) if found else "not judged" if "not judged" in parts else "not trained"


def _one(found: set[str]) -> str:
    """What several verdicts come to."""
    if len(found) == 1:
        return next(iter(found))
    if found <= set(HOLD):
        return "in trend"
    return "in part" if found & {*HOLD, "in part"} else "not reproduced"
