"""Finished runs on disk: written once, read as pandas, verified. How they come about lives in `training`."""

from bnlib.store.runs import (
    FILES,
    ROOT,
    Run,
    StoreError,
    add_probes,
    all_runs,
    check_writable,
    draw,
    find,
    load,
    misfit,
    results,
    results_folder,
    runs_folder,
    write,
)

__all__ = [
    "FILES",
    "ROOT",
    "Run",
    "StoreError",
    "add_probes",
    "all_runs",
    "check_writable",
    "draw",
    "find",
    "load",
    "misfit",
    "results",
    "results_folder",
    "runs_folder",
    "write",
]
