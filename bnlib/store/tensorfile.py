"""Files of tensors from anywhere: looked at with suspicion before anything in them is believed. What they hold lives elsewhere."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from bnlib.store.files import StoreError


def checked(path: Path, kind: str, most: int) -> Path:
    """`path` without ~, of a file that can be `kind`: its header fits into it, and into `most` bytes. Else raises StoreError."""
    path = path.expanduser()
    if not path.is_file():
        raise StoreError(f"{path} is {'not a file' if path.exists() else 'not there'}")
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if size < 8 or header > min(size - 8, most):
        raise StoreError(f"{path} is not {kind}, or not all of it: {size:,} bytes, of which its header would be {header:,}")
    return path


@contextlib.contextmanager
def refused(path: Path, why: str) -> Iterator[None]:
    """Turn what a strange file can raise into a StoreError of one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # As many kinds as there are ways to write a file. Its own words go through repr: no line breaks, no control characters.
        said = str(error)
        said = said if said.isprintable() else repr(said)
        raise StoreError(f"{path} {why}: {said[:300]}") from None
