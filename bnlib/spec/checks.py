"""What the fields of a spec must be beside one another. A check puts them into their one form, or raises ValueError, one line."""

import math
from numbers import Real
from typing import TYPE_CHECKING

from bnlib.spec import datasets
from bnlib.spec.architecture import architecture
from bnlib.spec.choices import AUGMENTATIONS, BATCH_SIZES, EPOCHS, IMAGES, OPTIMISERS, RATES, SIZES
from bnlib.spec.recipes import RECIPES, Recipe
from bnlib.spec.trainable import parse
from bnlib.words import one_of, shown, whole

if TYPE_CHECKING:
    from bnlib.spec.run_spec import RunSpec


def phases(spec: "RunSpec") -> None:
    """Raise ValueError if `then` and `switch` do not go together with the rest."""
    if spec.then is None and spec.switch is None:
        return
    epochs = spec.settings.epochs
    if epochs < 2:
        name = "then" if spec.then is not None else "switch"
        raise ValueError(f"{name} {shown(getattr(spec, name))}: there is but 1 epoch; give epochs=2 or more")
    if spec.then is None or spec.switch is None:
        given, lacks = ("switch", "then") if spec.then is None else ("then", "switch")
        such = "a set such as all" if lacks == "then" else f"an epoch from 1 to {epochs - 1}" if epochs > 2 else "1"
        raise ValueError(f"{given} {shown(getattr(spec, given))}: {lacks} is needed too, {such}")
    object.__setattr__(spec, "switch", whole("switch", spec.switch, 1, epochs - 1))
    for name in ("trainable", "then"):
        if parse(getattr(spec, name))[1]:
            other = spec.trainable if name == "then" else spec.then
            near = next(one for one in ("bn" if spec.kind == "bn" else "norm", "all") if one != other)
            said = f"{name} {shown(getattr(spec, name))}: random:K learns from the first epoch to the last"
            raise ValueError(f"{said}; nearest: {near}")
    if spec.then == spec.trainable:
        raise ValueError(f"then {shown(spec.then)}: that is what learns before; leave then and switch out, or name another set")


def pictures(spec: "RunSpec") -> None:
    """Raise ValueError if the data set, the network and what is made of the pictures do not go together."""
    size, augment, arch = spec.settings.size, spec.settings.augment, architecture(spec.model)
    fixed = datasets.SIDE if spec.classes is not None and arch.least <= datasets.SIDE <= arch.most else None
    if size < arch.least:
        near = fixed or arch.least
        raise ValueError(f"size {size}: {spec.model} needs pictures of at least {arch.least}×{arch.least}; nearest: {near}")
    if size > arch.most:
        near = fixed or arch.most
        raise ValueError(f"size {size}: {spec.model} takes pictures of up to {arch.most}×{arch.most}; nearest: {near}")
    if spec.classes is None or (size == datasets.SIDE and augment != "flip+resized"):
        return
    side, other = f"{datasets.SIDE}×{datasets.SIDE}", f"the dataset {datasets.FOLDER}PATH takes pictures of any size"
    if spec.size is None and spec.augment is None:
        raise ValueError(f"recipe {spec.recipe!r}: its pictures are {size}×{size}, those of {spec.dataset} {side}; {other}")
    if size != datasets.SIDE:
        raise ValueError(f"size {size}: the pictures of {spec.dataset} are {side}; nearest: {datasets.SIDE}; {other}")
    raise ValueError(f"augment {augment!r}: it resizes, and those of {spec.dataset} are all {side}; nearest: flip+crop; {other}")


def growth(settings: Recipe) -> None:
    """Raise ValueError if a learning rate that rises at its milestones gets too large. By logarithms: it may exceed any float."""
    drops = len(settings.milestones)
    if math.log(settings.lr) + drops * math.log(settings.lr_drop) > math.log(RATES[1]) + 1e-9:
        raise ValueError(f"lr_drop {settings.lr_drop}: after {drops} of them the learning rate would be above {RATES[1]}")


def overrides(spec: "RunSpec") -> None:
    """Raise ValueError if a field that overrides one of the recipe's is none that training can take."""
    put = lambda name, value: object.__setattr__(spec, name, value)  # noqa: E731
    spans = {"epochs": EPOCHS, "train_images": IMAGES, "test_images": IMAGES, "batch_size": BATCH_SIZES, "size": SIZES}
    for name, span in spans.items():
        if getattr(spec, name) is not None:
            put(name, whole(name, getattr(spec, name), *span))
    for name, there in zip(("train_images", "test_images"), datasets.COUNTS.get(spec.dataset, (math.inf,) * 2), strict=True):
        if (given := getattr(spec, name)) is not None and given > there:  # all there are, under another name
            raise ValueError(f"{name} {given}: {spec.dataset} has {there:,} of them; nearest: {there}")
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
    if spec.warmup is not None:
        put("warmup", whole("warmup", spec.warmup, 0, spec.epochs or RECIPES[spec.recipe].epochs))
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
