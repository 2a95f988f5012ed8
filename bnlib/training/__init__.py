"""From a spec to a stored run: the loop over epochs, checkpoints, several runs together, sweeps. One step lives in `engine`."""

from bnlib.training.adapt import adapt
from bnlib.training.fit import fit
from bnlib.training.together import ask, estimate, run, train, train_together

__all__ = ["adapt", "ask", "estimate", "fit", "run", "train", "train_together"]
