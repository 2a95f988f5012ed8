"""What is stored of an experiment: its runs as rows, and how much of it there is."""

import pandas as pd

from bnlib import store
from bnlib.experiments.catalogue import IMAGENET_CLASSES, experiment, missing, wanted
from bnlib.spec import RunSpec, architecture, datasets


def runs(name: str, recipe: str = "auto", networks: list[str] | None = None) -> pd.DataFrame:
    """The stored runs that the experiment `name` shows: `bnlib.results()`, and a column `variant`, what the figure calls it.

    Of every seed, and of the user's own networks too where the figure has a place for them. recipe: `auto` for the experiment's
    own; else that one alone; `smoke`, which exists to test, too. networks: only these. Raises ValueError for a recipe that is none.
    """
    own, frame = experiment(name), store.results(whole=True)
    recipes = own.recipes if own.check_recipe(recipe, "auto") == "auto" else (recipe,)
    variants = {}
    for model, kind, dataset, seed in set(zip(frame.model, frame.recipe, frame.dataset, frame.seed, strict=True)):
        right = dataset.startswith(datasets.FOLDER) if own.of_pictures else dataset in own.datasets
        if right and kind in recipes and own.takes(model):
            specs = own.specs(kind, seed, (model,), dataset if own.of_pictures else None)
            variants.update({spec.id: variant for spec, variant in zip(specs, own.variants, strict=True)})
    if own.of_pictures:  # a folder of ten classes is no ImageNet
        there = variants.keys() & set(frame.id)
        variants = {one: variants[one] for one in there if store.load(one).info.get("classes") == IMAGENET_CLASSES}
    frame["variant"] = pd.Categorical(frame.id.map(variants), list(own.variants))
    keep = frame.variant.notna() & (frame.network.isin(networks) | frame.model.isin(networks) if networks else True)
    found = frame[keep].sort_values(["recipe", "width", "depth", "variant", "seed"]).reset_index(drop=True)
    whole = (found.width.astype(float) % 1 == 0).all()  # as everywhere but where narrow networks are shown
    return found.astype({"width": int}) if whole else found


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
        return f"{run.epochs}\u00a0epochs" + (f" ({note})" if note else "")

    found["long"] = [said(run) for run in found.itertuples()]
    names = {architecture(network) for network in (*own.networks, *found.model)}
    titles = [arch.title for arch in sorted(names, key=lambda arch: (arch.width, arch.depth))]

    def cell(variant, network):
        counts = found[(found.variant == variant) & (found.network == network)].long.value_counts(sort=False)
        return ", ".join(long + (f" ×{n}" if n > 1 else "") for long, n in counts.items()) or "–"

    cells = {title: [cell(variant, title) for variant in own.variants] for title in titles}
    table = pd.DataFrame(cells, index=list(own.variants))
    return table if len(own.variants) > len(own.networks) else table.T


def lacking(name: str, recipe: str) -> list[RunSpec]:
    """Those of `wanted` that no stored run has; where pictures are trained on, in whatever folder these lie."""
    due = missing(wanted(name, recipe))
    if not due or not experiment(name).of_pictures:
        return due
    there = set(runs(name, recipe)[["model", "trainable"]].itertuples(index=False, name=None))
    return [spec for spec in due if (spec.model, spec.trainable) not in there]


def progress(name: str) -> str:
    """How much of the experiment has been run at each recipe, in words: of its points on the paper's networks, their seed 0."""
    recipes = experiment(name).recipes
    counts = {recipe: len(wanted(name, recipe)) - len(lacking(name, recipe)) for recipe in recipes}
    said = [f"{count} at recipe {recipe}" for recipe, count in counts.items() if count or recipe == recipes[0]]
    return f"of its {len(wanted(name))} points, whatever the replicates, {' and '.join(said)}"
