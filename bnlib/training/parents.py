"""Trainings that begin from another one's network: that one comes first. The networks themselves are kept by `store.pretrained`."""

from pathlib import Path

import torch

from bnlib import store
from bnlib.processes import Processes
from bnlib.spec import RunSpec
from bnlib.store import pretrained


class Barren(store.StoreError):
    """The training whose network another one begins from diverged."""


def lacking(specs: list[RunSpec], folder: Path | None = None) -> list[RunSpec]:
    """The trainings, each once, from whose networks those of `specs` begin that are not stored yet, if the network is not there.

    Raises Barren, one line, if such a training is stored and diverged: nothing can begin from it.
    """
    due = {spec.parent: spec for spec in specs if spec.pretrained and store.find(spec, folder) is None}
    due = {parent: spec for parent, spec in due.items() if not pretrained.found(parent, *([folder] if folder else []))}
    for parent, spec in due.items():
        if (run := store.find(parent, folder)) and run.info["status"] == "diverged":
            raise Barren(f"{spec.id} can't begin from the network of {parent.id}, whose training diverged")
    return list(due)


def possible(specs: list[RunSpec]) -> list[RunSpec]:
    """Those of `specs` that are stored, or may have a network to begin from; says of each other one why not."""
    can = []
    for spec in specs:
        try:
            lacking([spec])
            can.append(spec)
        except Barren as error:
            print(f"left out: {error}", flush=True)
    return can


def datasets(specs: list[RunSpec]) -> list[str]:
    """The data sets that `specs` are trained on, and before that those that they begin from, by name."""
    return sorted({name for spec in specs for name in (spec.dataset, spec.pretrained) if name})


def say(due: list[RunSpec]) -> None:
    """Say of each training of `due` that it comes first."""
    for parent in due:
        why = (
            "stored, but its whole network is not here: trained again" if store.find(parent) else "not trained yet: it comes first"
        )
        print(f"{parent.id}, whose network others begin from, is {why}, {parent.settings.epochs} epochs", flush=True)


def begin(spec: RunSpec, model: torch.nn.Module, folder: Path, processes: Processes) -> str | None:
    """Make of `model`, just drawn, what the training of `spec` begins from, as the first process finds it; the checksum of that.

    None if it begins from what its seed draws; also if the network is not there: then nothing but its pace can be had.
    """
    if spec.pretrained is None:
        return None
    there = processes.first and pretrained.found(spec.parent, folder)
    began = processes.told(pretrained.begin(spec, model, folder) if there else None)
    if began and processes.count > 1:
        model.load_state_dict(processes.told(model.state_dict()))
    return began


def check(training) -> None:
    """Raise StoreError if `training` should begin from a network, and did not find it."""
    if training.spec.pretrained and not training.began:
        pretrained.begin(training.spec, training.model, training.folder)  # which says what is missing
