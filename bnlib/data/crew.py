"""The processes that decode a user's own pictures."""

import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from bnlib.data.dataset import DataMissing
from bnlib.data.decoding import Decoder, Task
from bnlib.words import whole

# Where it is safe, a fork: another process would begin with the user's own script once more.
START = "fork" if sys.platform == "linux" else "spawn"


def workers() -> int:
    """How many processes decode: the environment variable BNLIB_WORKERS, else one less than the cores that this process may use.

    0: this process does so itself. Where torchrun started several on this machine, they share the cores.
    """
    if given := os.environ.get("BNLIB_WORKERS"):
        return whole("BNLIB_WORKERS", int(given) if given.isdecimal() else given, 0, 1024)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1, 0), 32)


class Crew:
    """The processes that decode, started when they are first needed, for all trainings and evaluations of one data set.

    Not a DataLoader: that serves one reader at a time, wants more shared memory than a container has, and raises the death of one
    of its processes wherever this one happens to be.
    """

    def __init__(self, decoder: Decoder, count: int):
        self.decoder, self.count, self.pool = decoder, count, None

    def decode(self, tasks: Iterable[Task], ahead: int) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
        """What `decoder` makes of each task, in order; up to so many `ahead` of need. Raises DataMissing if a process dies."""
        if not self.count:
            yield from map(self.decoder, tasks)
            return
        tasks, waiting = iter(tasks), collections.deque()
        try:
            waiting.extend(self._submit(task) for task in itertools.islice(tasks, ahead))
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(self._submit(task) for task in itertools.islice(tasks, 1))
                yield done
        except BrokenProcessPool:
            self.pool = None
            raise DataMissing(
                f"a process that decodes pictures was ended from outside (for want of memory?); with fewer of them, less is "
                f"needed: BNLIB_WORKERS={self.count // 2}"
            ) from None
        finally:
            for one in waiting:
                one.cancel()

    def _submit(self, task: Task) -> concurrent.futures.Future:
        with warnings.catch_warnings():
            # A fork beside other threads: those processes use none of what a thread may have locked.
            warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
            if self.pool is None:
                context = multiprocessing.get_context(START)
                self.pool = concurrent.futures.ProcessPoolExecutor(self.count, context, _begin, (self.decoder,))
            return self.pool.submit(_decode, task)


def _begin(decoder: Decoder) -> None:
    """What a process that decodes does first."""
    global _DECODER
    _DECODER = decoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, which ends these
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent) -> None:
    parent.join()
    os._exit(0)


def _decode(task: Task) -> tuple[np.ndarray, dict[int, str]]:
    return _DECODER(task)
