"""Finished runs on disk: written once, read as pandas, verified. How they come about lives in `training`.

Reading runs needs no PyTorch; `networks`, `writing` and `verification` do.
"""

from bnlib.store.files import FILES, StoreError
from bnlib.store.places import ROOT, check_writable, results_folder, runs_folder
from bnlib.store.progress import unfinished
from bnlib.store.run import Run
from bnlib.store.runs import all_runs, find, folders, load, results, unreadable

__all__ = [
    "FILES",
    "ROOT",
    "Run",
    "StoreError",
    "all_runs",
    "check_writable",
    "find",
    "folders",
    "load",
    "results",
    "results_folder",
    "runs_folder",
    "unfinished",
    "unreadable",
]
