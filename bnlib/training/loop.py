"""The loop over epochs, for any network and any images: schedule, steps, evaluation, a checkpoint after each epoch, resume."""

import contextlib
import functools
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import torch

from bnlib import engine, machine, store
from bnlib.engine import optimiser
from bnlib.engine.recorded import Recorded
from bnlib.processes import ALONE, Processes
from bnlib.spec import Recipe
from bnlib.store import form
from bnlib.training import checkpoint, resume, timing


def lone(size: int, images: int) -> str:
    """Why batches of so many images can't be: where BatchNorm has one value a feature of an image, a single one has no variance."""
    near = next((f"; nearest: {other}" for other in range(size + 1, images + 1) if images % other != 1), "")
    return (
        f"batch_size {size}: the last batch of an epoch of {images} images would have 1, of which BatchNorm can't take statistics "
        f"behind the last convolution of this network{near}"
    )


class OutOfTime(Exception):
    """There is not time enough for one more epoch; the checkpoint is there to go on from."""


class Loop:
    """One training in progress: the network, its optimiser, and what happened so far.

    name: of what is trained, which a checkpoint must have to be gone on from. model: on its device, frozen as it shall be.
    source: of images, see `bnlib.data.Dataset`. checkpoint: where it is kept, None for none. processes: which train together, each
    a part of every batch. callbacks: called after each epoch, by the first process, with a dict: the row of the history.
    """

    precision = "fp32"
    least = 1  # images that a batch must have
    stored = False  # whether all that the training is for lies in the store
    changing = frozenset()  # names of parameters that learn in other epochs than this one
    began = None  # the checksum of another training's network, if it begins from that

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        source,
        settings: Recipe,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        processes: Processes = ALONE,
        callbacks: tuple[Callable[[dict], None], ...] = (),
    ):
        self.name, self.model, self.data, self.settings, self.seed = name, model, source, settings, seed
        self.checkpoint, self.processes, self.callbacks = checkpoint, processes, callbacks
        self.device = next(model.parameters()).device
        self.together = 1  # so many trainings take turns in this process, and share the time that passes
        machine.keep_memory()
        self.optimiser = optimiser.make(model, settings)
        self.images = min(settings.train_images or source.train_count, source.train_count)
        self.steps = self._steps()
        self._check_batches()
        self.totals = torch.zeros(3, dtype=torch.float64, device=self.device)  # this epoch's loss, images classified right, images
        self.history, self.saved, self.seconds, self.take_step = [], 0, 0.0, None
        self.last_epoch = None  # how many seconds the last one took
        self.started, self.commit, self.earlier = datetime.now(timezone.utc), machine.commit(store.ROOT), []
        self._resume()
        self.step = self._make_step()
        self.stream = None
        if self.device.type == "cuda":
            torch.cuda.synchronize()  # what was made so far, on the stream that all share, is there for this one
            self.stream = torch.cuda.Stream()
        self._use_lr(settings.learning_rate(len(self.history)))

    def _steps(self) -> int:
        size = self.settings.batch_size
        return self.data.steps(size, self.images) if hasattr(self.data, "steps") else math.ceil(self.images / size)

    def _make_step(self) -> engine.Plain:
        """The step to train with; once, for the whole training."""
        return engine.Plain(self.model, self.precision)

    def _check_batches(self) -> None:
        """Raise ValueError, one line, if the smallest batch has not images enough, for all processes or for the network."""
        size, count = self.settings.batch_size, self.processes.count
        smallest = min(size, self.images % size or size)
        if 1 < count and smallest < 2 * count:
            raise ValueError(
                f"{count} processes: the smallest batch of an epoch has {smallest} images, and BatchNorm needs 2 in each process; "
                f"nearest: {max(1, smallest // 2)} processes, or another batch size"
            )
        if smallest < self.least:
            raise ValueError(lone(size, self.images))

    @property
    def columns(self) -> list[str]:
        """What a row of the history has."""
        return form.MANY if self.data.classes and self.data.classes > 10 else form.HISTORY

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return len(self.history) >= self.settings.epochs or self.diverged

    def train(self, until: float | None = None) -> Iterator[str]:
        """Train what is left: a generator that takes a step at each `next`.

        Gives an empty text after a step, and after each epoch one that says how it went. Raises OutOfTime instead of beginning
        an epoch that would not end by the time `until`.
        """
        while not self.finished:
            start, epoch = time.perf_counter(), len(self.history)
            rising = epoch < self.settings.warmup
            self._use_lr(self.settings.learning_rate(epoch, 1 / self.steps), rising)  # first: how long steps take may be measured
            if until is not None and time.monotonic() + timing.next_epoch(self) > until:
                raise OutOfTime
            # All that the device does for a training is put on its stream; other trainings have theirs between two steps.
            with self.on_stream():
                self.totals.zero_()
                batches = self.batches(epoch)
            for done, batch in enumerate(batches):
                self.batch = min(self.settings.batch_size, self.images - done * self.settings.batch_size)  # of all processes
                if rising and done:
                    self._use_lr(self.settings.learning_rate(epoch, (done + 1) / self.steps), rising)
                with self.on_stream():
                    self.take_step(*batch)
                yield ""
            with self.on_stream():
                self._end_epoch(start)
            yield f"test {self.history[-1]['test_accuracy']:.1%}"

    def on_stream(self):
        """A context in which the device's work is put on this training's own stream; on a CPU nothing special."""
        return torch.cuda.stream(self.stream) if self.stream else contextlib.nullcontext()

    def release(self) -> None:
        """Let go of the recorded steps, and of the activations in them: they and this object hold each other."""
        self.take_step = None

    @functools.cached_property
    def pace(self) -> timing.Pace:
        """How long its steps and evaluations take here; measured once, before they have been released."""
        return timing.measure(self)

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return self.name

    def outlook(self) -> str:
        """What there is to say before it starts, in a line: how long it will take; empty if only the progress bar says that."""
        return ""

    @property
    def _recorded(self) -> bool:
        """Whether a step is recorded as a CUDA graph."""
        return self.device.type == "cuda" and self.processes.count == 1

    def _use_lr(self, lr: float, rising: bool = False) -> None:
        """Take further steps with this learning rate; a CUDA graph has it written into it. rising: the next step has another."""
        for group in self.optimiser.param_groups if self.optimiser else ():
            group["lr"] = lr
        if self.take_step is None or lr != self.lr:
            self.take_step = Recorded(self._work, self.device) if self._recorded and not rising else self._work
        self.lr = lr

    def batches(self, epoch: int):
        """The arguments of `take_step` for each step of an epoch."""
        return self.data.epoch(
            seed=self.seed,
            epoch=epoch,
            batch_size=self.settings.batch_size,
            augment=self.settings.augment,
            images=self.images,
            share=self.processes.share,
        )

    def _work(self, *batch) -> None:
        """One whole step: augmentation, gradients, optimiser."""
        x, labels = self.data.take(*batch)
        x, labels = x.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        if self.optimiser is not None:
            self.optimiser.zero_grad(set_to_none=False)
        if self.processes.count > 1:  # so that the sum over the processes is the gradient of the whole batch's mean
            self.step.scale = len(labels) / self.batch
        loss, correct = self.step.gradients(x, labels)
        if self.optimiser is not None:
            for flat in self.learning:
                self.processes.total(flat.grad)
            self.optimiser.step()
        self.totals += torch.stack((loss * len(labels), correct, torch.full_like(loss, len(labels))))

    @property
    def learning(self) -> list[torch.Tensor]:
        """What learns, in a tensor for each weight decay: all that several processes exchange in a step."""
        return [p for group in self.optimiser.param_groups for p in group["params"]] if self.optimiser else []

    def _end_epoch(self, start: float) -> None:
        """Evaluate, note, save."""
        self.processes.same(self.model.buffers())  # statistics are each process's own: the first one's are kept
        loss, right, count = self.processes.total(self.totals).tolist()
        row = {
            "epoch": len(self.history) + 1,
            "lr": self.settings.learning_rate(len(self.history)),
            "train_loss": loss / count,
            "train_accuracy": right / count,
        }
        # The last epoch counts: it is evaluated in fp32 by the plain network, as anyone can do again from the stored run.
        last = row["epoch"] == self.settings.epochs or not math.isfinite(loss)
        step, images = None if last else self.step, self.settings.test_images
        found = engine.measure(self.model, self.data, images=images, step=step, size=self.at_once, processes=self.processes)
        self.last_epoch = time.perf_counter() - start
        seconds = self.last_epoch / self.together
        self.seconds += seconds
        row |= {"test_loss": found.loss, "test_accuracy": found.accuracy, "test_top5": found.top5, "seconds": seconds}
        self.history.append({name: row[name] for name in self.columns})
        self.stand(len(self.history))
        if self.processes.first:
            self._save()
            for callback in self.callbacks:
                callback(dict(self.history[-1]))
        self.saved = self.processes.told(self.saved)

    @property
    def at_once(self) -> int:
        """How many images are evaluated at a time: without gradients, with no more memory than a batch takes to train."""
        return min(500, 4 * self.settings.batch_size)

    @property
    def left(self) -> float:
        """How many epochs as the next one there are left to train, by the time that they take."""
        return self.settings.epochs - len(self.history)

    def stand(self, done: int) -> None:
        """Be as after `done` epochs, where what learns changes in the course of the training: then with a new optimiser."""

    @property
    def diverged(self) -> bool:
        """Whether the last epoch's loss is not a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1]["train_loss"])

    def state(self) -> list[torch.Tensor]:
        """All that a step changes in place."""
        moving = [t for p in self.learning for t in (p.data, *self.optimiser.state[p].values()) if t is not None]
        return [self.totals, *moving, *self.model.buffers()]

    def _save(self) -> None:
        """Write the checkpoint, atomically, and the history so far. Raises StoreError, one line, if it cannot be written."""
        if self.checkpoint is None:
            return
        resume.save(self)
        self.saved = len(self.history)
        with contextlib.suppress(OSError):  # it is there to be looked at: nothing goes on from it
            part = self.progress.with_suffix(".csv.part")
            rows = pd.DataFrame(self.history).assign(epochs=self.settings.epochs)  # of how many, their name does not say
            rows.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
            os.replace(part, self.progress)

    @property
    def progress(self) -> Path:
        """Where the history so far can be looked at."""
        return self.checkpoint.with_suffix(".csv")

    @property
    def kept(self) -> str:
        """What is on disk of a training that ends here, in words."""
        if not self.saved:
            return "nothing is kept yet: the same command starts anew"
        return (
            f"saved after epoch {self.saved} of {self.settings.epochs}: the same command goes on from there "
            f"(checkpoint: {self.checkpoint})"
        )

    def moving(self) -> dict[str, torch.Tensor]:
        """What training changes: parameters that learn at some time, and BatchNorm's buffers."""
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad or name in self.changing}
        norms = {name: b for name, b in self.model.named_buffers() if "parametrizations" not in name}
        return {**trained, **norms}

    def files(self) -> list[Path]:
        """What a training leaves behind that another, finished one needs no more."""
        return [self.checkpoint, checkpoint.before(self.checkpoint), resume.aside(self.checkpoint), self.progress]

    def _resume(self) -> None:
        """Go on from the last checkpoint, as the first process finds it."""
        state = self.processes.told(resume.find(self) if self.checkpoint and self.processes.first else None)
        if state is None:
            return
        resume.put(self, state)
        if self.processes.first:
            print(f"{self.name}: going on after epoch {len(self.history)} of {self.settings.epochs}", flush=True)

    def made(self) -> list[dict]:
        """Where and with what it has been trained, by one process after the other; this one last."""
        commit, dirty = self.commit
        now = {
            "engine": self.step.name,
            "passes": self.step.passes_name,
            "device": machine.device_name(self.device),
            "threads": torch.get_num_threads(),
            **({"processes": self.processes.count} if self.processes.count > 1 else {}),
            "versions": machine.versions(),
            "commit": commit,
            "dirty": dirty,
        }
        return [*(one for one in self.earlier if one != now), now]
