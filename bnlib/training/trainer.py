"""The training of a spec: the loop for a network drawn from its seed, and what is stored of it at the end."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from bnlib import data, engine, freezing, models, store
from bnlib.engine import optimiser
from bnlib.processes import ALONE, Processes
from bnlib.spec import RunSpec, architecture
from bnlib.store import networks, pretrained
from bnlib.store.writing import write
from bnlib.training import parents, timing
from bnlib.training.loop import Loop


class Trainer(Loop):
    """One training of a spec in progress."""

    def __init__(
        self,
        spec: RunSpec,
        device: torch.device,
        dataset: data.Dataset,
        folder: Path,
        probes: bool = True,
        processes: Processes = ALONE,
        callbacks=(),
        keep: bool = False,
    ):
        self.spec, self.folder, self.precision = spec, folder, spec.precision
        # What only the trained network can tell is asked of it at the end: not in tests and toys.
        self.probes = probes and spec.recipe != "smoke" and spec.dataset == "cifar10"
        # Behind the last convolution one pixel is left, of an image alone too little for BatchNorm.
        smallest = {"imagenet": 32, "keras": 32, "vgg": 31}.get(architecture(spec.model).family, 0)
        self.least = 2 if spec.settings.size <= smallest else 1
        model = networks.draw(spec, dataset.classes)
        self.weights_checksum = models.checksum(model)
        self.keep = keep  # the whole network, for trainings that begin from it
        self.began = parents.begin(spec, model, folder, processes)
        freezing.freeze(model, spec.learned, spec.seed)
        if spec.then:
            self.changing = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
            freezing.freeze(model, spec.trainable, spec.seed)
        self.trainable = spec.trainable
        model = model.to(device=device, memory_format=networks.layout(spec)).train()
        if device.type == "cuda":
            data.constants(device)
        super().__init__(
            spec.id,
            engine.synced(model, processes) if spec.sync_bn else model,
            dataset,
            spec.settings,
            seed=spec.seed,
            checkpoint=folder / ".unfinished" / f"{spec.id}.pt",
            processes=processes,
            callbacks=callbacks,
        )

    def _make_step(self) -> engine.Plain:
        # By the length of the whole training, not of what is left: a training that goes on must go on in the same step.
        if self.spec.sync_bn:  # the fused step knows a process's own statistics only
            return engine.Plain(self.model, self.precision)
        size = self.settings.batch_size
        return engine.make(
            self.model,
            self.precision,
            steps=self.settings.epochs * self.steps,
            sizes=(min(size, self.images), self.images % size or size),  # the last of an epoch is a short one
            depth=architecture(self.spec.model).depth,
        )

    @property
    def title(self) -> str:  # noqa: D102  as in Loop
        return f"{self.spec.model} {self.spec.trainable}{f' then {self.spec.then}' if self.spec.then else ''} {self.spec.recipe}"

    @property
    def left(self) -> float:  # noqa: D102  as in Loop
        epochs = range(len(self.history), self.settings.epochs)
        return sum(timing.passes(self.spec.learning(epoch)) for epoch in epochs) / timing.passes(self.trainable)

    def stand(self, done: int) -> None:  # noqa: D102  as in Loop
        due = self.spec.learning(done)
        if due != self.trainable:
            optimiser.unflatten(self.model)
            freezing.freeze(self.model, due, self.spec.seed)
            self.trainable, self.take_step, self.last_epoch = due, None, None
            self.optimiser = optimiser.make(self.model, self.settings)
            self.step = self._make_step()
            self.__dict__.pop("pace", None)  # its steps take another time

    def outlook(self) -> str:  # noqa: D102  as in Loop
        if self.processes.count == 1:
            return timing.estimate(self)
        sent, whole = (4 * sum(t.numel() for t in tensors) for tensors in (self.learning, self.model.parameters()))
        return f"{self.processes.count} processes, which exchange {sent:,} bytes of gradients a step; of all weights {whole:,}"

    @property
    def stored(self) -> bool:  # noqa: D102  as in Loop
        there = store.find(self.spec, self.folder)
        return there is not None and (not self.keep or self.diverged or pretrained.found(self.spec, self.folder) is not None)

    def train(self, until: float | None = None) -> Iterator[str]:
        """Train what is left and store the run: a generator that takes a step at each `next`; see `Loop.train`."""
        parents.check(self)
        asking = self.pace.probes if until is not None else 0.0  # measured while it can take steps
        yield from super().train(until)
        self.release()
        if self.processes.first:
            if store.find(self.spec, self.folder) is None:
                freezing.freeze(self.model, self.spec.learned, self.spec.seed)
                write(self.spec, self.model, self.history, self._info(), self.folder, self._probe(until, asking))
            if self.keep and not self.diverged:
                pretrained.keep(self.spec, self.model, self.folder)
            for path in self.files():
                path.unlink(missing_ok=True)

    def _probe(self, until: float | None, asking: float) -> dict | None:
        """The network's probes, which take `asking` seconds; None where there are none, or no time and they can be asked later."""
        if self.diverged or not self.probes:
            return None
        if self.spec.redrawn and until is not None and time.monotonic() + asking > until:
            print(f"{self.spec.id}: no time to ask the network now; `bnlib results probe {self.spec.id}` does so later", flush=True)
            return None
        print(f"{self.spec.id}: trained; asking its network what figures need, which on a CPU takes minutes", flush=True)
        with self.on_stream():
            return engine.probe(self.model, self.data, self.spec, names=self.spec.asked)

    def _info(self) -> dict:
        last, (*earlier, made) = self.history[-1], self.made()
        top5, classes = last.get("test_top5"), self.data.classes
        return {
            "status": "diverged" if self.diverged else "finished",
            "accuracy": last["test_accuracy"],
            **({} if top5 is None else {"top5": top5}),
            "test_loss": last["test_loss"],
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "test_images": min(self.settings.test_images or self.data.test_count, self.data.test_count),
            **({} if classes == 10 else {"classes": classes}),
            "counts": freezing.count(self.model),
            "seconds": round(self.seconds, 1),
            **made,
            "dirty": any(one["dirty"] for one in (*earlier, made)),
            **({"earlier": earlier} if earlier else {}),  # of the processes that trained epochs before this one
            "data_checksum": self.data.checksum,
            "weights_checksum": self.weights_checksum,
            **({"began": self.began} if self.began else {}),
            "started": self.started.isoformat(timespec="seconds"),
        }
