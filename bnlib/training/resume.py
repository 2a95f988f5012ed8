"""A training's state on disk and back: saved after each epoch, and found again, the last that is whole and its own."""

import math
import os
import shlex
from datetime import datetime
from pathlib import Path

import torch

from bnlib import store
from bnlib.training import checkpoint


def aside(path: Path) -> Path:
    """Where a checkpoint of `path` is put that cannot be used."""
    return path.with_name(path.name + ".bad")


def save(training) -> None:
    """Write the checkpoint of `training`, a Loop, atomically. Raises StoreError, one line, if it cannot be written."""
    state = {
        "history": training.history,
        "seconds": training.seconds,
        "started": training.started.isoformat(),
        "made": training.made(),
        "began": training.began,
        "images": training.data.checksum,
        "optimiser": training.optimiser and training.optimiser.state_dict(),
        "tensors": {name: tensor.detach().cpu() for name, tensor in training.moving().items()},
    }
    try:
        checkpoint.save(training.checkpoint, training.name, state)
    except OSError as error:
        raise store.StoreError(
            f"{training.name}: the checkpoint of epoch {len(training.history)} cannot be written to {training.checkpoint} "
            f"({error.strerror}). Make room, or let it be written; {training.kept}"
        ) from None


@torch.no_grad()
def put(training, state: dict) -> None:
    """Put a `state` that `find` gave into `training`."""
    training.stand(len(state["history"]))
    for name, tensor in training.moving().items():
        tensor.copy_(state["tensors"][name])
    if training.optimiser is not None:  # its numbers; its settings are the spec's, and this device's
        own = training.optimiser.state_dict()["param_groups"]
        training.optimiser.load_state_dict({"state": state["optimiser"]["state"], "param_groups": own})
    training.history, training.seconds, training.earlier = state["history"], state["seconds"], state["made"]
    training.started, training.saved = datetime.fromisoformat(state["started"]), len(training.history)


def find(training) -> dict | None:
    """The last checkpoint of `training`; where it cannot be used, the one before; else None, to start anew. Says so.

    Raises StoreError, one line, if one is there and may not be read.
    """
    for path in (training.checkpoint, checkpoint.before(training.checkpoint)):
        try:
            state = checkpoint.load(path, training.name)
            if wrong := misfit(training, state):
                raise checkpoint.Unusable(wrong)
            if path != training.checkpoint:
                os.replace(path, training.checkpoint)
            return state
        except FileNotFoundError:
            continue
        except checkpoint.Unusable as error:
            bad = aside(training.checkpoint)
            os.replace(path, bad)
            print(f"{training.name}: the checkpoint {path} cannot be used ({error}); it is now {bad}", flush=True)
        except OSError as error:
            raise store.StoreError(
                f"{training.name}: the checkpoint {path} cannot be read ({error.strerror}); let it be read, "
                f"or, to start anew, remove it: rm -r {shlex.quote(str(path.absolute()))}"
            ) from None
    if aside(training.checkpoint).exists():
        print(f"{training.name}: starting anew", flush=True)
    training.stand(0)
    return None


def misfit(training, state: dict) -> str:
    """Why `training` cannot go on from a checkpoint's `state`, in a few words; empty if it can."""
    form = lambda value: (value.shape, value.dtype) if isinstance(value, torch.Tensor) else type(value)  # noqa: E731
    forms = lambda values: {name: form(value) for name, value in values.items()}  # noqa: E731
    settings, rows = training.settings, state.get("history")
    try:
        if not 1 <= len(rows) <= settings.epochs or any(set(row) != set(training.columns) for row in rows):
            return "its history is not one of this run"
        for epoch, row in enumerate(rows):
            numbers = all(type(value) in (int, float) for value in row.values())
            lr = settings.learning_rate(epoch)
            if not numbers or row["epoch"] != epoch + 1 or not math.isclose(row["lr"], lr, rel_tol=1e-9):
                return f"epoch {epoch + 1} of its history is not one of this run"
        if state.get("began") != training.began:
            return "the network that it began from is not the one that is here now"
        if state.get("images", training.data.checksum) != training.data.checksum:  # an older version noted none
            return "its images are not those that are here now"
        training.stand(len(rows))  # what learns by then
        mine = training.optimiser and training.optimiser.state_dict()["state"]
        if forms(state["tensors"]) != forms(training.moving()):
            return "its tensors are not those of this network"
        theirs = state["optimiser"] and state["optimiser"]["state"]
        # A parameter without a state of its own, at momentum 0, is in there as an empty one, or not at all.
        if [forms(one) for one in (theirs or {}).values() if one] != [forms(one) for one in (mine or {}).values() if one]:
            return "its optimiser is not the one of this run"
        datetime.fromisoformat(state["started"])
        if not state["seconds"] >= 0 or not state["made"] or not all(isinstance(one, dict) for one in state["made"]):
            return "it does not say where it was made"
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # as many as there are ways to write it wrong
        return f"not as a checkpoint is written ({type(error).__name__}: {error})"
    return ""
