"""The store of finished runs: one folder a run, written once, read as pandas, verified.

`results/` holds the committed runs, `runs/` (ignored by git) the user's own in the same form; both are read.
"""

import difflib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bnlib import freezing, models
from bnlib.models import initialisation
from bnlib.spec import Recipe, RunSpec

ROOT = Path(__file__).resolve().parents[2]
FILES = ("run.json", "history.csv", "bn.safetensors")
METRICS = ("status", "accuracy", "test_loss", "train_accuracy", "train_loss", "seconds", "engine", "device", "commit", "started")


class StoreError(RuntimeError):
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
        """What the probe `name` of `bnlib.engine.evaluation.PROBES` found; None if the network was not asked that."""
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
        order = {path: i for i, (path, _) in enumerate(models.skeleton(self.spec.model).named_modules())}
        return {layer: self.tensors[f"{layer}.{name}"] for layer in sorted(layers, key=order.__getitem__)}

    def model(self):
        """The trained network again, on the CPU in evaluation mode: its frozen weights drawn from the seed, and what is stored.

        Raises StoreError if the drawn weights are not those the run was trained with, or were trained and so are not stored.
        """
        if not self.spec.redrawn:
            raise StoreError(f"{self.id}: its convolutions were trained and are not stored; train it again with bnlib.train")
        model = draw(self.spec)
        if initialisation.checksum(model) != self.info["weights_checksum"]:
            raise StoreError(
                f"{self.id}: this machine draws other weights from seed {self.spec.seed} than the run was trained with"
            )
        freezing.freeze(model, self.spec.trainable, self.spec.seed)
        if wrong := misfit(self, model):
            raise StoreError(f"{self.id}: {wrong}")
        model.load_state_dict({k: torch.from_numpy(v) for k, v in self.tensors.items()}, strict=False)
        return model.to(memory_format=torch.channels_last).eval()


def draw(spec: RunSpec):
    """The network of `spec` at its initialisation, nothing frozen."""
    return models.build(spec.model, spec.seed, weight_init=spec.weight_init, bn_init=spec.bn_init)


def find(spec: RunSpec, folder: Path | None = None) -> Run | None:
    """The stored run of `spec`, from results/ or runs/, or from `folder` alone; None if there is none."""
    for place in (folder,) if folder else (results_folder(), runs_folder()):
        if (place / spec.id / "run.json").exists():
            return Run(place / spec.id)
    return None


def load(run_id: str) -> Run:
    """The stored run called `run_id`. Raises StoreError, naming the nearest, if there is none."""
    for folder in (results_folder(), runs_folder()):
        if (folder / run_id / "run.json").exists():
            return Run(folder / run_id)
    near = difflib.get_close_matches(run_id, [run.id for run in all_runs()], n=1, cutoff=0.3)
    raise StoreError(f"no run {run_id!r} in {results_folder()} or {runs_folder()}" + (f"; nearest: {near[0]}" if near else ""))


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
        spec, arch, info = run.spec, models.architecture(run.spec.model), run.info
        settings = {field.name: getattr(spec.settings, field.name) for field in fields(Recipe)}
        network = {"network": arch.title, "family": arch.family, "depth": arch.depth, "width": arch.width}
        metrics = {name: info[name] for name in METRICS}
        counts = {f"parameters_{group}": number for group, number in info["counts"].items()}
        rows.append({"id": run.id, **spec.to_dict(), **settings, **network, **metrics, **counts, "folder": str(run.folder)})
    names = ["id", *(field.name for field in fields(RunSpec)), "network", "family", "depth", "width", *METRICS, "folder"]
    return pd.DataFrame(rows, columns=None if rows else names)


def add_probes(run: Run, probes: dict) -> None:
    """Store what was found in a run's network, beside what is there. Raises StoreError if that would change a probe."""
    run.__dict__.pop("probes", None)  # another process may have asked meanwhile
    known, probes = run.probes or {}, _short(probes)
    if any(probes.get(name, known[name]) != known[name] for name in known):
        raise StoreError(f"{run.id} has its probes already; they are written once")
    _write_probes(run.folder, known | probes)
    run.__dict__.pop("probes")


def _short(probes: dict) -> dict:
    """Probes as they are stored: plain JSON values of six decimals."""
    return json.loads(json.dumps(probes), parse_float=lambda number: round(float(number), 6))


def _write_probes(folder: Path, probes: dict) -> None:
    part = folder / "probes.json.part"
    part.write_text(json.dumps(_short(probes)) + "\n")
    os.replace(part, folder / "probes.json")


def write(spec: RunSpec, model, history: list[dict], info: dict, folder: Path, probes: dict | None = None) -> Run:
    """Store a finished run in `folder`, atomically and once: it appears whole or not at all.

    probes: of `bnlib.engine.evaluation.probe`. Keeps γ, β, the running statistics and what else was trained; not the
    convolutions of `all` and `all-bn`.
    Raises StoreError if the folder cannot be written.
    """
    target = check_writable(folder) / spec.id
    state = {name: tensor.detach().float().cpu().contiguous().numpy() for name, tensor in _kept(spec, model).items()}
    part = Path(tempfile.mkdtemp(prefix=f".{spec.id}-", dir=target.parent))
    try:
        save_file(state, part / "bn.safetensors")
        pd.DataFrame(history).to_csv(part / "history.csv", index=False, float_format="%.6g")
        document = {"id": spec.id, "spec": spec.to_dict(), **info}
        (part / "run.json").write_text(json.dumps(document, indent=1) + "\n")
        if probes is not None:
            _write_probes(part, probes)
        part.chmod(0o755)
        os.replace(part, target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, OSError | SafetensorError):
            raise
        if (target / "run.json").exists():
            raise StoreError(f"{target} is there already; a run is written once") from None
        raise StoreError(f"the run could not be written to {target} ({error})") from None
    return Run(target)


def _kept(spec: RunSpec, model) -> dict[str, torch.Tensor]:
    """What a run stores of its network after `freeze`: γ, β, running statistics, and, unless `features` learn, what else does."""
    keep = {name for name, p in model.named_parameters() if p.requires_grad and spec.redrawn}
    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in keep or (name.rpartition(".")[0] in norms and not name.endswith("num_batches_tracked"))
    }


def misfit(run: Run, model) -> str:
    """In words, the first tensor that bn.safetensors lacks, or has and should not, or in another shape; empty if none."""
    due = {name: tuple(tensor.shape) for name, tensor in _kept(run.spec, model).items()}
    found = {name: tensor.shape for name, tensor in run.tensors.items()}
    wrong = [name for name in {**due, **found} if due.get(name) != found.get(name)]
    return f"bn.safetensors does not fit the network: {wrong[0]}" if wrong else ""
