"""One training step and one evaluation, fast: what a network computes. The loop over epochs lives in `training`."""

from bnlib.engine.evaluation import Evaluation, evaluate, measure
from bnlib.engine.probes import probe
from bnlib.engine.step import DTYPES, Fused, Plain, make, native
from bnlib.engine.synced import synced

__all__ = [
    "DTYPES",
    "Evaluation",
    "Fused",
    "Plain",
    "evaluate",
    "make",
    "measure",
    "native",
    "probe",
    "synced",
]
