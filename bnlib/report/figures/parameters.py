"""Numbers of parameters."""

import pandas as pd
from matplotlib.figure import Figure

from bnlib.report.figures import alt
from bnlib.report.figures.panels import nothing
from bnlib.report.figures.style import HALO, house_style, look

LOOKS = {"CIFAR-10, deeper": ("o", "-"), "CIFAR-10, wider": ("s", "--")}


def table1(counts: pd.DataFrame) -> Figure:
    """Table 1 as a picture: BatchNorm's share of all parameters, against the size of the network.

    counts: columns network, family, total, bn, output, shortcut; one row a network.
    """
    if not len(counts):
        return nothing("no networks have been counted")
    counts = counts.assign(share=100 * counts.bn / counts.total)
    with house_style():
        figure = Figure(figsize=(6.4, 3.9), layout="constrained")
        ax = figure.subplots()
        for family, rows in counts.groupby("family"):
            marker, dash = LOOKS.get(family, ("^", ":"))
            ax.plot(rows.total, rows.share, marker=marker, label=family, color=look("bn")[0], linestyle=dash)
            for row in rows.iloc[[0, -1] if len(rows) > 1 else [0]].itertuples():
                ax.annotate(row.network, (row.total, row.share), (5, 5), textcoords="offset points", fontsize=9, path_effects=HALO)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.margins(x=0.12)
        ax.set_xlabel("all parameters (log scale)")
        ax.set_ylabel("γ and β among them (%, log scale)")
        ax.set_xticks([1e5, 1e6, 1e7, 1e8], ["100,000", "1 million", "10 million", "100 million"])
        ax.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.legend(loc="lower left")
    each = []
    for family, rows in counts.groupby("family"):
        ends = rows.iloc[[0, -1] if len(rows) > 1 else [0]]
        values = " to ".join(f"{alt.number(row.share, '.2g')} % of {row.network}" for row in ends.itertuples())
        each.append(f"{family}: {values}")
    figure.alt = f"The share of γ and β among all parameters. {'; '.join(each)}."
    return figure
