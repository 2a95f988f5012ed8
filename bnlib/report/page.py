"""The parts of a figure's page: the finding with its badge, what it means, and, folded, what stands behind it."""

import html
import json
import re

import pandas as pd
from markupsafe import Markup

from bnlib import experiments, store
from bnlib.report.analysis import provenance
from bnlib.report.analysis.tables import plain
from bnlib.report.statements import Statement, network
from bnlib.words import duration


class Markdown(str):
    """A text that notebooks and the book set as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


class Html(str):
    """A piece of a page that notebooks and the book set as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def badge(statement: Statement) -> str:
    """The verdict of a statement as a badge; empty for none."""
    if not statement.verdict:
        return ""
    words = f"{statement.verdict} {statement.of}".strip()
    return f'**<span class="bn-badge bn-{statement.verdict.replace(" ", "-")}">{words}</span>**'  # bold where no style sheet is


def finding(statement: Statement, otherwise: str = "") -> Markdown:
    """The first sentence of a page, with its badge; ahead of it a warning, if stored runs cannot be read.

    otherwise: what is said instead where nothing has been run.
    """
    return Markdown(left_out() + f"{badge(statement)} {statement.text or otherwise}".strip() + "\n")


def left_out() -> str:
    """A warning that names each folder of a run that cannot be read, and so is in no figure, and why; empty if there is none."""
    found = store.unreadable(whole=True)
    if not found:
        return ""
    count = f"{len(found)} folders of runs" if len(found) > 1 else "A folder of a run"
    each = Markup("").join(Markup("<li>{}/{}</li>").format(folder.parent.name, why) for folder, why in found.items())
    title = f"{count} cannot be read; nothing in {'them' if len(found) > 1 else 'it'} is in a figure or a number"
    said = Markup('<div class="admonition warning"><p class="admonition-title">{}</p><ul>{}</ul></div>').format(title, each)
    return f"{said}\n\n"


def literal(text: str) -> str:
    """`text` so that Markdown shows it as it is: no HTML, no formula, no substitution."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def meaning(*said: Statement | str) -> Markdown | None:
    """Statements and sentences as one paragraph, without those that have nothing to say; None, which shows nothing, if none has."""
    return Markdown(" ".join(one.text if isinstance(one, Statement) else one for one in said if one)) or None


def answers(questions: dict[str, list[Statement]]) -> Markdown:
    """Questions or theses as a list, and below each what is said of it, a line each, with its badge."""
    said = lambda one: f"{badge(one)} {one.text}".strip()  # noqa: E731
    return Markdown("\n".join(f"- **{asked}**\\\n  " + "\\\n  ".join(map(said, found)) for asked, found in questions.items()))


def folded(title: str, content) -> Html:
    """`content`, a table or HTML, under a title that opens it."""
    if isinstance(content, pd.DataFrame):
        content = plain(content)
    inside = content._repr_html_() if hasattr(content, "_repr_html_") else f"<p>{html.escape(str(content))}</p>"
    return Html(f'<details class="bn-folded"><summary>{html.escape(title)}</summary>\n{inside}\n</details>')


def behind(name: str, runs: pd.DataFrame, tables: dict | None = None, said: list[Statement] | None = None) -> Html:
    """What stands behind a page, folded: `tables` by title, what has been trained, where each run comes from, the page's code.

    name: of the experiment and of its notebook. runs: those that the page shows. said: statements about what is in the tables.
    """
    parts = [folded(title, table) for title, table in (tables or {}).items()]
    parts += (
        [folded("In numbers", Html("".join(f"<p>{html.escape(one.text)}</p>" for one in said if one)))] if any(said or []) else []
    )
    parts.append(folded("What has been trained", experiments.coverage(name)))
    if len(runs):
        parts.append(folded("Where each run comes from", provenance(runs)))
    return Html("\n".join([*parts, code(name)]))


def code(page: str) -> Html:
    """The code of a notebook, folded."""
    cells = json.loads((store.ROOT / "notebooks" / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    text = "\n\n".join(re.sub(r"^%.*\n", "", text, flags=re.M) for text in texts)
    return folded("The code of this page", Html(f"<pre><code>{html.escape(text)}</code></pre>"))


def not_trained(name: str, recipe: str = "auto", asked: bool = True) -> Markdown:
    """The one line of a page of which nothing, or not enough, has been trained: the command that does, and what it costs.

    recipe: the one that is shown; `auto`: the experiment's shortest. asked: whether one of its networks has been asked what the
    page shows, where it shows that.
    """
    own, there = experiments.experiment(name), experiments.runs(name, recipe)
    some, recipe = len(there), own.recipes[-1] if recipe == "auto" else recipe
    if recipe == "smoke":
        said = "A training of recipe smoke is a test, and nothing is concluded from it."
        return Markdown(f"{left_out()}{badge(Statement('', 'not judged'))} {said}")
    where = ", with `BNLIB_IMAGENET` set to the folder that holds its `train/` and `val/`" if own.of_pictures else ""
    command = f"`bnlib sweep {name} --recipe {recipe}`"
    if some and (there.status == "diverged").all():
        return Markdown(f"{left_out()}{badge(Statement('', 'not judged'))} All that has been trained of this diverged.")
    if some and not asked:
        lead = f"{badge(Statement('', 'not judged'))} No network that has been trained has been asked this yet."
        return Markdown(f"{left_out()}{lead} `bnlib results probe` does.")
    if some:
        lead = f"{badge(Statement('', 'not judged'))} Too little of this has been trained yet to compare anything."
        return Markdown(f"{left_out()}{lead} {command} trains the rest{where}.")
    seconds, device = experiments.cost(name, recipe)
    cost = ""
    if seconds:
        by = "by what there is to multiply, from runs on CIFAR-10" if own.of_pictures else "from the runs there are"
        cost = f" Its first training takes about {duration(seconds)} on {literal(device)}, reckoned {by}."
        if own.of_pictures and re.search(r"\d threads?$", device):  # what a CPU's name ends in
            cost += " How long it takes on a GPU has not been measured."
    none = badge(Statement("", "not trained"))
    return Markdown(f"{left_out()}{none} Nothing of this has been trained yet. To train it: {command}{where}.{cost}")


def title(page: str) -> str:
    """The heading of a notebook, as the book's contents have it."""
    first = json.loads((store.ROOT / "notebooks" / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"][0]
    return network("".join(first["source"]).splitlines()[0].removeprefix("# "))
