"""What was measured: kept in a file for each machine, and set as tables."""

import json
import math
import re
import shlex
from pathlib import Path

import pandas as pd

from bnlib import models, store
from bnlib.spec import Recipe, architecture
from bnlib.store import files

# What each way is, in the order of the table: one thing more is changed from row to row, as far as that goes.
WAYS = {
    "loop": "plain PyTorch loop: fp32, NCHW, PIL augmentation in a DataLoader with 2 workers",
    "plain fp32": "plain step, fp32: channels_last, data set and augmentation as tensors, one flat tensor for SGD",
    "plain bf16": "plain step, bf16: by autocast, or by rounding where there are no bf16 instructions",
    "fused fp32": "fused step, fp32",
    "uncompiled bf16": "fused step, bf16, its passes uncompiled",
    "inductor bf16": "fused step, bf16, its passes compiled by PyTorch, as on a GPU",
    "unrecorded bf16": "fused step, bf16, without a CUDA graph",
    "fused bf16": "fused step, bf16: what a training takes",
    "convolutions fp32": "its convolutions alone, forward and input gradient, fp32",
    "convolutions bf16": "its convolutions alone, forward and input gradient, bf16",
    "cold bf16": "fused step, bf16, on a machine that has compiled nothing yet",
    "replicates bf16": "five replicates together: a fifth of the time for a step of each",
}
FEW = ["loop", "plain fp32", "fused bf16", "convolutions bf16"]
BATCH, REPLICATES = Recipe().batch_size, 5
SCALING = [f"resnet{depth}" for depth in (14, 32, 56, 110, 218, 434, 866)], [f"wrn14-{width}" for width in (1, 2, 4, 8)]


def table(rows: list[dict]) -> pd.DataFrame:
    """The rows of one model, readable: a step, an epoch, how many times faster than the loop, memory, the first step."""
    frame = pd.DataFrame(rows).set_index("way")
    shown = pd.DataFrame({"ms a step": frame.seconds * 1000, "from": frame.low * 1000, "to": frame.high * 1000}).round(1)
    shown["s an epoch"] = frame.epoch_seconds.round(1)
    for column, base in (("× the loop", "loop"), ("÷ convolutions", "convolutions bf16")):
        if base in frame.index:
            ratio = frame.seconds[base] / frame.seconds
            shown[column] = (ratio if base == "loop" else 1 / ratio).round(2)
    shown["peak GiB"] = (frame.peak_bytes / 2**30).round(2)
    shown["first step s"] = frame.first_seconds.round(1)
    return shown


def legend() -> pd.DataFrame:
    """What each way is, in words."""
    return pd.DataFrame({"a training step as": WAYS}).rename_axis("way")


def floor(model: str, rates: dict) -> float:
    """Seconds that a step of `model` takes at least at the measured `rates` (of `describe`), in bf16, batch 128.

    Its multiplications at the rate of a large matrix product; or, if that takes longer, nine passes over the output of every
    convolution at the rate of a copy: the convolution writes it, the pass behind reads it and writes its own, which the next
    convolution reads; back, that pass reads its two and writes one, which the convolution reads to write another. Where all
    of that fits in a cache, less is possible. NaN where the rate of a copy has not been measured.
    """
    products, values = models.work(model, BATCH)
    if "bytes_per_second" not in rates:
        return math.nan
    return max(2 * products / rates["flop_per_second"], 9 * 2 * values / rates["bytes_per_second"])


def place(machine: str, folder: Path) -> Path:
    """The file of the machine of that name."""
    return folder / (re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-") + ".json")


def exchanged(rows: list[dict]) -> pd.DataFrame:
    """What was measured of several processes, readable: of each network bytes and time a step, for γ and β and for everything."""
    frame = pd.DataFrame(rows)
    shown = pd.DataFrame({"network": frame.model, "trained": frame.trainable, "processes": frame.processes})
    shown["kB a step"] = (frame.bytes / 1000).round(1)
    shown["ms a step"] = (frame.seconds * 1000).round(2)
    shown["from"], shown["to"] = (frame.low * 1000).round(2), (frame.high * 1000).round(2)
    return shown


def exchanges(folder: Path = store.ROOT / "benchmarks") -> pd.DataFrame:
    """What was measured of several processes on every machine, as `exchanged` has it, and the machine."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    frames = [exchanged(one["exchange"]).assign(machine=one["machine"]) for one in found if one.get("exchange")]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def kept(machine: str, folder: Path) -> dict:
    """What was measured before on the machine of that name. Raises StoreError if its file is there but is not one of them."""
    path = place(machine, folder)
    try:
        found = json.loads(path.read_text())
        return {**found, "rows": [{**row, "model": row["model"]} for row in found["rows"]]}
    except FileNotFoundError:
        return {"rows": []}
    except (KeyError, TypeError, ValueError) as error:
        raise store.StoreError(
            f"{path} is not what a benchmark writes ({type(error).__name__}: {error}), and nothing is written over it. "
            f"Look at it, then remove it: rm {shlex.quote(str(path.absolute()))}"
        ) from None


def save(found: dict, folder: Path) -> Path:
    """Write what was found to a file named after the machine, at once; what was measured before and not now stays in it.

    That is: of each model each way, and of each model, number of processes and trainable set what they exchange.
    """
    path, before = place(found["machine"], folder), kept(found["machine"], folder)
    merged = {**before, **found, "rows": _renewed(before["rows"], found["rows"], found["commit"], "model", "way")}
    if "exchange" in merged:
        keys = ("model", "processes", "trainable")
        merged["exchange"] = _renewed(before.get("exchange", []), found.get("exchange", []), found["commit"], *keys)
    folder.mkdir(parents=True, exist_ok=True)
    files.put(folder, path.name, (json.dumps(merged, indent=1) + "\n").encode())
    return path


def _renewed(before: list[dict], rows: list[dict], commit: str, *keys: str) -> list[dict]:
    """The rows of `before`, less those that `rows` has anew, by `keys`; then these, with the `commit` that they are of."""
    anew = {tuple(row.get(key) for key in keys) for row in rows}
    kept_ = [row for row in before if tuple(row.get(key) for key in keys) not in anew]
    return kept_ + [{"commit": commit, **row} for row in rows]


def stored(folder: Path = store.ROOT / "benchmarks") -> dict[str, tuple[dict, pd.DataFrame]]:
    """What was measured so far, by machine: where and with what, and the rows, with depth, width and the floor."""
    machines = {}
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        if not (rows := pd.DataFrame(found.pop("rows"))).size:
            continue  # of this machine only what processes exchange was measured
        arch = rows.model.map(architecture)
        rows["depth"], rows["width"] = arch.map(lambda a: a.depth), arch.map(lambda a: a.width)
        rows["floor"] = rows.model.map({model: floor(model, found) for model in rows.model.unique()})
        machines[found["machine"]] = found, rows
    return machines
