"""What the files of a run must say: their fields, kinds and shapes, and where they must agree. How they are read lives in `files`.

Every function looks at what was read and gives what is wrong with it, in words; nothing, if nothing is. None needs PyTorch.
"""

import io
import math
import re
from datetime import datetime

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load

from bnlib.spec import GROUPS, RunSpec
from bnlib.spec.choices import FORMATS
from bnlib.store.files import document, shown

FORMAT = 2  # of run.json; 1, which does not say it, had no digests
STATUS = ("finished", "diverged")
HISTORY = ["epoch", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"]
LAST = {"accuracy": "test_accuracy", "test_loss": "test_loss", "train_accuracy": "train_accuracy", "train_loss": "train_loss"}
TOP5 = "test_top5"
MANY = [*HISTORY[:-1], TOP5, HISTORY[-1]]  # its columns where there are more than 10 classes
COUNTS = {"total", "trainable", "bn", *GROUPS}
NORM = ("weight", "bias", "running_mean", "running_var")
OTHER = ("weight", "bias")  # of a normalisation that is not BatchNorm: it keeps no statistics


def _number(value, most=math.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most and value < 1e300


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**15


def _text(value) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 500


def _time(value) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _checksum(value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _versions(value) -> bool:
    return isinstance(value, dict) and all(_text(name) and _text(number) for name, number in value.items())


# What every run.json has, and of what kind it is: a test, and what passes it in words.
FIELDS = {
    "id": (_text, "a line of text"),
    "spec": (lambda value: isinstance(value, dict), "an object"),
    "status": (lambda value: value in STATUS, " or ".join(STATUS)),
    "accuracy": (lambda value: _number(value, 1), "a fraction"),
    "test_loss": (lambda value: value is None or _number(value), "a number of at least 0, or null"),
    "train_accuracy": (lambda value: _number(value, 1), "a fraction"),
    "train_loss": (lambda value: value is None or _number(value), "a number of at least 0, or null"),
    "test_images": (lambda value: _whole(value) and value, "a whole number above 0"),
    "counts": (
        lambda value: isinstance(value, dict) and value.keys() >= COUNTS and all(map(_whole, value.values())),
        f"whole numbers by the names {', '.join(sorted(COUNTS))}",
    ),
    "seconds": (lambda value: _number(value, 1e12), "a number of at least 0"),
    "engine": (_text, "a line of text"),
    "device": (_text, "a line of text"),
    "threads": (lambda value: _whole(value) and value, "a whole number above 0"),
    "versions": (_versions, "lines of text by name"),
    "commit": (
        lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{7,64}|unknown", value),
        "the name of a commit, or unknown",
    ),
    "dirty": (lambda value: isinstance(value, bool), "true or false"),
    "data_checksum": (_checksum, "64 hexadecimal digits"),
    "weights_checksum": (_checksum, "64 hexadecimal digits"),
    "started": (_time, "a time with its zone, such as 2026-01-31T12:00:00+00:00"),
}
MAY = {  # what it may have besides
    "top5": (lambda value: _number(value, 1), "a fraction"),
    "classes": (lambda value: _whole(value) and value, "a whole number above 0"),  # those of a folder of pictures, or not 10
    "began": (_checksum, "64 hexadecimal digits"),  # of the network that it began from, if that is another training's
    "processes": (lambda value: _whole(value) and value > 1, "a whole number above 1"),  # that trained together
    "passes": (lambda value: value is None or _text(value), "a line of text, or null"),
    "earlier": (lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value), "a list of objects"),
}


def info(data: bytes, name: str) -> tuple[dict, RunSpec | None, list[str]]:
    """run.json of the folder `name`: what it says, its spec, and what is wrong with it. Raises ValueError if it is no JSON."""
    found, odd = document(data)
    if not isinstance(found, dict):
        return {}, None, ["it holds no object"]
    version = found.get("format", 1)
    if not (_whole(version) and version):
        return found, None, [f"format is {_say(version)}, not a whole number above 0"]
    if version > FORMAT:
        return found, None, [f"a newer version of bnlib has written it (format {version}; this one reads up to {FORMAT})"]
    if missing := [field for field in FIELDS if field not in found]:
        return found, None, [f"it lacks {', '.join(missing)}"]
    wrong = ["NaN and Infinity are no JSON"] if odd and version > 1 else []
    kinds = FIELDS | {field: kind for field, kind in MAY.items() if field in found}
    wrong += [f"{field} is {_say(found[field])}, not {words}" for field, (test, words) in kinds.items() if not test(found[field])]
    if wrong:
        return found, None, wrong
    if (found["train_loss"] is None) != (found["status"] == "diverged"):  # which is what that means
        wrong.append(f"train_loss is {_say(found['train_loss'])}, and status {found['status']}")
    if unknown := [field for field in found["spec"] if field not in RunSpec.__dataclass_fields__]:
        return found, None, [*wrong, f"its spec has a field that this version of bnlib does not know: {shown(unknown[0])[:80]}"]
    try:
        spec = RunSpec(**found["spec"])
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        return found, None, [*wrong, f"its spec is none: {shown(error)[:200]}"]
    if (due := spec.classes) and classes(found, spec) != due:
        wrong.append(f"classes is {found['classes']}, and {spec.dataset} has {due}")
    if wrong_counts := _counts(found["counts"], spec.kind):
        wrong.append(f"counts is {_say(found['counts'])}, {wrong_counts}")
    if ("began" in found) != (spec.pretrained is not None):
        says = "says" if "began" in found else "does not say"
        wrong.append(f"it {says} from which network it began, and pretrained is {spec.pretrained}")
    if spec.id != name:
        wrong.append(f"its spec belongs to {spec.id}")
    if found["id"] != name:
        wrong.append(f"its id is {shown(found['id'])[:80]}")
    return found, spec, wrong


def _counts(counts: dict, kind: str) -> str:
    """What is wrong with the names of `counts`, of a network whose γ and β are in the group `kind`; empty if nothing is."""
    due = COUNTS if kind == "bn" else {*COUNTS, kind, "norm"}
    if set(counts) != due:
        return f"not whole numbers by the names {', '.join(sorted(due))}"
    if kind != "bn" and (counts["norm"] != counts[kind] or any(counts[name] for name in ("bn", "gamma", "beta"))):
        return f"and all γ and β of its network are in {kind}"
    return ""


def classes(about: dict, spec: RunSpec) -> int:
    """How many classes the images of a run have, given what run.json says, which says nothing of 10."""
    return about.get("classes") or spec.classes or 10


def history(data: bytes, more: tuple[str, ...] = ()) -> pd.DataFrame:
    """history.csv, one row an epoch. Raises ValueError if it is not written as one is: other columns, or cut off in a line.

    more: columns that may stand behind its own.
    """
    text = data.decode("utf-8")
    head, *lines = text.splitlines() or [""]
    columns = head.split(",")
    if not any(columns in (own, [*own, *more]) for own in (HISTORY, MANY)):
        raise ValueError(f"its columns are not {', '.join(HISTORY)}, with or without {TOP5}")
    number = r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)?"
    for at, line in enumerate(lines, 2):
        if not re.fullmatch(rf"\d{{1,9}}(?:,{number}){{{len(columns) - 1}}}", line):
            raise ValueError(f"line {at} is no line of {len(columns)} numbers")
    if not lines or not text.endswith("\n"):
        raise ValueError("its end is missing")
    return pd.read_csv(io.BytesIO(data))


def curve(found: pd.DataFrame, about: dict, spec: RunSpec) -> list[str]:
    """What is wrong with a `history`, given what run.json says: epochs, the schedule, ranges, and the last epoch, which counts."""
    due, rows, wrong = spec.settings.epochs, len(found), []
    if found.epoch.tolist() != list(range(1, rows + 1)):
        wrong.append(f"its epochs are not 1 to {rows} in this order")
    if rows != due and not (about["status"] == "diverged" and rows < due):
        wrong.append(f"it has {rows} epochs, the spec {due}")
    rates = [spec.settings.learning_rate(epoch) for epoch in range(rows)]
    if not np.allclose(found.lr.astype(float), rates, rtol=1e-5, atol=0):
        wrong.append("its learning rates are not those of the spec")
    tested, number = [name for name in ("test_accuracy", TOP5) if name in found], classes(about, spec)
    for name in ("train_accuracy", *tested):
        if not found[name].between(0, 1).all():
            wrong.append(f"{name} is not a fraction everywhere")
    for name in tested:
        right = found[name].astype(float) * about["test_images"]
        if not (abs(right - right.round()) <= 1e-6 * about["test_images"]).all():
            wrong.append(f"a {name} is not that of a whole number of images")
    for name, there in ((TOP5, TOP5 in found), ("top5 in run.json", "top5" in about)):
        if there != (number > 10):
            wrong.append(f"it has {'' if there else 'no '}{name}, and {number} classes")
    if TOP5 in found and (found[TOP5] < found.test_accuracy).any():
        wrong.append(f"a {TOP5} is below the test_accuracy")
    losses = found.train_loss.iloc[: rows - (about["status"] == "diverged")]
    if not (np.isfinite(losses) & (losses >= 0)).all() or (found.test_loss < 0).any():
        wrong.append("a loss is no number of at least 0")
    if not (found.seconds >= 0).all() or not math.isclose(found.seconds.sum(), about["seconds"], rel_tol=1e-4, abs_tol=0.2):
        wrong.append(f"its seconds are not the {about['seconds']} in run.json")
    for key, column in (LAST | ({"top5": TOP5} if TOP5 in found and "top5" in about else {})).items():
        there, here = about[key], float(found[column].iloc[-1])
        same = not math.isfinite(here) if there is None else math.isclose(there, here, rel_tol=1e-5, abs_tol=1e-9)
        if not same:
            wrong.append(f"{key} is {there} in run.json, {here:g} in the last line of history.csv")
    return wrong


def tensors(data: bytes) -> dict[str, np.ndarray]:
    """bn.safetensors, by name. Raises ValueError if it is damaged, or its header does not fit into it."""
    header = int.from_bytes(data[:8], "little")
    if len(data) < 8 or header > len(data) - 8:
        raise ValueError(f"its header promises {header:,} bytes, the file has {len(data):,}")
    try:
        return load(data)
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise ValueError(str(error)) from None


def norms(found: dict[str, np.ndarray], kind: str) -> list[str]:
    """The names of the normalisation layers in `tensors`, as they stand there; kind: the group of their γ and β.

    Of BatchNorm those that have statistics; of others those whose weights are one number a feature, as no other layer's are.
    """
    if kind == "bn":
        return [name.removesuffix(".running_mean") for name in found if name.endswith(".running_mean")]
    return [name.removesuffix(".weight") for name, one in found.items() if name.endswith(".weight") and one.ndim == 1]


def layers(found: dict[str, np.ndarray], about: dict, kind: str = "bn") -> list[str]:
    """What is wrong with the `tensors`, given what run.json says: fp32, γ, β and statistics of each layer, finite numbers.

    kind: the group of the network's γ and β. Of another than `bn` there are no statistics.
    """
    wrong = [f"{shown(name)[:80]} is {one.dtype}, not float32" for name, one in found.items() if one.dtype != np.float32]
    moving = {name.rpartition(".")[0] for name in found if name.endswith((".running_mean", ".running_var"))}
    own, due = (moving, NORM) if kind == "bn" else ({*norms(found, kind)}, OTHER)
    if kind != "bn":
        wrong += [f"{shown(layer)[:80]} has running statistics, and no layer is BatchNorm" for layer in sorted(moving)]
    for layer in sorted(own):
        shapes = {getattr(found.get(f"{layer}.{name}"), "shape", None) for name in due}
        if len(shapes) > 1 or len(shapes.pop() or ()) != 1:
            wrong.append(f"{shown(layer)[:80]} does not have {', '.join(due)} of one length")
    gammas = about["counts"]["gamma"] if kind == "bn" else about["counts"]["norm"] / 2
    if not wrong and sum(len(found[f"{layer}.weight"]) for layer in own) != gammas:
        wrong.append(f"it does not hold the {gammas:.10g} γ that run.json counts")
    if about["status"] == "finished" and about["test_loss"] is not None:  # else it may hold what no number is
        wrong += [f"{shown(name)[:80]} is not finite everywhere" for name, one in found.items() if not np.isfinite(one).all()]
        wrong += [f"{name}.running_var is below 0" for name in sorted(moving) if np.any(found.get(f"{name}.running_var", 0) < 0)]
    return wrong


def probes(found) -> list[str]:
    """What is wrong with what a network was asked: of each probe that is known here its lists, lengths and ranges."""
    wrong = []
    share = lambda value: _number(value, 1)  # noqa: E731
    activity = lambda one: (  # noqa: E731
        isinstance(one, dict)
        and _whole(one.get("units"))
        and share(one.get("zero"))
        and isinstance(one.get("off"), dict)
        and all(re.fullmatch(r"0\.\d+", key) and share(value) for key, value in one["off"].items())
    )
    if (curves := found.get("clamping")) is not None:
        kinds = {"threshold": _number, "share": share, "accuracy": share, "accuracy_beta": share}
        kinds["accuracy_random"] = lambda value: value is None or share(value)
        lists = [curves.get(name) for name in kinds]
        if not all(isinstance(one, list) and one and len(one) == len(lists[0] or ()) for one in lists):
            wrong.append(f"clamping does not have {', '.join(kinds)} of one length")
        elif bad := [name for (name, kind), one in zip(kinds.items(), lists, strict=True) if not all(map(kind, one))]:
            wrong.append(f"clamping has a {bad[0]} that is none")
        elif sorted(set(lists[0])) != lists[0]:
            wrong.append("clamping has thresholds that do not rise")
    if (relu := found.get("relu")) is not None:
        rows = relu.get("layers")
        named = isinstance(rows, list) and rows and all(activity(one) and _text(one.get("layer")) for one in rows)
        if not (named and activity(relu.get("total")) and _whole(relu.get("images"))):
            wrong.append("relu does not have images, layers and total, each with units, zero and off")
    if (train := found.get("train")) is not None and not (share(train.get("accuracy")) and _number(train.get("loss"))):
        wrong.append("train does not have an accuracy and a loss")
    if (kept := found.get("quantised")) is not None:
        each = [kept.get(form) for form in FORMATS]
        right = lambda one: isinstance(one, dict) and _whole(one.get("bytes")) and one["bytes"] and share(one.get("accuracy"))  # noqa: E731
        if set(kept) != set(FORMATS) or not all(map(right, each)):
            wrong.append(f"quantised does not have {', '.join(FORMATS)}, each with bytes and accuracy")
        elif each[0]["bytes"] <= each[1]["bytes"]:
            wrong.append("quantised has no more bytes in fp32 than in fp16")
    return wrong


def _say(value) -> str:
    """A value from a file, in a few characters."""
    said = shown(repr(value))
    return said if len(said) <= 60 else said[:57] + "…"
