/* One unit of a block: a standard normal feature goes through BatchNorm's gamma and beta and through a ReLU. */
"use strict";
(function () {
  /** The error function, to 2e-7 (Abramowitz and Stegun 7.1.26). */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - tail * Math.exp(-x * x));
  }
  const density = (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  const below = (x) => (1 + erf(x / Math.SQRT2)) / 2;

  /** ReLU(gamma x + beta) of a standard normal x: the share of x for which it is 0, its mean, its standard deviation. */
  function rectified(gamma, beta) {
    const scale = Math.abs(gamma);
    if (scale === 0) return { off: beta > 0 ? 0 : 1, mean: Math.max(0, beta), deviation: 0 };
    const at = beta / scale, on = below(at), mean = beta * on + scale * density(at);
    const square = (beta * beta + scale * scale) * on + beta * scale * density(at);
    return { off: 1 - on, mean, deviation: Math.sqrt(Math.max(0, square - mean * mean)) };
  }
  globalThis.BatchNormUnit = { rectified };

  const box = document.getElementById("unit");
  box.hidden = false;
  const part = (name) => box.querySelector(`[data-part="${name}"]`), field = (name) => box.querySelector(`[name="${name}"]`);
  const svg = part("block"), EDGE = 4; // the plots show -4 .. 4
  const signed = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
  let scaleX = 1; // pixels of the page to one unit of the plots

  function draw() {
    const gamma = +field("gamma").value, beta = +field("beta").value, { off, mean, deviation } = rectified(gamma, beta);
    const width = svg.clientWidth, narrow = width < 560, high = 92;
    if (!width) return;
    const room = narrow ? width - 120 : (width - 78) / 3;
    const stages = [
      { title: "convolution", under: "random, frozen", fill: "url(#pg-hatch)", scale: 1, shift: 0, said: "mean 0, deviation 1" },
      { title: "BatchNorm", under: "γ and β learn", fill: "var(--pg-bn)", scale: gamma, shift: beta, said: "times γ, plus β" },
      { title: "ReLU", under: "nothing to learn", fill: "var(--pg-soft)", scale: gamma, shift: beta, said: "below 0 becomes 0" },
    ];
    scaleX = room / (2 * EDGE);
    let out = `<defs><pattern id="pg-hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect width="7" height="7" fill="var(--pg-ground)"/><rect width="2" height="7" fill="var(--pg-faint)"/></pattern></defs>`;
    stages.forEach((stage, i) => {
      const [boxX, boxY] = narrow ? [0, i * 150 + 12] : [i * (room + 26), 0], boxWide = narrow ? 104 : room;
      const [left, top] = narrow ? [120, i * 150] : [boxX, 60], floor = top + high, inBlue = i === 1;
      const x = (value) => left + room / 2 + value * scaleX;
      const words = (dy, what, weight) => `<text x="${boxX + boxWide / 2}" y="${boxY + dy}" text-anchor="middle" font-weight="${weight}"
        style="fill: ${inBlue ? "var(--pg-onbn)" : "var(--pg-text)"}">${what}</text>`;
      out += `<rect x="${boxX + 0.5}" y="${boxY + 0.5}" width="${boxWide - 1}" height="47" rx="5" fill="${stage.fill}" stroke="var(--pg-line)"/>`;
      if (i === 0) // letters on a plain ground
        out += `<rect x="${boxX + 6}" y="${boxY + 6}" width="${boxWide - 12}" height="36" rx="3" fill="var(--pg-ground)"/>`;
      out += words(20, stage.title, 600) + words(37, stage.under, 400);
      out += narrow ? arrow(52, boxY + 54, 52, boxY + (i < 2 ? 142 : 92)) : arrow(boxX + room + 4, 24, boxX + room + 22, 24);
      out += plot(stage, i, x, left, top, floor, room, off);
      out += `<line x1="${left}" y1="${floor}" x2="${left + room}" y2="${floor}" stroke="var(--pg-line)"/>`;
      for (const at of [-2, 0, 2]) out += `<text x="${x(at)}" y="${floor + 15}" text-anchor="middle">${signed(at, 0)}</text>`;
      out += `<text x="${left + room / 2}" y="${floor + 32}" text-anchor="middle" class="pg-quiet">${stage.said}</text>`;
    });
    const height = narrow ? 440 : 60 + high + 38;
    svg.style.height = `${height}px`;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = out;
    part("gamma").textContent = signed(gamma);
    part("beta").textContent = signed(beta);
    const share = `${(100 * off).toFixed(1)} %`;
    part("say").textContent = `The ReLU is off for ${share} of inputs. What comes out has mean ${mean.toFixed(2)} and standard deviation ${deviation.toFixed(2)}. `
      + meaning(gamma, off);
  }

  /** One sentence on what this gamma and beta do. */
  function meaning(gamma, off) {
    if (off > 0.99) return "β is so far below 0 that the unit is silent: hardly any input gets through, and so hardly any gradient either.";
    if (Math.abs(gamma) < 0.05) return "γ is near 0: whatever the input, nearly the same number comes out. The feature has become a constant.";
    if (gamma < 0) return "γ is below 0: the unit now speaks where the feature is low.";
    if (off < 0.01) return "The ReLU is never off: the unit passes the feature on as it is.";
    return "The unit tells inputs apart: it speaks for some, and is silent for others.";
  }

  const arrow = (x1, y1, x2, y2) => {
    const down = x1 === x2, tip = down ? `M${x2 - 4} ${y2 - 6}L${x2} ${y2}L${x2 + 4} ${y2 - 6}` : `M${x2 - 6} ${y2 - 4}L${x2} ${y2}L${x2 - 6} ${y2 + 4}`;
    return `<path d="M${x1} ${y1}L${x2} ${y2}${tip}" fill="none" stroke="var(--pg-line)" stroke-width="1.5"/>`;
  };

  /** The distribution after a stage. After the ReLU, all that was below 0 stands at 0, as a bar as high as its share. */
  function plot({ scale, shift }, i, x, left, top, floor, room, off) {
    const spread = Math.max(Math.abs(scale), 0.02), tall = 84;
    const peak = tall * Math.min(1, 0.5 / spread); // as a density's, but humps narrower than half keep within the plot
    const y = (value) => floor - (peak * density((value - shift) / spread)) / density(0);
    const path = (from, to) => {
      let d = `M${x(from)} ${floor}`;
      const steps = 160;
      for (let k = 0; k <= steps; k++) d += `L${x(from + ((to - from) * k) / steps).toFixed(1)} ${y(from + ((to - from) * k) / steps).toFixed(1)}`;
      return `${d}L${x(to)} ${floor}Z`;
    };
    const clip = (value) => Math.max(-EDGE, Math.min(EDGE, value));
    const from = clip(shift - 4 * spread), to = clip(shift + 4 * spread), zero = Math.max(from, Math.min(to, 0));
    if (i === 0) return `<path d="${path(from, to)}" fill="var(--pg-frozen)" fill-opacity=".55"/>`;
    const right = to > zero ? `<path d="${path(zero, to)}" fill="var(--pg-bn)" fill-opacity=".75"/>` : "";
    if (i === 2) {
      const bar = off * tall;
      return `${right}<rect x="${x(0) - 4}" y="${floor - bar}" width="8" height="${bar}" fill="var(--pg-frozen)"/>
        <text x="${x(0) - 9}" y="${Math.min(floor - 4, floor - bar + 10)}" text-anchor="end">${(100 * off).toFixed(1)} % at 0</text>`;
    }
    const lefts = from < zero ? `<path d="${path(from, zero)}" fill="var(--pg-frozen)" fill-opacity=".6"/>` : "";
    const edge = clip(shift + scale), hump = clip(shift);
    return `${lefts}${right}<line x1="${x(0)}" y1="${top + 4}" x2="${x(0)}" y2="${floor}" stroke="var(--pg-line)" stroke-dasharray="3 3"/>
      <rect data-drag="beta" x="${left}" y="${top}" width="${room}" height="${floor - top}" fill="transparent"/>
      <g data-drag="gamma"><circle cx="${x(edge)}" cy="${floor - 50}" r="14" fill="transparent"/>
      <line x1="${x(hump)}" y1="${floor - 50}" x2="${x(edge)}" y2="${floor - 50}" stroke="var(--pg-text)" stroke-width="1.5"/>
      <circle cx="${x(edge)}" cy="${floor - 50}" r="6" fill="var(--pg-ground)" stroke="var(--pg-text)" stroke-width="2"/></g>`;
  }

  function put(values) {
    for (const [name, value] of Object.entries(values)) field(name).value = value;
    draw();
  }

  box.addEventListener("input", draw);
  box.addEventListener("click", ({ target }) => target.dataset.gamma && put({ gamma: target.dataset.gamma, beta: target.dataset.beta }));
  svg.addEventListener("pointerdown", (event) => {
    const name = event.target.closest("[data-drag]")?.dataset.drag;
    if (!name) return;
    const from = event.clientX, start = +field(name).value;
    svg.setPointerCapture(event.pointerId);
    const follow = (at) => put({ [name]: start + (at.clientX - from) / scaleX });
    svg.addEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => svg.removeEventListener("pointermove", follow), { once: true });
  });
  new ResizeObserver(draw).observe(box);
  draw();
})();
