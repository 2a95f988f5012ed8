"""Whether a stored run is what it says it is."""

import os

from bnlib import freezing
from bnlib.engine import evaluate
from bnlib.store import files, form, places, pretrained
from bnlib.store.files import StoreError, shown
from bnlib.store.networks import begins, draw, drawn_alike, misfit
from bnlib.store.run import Run


def verify(run: Run, dataset=None) -> list[str]:
    """What is wrong with a stored run, one line each that names run, file and what; empty if nothing is.

    Checks that each file is there, is the run's own and has its digest; keys, kinds and ranges of values; the id against the spec;
    the history against the spec's epochs and schedule, and its last line against run.json; that the seed draws the same weights
    here; and the names, shapes and numbers of what is stored of the network. With a `dataset`, also evaluates the network again:
    the stored accuracy must come out (within 5 images, as another machine may break a tie in another way).
    Of one that began from a network which is not here, or was trained again since, all else is checked, see `unseen`.
    """
    fresh = Run(run.folder)  # what is on the disk now
    wrong = _strangers(fresh)
    for look in (
        lambda: fresh.info,
        lambda: fresh.history,
        lambda: fresh.tensors,
        lambda: wrong.extend(f"{fresh.id}: probes.json: {line}" for line in form.probes(fresh.probes or {})),
        lambda: wrong.extend(f"{fresh.id}: {line}" for line in _network(fresh, dataset)) if not wrong else None,
    ):
        try:
            look()
        except StoreError as error:
            wrong.append(str(error))
    return list(dict.fromkeys(wrong))


def _strangers(run: Run) -> list[str]:
    """The files in a run's folder that no run has. Hidden ones are no part of it."""
    try:
        names = sorted(os.listdir(run.folder))
    except OSError as error:
        return [f"{run.id}: the folder cannot be read ({error.strerror})"]
    known = {*files.PARTS, files.SUMS, "probes.json.part"}  # the last was left by an older version that was killed
    return [f"{run.id}: {shown(name)} is no file of a run" for name in names if name not in known and not name.startswith(".")]


def unseen(run: Run) -> str:
    """What `verify` can't look at of a run, as the network that it began from is not here, in words; empty if there is nothing.

    The network that its parent's training gave somewhere else is another one, and no fault of the run.
    """
    if run.spec.pretrained is None:
        return ""
    if not pretrained.found(run.spec.parent, run.folder.parent, places.runs_folder()):
        return f"where it began is not checked, as the network of {run.spec.parent.id} is not here"
    if begins(run, draw(run.spec, run.classes)):
        return ""
    return f"where it began is not checked, as the network of {run.spec.parent.id} that is here is another one, trained again"


def _network(run: Run, dataset) -> list[str]:
    """What is wrong with a run whose files are right, by its network drawn again; see `verify`."""
    network = draw(run.spec, run.classes)
    if not drawn_alike(run, network):
        return [f"run.json: seed {run.spec.seed} draws other weights here than its weights_checksum says"]
    freezing.freeze(network, run.spec.learned, run.spec.seed)
    if unlike := misfit(run, network):
        return [unlike]
    if (counts := freezing.count(network)) != run.info["counts"]:
        return [f"run.json: its counts are not the network's, {counts}"]
    if dataset is None:
        return []
    if dataset.checksum != run.info["data_checksum"]:
        return ["run.json: its data_checksum is not that of the images here"]
    if not run.spec.features_learn and not unseen(run) and run.info["status"] == "finished":
        accuracy = evaluate(run.model(), dataset, images=run.spec.settings.test_images)[0]
        if abs(accuracy - run.accuracy) * run.info["test_images"] > 5:
            return [f"accuracy {run.accuracy} in run.json, {accuracy} evaluated now"]
    return []
