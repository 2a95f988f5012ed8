"""Sliders: plain HTML and JavaScript in the rendered page, with no kernel; ipywidgets where a kernel runs."""

import html
import json
import uuid

import numpy as np
import pandas as pd

from bnlib.figures.style import label, look, order

STEPS = 10 ** np.linspace(-4, 0.3, 173)  # the slider's thresholds, 40 to a power of ten; 0.01 is one of them


class ThresholdSlider:
    """How many features have |γ| below a threshold, for every network, by a slider; needs nothing but the page it is on.

    gammas: of `analysis.gammas`, one row a feature. Replicates are pooled. start: the threshold it starts at.
    """

    def __init__(self, gammas: pd.DataFrame, start: float = 0.01):
        self.gammas, self.start = gammas, start

    def lines(self) -> dict[str, list[dict]]:
        """For each network and recipe a list of lines: name, colour, number of features, and how many are below each threshold."""
        found = {}
        for (recipe, _, network), own in self.gammas.groupby(["recipe", "depth", "network"]):
            found[f"{network}, recipe {recipe}"] = [
                {
                    "name": label(trainable),
                    "colour": look(trainable)[0],
                    "features": len(values),
                    "below": np.searchsorted(np.sort(values), STEPS, side="left").tolist(),
                }
                for trainable in order(set(own.trainable))
                for values in [own[own.trainable == trainable].gamma.abs().to_numpy()]
            ]
        return found

    def _repr_html_(self) -> str:
        if not len(self.gammas):
            return "<p>The slider has nothing to show: nothing has been run yet.</p>"
        data = {"steps": [float(f"{step:.3g}") for step in STEPS], "lines": self.lines()}
        names = "".join(f"<option>{html.escape(name)}</option>" for name in data["lines"])
        start = int(np.abs(STEPS - self.start).argmin())
        key = f"bn{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(data)).hex[:8]}"  # of the content: the page is the same at each build
        fill = {"KEY": key, "NAMES": names, "LAST": str(len(STEPS) - 1), "START": str(start), "DATA": json.dumps(data)}
        text = _PAGE
        for word, value in fill.items():
            text = text.replace(f"@{word}@", value)
        return text


_PAGE = """<div class="threshold-slider" id="@KEY@">
<p><label>Network <select>@NAMES@</select></label></p>
<p><label style="display: block">Threshold on |γ| <input type="range" min="0" max="@LAST@" value="@START@"
 style="display: block; width: 92.5%; margin-left: 6.5%"></label></p>
<svg viewBox="0 0 640 300" role="img" aria-label="Share of features with |γ| below the threshold" style="width: 100%; height: auto;
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
    const lines = data.lines[select.value], i = +slider.value;
    let out = "";
    for (const share of [0, .25, .5, .75, 1])
      out += line(left, y(share), right, y(share), 'stroke-opacity=".2"') +
        `<text x="${left - 6}" y="${y(share) + 4}" text-anchor="end" fill="currentColor">${100 * share} %</text>`;
    for (const at of [0.0001, 0.001, 0.01, 0.1, 1]) {
      const place = x(last * Math.log(at / data.steps[0]) / Math.log(data.steps[last] / data.steps[0]));
      out += `<text x="${place}" y="${bottom + 18}" text-anchor="middle" fill="currentColor">${at}</text>`;
    }
    for (const one of lines) {
      const colour = one.colour === "#000000" ? "currentColor" : one.colour;
      const points = one.below.map((n, k) => `${x(k).toFixed(1)},${y(n / one.features).toFixed(1)}`).join(" ");
      out += `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>` +
        `<circle cx="${x(i)}" cy="${y(one.below[i] / one.features)}" r="5" fill="${colour}"/>`;
    }
    out += line(x(i), top, x(i), bottom, 'stroke-dasharray="4 3"');
    out += `<text x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle" fill="currentColor">threshold on |γ|</text>`;
    svg.innerHTML = out;
    slider.setAttribute("aria-valuetext", data.steps[i]);
    const say = one => `${one.name} ${(100 * one.below[i] / one.features).toFixed(1)} % (${one.below[i]} of ${one.features})`;
    said.textContent = `Features with |γ| below ${data.steps[i]}: ` + lines.map(say).join("; ") + ".";
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

    from bnlib import analysis

    def show(threshold):
        table = analysis.shares(gammas, [threshold])
        display(table.assign(share=(100 * table.share).round(1)).rename(columns={"share": "share (%)"}))

    slider = ipywidgets.FloatLogSlider(
        value=start, base=10, min=-4, max=0.3, step=0.02, description="|γ| below", readout_format=".4g"
    )
    return ipywidgets.VBox([slider, ipywidgets.interactive_output(show, {"threshold": slider})])
