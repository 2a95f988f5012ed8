/* The playground: reads the form, trains the network of network.js a little each frame, draws what it does. */
"use strict";
(function () {
  const { Network, Training, pack, sample } = BatchNormOnly;
  const form = document.getElementById("playground");
  form.hidden = false;
  const part = (name) => form.querySelector(`[data-part="${name}"]`), act = (name) => form.querySelector(`[data-do="${name}"]`);
  const canvas = part("regions"), status = document.getElementById("pg-status");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  const POINTS = 200; // to train on; as many are held out
  const HALF = 1.3; // the square shows -1.3 .. 1.3
  const PACE = 200; // steps a second, where the machine is fast enough for it in BUDGET
  const BUDGET = 12; // ms of training a frame: what is left of 1/60 s is for drawing
  const MEASURE = 20; // steps between two points of a curve
  const REST = 5000; // steps after which it pauses by itself: a forgotten page trains no more
  const TELL = 15000; // ms between two announcements while it trains
  // Colour, dash and marker of what learns, as in the figures.
  const SETS = { bn: ["bn", "", "●"], output: ["output", "1 2", "✦"], "random:2": ["random", "5 2", "✖"], all: ["all", "", "■"] };
  const SEED = /^\d{1,6}$/;
  const RESTARTS = ["data", "points", "learns", "depth", "width", "rate", "seed", "decay"];

  let network, training, train, held, curves = {}, comparable = "", first = [], limit = 0; // limit: of the histogram's axis
  let playing = false, seen = true, owed = 0, before = 0, drawn = 0, told = 0, cross = [0, 0];

  // Settings: the form is the state; the fragment holds what differs from the page as it was loaded.
  const read = (name) => {
    const field = form.elements[name];
    return field.type === "checkbox" ? (field.checked ? "1" : "0") : field.value;
  };
  const NAMES = [...RESTARTS, "threshold", "clamp", "held"];
  let seed = read("seed"); // the last that was one
  const DEFAULTS = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  const settings = () => Object.fromEntries(NAMES.map((name) => [name, read(name)]));

  function write(name, value) {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = value === "1";
    else {
      field.value = value;
      const allowed = { seed: SEED, points: /^([ab]\d{4})*$/ }[name]; // a wrong fragment does no harm
      if (field.value !== value || (allowed && !allowed.test(value))) field.value = DEFAULTS[name];
    }
    if (name === "seed") seed = field.value = String(+field.value); // 007 is 7
  }

  function restore() {
    const words = new URLSearchParams(location.hash.slice(1));
    const known = NAMES.filter((name) => words.has(name));
    if (!known.length) return false; // nothing, or the anchor of a heading
    NAMES.forEach((name) => write(name, words.get(name) ?? DEFAULTS[name]));
    return true;
  }

  /** Settings go into the address, now or soon: browsers refuse too many changes of it in a short time. */
  function keep() {
    clearTimeout(keep.later);
    const wait = 150 - (performance.now() - (keep.last ?? -150));
    if (wait > 0) return void (keep.later = setTimeout(keep, wait));
    keep.last = performance.now();
    const words = new URLSearchParams(Object.entries(settings()).filter(([name, value]) => value !== DEFAULTS[name]));
    if (!`${words}`) words.set("seed", DEFAULTS.seed); // so that going back to the start is restored, too
    try {
      history.replaceState(null, "", `#${words}`);
    } catch {
      keep.later = setTimeout(keep, 1000); // the page works without
    }
  }

  // Points drawn by hand are one word in the fragment: a or b, and two digits each for x and y.
  const places = () => (read("points").match(/.{5}/g) || []).map((word) => ({
    x: (+word.slice(1, 3) / 99 - 0.5) * 2 * HALF, y: (+word.slice(3) / 99 - 0.5) * 2 * HALF, label: word[0] === "b" ? 1 : 0,
  }));

  function points() {
    if (read("data") !== "draw") return ["train", "test"].map((use) => sample(read("data"), POINTS, read("seed"), use));
    const seenOf = [0, 0], lists = [[], []];
    for (const point of places()) lists[seenOf[point.label]++ % 4 === 3 ? 1 : 0].push(point);
    return lists;
  }

  /** Takes up the points as they are now; the network stays. */
  function takePoints() {
    [train, held] = points().map((list) => ({ list, ...pack(list) }));
    const classes = new Set(train.list.map(({ label }) => label)).size;
    training = classes < 2 ? null : new Training(network, train, { seed: read("seed") });
  }

  /** The network as the seed draws it. Curves stay where only what learns is another. */
  function restart() {
    const now = settings(), same = JSON.stringify(RESTARTS.filter((name) => name !== "learns").map((name) => now[name]));
    if (same !== comparable) curves = {};
    comparable = same;
    network = new Network({ depth: +now.depth, width: +now.width, learns: now.learns, seed: now.seed });
    first = network.gammas;
    limit = 2;
    const drawing = now.data === "draw";
    part("draw").hidden = !drawing;
    canvas.parentElement.classList.toggle("pg-drawing", drawing);
    canvas.tabIndex = drawing ? 0 : -1;
    canvas.setAttribute("role", drawing ? "application" : "img");
    canvas.setAttribute("aria-label", drawing ? "Square to draw points on, and the network's decision regions" : "Decision regions");
    canvas.setAttribute("aria-describedby", drawing ? "pg-help pg-status" : "pg-status");
    takePoints();
    curves[now.learns] = [];
    measure();
    draw();
    tell();
  }

  const options = () => ({ clamp: form.elements.clamp.checked ? +read("threshold") : 0 });
  const steps = () => (training ? training.steps : 0);
  const percent = (share) => (Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)} %`);
  const GUESS = Math.log(2); // the loss of who gives both classes the same chance
  /** A loss as it is read; once it has been trained for a while, beside that of guessing, if it is no better. */
  const lossWords = (loss) => {
    if (Number.isNaN(loss)) return "–";
    return (loss > 1000 ? "> 1000" : loss.toFixed(3)) + (steps() >= 500 && loss > 0.99 * GUESS ? `; guessing has ${GUESS.toFixed(3)}` : "");
  };

  function measure() {
    if (held.n) curves[network.learns].push([steps(), network.measure(held).accuracy]);
  }

  function step() {
    const loss = training.step({ rate: +read("rate"), decayBN: form.elements.decay.checked });
    if (training.steps % MEASURE === 0) measure();
    if (!Number.isFinite(loss)) pause("The training diverged: take a smaller learning rate.");
    else if (training.steps % REST === 0) pause();
  }

  function play() {
    if (!training) return tell("Add points of both classes first.");
    [playing, owed, before] = [true, 0, performance.now()];
    act("play").textContent = "Pause";
    requestAnimationFrame(frame);
    tell();
  }

  function pause(words) {
    playing = false;
    act("play").textContent = "Play";
    draw();
    tell(words);
  }

  function frame(now) {
    if (!playing) return;
    owed = seen ? Math.min(owed + (PACE * (now - before)) / 1000, PACE / 2) : 0; // a slow machine owes nothing for long
    before = now;
    for (const until = performance.now() + BUDGET; playing && owed >= 1 && performance.now() < until; owed--) step();
    if (playing && seen && now - drawn >= (calm.matches ? 500 : 60)) draw((drawn = now));
    if (playing && now - told >= TELL) tell();
    if (playing) requestAnimationFrame(frame);
  }

  /** What is to be seen, in words, for those who do not see it: when something has been done, and now and then. */
  function tell(words) {
    told = performance.now();
    const share = regions.out ? regions.out.reduce((sum, z) => sum + (z <= 0), 0) / regions.out.length : NaN;
    const { accuracy } = network.measure(held, options());
    status.textContent = words || `Step ${steps()}, ${playing ? "training" : "paused"}. ${train.n} points to train on. Accuracy on held-out `
      + `points ${percent(accuracy)}. The network gives ${percent(share)} of the square to class A, the rest to class B.`;
  }

  // Drawing.
  const colour = (name) => getComputedStyle(form).getPropertyValue(`--pg-${name}`).trim();
  const rgb = (name) => {
    const hex = colour(name).slice(1);
    return (hex.length === 3 ? [...hex].map((digit) => digit + digit) : hex.match(/../g)).map((two) => parseInt(two, 16));
  };

  /** Colours each place by what the network says there: the stronger, the surer it is. */
  function regions() {
    const weights = network.parameters.reduce((sum, { values }) => sum + values.length, 0);
    const side = weights < 2000 ? 72 : weights < 8000 ? 48 : 36, n = side * side; // so that drawing leaves time for training
    const grid = new Float64Array(2 * n);
    for (let p = 0; p < n; p++) {
      grid[p] = (((p % side) + 0.5) / side - 0.5) * 2 * HALF;
      grid[n + p] = (0.5 - (Math.floor(p / side) + 0.5) / side) * 2 * HALF;
    }
    regions.out = network.predict(grid, n, options());
    const [a, b, ground, ink] = ["a-ground", "b-ground", "ground", "ink"].map(rgb), image = new ImageData(side, side);
    regions.out.forEach((z, p) => {
      const sure = Math.abs(2 / (1 + Math.exp(-z)) - 1), to = z > 0 ? b : a;
      // Where the network changes its mind there is a line: the two grounds alone differ by colour more than by lightness.
      const edge = [p + side, (p + 1) % side && p + 1].some((next) => next && next < n && regions.out[next] > 0 !== z > 0);
      for (let c = 0; c < 3; c++) {
        const shade = ground[c] + (to[c] - ground[c]) * (0.25 + 0.75 * sure);
        image.data[4 * p + c] = edge ? 0.65 * shade + 0.35 * ink[c] : shade;
      }
      image.data[4 * p + 3] = 255;
    });
    const small = document.createElement("canvas");
    small.width = small.height = side;
    small.getContext("2d").putImageData(image, 0, 0);
    const size = Math.round(canvas.clientWidth * devicePixelRatio), pen = canvas.getContext("2d");
    if (canvas.width !== size) canvas.width = canvas.height = size;
    pen.imageSmoothingEnabled = true;
    pen.drawImage(small, 0, 0, size, size);
    const unit = size / canvas.clientWidth, at = (value) => (value / (2 * HALF) + 0.5) * size;
    const mark = ({ x, y, label }, filled) => {
      const shape = (r) => {
        const path = new Path2D();
        if (label) path.rect(at(x) - r * 0.9, at(-y) - r * 0.9, 1.8 * r, 1.8 * r);
        else path.arc(at(x), at(-y), r, 0, 7);
        return path;
      };
      const outer = shape(3.6 * unit);
      pen.fillStyle = colour(label ? "b" : "a");
      pen.fill(outer);
      if (!filled) {
        pen.fillStyle = colour("ground");
        pen.fill(shape(1.8 * unit));
      }
      pen.strokeStyle = colour("ink");
      pen.lineWidth = 0.8 * unit;
      pen.stroke(outer);
    };
    train.list.forEach((point) => mark(point, true));
    if (form.elements.held.checked) held.list.forEach((point) => mark(point, false));
    if (!drawing() || document.activeElement !== canvas) return;
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2 * unit;
    const [x, y] = [at(cross[0]), at(-cross[1])];
    pen.stroke(new Path2D(`M${x - 9 * unit} ${y}h${18 * unit}M${x} ${y - 9 * unit}v${18 * unit}`));
  }

  const line = (x1, y1, x2, y2, extra = "") => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="var(--pg-faint)" ${extra}/>`;
  const text = (x, y, words, extra = "") => `<text x="${x}" y="${y}" ${extra}>${words}</text>`;

  /** Fills an SVG whose units are the page's pixels, so that its letters keep their size on a narrow screen. */
  function paint(svg, height, content) {
    const width = svg.clientWidth;
    svg.style.height = `${height}px`;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = content(width);
  }

  function drawCurves() {
    const longest = Math.max(0, ...Object.values(curves).map((curve) => curve.at(-1)?.[0] ?? 0));
    const last = 1000 * Math.max(2, Math.ceil(longest / 1000));
    paint(part("curves"), 260, (width) => {
      const left = 42, right = width - 12, top = 8, bottom = 236;
      const x = (n) => (left + ((right - left) * n) / last).toFixed(1), y = (share) => (bottom - (bottom - top) * share).toFixed(1);
      let out = "";
      for (const share of [0, 0.5, 1])
        out += line(left, y(share), right, y(share)) + text(left - 6, +y(share) + 4, `${100 * share} %`, 'text-anchor="end"');
      out += text(left, bottom + 18, 0, 'text-anchor="middle"') + text(right, bottom + 18, last, 'text-anchor="end"');
      out += text((left + right) / 2, bottom + 18, "steps", 'text-anchor="middle"');
      for (const [learns, curve] of Object.entries(curves)) {
        const [name, dash, sign] = SETS[learns], end = curve.at(-1);
        if (!end) continue;
        out += `<polyline points="${curve.map(([n, share]) => `${x(n)},${y(share)}`).join(" ")}" fill="none" stroke="var(--pg-${name})"
          stroke-width="2" stroke-dasharray="${dash}"/>`;
        out += text(x(end[0]), +y(end[1]) + 5, sign, `text-anchor="middle" style="fill: var(--pg-${name}); font-size: 15px"`);
      }
      return out;
    });
    for (const output of form.querySelectorAll("[data-of]")) {
      const learns = output.dataset.of, end = curves[learns]?.at(-1);
      // What learns now has gone on since its curve's last point.
      output.textContent = end ? percent(learns === network.learns ? network.measure(held).accuracy : end[1]) : "";
    }
  }

  function drawHistogram() {
    const gammas = network.gammas, threshold = +read("threshold"), learn = ["bn", "all"].includes(network.learns);
    while (gammas.some((gamma) => Math.abs(gamma) > limit ** 2) && limit < 30) limit++;
    // The axis is one of square roots: thresholds near 0 and the few large values both find room.
    const root = (value) => Math.sign(value) * Math.sqrt(Math.abs(value)), bins = 40;
    const count = (list) => {
      const counts = Array(bins).fill(0);
      for (const value of list) counts[Math.max(0, Math.min(bins - 1, Math.floor((root(value) / limit + 1) * 0.5 * bins)))]++;
      return counts;
    };
    const now = count(gammas), then = count(first), most = Math.max(...now, ...then);
    paint(part("histogram"), 136, (width) => {
      const left = 8, right = width - 8, bottom = 108, x = (value) => left + ((root(value) / limit + 1) / 2) * (right - left);
      const wide = (right - left) / bins, y = (number) => bottom - (number / most) * 92;
      drawHistogram.value = (at) => ((((at - left) / (right - left)) * 2 - 1) * limit) ** 2;
      const [from, to] = [x(-threshold), x(threshold)];
      let out = `<rect x="${from}" y="8" width="${to - from}" height="${bottom - 8}" fill="var(--pg-faint)"/>`, outline = `M${left} ${bottom}`;
      now.forEach((number, i) => {
        const own = `<rect x="${left + i * wide + 0.5}" y="${y(number)}" width="${wide - 1}" height="${bottom - y(number)}"`;
        if (number) out += `${own} fill="var(--pg-${learn ? "bn" : "frozen"})"/>`;
        outline += `V${y(then[i])}h${wide}`;
      });
      out += `<path d="${outline}V${bottom}" fill="none" stroke="var(--pg-text)" stroke-width="1.2" stroke-dasharray="3 2"/>`;
      out += line(left, bottom, right, bottom, 'style="stroke: var(--pg-line)"');
      for (let at = -limit; at <= limit; at++)
        out += text(x(at * Math.abs(at)), bottom + 17, `${at * Math.abs(at)}`.replace("-", "−"), 'text-anchor="middle"');
      for (const at of [from, to]) out += line(at, 8, at, bottom, 'style="stroke: var(--pg-text)" stroke-width="1.5"');
      return out + `<rect data-drag x="${from - 14}" y="0" width="${to - from + 28}" height="${bottom}" fill="transparent"/>`;
    });
    const [below, once] = [gammas, first].map((list) => list.filter((gamma) => Math.abs(gamma) < threshold).length);
    part("spread").textContent = `${learn ? "" : "frozen; "}dashed: start; square-root axis`;
    part("histogram").setAttribute("aria-label", `Histogram of γ, from ${Math.min(...gammas).toFixed(2)} to ${Math.max(...gammas).toFixed(2)}`);
    part("threshold").textContent = `${threshold.toFixed(2)}: ${below} of ${gammas.length} γ are below it; ${once} at the start`;
    form.elements.threshold.setAttribute("aria-valuetext", part("threshold").textContent);
    const [as, set] = [network.measure(held), network.measure(held, { clamp: threshold })].map(({ accuracy }) => percent(accuracy));
    part("clamped").textContent = form.elements.clamp.checked
      ? `Accuracy with those ${below} γ at 0: ${set}; as learned: ${as}. What is learned stays as it is.` : "";
  }

  function draw() {
    if (!canvas.clientWidth) return;
    regions();
    drawCurves();
    drawHistogram();
    const { loss } = network.measure(train, options()), { accuracy } = network.measure(held, options());
    const all = network.parameters.reduce((sum, { values }) => sum + values.length, 0), units = network.gammas.length;
    const show = { steps: steps(), accuracy: percent(accuracy), loss: lossWords(loss) };
    if (!held.n) show.accuracy = "–, no point is held out yet";
    Object.assign(show, { trainable: `${network.trainable} of ${all}`, off: `${network.off(train, options())} of ${units}` });
    for (const [name, value] of Object.entries(show)) part(name).textContent = value;
  }

  // What the reader does.
  form.addEventListener("submit", (event) => event.preventDefault()); // Enter in the seed's field
  form.addEventListener("input", ({ target }) => {
    if (target.name === "brush" || (target.name === "seed" && !SEED.test(target.value))) return;
    takeSeed();
    if (RESTARTS.includes(target.name)) change();
    else draw();
    keep();
    if (target.name === "clamp") tell(part("clamped").textContent);
  });

  /** A seed that is none, half typed perhaps, is not trained with: the one before comes back. */
  function takeSeed() {
    const field = form.elements.seed;
    if (SEED.test(field.value)) seed = String(+field.value);
    if (field.value !== seed) field.value = seed;
  }
  form.addEventListener("change", takeSeed); // the field is left

  function change() {
    restart();
    if (!training) pause("Add points of both classes, then press Play.");
  }

  function addPoint(x, y, label) {
    const two = (value) => String(Math.round(Math.min(1, Math.max(0, value / (2 * HALF) + 0.5)) * 99)).padStart(2, "0");
    setPoints(`${read("points")}${label ? "b" : "a"}${two(x)}${two(y)}`.slice(-5 * 400), `Added a point of class ${label ? "B" : "A"}`);
  }

  /** The training goes on with other points: one need not wait for the network to learn the rest again. */
  function setPoints(words, said) {
    form.elements.points.value = words;
    const done = steps();
    takePoints();
    if (training) training.steps = done;
    curves = { [network.learns]: [] };
    keep();
    if (playing && !training) pause();
    draw();
    tell(`${said}: ${words.length / 5} in all.`);
  }

  const doing = {
    play: () => (playing ? pause() : play()),
    step: () => {
      if (playing) pause();
      if (!training) return tell("Add points of both classes first.");
      step();
      draw();
      tell();
    },
    reset: () => (restart(), keep()),
    seed: () => {
      form.elements.seed.value = (+read("seed") + 1) % 1000000;
      change();
      keep();
    },
    undo: () => setPoints(read("points").slice(0, -5), "Took a point away"),
    clear: () => setPoints("", "Took all points away"),
  };
  form.addEventListener("click", ({ target }) => {
    takeSeed();
    doing[target.closest("[data-do]")?.dataset.do]?.();
  });

  const drawing = () => read("data") === "draw";
  const place = (event) => {
    const { left, top, width } = canvas.getBoundingClientRect();
    return [((event.clientX - left) / width - 0.5) * 2 * HALF, (0.5 - (event.clientY - top) / width) * 2 * HALF];
  };
  let lastPlace = null; // of the stroke being drawn
  canvas.addEventListener("pointerdown", (event) => {
    if (!drawing()) return;
    canvas.setPointerCapture(event.pointerId);
    addPoint(...(lastPlace = place(event)), +form.elements.brush.value);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing() || !lastPlace) return;
    const [x, y] = place(event);
    if (Math.hypot(x - lastPlace[0], y - lastPlace[1]) > 0.12) addPoint(...(lastPlace = [x, y]), +form.elements.brush.value);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (lastPlace = null));
  for (const change of ["focus", "blur"]) canvas.addEventListener(change, () => draw());
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const label = { a: 0, A: 0, b: 1, B: 1 }[event.key];
    if (!drawing() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (move) {
      cross = cross.map((at, i) => Math.max(-HALF, Math.min(HALF, at + move[i] * (event.shiftKey ? 0.3 : 0.06))));
      draw();
      tell(`Cross at ${cross.map((at) => at.toFixed(2)).join(", ")}.`);
    } else if (label !== undefined) addPoint(...cross, label);
    else if (event.key === "Backspace") doing.undo();
    else return;
    event.preventDefault();
  });

  part("histogram").addEventListener("pointerdown", (event) => {
    if (!event.target.hasAttribute("data-drag")) return;
    const svg = part("histogram");
    svg.setPointerCapture(event.pointerId);
    const follow = (at) => {
      form.elements.threshold.value = drawHistogram.value(at.clientX - svg.getBoundingClientRect().left);
      form.elements.threshold.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const end = () => svg.removeEventListener("pointermove", follow);
    svg.addEventListener("pointermove", follow);
    for (const over of ["pointerup", "pointercancel"]) svg.addEventListener(over, end, { once: true });
  });

  addEventListener("hashchange", () => restore() && change());
  new ResizeObserver(() => draw()).observe(form);
  new MutationObserver(() => draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  new IntersectionObserver(([{ isIntersecting }]) => (seen = isIntersecting)).observe(form); // no training where nobody looks

  restore();
  change();
  if (training && !calm.matches) play();
})();
