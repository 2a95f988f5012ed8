"""One training: schedule, steps, evaluation, checkpoint every epoch, resume; the same for CPU and GPU."""

import contextlib
import functools
import math
import os
import shlex
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import torch

from bnlib import data, engine, freezing, machine, models, store
from bnlib.engine import optimiser
from bnlib.engine.recorded import Recorded
from bnlib.spec import RunSpec, architecture
from bnlib.store import networks
from bnlib.store.writing import write
from bnlib.training import checkpoint, timing

# The columns of history.csv.
HISTORY = ("epoch", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")


class OutOfTime(Exception):
    """There is not time enough for one more epoch; the checkpoint is there to go on from."""


class Trainer:
    """One training in progress: the network, its optimiser, and what happened so far."""

    def __init__(self, spec: RunSpec, device: torch.device, dataset: data.Dataset, folder: Path, probes: bool = True):
        self.spec, self.settings, self.device, self.folder = spec, spec.settings, device, folder
        self.together = 1  # so many trainings take turns in this process, and share the time that passes
        # What only the trained network can tell is asked of it at the end: not in tests and toys.
        self.probes = probes and spec.recipe != "smoke" and spec.dataset == "cifar10"
        self.checkpoint = folder / ".unfinished" / f"{spec.id}.pt"
        self.data = dataset
        machine.keep_memory()
        model = networks.draw(spec)
        self.weights_checksum = models.checksum(model)
        freezing.freeze(model, spec.trainable, spec.seed)
        self.model = model.to(device=device, memory_format=torch.channels_last).train()
        self.optimiser = optimiser.make(self.model, self.settings)
        images, size = len(self.data.train_labels[: self.settings.train_images]), self.settings.batch_size
        self.steps, self.images = math.ceil(images / size), images
        self.totals = torch.zeros(2, dtype=torch.float64, device=device)  # this epoch's loss, and images classified right
        self.history, self.saved, self.seconds, self.take_step = [], 0, 0.0, None
        self.last_epoch = None  # how many seconds the last one took
        self.started, self.commit, self.earlier = datetime.now(timezone.utc), machine.commit(store.ROOT), []
        self._resume()
        # By the length of the whole training, not of what is left: a training that goes on must go on in the same step.
        self.step = engine.make(
            self.model,
            spec.precision,
            steps=self.settings.epochs * self.steps,
            sizes=(min(size, images), images % size or size),  # the last of an epoch is a short one
            depth=architecture(spec.model).depth,
        )
        self.stream = None
        if device.type == "cuda":
            data.constants(device)
            torch.cuda.synchronize()  # what was made so far, on the stream that all share, is there for this one
            self.stream = torch.cuda.Stream()
        self._use_lr(spec.settings.learning_rate(len(self.history)))

    def train(self, until: float | None = None) -> Iterator[str]:
        """Train what is left and store the run: a generator that takes a step at each `next`.

        Gives an empty text after a step, and after each epoch one that says how it went. Raises OutOfTime instead of beginning
        an epoch that would not end by the time `until`.
        """
        asking = self.pace.probes if until is not None else 0.0  # measured while it can take steps
        while len(self.history) < self.settings.epochs and not self.diverged:
            start, epoch = time.perf_counter(), len(self.history)
            if until is not None and time.monotonic() + timing.next_epoch(self) > until:
                raise OutOfTime
            self._use_lr(self.settings.learning_rate(epoch))
            # All that the device does for a training is put on its stream; other trainings have theirs between two steps.
            with self.on_stream():
                self.totals.zero_()
                batches = self.batches(epoch)
            for batch in batches:
                with self.on_stream():
                    self.take_step(*batch)
                yield ""
            with self.on_stream():
                self._end_epoch(start)
            yield f"test {self.history[-1]['test_accuracy']:.1%}"
        self.release()
        write(self.spec, self.model, self.history, self._info(), self.folder, self._probe(until, asking))
        for path in (self.checkpoint, checkpoint.before(self.checkpoint), self._aside):
            path.unlink(missing_ok=True)

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

    def _use_lr(self, lr: float) -> None:
        """Take further steps with this learning rate; a CUDA graph has it written into it."""
        for group in self.optimiser.param_groups if self.optimiser else ():
            group["lr"] = lr
        if self.take_step is None or lr != self.lr:
            self.take_step = Recorded(self._work) if self.device.type == "cuda" else self._work
        self.lr = lr

    def batches(self, epoch: int) -> list[tuple[torch.Tensor, ...]]:
        """The arguments of `take_step` for each step of an epoch."""
        drawn = data.draw(self.images, seed=self.spec.seed, epoch=epoch, kind=self.settings.augment)
        return list(zip(*(t.to(self.device).split(self.settings.batch_size) for t in drawn), strict=True))

    def _work(self, order, offsets, flips) -> None:
        """One whole step: augmentation, gradients, optimiser."""
        images, labels = data.take(self.data, order, offsets, flips)
        if self.optimiser is not None:
            self.optimiser.zero_grad(set_to_none=False)
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
        accuracy, loss = engine.evaluate(self.model, self.data, images=self.settings.test_images, step=None if last else self.step)
        self.last_epoch = time.perf_counter() - start
        seconds = self.last_epoch / self.together
        self.seconds += seconds
        self.history.append({**row, "test_loss": loss, "test_accuracy": accuracy, "seconds": seconds})
        self._save()

    @property
    def diverged(self) -> bool:
        """Whether the last epoch's loss is not a finite number."""
        return bool(self.history) and not math.isfinite(self.history[-1]["train_loss"])

    def state(self) -> list[torch.Tensor]:
        """All that a step changes in place."""
        flat = [p for group in self.optimiser.param_groups for p in group["params"]] if self.optimiser else []
        moving = [tensor for p in flat for tensor in (p.data, *self.optimiser.state[p].values()) if tensor is not None]
        return [self.totals, *moving, *self.model.buffers()]

    def _probe(self, until: float | None, asking: float) -> dict | None:
        """The network's probes, which take `asking` seconds; None where there are none, or no time and they can be asked later."""
        if self.diverged or not self.probes:
            return None
        if self.spec.redrawn and until is not None and time.monotonic() + asking > until:
            print(f"{self.spec.id}: no time to ask the network now; `bnlib results probe {self.spec.id}` does so later", flush=True)
            return None
        with self.on_stream():
            return engine.probe(self.model, self.data, self.spec)

    def _save(self) -> None:
        """Write the checkpoint, atomically. Raises StoreError, one line, if it cannot be written."""
        state = {
            "history": self.history,
            "seconds": self.seconds,
            "started": self.started.isoformat(),
            "made": self._made(),
            "optimiser": self.optimiser and self.optimiser.state_dict(),
            "tensors": {k: v.detach().cpu() for k, v in self._moving().items()},
        }
        try:
            checkpoint.save(self.checkpoint, self.spec.id, state)
        except OSError as error:
            raise store.StoreError(
                f"{self.spec.id}: the checkpoint of epoch {len(self.history)} cannot be written to {self.checkpoint} "
                f"({error.strerror}). Make room, or let it be written; {self.kept}"
            ) from None
        self.saved = len(self.history)

    @property
    def kept(self) -> str:
        """What is on disk of a training that ends here, in words."""
        if not self.saved:
            return "nothing is kept yet: the same command starts anew"
        return (
            f"saved after epoch {self.saved} of {self.settings.epochs}: the same command goes on from there "
            f"(checkpoint: {self.checkpoint})"
        )

    def _moving(self) -> dict[str, torch.Tensor]:
        """What training changes: trained parameters and BatchNorm's buffers."""
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        norms = {name: b for name, b in self.model.named_buffers() if "parametrizations" not in name}
        return {**trained, **norms}

    @property
    def _aside(self) -> Path:
        """Where a checkpoint is put that cannot be used."""
        return self.checkpoint.with_name(self.checkpoint.name + ".bad")

    def _resume(self) -> None:
        """Go on from the last checkpoint; where it cannot be used, from the one before; else from the start."""
        for path in (self.checkpoint, checkpoint.before(self.checkpoint)):
            try:
                state = checkpoint.load(path, self.spec.id)
                if wrong := self._misfit(state):
                    raise checkpoint.Unusable(wrong)
                if path != self.checkpoint:
                    os.replace(path, self.checkpoint)
            except FileNotFoundError:
                continue
            except checkpoint.Unusable as error:
                os.replace(path, self._aside)
                print(f"{self.spec.id}: the checkpoint {path} cannot be used ({error}); it is now {self._aside}", flush=True)
                continue
            except OSError as error:
                raise store.StoreError(
                    f"{self.spec.id}: the checkpoint {path} cannot be read ({error.strerror}); let it be read, "
                    f"or, to start anew, remove it: rm -r {shlex.quote(str(path.absolute()))}"
                ) from None
            self._take(state)
            print(f"{self.spec.id}: going on after epoch {len(self.history)} of {self.settings.epochs}", flush=True)
            return
        if self._aside.exists():
            print(f"{self.spec.id}: starting anew", flush=True)

    def _misfit(self, state: dict) -> str:
        """Why this training cannot go on from a checkpoint's `state`, in a few words; empty if it can."""
        form = lambda value: (value.shape, value.dtype) if isinstance(value, torch.Tensor) else type(value)  # noqa: E731
        forms = lambda values: {name: form(value) for name, value in values.items()}  # noqa: E731
        mine, rows = self.optimiser and self.optimiser.state_dict()["state"], state.get("history")
        try:
            if not 1 <= len(rows) <= self.settings.epochs or any(set(row) != set(HISTORY) for row in rows):
                return "its history is not one of this run"
            for epoch, row in enumerate(rows):
                numbers = all(type(value) in (int, float) for value in row.values())
                lr = self.settings.learning_rate(epoch)
                if not numbers or row["epoch"] != epoch + 1 or not math.isclose(row["lr"], lr, rel_tol=1e-9):
                    return f"epoch {epoch + 1} of its history is not one of this run"
            if forms(state["tensors"]) != forms(self._moving()):
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

    @torch.no_grad()
    def _take(self, state: dict) -> None:
        """Put what `_misfit` has checked in its place."""
        for name, tensor in self._moving().items():
            tensor.copy_(state["tensors"][name])
        if self.optimiser is not None:  # its numbers; its settings are the spec's, and this device's
            own = self.optimiser.state_dict()["param_groups"]
            self.optimiser.load_state_dict({"state": state["optimiser"]["state"], "param_groups": own})
        self.history, self.seconds, self.earlier = state["history"], state["seconds"], state["made"]
        self.started, self.saved = datetime.fromisoformat(state["started"]), len(self.history)

    def _made(self) -> list[dict]:
        """Where and with what it has been trained, by one process after the other; this one last."""
        commit, dirty = self.commit
        now = {
            "engine": self.step.name,
            "passes": self.step.passes_name,
            "device": machine.device_name(self.device),
            "threads": torch.get_num_threads(),
            "versions": machine.versions(),
            "commit": commit,
            "dirty": dirty,
        }
        return [*(one for one in self.earlier if one != now), now]

    def _info(self) -> dict:
        last, (*earlier, made) = self.history[-1], self._made()
        return {
            "status": "diverged" if self.diverged else "finished",
            "accuracy": last["test_accuracy"],
            "test_loss": last["test_loss"],
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "test_images": len(self.data.test_labels[: self.settings.test_images]),
            "counts": freezing.count(self.model),
            "seconds": round(self.seconds, 1),
            **made,
            "dirty": any(one["dirty"] for one in (*earlier, made)),
            **({"earlier": earlier} if earlier else {}),  # of the processes that trained epochs before this one
            "data_checksum": self.data.checksum,
            "weights_checksum": self.weights_checksum,
            "started": self.started.isoformat(timespec="seconds"),
        }
