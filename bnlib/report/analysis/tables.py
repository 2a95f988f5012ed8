"""Tables to read."""

import hashlib
import re
from collections.abc import Callable

import pandas as pd
from markupsafe import Markup, escape
from pandas.io.formats.style import Styler

from bnlib import store
from bnlib.report import links
from bnlib.report.analysis.words import MANY, counts, mean_and_sd
from bnlib.report.figures.style import FULL, label
from bnlib.spec import RECIPES

MINUS = re.compile(r"(?<![\w−–-])-(?=\d)")  # not the hyphen of ResNet-14, nor that of 1e-4
SPREAD = re.compile(r"[+−]?\d+(?:\.\d+)?(?P<tail>\s*\(?±\s\d.*|)")  # 47.6 ± 1.6, −0.7 (± 2.4), or without it


def table(frame: pd.DataFrame, formats: dict[str, str | Callable] | None = None):
    """`frame` as a table to read, without its index; formats: of columns, such as `{"share": "{:.1f}"}`, or functions of a value.

    Numbers have a true minus, one decimal unless a format says otherwise, and `± 1.6` or `(± 2.4)` in columns of their own width.
    Texts are shown as they are, whatever they hold; only what is Markup, such as a link, is taken for HTML.
    """
    frame = frame.drop(columns=["each", "seeds"], errors="ignore")  # one by one, replicates are for figures
    if not len(frame):
        frame, formats = pd.DataFrame(columns=["nothing trained yet"]), None
    formats = dict(formats or {})
    if {"sd", "n"} <= set(frame):
        frame = frame.assign(sd=frame.sd.astype(float).where(frame.n >= MANY))
    if "trainable" in frame:
        frame = frame.assign(trainable=frame.trainable.map(label))
    if "recipe" in frame:
        frame = frame.assign(recipe=frame.recipe.map(_long)).rename(columns={"recipe": "trained for"})
    shown = pd.DataFrame({name: _texts(frame[name], formats.get(name)) for name in frame}, index=frame.index, dtype=object)
    return plain(shown).hide(axis="index")


def plain(frame: pd.DataFrame):
    """`frame` as a table whose index, titles and texts are shown as they are, numbers without zeros at the end.

    What is Markup is taken for HTML.
    """
    shown = frame.map(lambda value: escape(value) if isinstance(value, str) else value)  # which leaves Markup as it is
    own = hashlib.sha256(shown.to_csv().encode()).hexdigest()[:8]  # the same table has the same HTML, and is no change of the book
    numbers = Styler(shown, uuid=own).format(lambda value: f"{value:,g}" if isinstance(value, float) else value, na_rep="")
    titled = numbers.format_index(escape="html", axis="index").format_index(escape="html", axis="columns")
    return titled.set_table_attributes('class="dataframe"')


def _long(recipe: str) -> str:
    """160 epochs, for recipe `paper`; what is no recipe stays."""
    return f"{RECIPES[recipe].epochs}\u00a0epochs" if recipe in RECIPES else recipe


def _texts(column: pd.Series, form) -> list[str]:
    """The cells of a column as they are shown; what has no spread leaves its room, so that numbers stand below each other."""
    if not callable(form):
        form = (form or ("{:.1f}" if pd.api.types.is_float_dtype(column) else "{}")).format
    said = lambda value: value if isinstance(value, Markup) else MINUS.sub("−", form(value))  # noqa: E731
    texts = [said(value) if pd.notna(value) else "" for value in column]
    tails = [found["tail"] if (found := SPREAD.fullmatch(text)) else None for text in texts]
    if None in tails:
        return texts
    room = max(tails, key=len, default="")
    hidden = Markup('<span style="visibility: hidden">{}</span>').format(room) if room else ""
    return [escape(text) + ("" if tail else hidden) for text, tail in zip(texts, tails, strict=True)]


def verdict_table(points: pd.DataFrame):
    """The points of `judge` as a table to read: percent and points, one decimal, in the order of recipe, set, depth and width."""
    points = points.sort_values(["recipe", "trainable", "depth", "width"])
    return table(
        pd.DataFrame(
            {
                "recipe": points.recipe,
                "trainable": points.trainable,
                "network": points.network,
                "ours (%)": mean_and_sd(points),
                "n": counts(points.n, points.get("diverged")),
                "paper (%)": [f"{r:.1f}\u00a0±\u00a0{u:.1f}" for r, u in zip(points.reference, points.uncertainty, strict=True)],
                "source": points.kind,
                "difference (tolerance)": [
                    f"{d:+.1f}\u00a0(±\u00a0{t:.1f})" if recipe in FULL else "–"  # after fewer epochs it means nothing
                    for d, t, recipe in zip(points.difference, points.tolerance, points.recipe, strict=True)
                ],
                "verdict": points.verdict,
            }
        )
    )


def difference_table(differences: pd.DataFrame, more: str, less: str):
    """Rows of `differences` or `at_equal_parameters`, judged or not, as a table to read; more, less: names of the two columns."""
    names = {
        "more": f"{more} (%)",
        "less": f"{less} (%)",
        "difference": "difference (points)",
        "half": "95 % interval",
        "p": "p, corrected",
    }
    shown = differences.drop(columns=["depth", "width"]).rename(columns=names).sort_values("recipe", kind="stable")
    formats = {"difference (points)": "{:+.1f}", "95 % interval": "± {:.1f}", "p, corrected": "{:.2g}", "parameters": "{:,.0f}"}
    return table(shown, {name: text for name, text in formats.items() if name in shown})


def blog_table(runs: pd.DataFrame, reference: pd.DataFrame):
    """Our runs of `blog_keras` below the blog's values, as a table to read, in percent. reference: of `paper.blog`."""
    columns = ["whose", "network", "γ at the start", "trained for", "test", "training"]
    rows = reference.pivot(index="network", columns="metric", values="value")
    rows = rows.loc[list(dict.fromkeys(reference.network))]  # in the order of the file, which is that of depth
    found = [
        ("the blog", row.Index, "He normal", _long("blog"), row.test_accuracy_percent, row.train_accuracy_percent)
        for row in rows.itertuples()
    ]
    for run in runs.itertuples():
        found.append(("ours", run.network, run.variant, _long(run.recipe), 100 * run.accuracy, 100 * run.train_accuracy))
    return table(pd.DataFrame(found, columns=columns))


def where_table(where: pd.DataFrame):
    """The rows of `small_where` as a table to read, in percent."""
    names = {"relu": "before a ReLU", "added": "before the sum", "ahead": "of all small, before a ReLU"}
    names["negative"] = "of these, β < 0"
    return table(where.drop(columns=["variant", "width", "depth"]).rename(columns=names))


def clamping_table(answer: pd.DataFrame, small: float = 0.01):
    """The rows of `clamping_answer`, with the same `small`, as a table to read."""
    columns = {
        "share": (f"|γ| ≤ {small:g}", "{:.0%}"),
        "change": ("points, β kept", "{:+.1f}"),
        "change_beta": ("points, β at 0, too", "{:+.1f}"),
        "change_random": ("points, as many at random", "{:+.1f}"),
        "safe": ("largest |γ| within 1 point", "{:.2g}"),
        "safe_share": ("share up to it", "{:.0%}"),
        "half": ("|γ| where half is lost", "{:.2g}"),
        "half_share": ("share up to there", "{:.0%}"),
    }
    names, formats = {name: title for name, (title, _) in columns.items()}, dict(columns.values())
    shown = answer[["network", "trainable", "recipe", "n", *names]].rename(columns=names)
    return table(shown.sort_values("recipe", kind="stable"), formats)


def device_names(devices: pd.Series) -> pd.Series:
    """Devices as `machine.device_name` says them; the first runs have "1 threads"."""
    return devices.astype(str).str.replace(r"\b1 threads$", "1 thread", regex=True)


def machines_of(run: store.Run) -> list[str]:
    """The devices that a run was trained on, each once, in order."""
    devices = [*(part["device"] for part in run.info.get("earlier", ())), run.info["device"]]
    return list(dict.fromkeys(device_names(pd.Series(devices, dtype=str))))


def minutes(value: float) -> str:
    """Minutes as a table has them: on a GPU some trainings take seconds."""
    return f"{value:.{0 if value >= 10 else 1}f}"


def provenance(runs: pd.DataFrame):
    """Where each run comes from, one row a run: its folder, machine, minutes, commit; which have diverged or are not committed.

    A run that changed machines names them all, in order.
    """
    stored = [store.load(name) for name in runs.id]
    machines = [", then ".join(machines_of(run)) for run in stored]
    shown = pd.DataFrame({"run": runs.id.map(links.run), "machine": machines, "minutes": runs.seconds.astype(float) / 60})
    shown["commit"] = runs.commit.map(links.commit)
    if (runs.status != "finished").any():
        shown["status"] = runs.status
    own = [run.folder.parent != store.results_folder() for run in stored]
    if any(own):
        shown["where"] = ["runs/, not committed" if one else "results/" for one in own]
    return table(shown, {"minutes": minutes})
