"""The files of a run, as bytes: read with suspicion, written whole, held against their digests. What they say lives in `form`."""

import contextlib
import hashlib
import json
import math
import os
import re
import secrets
import stat
import time
from pathlib import Path

from bnlib.words import Mendable

FILES = ("run.json", "history.csv", "bn.safetensors")  # what every run has
PARTS = (*FILES, "probes.json")  # what a run may have
SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it, which takes the line `# next` for a comment
LIMITS = {"bn.safetensors": 1 << 30}  # bytes; of all others 1 << 24, many times what the largest network has
TEMPORARY = re.compile(r"\.(.+)-[0-9a-f]{8}")  # what has not got its name yet; a killed process leaves it behind


class StoreError(Mendable):
    """A run's folder cannot be written, or does not hold what it should."""


def shown(text) -> str:
    """A name from the disk as one line of text that does nothing to a terminal."""
    return "".join(one if one.isprintable() else "\ufffd" for one in str(text))


def read(folder: Path, name: str) -> bytes:
    """All of a run's file. Raises StoreError if it is not there, a link, not a plain file, too large, or cannot be read."""

    def opener(path, flags):  # a pipe would be waited for, a link followed
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))

    here, limit = shown(folder.name), LIMITS.get(name, 1 << 24)
    try:
        if (folder / name).is_symlink() or folder.is_symlink():
            raise StoreError(f"{here}: {name if (folder / name).is_symlink() else 'the folder'} is a symbolic link, no run's own")
        with open(folder / name, "rb", opener=opener) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise StoreError(f"{here}: {name} is no plain file")
            if about.st_size > limit:
                raise StoreError(f"{here}: {name} is larger than any run's ({about.st_size:,} bytes)")
            return file.read(about.st_size)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{here}: no {name}") from None
    except (OSError, ValueError, MemoryError) as error:
        raise StoreError(f"{here}: {name} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def stamp(folder: Path) -> tuple | None:
    """What is another as soon as a run's files are; None where that cannot be told, as one of them is as good as new.

    A clock that counts in steps gives two changes within one the same time, so what is younger than two seconds is not trusted.
    """

    def about(path):
        try:
            found = os.lstat(path)
        except OSError:
            return None
        return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    found, now = [about(folder / name) for name in ("", *PARTS, SUMS)], time.time_ns()
    return None if any(one and now - max(one[3:]) < 2_000_000_000 for one in found) else tuple(found)


def put(folder: Path, name: str, data: bytes) -> None:
    """Write a file whole: it is there as before, or new, also after a power cut. It gets the mode that the umask says."""
    part = folder / f".{name}-{secrets.token_hex(4)}"
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    settle(folder)


def settle(folder: Path) -> None:
    """See to it that the names in `folder` are on the disk, where the system can be asked to."""
    with contextlib.suppress(OSError):
        held = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(held)
        finally:
            os.close(held)


def digest(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


def sums(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The digests of a run's files by name, and those of files that are about to be replaced.

    Raises StoreError if SHA256SUMS is missing or damaged.
    """
    if not os.path.lexists(folder / SUMS):
        read(folder, FILES[0])  # else it is no run at all
        raise StoreError(f"{shown(folder.name)}: {SUMS} is missing, the digests of what was stored")
    now, following = {}, {}
    for line in read(folder, SUMS).decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"(# next )?([0-9a-f]{64})  (\S+)", line)
        if match is None or match[3] not in PARTS or match[3] in (following if match[1] else now):
            raise StoreError(f"{shown(folder.name)}: {SUMS} is damaged ({shown(line[:80])!r})")
        (following if match[1] else now)[match[3]] = match[2]
    if missing := [name for name in FILES if name not in now]:
        raise StoreError(f"{shown(folder.name)}: {SUMS} is damaged (without {', '.join(missing)})")
    return now, following


def put_sums(folder: Path, now: dict[str, str], following: dict[str, str] | None = None) -> None:
    """Write a run's digests; see `sums`."""
    lines = [f"{now[name]}  {name}\n" for name in sorted(now)]
    lines += [f"# next {value}  {name}\n" for name, value in (following or {}).items()]
    put(folder, SUMS, "".join(lines).encode())


def stored(folder: Path, name: str) -> bytes | None:
    """A run's file, held against its digest; None if it has none of that name and need not.

    Raises StoreError if the file is missing, damaged, or not what was stored.
    """
    for _ in range(3):  # another process may replace the file between two looks
        now, following = sums(folder)
        if name not in FILES and name not in now and not os.path.lexists(folder / name):
            return None
        data = read(folder, name)
        if digest(data) in (now.get(name), following.get(name)):
            return data
    raise StoreError(f"{shown(folder.name)}: {name} is not what was stored: its SHA-256 is not the one in {SUMS}")


def document(data: bytes) -> tuple[object, bool]:
    """JSON, read strictly, and whether it had NaN or an infinity in it, which are no JSON and read as None.

    Raises ValueError for anything else that is no JSON, a number too large, or a key that is there twice.
    """
    odd = []

    def pairs(items):
        if len(dict(items)) != len(items):
            raise ValueError("a key is there twice")
        return dict(items)

    def number(text):
        if not math.isfinite(float(text)):
            raise ValueError(f"{text} is too large")
        return float(text)

    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_float=number, parse_constant=odd.append)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found, bool(odd)


def dump(content, indent: int | None = None) -> bytes:
    """`content` as JSON, in a line or indented; what is no finite number is null."""

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [finite(one) for one in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return (json.dumps(finite(content), indent=indent, allow_nan=False) + "\n").encode()
