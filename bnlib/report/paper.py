"""The paper's values and other people's, each with its source and its uncertainty. Read from `paper_values.csv`."""

from functools import cache
from pathlib import Path

import pandas as pd

KINDS = {
    "paper-table": "the paper's table of parameter counts",
    "paper-text": "the paper's abstract or introduction",
    "digitised": "read off a picture of a figure of the paper's first version",
    "review": "quoted by a review, a survey or a reproduction",
    "reproduction": "measured by somebody else",
    "blog": "measured in a blog post",
}
PAPER = ("paper-table", "paper-text", "digitised")


@cache
def _table() -> pd.DataFrame:
    table = pd.read_csv(Path(__file__).with_name("paper_values.csv"))
    unknown = set(table.kind) - set(KINDS)
    if unknown:
        raise ValueError(f"paper_values.csv: unknown kind {unknown.pop()!r}; use one of {', '.join(KINDS)}")
    return table


def values(*figures: str, metric: str | None = None, kinds: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Reference values: figure, dataset, network, trainable, metric, value, uncertainty, kind, source; one row each.

    figures: such as `fig2`, `abstract` or `table1`; all of them if none is given. metric: such as `test_accuracy_percent`.
    kinds: keys of KINDS; `PAPER` for what is the paper's own. `value` and `uncertainty` are in the metric's unit; an
    uncertainty nobody gave is NaN. Raises ValueError for a figure without values.
    """
    table = _table()
    for figure in figures:
        if figure not in set(table.figure):
            raise ValueError(f"figure {figure!r}: values are known for {', '.join(sorted(set(table.figure)))}")
    keep = table.figure.isin(figures or set(table.figure))
    if metric is not None:
        keep &= table.metric == metric
    if kinds is not None:
        keep &= table.kind.isin(kinds)
    return table[keep].reset_index(drop=True)


def accuracies() -> pd.DataFrame:
    """Test accuracies on CIFAR-10 in percent, as `values`: the paper's and reproductions'; not what reviews quote."""
    rows = values("fig2", "abstract", metric="test_accuracy_percent")
    return rows[rows.kind != "review"].reset_index(drop=True)


def top5() -> pd.DataFrame:
    """Top-5 accuracies on ImageNet in percent, as `values`, its networks called as ours are. The paper's top-1 are not known."""
    rows = values("abstract", metric="test_top5_percent", kinds=PAPER)
    return rows.assign(network="ImageNet " + rows.network)


def blog() -> pd.DataFrame:
    """What a blog reached with Keras's networks on CIFAR-10, as `values`, of training and of test."""
    return values("blog", kinds=("blog",))


def curve(network: str) -> pd.DataFrame:
    """The paper's values during the training of `network`, as `values`, with a column `epoch`; no rows if it shows none."""
    rows = values("curve")
    rows = rows.assign(epoch=rows.metric.str.removeprefix("test_accuracy_percent_epoch_").astype(int))
    return rows[rows.network == network].reset_index(drop=True)


def gain_range(dataset: str = "cifar10") -> tuple[float, float]:
    """Between how many points the paper says that γ and β are worth in ordinary training on `dataset`, or on `imagenet`."""
    said = values("fig1")
    said = said[said.dataset == dataset].set_index("metric").value
    if "accuracy_gain_pp" in said:
        return said["accuracy_gain_pp"], said["accuracy_gain_pp"]
    return said["accuracy_gain_pp_low"], said["accuracy_gain_pp_high"]


def small_gammas() -> pd.DataFrame:
    """The share of γ below 0.01 in magnitude, in percent, as `values`: what a reproduction quotes from the first version."""
    rows = values("fig4", metric="share_gamma_below_0.01")
    return rows.assign(value=100 * rows.value, uncertainty=100 * rows.uncertainty)


def alternate() -> pd.DataFrame:
    """What another initialisation, not named, gains in the paper's first version: network, gain in points, of each network."""
    rows = values("fig2", metric="test_accuracy_percent", kinds=("digitised",))
    own, other = (rows[rows.trainable.str.fullmatch(name)].set_index("network").value for name in ("bn", r"bn \(alternate.*"))
    return (other - own).dropna().rename("gain").reset_index()


def with_parameters(reference: pd.DataFrame) -> pd.DataFrame:
    """Those of `reference`, as `values`, that train γ and β alone, with a column `parameters`: how many γ and β the network has."""
    counts = values("table1", metric="parameters_batchnorm").set_index("network").value
    own = reference[reference.trainable == "bn"]
    return own.assign(parameters=own.network.map(counts))
