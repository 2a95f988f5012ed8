"""A sweep on an executor: its trainings as tasks, handed out by this process and taken back as they end."""

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from bnlib.spec import RunSpec
from bnlib.training import parents, workers
from bnlib.training.costs import Cost, on_gpu
from bnlib.training.timing import MARGIN
from bnlib.training.workers import groups
from bnlib.words import Mendable

START = 5  # seconds that a training takes until its first epoch begins: built, compiled, measured
PATIENCE = 60  # seconds after which it is asked why no worker has anything to say


class Failed(Mendable):
    """Some trainings of a sweep failed, which did not keep the others from theirs; what each said has been printed."""


def check(executor: Executor, wanted: dict, datasets: list[str], settings: dict) -> str:
    """The device on which workers train. Raises Mendable, one line, if one cannot train for this process.

    An executor that can `ask` each of its workers does; of any other, one is asked. wanted: of `workers.here`.
    """
    question = (workers.look, wanted, datasets, settings.get("data_root"), settings.get("device"))
    try:
        said = executor.ask(*question) if hasattr(executor, "ask") else [executor.submit(*question).result()]
    except Mendable:
        raise
    except Exception as error:  # whatever keeps a worker from running a function of this package
        raise Mendable(f"a worker cannot run what it is asked ({_line(error)}); it needs the same bnlib as is here") from None
    for one in said:
        if one["unfit"]:
            raise Mendable(one["unfit"])
    return said[0]["device"]


def price(executor: Executor, specs: list[RunSpec], settings: dict) -> dict[RunSpec, Cost]:
    """What each of `specs` costs on a worker of `executor`; nothing is known of them if it cannot say. Raises as `check`."""
    with workers.here() as wanted:
        check(executor, wanted, parents.datasets(specs), settings)
    specs = list(dict.fromkeys([*parents.lacking(specs), *specs]))
    try:
        found = executor.submit(workers.price, [spec.to_dict() for spec in specs], settings).result()
    except Exception as error:  # the trainings may still succeed, and say for themselves if not
        print(f"what they cost is not known: {_line(error)}", flush=True)
        return {}
    return {spec: Cost(*one) for spec, one in zip(specs, found, strict=True)}


def everywhere(executor: Executor, specs: list[RunSpec], until: float | None, expected: dict, settings: dict) -> None:
    """Train `specs` on the workers of `executor`, and say how each ended as it ends. Raises Failed at the end if one failed."""
    settings = {name: value for name, value in settings.items() if name != "progress"}
    end = None if until is None else time.time() + until - time.monotonic()
    with workers.here() as wanted:
        device = check(executor, wanted, parents.datasets(specs), settings)
        due = [
            one
            for one in groups(specs, together=on_gpu(device))
            if until is None or fits(one[0], expected, until - time.monotonic())
        ]
        failed = 0
        # What another process was at gets a second turn when all else is through: that process may have been killed.
        for last in (False, True):
            again, pending = [], {}
            try:
                for group in due:
                    pending[_task(executor, workers.train, [spec.to_dict() for spec in group], wanted, settings, end)] = group
                for group, ended in _as_they_end(executor, pending):
                    for spec, (how, said) in zip(group, ended, strict=True):
                        if how != workers.ELSEWHERE or last:
                            print(f"{spec.id}: {said}", flush=True)
                        failed += how == workers.FAILED
                    again += [[spec for spec, (how, _) in zip(group, ended, strict=True) if how == workers.ELSEWHERE]]
            except KeyboardInterrupt:
                for future in pending:
                    future.cancel()
                print("stopped: what workers have begun they go on with, and store; nothing else is begun", flush=True)
                raise
            due = [group for group in again if group]
    if failed:
        raise Failed(f"{failed} of {len(specs)} trainings failed; what was said is above")


def _task(executor: Executor, *task) -> Future:
    """The future of a task; of an executor that takes no more, one that failed."""
    try:
        return executor.submit(*task)
    except Exception as error:  # a pool of which a process was killed
        failed = Future()
        failed.set_exception(error)
        return failed


def _as_they_end(executor: Executor, pending: dict[Future, list[RunSpec]]) -> Iterator[tuple[list[RunSpec], list[list[str]]]]:
    """Each group of `pending` as it ends, and how each of its trainings did, with a line. Says why none does, if it knows."""
    before = ""
    while pending:
        done, _ = wait(pending, timeout=PATIENCE, return_when=FIRST_COMPLETED)
        trouble = executor.trouble() if not done and hasattr(executor, "trouble") else ""
        if trouble and trouble != before:
            print(trouble, flush=True)
        before = trouble
        for future in done:
            group = pending.pop(future)
            try:
                ended = future.result()
            except Exception as error:  # of a worker that was killed, or of a pool that is gone
                said = f"failed: {_line(error)}; the same command goes on from its last checkpoint, if there is one"
                ended = [[workers.FAILED, said]] * len(group)
            yield group, ended


def _line(error: BaseException) -> str:
    """An exception in a line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def fits(spec: RunSpec, expected: dict[RunSpec, Cost] | None, left: float) -> bool:
    """Whether an epoch of `spec` fits in the seconds that are `left`, as far as anything is expected of it."""
    return not expected or spec not in expected or START + MARGIN * expected[spec].epoch <= left
