"""What the probes of trained networks say: accuracy when small γ are set to 0, and how often ReLUs are off."""

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.analysis.gamma import of_runs
from bnlib.analysis.verdicts import POINT

CURVES = ["accuracy", "accuracy_beta", "accuracy_random"]
CHANCE = 0.1


def probed(runs: pd.DataFrame) -> pd.DataFrame:
    """Those of `runs` whose networks have been asked."""
    return runs[runs.id.map(lambda name: store.load(name).probes is not None).astype(bool)]


def clamping(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with every |γ| ≤ threshold set to 0, replicates averaged; of those of `runs` that have their probes.

    Returns the point's fields; threshold; n; share of the features set to 0; accuracy (β kept), accuracy_beta (β at 0 too) and
    accuracy_random (as many features, drawn at random): fractions.
    """
    found = of_runs(probed(runs), lambda run: [pd.DataFrame(run.probes["clamping"])])
    if not len(found):
        return pd.DataFrame(columns=[*POINT, "threshold", "share", *CURVES, "n"])
    grouped = found.groupby([*POINT, "threshold"], sort=False, observed=True)
    return grouped.agg(**{name: (name, "mean") for name in ("share", *CURVES)}, n=("seed", "nunique")).reset_index()


def clamping_answer(clamping: pd.DataFrame, small: float = 0.01, points: float = 1.0) -> pd.DataFrame:
    """What each curve of `clamping` says: a row for each network, trainable set and recipe.

    share: of the features with |γ| ≤ `small`. change, change_beta, change_random: of the accuracy when they are set to 0 with β
    kept, with β at 0, or as many random ones, in points. safe and safe_share: the largest threshold, and its share of the
    features, up to which accuracy never falls by more than `points`. half and half_share: the threshold and the share at
    which half of what the network had learnt above chance is lost.
    """
    rows = []
    for key, own in clamping.groupby(POINT, sort=False, observed=True):
        own = own.sort_values("threshold").reset_index(drop=True)
        full, at = own.accuracy[0], own[own.threshold <= small].iloc[-1]
        lost = 100 * (full - own.accuracy)
        safe = own.iloc[max(0, int((lost > points).to_numpy().argmax()) - 1)]
        half = own.iloc[int((own.accuracy < CHANCE + (full - CHANCE) / 2).to_numpy().argmax())]
        changes = {f"change{name.removeprefix('accuracy')}": 100 * (at[name] - full) for name in CURVES}
        found = {"share": at["share"], **changes, "safe": safe.threshold, "safe_share": safe["share"]}
        rows.append({**dict(zip(POINT, key, strict=True)), "n": at.n, **found, "half": half.threshold, "half_share": half["share"]})
    columns = ["share", *(f"change{name.removeprefix('accuracy')}" for name in CURVES), "safe", "safe_share", "half", "half_share"]
    return pd.DataFrame(rows, columns=[*POINT, "n", *columns])


def relu(runs: pd.DataFrame) -> pd.DataFrame:
    """How many units behind ReLUs are off, replicates put together, of those of `runs` that have their probes.

    Returns a row for each point and definition: the point's fields; definition, the share of the images beyond which a unit that is
    0 counts as off, or `zero` for the share of all values that are 0; mean and sd in percent; n.
    """

    def read(run):
        total = run.probes["relu"]["total"]
        return [
            pd.DataFrame(
                [{"definition": key, "off": 100 * share} for key, share in {**total["off"], "zero": total["zero"]}.items()]
            )
        ]

    found = of_runs(probed(runs), read)
    if not len(found):
        return pd.DataFrame(columns=[*POINT, "definition", "mean", "sd", "n"])
    grouped = found.groupby([*POINT, "definition"], sort=False, observed=True).off
    return grouped.agg(mean="mean", sd="std", n="count").reset_index()


def relu_layers(runs: pd.DataFrame, definition: str = "0.99") -> pd.DataFrame:
    """The share of units that are off in each layer, in percent, replicates averaged: the point's fields; layer, from 0; off, n."""

    def read(run):
        layers = run.probes["relu"]["layers"]
        return [pd.DataFrame({"layer": np.arange(len(layers)), "off": [100 * one["off"][definition] for one in layers]})]

    found = of_runs(probed(runs), read)
    if not len(found):
        return pd.DataFrame(columns=[*POINT, "layer", "off", "n"])
    return found.groupby([*POINT, "layer"], sort=False, observed=True).agg(off=("off", "mean"), n=("seed", "nunique")).reset_index()
