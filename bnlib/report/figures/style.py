"""The house style: what colour, marker and dash mean, and the rc parameters of every figure."""

import contextlib

import matplotlib
from matplotlib.lines import Line2D

# Colour, marker and dash mean the trainable set, in every figure: safe for colour-blind readers, legible without colour.
SETS = {
    "all": ("#000000", "s", "-"),
    "bn": ("#0072B2", "o", "-"),
    "bn+output": ("#009E73", "^", "--"),
    "bn+shortcut+output": ("#00684B", "v", "-."),
    "shortcut+output": ("#AA4499", "P", (0, (4, 1, 1, 1, 1, 1))),
    "output": ("#CC79A7", "D", (0, (1, 1))),
    "random": ("#D55E00", "X", (0, (5, 2))),
    "none": ("#8A8A8A", "*", (0, (2, 2))),
    "all-bn": ("#8C510A", "h", (0, (6, 2))),
    "gamma": ("#56B4E9", "<", (0, (5, 1))),
    "beta": ("#004466", ">", (0, (1, 2))),
}
LABELS = {
    "all": "all parameters",
    "bn": "γ and β only",
    "bn+output": "γ, β, output",
    "bn+shortcut+output": "γ, β, output, shortcuts",
    "shortcut+output": "output, shortcuts",
    "output": "output layer only",
    "none": "nothing",
    "all-bn": "all but γ and β",
    "gamma": "γ only",
    "beta": "β only",
}
STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",  # opaque: legible on a dark page too
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.hashsalt": "bnlib",
    "svg.fonttype": "path",
}
PAPER = Line2D([], [], color="#555555", marker="D", markerfacecolor="white", linestyle="", label="the paper's value")
RECIPE_TITLES = {
    "paper": "recipe paper: 160 epochs",
    "short": "recipe short: 16 epochs",
    "smoke": "recipe smoke: a test, not a result",
}


def look(trainable: str) -> tuple[str, str, object]:
    """Colour, marker and dash of a trainable set; every `random:K` looks alike."""
    return SETS["random" if trainable.startswith("random") else trainable]


def label(trainable: str) -> str:
    """What a legend calls a trainable set."""
    return LABELS.get(trainable) or f"{trainable.removeprefix('random:')} random weights a channel"


@contextlib.contextmanager
def house_style():
    """The rc parameters of every figure of the book."""
    with matplotlib.rc_context(STYLE):
        yield


def order(names) -> list[str]:
    """Trainable sets in the order of SETS, which is the legend's."""
    keys = list(SETS)
    return sorted(names, key=lambda n: (keys.index("random" if n.startswith("random") else n), n))
