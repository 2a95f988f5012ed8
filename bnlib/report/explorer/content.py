"""What the explorer's page is sent of each run: enough that every number it shows is exact, and little more.

Exact are: the share of features with |γ| below each of STOPS, of a network, a segment or a layer, counted on γ as stored; where
weight decay alone would have left that share, counted on γ as drawn; the bars of the histogram; accuracies, as the network was
asked. Not sent is where between two stops a |γ| lies, nor which feature of its layer it belongs to.
"""

import base64
import json
import zlib

import numpy as np
import pandas as pd

from bnlib import experiments, seeds, store
from bnlib.report import paper
from bnlib.report.analysis.gamma import shrunk
from bnlib.report.beyond.tasks import TASKS
from bnlib.report.figures.style import label
from bnlib.spec import RECIPES

# The thresholds, fifteen to a power of ten; from 0.001 on they are those at which networks are asked for their accuracy.
STOPS = np.array([round(10 ** (-4 + k / 15), 7 if k < 15 else 5) for k in range(64)])
BAR = 0.05  # width of the histogram's bars, as in Figure 4
LIMIT = 180_000  # characters of the page that runs may take
NETWORKS = "network", "variant", "trainable", "recipe"  # what the replicates of a point have in common


# Whose runs it shows: where a run is in several, under the name of the first.
SHOWN = ("fig6_clamping", "ablation_recipe", "beyond_bn_first", "beyond_norms", "beyond_bytes", "beyond_tasks")


def shown(recipe: str = "auto", networks: list[str] | None = None) -> pd.DataFrame:
    """The runs of all experiments whose γ the explorer shows, as rows of `experiments.runs`, which has the arguments."""
    found = [experiments.runs(name, recipe, networks) for name in SHOWN]
    found = [own.astype({"variant": str}) for own in found if len(own)] or found[:1]
    return pd.concat(found, ignore_index=True).drop_duplicates("id", ignore_index=True)


def pack(content: dict) -> str:
    """`content` as base64 of deflated JSON: text that a script in the page can read without help."""
    return base64.b64encode(zlib.compress(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), 9)).decode()


def content(runs: pd.DataFrame, threshold: float) -> dict:
    """All that the page shows of `runs`, rows of `experiments.runs`, opened at `threshold`; see the module.

    Returns plain JSON values. stops; edges of the bars; networks: of each its layers' names and numbers of features; points, and
    of each its runs: the hash that ends the run's id, seed, accuracy and `counted`; start: what is ticked at first; paper: the
    values to hold against it; left_out: in words, why which run is not there.
    """
    finished = runs[runs.status == "finished"]
    left_out = [f"{_name(row)}: diverged" for row in runs[runs.status != "finished"].itertuples()]
    left_out += store.unreadable(whole=True).values()
    start = opening(finished)
    # If not all runs find room in a page: the opening ones first, then those of each point's first seed.
    ranked = finished.assign(late=~finished.id.isin(start), worse=finished.recipe.map(list(RECIPES).index))
    ranked = ranked.sort_values(["late", "seed", "worse", "depth"])
    found, networks, size = {}, {}, 0
    edges = _edges(finished)
    for row in ranked.itertuples():
        run = store.load(row.id)
        one = counted(run, edges)
        size += len(pack(one))
        if size > LIMIT:
            left_out.append(f"{_name(row)}: no room on this page")
            continue
        networks[row.network] = {"layers": list(run.gamma), "sizes": [len(gamma) for gamma in run.gamma.values()]}
        found[row.id] = {"id": row.id[-8:], "run": row.id, "seed": row.seed, "test": row.accuracy, **one}
    shown = finished[finished.id.isin(found)]
    points = []
    for (network, variant, trainable, _), own in shown.groupby(list(NETWORKS), sort=False, observed=True):
        of = {"network": network, "set": _set(trainable), "name": called(trainable, variant), "epochs": int(own.epochs.max())}
        task = TASKS.get(variant.split(":")[0])
        of["guess"] = task[1] / 100 if task else 1 / int(own.classes.max())  # what who always gives the same answer gets right
        of["plain"] = variant == trainable  # as the paper's networks are trained, so that its accuracies can stand beside
        points.append({**of, "runs": [found[run] for run in own.id]})
    return {
        "stops": STOPS.tolist(),
        "at": stop(threshold),
        "edges": edges.round(2).tolist(),
        "networks": networks,
        "points": points,
        "start": [run[-8:] for run in start],
        "paper": _paper(set(networks)),
        "left_out": left_out,
    }


def called(trainable: str, variant: str) -> str:
    """A point's name: what learns, and in what it differs from the figures' own trainings, each said once."""
    learns = label(trainable)
    other = variant.removesuffix(f", {learns}").removesuffix(f": {trainable}")
    return learns if other == trainable else other if other.startswith(learns) else f"{learns}, {other}"


def stop(threshold: float) -> int:
    """The place in STOPS of the one nearest to `threshold`, in ratio. Raises ValueError outside of their range."""
    if not STOPS[0] <= threshold <= STOPS[-1]:
        near = min(max(threshold, STOPS[0]), STOPS[-1])
        raise ValueError(f"threshold {threshold}: use one from {STOPS[0]:g} to {STOPS[-1]:g}; nearest: {near:g}")
    return int(np.abs(np.log(STOPS / threshold)).argmin())


def opening(runs: pd.DataFrame) -> list[str]:
    """The ids ticked at first: all replicates of the deepest γ-and-β-only network, and of the same with everything trained.

    At the best recipe that has one. Without any such run, the first point of `runs`.
    """
    alone = runs[runs.trainable == "bn"]
    best = alone[alone.recipe == min(alone.recipe, key=list(RECIPES).index, default=None)]
    row = best.loc[best.depth.idxmax()] if len(best) else runs.iloc[0] if len(runs) else None
    if row is None:
        return []
    same = (runs.network == row.network) & (runs.recipe == row.recipe)
    own = same & (runs.trainable == row.trainable) & (runs.variant == row.variant)
    return [*runs[own].id, *runs[same & ~own & (row.trainable == "bn") & (runs.trainable == "all")].id]


def counted(run: store.Run, edges: np.ndarray) -> dict:
    """What is counted of one run.

    codes: layer by layer, how many of STOPS each |γ| reaches, sorted, each as its distance from the one before, a character from
    `0` on; |γ| is below stop i where that number is at most i. bars: γ in each bar, the outermost with all beyond. decayed: at each
    stop, how many γ decay alone would bring below; None where the optimiser is not SGD. accuracy, beta: at each stop, the test
    accuracy with exactly the features below it set to 0, β kept or at 0 too; None where it was not asked for. whole: the accuracy
    with none set to 0, in the training's precision as these two.
    """
    layers = [np.sort(np.searchsorted(STOPS, np.abs(gamma), side="right")) for gamma in run.gamma.values()]
    codes = "".join(chr(48 + step) for codes in layers for step in np.diff(codes, prepend=0))
    gamma, settings = np.concatenate(list(run.gamma.values())), run.spec.settings
    below = np.searchsorted(np.sort(np.abs(gamma)), STOPS, side="left")
    bars = np.histogram(gamma.clip(edges[0], edges[-1]), edges)[0]
    decayed = None
    if settings.optimiser == "sgd":
        drawn = [seeds.gamma(run.spec.seed, layer, len(own), run.spec.bn_init) for layer, own in run.gamma.items()]
        left = np.sort(np.abs(np.concatenate(drawn).astype(float))) * (shrunk(settings) if settings.decay_bn else 1)
        decayed = np.searchsorted(left, STOPS, side="left").tolist()
    found = {"codes": codes, "bars": bars.tolist(), "decayed": decayed, "accuracy": None, "beta": None, "whole": None}
    found["redrawn"] = run.spec.redrawn
    if asked := run.probe("clamping"):
        found["whole"] = asked["accuracy"][0]  # at the threshold 0
        # The same number of smallest |γ| is the same network.
        at = {round(share * len(gamma)): i for i, share in enumerate(asked["share"])}
        for key, curve in (("accuracy", asked["accuracy"]), ("beta", asked["accuracy_beta"])):
            found[key] = [curve[at[count]] if count in at else None for count in below.tolist()]
    return found


def _edges(runs: pd.DataFrame) -> np.ndarray:
    """The edges of the bars, BAR apart, 0 among them, from where to where 99.8 % of all γ lie."""
    every = [gamma for run in runs.id for gamma in store.load(run).gamma.values()]
    low, high = np.percentile(np.concatenate(every), [0.1, 99.9]) if every else (0, 1)
    return BAR * np.arange(np.floor(min(-0.1, low) / BAR), np.ceil(max(1.1, high) / BAR) + 1)


def _set(trainable: str) -> str:
    """The name of a trainable set as far as colour goes: every `random:K` looks alike."""
    return "random" if trainable.startswith("random") else trainable


def _name(row) -> str:
    return f"{row.network}, {label(row.trainable)}, {RECIPES[row.recipe].epochs} epochs, seed {row.seed}"


def _paper(networks: set[str]) -> list[dict]:
    """The paper's values: its shares below 0.01, of whatever network, and its accuracies of `networks`."""
    small = paper.small_gammas().assign(share=True)
    accuracy = paper.values("fig2", "abstract", metric="test_accuracy_percent", kinds=paper.PAPER).assign(share=False)
    rows = pd.concat([small, accuracy[accuracy.network.isin(networks) & accuracy.trainable.isin(["bn", "all"])]])
    return [
        {
            "network": row.network,
            "set": row.trainable,
            "name": label(row.trainable),
            "share": row.share,
            "value": row.value / 100,
            "uncertainty": row.uncertainty / 100,
            "source": paper.KINDS[row.kind],
        }
        for row in rows.itertuples()
    ]
