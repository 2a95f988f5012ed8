"""Whether a stored run is what it says it is."""

import numpy as np

from bnlib.engine import evaluate
from bnlib.freezing import freeze
from bnlib.store.networks import draw, drawn_alike, misfit
from bnlib.store.runs import FILES, Run, StoreError


def verify(run: Run, dataset=None) -> list[str]:
    """What is wrong with a stored run, one line each; empty if nothing is.

    Checks the files, the id against the spec, the history against the metrics, the names and shapes of what is stored of the
    network, and that the seed draws the same weights here. With a `dataset`, also evaluates the network again: the stored
    accuracy must come out (within 5 images, as another machine may break a tie in another way).
    """
    if missing := [name for name in FILES if not (run.folder / name).exists()]:
        return [f"{run.id}: no {', '.join(missing)}"]
    try:
        return [f"{run.id}: {line}" for line in _wrong(run, dataset)]
    except StoreError as error:
        return [str(error)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # as many kinds as there are ways to damage a file
        return [f"{run.id}: not as a run is written ({type(error).__name__}: {error})"]


def _wrong(run: Run, dataset) -> list[str]:
    """What is wrong with a run whose files are there; see `verify`."""
    wrong, info, _ = [], run.info, run.probes  # which reads them, and raises
    if run.spec.id != run.id:
        wrong.append(f"its spec belongs to {run.spec.id}")
    last = run.history.iloc[-1]
    if info["status"] == "finished" and len(run.history) != run.spec.settings.epochs:
        wrong.append(f"{len(run.history)} epochs in history.csv, {run.spec.settings.epochs} in its spec")
    if not np.isclose(last.test_accuracy, info["accuracy"], atol=1e-5, equal_nan=True):
        wrong.append(f"accuracy {info['accuracy']} in run.json, {last.test_accuracy} in the last line of history.csv")
    network = draw(run.spec)
    if not drawn_alike(run, network):
        wrong.append(f"seed {run.spec.seed} draws other weights here")
    elif unlike := misfit(run, freeze(network, run.spec.trainable, run.spec.seed)):
        wrong.append(unlike)
    elif dataset is not None and run.spec.redrawn and info["status"] == "finished":
        accuracy = evaluate(run.model(), dataset, images=run.spec.settings.test_images)[0]
        if abs(accuracy - info["accuracy"]) * info["test_images"] > 5:
            wrong.append(f"accuracy {info['accuracy']} in run.json, {accuracy} evaluated now")
    return wrong
