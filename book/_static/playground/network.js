/* A small random network with BatchNorm, and its training. No page, no clock: it runs in a browser and in node.

A hidden layer is linear (no bias) - BatchNorm - ReLU; the output layer is linear, with bias, and gives one number a point:
above 0 means class 1. Start and optimiser are those of the book's recipe (page "Method"): Kaiming normal weights, gamma
uniform on [0, 1], beta 0, SGD with momentum 0.9, weight decay 1e-4 on what learns.

Activations lie unit by unit: value of unit u at point p is at u * n + p, so that inner loops run over neighbours. */
"use strict";
(function (root) {
  const EPSILON = 1e-5, KEEP = 0.9; // BatchNorm's; a tenth of each batch goes into the running statistics
  const LEARNS = ["bn", "output", "random:2", "all"];

  /** A generator of its own for each use of a seed: what one thing draws does not change what another one gets. */
  function stream(seed, use) {
    let state = 2166136261; // FNV-1a hashes seed and use; mulberry32 counts on from there
    for (const letter of `${seed}/${use}`) state = Math.imul(state ^ letter.charCodeAt(0), 16777619);
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, normal };
  }

  /** 0 .. n-1 in a random order. */
  function shuffled(n, { uniform }) {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** out[o] = sum over i of weight[o, i] * input[i], for n points each. */
  function linear(weight, input, out, n) {
    const outputs = out.length / n, inputs = input.length / n;
    out.fill(0);
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < inputs; i++) {
        const w = weight[o * inputs + i], to = o * n, from = i * n;
        for (let p = 0; p < n; p++) out[to + p] += w * input[from + p];
      }
  }

  /** Cross-entropy of an output z against a label, 0 or 1; finite for every finite z. */
  const entropy = (z, label) => Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)));

  /** One network, drawn from its seed, and which of its numbers learn.

  depth, width: hidden layers, and units in each. learns: "bn" (gamma and beta), "output", "random:2" (two random weights of
  each hidden unit, as many numbers as gamma and beta) or "all". The seed alone draws the numbers, whatever learns. */
  class Network {
    constructor({ depth = 3, width = 16, learns = "bn", seed = 0, inputs = 2 } = {}) {
      if (!LEARNS.includes(learns)) throw new RangeError(`learns: ${learns} is none of ${LEARNS.join(", ")}`);
      if (!(depth >= 1 && width >= 1)) throw new RangeError(`depth ${depth}, width ${width}: both must be 1 or more`);
      this.learns = learns;
      this.inputs = inputs;
      this.parameters = [];
      const add = (name, group, values, places = null) => {
        const learning = learns === "all" || learns === group || (places !== null && learns === "random:2");
        const one = { name, group, values, gradient: new Float64Array(values.length), speed: new Float64Array(values.length) };
        this.parameters.push({ ...one, learning, places: learns === "random:2" ? places : null });
        return this.parameters[this.parameters.length - 1];
      };
      this.layers = [];
      for (let l = 0; l < depth; l++) {
        const fan = l ? width : inputs, { normal } = stream(seed, `weight ${l}`), { uniform } = stream(seed, `gamma ${l}`);
        const where = stream(seed, `places ${l}`);
        const places = Array.from({ length: width }, (_, u) => shuffled(fan, where).slice(0, 2).map((i) => u * fan + i)).flat();
        const weight = Float64Array.from({ length: width * fan }, () => normal() * Math.sqrt(2 / fan));
        this.layers.push({
          weight: add(`layers.${l}.weight`, "weight", weight, places),
          gamma: add(`layers.${l}.gamma`, "bn", Float64Array.from({ length: width }, uniform)),
          beta: add(`layers.${l}.beta`, "bn", new Float64Array(width)),
          mean: new Float64Array(width),
          variance: new Float64Array(width).fill(1),
        });
      }
      const { normal } = stream(seed, "output weight"), { uniform } = stream(seed, "output bias");
      this.output = {
        weight: add("output.weight", "output", Float64Array.from({ length: width }, () => normal() * Math.sqrt(2 / width))),
        bias: add("output.bias", "output", Float64Array.of((2 * uniform() - 1) / Math.sqrt(width))),
      };
      this.buffers = new Map();
    }

    /** Number of parameters that learn. */
    get trainable() {
      return this.parameters.reduce((sum, one) => sum + (one.learning ? (one.places || one.values).length : 0), 0);
    }

    /** Every gamma, layer after layer. */
    get gammas() {
      return this.layers.flatMap((layer) => Array.from(layer.gamma.values));
    }

    /** What each of n points gives, with the statistics of just these points; moves the running statistics, as training does. */
    forward(points, n) {
      if (!(n >= 2)) throw new RangeError(`a batch of ${n}: BatchNorm needs two points or more`);
      if (!this.buffers.has(n)) this.buffers.set(n, this.layers.map(({ beta }) => this.#room(beta.values.length * n)));
      this.batch = { points, n, rooms: this.buffers.get(n) };
      let input = points;
      this.layers.forEach((layer, l) => {
        const { normed, active, scale } = this.batch.rooms[l], { mean, variance } = layer;
        const gamma = layer.gamma.values, beta = layer.beta.values;
        linear(layer.weight.values, input, normed, n);
        for (let u = 0; u < gamma.length; u++) {
          const from = u * n;
          let sum = 0, squares = 0;
          for (let p = 0; p < n; p++) sum += normed[from + p];
          const mu = sum / n;
          for (let p = 0; p < n; p++) squares += (normed[from + p] - mu) ** 2;
          scale[u] = 1 / Math.sqrt(squares / n + EPSILON);
          mean[u] = KEEP * mean[u] + (1 - KEEP) * mu;
          variance[u] = KEEP * variance[u] + ((1 - KEEP) * squares) / (n - 1);
          for (let p = from; p < from + n; p++) {
            normed[p] = (normed[p] - mu) * scale[u];
            active[p] = Math.max(0, gamma[u] * normed[p] + beta[u]);
          }
        }
        input = active;
      });
      this.batch.out = new Float64Array(n);
      linear(this.output.weight.values, input, this.batch.out, n);
      this.batch.out.forEach((_, p, out) => (out[p] += this.output.bias.values[0]));
      return this.batch.out;
    }

    #room(size) {
      const make = () => new Float64Array(size);
      return { normed: make(), active: make(), back: make(), scale: make() };
    }

    /** The mean cross-entropy of the last forward against labels (0 or 1), and its gradient in each parameter that learns. */
    backward(labels) {
      const { points, n, rooms, out } = this.batch, last = rooms[rooms.length - 1];
      let loss = 0;
      const slope = Float64Array.from(out, (z, p) => {
        loss += entropy(z, labels[p]) / n;
        return (1 / (1 + Math.exp(-z)) - labels[p]) / n;
      });
      const { weight, bias } = this.output;
      bias.gradient[0] = slope.reduce((sum, s) => sum + s, 0);
      for (let u = 0; u < weight.values.length; u++) {
        let sum = 0;
        for (let p = 0; p < n; p++) {
          sum += slope[p] * last.active[u * n + p];
          last.back[u * n + p] = slope[p] * weight.values[u];
        }
        weight.gradient[u] = sum;
      }
      if (this.learns === "output") return loss; // nothing below the output layer asks for a gradient
      for (let l = this.layers.length - 1; l >= 0; l--) {
        const layer = this.layers[l], { normed, active, back, scale } = rooms[l];
        for (let u = 0; u < layer.gamma.values.length; u++) {
          let dGamma = 0, dBeta = 0;
          for (let p = u * n; p < (u + 1) * n; p++) {
            if (active[p] <= 0) back[p] = 0;
            dGamma += back[p] * normed[p];
            dBeta += back[p];
          }
          layer.gamma.gradient[u] = dGamma;
          layer.beta.gradient[u] = dBeta;
          const factor = layer.gamma.values[u] * scale[u];
          for (let p = u * n; p < (u + 1) * n; p++) back[p] = factor * (back[p] - (dBeta + normed[p] * dGamma) / n);
        }
        this.#pass(layer.weight, back, l ? rooms[l - 1].active : points, l ? rooms[l - 1].back : null, n);
      }
      return loss;
    }

    /** Through a linear layer: its gradient where it learns, and what goes on to the layer below where there is one. */
    #pass(weight, back, input, below, n) {
      const inputs = input.length / n, outputs = back.length / n;
      if (below) below.fill(0);
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++) {
          const at = o * inputs + i, w = weight.values[at];
          if (below) for (let p = 0; p < n; p++) below[i * n + p] += w * back[o * n + p];
          if (!weight.learning) continue;
          let sum = 0;
          for (let p = 0; p < n; p++) sum += back[o * n + p] * input[i * n + p];
          weight.gradient[at] = sum;
        }
    }

    /** One step of SGD, on what learns alone. decay acts on all of that; without decayBN, not on gamma and beta. */
    step({ rate = 0.1, momentum = 0.9, decay = 1e-4, decayBN = true } = {}) {
      for (const { group, values, gradient, speed, places, learning } of this.parameters) {
        if (!learning) continue;
        const pull = group === "bn" && !decayBN ? 0 : decay;
        const move = (i) => {
          speed[i] = momentum * speed[i] + gradient[i] + pull * values[i];
          values[i] -= rate * speed[i];
        };
        if (places) places.forEach(move);
        else for (let i = 0; i < values.length; i++) move(i);
      }
    }

    /** Activations of one hidden layer after the other, with the running statistics: each of n points by itself.

    Every |gamma| below clamp counts as 0; what is learned stays as it is. */
    *hidden(points, n, { clamp = 0 } = {}) {
      let input = points;
      for (const { weight, gamma, beta, mean, variance } of this.layers) {
        const active = new Float64Array(beta.values.length * n);
        linear(weight.values, input, active, n);
        gamma.values.forEach((own, u) => {
          const factor = (Math.abs(own) < clamp ? 0 : own) / Math.sqrt(variance[u] + EPSILON);
          const shift = beta.values[u] - factor * mean[u];
          for (let p = u * n; p < (u + 1) * n; p++) active[p] = Math.max(0, factor * active[p] + shift);
        });
        yield (input = active);
      }
    }

    /** What each of n points gives with the running statistics; options as in hidden. */
    predict(points, n, options) {
      let active;
      for (active of this.hidden(points, n, options)); // the last layer's
      const out = new Float64Array(n);
      linear(this.output.weight.values, active, out, n);
      return out.map((z) => z + this.output.bias.values[0]);
    }

    /** Of data (see pack): the mean cross-entropy, and the share on the right side of 0. Both NaN where there are no points. */
    measure({ points, labels, n }, options) {
      const out = this.predict(points, n, options);
      const right = out.reduce((sum, z, p) => sum + (z > 0 === labels[p] > 0), 0);
      return { loss: out.reduce((sum, z, p) => sum + entropy(z, labels[p]), 0) / n, accuracy: right / n };
    }

    /** How many hidden units have a ReLU that is off for every point of data. */
    off({ points, n }, options) {
      let count = 0;
      for (const active of this.hidden(points, n, options))
        for (let from = 0; from < active.length; from += n) count += active.subarray(from, from + n).every((value) => value === 0);
      return count;
    }
  }

  /** Points as the network wants them: all x, then all y; labels 0 or 1. list: of {x, y, label}. */
  function pack(list) {
    const points = Float64Array.from([...list.map(({ x }) => x), ...list.map(({ y }) => y)]);
    return { points, labels: Uint8Array.from(list, ({ label }) => label), n: list.length };
  }

  const SHAPES = {
    moons: (t, label) => {
      const side = label ? -1 : 1; // the second is the first, turned by half a circle
      return [side * (0.65 * Math.cos(Math.PI * t) - 0.33), side * (0.75 * Math.sin(Math.PI * t) - 0.2)];
    },
    circles: (t, label) => [Math.cos(2 * Math.PI * t), Math.sin(2 * Math.PI * t)].map((at) => at * (label ? 0.4 : 0.9)),
    spirals: (t, label) => {
      const radius = 0.08 + 0.92 * t, angle = 1.25 * 2 * Math.PI * t + label * Math.PI;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    },
  };
  const NOISE = { moons: 0.08, circles: 0.08, spirals: 0.03 };

  /** n points of a data set ("moons", "circles" or "spirals"), half of each class, about within [-1, 1]. use: "train" or "test". */
  function sample(name, n, seed, use) {
    const { uniform, normal } = stream(seed, `${name} ${use}`);
    return Array.from({ length: n }, (_, i) => {
      const [x, y] = SHAPES[name](uniform(), i % 2);
      return { x: x + NOISE[name] * normal(), y: y + NOISE[name] * normal(), label: i % 2 };
    });
  }

  /** Batches of a network's training, in an order that the seed draws for each epoch. data: of pack. */
  class Training {
    constructor(network, data, { batch = 32, seed = 0 } = {}) {
      Object.assign(this, { network, data, seed, batch: Math.min(batch, data.n), steps: 0, epoch: 0, order: [] });
    }

    /** One step, with the options of Network.step; the batch's loss before it. */
    step(options) {
      if (this.order.length < this.batch) { // what does not fill a batch waits for another epoch's order
        this.order = shuffled(this.data.n, stream(this.seed, `order ${this.epoch}`));
        this.epoch++;
      }
      const { points, labels, n } = this.data, own = this.order.splice(0, this.batch);
      this.network.forward(Float64Array.from([...own, ...own.map((i) => i + n)], (i) => points[i]), own.length);
      const loss = this.network.backward(own.map((i) => labels[i]));
      this.network.step(options);
      this.steps++;
      return loss;
    }
  }

  const library = { Network, Training, LEARNS, pack, sample, stream };
  if (typeof module !== "undefined" && module.exports) module.exports = library;
  else root.BatchNormOnly = library;
})(globalThis);
