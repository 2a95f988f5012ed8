"""γ after training: of every feature, and how much of it is small."""

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.analysis.accuracy import differences
from bnlib.analysis.verdicts import POINT, of_deepest, together
from bnlib.spec import RECIPES

THRESHOLDS = tuple(np.geomspace(1e-4, 2.0, 81))  # on |γ|, for a curve
FIELDS = [*POINT, "seed"]


def of_runs(runs: pd.DataFrame, read) -> pd.DataFrame:
    """What `read` makes of each stored run that is not diverged, a list of DataFrames, with the fields that say which run it is."""
    parts = [
        part.assign(**{name: getattr(row, name) for name in FIELDS})
        for row in runs[runs.status == "finished"].itertuples()
        for part in read(store.load(row.id))
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=FIELDS)


def gammas(runs: pd.DataFrame) -> pd.DataFrame:
    """γ and β of every feature of `runs`: network, depth, width, variant, trainable, recipe, seed; layer, gamma, beta.

    runs: rows of `experiments.runs`.
    """
    layers = lambda run: [  # noqa: E731
        pd.DataFrame({"layer": layer, "gamma": gamma, "beta": beta})
        for (layer, gamma), beta in zip(run.gamma.items(), run.beta.values(), strict=True)
    ]
    return of_runs(runs, layers).reindex(columns=[*FIELDS, "layer", "gamma", "beta"])


def shares(gammas: pd.DataFrame, thresholds=THRESHOLDS) -> pd.DataFrame:
    """The share of features with |γ| below each threshold, replicates pooled: the point's fields; threshold, share, n."""
    rows = []
    for key, own in gammas.groupby(POINT, sort=False, observed=True):
        values = own.gamma.abs().to_numpy()
        for threshold in thresholds:
            share = float((values < threshold).mean())
            rows.append({**dict(zip(POINT, key, strict=True)), "threshold": threshold, "share": share, "n": own.seed.nunique()})
    return pd.DataFrame(rows, columns=[*POINT, "threshold", "share", "n"])


def layers(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """γ and β of each layer: the point's fields; layer, its place (0 to 1), features, and of γ and β median, low and high quartile.

    small: the share of γ below `threshold`. Replicates are pooled.
    """
    rows = []
    for key, own in gammas.groupby(POINT, sort=False, observed=True):
        names = list(dict.fromkeys(own.layer))
        for place, (layer, part) in enumerate(own.groupby("layer", sort=False)):
            row = {"layer": layer, "place": place / max(1, len(names) - 1), "features": len(part) // part.seed.nunique()}
            for column in ("gamma", "beta"):
                low, median, high = np.percentile(part[column], [25, 50, 75])
                row |= {column: median, f"{column}_low": low, f"{column}_high": high}
            rows.append({**dict(zip(POINT, key, strict=True)), **row, "small": float((part.gamma.abs() < threshold).mean())})
    columns = ["layer", "place", "features", *(f"{c}{end}" for c in ("gamma", "beta") for end in ("", "_low", "_high")), "small"]
    return pd.DataFrame(rows, columns=[*POINT, *columns])


def small_gammas(gammas: pd.DataFrame, threshold: float = 0.01) -> pd.DataFrame:
    """The share of features with |γ| below `threshold`, replicates put together: as `summarise`, in percent of the features."""
    small = gammas.assign(small=100.0 * (gammas.gamma.abs() < threshold))
    return together(small.groupby(FIELDS, sort=False, observed=True).small.mean().reset_index(), "small")


def small_headline(small: pd.DataFrame, trainable: str = "bn") -> str:
    """The deepest network's share of small γ in words, at recipe `paper` or, if there is none, `short`; *not run* if none has."""
    return of_deepest(small, "{mean:.1f} % of the γ of {network} end below 0.01 in magnitude (recipe {recipe}, n = {n})", trainable)


def small_against(small: pd.DataFrame) -> str:
    """The shares of small γ with γ and β only against all, in words, at the better recipe that has both; *not run* if none has."""
    rows = differences(small, "bn", "all")
    rows = rows[rows.recipe == rows.recipe.min()]  # `paper` before `short`
    said = ", ".join(f"{row.more:.1f} % against {row.less:.1f} % in {row.network}" for row in rows.itertuples())
    return f"γ and β only against all: {said} (recipe {rows.recipe.iloc[0]})" if said else "γ and β only against all: not run"


def small_by_recipe(small: pd.DataFrame, trainable: str = "bn") -> str:
    """The shares of small γ of networks trained with several recipes, in words; says so if there are none."""
    own = small[small.trainable == trainable].sort_values(["depth", "recipe"])
    said = []
    for network, rows in own.groupby("network", sort=False):
        each = [f"{row['mean']:.1f} % after {RECIPES[row.recipe].epochs} epochs" for _, row in rows.iterrows()]
        said += [f"{network}: {', '.join(reversed(each))}"] if len(each) > 1 else []
    return "; ".join(said) or "not run with several recipes"
