"""Each experiment's runs, in order of value: the one list of what a figure needs and what there is to train."""

import pandas as pd
import torch

from bnlib import freezing, models, store, training
from bnlib.spec import RECIPES, RunSpec

DEPTHS = (14, 32, 56, 110, 218, 434, 866)
WIDTHS = (2, 4, 8, 16, 32)
TABLE1 = {
    "CIFAR-10, deeper": [f"resnet{depth}" for depth in DEPTHS],
    "CIFAR-10, wider": [f"wrn14-{width}" for width in WIDTHS],
    "ImageNet": [f"imagenet-resnet{depth}" for depth in (18, 34, 50, 101, 200)],
}
TRAINABLE = ("bn", "all", "bn+shortcut+output", "shortcut+output", "none", "bn+output", "output", "random:2")


def fig2_depth(recipe: str = "paper", seed: int = 0) -> list[RunSpec]:
    """Figure 2, left: every trainable set at every depth. `bn` first, from the shallowest, then what the paper compares it with."""
    return [
        RunSpec(model=f"resnet{depth}", trainable=trainable, recipe=recipe, seed=seed)
        for trainable in TRAINABLE
        for depth in DEPTHS
    ]


def table1(extra: str = "") -> pd.DataFrame:
    """Table 1: network, family, total, bn, output, shortcut; counted now, one row a network. extra: one more network's name."""
    families = {**TABLE1, **({"asked for": [extra]} if extra else {})}
    rows = []
    for family, names in families.items():
        for name in names:
            dataset, _, depth = name.partition("-resnet")
            title = f"ResNet-{depth}" if dataset == "imagenet" else models.architecture(name).title
            rows.append({"network": title, "family": family, **freezing.count(models.skeleton(name))})
    return pd.DataFrame(rows)


def runs(recipe: str = "auto", **equal) -> pd.DataFrame:
    """The stored runs a figure may show, one row each: those that differ from their recipe in nothing.

    recipe: `auto` for every recipe but `smoke`, which exists to test; else that one alone. equal: columns and the value
    they must have, such as width=1.
    """
    frame = store.results()
    if not len(frame):
        return frame
    keep = frame.recipe != "smoke" if recipe == "auto" else frame.recipe == recipe
    for column, value in equal.items():
        keep &= frame[column] == value
    for row in frame[keep].itertuples():
        keep[row.Index] = RunSpec(model=row.model, trainable=row.trainable, recipe=row.recipe, seed=row.seed).id == row.id
    return frame[keep].reset_index(drop=True)


def precisions() -> pd.DataFrame:
    """The stored runs that differ from their recipe in nothing but the precision, one row each."""
    frame = store.results()
    spec = lambda row: RunSpec(row.model, row.trainable, row.recipe, seed=row.seed, precision=row.precision)  # noqa: E731
    return frame[[row.recipe != "smoke" and spec(row).id == row.id for row in frame.itertuples()]].reset_index(drop=True)


def coverage(shown: pd.DataFrame, depths=DEPTHS, trainable=TRAINABLE) -> pd.DataFrame:
    """What has been run: a row for each trainable set, a column for each depth; the recipes run, or *not run*."""

    def recipes(name, depth):
        found = shown[(shown.trainable == name) & (shown.depth == depth)]
        return ", ".join(sorted(set(found.recipe))) or "not run"

    cells = {str(depth): [recipes(name, depth) for name in trainable] for depth in depths}
    return pd.DataFrame(cells, index=list(trainable)).rename_axis(columns="depth")


def missing(specs: list[RunSpec]) -> list[RunSpec]:
    """Those of `specs` that no stored run has, in the same order."""
    return [spec for spec in specs if store.find(spec) is None]


def point(depth: int, trainable: str = "bn", recipe: str = "auto", seed: int = 0, width: int = 1) -> store.Run:
    """One point of a figure: from the store, or trained now, with an estimate and a progress bar. Says which, and of which recipe.

    recipe: `auto` takes what the store has, `paper` first; where it has nothing, `paper` on a GPU and `short` on a CPU.
    Raises ValueError for a depth that is not 6D+2, an unknown set or recipe, before any work.
    """
    model = models.Architecture(models.check_depth(depth), width).name
    if recipe == "auto":
        stored = [
            name
            for name in RECIPES
            if name != "smoke" and store.find(RunSpec(model=model, trainable=trainable, recipe=name, seed=seed))
        ]
        recipe = stored[0] if stored else "paper" if torch.cuda.is_available() else "short"
    spec = RunSpec(model=model, trainable=trainable, recipe=recipe, seed=seed)
    found = store.find(spec)
    if found:
        print(f"{spec.id}: stored, {found.accuracy:.1%} (recipe {recipe})")
        return found
    print(f"{spec.id}: not stored; training it now with recipe {recipe}, {spec.settings.epochs} epochs", flush=True)
    return training.train(spec)
