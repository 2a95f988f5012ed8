"""The status of this build, as directives: `versions`, `notebook-times` and `runs-by-experiment`."""

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "matplotlib", "safetensors", "jupyter-book", "sphinx", "papermill")


PARTS = {"beyond_transfer": "beyond_tasks", "beyond_transformer": "beyond_norms"}  # of whose pages they are the second part


def table(*rows: tuple) -> str:
    """A Markdown table; the first row is its head, and columns of numbers come out right-aligned in the page."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def versions(env) -> str:
    """When, where, from which commit and with what this book was built."""
    from bnlib import machine, store
    from bnlib.report import links

    commit, dirty = machine.commit(store.ROOT)
    now = datetime.datetime.now(datetime.timezone.utc)
    facts = [
        ("built", now.strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", links.commit(commit) + (", with changes in `bnlib/`" if dirty and commit != "unknown" else "")),
        ("machine", f"{machine.device_name(machine.device('cpu'))}; {os.cpu_count()} cores; {platform.system()}"),
        ("GPU", gpu.name if (gpu := _gpu()) else "none"),
        ("Python", platform.python_version()),
        *((f"`{name}`", version(name)) for name in PACKAGES),
    ]
    return table(("what", "this build"), *facts)


def _gpu():
    import torch

    return torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None


def notebook_times(env) -> str:
    """How long each notebook took to run when its page was last made; papermill writes that into what it has run."""
    rows = []
    for name in sorted(name for name in env.found_docs if name.startswith("notebooks/")):
        ran = json.loads(Path(env.doc2path(name)).read_text(encoding="utf-8"))["metadata"].get("papermill", {})
        took = f"{ran['duration']:.1f}" if ran.get("duration") else "—"
        rows.append((f"[](/{name}.ipynb)", took, ran.get("end_time", "not by papermill")[:16].replace("T", "\u00a0")))
    return table(("notebook", "seconds", "run (UTC)"), *rows)


def runs_by_experiment(env) -> str:
    """How many points of each experiment have been run at each recipe, and with how many runs."""
    from bnlib import experiments, store
    from bnlib.report import page as pages

    rows, frame = [], store.results()
    for name in experiments.EXPERIMENTS:
        part = PARTS.get(name, name)
        page = f"[](/notebooks/{part}.ipynb)" if f"notebooks/{part}" in env.found_docs else f"`{name}`"
        page += f", {name.split('_')[1]}" if name != part else ""
        wanted = {recipe: experiments.wanted(name, recipe) for recipe in experiments.experiment(name).recipes}
        there = [f"{len(specs) - len(experiments.missing(specs))} at `{recipe}`" for recipe, specs in wanted.items()]
        rows.append((page, len(experiments.wanted(name)), ", ".join(there), len(experiments.runs(name))))
    counts = frame.recipe.value_counts()
    each = ", ".join(f"{counts[recipe]} at recipe `{recipe}`" for recipe in counts.index)
    said = f"{len(frame)} runs are stored: {each}. Training them took {frame.seconds.astype(float).sum() / 3600:.0f} hours."
    return pages.left_out() + said + "\n\n" + table(("experiment", "points", "trained", "runs shown"), *rows)


class Status(SphinxDirective):
    """A part of the status, which this build knows."""

    part = None

    def run(self):
        return self.parse_text_to_nodes(type(self).part(self.env))


def setup(app):
    """Register the directives; their page is read at every build, see `companion.read_again`."""
    for function in (versions, notebook_times, runs_by_experiment):
        directive = type(function.__name__, (Status,), {"part": staticmethod(function)})
        app.add_directive(function.__name__.replace("_", "-"), directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
