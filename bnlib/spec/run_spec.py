"""What to train: a frozen, validated spec with a name that is a function of its content."""

import hashlib
import math
from dataclasses import asdict, dataclass, fields, replace
from numbers import Real

from bnlib.spec.architecture import architecture, smallest_filter
from bnlib.spec.choices import (
    AUGMENTATIONS,
    BATCH_SIZES,
    BN_INITS,
    DATASETS,
    EPOCHS,
    IMAGES,
    OPTIMISERS,
    PRECISIONS,
    RATES,
    SEEDS,
    WEIGHT_INITS,
)
from bnlib.spec.trainable import canonical, check_random, parse
from bnlib.words import one_of, plain, shown, whole


@dataclass(frozen=True)
class Recipe:
    """Optimiser, schedule and augmentation: SGD with momentum, the learning rate dropped at the milestones.

    The defaults are the paper's recipe for CIFAR-10 (authors' code). `epochs` and `milestones` count passes over
    the training images; `lr_drop` is the factor on the learning rate at each milestone; `weight_decay` acts on
    everything that trains, γ and β too unless `decay_bn` is False, and on nothing that is frozen; `optimiser` is `sgd`, or
    `adam`, whose first β is `momentum` (its second 0.999); `train_images` and `test_images` cap the images used (None: all
    of them).
    """

    epochs: int = 160
    milestones: tuple[int, ...] = (80, 120)
    lr: float = 0.1
    lr_drop: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_bn: bool = True
    optimiser: str = "sgd"
    batch_size: int = 128
    augment: str = "flip+crop"
    train_images: int | None = None
    test_images: int | None = None

    def learning_rate(self, epoch: int, done: float = 1.0) -> float:
        return self.lr * self.lr_drop ** sum(epoch >= milestone for milestone in self.milestones)

    warmup = 0

    def alike(self, other: "Recipe", epoch: int) -> bool:
        """Whether training with this recipe and with `other` is the same up to and with `epoch`, counted from 1."""
        same = replace(self, epochs=other.epochs, milestones=other.milestones) == other
        return (
            same
            and epoch <= min(self.epochs, other.epochs)
            and all(self.learning_rate(i) == other.learning_rate(i) for i in range(epoch))
        )


RECIPES = {
    "paper": Recipe(),
    "short": Recipe(epochs=16, milestones=(8, 12)),
    "smoke": Recipe(epochs=2, milestones=(1,), train_images=2560, test_images=1000),
}


@dataclass(frozen=True)
class RunSpec:
    """One training: everything that decides its outcome, and nothing else.

    model: `resnetN` (N = 6D+2), `wrn14-W` or `vggN`. trainable: groups joined by `+`, or `all`, `none`, `all-bn`.
    recipe: `paper`, `short` or `smoke`. dataset: `cifar10` or `digits`. seed: the replicate; draws the weights, the
    order of the images and the augmentation. weight_init, bn_init: see `bnlib.build`. precision: of activations and
    convolutions, `bf16` or `fp32`; BatchNorm's statistics, γ, β and the optimiser are always fp32.

    The other fields override the recipe's value where they are not None. Giving `epochs` alone moves the recipe's
    milestones in proportion. Equal content gives an equal spec: `gamma+beta` is `bn`, `wrn14-1` is `resnet14`,
    an override that repeats the recipe is dropped, numpy's numbers are Python's. Raises ValueError, one line, on any value that is
    not allowed.
    """

    model: str
    trainable: str = "bn"
    recipe: str = "paper"
    dataset: str = "cifar10"
    seed: int = 0
    weight_init: str = "kaiming_normal"
    bn_init: str = "uniform"
    precision: str = "bf16"
    sync_bn: bool = False
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

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731  frozen: no plain assignment
        for field in fields(self):
            put(field.name, plain(getattr(self, field.name)))
        put("model", architecture(self.model).name)
        put("trainable", canonical(self.trainable))
        one_of("recipe", self.recipe, tuple(RECIPES))
        one_of("dataset", self.dataset, DATASETS)
        one_of("weight_init", self.weight_init, WEIGHT_INITS)
        one_of("bn_init", self.bn_init, BN_INITS)
        one_of("precision", self.precision, PRECISIONS)
        put("seed", whole("seed", self.seed, *SEEDS))
        check_random(self.trainable, smallest_filter(self.model), self.model)
        if self.milestones is not None:
            if not isinstance(self.milestones, list | tuple):
                raise ValueError(f"milestones {shown(self.milestones)}: a tuple of epochs is needed, such as (80, 120)")
            put("milestones", tuple(map(plain, self.milestones)))
        _check_overrides(self)
        base = _base(self)
        for field in fields(Recipe):
            if getattr(self, field.name) == getattr(base, field.name):
                put(field.name, None)
        _check_growth(self.settings)

    @property
    def settings(self) -> Recipe:
        """The recipe with this spec's overrides: what is really trained."""
        given = {f.name: getattr(self, f.name) for f in fields(Recipe) if getattr(self, f.name) is not None}
        return replace(_base(self), **given)

    @property
    def text(self) -> str:
        """The canonical text: the model and every field that is not at its default, in alphabetical order."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name == "model" or getattr(self, f.name) != f.default}
        return " ".join(f"{name}={_plain(values[name])}" for name in sorted(values))

    @property
    def id(self) -> str:
        """The run's name: readable, and ending in a hash of `text`, so that a new field never changes an old id."""
        parts = [] if self.dataset == "cifar10" else [self.dataset]
        parts += [self.model, self.trainable.replace(":", ""), self.recipe, f"seed{self.seed}"]
        return "_".join(parts) + "-" + hashlib.sha256(self.text.encode()).hexdigest()[:8]

    @property
    def redrawn(self) -> bool:
        """Whether the trained network comes back from the seed and what a run stores: not where `features` learn."""
        return "features" not in parse(self.trainable)[0]

    def to_dict(self) -> dict:
        """Every field as plain JSON values; `RunSpec(**d)` gives the spec back."""
        return asdict(self)


def _base(spec: RunSpec) -> Recipe:
    """The recipe before overrides; if `epochs` is overridden, its milestones moved in proportion."""
    base = RECIPES[spec.recipe]
    if spec.epochs is None or spec.epochs == base.epochs:
        return base
    moved = {round(m * spec.epochs / base.epochs) for m in base.milestones}
    return replace(base, milestones=tuple(sorted(m for m in moved if 0 < m < spec.epochs)))


def _plain(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_growth(settings: Recipe) -> None:
    """Raise ValueError if a learning rate that rises at its milestones gets too large. By logarithms: it may exceed any float."""
    drops = len(settings.milestones)
    if math.log(settings.lr) + drops * math.log(settings.lr_drop) > math.log(RATES[1]) + 1e-9:
        raise ValueError(f"lr_drop {settings.lr_drop}: after {drops} of them the learning rate would be above {RATES[1]}")


def _check_overrides(spec: RunSpec) -> None:
    put = lambda name, value: object.__setattr__(spec, name, value)  # noqa: E731
    for name, span in (("epochs", EPOCHS), ("train_images", IMAGES), ("test_images", IMAGES), ("batch_size", BATCH_SIZES)):
        if getattr(spec, name) is not None:
            put(name, whole(name, getattr(spec, name), *span))
    for name, above in (("lr", True), ("lr_drop", True), ("momentum", False), ("weight_decay", False)):
        value = getattr(spec, name)
        if value is None:
            continue
        number = isinstance(value, Real) and not isinstance(value, bool) and RATES[0] <= value <= RATES[1]
        if not number or above and not float(value):
            raise ValueError(
                f"{name} {shown(value)}: a number {'above' if above else 'of at least'} 0 and up to {RATES[1]} is needed; "
                f"the recipe {spec.recipe!r} has {getattr(RECIPES[spec.recipe], name)}"
            )
        put(name, float(value) + 0.0)  # −0.0 is 0.0, in the id too
    if spec.momentum is not None and spec.momentum >= 1:
        raise ValueError(f"momentum {spec.momentum}: a number from 0 to below 1 is needed; nearest: 0.9, the paper's")
    for name, allowed in (("augment", AUGMENTATIONS), ("optimiser", OPTIMISERS)):
        if getattr(spec, name) is not None:
            one_of(name, getattr(spec, name), allowed)
    if spec.decay_bn is not None and not isinstance(spec.decay_bn, bool):
        raise ValueError(
            f"decay_bn {shown(spec.decay_bn)}: use True or False; the recipe {spec.recipe!r} has {RECIPES[spec.recipe].decay_bn}"
        )
    if spec.milestones is not None:
        epochs = spec.epochs or RECIPES[spec.recipe].epochs
        increasing = all(a < b for a, b in zip(spec.milestones, spec.milestones[1:], strict=False))
        if not increasing or any(isinstance(m, bool) or not isinstance(m, int) or not 0 < m < epochs for m in spec.milestones):
            some = f", such as {epochs // 2},{epochs * 3 // 4}" if epochs > 3 else ""
            allowed = f"increasing whole epochs between 1 and {epochs - 1} are needed{some}" if epochs > 1 else "1 epoch has none"
            raise ValueError(f"milestones {shown(spec.milestones)}: {allowed}")
