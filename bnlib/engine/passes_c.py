"""The passes of `passes.c`: compiled once by the system's C compiler for this processor, called on tensors' own memory."""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

NOTHING, RELU, SUM = range(3)
KINDS = {  # the dtype that values are rounded to, and the one that convolutions compute in
    (torch.bfloat16, torch.bfloat16): 0,
    (torch.float32, torch.float32): 1,
    (torch.bfloat16, torch.float32): 2,
}
SOURCE = Path(__file__).with_name("passes.c")


class NoCompiler(RuntimeError):
    """No C compiler of this machine makes the passes; the message says what the last one said."""


class InC:
    """The passes on a CPU, for batches and images of any size. Raises NoCompiler, or KeyError for dtypes it does not know.

    dtype: what values are rounded to; compute: what convolutions read and write.
    """

    def __init__(self, dtype: torch.dtype, compute: torch.dtype):
        self.kind, self.compute = KINDS[dtype, compute], compute
        self.library, self.name = library()

    def forward(self, x, bn, added, relu: bool):
        """As `passes.InTorch.forward`."""
        x, (n, c, h, w) = x.contiguous(memory_format=torch.channels_last), x.shape
        if (x.dtype, bn.weight.dtype) != (self.compute, torch.float32):
            raise TypeError(f"activations of {x.dtype} and γ of {bn.weight.dtype}: use {self.compute} and {torch.float32}")
        form = SUM if added is not None else RELU if relu else NOTHING
        signs, copy = self._sizes(h * w, c)
        y, found = torch.empty_like(x), torch.empty(4, c, dtype=torch.float32)
        signs = torch.empty(n * signs, dtype=torch.int32) if form == SUM else None
        copy = torch.empty(n * copy, dtype=torch.bfloat16) if self.kind == 2 else None
        added = None if added is None else added.contiguous(memory_format=torch.channels_last)
        self._call(
            self.library.forward,
            *(x, added, y, copy, signs, bn.weight, bn.bias, found),
            *(n, h * w, c, bn.eps, self.kind, form, torch.get_num_threads()),
        )
        return y, found, (x if copy is None else copy, signs, form)

    def backward(self, kept, found, grads, bn):
        """As `passes.InTorch.backward`; `grads` are overwritten."""
        (x, signs, form), (n, c, h, w) = kept, grads[0].shape
        grad, *more = (g.contiguous(memory_format=torch.channels_last) for g in grads)
        around = None
        if form == SUM:
            around = more[0] if more else torch.zeros_like(grad)
        elif more:
            grad.add_(more[0])
        of_norm = torch.empty(4, c, dtype=torch.float32)
        self._call(
            self.library.backward,
            *(x, grad, around, signs, found, of_norm),
            *(n, h * w, c, bn.eps, self.kind, form, torch.get_num_threads()),
        )
        return grad, of_norm[:2], around

    def _call(self, function, *arguments):
        if function(*(a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments)):
            raise MemoryError("not enough memory for the sums of BatchNorm")

    @functools.cache  # noqa: B019  as many as there are shapes of layers
    def _sizes(self, pixels: int, features: int) -> tuple[int, int]:
        """How many words of signs and bf16 of a copy an image takes."""
        return self.library.signs_size(pixels, features), self.library.copy_size(pixels, features)


@functools.cache
def library() -> tuple[ctypes.CDLL, str]:
    """The compiled `passes.c`, and who compiled it with what. Raises NoCompiler.

    Compiled in a second or two where that has not been done before; kept by a hash of source, compiler, options and processor.
    """
    given = os.environ.get("CC")
    compilers = [shlex.split(given)] if given else [[c] for c in ("cc", "gcc", "clang") if shutil.which(c)]
    said = "cc, gcc and clang are not there"
    for compiler in compilers:
        for option in (["-march=native"], ["-mcpu=native"], []):  # not every compiler knows one of them
            try:
                return _library(compiler, ["-O3", *option])
            except (OSError, subprocess.CalledProcessError) as error:
                said = ((getattr(error, "stderr", None) or "").strip() or str(error)).splitlines()[-1]
    raise NoCompiler(said)


def _library(compiler: list[str], options: list[str]) -> tuple[ctypes.CDLL, str]:
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
    version = run([*compiler, "--version"]).stdout.splitlines()[0]
    what = (SOURCE.read_text(), version, *compiler, *options, _processor())
    digest = hashlib.sha256("\n".join(what).encode()).hexdigest()[:16]
    path = _folder() / f"passes-{digest}.so"
    if path.exists():
        try:
            return _declared(path), " ".join([version, *options])
        except OSError:  # damaged: made anew
            path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        run([*compiler, *options, "-shared", "-fPIC", "-o", made, SOURCE, "-lm"])
        os.replace(made, path)
    return _declared(path), " ".join([version, *options])


def _declared(path: Path) -> ctypes.CDLL:
    """The library there, with the types of its functions' arguments. Raises OSError if it is damaged."""
    found = ctypes.CDLL(str(path))
    pointer, size, count, real = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double
    shape = [size, size, size, real, count, count, count]
    found.forward.argtypes, found.backward.argtypes = [pointer] * 8 + shape, [pointer] * 6 + shape
    for function in (found.signs_size, found.copy_size):
        function.argtypes, function.restype = [size, size], size
    found.use_threads.argtypes = [pointer] * 3
    found.use_threads(*_threads())
    return found


def _threads():
    """The entry points of PyTorch's own OpenMP library, so that its threads are used and no others made; nulls if there is none."""
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    with contextlib.suppress(AttributeError, OSError, TypeError):  # TypeError: on Windows
        everything = ctypes.CDLL(None)
        return [ctypes.cast(getattr(everything, name), ctypes.c_void_p) for name in names]
    return [None] * 3


def _processor() -> str:
    """The processor and its instructions, in whatever words the system has for them."""
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in first if "MHz" not in line and not line.startswith("processor"))
    return f"{platform.machine()} {platform.processor()} {platform.node()}"


def _folder() -> Path:
    """Where compiled passes are kept: the cache folder, or, where that can't be written, one of this process."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: there is no home folder
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bnlib"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="bnlib-"))
