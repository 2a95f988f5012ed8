"""Accuracies held against each other: two variants, two ways to grow, training and test."""

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.analysis.verdicts import summarise, together

_PLACE = ["network", "depth", "width", "recipe"]


def differences(summary: pd.DataFrame, more: str, less: str) -> pd.DataFrame:
    """By how many points the variant `more` is above `less`, wherever both have been run.

    summary: of `analysis.summarise`. Returns network, depth, width, recipe, more, less (percent), difference, n (the fewer of the
    two's replicates).
    """
    columns = [*_PLACE, "mean", "n"]
    one, other = (summary[summary.variant == variant][columns] for variant in (more, less))
    both = one.merge(other, on=_PLACE, suffixes=("", "_less"))
    found = both[_PLACE].assign(more=both["mean"], less=both.mean_less, difference=(both["mean"] - both.mean_less).astype(float))
    return found.assign(n=both[["n", "n_less"]].min(axis=1))


def at_equal_parameters(points: pd.DataFrame) -> pd.DataFrame:
    """How much better the deeper of two networks with equally many γ and β is, for each wider network.

    points: rows with network, depth, width, recipe, parameters (γ and β) and mean. The accuracy of a ResNet with exactly as many is
    interpolated between its neighbours, linear in the logarithm of the number; nothing is extrapolated. Returns network, depth,
    width, recipe, parameters, more (the deep one's accuracy), less (the wide one's), difference.
    """
    rows = []
    for recipe, own in points.groupby("recipe", sort=False):
        deep = own[own.width == 1].sort_values("parameters")
        for wide in own[own.width > 1].itertuples():
            if len(deep) > 1 and deep.parameters.iloc[0] <= wide.parameters <= deep.parameters.iloc[-1]:
                more = np.interp(np.log(wide.parameters), np.log(deep.parameters.astype(float)), deep["mean"].astype(float))
                row = {"network": wide.network, "depth": wide.depth, "width": wide.width, "recipe": recipe}
                rows.append({**row, "parameters": wide.parameters, "more": more, "less": wide.mean, "difference": more - wide.mean})
    return pd.DataFrame(rows, columns=[*_PLACE, "parameters", "more", "less", "difference"])


def histories(runs: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of `runs`: one row an epoch, with the run's network, depth, trainable, variant, recipe and seed."""
    parts = [
        store.load(row.id).history.assign(
            network=row.network, depth=row.depth, trainable=row.trainable, variant=row.variant, recipe=row.recipe, seed=row.seed
        )
        for row in runs.itertuples()
    ]
    columns = ["epoch", "lr", "train_accuracy", "test_accuracy", "network", "depth", "trainable", "variant", "recipe", "seed"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def overfitting(runs: pd.DataFrame) -> pd.DataFrame:
    """By how many points training accuracy lies above test accuracy at the end, replicates put together: as `summarise`.

    Training accuracy is that of the last epoch's batches as they were trained on, augmented and in training mode. Without runs
    that diverged.
    """
    runs = runs[runs.status == "finished"]
    return together(runs.assign(gap=100 * (runs.train_accuracy.astype(float) - runs.accuracy.astype(float))), "gap")


def at_epochs(histories: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The points of learning curves at the epochs of `reference`, for `analysis.judge`: as `summarise`; and the reference.

    reference: with a column `epoch`, of recipe `paper`. Each epoch is a network of its own, as `judge` sees it.
    """
    named = lambda frame: frame.assign(network=frame.network + ", epoch " + frame.epoch.astype(int).astype(str))  # noqa: E731
    own = histories[histories.epoch.isin(set(reference.epoch)) & (histories.recipe == "paper")]
    percent = named(own).assign(percent=100 * own.test_accuracy.astype(float), width=1)
    return together(percent, "percent"), named(reference)


def with_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """The points of `runs` as `analysis.summarise`, with `parameters`: how many γ and β their networks have."""
    points = summarise(runs)
    return points.assign(parameters=points.network.map(dict(zip(runs.network, runs.get("parameters_bn", []), strict=False))))
