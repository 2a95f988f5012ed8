"""What `bnlib.prune` takes out of stored runs at each threshold, and what accuracy that leaves.

What goes follows from γ and β alone, also of runs whose convolutions are not stored; what accuracy that leaves is the probe
`clamping`, as the pruned network computes what the clamped one does.
"""

import numpy as np
import pandas as pd

from bnlib.report.analysis.gamma import of_runs
from bnlib.report.analysis.replicates import POINT
from bnlib.spec import added, architecture
from bnlib.store import Run

# Of the probe's thresholds on |γ|: about three to a power of ten.
AT = tuple((10 ** np.linspace(-3, 0.2, 49)).round(5)[[0, 7, 15, 22, 30]].tolist())


def cut(run: Run, thresholds) -> pd.DataFrame:
    """What `bnlib.prune` takes out of the ResNet for CIFAR of a stored run, at each threshold on |γ|: a row each.

    off: features with γ at 0, of all in the network; removed: features, less the channels that carry on constants; products and
    parameters: of the whole network, for one picture of 32×32; products_saved, parameters_saved: how many of them go.
    """
    whole = architecture(run.spec.model)
    features, last = sum(map(len, run.gamma.values())), len(list(run.gamma.values())[-1])
    found = pd.DataFrame({"threshold": list(thresholds)}).assign(off=0, removed=0, products_saved=0, parameters_saved=0)
    for layer, gamma in run.gamma.items():
        off = np.abs(gamma)[:, None] <= found.threshold.to_numpy()[None].astype(gamma.dtype)
        found["off"] += off.sum(0)
        if "." not in layer or added(layer, run.gamma):
            continue  # the stem's, and those that are added to a shortcut: they stay
        segment, block = map(int, layer.split(".")[1:3])
        inputs, side = len(gamma) // (2 if segment and not block else 1), 32 >> segment
        # One channel carries on the constants of those that go, if any is above 0; it stays where nothing else does.
        carries = (off & (run.beta[layer] > 0)[:, None]).any(0) | off.all(0)
        removed = off.sum(0) - carries
        found["removed"] += removed
        found["products_saved"] += removed * 9 * (inputs + len(gamma)) * side**2
        found["parameters_saved"] += removed * (9 * (inputs + len(gamma)) + 2)
    parameters = whole.weights + 2 * features + (last + 1) * run.classes
    return found.assign(features=features, products=whole.multiplications, parameters=parameters)


def savings(runs: pd.DataFrame) -> pd.DataFrame:
    """What is saved at each threshold, and what accuracy changes by: a row for each run of `runs` and threshold.

    The fields of the point, seed, and those of `cut`; off_percent, removed_percent, products_saved_percent and
    parameters_saved_percent: of all there are. change: of the accuracy, in points, of the probe, at its thresholds; of a run that
    has not been asked NaN, at those of AT.
    """

    def read(run):
        curve = run.probe("clamping")
        found = cut(run, curve["threshold"] if curve else AT)
        shares = {"off": "features", "removed": "features", "products_saved": "products", "parameters_saved": "parameters"}
        for part, total in shares.items():
            found[f"{part}_percent"] = 100 * found[part] / found[total]
        accuracy = np.array(curve["accuracy"]) if curve else np.full(len(found), np.nan)
        return [found.assign(change=100 * (accuracy - accuracy[0]))]

    parts = ["off", "removed", "products_saved", "parameters_saved"]
    columns = ["threshold", *parts, "features", "products", "parameters", *(f"{part}_percent" for part in parts)]
    return of_runs(runs, read).reindex(columns=[*POINT, "seed", *columns, "change"])


def replicated(savings: pd.DataFrame) -> pd.DataFrame:
    """The rows of `savings`, replicates averaged.

    The point's fields, threshold; off, removed, saved (multiplications), in percent; parameters,
    parameters_saved; change, and low and high, the least and the greatest of the replicates; n. Of a point of which some replicates
    have been asked for their accuracy, those alone.
    """
    asked = savings.groupby(POINT, sort=False, observed=True).change.transform(lambda change: change.notna().any()).astype(bool)
    own = savings[savings.change.notna() | ~asked]
    means = {name: (name, "mean") for name in ("parameters_saved", "parameters", "change")}
    parts = {"off": "off", "removed": "removed", "saved": "products_saved"}
    means |= {name: (f"{part}_percent", "mean") for name, part in parts.items()}
    grouped = own.groupby([*POINT, "threshold"], sort=False, observed=True)
    return grouped.agg(**means, low=("change", "min"), high=("change", "max"), n=("seed", "nunique")).reset_index()


def at(found: pd.DataFrame, *thresholds: float) -> pd.DataFrame:
    """Those rows of `savings` or `replicated` that are at one of the thresholds."""
    return found[np.isclose(found.threshold.to_numpy(float)[:, None], thresholds, rtol=1e-3, atol=0).any(1)]
