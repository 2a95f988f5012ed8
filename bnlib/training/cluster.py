"""Workers on other machines, by Dask: a running scheduler as an executor. Needs the extra `cluster`."""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future

from bnlib.words import Mendable, shown

TIMEOUT = 5  # seconds in which a scheduler answers
RETRIES = 3  # so often a task is given to another worker if its own raised; one that was killed Dask replaces by itself


class Dask(Executor):
    """The workers of a Dask scheduler, of which each takes one task at a time.

    resources: what a task takes of a worker's, such as {"GPU": 1}; only workers that were started with as much get tasks.
    """

    def __init__(self, client, address: str, resources: dict[str, float] | None = None):
        self._client, self._address, self._resources = client, address, resources or {}
        self._tasks = client.get_executor(pure=False, retries=RETRIES, resources=resources or None)

    def submit(self, function: Callable, /, *args, **kwargs) -> Future:
        """Have a worker call `function`, of an importable module."""
        return self._tasks.submit(function, *args, **kwargs)

    def ask(self, function: Callable, *args) -> list:
        """What `function` says on each worker that may get tasks, at once, whatever it is doing. Waits for the first worker."""
        return list(self._client.run(function, *args, workers=self._wait()).values())

    def _wait(self) -> list[str]:
        """The addresses of those workers. Raises Mendable if there are some, but none that could ever get a task."""
        start = f"dask worker {self._address} --nthreads 1" + "".join(
            f' --resources "{k}={v:g}"' for k, v in self._resources.items()
        )
        told = False
        while not (there := self._workers()):
            if self._client.status != "running":
                raise Mendable(self.trouble())
            if not told:
                print(f"the scheduler {self._address} has no worker yet; waiting for the first: {start}", flush=True)
                told = True
            time.sleep(0.5)
        fit = [name for name, one in there.items() if all(one["resources"].get(k, 0) >= v for k, v in self._resources.items())]
        if not fit:
            have = ", ".join(sorted({f"{k}={v:g}" for one in there.values() for k, v in one["resources"].items()})) or "none"
            raise Mendable(f"no worker of {self._address} has what --resources asks for (they have {have}): {start}")
        several = [name for name in fit if there[name]["nthreads"] > 1]
        if several and not self._resources:
            raise Mendable(f"the worker {several[0]} takes {there[several[0]]['nthreads']} tasks at a time, one is right: {start}")
        return fit

    def _workers(self) -> dict[str, dict]:
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def trouble(self) -> str:
        """Why nothing may be going on, in a line; empty if there is no reason known."""
        if self._client.status != "running":
            return f"the scheduler {self._address} does not answer any more; the same command goes on when it does"
        return "" if self._workers() else f"the scheduler {self._address} has no worker left; waiting for one"

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give up tasks that have not begun, unless `wait`."""
        self._tasks.shutdown(wait=wait)


@contextlib.contextmanager
def connected(address: str, resources: dict[str, float] | None = None) -> Iterator[Dask]:
    """The workers of the scheduler at `address` (`tcp://HOST:PORT`), for as long as the context lasts.

    Raises Mendable, one line, if Dask is not installed, or the scheduler does not answer within seconds; ValueError for an
    address that is none.
    """
    if not re.fullmatch(r"(tcp|tls|ws|wss|ucx)://[^\s/:]+:\d+|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d+", address):
        raise ValueError(f"scheduler {shown(address)}: its address is needed as it prints it, such as tcp://10.0.0.1:8786")
    try:
        import distributed
    except ImportError:
        raise Mendable("sweeps on other machines need Dask: pip install distributed") from None
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)  # what it has to say of a scheduler that does not answer is not one line
    try:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False, name="bnlib")
    except (OSError, ValueError, RuntimeError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        why = "" if why.startswith("Timed out") else f" ({why[:120]})"
        raise Mendable(f"no Dask scheduler answers at {address} within {TIMEOUT} s{why}") from None
    finally:
        log.setLevel(before)
    executor = Dask(client, address, resources)
    try:
        yield executor
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            executor.shutdown(wait=False)
        with contextlib.suppress(Exception):
            client.close(timeout=2)
