"""How fast a training step is on this machine, beside other ways to take it. What a step does lives in `engine`."""

from bnlib.bench import exchange
from bnlib.bench.forward import pruned
from bnlib.bench.measure import WorkerFailed, compare, describe, ways
from bnlib.bench.table import (
    BATCH,
    FEW,
    REPLICATES,
    SCALING,
    WAYS,
    exchanged,
    exchanges,
    floor,
    kept,
    legend,
    place,
    save,
    stored,
    table,
)

__all__ = [
    "BATCH",
    "FEW",
    "REPLICATES",
    "SCALING",
    "WAYS",
    "WorkerFailed",
    "compare",
    "describe",
    "exchange",
    "exchanged",
    "exchanges",
    "floor",
    "kept",
    "legend",
    "place",
    "pruned",
    "save",
    "stored",
    "table",
    "ways",
]
