"""The store of finished runs: one folder a run, written once, read as pandas, verified.

`results/` holds the committed runs, `runs/` (ignored by git) the user's own in the same form; both are read.
"""

import json
import os
import tempfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bnlib.spec import Recipe, RunSpec, architecture, place
from bnlib.words import Mendable, nearest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("run.json", "history.csv", "bn.safetensors")
METRICS = ("status", "accuracy", "test_loss", "train_accuracy", "train_loss", "seconds", "engine", "device", "commit", "started")


class StoreError(Mendable):
    """A run's folder cannot be written, or does not hold what it should."""


def results_folder() -> Path:
    """The committed runs, beside the package."""
    return ROOT / "results"


def runs_folder() -> Path:
    """Where new runs go: the environment variable BNLIB_RUNS, else `runs/` in the checkout, else in the working folder."""
    if os.environ.get("BNLIB_RUNS"):
        return Path(os.environ["BNLIB_RUNS"]).expanduser()
    return (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / "runs"


def check_writable(folder: Path) -> Path:
    """Create `folder` and return it. Raises StoreError, one line, if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(
            f"the results folder {folder} cannot be written ({error.strerror}); set BNLIB_RUNS to a folder that can"
        ) from None


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder. Accuracies are fractions."""

    folder: Path

    @cached_property
    def info(self) -> dict:
        """All of run.json: spec, metrics, counts, machine, versions, commit, checksums. Raises StoreError if it is damaged."""
        return self._json("run.json")

    def _json(self, name: str):
        try:
            return json.loads((self.folder / name).read_text())
        except ValueError as error:
            raise StoreError(f"{self.id}: {name} is damaged ({error})") from None

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.name

    @property
    def spec(self) -> RunSpec:
        """What was trained."""
        return RunSpec(**self.info["spec"])

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, evaluated in fp32."""
        return self.info["accuracy"]

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, lr, train_loss, train_accuracy, test_loss, test_accuracy, seconds."""
        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """What is stored of the network, by name: γ, β, running statistics, what else was trained. Raises StoreError if damaged."""
        try:
            return load_file(self.folder / "bn.safetensors")
        except SafetensorError as error:
            raise StoreError(f"{self.id}: bn.safetensors is damaged ({error})") from None

    @cached_property
    def probes(self) -> dict | None:
        """What the network was asked; None if nothing. Raises StoreError if damaged."""
        return self._json("probes.json") if (self.folder / "probes.json").exists() else None

    def probe(self, name: str) -> dict | None:
        """What the probe `name` of `bnlib.spec.choices.PROBES` found; None if the network was not asked that."""
        return (self.probes or {}).get(name)

    @cached_property
    def gamma(self) -> dict[str, np.ndarray]:
        """γ of every BatchNorm layer, by the layer's name, in the order of the network: arrays (features,)."""
        return self._bn("weight")

    @cached_property
    def beta(self) -> dict[str, np.ndarray]:
        """β of every BatchNorm layer, as `gamma`."""
        return self._bn("bias")

    def _bn(self, name: str) -> dict[str, np.ndarray]:
        layers = [key.removesuffix(".running_mean") for key in self.tensors if key.endswith(".running_mean")]
        return {layer: self.tensors[f"{layer}.{name}"] for layer in sorted(layers, key=place)}

    def model(self):
        """The trained network again, on the CPU in evaluation mode: its frozen weights drawn from the seed, and what is stored.

        Raises StoreError if the drawn weights are not those the run was trained with, or were trained and so are not stored.
        """
        from bnlib.store.networks import trained  # which needs PyTorch; reading runs does not

        return trained(self)


def find(spec: RunSpec, folder: Path | None = None) -> Run | None:
    """The stored run of `spec`, from results/ or runs/, or from `folder` alone; None if there is none."""
    for where in (folder,) if folder else (results_folder(), runs_folder()):
        if (where / spec.id / "run.json").exists():
            return Run(where / spec.id)
    return None


def load(run_id: str) -> Run:
    """The stored run called `run_id`. Raises StoreError, naming the nearest, if there is none."""
    for folder in (results_folder(), runs_folder()):
        if (folder / run_id / "run.json").exists():
            return Run(folder / run_id)
    near = nearest(run_id, [run.id for run in all_runs()], cutoff=0.3)
    raise StoreError(f"no run {run_id!r} in {results_folder()} or {runs_folder()}{near}")


def all_runs() -> list[Run]:
    """Every stored run, sorted by name; a run that is in both folders once."""
    found = {
        path.parent.name: Run(path.parent)
        for folder in (runs_folder(), results_folder())
        for path in folder.glob("*/run.json")
        if not path.parent.name.startswith(".")
    }
    return [found[name] for name in sorted(found)]


def results() -> pd.DataFrame:
    """One row a run: id, the spec's fields with the recipe's values filled in, network, metrics, counts, machine, folder."""
    rows = []
    for run in all_runs():
        spec, arch, info = run.spec, architecture(run.spec.model), run.info
        settings = {field.name: getattr(spec.settings, field.name) for field in fields(Recipe)}
        network = {"network": arch.title, "family": arch.family, "depth": arch.depth, "width": arch.width}
        metrics = {name: info[name] for name in METRICS}
        counts = {f"parameters_{group}": number for group, number in info["counts"].items()}
        rows.append({"id": run.id, **spec.to_dict(), **settings, **network, **metrics, **counts, "folder": str(run.folder)})
    names = ["id", *(field.name for field in fields(RunSpec)), "network", "family", "depth", "width", *METRICS, "folder"]
    return pd.DataFrame(rows, columns=None if rows else names)
