"""Checkpoints on disk: written whole or not at all; read only if every byte is as it was written, and nothing in it is run."""

import contextlib
import hashlib
import io
import os
import pickletools
import re
import zipfile
from pathlib import Path

import torch

from bnlib.store import files

MARK = b"\nbnlib sha256 "  # what follows what torch.save wrote: this, and the digest of all before it
TAIL = len(MARK) + hashlib.sha256().digest_size
KEEP = 64 * 2**20  # the one before is kept up to so many bytes: of a training of γ and β always, of a wide network's weights not
VALUES = re.compile(r"torch \w+Storage|torch\._utils _rebuild_tensor_v2|collections OrderedDict")  # tensors and plain values


class Unusable(Exception):
    """A file that no training can go on from; the message says why, in a few words."""


def before(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(path.name + ".before")


def save(path: Path, spec_id: str, state: dict) -> None:
    """Write `state`, of the run `spec_id`, to `path`, whose last one moves to `before(path)` unless it is large.

    At any moment, of a crash too, a whole checkpoint lies at `path`. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed meanwhile
    # In memory first: torch.save to a disk that is full ends the process.
    memory = io.BytesIO()
    torch.save({"spec": spec_id, **state}, memory)
    content, part = memory.getbuffer(), path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.write(MARK + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name with nothing in it
        with contextlib.suppress(OSError):  # there is none yet, or the file system has no second names: then there is but one
            before(path).unlink(missing_ok=True)
            if path.stat().st_size <= KEEP:
                os.link(path, before(path))
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    files.settle(path.parent)


def load(path: Path, spec_id: str) -> dict:
    """What `save` wrote to `path` for the run `spec_id`, tensors on the CPU. Raises Unusable, or OSError if it cannot be read.

    The first checkpoints had no digest, and did not name their run: such a one is read, too.
    """
    sealed = _check_digest(path)
    try:
        _check_content(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, Unusable):
        raise
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise Unusable(f"cannot be read: {(str(error).strip() or type(error).__name__).splitlines()[0][:120]}") from None
    if not isinstance(state, dict) or ("spec" in state) != sealed:
        raise Unusable("its digest is missing" if not sealed else "not as a checkpoint is written")
    if sealed and state["spec"] != spec_id:
        raise Unusable(f"it is of another run, {str(state['spec'])[:120]}")
    # A tensor's stated size is believed by torch.load, which would let it reach behind the bytes that are there.
    stated = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _tensors(state)}
    if sum(stated.values()) > path.stat().st_size:
        raise Unusable("it states more numbers than it holds")
    return state


def _check_digest(path: Path) -> bool:
    """Whether the file has a digest; raises Unusable if that is not the one of its content."""
    size, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL))
        tail = file.read()
        if not tail.startswith(MARK):
            return False
        file.seek(0)
        left = size - TAIL
        while part := file.read(min(left, 2**20)):
            digest.update(part)
            left -= len(part)
    if tail != MARK + digest.digest():
        raise Unusable("damaged: its digest is not that of its content")
    return True


def _check_content(path: Path) -> None:
    """Raise Unusable unless the file is what torch.save writes of tensors and plain values, no larger inside than outside."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            raise Unusable("empty or cut off" if file.read(2) in (b"", b"P", b"PK") else "not a checkpoint")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise Unusable("it would grow when it is read")
        for member in members:
            if not member.filename.endswith("/data.pkl"):
                continue
            for operation, argument, _ in pickletools.genops(archive.read(member)):
                if operation.name == "STACK_GLOBAL" or (operation.name == "GLOBAL" and not VALUES.fullmatch(argument)):
                    raise Unusable(f"it holds more than numbers ({argument or operation.name})")


def _tensors(value) -> list[torch.Tensor]:
    """Every tensor in what `load` gives, which is at most so deep: state, optimiser, its state, a parameter's, a tensor."""
    found, level = [], [value]
    for _ in range(6):
        found += [one for one in level if isinstance(one, torch.Tensor)]
        level = [inner for one in level if isinstance(one, dict) for inner in one.values()]
    return found
