"""Whole networks that other trainings begin from: kept beside the runs, and put into a network. Their runs live in `runs`."""

import hashlib
from pathlib import Path

import torch

from bnlib import freezing, models, seeds
from bnlib.freezing import output
from bnlib.spec import RunSpec
from bnlib.store import places
from bnlib.store.files import StoreError
from bnlib.store.trained import load_trained, save_trained


def found(spec: RunSpec, *folders: Path) -> Path | None:
    """The file of the whole network that the training `spec` ended with; None if it is in none of the `folders` of runs.

    By default it is looked for in `runs/`.
    """
    files = [folder / places.NETWORKS / f"{spec.id}.safetensors" for folder in folders or (places.runs_folder(),)]
    return next((file for file in files if file.is_file()), None)


def keep(spec: RunSpec, model: torch.nn.Module, folder: Path) -> Path:
    """Keep the whole network `model` of the training `spec` in `folder`, with a digest; returns the file. Raises StoreError."""
    return save_trained(model, places.check_writable(folder / places.NETWORKS) / f"{spec.id}.safetensors")


@torch.no_grad()
def begin(spec: RunSpec, model: torch.nn.Module, *folders: Path) -> str:
    """Make of `model`, just drawn for `spec`, the network that its training begins from; returns the checksum of that, in hex.

    All is its parent's, running statistics too, but the output layer: that is drawn anew from the seed, from streams of its own, as
    the features of the parent have grown with the one that the seed draws otherwise. folders: as for `found`.
    Raises StoreError, one line, if the parent's network is not there or is damaged.
    """
    parent, file = spec.parent, found(spec.parent, *folders)
    if file is None:
        raise StoreError(
            f"{spec.id} began from the network that {parent.id} ended with, which no seed draws and which is not in "
            f"{(folders or (places.runs_folder(),))[0] / places.NETWORKS}; "
            "bnlib.train_together([run.spec.parent], keep=True) trains such a network"
        )
    theirs = models.skeleton(parent.model, parent.classes, parent.norm).to_empty(device="cpu")
    theirs = load_trained(freezing.freeze(theirs, parent.trainable), file).state_dict()
    last = output.find(model)[0]
    own = {f"{path}.{name}" for path, layer in last.items() for name in layer.state_dict()}
    for name, tensor in model.state_dict().items():
        if name not in own:
            tensor.copy_(theirs[name])
    for path, layer in last.items():
        stream, shape = f"{path} after {spec.pretrained}", tuple(layer.weight.shape)
        layer.weight.copy_(torch.from_numpy(seeds.weights(spec.seed, stream, shape, spec.weight_init)))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(seeds.bias(spec.seed, stream, shape, spec.weight_init)))
    return checksum(model)


def checksum(model: torch.nn.Module) -> str:
    """SHA-256 (hex) over all numbers of a network that is not frozen yet, running statistics too."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
