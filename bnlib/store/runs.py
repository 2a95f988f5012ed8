"""The store of finished runs: one folder a run, written once, read as pandas, verified.

`results/` holds the committed runs, `runs/` (ignored by git) the user's own in the same form; both are read.
"""

import logging
import math
import os
import re
import tempfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bnlib.spec import Recipe, RunSpec, architecture, place
from bnlib.store import files, form
from bnlib.store.files import StoreError, shown
from bnlib.words import nearest

ROOT = Path(__file__).resolve().parents[2]
METRICS = ("status", "accuracy", "test_loss", "train_accuracy", "train_loss", "seconds", "engine", "device", "commit", "started")


def results_folder() -> Path:
    """The committed runs, beside the package."""
    return ROOT / "results"


def runs_folder() -> Path:
    """Where new runs go: the environment variable BNLIB_RUNS, else `runs/` in the checkout, else in the working folder.

    Raises StoreError for a BNLIB_RUNS in the home folder of nobody.
    """
    if os.environ.get("BNLIB_RUNS"):
        try:
            return Path(os.environ["BNLIB_RUNS"]).expanduser()
        except RuntimeError:  # ~nobody
            raise StoreError(f"BNLIB_RUNS {os.environ['BNLIB_RUNS']!r} names no home folder that is known here") from None
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
    def _known(self) -> tuple[dict, RunSpec]:
        data = files.stored(self.folder, "run.json")
        about, spec, wrong = self._read("run.json", lambda: form.info(data, self.folder.name))
        if not wrong and about.get("format", 1) > 1 and files.sums(self.folder) is None:
            wrong = [f"{files.SUMS} is missing, the digests of what was stored"]
        self._right("run.json", wrong)
        return about, spec

    @property
    def info(self) -> dict:
        """All of run.json: spec, metrics, counts, machine, versions, commit, checksums. A number that is none is None.

        Raises StoreError if it is damaged, not what was stored, of a newer version of bnlib, or another run's.
        """
        return self._known[0]

    def _read(self, name: str, read):
        """What `read` makes of a file. Raises StoreError, with the run's and the file's name, if it cannot."""
        try:
            return read()
        except ValueError as error:
            raise StoreError(f"{self.id}: {name} is damaged ({shown(error)[:200]})") from None

    def _right(self, name: str, wrong: list[str]) -> None:
        if wrong:
            raise StoreError(f"{self.id}: {name}: {'; '.join(wrong[:3])}{'; …' if len(wrong) > 3 else ''}")

    @property
    def id(self) -> str:
        """The run's name, which is its folder's."""
        return shown(self.folder.name)

    @property
    def spec(self) -> RunSpec:
        """What was trained."""
        return self._known[1]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, evaluated in fp32."""
        return self.info["accuracy"]

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, lr, train_loss, train_accuracy, test_loss, test_accuracy, seconds.

        Raises StoreError if it is damaged, not what was stored, or not as long as the training.
        """
        data = files.stored(self.folder, "history.csv")
        found = self._read("history.csv", lambda: form.history(data))
        self._right("history.csv", form.curve(found, self.info, self.spec))
        return found

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """What is stored of the network, by name: γ, β, running statistics, what else was trained. Raises StoreError if damaged."""
        data = files.stored(self.folder, "bn.safetensors")
        found = self._read("bn.safetensors", lambda: form.tensors(data))
        self._right("bn.safetensors", form.layers(found, self.info))
        return found

    @cached_property
    def probes(self) -> dict | None:
        """What the network was asked; None if nothing. Raises StoreError if damaged."""
        data = files.stored(self.folder, "probes.json")
        if data is None:
            return None
        found = self._read("probes.json", lambda: files.document(data)[0])
        if not (isinstance(found, dict) and all(isinstance(one, dict) for one in found.values())):
            raise StoreError(f"{self.id}: probes.json: it holds no objects by name")
        return found

    @property
    def sealed(self) -> bool:
        """Whether the run has digests of its files. One of an older version has none until it is given them."""
        return files.sums(self.folder) is not None

    def check(self) -> None:
        """Hold each file against its digest, without digests against its form. Raises StoreError for the first that is not right.

        Quick: needs no PyTorch. What a network drawn again shows besides, `bnlib.store.verification.verify` looks at.
        """
        if self.sealed:
            for name in files.PARTS:
                files.stored(self.folder, name)
        else:
            _ = self.history, self.tensors
            self._right("probes.json", form.probes(self.probes or {}))

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
    """The stored run of `spec`, from results/ or runs/, or from `folder` alone; None if there is none that can be read."""
    for where in (folder,) if folder else (results_folder(), runs_folder()):
        run = Run(where / spec.id)
        if os.path.lexists(run.folder) and not _unreadable(run):
            return run
    return None


def load(run_id: str) -> Run:
    """The stored run called `run_id`. Raises StoreError, naming the nearest, if there is none; saying why, if it cannot be read."""
    why = ""
    for folder in (results_folder(), runs_folder()):
        if re.fullmatch(r"[a-z0-9][\w+.-]*", run_id, flags=re.ASCII) and os.path.lexists(folder / run_id):
            run = Run(folder / run_id)
            why = _unreadable(run)
            if not why:
                return run
    if why:
        raise StoreError(why)
    near = nearest(run_id, [run.id for run in all_runs()], cutoff=0.3)
    raise StoreError(f"no run {shown(run_id)!r} in {results_folder()} or {runs_folder()}{near}")


def folders() -> list[Path]:
    """Every folder in results/ and runs/ that holds a run or should: it has a file of a run, or the name of one."""
    found = []
    for where in (results_folder(), runs_folder()):
        try:
            inside = sorted(where.iterdir()) if where.exists() else []
        except OSError as error:
            raise StoreError(f"{where} cannot be read ({error.strerror})") from None
        for path in inside:
            named = re.fullmatch(r".+_seed\d+-[0-9a-f]{8}", path.name)
            has = named or any(os.path.lexists(path / name) for name in (*files.PARTS, files.SUMS))
            if has and not path.name.startswith("."):
                found.append(path)
    return found


def all_runs() -> list[Run]:
    """Every stored run that can be read, sorted by name; a run that is in both folders once.

    A folder that cannot be read is left out. It and the reason are logged, once in a process; `unreadable` has them.
    """
    found = {}
    for path in folders():
        run = Run(path)
        if not _unreadable(run):
            found.setdefault(path.name, run)
    return [found[name] for name in sorted(found)]


def unreadable(whole: bool = False) -> dict[Path, str]:
    """The folders that hold a run or should, but one that cannot be read: why, by folder. whole: as for `results`."""
    return {path: why for path in folders() if (why := _why_not(Run(path), whole))}


def _why_not(run: Run, whole: bool = False) -> str:
    try:
        _ = run.info, run.check() if whole else None
    except StoreError as error:
        return str(error)
    return ""


def _unreadable(run: Run, whole: bool = False) -> str:
    """Why a run cannot be read; empty if it can. Logs it, once in a process."""
    why = _why_not(run, whole)
    if why and (run.folder, why) not in _logged:
        _logged.add((run.folder, why))
        logging.getLogger("bnlib.store").warning("left out: %s (%s)", why, shown(run.folder))
    return why


_logged: set[tuple[Path, str]] = set()


def results(whole: bool = False) -> pd.DataFrame:
    """One row a run: id, the spec's fields with the recipe's values filled in, network, metrics, counts, machine, folder.

    whole: also read the curves, the tensors and the probes, and leave out runs of which one of them is damaged. Runs that are left
    out are logged, once in a process; `bnlib.store.unreadable` has them.
    """
    rows = []
    for run in (run for run in all_runs() if not (whole and _unreadable(run, whole))):
        spec, arch, info = run.spec, architecture(run.spec.model), run.info
        settings = {field.name: getattr(spec.settings, field.name) for field in fields(Recipe)}
        network = {"network": arch.title, "family": arch.family, "depth": arch.depth, "width": arch.width}
        metrics = {name: math.nan if info[name] is None else info[name] for name in METRICS}
        counts = {f"parameters_{group}": number for group, number in info["counts"].items()}
        rows.append({"id": run.id, **spec.to_dict(), **settings, **network, **metrics, **counts, "folder": str(run.folder)})
    names = ["id", *(field.name for field in fields(RunSpec)), "network", "family", "depth", "width", *METRICS, "folder"]
    return pd.DataFrame(rows, columns=None if rows else names)
