"""γ after training: of every feature, and how much of it is small."""

import functools
import math

import numpy as np
import pandas as pd

from bnlib import seeds, store
from bnlib.report.analysis.replicates import POINT, together
from bnlib.spec import RECIPES as SETTINGS
from bnlib.spec import Recipe, added

THRESHOLDS = tuple(np.geomspace(1e-4, 2.0, 81))  # on |γ|, for a curve
FIELDS = [*POINT, "seed"]


def of_runs(runs: pd.DataFrame, read) -> pd.DataFrame:
    """What `read` makes of each stored run that is not diverged, a list of DataFrames, with the fields that say which run it is."""
    found = []
    for row in runs[runs.status == "finished"].itertuples():
        if parts := read(store.load(row.id)):
            found.append(pd.concat(parts, ignore_index=True).assign(**{name: getattr(row, name) for name in FIELDS}))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=FIELDS)


def gammas(runs: pd.DataFrame) -> pd.DataFrame:
    """γ and β of every feature of `runs`, rows of `experiments.runs`: the point's fields, seed; layer, gamma, beta, start, added.

    start: γ as it was drawn. added: whether the layer's output goes to a block's addition, or else to a ReLU of its own.
    """

    def layers(run):
        parts = []
        for layer, gamma in run.gamma.items():
            start = seeds.gamma(run.spec.seed, layer, len(gamma), run.spec.bn_init)
            own = {"layer": layer, "gamma": gamma, "beta": run.beta[layer], "start": start, "added": added(layer, run.gamma)}
            parts.append(pd.DataFrame(own))
        return parts

    return of_runs(runs, layers).reindex(columns=[*FIELDS, "layer", "gamma", "beta", "start", "added"])


def shares(gammas: pd.DataFrame, thresholds=THRESHOLDS) -> pd.DataFrame:
    """The share of features with |γ| below each threshold, replicates pooled: the point's fields; threshold, share, n, decayed.

    decayed: the share that weight decay alone would bring there, of γ that start uniform on [0, 1] and have no gradient.
    """
    rows = []
    for key, own in gammas.groupby(POINT, sort=False, observed=True):
        values = own.gamma.abs().to_numpy()
        for threshold in thresholds:
            share = float((values < threshold).mean())
            rows.append({**dict(zip(POINT, key, strict=True)), "threshold": threshold, "share": share, "n": own.seed.nunique()})
    found = pd.DataFrame(rows, columns=[*POINT, "threshold", "share", "n"])
    return found.assign(decayed=(found.threshold / found.recipe.map(lambda name: shrunk(SETTINGS[name]))).clip(upper=1))


def layers(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """γ and β of each layer, replicates pooled: the point's fields; layer, its place (0 to 1), features, added (as `gammas`).

    And of γ and β median, low and high quartile; and small, the share of γ below `threshold` in magnitude.
    """
    rows = []
    for key, own in gammas.groupby(POINT, sort=False, observed=True):
        names = list(dict.fromkeys(own.layer))
        for place, (layer, part) in enumerate(own.groupby("layer", sort=False)):
            row = {"layer": layer, "place": place / max(1, len(names) - 1), "features": len(part) // part.seed.nunique()}
            row["added"] = part.added.iloc[0]
            for column in ("gamma", "beta"):
                low, median, high = np.percentile(part[column], [25, 50, 75])
                row |= {column: median, f"{column}_low": low, f"{column}_high": high}
            rows.append({**dict(zip(POINT, key, strict=True)), **row, "small": float((part.gamma.abs() < threshold).mean())})
    quartiles = [f"{column}{end}" for column in ("gamma", "beta") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*POINT, "layer", "place", "features", "added", *quartiles, "small"])


def small_gammas(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """The share of features with |γ| below `threshold`, replicates put together: as `summarise`, in percent of the features."""
    small = gammas.assign(small=100.0 * (gammas.gamma.abs() < threshold))
    return together(small.groupby(FIELDS, sort=False, observed=True).small.mean().reset_index(), "small")


def moved(gammas: pd.DataFrame) -> pd.DataFrame:
    """How far the gradient has taken γ: its distance from where weight decay alone would have left it, as `summarise`.

    The median over the features, in percent of the range from 0 to 1 in which γ starts, replicates put together.
    """
    left = gammas.start * gammas.recipe.map(lambda name: shrunk(SETTINGS[name]))
    far = gammas.assign(far=100 * (gammas.gamma - left).astype(float).abs())
    return together(far.groupby(FIELDS, sort=False, observed=True).far.median().reset_index(), "far")


@functools.cache
def shrunk(recipe: Recipe) -> float:
    """What weight decay alone leaves of a γ of 1 that never has a gradient, after SGD with `recipe` on CIFAR-10."""
    gamma, velocity = 1.0, 0.0
    for epoch in range(recipe.epochs):
        rate = recipe.learning_rate(epoch)
        for _ in range(math.ceil((recipe.train_images or 50_000) / recipe.batch_size)):
            velocity = recipe.momentum * velocity + recipe.weight_decay * gamma
            gamma -= rate * velocity
    return gamma


def small_where(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """Where small γ are, replicates pooled: the point's fields; n; relu, added, ahead, negative, in percent.

    relu, added: the share below `threshold` in layers that a ReLU follows, and in those whose output is added. ahead: of the small
    ones, those before a ReLU; negative: of these, those with β < 0: the ReLU after is silent for nearly all images.
    """
    rows = []
    for key, own in gammas.groupby(POINT, sort=False, observed=True):
        small, added = own.gamma.abs() < threshold, own.added.astype(bool)
        row = {"n": own.seed.nunique(), "relu": 100 * small[~added].mean(), "added": 100 * small[added].mean()}
        row |= {"ahead": 100 * (~added[small]).mean(), "negative": 100 * (own.beta[small & ~added] < 0).mean()}
        rows.append({**dict(zip(POINT, key, strict=True)), **row})
    return pd.DataFrame(rows, columns=[*POINT, "n", "relu", "added", "ahead", "negative"])
