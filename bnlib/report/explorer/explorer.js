// The γ explorer. gammaExplorer(root, packed, host) fills `root` with what `packed` holds: see content.py for what is in it. The host
// keeps the view: read, write and changed, a text such as "gamma=0.01&runs=3c3e6a91"; addressBar() is the host of a page. A host with
// a kernel also has ask(question) and hear(callback): see live.py.
async function gammaExplorer(root, packed, host) {
  const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
  let data;
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    data = JSON.parse(await new Response(stream).text());
  } catch (error) {
    root.insertAdjacentHTML("beforeend", "<p>The explorer needs a browser of 2023 or later.</p>");
    throw error;
  }
  const { stops, edges, networks, points } = data, last = stops.length - 1;
  const byId = {};
  for (const [place, point] of points.entries()) for (const run of point.runs) byId[run.id] = Object.assign(run, { point, place });
  for (const run of Object.values(byId)) decode(run);

  // What is shown: everything else follows from it, and from the data.
  const opened = { at: data.at, runs: data.start, decay: false, paper: false, beta: false, layer: 0 };
  let view = { ...opened };
  const live = { images: 500, number: 0, found: {}, note: "", done: 1 };

  // --- Numbers. A share is exact: a count divided by a count, and the mean of that over the ticked replicates.
  function decode(run) {
    const { sizes } = networks[run.point.network];
    let from = 0;
    run.layers = sizes.map(size => {  // of each layer, how many γ lie below each stop
      const below = new Array(stops.length).fill(0);
      let code = 0;
      for (const letter of run.codes.slice(from, from += size)) {
        code += letter.charCodeAt(0) - 48;
        if (code <= last) below[code] += 1;
      }
      for (let stop = 1; stop <= last; stop += 1) below[stop] += below[stop - 1];
      return below;
    });
    run.total = from;
    run.below = stops.map((_, stop) => run.layers.reduce((sum, layer) => sum + layer[stop], 0));
  }
  const part = layer => /^segments\.\d+\.\d+\./.test(layer) ? `segment ${+layer.split(".")[1] + 1}` : layer === "bn" ? "stem" : "";
  const mean = values => values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;

  // A line of the picture: a point, with those of its replicates that are ticked. Its curves are means over them.
  function lines() {
    const used = {};
    return points.map(point => ({ point, runs: point.runs.filter(run => view.runs.includes(run.id)) }))
      .filter(line => line.runs.length)
      .map((line, place) => {
        const { point, runs } = line, network = networks[point.network];
        const nth = used[point.set] = (used[point.set] ?? -1) + 1;
        const curve = key => {
          const asked = runs.filter(run => run[key]);
          return { n: asked.length, values: stops.map((_, i) => asked.some(run => run[key][i] === null) ? null : mean(asked.map(run => run[key][i]))) };
        };
        const share = layers => {  // of the layers with these places, or of all
          const size = layers ? layers.reduce((sum, layer) => sum + network.sizes[layer], 0) : runs[0].total;
          const counts = runs.map(run => layers ? layers.reduce((sum, layer) => sum + run.layers[layer][view.at], 0) : run.below[view.at]);
          return { value: mean(counts) / size, count: runs.length === 1 ? counts[0] : null, size };
        };
        return Object.assign(line, {
          network, share, letter: place < 26 ? String.fromCharCode(65 + place) : `${place + 1}`, dash: ["", "9 4", "12 3 3 3", "5 3"][nth % 4],
          below: stops.map((_, i) => mean(runs.map(run => run.below[i] / run.total))),
          alone: runs.every(run => run.decayed) ? stops.map((_, i) => mean(runs.map(run => run.decayed[i] / run.total))) : null,
          bars: edges.slice(1).map((_, i) => mean(runs.map(run => run.bars[i] / run.total))),
          accuracy: curve("accuracy"), beta: curve("beta"), test: mean(runs.map(run => run.test)),
          whole: mean(runs.filter(run => run.accuracy).map(run => run.whole)),
          seeds: runs.map(run => run.seed),
        });
      });
  }
  const segments = line => {
    const found = {};
    line.network.layers.forEach((layer, place) => { if (part(layer)) (found[part(layer)] ??= []).push(place); });
    return found;
  };
  const longest = shown => Math.max(1, ...shown.map(line => line.network.layers.length));
  // Networks of other depths have other layers: the same place between the first and the last is shown of each.
  const layerOf = (line, shown) => longest(shown) === 1 ? 0 : Math.round(view.layer * (line.network.layers.length - 1) / (longest(shown) - 1));

  // --- Words.
  function percent(value, digits = 1) {
    if (value === null || value === undefined) return "–";
    const number = 100 * value, tie = digits === 1 && 4 * number % 4 === 1;  // 1.25 is 1.2, as Python has it everywhere else
    return `${(tie ? number - 0.05 : number).toFixed(digits)}\u00a0%`;
  }
  const counted = share => percent(share.value) + (share.count === null ? "" : ` <small>${share.count} of ${share.size.toLocaleString("en")}</small>`);
  const escape = text => String(text).replace(/[&<>"]/g, letter => `&#${letter.charCodeAt(0)};`);
  const replicates = line => line.runs.length === 1 ? `seed ${line.seeds[0]} (n\u00a0=\u00a01)` : `mean of seeds ${line.seeds.join(", ")} (n\u00a0=\u00a0${line.runs.length})`;
  const follows = layer => /\.bn2$|\.shortcut\./.test(layer) ? "then the sum" : "then a ReLU";

  // --- The page's parts, made once.
  const recipes = [...new Set(points.map(point => point.epochs))].sort((a, b) => b - a);
  // Of a recipe the networks beside each other, and below each other what was trained: there may be many ways.
  const those = (epochs, key) => [...new Set(points.filter(point => point.epochs === epochs).map(point => point[key]))];
  const box = (point, run) => `<label><input type="checkbox" value="${run.id}" aria-label="${escape(`${point.network}, ${point.name}, ${point.epochs} epochs, seed ${run.seed}`)}"> ${run.seed}</label>`;
  const cell = (network, epochs, name) => points.filter(point => point.network === network && point.epochs === epochs && point.name === name)
    .map(point => point.runs.map(run => box(point, run)).join("")).join("") || "<small>–</small>";
  const rows = epochs => those(epochs, "name")
    .map(name => `<tr><th scope="row">${escape(name)}</th>${those(epochs, "network").map(network => `<td>${cell(network, epochs, name)}</td>`).join("")}</tr>`).join("");
  const check = (key, text) => `<label><input type="checkbox" data-switch="${key}"> ${text}</label>`;
  const panel = (key, title) => `<figure><figcaption>${title}</figcaption><svg data-panel="${key}" role="img"></svg></figure>`;
  root.insertAdjacentHTML("beforeend", `
    <div class="controls">
      <div class="threshold"><span>Threshold on |γ|</span>
        <input type="range" min="0" max="${last}" aria-label="Threshold on |γ|" data-slider><output></output></div>
      <details class="runs" ${root.clientWidth > 560 ? "open" : ""}><summary></summary><div class="scroll" tabindex="0" role="group" aria-label="Runs to show, by seed">
        ${recipes.map(epochs => `<table><thead><tr><th scope="col">${epochs} epochs</th>${those(epochs, "network").map(network => `<th scope="col">${escape(network)}</th>`).join("")}</tr></thead>
        <tbody>${rows(epochs)}</tbody></table>`).join("")}</div></details>
      <div class="switches" role="group" aria-label="Also show">${check("decay", "weight decay alone (dotted)")}${check("paper", "the paper's values (◇)")}${check("beta", "accuracy with β at 0 too (dotted)")}</div>
      ${host.ask ? `<div class="switches" role="group" aria-label="Accuracy computed now"><label>Compute the accuracy now, on
        <select data-images>${[0, 250, 500, 1000, 2000, 10000].map(n => `<option value="${n}" ${n === live.images ? "selected" : ""}>${n ? `${n.toLocaleString("en")} test images` : "no images"}</option>`).join("")}</select></label>
        <progress max="1" value="1" aria-label="Computing the accuracy"></progress><span data-note></span></div>` : ""}
    </div>
    <ul class="legend"></ul>
    <p role="status"></p>
    <div class="panels">${panel("share", "Share of features with |γ| below the threshold")}${panel("bars", "Histogram of γ; shaded: below the threshold")}
      ${panel("accuracy", "Test accuracy with these γ set to 0")}
      <figure><figcaption>Share below the threshold, layer by layer</figcaption><svg data-panel="strip" role="img"></svg>
        <input type="range" min="0" aria-label="Layer" data-layer><div data-layer-said></div></figure></div>
    <div class="scroll" tabindex="0" role="group" aria-label="Values at the threshold"><table class="values"></table></div>
    <p><small data-paper-said></small></p>
    <p class="foot">${host.ask ? "" : '<a data-link href="#">Link to this view</a>'}<a data-csv href="#" download="gamma.csv">The shown data as CSV</a></p>
    <p><small>A feature with |γ| below the threshold gives nearly the same whatever the image. Counted on γ as stored; 0.01 is where the paper's count of small γ is quoted.
      Replicates are averaged only where several are ticked. ${data.left_out.length ? escape(`Left out: ${data.left_out.join("; ")}.`) : ""}</small></p>`);
  const one = name => root.querySelector(name);
  const slider = one("[data-slider]"), layers = one("[data-layer]"), csv = one("[data-csv]"), link = one("[data-link]");

  // --- The pictures, drawn at the size they have, so that their text is as large on a phone.
  const tag = (name, set, rest, text = "") => `<${name} ${set ? `data-set="${set}" ` : ""}${rest}>${text}</${name}>`;
  const low = Math.log(stops[0]), high = Math.log(stops[last]);
  function frame(svg, height, top, title) {
    const width = svg.clientWidth || 320;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    svg.setAttribute("aria-label", title);
    const f = { left: 44, right: width - 12, top: 12, bottom: height - 40, out: "" };
    f.log = value => f.left + (f.right - f.left) * (Math.log(value) - low) / (high - low);
    f.y = value => f.bottom - (f.bottom - f.top) * value / top;
    f.text = (x, y, text, anchor = "middle") => { f.out += `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`; };
    f.line = (x1, y1, x2, y2, kind) => { f.out += `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="${kind}"/>`; };
    f.label = text => f.text((f.left + f.right) / 2, height - 6, text);
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find(each => top / each < 5.5) ?? 0.25;
    for (let value = 0; value <= top + 1e-9; value += step) {
      f.line(f.left, f.y(value), f.right, f.y(value), "grid");
      f.text(f.left - 5, f.y(value) + 4, `${Math.round(100 * value)}\u00a0%`, "end");
    }
    return f;
  }
  function logarithmic(f) {
    for (const value of [0.0001, 0.001, 0.01, 0.1, 1]) f.text(f.log(value), f.bottom + 17, value);
    f.label("threshold on |γ|");
    f.line(f.log(stops[view.at]), f.top, f.log(stops[view.at]), f.bottom, "at");
  }
  function curve(f, line, values, kind, dash) {  // a gap where there is no value
    const path = values.map((value, i) => value === null ? "" : `${i && values[i - 1] !== null ? "L" : "M"}${f.log(stops[i]).toFixed(1)},${f.y(value).toFixed(1)}`).join("");
    f.out += tag("path", line.point.set, `class="${kind}" d="${path}" stroke-dasharray="${dash}"`);
  }
  function dots(f, shown, value) {  // side by side where they would lie on each other
    const placed = shown.map(line => [line, value(line)]).filter(pair => pair[1] !== null).sort((a, b) => b[1] - a[1]);
    let before = null, shift = 0;
    for (const [line, at] of placed) {
      shift = before !== null && f.y(at) - before < 15 ? shift + 17 : 0;
      before = shift ? before : f.y(at);
      const x = Math.min(f.log(stops[view.at]) + shift, f.right);
      f.out += tag("circle", line.point.set, `class="dot" cx="${x}" cy="${f.y(at)}" r="8"`) +
        tag("text", "", `class="letter" x="${x}" y="${f.y(at) + 4}"`, line.letter);
    }
  }
  const diamond = (f, value, x, y, range) => {
    f.out += tag("path", value.set, `class="paper" d="M${x},${f.y(y - range)}V${f.y(y + range)}"`) +
      tag("path", value.set, `class="paper" d="M${x},${f.y(y) - 6}l6,6l-6,6l-6,-6z"`);
  };
  const draw = {
    share(svg, shown) {
      const said = shown.map(line => `${line.letter} ${percent(line.below[view.at])}`).join(", ");
      const f = frame(svg, 250, 1, `Share of features with |γ| below a threshold, against the threshold. At ${stops[view.at]}: ${said}`);
      logarithmic(f);
      for (const line of shown) {
        if (view.decay && line.alone) curve(f, line, line.alone, "alone", "2 3");
        curve(f, line, line.below, "curve", line.dash);
      }
      if (view.paper) for (const value of data.paper) if (value.share) diamond(f, value, f.log(0.01), value.value, value.uncertainty);
      dots(f, shown, line => line.below[view.at]);
      return f.out;
    },
    accuracy(svg, shown) {
      const asked = shown.filter(line => line.accuracy.n);
      const known = accuracies(shown);
      const now = shown.map(line => computed(line)).filter(Boolean);
      const highest = Math.max(0.1, ...shown.map(line => line.point.guess), ...asked.map(line => line.test), ...now.map(value => value.kept), ...(view.paper ? known.map(value => value.value) : []));
      const f = frame(svg, 250, Math.ceil(10.5 * highest) / 10, `Test accuracy with every γ below the threshold set to 0, against the threshold. At ${stops[view.at]}: ${asked.map(line => `${line.letter} ${percent(line.accuracy.values[view.at])}`).join(", ") || "not measured"}`);
      logarithmic(f);
      for (const guess of new Set(shown.map(line => line.point.guess))) {
        f.line(f.left, f.y(guess), f.right, f.y(guess), "chance");
        f.text(f.left + 4, f.y(guess) - 4, "always the same answer", "start");
      }
      for (const line of asked) {
        if (view.beta) curve(f, line, line.beta.values, "curve", "1 3");
        curve(f, line, line.accuracy.values, "curve", line.dash);
      }
      if (!asked.length && !now.length) f.text((f.left + f.right) / 2, (f.top + f.bottom) / 2, "the ticked runs were not asked for this");
      if (view.paper) for (const value of known) diamond(f, value, f.left, value.value, value.uncertainty);
      dots(f, shown, line => line.accuracy.n ? line.accuracy.values[view.at] : null);
      for (const line of shown) {
        const value = computed(line);
        if (value) f.out += tag("circle", line.point.set, `class="now" cx="${f.log(stops[view.at])}" cy="${f.y(value.kept)}" r="11"`);
      }
      return f.out;
    },
    bars(svg, shown) {
      // Only as far as there are bars to see; the outermost hold all beyond.
      const seen = i => edges[i] < 1.1 && edges[i + 1] > -0.1 || i && i < edges.length - 2 && shown.some(line => line.bars[i] >= 0.003);
      const all = edges.slice(1).map((_, i) => i).filter(seen), from = all[0], to = all[all.length - 1] + 1;
      const sum = (bars, a, b) => bars.slice(a, b).reduce((total, bar) => total + bar, 0);
      const heights = line => line.bars.slice(from, to).map((bar, i) => i === 0 ? sum(line.bars, 0, from + 1) : i === to - from - 1 ? sum(line.bars, to - 1) : bar);
      const drawn = shown.map(heights), f = frame(svg, 250, 1.05 * Math.max(0.01, ...drawn.flat()), `Histogram of γ in bars ${(edges[1] - edges[0]).toFixed(2)} wide, the outermost with all beyond`);
      const x = value => f.left + (f.right - f.left) * (value - edges[from]) / (edges[to] - edges[from]), t = stops[view.at];
      const low = x(Math.max(-t, edges[from])), high = x(Math.min(t, edges[to]));
      f.out += `<rect class="band" x="${low - 0.75}" y="${f.top}" width="${high - low + 1.5}" height="${f.bottom - f.top}"/>`;
      shown.forEach((line, k) => {
        f.out += tag("path", line.point.set, `class="curve" stroke-dasharray="${line.dash}" d="M${x(edges[from])},${f.bottom}${drawn[k].map((bar, i) => `V${f.y(bar).toFixed(1)}H${x(edges[from + i + 1]).toFixed(1)}`).join("")}V${f.bottom}"`);
      });
      const step = edges[to] - edges[from] > 3 ? 1 : 0.5;
      for (let value = Math.ceil(edges[from] / step) * step; value <= edges[to]; value += step) f.text(x(value), f.bottom + 17, String(value).replace("-", "−"));
      f.label("γ; the outermost bars hold all beyond");
      return f.out;
    },
    strip(svg, shown) {
      const width = svg.clientWidth || 320, row = 24, left = 22, height = shown.length * row + 22, many = longest(shown);
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.style.height = `${height}px`;
      svg.setAttribute("aria-label", "For each line a strip: a cell for each layer from the first to the last, the fuller the larger its share");
      let out = "";
      shown.forEach((line, i) => {
        const { layers: all } = line.network, wide = (width - left) / all.length, y = i * row;
        out += tag("circle", line.point.set, `class="dot" cx="9" cy="${y + 10}" r="8"`) + tag("text", "", `class="letter" x="9" y="${y + 14}"`, line.letter);
        out += `<rect x="${left}" y="${y}" width="${width - left}" height="20" fill="none" class="grid"/>`;
        all.forEach((layer, place) => {
          const value = line.share([place]).value;
          if (value) out += tag("rect", line.point.set, `class="cell" x="${(left + place * wide).toFixed(2)}" y="${y}" width="${wide.toFixed(2)}" height="20" fill-opacity="${value.toFixed(3)}"`);
        });
        const at = left + layerOf(line, shown) * wide;
        out += `<rect x="${at - 1}" y="${y - 1}" width="${Math.max(3, wide + 2)}" height="22" fill="none" stroke="var(--text)" stroke-width="1.5"/>`;
        if (i === shown.length - 1) {
          const found = segments(line);
          for (const [name, places] of Object.entries(found)) {
            const start = left + places[0] * wide;
            if (places.length > 1) out += `<text x="${start}" y="${y + 37}">${name}</text><line class="at" x1="${start}" x2="${start}" y1="${y + 20}" y2="${y + 26}"/>`;
          }
        }
      });
      layers.max = many - 1;
      layers.style.cssText = `margin-left: ${left}px; width: calc(100% - ${left}px)`;
      return out;
    },
  };

  // --- The legend and the table.
  function computed(line) {  // what the kernel has computed of this line, on as many images of each replicate
    const found = line.runs.map(run => live.found[run.run]);
    if (!live.images || found.some(value => !value)) return null;
    return { kept: mean(found.map(value => value[0])), nothing: mean(found.map(value => value[1])), images: Math.min(...found.map(value => value[2])) };
  }
  const badge = line => `<span class="key">${line.letter}</span> <svg viewBox="0 0 34 10" aria-hidden="true"><path class="curve" d="M0,5H34" stroke-dasharray="${line.dash}"/></svg>`;
  const legend = line => `<li data-set="${line.point.set}">${badge(line)} ${escape(line.point.network)}, ${escape(line.point.name)}, ${line.point.epochs} epochs, ${replicates(line)}</li>`;
  function papers(shown) {
    const said = values => values.map(value => `${value.network}, ${value.name}, ${percent(value.value, value.share ? 0 : 1)}`).join("; ") + ` (${values[0].source})`;
    const small = data.paper.filter(value => value.share), known = accuracies(shown);
    return `◇ The paper's, after 160 epochs. Share below 0.01: ${said(small)}.${known.length ? ` Accuracy, at the left edge: ${said(known)}.` : ""}`;
  }
  const accuracies = shown => data.paper.filter(value => !value.share && shown.some(line => line.point.plain && line.point.network === value.network && line.point.set === value.set));
  function table(shown) {
    const row = (name, value) => `<tr><th scope="row">${name}</th>${shown.map(line => `<td data-set="${line.point.set}">${value(line)}</td>`).join("")}</tr>`;
    const parts = [...new Set(shown.flatMap(line => Object.keys(segments(line))))];
    const measured = (line, key) => !line[key].n ? "<small>not measured</small>"
      : percent(line[key].values[view.at]) + (line[key].n < line.runs.length ? ` <small>of the ${line[key].n} that were asked</small>` : "");
    const layer = line => line.network.layers[layerOf(line, shown)];
    return `<thead><tr><th scope="col"><small>Share with |γ| below ${stops[view.at]}</small></th>${shown.map(line => `<th scope="col" data-set="${line.point.set}">${badge(line)}</th>`).join("")}</tr></thead><tbody>` +
      row("in all", line => counted(line.share())) +
      parts.map(name => row(name, line => segments(line)[name] ? counted(line.share(segments(line)[name])) : "–")).join("") +
      row("in the chosen layer", line => `${counted(line.share([layerOf(line, shown)]))} <small>${layer(line)}</small>`) +
      (view.decay ? row("weight decay alone", line => line.alone ? percent(line.alone[view.at]) : "–") : "") +
      row("Test accuracy, in fp32", line => percent(line.test)) +
      row("… in the training's precision", line => line.accuracy.n ? percent(line.whole) : "–") +
      row("… with these γ at 0", line => measured(line, "accuracy")) +
      (view.beta ? row("… and their β, too", line => measured(line, "beta")) : "") +
      (host.ask && live.images ? row("… with these γ at 0, computed now", line => {
        const value = computed(line);
        return value ? `${percent(value.kept)} <small>${percent(value.nothing)} with their β at 0, too; first ${value.images.toLocaleString("en")} images</small>` : "–";
      }) : "") + "</tbody>";
  }

  // --- From the view to the page.
  function show() {
    const shown = lines(), at = stops[view.at];
    view.layer = Math.max(0, Math.min(view.layer, longest(shown) - 1));
    if (link) link.href = `#${text()}`;
    slider.value = view.at;
    slider.setAttribute("aria-valuetext", String(at));
    one(".threshold output").textContent = at;
    one(".runs summary").textContent = `Runs: ${view.runs.length} of ${Object.keys(byId).length} ticked; the numbers are seeds`;
    root.querySelectorAll(".runs input").forEach(input => { input.checked = view.runs.includes(input.value); });
    root.querySelectorAll("[data-switch]").forEach(input => { input.checked = view[input.dataset.switch]; });
    root.querySelectorAll("[data-panel]").forEach(svg => { svg.innerHTML = draw[svg.dataset.panel](svg, shown); });
    one(".legend").innerHTML = shown.map(legend).join("");
    one(".values").innerHTML = shown.length ? table(shown) : "";
    layers.value = view.layer;
    const chosen = shown.map(line => ({ line, layer: layerOf(line, shown) }));
    const said = chosen.map(({ line, layer }) => `${line.letter} ${percent(line.share([layer]).value)}`).join(", ");
    layers.setAttribute("aria-valuetext", chosen.length ? `${chosen[0].line.network.layers[chosen[0].layer]}: ${said}` : "no run is ticked");
    one("[data-layer-said]").innerHTML = [...new Set(chosen.map(({ line, layer }) => `${line.network.layers[layer]}, ${line.network.sizes[layer]} features, ${follows(line.network.layers[layer])}`))].join("<br>") + `<br>${said}`;
    const spoken = shown.slice(0, 4).map(line => `${line.letter} ${percent(line.below[view.at])}`).join(", ");
    say(shown.length ? `Below ${at}: ${spoken}${shown.length > 4 ? ` and ${shown.length - 4} more` : ""}.` : "No run is ticked.");
    one("[data-paper-said]").textContent = view.paper ? papers(shown) : "";
    if (host.ask) {
      one("progress").value = live.done;
      one("[data-note]").textContent = live.images ? live.note || (live.done < 1 ? "computing …" : "") : "";
    }
  }
  function say(text) {  // the same again would be read again
    if (one("[role=status]").textContent !== text) one("[role=status]").textContent = text;
  }
  function text() {
    const also = ["decay", "paper", "beta"].filter(key => view[key]);
    return `gamma=${stops[view.at]}&runs=${view.runs.join(".")}&layer=${view.layer}${also.length ? `&show=${also.join(".")}` : ""}`;
  }
  function change(part) {
    view = { ...view, ...part };
    ask();
    show();
    host.write(text());
  }
  function restore() {
    const said = new URLSearchParams(host.read()), at = stops.indexOf(Number(said.get("gamma")));
    if (at < 0) return false;
    const also = (said.get("show") ?? "").split(".");
    view = { ...opened, at, layer: Math.trunc(said.get("layer")) || 0, decay: also.includes("decay"), paper: also.includes("paper"), beta: also.includes("beta"),
      runs: said.has("runs") ? said.get("runs").split(".").filter(id => byId[id]) : opened.runs };
    return true;
  }

  // --- With a kernel: asked when the hand rests, answered as images are through. What was answered before is of another view.
  let timer, silence;
  function ask() {
    if (!host.ask) return;
    clearTimeout(timer);
    clearTimeout(silence);
    Object.assign(live, { found: {}, note: "", done: live.images ? 0 : 1, number: live.number + 1 });
    const runs = lines().flatMap(line => line.runs);
    if (!live.images || !runs.length) { live.done = 1; show(); return; }
    const question = { number: live.number, runs: runs.map(run => run.run), threshold: stops[view.at], images: live.images };
    timer = setTimeout(() => host.ask(question), 300);
    silence = setTimeout(() => { Object.assign(live, { note: "No kernel answers: the stored curve is shown.", done: 1 }); show(); }, 5000);
  }
  host.hear?.(answer => {
    if (answer.number !== live.number) return;  // of what is no longer shown
    clearTimeout(silence);
    Object.assign(live, { found: answer.accuracies, note: answer.note, done: answer.done });
    show();
  });

  // --- The data that are shown, as a table of one value a line.
  function values() {
    const shown = lines(), out = [["line", "network", "trained", "epochs", "seeds", "n", "quantity", "of", "threshold", "value"]];
    for (const line of shown) {
      const add = (quantity, of, threshold, value, n = line.runs.length) => {
        if (value !== null) out.push([line.letter, line.point.network, line.point.name, line.point.epochs, line.seeds.join(" "), n, quantity, of, threshold, value]);
      };
      stops.forEach((threshold, i) => {
        add("share below", "all", threshold, line.below[i]);
        if (view.decay && line.alone) add("share below, weight decay alone", "all", threshold, line.alone[i]);
        if (line.accuracy.n) add("test accuracy", "all", threshold, line.accuracy.values[i], line.accuracy.n);
        if (view.beta && line.beta.n) add("test accuracy, β at 0 too", "all", threshold, line.beta.values[i], line.beta.n);
      });
      for (const [name, places] of Object.entries(segments(line))) add("share below", name, stops[view.at], line.share(places).value);
      line.network.layers.forEach((layer, place) => add("share below", layer, stops[view.at], line.share([place]).value));
      line.bars.forEach((bar, i) => add("share in the bar", `${edges[i]} to ${edges[i + 1]}`, "", bar));
    }
    return out.map(row => row.map(value => /[",]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value).join(",")).join("\r\n") + "\r\n";
  }

  // --- Hands.
  slider.addEventListener("input", () => change({ at: +slider.value }));
  layers.addEventListener("input", () => change({ layer: +layers.value }));
  one(".runs").addEventListener("change", event => change({ runs: event.target.checked ? [...view.runs, event.target.value] : view.runs.filter(id => id !== event.target.value) }));
  root.querySelectorAll("[data-switch]").forEach(input => input.addEventListener("change", () => change({ [input.dataset.switch]: input.checked })));
  csv.addEventListener("click", () => { csv.href = URL.createObjectURL(new Blob(["\ufeff", values()], { type: "text/csv" })); });
  link?.addEventListener("click", () => host.write(text()));
  one("[data-images]")?.addEventListener("change", event => { live.images = +event.target.value; ask(); show(); });
  for (const key of ["share", "accuracy"]) {
    const svg = one(`[data-panel=${key}]`);
    svg.classList.add("sets-threshold");
    const take = event => {
      const box = svg.getBoundingClientRect(), along = (event.clientX - box.left - 44) / (box.width - 56);
      change({ at: Math.max(0, Math.min(last, Math.round(along * last))) });
    };
    svg.addEventListener("pointerdown", event => { svg.setPointerCapture(event.pointerId); take(event); });
    svg.addEventListener("pointermove", event => { if (event.buttons) take(event); });
  }
  const strip = one("[data-panel=strip]");
  for (const kind of ["pointerdown", "pointermove"]) strip.addEventListener(kind, event => {
    const box = strip.getBoundingClientRect(), along = (event.clientX - box.left - 22) / (box.width - 22);
    const layer = Math.floor(along * longest(lines()));
    if (layer >= 0 && layer !== view.layer && layer < longest(lines())) change({ layer });
  });
  host.changed(() => {
    if (host.read() === text() || !restore()) return;
    ask();
    show();
  });
  const linked = restore();
  let width = 0;
  new ResizeObserver(() => { if (root.clientWidth !== width) { width = root.clientWidth; show(); } }).observe(root);
  show();
  if (linked && !host.ask) root.scrollIntoView();
  ask();
}

// The host of a page: the view is in the address's fragment, so that it can be linked.
function addressBar() {
  let rest;  // browsers take only so many changes of the address in a while
  return {
    read: () => location.hash.startsWith("#gamma=") ? location.hash.slice(1) : "",
    write: view => { clearTimeout(rest); rest = setTimeout(() => history.replaceState(history.state, "", `#${view}`), 150); },
    changed: call => addEventListener("hashchange", call),
  };
}
