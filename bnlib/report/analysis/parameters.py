"""How few parameters γ and β are: Table 1, counted."""

import pandas as pd

from bnlib.experiments import DEEP, WIDE
from bnlib.experiments.catalogue import IMAGENET
from bnlib.report.analysis.tables import table
from bnlib.spec import architecture
from bnlib.spec.architecture import KERAS_DEPTHS

NETWORKS = {
    "CIFAR-10, deeper": DEEP,
    "CIFAR-10, wider": WIDE,
    "ImageNet": IMAGENET,
}


def table1(extra: str = "") -> pd.DataFrame:
    """Table 1: network, family, total, bn, output, shortcut; counted now, one row a network.

    extra: the name of one more network, if it is not among them.
    """
    from bnlib import freezing, models  # with PyTorch, for which the pages of stored runs need not wait

    there = {architecture(name) for names in NETWORKS.values() for name in names}
    families = {**NETWORKS, **({"asked for": [extra]} if extra and architecture(extra) not in there else {})}
    rows = []
    for family, names in families.items():
        for name in names:
            dataset, _, depth = name.partition("-resnet")
            title = f"ResNet-{depth}" if dataset == "imagenet" else architecture(name).title
            rows.append({"network": title, "family": family, **freezing.count(models.skeleton(name))})
    return pd.DataFrame(rows)


def beside_torchvision(classes: int = 10):
    """How many parameters Keras's ResNets and torchvision's of the same depth have, a table to read. Reckoned from their names."""
    rows = []
    for depth in KERAS_DEPTHS:
        networks = architecture(f"keras-resnet{depth}"), architecture(f"imagenet-resnet{depth}")
        features = sum(times * out for times, _, out, *_ in networks[0].convolutions())  # as many in both, each with a γ and a β
        output = (networks[0].convolutions()[-1][2] + 1) * classes
        keras, torchvision = (one.weights + 2 * features + output for one in networks)
        rows.append((f"ResNet-{depth}", keras + features, torchvision, features, 2 * features))  # Keras has a bias for each, too
    columns = ["network", "Keras's parameters", "torchvision's", "of Keras's biases", "of both γ and β"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], "{:,}"))


def judge_counts(counts: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Parameter counts against the paper's table: network, family, total, bn, output, shortcut, bn share, equal.

    `equal` says how many of the four counts are the paper's; NA for a network that its table lacks.
    counts: from `table1`. reference: `paper.values("table1")`.
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


def counts_table(counts: pd.DataFrame):
    """The rows of `judge_counts` as a table to read."""
    names = {"total": "all parameters", "bn": "γ and β", "bn share": "their share", "equal": "equal to the paper's"}
    of_four = lambda right: "not in the paper" if pd.isna(right) else f"{right:.0f} of 4"  # noqa: E731
    formats = {"their share": "{:.3%}", "equal to the paper's": of_four}
    style = counts.rename(columns=names).style.format(thousands=",", formatter=formats)
    return style.hide(axis="index").set_table_attributes('class="dataframe"')
