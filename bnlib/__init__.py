"""Train BatchNorm, and only BatchNorm: the package behind the reproducible companion to arXiv 2003.00152.

>>> import bnlib
>>> run = bnlib.run(bnlib.RunSpec(model="resnet14", trainable="bn", recipe="short"))
>>> run.accuracy, run.history, run.gamma, run.model()
"""

import importlib

__version__ = "0.1.0"

# Public names and where they live; imported at first use, so that `import bnlib` and the command line start at once.
_HOME = {
    "RunSpec": "spec",
    "RECIPES": "spec",
    "build": "models",
    "freeze": "freezing",
    "count": "freezing",
    "run": "training",
    "train": "training",
    "train_together": "training",
    "evaluate": "engine.evaluation",
    "results": "store",
    "Run": "store",
    "load": "store",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"bnlib.{_HOME[name]}"), name)
    raise AttributeError(f"module 'bnlib' has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
