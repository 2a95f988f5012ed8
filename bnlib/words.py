"""How bnlib speaks: mistakes in one line that names the nearest valid value, and how long things take."""

import difflib
from collections.abc import Iterable


class Mendable(Exception):
    """What the user can mend; the message is one line that says how. The command line prints it without a traceback."""


def nearest(value, allowed: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'paper'?`, with the one of `allowed` that is most like `value`; empty if none is (of likeness `cutoff`)."""
    near = difflib.get_close_matches(str(value), allowed, n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_of(name: str, value, allowed: Iterable[str]) -> None:
    """Raise ValueError, one line that has the nearest, if `value` is not one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} {value!r}: use one of {', '.join(allowed)}{nearest(value, allowed)}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
