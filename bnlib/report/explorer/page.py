"""The explorer as an object: HTML where no kernel runs, a widget where one does, a picture where scripts are off."""

import base64
import hashlib
import html
import importlib.util
import io
from functools import cached_property
from pathlib import Path

import pandas as pd

from bnlib.report import analysis, figures, paper
from bnlib.report.explorer.content import content, opening, pack
from bnlib.report.figures.style import SETS

HERE = Path(__file__).parent


def gamma(runs: pd.DataFrame, threshold: float = 0.01) -> "Explorer":
    """The explorer of γ after training, of `runs`, rows of `experiments.runs`; the last line of a notebook's cell shows it.

    threshold: on |γ|, at which it opens; the nearest of `content.STOPS` is taken. Opens on all replicates of the deepest network of
    which γ and β alone were trained, at the best recipe that has one, and on the same with everything trained.
    Raises ValueError for a threshold outside of the slider's range, 0.0001 to 1.58.
    """
    return Explorer(runs, threshold)


class Explorer:
    """See `gamma`. Which of the two forms is shown, whoever shows it decides: JupyterLab the widget, the book the page."""

    def __init__(self, runs: pd.DataFrame, threshold: float = 0.01):
        self.runs = runs
        self.content = content(runs, threshold)

    @cached_property
    def packed(self) -> str:
        """The content as the page has it."""
        return pack(self.content)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        bundle = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if self.content["points"] and importlib.util.find_spec("anywidget"):
            bundle |= self.live._repr_mimebundle_()[0] | {"text/plain": repr(self)}
        return bundle

    @cached_property
    def live(self):
        """The same as a widget, for a running kernel; needs anywidget, which the extra `book` has."""
        from bnlib.report.explorer.live import Live

        return Live(packed=self.packed)

    def _repr_html_(self) -> str:
        if not self.content["points"]:
            return "<p>The explorer has nothing to show: nothing has been run yet.</p>"
        key = "gamma-" + hashlib.sha256(self.packed.encode()).hexdigest()[:8]  # of the content: the page is the same at each build
        return (
            f'<div class="gamma-explorer" id="{key}" data-packed="{self.packed}"><style>{style()}</style>'
            f'<noscript><img src="data:image/png;base64,{self._picture()}" alt="{html.escape(self._said())}"></noscript></div>\n'
            f"<script>(() => {{\n{script()}\n"
            f'const root = document.getElementById("{key}");\n'
            "gammaExplorer(root, root.dataset.packed, addressBar());\n})();</script>"
        )

    def __repr__(self) -> str:
        count = sum(len(point["runs"]) for point in self.content["points"])
        return f"The γ explorer, of {count} runs: it shows itself in JupyterLab and in the built book"

    def _shown(self) -> pd.DataFrame:
        """γ of the runs that are ticked at first."""
        return analysis.gammas(self.runs[self.runs.id.isin(opening(self.runs[self.runs.status == "finished"]))])

    def _picture(self) -> str:
        """What is shown at first, without its controls: a picture, base64."""
        from PIL import Image

        drawn, small = io.BytesIO(), io.BytesIO()
        figures.fig5_thresholds(analysis.shares(self._shown()), paper.small_gammas()).savefig(drawn, dpi=110)
        Image.open(drawn).convert("P", palette=Image.Palette.ADAPTIVE, colors=32).save(small, "png", optimize=True)
        return base64.b64encode(small.getvalue()).decode()

    def _said(self) -> str:
        """The picture in words."""
        at = self.content["stops"][self.content["at"]]
        rows = analysis.shares(self._shown(), [at]).itertuples()
        said = "; ".join(f"{row.network}, {figures.style.label(row.trainable)}: {row.share:.1%}" for row in rows)
        return f"Share of features with |γ| below a threshold, rising towards 100 %. Below {at:g}: {said}."


def script() -> str:
    """The explorer's JavaScript, which defines gammaExplorer and addressBar."""
    return (HERE / "explorer.js").read_text(encoding="utf-8")


def style() -> str:
    """The explorer's style sheet, with the house's colours."""
    inks = "".join(f'.gamma-explorer [data-set="{name}"]{{--ink:{look[0]}}}\n' for name, look in SETS.items())
    return inks + (HERE / "explorer.css").read_text(encoding="utf-8")
