"""How fast: the same training in two precisions, and what the benchmarks measured."""

import math

import pandas as pd

from bnlib import store
from bnlib.report.analysis.tables import device_names, machines_of, table
from bnlib.spec import RunSpec, architecture
from bnlib.words import duration


def precisions(runs: pd.DataFrame) -> pd.DataFrame:
    """The same trainings in bf16 and in fp32: network, trainable, recipe, precision; n, mean and sd in percent, lowest, highest.

    runs: rows of `experiments.precisions()`; what has been run in one precision only is left out.
    """
    keys = ["network", "trainable", "recipe"]
    both = runs.groupby(keys).precision.transform("nunique") == 2
    own = runs[both].assign(accuracy=runs.accuracy * 100).groupby([*keys, "precision"]).accuracy
    return own.agg(n="size", mean="mean", sd="std", lowest="min", highest="max").round(2).reset_index()


def durations(runs: pd.DataFrame) -> pd.DataFrame:
    """How long stored trainings took: network, trainable, recipe, machine; n, and minutes, their median.

    runs: rows of `bnlib.results()`, of which those count that differ from `paper` or `short` in nothing, γ and β only or everything
    trained, and were trained on one machine.
    """
    spec = lambda row: RunSpec(row.model, row.trainable, row.recipe, seed=row.seed)  # noqa: E731
    keep = [r.trainable in ("bn", "all") and r.recipe in ("paper", "short") and spec(r).id == r.id for r in runs.itertuples()]
    keep = [good and len(machines_of(store.load(name))) == 1 for good, name in zip(keep, runs.id, strict=True)]
    own = runs[pd.Series(keep, index=runs.index, dtype=bool)]
    keys = ["recipe", "trainable", "depth", "width", "network", "device"]
    found = own.assign(minutes=own.seconds.astype(float) / 60, device=device_names(own.device)).groupby(keys).minutes
    found = found.agg(n="size", minutes="median").reset_index()
    return found.sort_values(keys[:4])[["network", "trainable", "recipe", "device", "n", "minutes"]].rename(
        columns={"device": "machine"}
    )


def epochs(runs: pd.DataFrame) -> pd.DataFrame:
    """How long an epoch takes with γ and β alone and with everything: network, depth, recipe, device; bn, all, in seconds.

    runs: of `experiments.runs`, of which those count that were trained on one machine, and are compared that took the same kind of
    step. Of all epochs the fastest: what else a machine does makes one slower, and nothing makes it faster.
    """
    keys, rows = ["network", "depth", "recipe", "device", "step"], []
    for run in runs[runs.trainable.isin(["bn", "all"]) & (runs.status == "finished")].itertuples():
        stored = store.load(run.id)
        if len(devices := machines_of(stored)) == 1:
            step = f"{stored.info['engine']}, {stored.info.get('passes', '')}"
            rows.append((run.network, run.depth, run.recipe, devices[0], step, run.trainable, stored.history.seconds.min()))
    frame = pd.DataFrame(rows, columns=[*keys, "trainable", "seconds"])
    both = frame.pivot_table("seconds", keys, "trainable", "min").reindex(columns=["bn", "all"])
    return both.dropna().rename_axis(columns=None).reset_index().drop(columns="step")


def speed(rows: pd.DataFrame, model: str) -> dict[str, float]:
    """The speed of `model`, of the rows of `bnlib.bench.stored()`: of a row that is missing, NaN.

    epoch and loop: seconds, of training by us and by the plain loop; times: their ratio; plain: that of a plain step in bf16 over
    ours; over: a step over its convolutions; peak: bytes of memory.
    """
    own = rows[rows.model == model].set_index("way")
    take = lambda way, column: float(own.loc[way, column]) if way in own.index else math.nan  # noqa: E731
    ours, loop, alone = (take(way, "seconds") for way in ("fused bf16", "loop", "convolutions bf16"))
    epochs = {"epoch": take("fused bf16", "epoch_seconds"), "loop": take("loop", "epoch_seconds")}
    ratios = {"times": loop / ours, "plain": take("plain bf16", "seconds") / ours, "over": ours / alone}
    return {**epochs, **ratios, "peak": take("fused bf16", "peak_bytes")}


def machines(stored: dict[str, tuple[dict, pd.DataFrame]]):
    """What `bnlib.bench.stored()` holds, a row for each machine and model of which a step was measured, as a table to read."""
    rows = []
    for name, (where, measured) in stored.items():
        for model in dict.fromkeys(measured[measured.way == "fused bf16"].model):
            own = measured[(measured.model == model) & (measured.way == "fused bf16")].iloc[0]
            said = speed(measured, model)
            rows.append(
                {
                    "machine": name,
                    "bf16": "its own" if where["bf16"] else "rounded fp32",
                    "network": architecture(model).title,
                    "a step": f"{own.seconds * 1000:,.1f} ms",
                    "an epoch": duration(said["epoch"]),
                    "times the loop's speed": _said(said["times"], "{:.1f}"),
                    "over its convolutions": _said(said["over"], "{:.2f}"),
                    "over the estimate": _said(own.seconds / own.floor, "{:.1f}"),
                    "peak memory": f"{said['peak'] / 2**30:.1f} GiB",
                    "commit": own.commit[:7],
                }
            )
    return table(pd.DataFrame(rows))


def _said(value: float, form: str) -> str:
    return "not measured" if math.isnan(value) else form.format(value)
