"""Each experiment's runs, in order of value: the one list of what a figure needs and what there is to train."""

import difflib

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


GAMMA_DEPTHS = (110, 14, 32, 56, 218, 434, 866)  # the networks whose γ are looked at; the paper's ResNet-110 first


def _grid(models_, sets=("bn",), **fields) -> list[RunSpec]:
    """Every trainable set on every model, the sets in order."""
    return [RunSpec(model=model, trainable=trainable, **fields) for trainable in sets for model in models_]


def _deep(depths=DEPTHS) -> list[str]:
    return [f"resnet{depth}" for depth in depths]


def _wide(widths=WIDTHS) -> list[str]:
    return [f"wrn14-{width}" for width in widths]


def fig1_affine(**fields) -> list[RunSpec]:
    """Figure 1: everything trained, and everything but γ and β."""
    return _grid(_deep(), ("all-bn", "all"), **fields)


def fig2_depth(**fields) -> list[RunSpec]:
    """Figure 2, left: every trainable set at every depth. `bn` first, from the shallowest, then what the paper compares it with."""
    return _grid(_deep(), TRAINABLE, **fields)


def fig2_width(**fields) -> list[RunSpec]:
    """Figure 2, right: every trainable set at every width of WRN-14-W; ResNet-14 is W = 1."""
    return _grid(["resnet14", *_wide()], TRAINABLE, **fields)


def fig3_depth_or_width(**fields) -> list[RunSpec]:
    """Figure 3: γ and β trained, in deeper and in wider networks."""
    return _grid([*_deep(), *_wide()], **fields)


def fig4_gamma(**fields) -> list[RunSpec]:
    """Figures 4 to 7: γ and β alone, and everything."""
    return _grid(_deep(GAMMA_DEPTHS), ("bn", "all"), **fields)


def curve_resnet110(**fields) -> list[RunSpec]:
    """Accuracy during the training of ResNet-110."""
    return _grid(["resnet110"], ("bn", "all", "bn+shortcut+output"), **fields)


def ablation_initialisation(**fields) -> list[RunSpec]:
    """Other initialisations of γ and β, and of the frozen weights."""
    deep = _deep(DEPTHS[:4])
    others = [spec for init in models.BN_INITS for spec in _grid(deep, bn_init=init, **fields)]
    return others + [spec for init in models.WEIGHT_INITS[1:] for spec in _grid(deep, weight_init=init, **fields)]


def ablation_gamma_or_beta(**fields) -> list[RunSpec]:
    """γ alone and β alone, beside both."""
    return _grid(_deep(DEPTHS[:4]), ("bn", "gamma", "beta"), **fields)


def ablation_random_parameters(**fields) -> list[RunSpec]:
    """K random weights of each channel, for growing K, beside γ and β, which are two of each."""
    return _grid(_deep(DEPTHS[:4]), ("bn", *(f"random:{k}" for k in (2, 1, 4, 8, 16))), **fields)


def ablation_recipe(**fields) -> list[RunSpec]:
    """Learning rate, weight decay on γ and β or not, SGD or Adam."""
    others = [{}, *({"lr": lr} for lr in (0.01, 0.03, 0.3, 1.0)), {"decay_bn": False}]
    others += [{"optimiser": "adam", "lr": lr} for lr in (0.001, 0.01)]
    return [spec for other in others for spec in _grid(_deep(DEPTHS[:4]), **{**fields, **other})]


def ablation_vgg(**fields) -> list[RunSpec]:
    """Networks without shortcuts."""
    return _grid([f"vgg{depth}" for depth in models.VGG_SEGMENTS], ("bn", "all"), **fields)


# What `bnlib sweep` trains, by name: the runs of each experiment in order of value, for one seed and recipe.
EXPERIMENTS = {
    function.__name__: function
    for function in (
        fig1_affine,
        fig2_depth,
        fig2_width,
        fig3_depth_or_width,
        fig4_gamma,
        curve_resnet110,
        ablation_initialisation,
        ablation_gamma_or_beta,
        ablation_random_parameters,
        ablation_recipe,
        ablation_vgg,
    )
}


def wanted(name: str, recipe: str = "paper", seeds: int = 1) -> list[RunSpec]:
    """The runs of the experiment `name`, in order of value: all of seed 0 first. Raises ValueError for a name that is none."""
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
        raise ValueError(
            f"experiment {name!r}: use one of {', '.join(EXPERIMENTS)}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return list(dict.fromkeys(spec for seed in range(seeds) for spec in EXPERIMENTS[name](recipe=recipe, seed=seed)))


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


def runs(recipe: str = "auto", family: str = "resnet", **equal) -> pd.DataFrame:
    """The stored runs a figure may show, one row each: those that differ from their recipe in nothing.

    recipe: `auto` for every recipe but `smoke`, which exists to test; else that one alone. family: of networks, `resnet` or
    `vgg`. equal: columns and the value
    they must have, such as width=1.
    """
    frame = store.results()
    if not len(frame):
        return frame
    keep = frame.recipe != "smoke" if recipe == "auto" else frame.recipe == recipe
    for column, value in {"family": family, **equal}.items():
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
