"""One training: schedule, steps, evaluation, checkpoint every epoch, resume; the same for CPU and GPU."""

import math
import os
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import torch

from bnlib import data, engine, freezing, machine, models, store
from bnlib.spec import RunSpec

EVALUATION_BATCH = 500


@machine.exact()
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

    def __init__(self, spec: RunSpec, device: torch.device, dataset: data.Dataset, folder: Path):
        self.spec, self.settings, self.device, self.folder = spec, spec.settings, device, folder
        self.checkpoint = folder / ".unfinished" / f"{spec.id}.pt"
        self.data = dataset
        model = store.draw(spec)
        self.weights_checksum = models.checksum(model)
        freezing.freeze(model, spec.trainable, spec.seed)
        self.model = model.to(device=device, memory_format=torch.channels_last).train()
        trained, self.optimiser = [p for p in model.parameters() if p.requires_grad], None
        if trained:
            self.flat = engine.flatten(trained)
            self.optimiser = torch.optim.SGD(
                [self.flat], lr=self.settings.lr, momentum=self.settings.momentum, weight_decay=self.settings.weight_decay
            )
            if self.settings.momentum:  # there from the first step on, as it is after it: a CUDA graph holds on to it
                self.optimiser.state[self.flat]["momentum_buffer"] = torch.zeros_like(self.flat)
        images, size = len(self.data.train_labels[: self.settings.train_images]), self.settings.batch_size
        self.steps, self.images = math.ceil(images / size), images
        self.totals = torch.zeros(2, dtype=torch.float64, device=device)  # this epoch's loss, and images classified right
        self.history, self.saved, self.seconds = [], 0, 0.0
        self.started, self.commit = datetime.now(timezone.utc), machine.commit(store.ROOT)
        self._resume()
        # On a GPU the short batch that ends an epoch is worth compiling for: uncompiled it takes as long as thirty others.
        sizes = tuple({min(size, images), images % size or size} if device.type == "cuda" else {min(size, images)})
        # By the length of the whole training, not of what is left: a training that goes on must go on in the same step.
        self.step = engine.make(
            self.model,
            spec.precision,
            steps=self.settings.epochs * self.steps,
            sizes=sizes,
            depth=models.architecture(spec.model).depth,
        )
        self.stream = None
        if device.type == "cuda":
            data.constants(device)
            torch.cuda.synchronize()  # what was made so far, on the stream that all share, is there for this one
            self.stream = torch.cuda.Stream()
        self._use_lr(learning_rate(spec, len(self.history)))

    def train(self) -> Iterator[str]:
        """Train what is left and store the run: a generator that takes a step at each `next`.

        Gives an empty text after a step, and after each epoch one that says how it went.
        """
        while len(self.history) < self.settings.epochs and not self.diverged:
            start, epoch = time.perf_counter(), len(self.history)
            self._use_lr(learning_rate(self.spec, epoch))
            # All that the device does for a training is put on its stream; other trainings have theirs between two steps.
            with torch.cuda.stream(self.stream):
                self.totals.zero_()
                batches = self.batches(epoch)
            for batch in batches:
                with torch.cuda.stream(self.stream):
                    self.take_step(*batch)
                yield ""
            with torch.cuda.stream(self.stream):
                self._end_epoch(start)
            yield f"test {self.history[-1]['test_accuracy']:.1%}"
        store.write(self.spec, self.model, self.history, self._info(), self.folder)
        self.checkpoint.unlink(missing_ok=True)

    def _use_lr(self, lr: float) -> None:
        """Take further steps with this learning rate; a CUDA graph has it written into it."""
        if self.optimiser is not None:
            self.optimiser.param_groups[0]["lr"] = lr
        if not hasattr(self, "take_step") or lr != self.lr:
            self.take_step = engine.Recorded(self._work) if self.device.type == "cuda" else self._work
        self.lr = lr

    def batches(self, epoch: int) -> list[tuple[torch.Tensor, ...]]:
        """The arguments of `take_step` for each step of an epoch."""
        drawn = data.draw(self.images, seed=self.spec.seed, epoch=epoch, kind=self.settings.augment)
        return list(zip(*(t.to(self.device).split(self.settings.batch_size) for t in drawn), strict=True))

    def _work(self, order, offsets, flips) -> None:
        """One whole step: augmentation, gradients, optimiser."""
        images, labels = data.take(self.data, order, offsets, flips)
        if self.optimiser is not None:
            self.flat.grad.zero_()
        loss, correct = self.step.gradients(data.normalise(images), labels)
        if self.optimiser is not None:
            self.optimiser.step()
        self.totals += torch.stack((loss * len(labels), correct))

    def _end_epoch(self, start: float) -> None:
        """Evaluate, note, save."""
        loss, right = (self.totals / self.images).tolist()
        row = {"epoch": len(self.history) + 1, "lr": self.lr, "train_loss": loss, "train_accuracy": right}
        # The last epoch counts: it is evaluated in fp32 by the plain network, as anyone can do again from the stored run.
        last = row["epoch"] == self.settings.epochs or not math.isfinite(loss)
        accuracy, loss = evaluate(self.model, self.data, images=self.settings.test_images, step=None if last else self.step)
        seconds = time.perf_counter() - start
        self.seconds += seconds
        self.history.append({**row, "test_loss": loss, "test_accuracy": accuracy, "seconds": seconds})
        self._save()

    @property
    def diverged(self) -> bool:
        """Whether the last epoch's loss is not a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1]["train_loss"])

    def measure(self, count: int = 5) -> tuple[float, float, float]:
        """Seconds of a step (median of `count`), of an evaluation in the run's precision, and of one in fp32.

        Compiles first, which is not counted; leaves no trace in the network.
        """
        images, times, evaluations = len(self.data.test_labels[: self.settings.test_images]), [], []
        some = min(images, EVALUATION_BATCH)
        with torch.cuda.stream(self.stream):
            before, batch = [(t, t.clone()) for t in self._state()], self.batches(0)[0]
            for _ in range(3 + count):
                start = time.perf_counter()
                self.take_step(*batch)
                self.totals.tolist()  # waits for the device
                times.append(time.perf_counter() - start)
            for step in (self.step, None):
                evaluate(self.model, self.data, images=some, step=step)
                start = time.perf_counter()
                evaluate(self.model, self.data, images=some, step=step)
                evaluations.append((time.perf_counter() - start) * images / some)
            with torch.no_grad():
                for tensor, value in before:
                    tensor.copy_(value)
        return statistics.median(times[3:]), *evaluations

    def estimate(self) -> str:
        """Measure, and say how long what is left of the training will take."""
        step, evaluation, last = self.measure()
        epochs = self.settings.epochs - len(self.history)
        about = machine.duration(epochs * (self.steps * step + evaluation) + last - evaluation)
        return (
            f"{epochs} epochs of {self.steps} steps, {1000 * step:.{0 if step > 0.02 else 1}f} ms a step: about {about} "
            f"({self.step.name} step, {self.spec.precision}, {machine.device_name(self.device)})"
        )

    def _state(self) -> list[torch.Tensor]:
        """All that a step changes in place."""
        moving = [self.flat.data, *self.optimiser.state[self.flat].values()] if self.optimiser else []
        return [self.totals, *moving, *(b for b in self.model.buffers())]

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
