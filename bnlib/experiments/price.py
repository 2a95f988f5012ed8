"""What experiments would cost, reckoned from the stored runs. Needs PyTorch."""

import itertools

import pandas as pd

from bnlib import store
from bnlib.experiments.catalogue import CIFAR_IMAGES, EXPERIMENTS, IMAGENET_IMAGES, missing, wanted
from bnlib.spec import RunSpec, datasets


def cost(name: str, recipe: str) -> tuple[float, str]:
    """About how many seconds the first training that `name` lacks would take, and where, reckoned from the stored runs of `recipe`.

    As `bnlib.training.costs.reckon` does, on the device that has most of those runs on CIFAR-10; of other recipes where there is
    none of this; (0, "") without any.
    """
    from bnlib.training import costs

    due, known = missing(wanted(name, recipe)), store.results()
    known = known[(known.dataset == "cifar10") & (known.status == "finished") & (known.recipe != "smoke")]
    known = known[known.train_images.isna() & known.test_images.isna()]  # of fewer images, another amount of work
    known = known[known.recipe == recipe] if (known.recipe == recipe).any() else known
    if not len(known) or not due:
        return 0.0, ""
    device = known.device.value_counts().index[0]
    paces = list(itertools.chain(*costs.paces(device, map(store.load, known[known.device == device].id)).values()))
    if not paces:
        return 0.0, ""
    trainings = [due[0].parent, due[0]] if due[0].pretrained else due[:1]  # the parent comes first
    return sum(costs.reckon(spec, paces, probes=False).whole * _share(spec) for spec in trainings), device


def _share(spec: RunSpec) -> float:
    """How much an epoch of `spec` goes over, against one on CIFAR-10: images to train as often as a step does, to test once."""
    from bnlib.training.costs import mean_passes

    if spec.dataset not in datasets.COUNTS:
        return IMAGENET_IMAGES / CIFAR_IMAGES
    train, test = datasets.COUNTS[spec.dataset]
    own = mean_passes(spec) * (spec.settings.train_images or train) + (spec.settings.test_images or test)
    whole = datasets.COUNTS["cifar10"]
    return own / (mean_passes(spec) * whole[0] + whole[1])


def whole_cost(recipe: str = "paper", seeds: int = 1) -> pd.DataFrame:
    """What every experiment together would cost on each machine that has trained, as if nothing were stored: one row a machine.

    device; gpu, whether it is one; known: its runs that this is reckoned from; trainings: how many there are of different
    content; seconds of all of them one at a time, and of the longest. A training counts for every figure that shows it, once.
    Only trainings on CIFAR-10; only machines with runs of two networks, as how a machine scales says more than how fast it is.
    """
    from bnlib.training import costs

    names = [name for name, own in EXPERIMENTS.items() if recipe in own.recipes]
    specs = dict.fromkeys(spec for name in names for spec in wanted(name, recipe, seeds) if spec.dataset == "cifar10")
    rows = []
    for device in dict.fromkeys(run.info["device"] for run in store.all_runs()):
        known = costs.paces(device)
        found = [costs.reckon(spec, paces).whole for spec in specs if (paces := costs.alike(spec, known))]
        runs = [pace for kind in {costs.kind(spec) for spec in specs} for pace in known.get(kind, ())]
        if found and len(found) == len(specs) and len({pace.model for pace in runs}) > 1:
            rows.append((device, costs.on_gpu(device), len(runs), len(specs), sum(found), max(found)))
    frame = pd.DataFrame(rows, columns=["device", "gpu", "known", "trainings", "seconds", "longest"])
    return frame.sort_values(["gpu", "known"], ascending=False, kind="stable").reset_index(drop=True)
