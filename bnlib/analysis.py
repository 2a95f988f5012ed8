"""From runs to statements: replicate summaries, and verdicts by rule."""

import itertools

import numpy as np
import pandas as pd

from bnlib import machine, models, store

TOLERANCE = 2.0  # points of accuracy; see `judge`
THRESHOLDS = tuple(np.geomspace(1e-4, 2.0, 81))  # on |γ|, for a curve
_RUN = ["network", "depth", "trainable", "recipe", "seed"]
VERDICTS = ("reproduced", "in trend", "not reproduced", "not run")


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Replicates put together: network, depth, width, trainable, recipe; mean, sd, n.

    runs: rows of `bnlib.results()`. mean and sd (of the sample) in percent; sd is NaN for a single run. Diverged runs
    count with the accuracy they ended at.
    """
    keys = ["network", "depth", "width", "trainable", "recipe"]
    if not len(runs):
        return pd.DataFrame(columns=[*keys, "mean", "sd", "n"])
    percent = runs.assign(percent=100 * runs.accuracy.astype(float))
    return percent.groupby(keys).percent.agg(mean="mean", sd="std", n="count").reset_index()


def judge(summary: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each point held against its reference: one row for each recipe and each reference value that has been run.

    summary: from `summarise`. reference: rows of `bnlib.paper.values`, one for a network and trainable set, in percent.
    Adds reference, uncertainty, difference (ours minus the reference, in points), tolerance and verdict:
    *reproduced*: recipe `paper`, and the difference is within the tolerance of 2 points plus the reference's own uncertainty.
    *in trend*: not that, but with every other point of the same recipe the order is the reference's (see `comparisons`).
    *not reproduced*: neither. Runs of `smoke`, and single points at `short`, have nothing to be judged by: *not run*.

    The 2 points are a convention: the one faithful reproduction by others known to us differs from the paper by up to 1.6
    points (tdtce, one run each, in `paper_values.csv`), and with 2 points every step in depth up to ResNet-434 can still be told.
    """
    known = reference[["network", "trainable", "value", "uncertainty"]].rename(columns={"value": "reference"})
    known = known.fillna({"uncertainty": 0.0})
    points = summary.merge(known, on=["network", "trainable"])
    points["difference"] = points["mean"] - points.reference
    points["tolerance"] = TOLERANCE + points.uncertainty
    pairs = comparisons(points)
    points["verdict"] = [_verdict(point, pairs) for point in points.itertuples()]
    return points


def comparisons(points: pd.DataFrame) -> pd.DataFrame:
    """Every pair of points of one recipe whose order the reference decides, and whether ours agrees: recipe, first, second, agrees.

    A pair whose reference values differ by no more than both uncertainties together is a tie and is left out.
    """
    rows = []
    for recipe, group in points.groupby("recipe"):
        for a, b in itertools.combinations(group.itertuples(), 2):
            gap = a.reference - b.reference
            if abs(gap) > a.uncertainty + b.uncertainty:
                rows.append((recipe, (a.network, a.trainable), (b.network, b.trainable), gap * (a.mean - b.mean) > 0))
    return pd.DataFrame(rows, columns=["recipe", "first", "second", "agrees"])


def _verdict(point, pairs: pd.DataFrame) -> str:
    if point.recipe == "smoke":
        return "not run"
    if point.recipe == "paper" and abs(point.difference) <= point.tolerance:
        return "reproduced"
    name = (point.network, point.trainable)
    mine = pairs[(pairs.recipe == point.recipe) & ((pairs["first"] == name) | (pairs["second"] == name))]
    if not len(mine):
        return "not reproduced" if point.recipe == "paper" else "not run"
    return "in trend" if mine.agrees.all() else "not reproduced"


def overall(points: pd.DataFrame) -> str:
    """One verdict for a figure, from its points at recipe `paper`, or at `short` if there are none at `paper`.

    The least of its points' verdicts; points that have nothing to be judged by are left out.
    """
    for recipe in ("paper", "short"):
        verdicts = set(points[points.recipe == recipe].verdict) - {"not run"} if len(points) else set()
        if verdicts:
            return max(verdicts, key=VERDICTS.index)
    return "not run"


def judge_counts(counts: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Parameter counts against the paper's table: network, family, total, bn, output, shortcut, bn share, equal.

    `equal` says how many of the four counts are the paper's; NA for a network that its table lacks.
    counts: from `experiments.table1`. reference: `paper.values("table1")`.
    """
    names = {
        "total": "parameters_total",
        "bn": "parameters_batchnorm",
        "output": "parameters_output",
        "shortcut": "parameters_shortcut",
    }
    known = reference.pivot_table(index=["dataset", "network"], columns="metric", values="value", aggfunc="first")
    rows = []
    for count in counts.itertuples():
        key = ("imagenet" if count.family == "ImageNet" else "cifar10", count.network)
        right = (
            sum(getattr(count, ours) == known.loc[key, theirs] for ours, theirs in names.items()) if key in known.index else pd.NA
        )
        rows.append(
            {
                "network": count.network,
                "family": count.family,
                **{name: getattr(count, name) for name in names},
                "bn share": count.bn / count.total,
                "equal": right,
            }
        )
    return pd.DataFrame(rows)


def headline(points: pd.DataFrame, trainable: str = "bn", recipes: tuple[str, ...] = ("paper", "short")) -> str:
    """The deepest network's accuracy in words, at the first of `recipes` that has any; *not run* if none has."""
    for recipe in recipes:
        found = points[(points.recipe == recipe) & (points.trainable == trainable)]
        if len(found):
            one = found.sort_values("depth").iloc[-1]
            return (
                f"{one['mean']:.1f} % for {one.network} at recipe {recipe} (n = {one.n}; "
                f"the paper: {one.reference:.1f} ± {one.uncertainty:.1f} %)"
            )
    return "not run"


def verdict_table(points: pd.DataFrame):
    """The points of `judge` as a table to read: percent and points, one decimal, in the order of recipe, set and depth."""
    points = points.sort_values(["recipe", "trainable", "depth"])
    spread = [
        f"{row.mean_:.1f}" + (f" ± {row.sd:.1f}" if row.n > 1 else "")
        for row in points.rename(columns={"mean": "mean_"}).itertuples()
    ]
    table = pd.DataFrame(
        {
            "recipe": points.recipe,
            "trainable": points.trainable,
            "depth": points.depth,
            "ours (%)": spread,
            "n": points.n,
            "paper (%)": [f"{r:.1f} ± {u:.1f}" for r, u in zip(points.reference, points.uncertainty, strict=True)],
            "difference": [f"{difference:+.1f}" for difference in points.difference],
            "verdict": points.verdict,
        }
    )
    return table.style.hide(axis="index").set_table_attributes('class="dataframe"')


def replicates(summary: pd.DataFrame) -> str:
    """How many replicates the points of a figure have, in words for its caption."""
    if not len(summary):
        return "none yet"
    least, most = summary.n.min(), summary.n.max()
    return f"n = {least} for every point" if least == most else f"n = {least} to {most} a point"


def counts_table(counts: pd.DataFrame):
    """The rows of `judge_counts` as a table to read."""
    names = {"total": "all parameters", "bn": "γ and β", "bn share": "their share", "equal": "equal to the paper's"}
    of_four = lambda right: "not in the paper" if pd.isna(right) else f"{right:.0f} of 4"  # noqa: E731
    formats = {"their share": "{:.3%}", "equal to the paper's": of_four}
    style = counts.rename(columns=names).style.format(thousands=",", formatter=formats)
    return style.hide(axis="index").set_table_attributes('class="dataframe"')


def provenance(runs: pd.DataFrame):
    """Where each run comes from, one row a run: its folder in results/, machine, minutes and commit, as a table to read."""
    table = pd.DataFrame(
        {
            "run": runs.id,
            "machine": runs.reindex(columns=["device"]).device,
            "minutes": runs.reindex(columns=["seconds"]).seconds.astype(float) / 60,
            "commit": runs.reindex(columns=["commit"]).commit.str[:8],
        }
    )
    return table.style.format(precision=0).hide(axis="index").set_table_attributes('class="dataframe"')


def gammas(runs: pd.DataFrame) -> pd.DataFrame:
    """γ and β of every feature of `runs`: network, depth, trainable, recipe, seed, layer, gamma, beta.

    runs: rows of `bnlib.results()`.
    """
    parts = []
    for row in runs.itertuples():
        run = store.load(row.id)
        for (layer, gamma), beta in zip(run.gamma.items(), run.beta.values(), strict=True):
            part = pd.DataFrame({"layer": layer, "gamma": gamma, "beta": beta})
            parts.append(part.assign(**{name: getattr(row, name) for name in _RUN}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*_RUN, "layer", "gamma", "beta"])


def shares(gammas: pd.DataFrame, thresholds=THRESHOLDS) -> pd.DataFrame:
    """The share of features with |γ| below each threshold: network, depth, trainable, recipe, threshold, share, n (replicates)."""
    rows = []
    for key, own in gammas.groupby(_RUN[:-1], sort=False):
        values = own.gamma.abs().to_numpy()
        for threshold in thresholds:
            share = float((values < threshold).mean())
            rows.append({**dict(zip(_RUN, key, strict=False)), "threshold": threshold, "share": share, "n": own.seed.nunique()})
    return pd.DataFrame(rows, columns=[*_RUN[:-1], "threshold", "share", "n"])


def small_gammas(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """The share of features with |γ| below `threshold`, replicates put together: as `summarise`, in percent of the features."""
    small = gammas.assign(small=100.0 * (gammas.gamma.abs() < threshold), width=1)
    one = small.groupby([*_RUN, "width"], sort=False).small.mean().reset_index()
    keys = ["network", "depth", "width", "trainable", "recipe"]
    return one.groupby(keys).small.agg(mean="mean", sd="std", n="size").reset_index()


def small_headline(small: pd.DataFrame, trainable: str = "bn") -> str:
    """The deepest network's share of small γ in words, at recipe `paper` or, if there is none, `short`; *not run* if none has."""
    for recipe in ("paper", "short"):
        found = small[(small.recipe == recipe) & (small.trainable == trainable)]
        if len(found):
            one = found.sort_values("depth").iloc[-1]
            return f"{one['mean']:.1f} % of the γ of {one.network} end below 0.01 in magnitude (recipe {recipe}, n = {one.n})"
    return "not run"


def precisions(runs: pd.DataFrame) -> pd.DataFrame:
    """The same trainings in bf16 and in fp32: network, trainable, recipe, precision; n, mean and sd in percent, lowest, highest.

    runs: rows of `experiments.precisions()`; what has been run in one precision only is left out.
    """
    keys = ["network", "trainable", "recipe"]
    both = runs.groupby(keys).precision.transform("nunique") == 2
    own = runs[both].assign(accuracy=runs.accuracy * 100).groupby([*keys, "precision"]).accuracy
    return own.agg(n="size", mean="mean", sd="std", lowest="min", highest="max").round(2).reset_index()


def speed(rows: pd.DataFrame, model: str) -> dict[str, str]:
    """The speed of `model`, in words, of the rows of `bnlib.bench.stored()`; *not measured* where a row is missing.

    epoch and loop: of training by us and by the plain loop; times: their ratio; over: a step over its convolutions;
    memory and loop_memory: the peaks.
    """
    own = rows[rows.model == model].set_index("way")

    def say(text, *needed):
        return text(*(own.loc[way] for way in needed)) if set(needed) <= set(own.index) else "not measured"

    fused, loop, alone = "fused bf16", "loop", "convolutions bf16"
    return {
        "epoch": say(lambda f: machine.duration(f.epoch_seconds), fused),
        "loop": say(lambda p: machine.duration(p.epoch_seconds), loop),
        "times": say(lambda f, p: f"{p.seconds / f.seconds:.1f}", fused, loop),
        "over": say(lambda f, c: f"{f.seconds / c.seconds:.2f}", fused, alone),
        "memory": say(lambda f: f"{f.peak_bytes / 2**30:.1f} GiB", fused),
        "loop_memory": say(lambda p: f"{p.peak_bytes / 2**30:.1f} GiB", loop),
    }


def machines(stored: dict[str, tuple[dict, pd.DataFrame]]):
    """What `bnlib.bench.stored()` holds, a row for each machine and model of which a step was measured, as a table to read."""
    rows = []
    for name, (where, measured) in stored.items():
        for model in dict.fromkeys(measured[measured.way == "fused bf16"].model):
            own = measured[(measured.model == model) & (measured.way == "fused bf16")].iloc[0]
            said = speed(measured, model)
            rows.append(
                {
                    "machine": name,
                    "bf16": "its own" if where["bf16"] else "rounded fp32",
                    "network": models.architecture(model).title,
                    "a step": f"{own.seconds * 1000:,.1f} ms",
                    "an epoch": said["epoch"],
                    "times the loop's speed": said["times"],
                    "over its convolutions": said["over"],
                    "over the floor": f"{own.seconds / own.floor:.1f}",
                    "peak memory": said["memory"],
                    "commit": own.commit[:7],
                }
            )
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="dataframe"')
