"""Where and with what a run is made: device, versions, commit."""

import contextlib
import ctypes
import getpass
import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from bnlib.spec.choices import DEVICES
from bnlib.words import Mendable, one_of

try:
    getpass.getuser()
except (KeyError, ImportError, OSError):  # a container's user without an account: PyTorch names its cache after who has one
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"torchinductor_{os.getuid()}"))


class OutOfMemory(Mendable):
    """There is not memory enough for what was asked; the message says what is kept, and what helps."""


def device(name: str | None = None) -> torch.device:
    """The device called `cpu` or `cuda`; for None CUDA if there is one. Raises ValueError for any other, or CUDA without a GPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    one_of("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda': PyTorch finds no GPU here; nearest: cpu")
    # With its number, as tensors there say it.
    return torch.device(name, torch.cuda.current_device()) if name == "cuda" else torch.device(name)


@contextlib.contextmanager
def exact():
    """A context in which numbers are the same at every call, and of the precision that was asked for, wherever it is called.

    On a GPU no TF32 and no search for convolutions; nowhere the caller's `torch.autocast`.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False))
        for kind in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextlib.contextmanager
def learning():
    """A context in which networks can learn, whatever the caller has switched off: `torch.no_grad`, `torch.inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad(), exact():
        yield


@contextlib.contextmanager
def enough_memory(says):
    """A context that turns PyTorch's several ways to be out of memory into OutOfMemory, one line; says(): how it goes on."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = next(iter(str(error).strip().splitlines()), "")
        # On a CPU PyTorch has no error of its own for it.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "DefaultCPUAllocator" not in said:
            raise
        asked = re.search(r"tried to allocate ([\d.]+ ?\w*)", said, flags=re.IGNORECASE)
        raise OutOfMemory(f"out of memory{f' (asked for {asked[1]} more)' if asked else ''}; {says()}") from None


def keep_memory() -> None:
    """Let this process keep the memory it frees, for the next step, where the C library can be told so (glibc).

    Otherwise the activations of every step may go back to the system, to be fetched again page by page: whether they do depends
    on the order of what was freed before, and on some machines costs a tenth of a step.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        # M_MMAP_THRESHOLD: no block under 1 GiB in a mapping of its own; under 32 MiB, the most that an older library takes.
        if library.mallopt(-3, 1 << 30) or library.mallopt(-3, 1 << 25):
            library.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD: nothing under 2 GiB goes back


def commit(root: Path) -> tuple[str, bool]:
    """The commit of the checkout `root`, and whether `bnlib/` differs from it; ("unknown", True) outside of one."""
    git = lambda *words: subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout  # noqa: E731
    if not (root / ".git").exists():  # git would look in the folders above, and find another project's
        return "unknown", True
    try:
        return git("rev-parse", "HEAD").strip(), bool(git("status", "--porcelain", "--", "bnlib").strip())
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def versions() -> dict[str, str]:
    """Python's, PyTorch's and numpy's versions."""
    return {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the CPU's model, its vector instructions as PyTorch uses them, its threads.

    The instructions, because virtual machines give processors of several generations the same name.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    threads = torch.get_num_threads()
    return f"{model} ({torch.backends.cpu.get_cpu_capability()}), {threads} thread{'s' if threads > 1 else ''}"
