"""Names of trainable sets: groups of parameters, joined by `+`. Paper, section 3."""

import re

from bnlib import words
from bnlib.spec.architecture import counted

GROUPS = ("gamma", "beta", "features", "shortcut", "output")  # of the networks here
OTHERS = ("ln", "gn", "in", "rms")  # normalisation that only other networks have: LayerNorm, GroupNorm, InstanceNorm, RMSNorm
NORMS = ("gamma", "beta", *OTHERS)
BESIDE = "shortcut-bn"  # of γ and β those of the shortcuts' own BatchNorm; the paper's counts have them in `bn`
_BN = frozenset({"gamma", "beta"})
_PARTS = ("features", "shortcut", "output")  # what is no normalisation
_SETS = {
    "all": frozenset({*GROUPS, *OTHERS}),
    "none": frozenset(),
    "bn": _BN,
    "all-bn": frozenset({*GROUPS, *OTHERS}) - _BN,
    "norm": frozenset(NORMS),
}
_ALLOWED = ("bn", "gamma", "beta", "output", "shortcut", "features", "random:K", "all", "none", "all-bn", "norm", BESIDE, *OTHERS)


def parse(trainable: str) -> tuple[frozenset[str], int]:
    """Read a trainable set: its groups, and K of `random:K` (0 where there is none).

    `bn` = γ and β; `output` = the output layer; `shortcut` = the shortcuts' 1×1 convolutions; `features` = everything
    else (in the paper's networks: all other convolutions); `random:K` = K fixed random weights of each output channel of
    every convolution, once at most; `shortcut-bn` = γ and β of the shortcuts' own BatchNorm; `ln`, `gn`, `in`, `rms` = γ and β of
    LayerNorm, GroupNorm, InstanceNorm, RMSNorm; `norm` = of every normalisation; joined by `+`. `all`, `none` and
    `all-bn` stand alone. Raises ValueError with the nearest valid name.
    """
    groups, k, said = frozenset(), 0, f"trainable {words.shown(words.plain(trainable))}"
    parts = [part.strip() for part in str(trainable).split("+")]
    for word in parts:
        if match := re.fullmatch(r"random:(\d+)", word):
            if k:
                raise ValueError(f"{said}: random:K stands there once, with the whole K; nearest: random:{k}")
            k = counted(match[1])
            if k < 1:
                raise ValueError(f"{said}: random:K needs K of at least 1; nearest: random:1")
        elif word in ("all", "none", "all-bn") and len(parts) > 1:
            raise ValueError(f"{said}: {word!r} stands alone; join groups such as bn+output")
        elif word in _SETS:
            groups |= _SETS[word]
        elif word in (*GROUPS, *OTHERS, BESIDE):
            groups |= {word}
        else:
            known = [*_SETS, *GROUPS, *OTHERS, BESIDE]
            several = [part for part in re.split(r"[\s,;&|]+", word) if part]
            joined = len(several) > 1 and all(part in known or re.fullmatch(r"random:\d+", part) for part in several)
            hint = f"; did you mean {'+'.join(several)!r}?" if joined else words.nearest(word, [*known, "random:2"], cutoff=0.5)
            raise ValueError(f"{said}: unknown group {words.shown(word)}; use {', '.join(_ALLOWED)}, joined by +{hint}")
    return groups, k


def check_shortcuts(trainable: str, network: str) -> None:
    """Raise ValueError, one line, if `trainable` names shortcuts: a `network` without any is refused what it has not."""
    parts = [part.strip() for part in str(trainable).split("+")]
    rest = [part for part in parts if part not in ("shortcut", BESIDE)]
    if len(rest) < len(parts):
        raise ValueError(f"trainable {words.shown(trainable)}: {network} has no shortcuts; nearest: {'+'.join(rest) or 'bn'}")


def canonical(trainable: str, network: str = "", kind: str = "bn", parts: tuple[str, ...] = _PARTS) -> str:
    """The one spelling of a run's trainable set: `output+bn` and `gamma+beta+output` are both `bn+output`.

    network: in words, for a message. kind: the group of its normalisation. With BatchNorm, `bn`, `norm` is `bn`; with any other γ
    and β are `norm`, and its own group is another word for that. parts: the groups besides that it has, without `shortcut` those
    without random weights either. Raises ValueError, which names the nearest, for what the network has not.
    """
    groups, k = parse(trainable)
    if kind != "bn":
        return _of_other(trainable, groups, k, network, kind, parts)
    if others := [word for word in map(str.strip, str(trainable).split("+")) if word in OTHERS]:
        raise ValueError(
            f"trainable {words.shown(trainable)}: {others[0]!r} is of networks with other normalisation; "
            f"{network or 'this one'} has BatchNorm alone; nearest: bn"
        )
    groups &= frozenset(GROUPS) | (set() if _BN <= groups else {BESIDE})
    k = 0 if {"features", "shortcut"} <= groups else k  # all convolutions learn whole
    for name, members in _SETS.items():
        if groups == members & frozenset(GROUPS) and not (k and name == "none"):
            return f"{name}+random:{k}" if k else name
    parts = ["bn"] if _SETS["bn"] <= groups else [g for g in ("gamma", "beta") if g in groups]
    parts += [f"random:{k}"] if k else []
    return "+".join(parts + _ordered(groups))


def _ordered(groups: frozenset[str], parts: tuple[str, ...] = _PARTS) -> list[str]:
    """What is in `groups` besides γ and β of the whole network, in the order in which it is spelt."""
    return [group for part in parts for group in ((part, BESIDE) if part == "shortcut" else (part,)) if group in groups]


def _of_other(trainable: str, groups: frozenset[str], k: int, network: str, kind: str, parts: tuple[str, ...]) -> str:
    """As `canonical`, of a network without BatchNorm."""
    said = list(map(str.strip, str(trainable).split("+")))
    own = {"norm", "all", "none", kind, *parts, *(("random",) if "shortcut" in parts else ())}
    if strange := [word for word in said if word.partition(":")[0] not in own]:
        near = ["norm" if word in NORMS or word == "bn" else word for word in said]
        near = [*parts] if said == ["all-bn"] else [word for word in near if word.partition(":")[0] in own]
        what = "BatchNorm" if strange[0] in ("bn", "all-bn", "gamma", "beta") else f"group {strange[0]!r}"
        raise ValueError(
            f"trainable {words.shown(trainable)}: {network} has no {what}; γ and β of its normalisation are called norm, all else "
            f"{', '.join(parts)}; nearest: {'+'.join(dict.fromkeys(near)) or 'norm'}"
        )
    k = 0 if {"features", "shortcut"} <= groups else k  # all convolutions learn whole
    found = ["norm"] if groups & set(NORMS) else []
    found += [f"random:{k}"] if k else []
    found += [part for part in parts if part in groups]
    return "all" if found == ["norm", *parts] else "+".join(found) or "none"


def union(first: str, second: str, parts: tuple[str, ...] = _PARTS) -> str:
    """What learns in `first` or in `second`, two sets without `random:K` of a network that has `parts` besides its γ and β.

    As a set that `canonical` takes: with BatchNorm and γ or β alone that one, else `norm` for both.
    """
    groups = parse(first)[0] | parse(second)[0]
    norms = groups & set(NORMS)
    own = [name for name in ("gamma", "beta") if name in norms] if norms < _BN else ["norm"] if norms else []
    return "+".join(own + _ordered(groups, parts)) or "none"


def check_random(trainable: str, smallest: int, name: str) -> None:
    """Raise ValueError if `random:K` asks for more weights than the smallest filter of the network `name` has."""
    k = parse(trainable)[1]
    if k > smallest:
        raise ValueError(
            f"trainable {words.shown(trainable)}: K is larger than the smallest filter of {name}, "
            f"which has {smallest} weights; nearest: random:{smallest}"
        )
