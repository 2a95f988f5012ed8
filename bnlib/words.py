"""How bnlib speaks: mistakes in one line that names the nearest valid value, and how long things take."""

import difflib
from collections.abc import Iterable

ALIASES = {"gpu": "cuda", "nvidia": "cuda"}  # what is meant, which no likeness of letters tells


class Mendable(Exception):
    """What the user can mend; the message is one line that says how. The command line prints it without a traceback."""


def nearest(value, allowed: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'paper'?`, with the one of `allowed` that is most like `value`, capitals or not; empty if none is.

    Of which it is the beginning or a part, up to three. cutoff: how like it must be.
    """
    names = {name.casefold(): name for name in allowed}
    said = (value if isinstance(value, str) else shown(value)).casefold()
    near = difflib.get_close_matches(ALIASES.get(said, said), names, n=1, cutoff=cutoff)
    if not near and 3 <= len(said):
        near = [name for name in names if name.startswith(said)] or [name for name in names if said in name]
    *some, last = [repr(names[name]) for name in near[:3]] or [""]
    return f"; did you mean {', '.join(some)}{' or ' if some else ''}{last}?" if last else ""


def one_of(name: str, value, allowed: Iterable[str]) -> None:
    """Raise ValueError, one line that has the nearest, if `value` is not one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} {shown(value)}: use one of {', '.join(allowed)}{nearest(value, allowed)}")


def shown(value) -> str:
    """`value` as a message has it: on one line, and of more than 60 characters the first 40."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to write a whole number of more than 4,300 digits
        return "of thousands of digits"
    return text if len(text) <= 60 else f"{text[:40]}…"


def plain(value):
    """`value` as Python has it: numpy's numbers and texts as Python's, its arrays as lists; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def whole(name: str, value, least: int, most: int) -> int:
    """`value` as an int. Raises ValueError, one line that has the nearest, if it is no whole number from `least` to `most`."""
    value = plain(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    try:
        near = min(max(round(float(value)), least), most)
    except (TypeError, ValueError, OverflowError):  # no number at all, or one that is too large for a float
        near = most if isinstance(value, int | float) and value > most else least
    raise ValueError(f"{name} {shown(value)}: a whole number from {least} to {most} is needed; nearest: {near}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 12 min, 3 h 20 min, 78 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes >= 72 * 60:
        return f"{minutes / 1440:,.0f} days"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
