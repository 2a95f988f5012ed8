"""One training loop for CPU and GPU: schedule, evaluation, checkpoint every epoch, resume, progress."""

import math
import os
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from bnlib import data, engine, freezing, machine, models, store
from bnlib.spec import RunSpec

EVALUATION_BATCH = 500


def run(spec: RunSpec, *, device: str | None = None, data_root: str | Path | None = None, progress: bool = True) -> store.Run:
    """The run of `spec`: from the store if it is there, else trained and stored. See `train`."""
    return store.find(spec) or train(spec, device=device, data_root=data_root, progress=progress)


def train(
    spec: RunSpec,
    *,
    device: str | None = None,
    data_root: str | Path | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> store.Run:
    """Train `spec` and store it, going on from its last checkpoint if there is one; returns the finished run.

    device: `cpu`, `cuda` or None (CUDA if there is one). data_root: the folder with CIFAR-10, see `bnlib.data.folder`.
    folder: where to store the run, instead of `runs/`; only there is it looked for.
    Every epoch ends with an evaluation and a checkpoint; Ctrl-C loses at most one epoch. The last epoch counts.
    A loss that is not finite ends the training with status `diverged`.
    Raises StoreError or DataMissing before any work if the results cannot be written or the data are not there.
    """
    folder = Path(folder) if folder else None
    target = store.check_writable(folder or store.runs_folder())
    work = store.check_writable(target / ".unfinished")
    lock = FileLock(work / f"{spec.id}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{spec.id}: another process trains it; waiting for it to finish", flush=True)
        lock.acquire()
    try:
        found = store.find(spec, folder)  # the other process may have finished it
        return found or Trainer(spec, machine.device(device), data_root, target).run(progress)
    finally:
        lock.release()


def estimate(spec: RunSpec, *, device: str | None = None, data_root: str | Path | None = None) -> str:
    """How long `spec` would train on this machine, in a line, from a few measured steps; stores nothing."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(spec, machine.device(device), data_root, Path(folder))
        return trainer.estimate()


@torch.no_grad()
def evaluate(model, dataset: data.Dataset, *, images: int | None = None, step: engine.Plain | None = None) -> tuple[float, float]:
    """Accuracy (a fraction) and mean cross-entropy of `model` on the test images, on the model's device.

    In fp32 and without compiling, so that it gives the same number wherever it is called; `step` evaluates by another
    step instead. images: only the first so many.
    """
    step, mode = step or engine.Plain(model, "fp32"), model.training
    model.eval().to(memory_format=torch.channels_last)
    device = next(model.parameters()).device
    pixels, labels = dataset.test_images[:images], dataset.test_labels[:images].to(device)
    correct, loss = 0.0, 0.0
    for start in range(0, len(labels), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        mean, right = step.loss(data.normalise(pixels[part].to(device)), labels[part])
        correct, loss = correct + right, loss + mean * len(labels[part])
    model.train(mode)
    return float(correct) / len(labels), float(loss) / len(labels)


def learning_rate(spec: RunSpec, epoch: int) -> float:
    """The learning rate of `epoch`, counted from 0: the recipe's, times `lr_drop` for each milestone reached."""
    settings = spec.settings
    return settings.lr * settings.lr_drop ** sum(epoch >= milestone for milestone in settings.milestones)


class Trainer:
    """One training in progress: the network, its optimiser, and what happened so far."""

    def __init__(self, spec: RunSpec, device: torch.device, data_root, folder: Path):
        self.spec, self.settings, self.device, self.folder = spec, spec.settings, device, folder
        self.checkpoint = folder / ".unfinished" / f"{spec.id}.pt"
        self.data = data.load(spec.dataset, data_root).to(device)
        model = store.draw(spec)
        self.weights_checksum = models.checksum(model)
        freezing.freeze(model, spec.trainable, spec.seed)
        self.model = model.to(device=device, memory_format=torch.channels_last).train()
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = (
            torch.optim.SGD(
                trained, lr=self.settings.lr, momentum=self.settings.momentum, weight_decay=self.settings.weight_decay, foreach=True
            )
            if trained
            else None
        )
        images = len(self.data.train_labels[: self.settings.train_images])
        self.steps = math.ceil(images / self.settings.batch_size)
        self.history, self.saved, self.seconds = [], 0, 0.0
        self.started, self.commit = datetime.now(timezone.utc), machine.commit(store.ROOT)
        self._resume()
        # By the length of the whole training, not of what is left: a training that goes on must go on in the same step.
        self.step = engine.make(
            self.model,
            spec.precision,
            steps=self.settings.epochs * self.steps,
            batch=self.settings.batch_size,
            depth=models.architecture(spec.model).depth,
        )

    def run(self, progress: bool = True) -> store.Run:
        """Train what is left, store the run, remove the checkpoint."""
        left = self.settings.epochs - len(self.history)
        bar = tqdm(
            total=self.settings.epochs * self.steps,
            initial=len(self.history) * self.steps,
            unit="step",
            desc=f"{self.spec.model} {self.spec.trainable} {self.spec.recipe}",
            disable=not progress,
            smoothing=0.05,
            mininterval=0.1 if sys.stderr.isatty() else 2,  # in a notebook every refresh is kept, in hours they are megabytes
        )
        try:
            if left and self.step.name == "fused":
                bar.write("compiling the step: up to a minute the first time", file=sys.stdout)
            if left:
                bar.write(self.estimate(), file=sys.stdout)
            while len(self.history) < self.settings.epochs and not self.diverged:
                self._epoch(bar)
        except KeyboardInterrupt:
            bar.close()
            print(
                f"\nstopped; saved after epoch {self.saved} of {self.settings.epochs}: "
                f"the same command goes on from there (checkpoint: {self.checkpoint})",
                flush=True,
            )
            raise
        bar.close()
        finished = store.write(self.spec, self.model, self.history, self._info(), self.folder)
        self.checkpoint.unlink(missing_ok=True)
        return finished

    @property
    def diverged(self) -> bool:
        """Whether the last epoch's loss is not a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1]["train_loss"])

    def _epoch(self, bar) -> None:
        start, epoch = time.perf_counter(), len(self.history)
        lr = learning_rate(self.spec, epoch)
        total, right, seen = 0.0, 0.0, 0
        for images, labels in self._batches(epoch):
            loss, correct = self._step(images, labels, lr)
            total, right, seen = total + loss.detach() * len(labels), right + correct, seen + len(labels)
            bar.update()
        row = {"epoch": epoch + 1, "lr": lr, "train_loss": float(total) / seen, "train_accuracy": float(right) / seen}
        # The last epoch counts: it is evaluated in fp32 by the plain network, as anyone can do again from the stored run.
        last = epoch + 1 == self.settings.epochs or not math.isfinite(row["train_loss"])
        accuracy, loss = evaluate(self.model, self.data, images=self.settings.test_images, step=None if last else self.step)
        seconds = time.perf_counter() - start
        self.seconds += seconds
        self.history.append({**row, "test_loss": loss, "test_accuracy": accuracy, "seconds": seconds})
        bar.set_postfix_str(f"test {accuracy:.1%}")
        self._save()

    def _batches(self, epoch: int):
        return data.batches(
            self.data,
            seed=self.spec.seed,
            epoch=epoch,
            batch_size=self.settings.batch_size,
            kind=self.settings.augment,
            images=self.settings.train_images,
        )

    def _step(self, images, labels, lr: float | None):
        """One step; with lr None the gradients only, for a measurement."""
        if self.optimiser is None:
            with torch.no_grad():  # nothing learns, but BatchNorm's running statistics move
                return self.step.loss(data.normalise(images), labels)
        loss, correct = self.step.loss(data.normalise(images), labels)
        self.optimiser.zero_grad()
        loss.backward()
        if lr is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = lr
            self.optimiser.step()
        return loss, correct

    def estimate(self) -> str:
        """Measure a step (compiling first, not counted), leave no trace in the network, and say how long what is left will take."""
        epochs = self.settings.epochs - len(self.history)
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        images, labels = next(self._batches(0))
        times = []
        for _ in range(4):
            start = time.perf_counter()
            float(self._step(images, labels, None)[0].detach())
            times.append(time.perf_counter() - start)
        for name, buffer in self.model.named_buffers():
            buffer.copy_(buffers[name])
        step = min(times[1:])
        # An evaluation is forward only: about a third of a training step for each image.
        share = 1 + len(self.data.test_labels[: self.settings.test_images]) / (3 * self.steps * self.settings.batch_size)
        about = machine.duration(step * self.steps * epochs * share)
        return (
            f"{epochs} epochs of {self.steps} steps, {1000 * step:.0f} ms a step: about {about} "
            f"({self.step.name} step, {self.spec.precision}, {machine.device_name(self.device)})"
        )

    def _save(self) -> None:
        """Write the checkpoint, atomically."""
        state = {
            "spec": self.spec.text,
            "history": self.history,
            "seconds": self.seconds,
            "started": self.started.isoformat(),
            "commit": list(self.commit),
            "optimiser": self.optimiser and self.optimiser.state_dict(),
            "tensors": {k: v.detach().cpu() for k, v in self._moving().items()},
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)
        self.saved = len(self.history)

    def _moving(self) -> dict[str, torch.Tensor]:
        """What training changes: trained parameters and BatchNorm's buffers."""
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        norms = {name: b for name, b in self.model.named_buffers() if "parametrizations" not in name}
        return {**trained, **norms}

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        with torch.no_grad():
            for name, tensor in self._moving().items():
                tensor.copy_(state["tensors"][name])
        if self.optimiser is not None:
            self.optimiser.load_state_dict(state["optimiser"])
        self.history, self.seconds, self.commit = state["history"], state["seconds"], tuple(state["commit"])
        self.started, self.saved = datetime.fromisoformat(state["started"]), len(self.history)
        print(f"{self.spec.id}: going on after epoch {len(self.history)} of {self.settings.epochs}", flush=True)

    def _info(self) -> dict:
        last, (commit, dirty) = self.history[-1], self.commit
        return {
            "status": "diverged" if self.diverged else "finished",
            "accuracy": last["test_accuracy"],
            "test_loss": last["test_loss"],
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "test_images": len(self.data.test_labels[: self.settings.test_images]),
            "counts": freezing.count(self.model),
            "seconds": round(self.seconds, 1),
            "engine": self.step.name,
            "device": machine.device_name(self.device),
            "threads": torch.get_num_threads(),
            "versions": machine.versions(),
            "commit": commit,
            "dirty": dirty,
            "data_checksum": self.data.checksum,
            "weights_checksum": self.weights_checksum,
            "started": self.started.isoformat(timespec="seconds"),
        }
