"""How fast a training step is on this machine, beside other ways to take it. What a step does lives in `engine`."""

from bnlib.bench.measure import (
    BATCH,
    FEW,
    REPLICATES,
    SCALING,
    WAYS,
    WorkerFailed,
    compare,
    describe,
    floor,
    legend,
    save,
    stored,
    table,
    ways,
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
    "floor",
    "legend",
    "save",
    "stored",
    "table",
    "ways",
]
