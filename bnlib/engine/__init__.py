"""One training step and one evaluation, fast: what a network computes. The loop over epochs lives in `training`."""

from bnlib.engine.evaluation import evaluate
from bnlib.engine.probes import probe
from bnlib.engine.step import DTYPES, Fused, Plain, make, native

__all__ = ["DTYPES", "Fused", "Plain", "evaluate", "make", "native", "probe"]
