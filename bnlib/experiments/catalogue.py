"""Each experiment's runs, in order of value: the one list of what a figure needs and what there is to train."""

from dataclasses import dataclass, field

from bnlib import store
from bnlib.spec import RECIPES, RunSpec, architecture, datasets
from bnlib.spec.architecture import KERAS_DEPTHS, VGG_SEGMENTS
from bnlib.spec.choices import REPLICATES
from bnlib.words import one_of, shown, whole

DEPTHS = (14, 32, 56, 110, 218, 434, 866)
WIDTHS = (2, 4, 8, 16, 32)
DEEP = tuple(f"resnet{depth}" for depth in DEPTHS)
WIDE = tuple(f"wrn14-{width}" for width in WIDTHS)
NARROW = tuple(f"wrn14-{width}" for width in (0.0625, 0.125, 0.1875, 0.25, 0.375, 0.5))
IMAGENET = tuple(f"imagenet-resnet{depth}" for depth in (18, 34, 50, 101, 200))
# Where a user's ImageNet lies, as bnlib.spec has it: so its runs have the same names on every machine.
IMAGENET_FOLDER = "imagefolder:$BNLIB_IMAGENET"
IMAGENET_CLASSES, IMAGENET_IMAGES, CIFAR_IMAGES = 1000, 1_281_167, 50_000  # to train on


@dataclass(frozen=True)
class Experiment:
    """What a figure shows: every variant of a training on every network.

    variants: what the figure calls each, and the fields of RunSpec that make it, most valuable first; `switch` as a share of the
    recipe's epochs.
    networks: those of the paper, in order of value. along: how else they may grow, for a user's own: `depth` takes every
    ResNet-N, `width` every WRN-14-W of W ≥ 1, `both` either, `narrow` every ResNet-N and WRN-N-W of W < 1, and a family of
    networks, such as `vgg`, all of that. networks_first: the order in which a sweep trains; a figure is worth most with one line
    over all networks, an ablation with all variants of one network. only: of a variant those of the networks that it needs, if not
    all. asks: the probe of trained networks that it shows, if it shows one. recipes: those it is trained with, the full one
    first; `smoke`, a test, does for each. dataset: what it is trained on, but for variants that say so themselves; of a folder of
    pictures the figure shows those of 1,000 classes, wherever they lie.
    """

    variants: dict[str, dict]
    networks: tuple[str, ...] = DEEP
    along: str = "depth"
    networks_first: bool = field(default=True, kw_only=True)
    only: dict[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)
    asks: str | None = field(default=None, kw_only=True)
    recipes: tuple[str, ...] = field(default=("paper", "short"), kw_only=True)
    dataset: str = field(default="cifar10", kw_only=True)

    def specs(self, recipe: str, seed: int, networks: tuple[str, ...] = (), dataset: str | None = None) -> list[RunSpec]:
        """The trainings of one seed, in order of value; on `networks`, `dataset` instead of the experiment's own if given.

        On the experiment's own networks those that it needs; on others every variant.
        """
        names, due = networks or self.networks, {} if networks else self.only
        if self.networks_first:
            pairs = [(variant, network) for variant in self.variants for network in names]
        else:
            pairs = [(variant, network) for network in names for variant in self.variants]
        pairs = [(self.variants[variant], network) for variant, network in pairs if network in due.get(variant, names)]
        if dataset and any("dataset" in fields for fields in self.variants.values()):
            raise ValueError(f"dataset {shown(dataset)}: this experiment is about its own, {', '.join(self.datasets)}")
        same = {"recipe": recipe, "dataset": dataset or self.dataset, "seed": seed}
        return [RunSpec(model=network, **{**same, **_in_epochs(fields, recipe)}) for fields, network in pairs]

    @property
    def datasets(self) -> tuple[str, ...]:
        """What it is trained on."""
        return tuple(dict.fromkeys(fields.get("dataset", self.dataset) for fields in self.variants.values()))

    def takes(self, network: str) -> bool:
        """Whether the figure has a place for this network, be it the paper's or not."""
        arch = architecture(network)
        if arch.family != "resnet" or self.along not in ("depth", "width", "both", "narrow"):
            return arch.family == self.along
        if self.along == "narrow" or arch.width < 1:
            return self.along == "narrow" and arch.width <= 1
        return (self.along != "width" and arch.width == 1) or (self.along != "depth" and arch.depth == 14)

    @property
    def of_pictures(self) -> bool:
        """Whether it is trained on a folder of pictures, the user's."""
        return self.dataset.startswith(datasets.FOLDER)

    def check_recipe(self, recipe: str, *others: str) -> str:
        """`recipe`, if it is one of the experiment's, `smoke` or one of `others`. Raises ValueError, with the nearest, if not."""
        one_of("recipe", recipe, (*others, *self.recipes, "smoke"))
        return recipe


def _in_epochs(fields: dict, recipe: str) -> dict:
    """The fields of a variant, its `switch` in epochs of the recipe; of `smoke`, a test, with no epochs of its own."""
    fields = {name: value for name, value in fields.items() if name != "epochs" or recipe != "smoke"}
    return fields | ({"switch": max(1, round(fields["switch"] * RECIPES[recipe].epochs))} if "switch" in fields else {})


def _sets(*names: str) -> dict[str, dict]:
    return {name: {"trainable": name} for name in names}


def _decayed_or_not(*rates: float) -> dict[str, dict]:
    """The recipe and other learning rates, each without weight decay on γ and β and with it."""
    found = {UNDECAYED: {"decay_bn": False}, "the recipe": {}}
    for lr in rates:
        found[f"learning rate {lr:g}, {UNDECAYED}"] = {"lr": lr, "decay_bn": False}
        found[f"learning rate {lr:g}"] = {"lr": lr}
    return found


UNDECAYED = "no weight decay on γ and β"
FIG2 = _sets("bn", "all", "bn+shortcut+output", "shortcut+output", "none", "bn+output", "output", "random:2")
# Shortcuts with γ and β of their own: what the paper's line of shortcuts and output layer may have been trained with.
WITH_BESIDE = "shortcut+shortcut-bn+output"
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
    UNDECAYED: {"decay_bn": False},
    "Adam, learning rate 0.001": {"optimiser": "adam", "lr": 0.001},
    "Adam, learning rate 0.01": {"optimiser": "adam", "lr": 0.01},
}
WHY_OFF = _decayed_or_not(1.0, 0.3, 0.03, 0.01)  # the largest rate first: there weight decay pulls most
BLOG = {
    "γ He normal, the blog's": {"weight_init": "glorot_uniform", "bn_init": "he_normal"},
    "γ = 1": {"weight_init": "glorot_uniform", "bn_init": "ones"},
}
# Of 16 epochs, or of 160, so many parts with γ and β alone at first, and with everything for the rest.
BN_FIRST = {
    "everything from the start": {"trainable": "all"},
    "γ and β for an eighth, then everything": {"then": "all", "switch": 1 / 8},
    "γ and β for a quarter, then everything": {"then": "all", "switch": 1 / 4},
    "γ and β for half, then everything": {"then": "all", "switch": 1 / 2},
}
# A task each, and what of the network it has for itself. 1,437 digits are 12 steps an epoch: they are seen for as many as the paper
# trains, at `short`, too; a mirrored digit is none.
TASKS = {
    f"{task}: {trainable}": {"dataset": dataset, "trainable": trainable, **fields}
    for task, dataset, fields in (
        ("ten classes", "cifar10", {}),
        ("rotation", "cifar10-rotation", {}),
        ("animals", "cifar10-animals", {}),
        ("digits", "digits", {"epochs": 160, "augment": "crop"}),
    )
    for trainable in ("bn", "all")
}
# A network trained on five classes goes on with the other five: by how many images of each, what learns, and at which rate.
CARRIED = {10: 160, 100: 80, 1000: 16}  # images a class, and for how many epochs they are seen
TRANSFER = {
    f"{images}: {trainable}, {lr:g}": {
        "dataset": "cifar10-last5",
        "pretrained": "cifar10-first5",
        "train_images": 5 * images,
        "epochs": epochs,
        "trainable": trainable,
        "lr": lr,
    }
    for images, epochs in CARRIED.items()
    for lr in (0.1, 0.01)
    for trainable in ("bn", "output", "all", "bn+output")
}
SHALLOW = DEEP[:4]
_NORMS = {"BatchNorm": "batch", "GroupNorm": "group", "LayerNorm": "layer", "InstanceNorm": "instance"}
NORMS = {name: {"norm": norm, "trainable": "norm"} for name, norm in _NORMS.items()}
NORMS |= {f"{name}, everything": {"norm": norm, "trainable": "all"} for name, norm in _NORMS.items()}
# SGD at 0.1 is a ResNet's recipe; transformers are usually trained with Adam.
ADAM = {"optimiser": "adam", "lr": 0.001}
TRANSFORMER = _sets("norm", "output", "norm+output", "none", "all")
TRANSFORMER |= {
    f"{name}, Adam": {"trainable": trainable, **ADAM} for name, trainable in (("everything", "all"), ("γ and β", "norm"))
}
PAPERS_GAMMA = ("resnet110", *(name for name in DEEP if name != "resnet110"))  # the network whose γ the paper counts comes first

# What `bnlib sweep` trains and a notebook asks for, by name.
EXPERIMENTS = {
    "fig1_affine": Experiment(_sets("all-bn", "all")),
    "fig2_depth": Experiment(FIG2 | _sets(WITH_BESIDE), only={WITH_BESIDE: DEEP[:2]}),
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
    "why_off": Experiment(WHY_OFF, SHALLOW[:3], networks_first=False, asks="relu"),
    "fig2_imagenet": Experiment(FIG2_IMAGENET, IMAGENET, "imagenet", recipes=("imagenet",), dataset=IMAGENET_FOLDER),
    "blog_keras": Experiment(
        BLOG,
        tuple(f"keras-resnet{depth}" for depth in KERAS_DEPTHS),
        "keras",
        networks_first=False,
        recipes=("blog", "blog-short"),
    ),
    "beyond_bn_first": Experiment(BN_FIRST, SHALLOW, networks_first=False),
    "beyond_pruning": Experiment(_sets("bn", "all"), asks="clamping"),
    "beyond_bytes": Experiment(
        _sets("bn", "all"),
        ("resnet14", *NARROW, *DEEP[1:]),
        "narrow",
        networks_first=False,
        only={"bn": DEEP, "all": ("resnet14", *NARROW)},
        asks="quantised",
    ),
    "beyond_tasks": Experiment(TASKS, DEEP[:2], networks_first=False),
    "beyond_transfer": Experiment(TRANSFER, DEEP[:2], networks_first=False, dataset="cifar10-last5"),
    "ablation_vgg": Experiment(_sets("bn", "all"), tuple(f"vgg{depth}" for depth in VGG_SEGMENTS), "vgg", networks_first=False),
    "beyond_norms": Experiment(NORMS, DEEP[:2], networks_first=False),
    "beyond_transformer": Experiment(TRANSFORMER, ("vit6",), "vit", networks_first=False),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`. Raises ValueError, with the nearest, for a name that is none."""
    one_of("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def wanted(
    name: str, recipe: str | None = None, seeds: int = 1, dataset: str | None = None, networks: tuple[str, ...] = ()
) -> list[RunSpec]:
    """The runs of the experiment `name`, in order of value: all of seed 0 first.

    recipe: one of the experiment's, or `smoke`; None: its first. dataset: instead of its own, such as `cifar100`, or, where it
    is trained on a folder of pictures, `imagefolder:PATH`. networks: these alone, the experiment's own or others that it has a
    place for. Raises ValueError for a name, a recipe, a data set, a number of seeds or a network that is none.
    """
    own, seeds = experiment(name), whole("seeds", seeds, *REPLICATES)
    recipe = own.recipes[0] if recipe is None else own.check_recipe(recipe)
    asked = tuple(dict.fromkeys(check_place(name, network) for network in networks))
    others = tuple(network for network in asked if network not in own.networks)
    specs = []
    for seed in range(seeds):
        specs += [spec for spec in own.specs(recipe, seed, dataset=dataset) if not asked or spec.model in asked]
        specs += own.specs(recipe, seed, others, dataset) if others else []
    return specs


def check_place(name: str, network: str) -> str:
    """The name of `network`, if the experiment `name` has a place for it. Raises ValueError, with some that it shows, if not."""
    own = experiment(name)
    if not own.takes(network):
        raise ValueError(f"{name} has no place for {network}: it shows networks such as {', '.join(own.networks[:3])}")
    return architecture(network).name


def missing(specs: list[RunSpec]) -> list[RunSpec]:
    """Those of `specs` that no stored run has, in the same order."""
    return [spec for spec in specs if store.find(spec) is None]
