"""What to train: a frozen, validated spec with a name that is a function of its content."""

import hashlib
import math
from dataclasses import asdict, dataclass, fields, replace

from bnlib.spec import checks, datasets
from bnlib.spec.architecture import architecture, check_norm, smallest_filter
from bnlib.spec.choices import (
    BN_INITS,
    DATASETS,
    PRECISIONS,
    PROBES,
    SEEDS,
    WEIGHT_INITS,
)
from bnlib.spec.recipes import RECIPES, SCALED, Recipe
from bnlib.spec.trainable import canonical, check_random, check_shortcuts, parse, union
from bnlib.words import one_of, plain, shown, whole

_LATER = ("pretrained", "then", "switch")  # fields that say how a training goes on from another, or from itself


@dataclass(frozen=True)
class RunSpec:
    """One training: everything that decides its outcome, and nothing else.

    model: `resnetN` (N = 6D+2), `wrnN-W`, `vggN`, `imagenet-resnetN`, `keras-resnetN` or `vitN`. trainable: groups joined by `+`,
    or `all`, `none`, `all-bn`; of a network without BatchNorm `norm`, γ and β of what it has instead. recipe: one of RECIPES,
    such as `paper`, `short` and `imagenet`. dataset: `cifar10`, `digits`, `cifar100`, `svhn`, or `imagefolder:PATH`, a folder of
    one's own pictures; where PATH begins with an environment variable, as in `imagefolder:$BNLIB_IMAGENET`, the run has the same
    name on every machine. seed: the replicate; draws the weights, the
    order of the images and the augmentation. weight_init, bn_init: see `bnlib.build`. precision: of activations and
    convolutions, `bf16` or `fp32`; BatchNorm's statistics, γ, β and the optimiser are always fp32. sync_bn: where several
    processes train, BatchNorm's statistics are of all their images, not of each process's own. then, switch: after `switch` epochs
    the groups of `then` learn instead of those of `trainable`. The learning rate goes on along its schedule; the optimiser begins
    anew, with no momentum. norm: what stands in BatchNorm's place in a CIFAR ResNet: `batch`, `group`, `layer` or `instance`, see
    `bnlib.build`. pretrained: a data set of DATASETS on which the whole network was trained before, as `parent` says; this
    training begins from that network.

    The other fields override the recipe's value where they are not None. Giving `epochs` alone moves the recipe's
    milestones and its warm-up in proportion; giving `batch_size` with the recipe `imagenet` its learning rate. Equal content
    gives an equal spec: `gamma+beta` is `bn`, `wrn14-1` is `resnet14`, an override that repeats the recipe is dropped, numpy's
    numbers are Python's. Raises ValueError, one line, on any value that is not allowed.
    """

    model: str
    trainable: str = "bn"
    recipe: str = "paper"
    dataset: str = "cifar10"
    seed: int = 0
    weight_init: str = "kaiming_normal"
    bn_init: str = "uniform"
    precision: str = "bf16"
    epochs: int | None = None
    milestones: tuple[int, ...] | None = None
    lr: float | None = None
    lr_drop: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    decay_bn: bool | None = None
    optimiser: str | None = None
    batch_size: int | None = None
    augment: str | None = None
    train_images: int | None = None
    test_images: int | None = None
    warmup: int | None = None
    size: int | None = None
    sync_bn: bool = False
    then: str | None = None
    switch: int | None = None
    norm: str = "batch"
    pretrained: str | None = None

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731  frozen: no plain assignment
        for field in fields(self):
            put(field.name, plain(getattr(self, field.name)))
        arch = architecture(self.model)
        put("model", arch.name)
        check_norm(arch.name, self.norm)
        put("trainable", self._canonical(self.trainable))
        one_of("recipe", self.recipe, tuple(RECIPES))
        put("dataset", datasets.dataset(self.dataset))
        one_of("weight_init", self.weight_init, WEIGHT_INITS)
        one_of("bn_init", self.bn_init, BN_INITS)
        one_of("precision", self.precision, PRECISIONS)
        put("seed", whole("seed", self.seed, *SEEDS))
        if not isinstance(self.sync_bn, bool):
            raise ValueError(f"sync_bn {shown(self.sync_bn)}: use True or False")
        if self.sync_bn and self.kind != "bn":
            raise ValueError(
                f"sync_bn True: {self._network} has no BatchNorm, and its statistics are of each image; nearest: False"
            )
        check_random(self.trainable, smallest_filter(self.model), self.model)
        if self.milestones is not None:
            if not isinstance(self.milestones, list | tuple):
                raise ValueError(f"milestones {shown(self.milestones)}: a tuple of epochs is needed, such as (80, 120)")
            put("milestones", tuple(map(plain, self.milestones)))
        checks.overrides(self)
        base = _base(self)
        for field in fields(Recipe):
            if getattr(self, field.name) == getattr(base, field.name):
                put(field.name, None)
        if self.then is not None:
            put("then", self._canonical(self.then, "then"))
        checks.phases(self)
        checks.growth(self.settings)
        checks.pictures(self)
        if self.pretrained is not None:
            one_of("pretrained", self.pretrained, DATASETS)
            _ = self.parent  # the recipe must be one for that data set, too

    @property
    def settings(self) -> Recipe:
        """The recipe with this spec's overrides: what is really trained."""
        given = {f.name: getattr(self, f.name) for f in fields(Recipe) if getattr(self, f.name) is not None}
        return replace(_base(self), **given)

    @property
    def classes(self) -> int | None:
        """How many classes the data set has; None for a folder, which says so itself."""
        return datasets.CLASSES.get(self.dataset)

    @property
    def kind(self) -> str:
        """The group that `freeze` counts γ and β of its network in: `bn`, or `gn`, `in`, `ln` of one without BatchNorm."""
        return architecture(self.model).kind(self.norm)

    @property
    def probes(self) -> tuple[str, ...]:
        """What its trained network can be asked: of PROBES not `relu` where it has no ReLU.

        `quantised` only with BatchNorm, which alone can be folded away, and where a seed draws what did not learn.
        """
        without = {"relu"} if architecture(self.model).family == "vit" else set()
        without |= {"quantised"} if self.kind != "bn" or self.pretrained else set()
        return tuple(name for name in PROBES if name not in without)

    @property
    def asked(self) -> tuple[str, ...]:
        """Those of `probes` that it is asked when training ends.

        Not `clamping`, which takes as long as a hundred evaluations, where no figure shows it and it can be asked later: of other
        networks than the paper's deep ones, and where BatchNorm's γ do not learn.
        """
        arch = architecture(self.model)
        shown = (arch.family, arch.width, self.kind) == ("resnet", 1, "bn") and "gamma" in parse(self.learned)[0]
        return tuple(name for name in self.probes if name != "clamping" or shown or not self.redrawn)

    @property
    def text(self) -> str:
        """The canonical text: the model and every field that is not at its default, in alphabetical order."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name == "model" or getattr(self, f.name) != f.default}
        return " ".join(f"{name}={_plain(values[name])}" for name in sorted(values))

    @property
    def id(self) -> str:
        """The run's name: readable, and ending in a hash of `text`, so that a new field never changes an old id."""
        parts = [] if self.dataset == "cifar10" else [datasets.short_name(self.dataset)]
        sets = self.trainable.replace(":", "") + (f"-then-{self.then}" if self.then else "")
        parts += [self.model, sets, self.recipe, f"seed{self.seed}"]
        return "_".join(parts) + "-" + hashlib.sha256(self.text.encode()).hexdigest()[:8]

    @property
    def parent(self) -> "RunSpec | None":
        """The training from whose network this one begins: of everything, on `pretrained`, else alike; None if there is none.

        With the recipe as it is: what this spec overrides of it is of this training alone.
        """
        if self.pretrained is None:
            return None
        own = {field.name for field in fields(Recipe)} | {"trainable", "dataset", *_LATER}
        same = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in own}
        return RunSpec(**same, trainable="all", dataset=self.pretrained)

    @property
    def features_learn(self) -> bool:
        """Whether convolutions are trained whole, of which a run stores nothing."""
        return "features" in parse(self.learned)[0]

    @property
    def redrawn(self) -> bool:
        """Whether the trained network comes back from the seed and what a run stores.

        Not where `features` learn; nor where the training began from another one's network, which no seed draws.
        """
        return not self.features_learn and self.pretrained is None

    @property
    def learned(self) -> str:
        """The set of all that learns in some epoch: `trainable`, unless another comes `then`."""
        return self._canonical(union(self.trainable, self.then, self._parts)) if self.then else self.trainable

    def learning(self, epoch: int) -> str:
        """The set that learns in `epoch`, counted from 0."""
        return self.then if self.then and epoch >= self.switch else self.trainable

    @property
    def _network(self) -> str:
        """Its network in words, for a message."""
        return self.model + (f" with norm {self.norm!r}" if self.norm != "batch" else "")

    @property
    def _parts(self) -> tuple[str, ...]:
        """The groups of its network besides γ and β."""
        return ("features", "output") if architecture(self.model).family == "vit" else ("features", "shortcut", "output")

    def _canonical(self, sets: str, field: str = "trainable") -> str:
        try:
            if architecture(self.model).family == "vgg":
                check_shortcuts(sets, self._network)
            return canonical(sets, self._network, self.kind, self._parts)
        except ValueError as error:
            raise ValueError(f"{field}{str(error).removeprefix('trainable')}") from None

    def to_dict(self) -> dict:
        """Every field as plain JSON values; `RunSpec(**d)` gives the spec back."""
        return asdict(self)


def _base(spec: RunSpec) -> Recipe:
    """The recipe before overrides; what hangs on an overridden `epochs` or `batch_size` moved in proportion."""
    base = RECIPES[spec.recipe]
    if spec.batch_size is not None and spec.recipe in SCALED:
        base = replace(base, lr=base.lr * (spec.batch_size / base.batch_size))
    if spec.epochs is None or spec.epochs == base.epochs:
        return base
    share = spec.epochs / base.epochs
    moved = {round(m * spec.epochs / base.epochs) for m in base.milestones}
    milestones = tuple(sorted(m for m in moved if 0 < m < spec.epochs))
    return replace(base, milestones=milestones, warmup=math.ceil(base.warmup * share))  # at least one, where there is one


def _plain(value) -> str:
    if isinstance(value, str) and " " in value:  # a path, which must not be taken for more fields
        return repr(value)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
