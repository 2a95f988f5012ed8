"""Train what you like of a network of your own, on images of your own: the same loop as a run's."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnlib import engine, freezing, machine, store
from bnlib.data import Given
from bnlib.engine import optimiser
from bnlib.engine.evaluation import evaluating
from bnlib.spec import Recipe, RunSpec
from bnlib.spec.choices import PRECISIONS, SEEDS
from bnlib.store import places, trained
from bnlib.training import checkpoint, together
from bnlib.training.loop import Loop, lone
from bnlib.words import one_of, whole

STATISTICS = ("moving", "held")
OWN = ("augment", "train_images", "test_images", "size")  # of a recipe, but a matter of the images that are given


def fit(
    model: nn.Module,
    train,
    test,
    trainable: str | None = "bn",
    *,
    output: str | None = None,
    recipe: str = "short",
    statistics: str = "moving",
    precision: str = "fp32",
    seed: int = 0,
    folder: str | Path | None = None,
    callbacks: tuple[Callable[[dict], None], ...] = (),
    progress: bool = True,
    **settings,
) -> pd.DataFrame:
    """Freeze `model` but for `trainable`, train it on its device, in place, as a run is trained; returns its history.

    train, test: each a DataLoader that has a length, or a pair of tensors (images, labels int64 (N,)), ready for the model. Tensors
    are mixed anew in each epoch, by `seed`; a last batch of one image, of which BatchNorm could not take statistics, joins the one
    before. A loader keeps its own order, batches and augmentation.
    trainable, output: as for `bnlib.freeze`; None: what requires gradients now.
    recipe: `paper`, `short` or another, for the optimiser and its schedule; settings: what is to be otherwise, by the names of
    `bnlib.RunSpec`: epochs, lr, weight_decay, decay_bn (False: none on γ and β), optimiser, batch_size, ….
    statistics: `moving`: BatchNorm normalises by the batch, and its running mean and variance move, whatever learns; `held`: it
    normalises by those it has, and they stay, as one wants for a small step away from a trained network.
    precision: of the convolutions, `fp32` or `bf16`. folder: keeps `history.csv`, written after each epoch, and a checkpoint: the
    same call goes on from there, if the frozen weights are the same, and the labels, or of loaders the number of images.
    callbacks: each is called after each epoch with a dict, the row of the history.

    Afterwards modes, memory formats and the optimiser's traces are as before; `bnlib.save_trained` keeps the result. Raises
    ValueError, one line, before any work, for what cannot be.
    """
    one_of("statistics", statistics, STATISTICS)
    one_of("precision", precision, PRECISIONS)
    seed = whole("seed", seed, *SEEDS)
    if not any(True for _ in model.parameters()):
        raise ValueError(f"this {type(model).__name__} has no parameters: there is nothing to train")
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError(f"this {type(model).__name__} was made within torch.inference_mode(), so it can't learn; make it outside")
    source, chosen = Given(train, test), _settings(recipe, settings)
    if source.batch_size:  # a loader's own, by which a recipe may have another learning rate; of one image where that can be
        chosen = _settings(recipe, {**settings, "batch_size": max(2, source.batch_size)})
    source.check_batches()
    size = source.batch_size or chosen.batch_size
    if statistics == "moving" and 1 in source.sizes(size, source.train_count) and _needs_two(model, source):
        raise ValueError(lone(size, source.train_count))
    folder = places.expanded(folder) if folder else None
    if folder and (why := places.unwritable(folder)):
        raise store.StoreError(f"the folder {folder} cannot be written ({why}); give another")
    if trainable is not None:
        freezing.freeze(model, trainable, seed, output=output)
    folder = store.check_writable(folder) if folder else None
    where = folder / "checkpoint.pt" if folder else None
    name = _name(model, source, chosen, (statistics, precision, seed), where is not None)
    _check_own(where, name)
    modes = {module: module.training for module in model.modules()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(machine.learning())
        stack.enter_context(machine.enough_memory(lambda: "a smaller batch_size needs less"))
        stack.callback(_restore, model, modes)
        model.train()
        for module in model.modules() if statistics == "held" else ():
            if isinstance(module, _BatchNorm):
                module.eval()
        training = _Fit(name, model, source, chosen, precision, statistics, seed=seed, checkpoint=where, callbacks=tuple(callbacks))
        if not training.finished:
            together.in_turn([training], progress, None)
    return pd.DataFrame(training.history)


class _Fit(Loop):
    """A training of a network that is the user's."""

    def __init__(self, name, model, source, settings, precision, statistics, **more):
        self.precision, self.statistics = precision, statistics
        super().__init__(name, model, source, settings, **more)

    def _make_step(self) -> engine.Plain:
        if self.statistics == "held":  # the fused step normalises by the batch
            return engine.Plain(self.model, self.precision)
        size, layers = self.settings.batch_size, sum(isinstance(module, nn.Conv2d) for module in self.model.modules())
        sizes = self.data.sizes(size, self.images)
        return engine.make(self.model, self.precision, steps=self.settings.epochs * self.steps, sizes=sizes, depth=layers)

    @property
    def _recorded(self) -> bool:
        return super()._recorded and self.step.name == "fused"  # what a strange network does may hang on what it sees

    @property
    def progress(self) -> Path:
        return self.checkpoint.with_name("history.csv")

    @property
    def title(self) -> str:
        return type(self.model).__name__


def _needs_two(model: nn.Module, source: Given) -> bool:
    """Whether a BatchNorm of `model` has one value a feature of an image, so that a batch of one has no variance.

    As it treats an image to test on; neither the model nor the order of the images to come is changed by that.
    """
    seen, norms = [], [module for module in model.modules() if isinstance(module, _BatchNorm)]
    with contextlib.ExitStack() as stack:
        for norm in norms:
            stack.enter_context(norm.register_forward_pre_hook(lambda _, given: seen.append(given[0][0, 0].numel())))
        for around in (evaluating(model), torch.random.fork_rng(devices=[]), torch.no_grad()):
            stack.enter_context(around)
        x, _ = next(source.parts(size=1))
        model(x[:1].to(next(model.parameters()).device))
    return 1 in seen


def _settings(recipe: str, given: dict) -> Recipe:
    """The recipe with what is `given` instead. Raises ValueError for a name or a value that is none."""
    names = [field.name for field in fields(Recipe) if field.name not in OWN]
    for name in given:
        if name in OWN:
            raise ValueError(f"{name}: the images are yours as they are given; use one of {', '.join(names)}")
        one_of("setting", name, names)
    return RunSpec("resnet14", recipe=recipe, size=32, augment="none", **given).settings


def _name(model: nn.Module, source: Given, settings: Recipe, more: tuple, kept: bool) -> str:
    """What the checkpoint of such a training is called: by the network's parameters and which learn, the images and the settings.

    kept: and by the values of those that don't, without which what learned is worth nothing.
    """
    form = [(name, tuple(p.shape), str(p.dtype), p.requires_grad) for name, p in model.named_parameters()]
    text = repr((form, settings, more, (source.checksum, trained.frozen(model)) if kept else None))
    return f"{type(model).__name__}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_own(where: Path | None, name: str) -> None:
    """Raise ValueError, one line, if the checkpoint that is there is another training's; a damaged one is put aside later."""
    if where is None or not where.exists():
        return
    try:
        checkpoint.load(where, name)
    except checkpoint.Unusable as error:
        if "another run" in str(error):
            raise ValueError(
                f"{where} is the checkpoint of another network, of other images or of other settings ({error}); a network drawn "
                "at random must be drawn alike, as after torch.manual_seed(0). Give another folder, or remove it"
            ) from None
    except OSError:  # said later, with what to do
        pass


def _restore(model: nn.Module, modes: dict) -> None:
    """Give each module its mode and each parameter its own memory again, without gradients."""
    optimiser.unflatten(model)
    for module, mode in modes.items():
        module.training = mode
