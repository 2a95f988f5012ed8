"""Sliders: plain HTML and JavaScript in the rendered page, with no kernel; ipywidgets where a kernel runs."""

import html
import json
import uuid
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bnlib.report.figures.style import label, look, order

STEPS = 10 ** np.linspace(-4, 0.3, 173)  # the slider's thresholds, 40 to a power of ten; 0.01 is one of them


@dataclass
class Slider:
    """Curves over thresholds on |γ|, and a slider that reads them off; needs nothing but the page it is on.

    curves: for each entry of the menu a list of curves: name, colour, dash (of SVG), values (fractions, one a step) and, if they
    are shares of so many, `of`. steps: the thresholds, in equal ratios. said: what the line below begins with; @ stands for the
    threshold. label: of the picture, for those who cannot see it. start: the threshold it starts at.
    """

    curves: dict[str, list[dict]]
    steps: list[float]
    said: str
    label: str
    start: float = 0.01

    def _repr_html_(self) -> str:
        if not self.curves:
            return "<p>The slider has nothing to show: nothing has been run yet.</p>"
        steps = np.array(self.steps)
        data = {"steps": [float(f"{step:.3g}") for step in steps], "curves": self.curves, "said": self.said}
        names = "".join(f"<option>{html.escape(name)}</option>" for name in data["curves"])
        start = int(np.abs(np.log(steps / self.start)).argmin())
        key = f"bn{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(data)).hex[:8]}"  # of the content: the page is the same at each build
        fill = {"KEY": key, "NAMES": names, "LAST": str(len(steps) - 1), "START": str(start), "LABEL": html.escape(self.label)}
        text = _PAGE
        for word, value in {**fill, "DATA": json.dumps(data)}.items():
            text = text.replace(f"@{word}@", value)
        return text


def threshold_slider(gammas: pd.DataFrame) -> Slider:
    """How many features have |γ| below a threshold, for every network. gammas: of `analysis.gammas`; replicates are pooled."""

    def curve(trainable, rows):
        below = np.searchsorted(np.sort(rows.gamma.abs()), STEPS, side="left") / len(rows)
        features = len(rows) // rows.seed.nunique()
        return {"name": label(trainable), "colour": look(trainable)[0], "values": below.round(5).tolist(), "of": features}

    curves = {title: [curve(t, own[own.trainable == t]) for t in order(set(own.trainable))] for title, own in _menu(gammas)}
    return Slider(curves, STEPS.tolist(), "Features with |γ| below @: ", "Share of features with |γ| below the threshold")


def clamping_slider(clamping: pd.DataFrame) -> Slider:
    """Test accuracy with every |γ| up to a threshold set to 0, and how many that are. clamping: of `analysis.clamping`."""
    kinds = {
        "accuracy": ("accuracy", ""),
        "accuracy_beta": ("accuracy with β at 0 too", "2 4"),
        "share": ("features set to 0", "7 4"),
    }
    clamping = clamping[clamping.threshold > 0]
    curves = {
        title: [
            {
                "name": f"{label(trainable)}, {words}",
                "colour": look(trainable)[0],
                "dash": dash,
                "values": own[own.trainable == trainable].sort_values("threshold")[kind].astype(float).round(5).tolist(),
            }
            for trainable in order(set(own.trainable))
            for kind, (words, dash) in kinds.items()
        ]
        for title, own in _menu(clamping)
    }
    steps = sorted(set(clamping.threshold))
    return Slider(curves, steps, "With every |γ| up to @ set to 0: ", "Test accuracy with small γ set to 0")


def _menu(frame: pd.DataFrame):
    """The entries of the menu, and their part of `frame`."""
    return [(f"{network}, recipe {recipe}", own) for (recipe, _, network), own in frame.groupby(["recipe", "depth", "network"])]


_PAGE = """<div class="threshold-slider" id="@KEY@">
<p><label>Network <select>@NAMES@</select></label></p>
<p><label style="display: block">Threshold on |γ| <input type="range" min="0" max="@LAST@" value="@START@"
 style="display: block; width: 92.5%; margin-left: 6.5%"></label></p>
<svg viewBox="0 0 640 300" role="img" aria-label="@LABEL@" style="width: 100%; height: auto;
 color: inherit; font: 13px sans-serif"></svg>
<p role="status" aria-live="polite"></p>
<noscript>The slider needs JavaScript; the figure above shows the same curves.</noscript>
</div>
<script>
(function () {
  const box = document.getElementById("@KEY@"), data = @DATA@;
  const [select, slider, svg, said] = ["select", "input", "svg", "[role=status]"].map(part => box.querySelector(part));
  const left = 46, right = 630, top = 10, bottom = 262, last = data.steps.length - 1;
  const x = i => left + (right - left) * i / last, y = share => bottom - (bottom - top) * share;
  const line = (x1, y1, x2, y2, extra) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="currentColor" ${extra}/>`;
  function draw() {
    const curves = data.curves[select.value], i = +slider.value;
    let out = "";
    for (const share of [0, .25, .5, .75, 1])
      out += line(left, y(share), right, y(share), 'stroke-opacity=".2"') +
        `<text x="${left - 6}" y="${y(share) + 4}" text-anchor="end" fill="currentColor">${100 * share} %</text>`;
    for (const at of [0.0001, 0.001, 0.01, 0.1, 1].filter(at => at >= data.steps[0] * 0.99)) {
      const place = x(last * Math.log(at / data.steps[0]) / Math.log(data.steps[last] / data.steps[0]));
      out += `<text x="${place}" y="${bottom + 18}" text-anchor="middle" fill="currentColor">${at}</text>`;
    }
    for (const one of curves) {
      const colour = one.colour === "#000000" ? "currentColor" : one.colour;
      const points = one.values.map((value, k) => `${x(k).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      out += `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${one.dash || ""}"/>` +
        `<circle cx="${x(i)}" cy="${y(one.values[i])}" r="5" fill="${colour}"/>`;
    }
    out += line(x(i), top, x(i), bottom, 'stroke-dasharray="4 3"');
    out += `<text x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle" fill="currentColor">threshold on |γ|</text>`;
    svg.innerHTML = out;
    slider.setAttribute("aria-valuetext", data.steps[i]);
    const many = one => one.of ? ` (${Math.round(one.of * one.values[i])} of ${one.of})` : "";
    const say = one => `${one.name} ${(100 * one.values[i]).toFixed(1)} %${many(one)}`;
    said.textContent = data.said.replace("@", data.steps[i]) + curves.map(say).join("; ") + ".";
  }
  select.addEventListener("change", draw);
  slider.addEventListener("input", draw);
  draw();
})();
</script>"""


def live_thresholds(gammas: pd.DataFrame, start: float = 0.01):
    """The same with ipywidgets, for a running kernel: a slider, and the shares at its threshold as a table."""
    import ipywidgets
    from IPython.display import display

    from bnlib.report import analysis

    def show(threshold):
        table = analysis.shares(gammas, [threshold])
        display(table.assign(share=(100 * table.share).round(1)).rename(columns={"share": "share (%)"}))

    slider = ipywidgets.FloatLogSlider(
        value=start, base=10, min=-4, max=0.3, step=0.02, description="|γ| below", readout_format=".4g"
    )
    return ipywidgets.VBox([slider, ipywidgets.interactive_output(show, {"threshold": slider})])
