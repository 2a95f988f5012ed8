"""One finished run, read from its folder: what is not right is said when it is read. All of them are found in `runs`."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bnlib.spec import RunSpec, place
from bnlib.store import files, form
from bnlib.store.files import StoreError, shown


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder. Accuracies are fractions."""

    folder: Path

    @cached_property
    def stamp(self) -> tuple | None:
        """`files.stamp` of its folder, when first asked: what is known of a run of the same stamp is known of this one."""
        return files.stamp(self.folder)

    @cached_property
    def _known(self) -> tuple[dict, RunSpec]:
        data = files.stored(self.folder, "run.json")
        about, spec, wrong = self._read("run.json", lambda: form.info(data, self.folder.name))
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

    @property
    def top5(self) -> float:
        """How often the right class was among the five likeliest, as `accuracy`; NaN where there are no more than 10 classes."""
        return self.info.get("top5", math.nan)

    @property
    def classes(self) -> int:
        """How many classes the images have, and so the output layer."""
        return form.classes(self.info, self.spec)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, lr, train_loss, train_accuracy, test_loss, test_accuracy, seconds.

        With more than 10 classes also test_top5: how often the right one was among the five likeliest.
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
        self._right("bn.safetensors", form.layers(found, self.info, self.spec.kind))
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

    def check(self) -> None:
        """Hold each file against its digest. Raises StoreError for the first that is not right.

        Quick: needs no PyTorch. What a network drawn again shows besides, `bnlib.store.verification.verify` looks at.
        """
        for name in files.PARTS:
            files.stored(self.folder, name)

    def fault(self, whole: bool = False) -> str:
        """Why it cannot be read, in a line; empty if it can. whole: also by `check`, its curve, tensors and probes."""
        try:
            _ = self.info, self.check() if whole else None
        except StoreError as error:
            return str(error)
        return ""

    def probe(self, name: str) -> dict | None:
        """What the probe `name` of `bnlib.spec.choices.PROBES` found; None if the network was not asked that."""
        return (self.probes or {}).get(name)

    @cached_property
    def gamma(self) -> dict[str, np.ndarray]:
        """γ of every normalisation layer, by the layer's name, in the order of the network: arrays (features,)."""
        return self._of_norms("weight")

    @cached_property
    def beta(self) -> dict[str, np.ndarray]:
        """β of every normalisation layer, as `gamma`."""
        return self._of_norms("bias")

    def _of_norms(self, name: str) -> dict[str, np.ndarray]:
        layers = form.norms(self.tensors, self.spec.kind)
        return {layer: self.tensors[f"{layer}.{name}"] for layer in sorted(layers, key=place)}

    def model(self):
        """The trained network again, on the CPU in evaluation mode: its frozen weights drawn from the seed, and what is stored.

        Raises StoreError if the drawn weights are not those the run was trained with, or were trained and so are not stored.
        """
        from bnlib.store.networks import trained  # which needs PyTorch; reading runs does not

        return trained(self)
