"""Each experiment's runs, in order of value: the one list of what a figure needs and what there is to train."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bnlib import store
from bnlib.spec import RECIPES, RunSpec, architecture, canonical, datasets
from bnlib.spec.architecture import KERAS_DEPTHS, VGG_SEGMENTS
from bnlib.spec.choices import REPLICATES
from bnlib.words import one_of, shown, whole

DEPTHS = (14, 32, 56, 110, 218, 434, 866)
WIDTHS = (2, 4, 8, 16, 32)
DEEP = tuple(f"resnet{depth}" for depth in DEPTHS)
WIDE = tuple(f"wrn14-{width}" for width in WIDTHS)
IMAGENET = tuple(f"imagenet-resnet{depth}" for depth in (18, 34, 50, 101, 200))
# Where a user's ImageNet lies, as bnlib.spec has it: so its runs have the same names on every machine.
IMAGENET_FOLDER = "imagefolder:$BNLIB_IMAGENET"
IMAGENET_CLASSES, IMAGENET_IMAGES, CIFAR_IMAGES = 1000, 1_281_167, 50_000  # to train on


@dataclass(frozen=True)
class Experiment:
    """What a figure shows: every variant of a training on every network.

    variants: what the figure calls each, and the fields of RunSpec that make it, most valuable first.
    networks: those of the paper, in order of value. along: how else they may grow, for a user's own: `depth` takes every
    ResNet-N, `width` every WRN-14-W, `both` either, and a family of networks, such as `vgg`, all of that. networks_first: the
    order in which a sweep trains; a figure is worth most with one line over all networks, an ablation with all variants of one
    network. asks: the probe of trained networks that it shows, if it shows one. recipes: those it is trained with, the full one
    first; `smoke`, a test, does for each. dataset: what it is trained on; of a folder of pictures the figure shows
    those of 1,000 classes, wherever they lie.
    """

    variants: dict[str, dict]
    networks: tuple[str, ...] = DEEP
    along: str = "depth"
    networks_first: bool = field(default=True, kw_only=True)
    asks: str | None = field(default=None, kw_only=True)
    recipes: tuple[str, ...] = field(default=("paper", "short"), kw_only=True)
    dataset: str = field(default="cifar10", kw_only=True)

    def specs(self, recipe: str, seed: int, networks: tuple[str, ...] = (), dataset: str | None = None) -> list[RunSpec]:
        """The trainings of one seed, in order of value; on `networks`, `dataset` instead of the experiment's own if given."""
        networks = networks or self.networks
        if self.networks_first:
            pairs = [(fields, network) for fields in self.variants.values() for network in networks]
        else:
            pairs = [(fields, network) for network in networks for fields in self.variants.values()]
        dataset = dataset or self.dataset
        return [RunSpec(model=network, recipe=recipe, dataset=dataset, seed=seed, **fields) for fields, network in pairs]

    def takes(self, network: str) -> bool:
        """Whether the figure has a place for this network, be it the paper's or not."""
        arch = architecture(network)
        if arch.family != "resnet" or self.along not in ("depth", "width", "both"):
            return arch.family == self.along
        return (self.along != "width" and arch.width == 1) or (self.along != "depth" and arch.depth == 14)

    @property
    def of_pictures(self) -> bool:
        """Whether it is trained on a folder of pictures, the user's."""
        return self.dataset.startswith(datasets.FOLDER)

    def check_recipe(self, recipe: str, *others: str) -> str:
        """`recipe`, if it is one of the experiment's, `smoke` or one of `others`. Raises ValueError, with the nearest, if not."""
        one_of("recipe", recipe, (*others, *self.recipes, "smoke"))
        return recipe


def _sets(*names: str) -> dict[str, dict]:
    return {name: {"trainable": name} for name in names}


FIG2 = _sets("bn", "all", "bn+shortcut+output", "shortcut+output", "none", "bn+output", "output", "random:2")
# What the paper says of ImageNet: γ and β alone (claim 1), with the output layer (claim 7), everything but γ and β (claim 4).
FIG2_IMAGENET = _sets(*("bn", "all", "bn+output", "all-bn", "bn+shortcut+output", "shortcut+output", "output", "none", "random:2"))
INITIALISATIONS = {
    "γ uniform on [0, 1], the paper's": {},
    "γ = 1": {"bn_init": "ones"},
    "γ = 1, β = 1": {"bn_init": "oneone"},
    "γ uniform on [−1, 1]": {"bn_init": "signed_uniform"},
    "weights Kaiming uniform": {"weight_init": "kaiming_uniform"},
    "weights orthogonal": {"weight_init": "orthogonal"},
    "weights binary": {"weight_init": "binary"},
}
TRAININGS = {
    "the recipe": {},
    "learning rate 0.01": {"lr": 0.01},
    "learning rate 0.03": {"lr": 0.03},
    "learning rate 0.3": {"lr": 0.3},
    "learning rate 1": {"lr": 1.0},
    "no weight decay on γ and β": {"decay_bn": False},
    "Adam, learning rate 0.001": {"optimiser": "adam", "lr": 0.001},
    "Adam, learning rate 0.01": {"optimiser": "adam", "lr": 0.01},
}
BLOG = {
    "γ He normal, the blog's": {"weight_init": "glorot_uniform", "bn_init": "he_normal"},
    "γ = 1": {"weight_init": "glorot_uniform", "bn_init": "ones"},
}
SHALLOW = DEEP[:4]
PAPERS_GAMMA = ("resnet110", *(name for name in DEEP if name != "resnet110"))  # the network whose γ the paper counts comes first

# What `bnlib sweep` trains and a notebook asks for, by name.
EXPERIMENTS = {
    "fig1_affine": Experiment(_sets("all-bn", "all")),
    "fig2_depth": Experiment(FIG2),
    "fig2_width": Experiment(FIG2, ("resnet14", *WIDE), "width"),
    "fig3_depth_or_width": Experiment(_sets("bn"), DEEP + WIDE, "both"),
    **dict.fromkeys(("fig4_gamma", "fig5_thresholds"), Experiment(_sets("bn", "all"), PAPERS_GAMMA)),
    "fig6_clamping": Experiment(_sets("bn", "all"), PAPERS_GAMMA, asks="clamping"),
    "fig7_relu": Experiment(_sets("bn", "all"), PAPERS_GAMMA, asks="relu"),
    "curve_resnet110": Experiment(_sets("bn", "all", "bn+shortcut+output"), ("resnet110",)),
    "ablation_initialisation": Experiment(INITIALISATIONS, SHALLOW, networks_first=False),
    "ablation_gamma_or_beta": Experiment(_sets("bn", "gamma", "beta"), SHALLOW, networks_first=False),
    "ablation_random_parameters": Experiment(
        _sets("bn", *(f"random:{k}" for k in (2, 1, 4, 8, 16))),
        SHALLOW,
        networks_first=False,
    ),
    "ablation_recipe": Experiment(TRAININGS, SHALLOW, networks_first=False),
    "fig2_imagenet": Experiment(FIG2_IMAGENET, IMAGENET, "imagenet", recipes=("imagenet",), dataset=IMAGENET_FOLDER),
    "blog_keras": Experiment(
        BLOG,
        tuple(f"keras-resnet{depth}" for depth in KERAS_DEPTHS),
        "keras",
        networks_first=False,
        recipes=("blog", "blog-short"),
    ),
    "ablation_vgg": Experiment(_sets("bn", "all"), tuple(f"vgg{depth}" for depth in VGG_SEGMENTS), "vgg", networks_first=False),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`. Raises ValueError, with the nearest, for a name that is none."""
    one_of("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def wanted(name: str, recipe: str | None = None, seeds: int = 1, dataset: str | None = None) -> list[RunSpec]:
    """The runs of the experiment `name`, in order of value: all of seed 0 first.

    recipe: one of the experiment's, or `smoke`; None: its first. dataset: instead of its own, such as `cifar100`, or, where it
    is trained on a folder of pictures, `imagefolder:PATH`. Raises ValueError for a name, a recipe, a data set or a number of seeds
    that is none.
    """
    own, seeds = experiment(name), whole("seeds", seeds, *REPLICATES)
    recipe = own.recipes[0] if recipe is None else own.check_recipe(recipe)
    return [spec for seed in range(seeds) for spec in own.specs(recipe, seed, dataset=dataset)]


def missing(specs: list[RunSpec]) -> list[RunSpec]:
    """Those of `specs` that no stored run has, in the same order."""
    return [spec for spec in specs if store.find(spec) is None]


def runs(name: str, recipe: str = "auto", networks: list[str] | None = None) -> pd.DataFrame:
    """The stored runs that the experiment `name` shows: `bnlib.results()`, and a column `variant`, what the figure calls it.

    Of every seed, and of the user's own networks too where the figure has a place for them. recipe: `auto` for the experiment's
    own; else that one alone; `smoke`, which exists to test, too. networks: only these. Raises ValueError for a recipe that is none.
    """
    own, frame = experiment(name), store.results(whole=True)
    recipes = own.recipes if own.check_recipe(recipe, "auto") == "auto" else (recipe,)
    variants = {}
    for model, kind, dataset, seed in set(zip(frame.model, frame.recipe, frame.dataset, frame.seed, strict=True)):
        right = dataset.startswith(datasets.FOLDER) if own.of_pictures else dataset == own.dataset
        if right and kind in recipes and own.takes(model):
            specs = own.specs(kind, seed, (model,), dataset)
            variants.update({spec.id: variant for spec, variant in zip(specs, own.variants, strict=True)})
    if own.of_pictures:  # a folder of ten classes is no ImageNet
        there = variants.keys() & set(frame.id)
        variants = {one: variants[one] for one in there if store.load(one).info.get("classes") == IMAGENET_CLASSES}
    frame["variant"] = pd.Categorical(frame.id.map(variants), list(own.variants))
    keep = frame.variant.notna() & (frame.network.isin(networks) | frame.model.isin(networks) if networks else True)
    return frame[keep].sort_values(["recipe", "width", "depth", "variant", "seed"]).reset_index(drop=True)


def precisions() -> pd.DataFrame:
    """The stored runs that differ from their recipe in nothing but the precision, one row each."""
    frame = store.results(whole=True)
    spec = lambda row: RunSpec(row.model, row.trainable, row.recipe, seed=row.seed, precision=row.precision)  # noqa: E731
    keep = [row.recipe in ("paper", "short") and spec(row).id == row.id for row in frame.itertuples()]
    return frame[pd.Series(keep, index=frame.index, dtype=bool)].reset_index(drop=True)


def coverage(name: str) -> pd.DataFrame:
    """What has been run of each variant on each network, the more of the two as rows: for how long and how often, or a dash.

    Where the figure shows a probe and networks of a recipe do not have it, *not asked*; what diverged has none.
    """
    own, found = experiment(name), runs(name)

    def said(run):
        note = "diverged" if run.status == "diverged" else ""
        if own.asks and not note and store.load(run.id).probe(own.asks) is None:
            note = "not asked"
        return f"{RECIPES[run.recipe].epochs}\u00a0epochs" + (f" ({note})" if note else "")

    found["long"] = [said(run) for run in found.itertuples()]
    names = {architecture(network) for network in (*own.networks, *found.model)}
    titles = [arch.title for arch in sorted(names, key=lambda arch: (arch.width, arch.depth))]

    def cell(variant, network):
        counts = found[(found.variant == variant) & (found.network == network)].long.value_counts(sort=False)
        return ", ".join(long + (f" ×{n}" if n > 1 else "") for long, n in counts.items()) or "–"

    cells = {title: [cell(variant, title) for variant in own.variants] for title in titles}
    table = pd.DataFrame(cells, index=list(own.variants))
    return table if len(own.variants) > len(own.networks) else table.T


def progress(name: str) -> str:
    """How much of the experiment has been run at each recipe, in words: of its points on the paper's networks, their seed 0."""
    recipes = experiment(name).recipes
    counts = {recipe: len(wanted(name, recipe)) - len(missing(wanted(name, recipe))) for recipe in recipes}
    said = [f"{count} at recipe {recipe}" for recipe, count in counts.items() if count or recipe == recipes[0]]
    return f"of its {len(wanted(name))} points, whatever the replicates, {' and '.join(said)}"


def points(name: str, model: str, trainable: str | None = None, recipe: str = "auto", seeds: int = 1) -> list[store.Run]:
    """What the experiment `name` shows of one network: from the store, or trained now with an estimate and a bar. Says which.

    trainable: a set that the experiment shows; None: every variant. recipe: `auto` takes the one of which the store has most,
    the full one first; where it has nothing, that on a GPU and the shortest on a CPU, such as `paper` and `short`. seeds: the
    replicates, from seed 0 on; those of a variant that are missing train together. Where the figure shows a probe, stored networks
    that lack it are asked, which on a CPU takes minutes. Raises ValueError for what the figure has no place for, before any work.
    """
    own, variants = experiment(name), None if trainable is None else [canonical(trainable)]
    if not own.takes(model):
        raise ValueError(f"{name} has no place for {model}: it shows networks such as {', '.join(own.networks[:3])}")
    if variants and variants[0] not in own.variants:
        raise ValueError(f"{name} has no line for trainable {shown(trainable)}: use one of {', '.join(own.variants)}")
    own.check_recipe(recipe, "auto")
    seeds = whole("seeds", seeds, *REPLICATES)

    def specs(recipe: str) -> list[list[RunSpec]]:
        """Of each variant its replicates."""
        by_variant = zip(own.variants, *(own.specs(recipe, seed, (model,)) for seed in range(seeds)), strict=True)
        return [replicates for variant, *replicates in by_variant if variants is None or variant in variants]

    if recipe == "auto":  # by seed 0 alone: further seeds of a lesser recipe do not make it the better one
        stored = {name: sum(store.find(of[0]) is not None for of in specs(name)) for name in own.recipes}
        most = max(stored, key=stored.__getitem__)
        recipe = most if stored[most] else own.recipes[0 if _on_gpu() else -1]
    due = specs(recipe)
    if own.of_pictures and missing([*itertools.chain(*due)]):
        folder = datasets.image_folder(own.dataset)
        if not folder.is_dir():
            raise ValueError(f"dataset {own.dataset}: there is no folder {shown(str(folder))}; it holds train/ and val/")
    found = []
    for replicates in due:
        for spec in replicates:
            run = store.find(spec)
            said = f"stored, {run.accuracy:.1%} (recipe {recipe})" if run else f"not stored; training it now with recipe {recipe}"
            print(f"{spec.id}: {said}" + ("" if run else f", {spec.settings.epochs} epochs"), flush=True)
        if missing(replicates):
            from bnlib.training import train_together  # with PyTorch, for which a page of stored runs need not wait

            train_together(replicates)
        found += map(store.find, replicates)
    unasked = [run for run in found if own.asks and not run.probe(own.asks) and run.info["status"] == "finished"]
    if unasked:
        from bnlib.training import ask

        ask(unasked, names=(own.asks,))
    return found


def clamped(run: str, threshold: float, images: int, chunk: int = 250) -> Iterator[tuple[int, float, float]]:
    """Test accuracy of the stored run `run` with every |γ| ≤ threshold set to 0, computed now, on the first `images` test images.

    In the same way and precision as the probe `clamping`. After every `chunk` images yields how many are through, and the
    accuracy on them, a fraction, with β kept and with β at 0 too. Raises StoreError where the network cannot be drawn again,
    DataMissing where the images are not there.
    """
    from bnlib.engine import probes

    spec, model, dataset = store.load(run).spec, _network(run), _dataset(store.load(run).spec.dataset)
    images, right = min(images, len(dataset.test_labels)), np.zeros(2)
    for first in range(0, images, chunk):
        some = slice(first, min(first + chunk, images))
        part = replace(dataset, test_images=dataset.test_images[some], test_labels=dataset.test_labels[some])
        found = probes.clamping(model, part, thresholds=(threshold,), precision=spec.precision)
        right += np.array([found["accuracy"][0], found["accuracy_beta"][0]]) * len(part.test_labels)
        yield some.stop, *(right.round() / some.stop).tolist()


@functools.lru_cache(4)
def _network(run: str):
    return store.load(run).model()


@functools.lru_cache(1)
def _dataset(name: str):
    from bnlib import data

    return data.load(name)


def _on_gpu() -> bool:
    from bnlib import machine

    return machine.device().type == "cuda"


def cost(name: str, recipe: str) -> tuple[float, str]:
    """About how many seconds the first training that `name` lacks would take, and where, reckoned from the stored runs of `recipe`.

    By its multiplications, at the median rate of the device that has most of those runs; of other recipes on CIFAR-10 where
    there is none of this; (0, "") without any.
    """
    from bnlib.training.sweep import work

    due, known = missing(wanted(name, recipe)), store.results()
    known = known[(known.dataset == "cifar10") & (known.status == "finished") & (known.recipe != "smoke")]
    known = known[known.recipe == recipe] if (known.recipe == recipe).any() else known
    if not len(known) or not due:
        return 0.0, ""
    device = known.device.value_counts().index[0]
    own = known[known.device == device]
    rates = own.seconds / [work(store.load(one).spec) for one in own.id]
    images = IMAGENET_IMAGES / CIFAR_IMAGES if experiment(name).of_pictures else 1
    return float(rates.median() * work(due[0]) * images), device


def whole_cost(recipe: str = "paper", seeds: int = 1) -> pd.DataFrame:
    """What every experiment together would cost on each machine that has trained, as if nothing were stored: one row a machine.

    device; gpu, whether it is one; known: its runs that this is reckoned from; trainings: how many there are of different
    content; seconds of all of them one at a time, and of the longest. A training counts for every figure that shows it, once.
    Only trainings on CIFAR-10; only machines with runs of two networks, as how a machine scales says more than how fast it is.
    """
    from bnlib.training import costs

    names = [name for name, own in EXPERIMENTS.items() if recipe in own.recipes]
    specs = dict.fromkeys(spec for name in names for spec in wanted(name, recipe, seeds))
    rows = []
    for device in dict.fromkeys(run.info["device"] for run in store.all_runs()):
        known = costs.paces(device)
        found = [costs.reckon(spec, known[costs.kind(spec)]).whole for spec in specs if costs.kind(spec) in known]
        runs = [pace for kind in {costs.kind(spec) for spec in specs} for pace in known.get(kind, ())]
        if found and len(found) == len(specs) and len({pace.work for pace in runs}) > 1:
            rows.append((device, costs.on_gpu(device), len(runs), len(specs), sum(found), max(found)))
    frame = pd.DataFrame(rows, columns=["device", "gpu", "known", "trainings", "seconds", "longest"])
    return frame.sort_values(["gpu", "known"], ascending=False, kind="stable").reset_index(drop=True)
