"""A point of a figure, from the store or trained now; and a network of the store asked once more."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bnlib import store
from bnlib.experiments.catalogue import check_place, experiment, missing
from bnlib.spec import RunSpec, canonical, image_folder
from bnlib.spec.choices import REPLICATES
from bnlib.words import nearest, shown, whole


def points(name: str, model: str, trainable: str | None = None, recipe: str = "auto", seeds: int = 1) -> list[store.Run]:
    """What the experiment `name` shows of one network: from the store, or trained now with an estimate and a bar. Says which.

    trainable: a set that the experiment shows; None: every variant. recipe: `auto` takes the one of which the store has most,
    the full one first; where it has nothing, that on a GPU and the shortest on a CPU, such as `paper` and `short`. seeds: the
    replicates, from seed 0 on; those of a variant that are missing train together. Where the figure shows a probe, stored networks
    that lack it are asked, which on a CPU takes minutes. Raises ValueError for what the figure has no place for, before any work.
    """
    own, variants = experiment(name), None if trainable is None else [canonical(trainable)]
    check_place(name, model)
    if variants and variants[0] not in own.variants:
        near = nearest(variants[0], own.variants)
        raise ValueError(f"{name} has no line for trainable {shown(trainable)}: use one of {', '.join(own.variants)}{near}")
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
        folder = image_folder(own.dataset)
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
