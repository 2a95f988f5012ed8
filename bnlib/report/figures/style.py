"""The house style: what colour, marker and dash mean, what things are called, and the rc parameters of every figure."""

import contextlib

import matplotlib
from matplotlib.patheffects import withStroke

from bnlib.spec import RECIPES

# Neutral colours. Where the page is dark these are others, and so are those hues that would be too dark there; see DARK.
INK = "#222222"  # text and axes
MUTED = "#666666"  # small text, marks in legends
GREY = "#8A8A8A"  # what is not a training: chance, the start, weight decay
FAINT = "#BBBBBB"  # lines that help to read
GRID = "#DDDDDD"
PAGE = "#FFFFFF"  # what a figure lies on

# Colour, marker and dash mean the trainable set, in every figure: safe for colour-blind readers, legible without colour.
# Each colour has a contrast of 3 or more against the page, light and dark.
SETS = {
    "all": ("#000000", "s", "-"),
    "bn": ("#0072B2", "o", "-"),
    "norm": ("#0072B2", "o", "-"),  # γ and β of what stands in BatchNorm's place
    "bn+output": ("#009E73", "^", "--"),
    "norm+output": ("#009E73", "^", "--"),
    "bn+shortcut+output": ("#00684B", "v", "-."),
    "shortcut+output": ("#AA4499", "P", (0, (4, 1, 1, 1, 1, 1))),
    "shortcut+shortcut-bn+output": ("#AA4499", "p", (0, (1, 1, 1, 1, 4, 1))),
    "output": ("#C46FA0", (4, 1, 0), (0, (1, 1))),  # a star of four: diamonds are the paper's
    "random": ("#D55E00", "X", (0, (5, 2))),
    "none": (GREY, "*", (0, (2, 2))),
    "all-bn": ("#8C510A", "h", (0, (6, 2))),
    "gamma": ("#2F8FCB", "<", (0, (5, 1))),
    "beta": ("#004466", ">", (0, (1, 2))),
}
# The variables of CSS that take a colour's place in a page, and their values where it is dark; book/_static/figures.css has both.
DARK = {
    INK: ("--bn-ink", "#CED6DD"),
    MUTED: ("--bn-muted", "#9CA4AF"),
    GREY: ("--bn-grey", "#8A929C"),
    FAINT: ("--bn-faint", "#5A6675"),
    GRID: ("--bn-grid", "#333C49"),
    PAGE: ("--bn-page", "#121212"),
    "#000000": ("--bn-all", "#FFFFFF"),
    "#0072B2": ("--bn-bn", "#4AA8E0"),
    "#00684B": ("--bn-bn-shortcut-output", "#00916A"),
    "#AA4499": ("--bn-shortcut-output", "#C66BB5"),
    "#8C510A": ("--bn-all-bn", "#C98A45"),
    "#004466": ("--bn-beta", "#4F8FB0"),
}
# What a reader calls a trainable set, in every figure and table.
NAMES = {
    "all": "everything",
    "bn": "γ and β",
    "norm": "γ and β",
    "bn+output": "γ, β and output layer",
    "norm+output": "γ, β and output layer",
    "bn+shortcut+output": "γ, β, output layer and shortcuts",
    "shortcut+output": "output layer and shortcuts",
    "shortcut+shortcut-bn+output": "output layer, shortcuts and their γ and β",
    "output": "output layer",
    "none": "nothing",
    "all-bn": "everything but γ and β",
    "gamma": "γ alone",
    "beta": "β alone",
}
# What a reader calls a recipe: "the paper" is the paper alone. In the order of figures.
OURS = {name: f"ours, {RECIPES[name].epochs} epochs" for name in ("paper", "imagenet", "blog", "short", "blog-short", "smoke")}
OURS["smoke"] += ", a test"
FULL = ("paper", "imagenet", "blog")  # recipes that train as long as those whose values stand beside ours
THEIRS = f"the paper, {RECIPES['paper'].epochs} epochs"
PALE = 0.5  # how strongly the paper's values are drawn beside runs of fewer epochs

STYLE = {
    "figure.facecolor": PAGE,
    "axes.facecolor": PAGE,
    "savefig.facecolor": PAGE,  # opaque: legible on a dark page too
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "legend.frameon": False,
    "legend.handlelength": 3.2,  # long enough for each dash to be told
    "svg.hashsalt": "bnlib",
    "svg.fonttype": "none",  # text is text: it can be searched, read aloud, and has the page's font
}
HALO = [withStroke(linewidth=2.5, foreground=PAGE)]  # path effects of a label that stays legible where a line runs through it


def look(trainable: str) -> tuple[str, str, object]:
    """Colour, marker and dash of a trainable set; every `random:K` looks alike."""
    return SETS["random" if trainable.startswith("random") else trainable]


def label(trainable: str) -> str:
    """What a reader calls a trainable set: `γ and β` for `bn`. Every set and the variants that are not sets have a name."""
    if not trainable.startswith("random:"):
        return NAMES.get(trainable, trainable)
    k = trainable.removeprefix("random:")
    return f"{k} random weight{'' if k == '1' else 's'} a channel"


def lost(n: int, diverged: int) -> str:
    """How many replicates of a point diverged, in words, beside the `n` that did not: `1 of 4 diverged`; empty if none did."""
    if not diverged:
        return ""
    return (
        f"{diverged} of {n + diverged} diverged"
        if n
        else {1: "diverged", 2: "both diverged"}.get(diverged, f"all {diverged} diverged")
    )


@contextlib.contextmanager
def house_style():
    """The rc parameters of every figure of the book."""
    with matplotlib.rc_context(STYLE):
        yield


def order(names) -> list[str]:
    """Trainable sets in the order of SETS, which is the legend's."""
    keys = list(SETS)
    return sorted(names, key=lambda n: (keys.index("random" if n.startswith("random") else n), n))
