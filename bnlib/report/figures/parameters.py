"""Numbers of parameters."""

import pandas as pd
from matplotlib.figure import Figure

from bnlib.report.figures.style import house_style, look


def table1(counts: pd.DataFrame) -> Figure:
    """Table 1 as a picture: BatchNorm's share of all parameters, against the size of the network.

    counts: columns network, family, total, bn, output, shortcut; one row a network.
    """
    with house_style():
        figure = Figure(figsize=(6.4, 3.9), layout="constrained")
        ax = figure.subplots()
        markers = {"CIFAR-10, deeper": "o", "CIFAR-10, wider": "s", "ImageNet": "^"}
        for family, rows in counts.groupby("family"):
            ax.plot(
                rows.total,
                100 * rows.bn / rows.total,
                marker=markers.get(family, "o"),
                label=family,
                color=look("bn")[0],
                linestyle={"CIFAR-10, deeper": "-", "CIFAR-10, wider": "--"}.get(family, ":"),
            )
            for row in rows.iloc[[0, -1]].itertuples():
                ax.annotate(
                    row.network, (row.total, 100 * row.bn / row.total), xytext=(5, 5), textcoords="offset points", fontsize=8
                )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("all parameters (log scale)")
        ax.set_ylabel("γ and β among them (%, log scale)")
        ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.legend()
    return figure
