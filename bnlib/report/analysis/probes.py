"""What the probes of trained networks say: when small γ are set to 0, how often ReLUs are off, on the training images."""

import re

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.gamma import of_runs
from bnlib.report.analysis.replicates import POINT, together
from bnlib.report.analysis.verdicts import judge_differences

CURVES = ["accuracy", "accuracy_beta", "accuracy_random"]
CHANCE = 0.1


def probed(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Those of `runs` whose networks have been asked for the probe `name`."""
    return runs[runs.id.map(lambda one: store.load(one).probe(name) is not None).astype(bool)]


def clamping(runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with every |γ| ≤ threshold set to 0, replicates averaged; of those of `runs` that have their probes.

    Returns the point's fields; threshold; n; share of the features set to 0; accuracy (β kept), accuracy_beta (β at 0 too) and
    accuracy_random (as many features, drawn at random): fractions. beta_low and beta_high: the replicates' least and greatest
    change of accuracy_beta.
    """

    def read(run):
        curve = pd.DataFrame(run.probe("clamping"))
        return [curve.assign(change=curve.accuracy_beta - curve.accuracy[0])]

    found = of_runs(probed(runs, "clamping"), read)
    if not len(found):
        return pd.DataFrame(columns=[*POINT, "threshold", "share", *CURVES, "beta_low", "beta_high", "n"])
    grouped = found.groupby([*POINT, "threshold"], sort=False, observed=True)
    means = {name: (name, "mean") for name in ("share", *CURVES)}
    return grouped.agg(**means, beta_low=("change", "min"), beta_high=("change", "max"), n=("seed", "nunique")).reset_index()


def clamping_answer(clamping: pd.DataFrame, small: float = 0.01, points: float = 1.0) -> pd.DataFrame:
    """What each curve of `clamping` says: a row for each network, trainable set and recipe.

    share: of the features with |γ| ≤ `small`. change, change_beta, change_random: of the accuracy when they are set to 0 with β
    kept, with β at 0, or as many random ones, in points; beta_low and beta_high: the second of these, of the replicates that have
    the least and the most. safe and safe_share: the largest threshold, and its share of the features, up to which accuracy, β
    kept, falls by no more than `points`. half and half_share: the threshold and the share at which half of what the network
    had learnt above chance is lost. NaN where that much never is.
    """
    rows = []
    for key, own in clamping.groupby(POINT, sort=False, observed=True):
        own = own.sort_values("threshold").reset_index(drop=True)
        full, at = own.accuracy[0], own[own.threshold <= small].iloc[-1]
        gone = (own.accuracy < CHANCE + (full - CHANCE) / 2).to_numpy()
        never = {"threshold": np.nan, "share": np.nan}
        half = own.iloc[gone.argmax()] if gone.any() else never
        changes = {f"change{name.removeprefix('accuracy')}": 100 * (at[name] - full) for name in CURVES}
        lost = (100 * (full - own.accuracy) > points).to_numpy()
        safe = own.iloc[max(0, lost.argmax() - 1)] if lost.any() else never
        found = {"share": at["share"], **changes, "beta_low": 100 * at.beta_low, "beta_high": 100 * at.beta_high}
        found |= {"safe": safe["threshold"], "safe_share": safe["share"], "half": half["threshold"], "half_share": half["share"]}
        rows.append({**dict(zip(POINT, key, strict=True)), "n": at.n, **found})
    changes = [f"change{name.removeprefix('accuracy')}" for name in CURVES]
    columns = ["share", *changes, "beta_low", "beta_high", "safe", "safe_share", "half", "half_share"]
    found = pd.DataFrame(rows, columns=[*POINT, "n", *columns])
    return found.assign(**{name: found[name].astype(float).round(1) + 0.0 for name in changes})  # no −0.0


def relu(runs: pd.DataFrame) -> pd.DataFrame:
    """How many units after ReLUs are off, replicates put together, of those of `runs` that have their probes.

    Returns a row for each point and definition: the point's fields; definition, the share of the images beyond which a unit that is
    0 counts as off, or `zero` for the share of all values that are 0; mean and sd in percent; n.
    """

    def read(run):
        total = run.probe("relu")["total"]
        return [
            pd.DataFrame(
                [{"definition": key, "off": 100 * share} for key, share in {**total["off"], "zero": total["zero"]}.items()]
            )
        ]

    return together(of_runs(probed(runs, "relu"), read), "off", "definition")


def relu_layers(runs: pd.DataFrame) -> pd.DataFrame:
    """The share of units that are off in each layer, in percent, replicates averaged.

    Returns a row for each point, layer and definition: the point's fields; layer, from 0; place, from 0 to 1; after, what the
    ReLU follows: `BatchNorm`, or the `addition` of the shortcut at a block's end; units; definition, as `relu`; off; n.
    """

    def read(run):
        rows = [
            {"layer": i, "after": after(one["layer"]), "units": one["units"], "definition": key, "off": 100 * share}
            for i, one in enumerate(run.probe("relu")["layers"])
            for key, share in one["off"].items()
        ]
        return [pd.DataFrame(rows).assign(place=lambda frame: frame.layer / frame.layer.max())]

    def after(layer):
        return "addition" if re.fullmatch(r"segments\.\d+\.\d+", layer) else "BatchNorm"

    found = of_runs(probed(runs, "relu"), read)
    keys = [*POINT, "layer", "place", "after", "units", "definition"]
    if not len(found):
        return pd.DataFrame(columns=[*keys, "off", "n"])
    return found.groupby(keys, sort=False, observed=True).agg(off=("off", "mean"), n=("seed", "nunique")).reset_index()


def relu_after(layers: pd.DataFrame) -> pd.DataFrame:
    """The share of units that are off after BatchNorm and after an addition, in percent, over all layers of the kind.

    layers: of `relu_layers`. Returns a row for each point and definition: the point's fields, definition, BatchNorm, addition.
    """
    keys = [*POINT, "definition", "after"]
    off = layers.assign(off=layers.off * layers.units).groupby(keys, sort=False, observed=True)[["off", "units"]].sum()
    return (off.off / off.units).unstack("after").reindex(columns=["BatchNorm", "addition"]).reset_index()


def relu_differences(relu: pd.DataFrame) -> pd.DataFrame:
    """By how many points more units are off with γ and β only than with everything trained, by each definition; judged by the sign.

    relu: of `analysis.relu`. The paper's definition and network are not known, so its level judges nothing.
    """
    place = ["network", "depth", "width", "recipe", "definition"]
    known = relu[relu.definition != "zero"]
    one, other = (known[known.trainable == trainable][[*place, "mean", "sd", "n"]] for trainable in ("bn", "all"))
    both = one.merge(other, on=place, suffixes=("", "_less"))
    rows = differing(both, known, within=("recipe", "definition"))
    return judge_differences(rows.assign(definition=[f"> {100 * float(share):g} %" for share in rows.definition]))


def overfitting_as_they_are(runs: pd.DataFrame) -> pd.DataFrame:
    """As `analysis.overfitting`, on the training images as they are: not augmented, evaluated as the test images are.

    Of those of `runs` whose networks have been asked.
    """
    found = probed(runs[runs.status == "finished"], "train")
    own = found.id.map(lambda name: store.load(name).probe("train")["accuracy"]).astype(float)
    return together(found.assign(gap=100 * (own - found.accuracy.astype(float))), "gap")
