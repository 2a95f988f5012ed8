"""Train BatchNorm, and only BatchNorm: the package behind the reproducible companion to arXiv 2003.00152.

>>> import bnlib
>>> run = bnlib.run(bnlib.RunSpec(model="resnet14", trainable="bn", recipe="short"))
>>> run.accuracy, run.history, run.gamma, run.model()

The road of a run through the folders: spec → models, freezing, data → engine → training → store → experiments → report.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers
    from bnlib.engine import evaluate
    from bnlib.freezing import count, freeze, merge
    from bnlib.models import build
    from bnlib.pruning import prune
    from bnlib.spec import RECIPES, RunSpec
    from bnlib.store import Run, load, results
    from bnlib.store.trained import load_trained, save_trained
    from bnlib.training import adapt, fit, run, train, train_together

__version__ = "0.1.0"
__all__ = [
    "RECIPES",
    "Run",
    "RunSpec",
    "adapt",
    "build",
    "count",
    "evaluate",
    "fit",
    "freeze",
    "load",
    "load_trained",
    "merge",
    "prune",
    "results",
    "run",
    "save_trained",
    "train",
    "train_together",
]

# Where the public names live; imported at first use, so that `import bnlib` and the command line start at once.
_HOME = {
    "RECIPES": "spec",
    "Run": "store",
    "RunSpec": "spec",
    "adapt": "training",
    "build": "models",
    "count": "freezing",
    "evaluate": "engine",
    "fit": "training",
    "freeze": "freezing",
    "load": "store",
    "load_trained": "store.trained",
    "merge": "freezing",
    "prune": "pruning",
    "results": "store",
    "run": "training",
    "save_trained": "store.trained",
    "train": "training",
    "train_together": "training",
}


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"bnlib.{_HOME[name]}"), name)
    raise AttributeError(f"module 'bnlib' has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
