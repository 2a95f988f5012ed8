"""The page "Play": its network is PyTorch's to rounding, what its text says is so, and it works for everybody."""

import functools
import http.server
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_core_python.selenium import Axe
from patience import until
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "_build" / "html" / "book" / "playground.html"
NETWORK = (ROOT / "book" / "_static" / "playground" / "network.js").read_text(encoding="utf-8")
LEARNS = ["bn", "output", "random:2", "all"]


# The network, against PyTorch.


@pytest.fixture
def run(browser):
    """Runs JavaScript with network.js and nothing else loaded, and returns its result."""
    browser.execute_script(NETWORK)
    return lambda script, *values: browser.execute_script(f"const B = BatchNormOnly; {script}", *values)


TRAIN = """
const [options, sgd, batches] = arguments, network = new B.Network(options), numbers = (one) => Array.from(one);
const state = () => Object.fromEntries(network.parameters.map(({name, values}) => [name, numbers(values)]));
const gradients = () => Object.fromEntries(network.parameters.filter(({learning}) => learning)
  .map(({name, gradient}) => [name, numbers(gradient)]));
const places = Object.fromEntries(network.parameters.map(({name, places}) => [name, places]));
const start = state(), steps = batches.map(({points, labels}) => {
  const out = numbers(network.forward(Float64Array.from(points.flat()), labels.length)), loss = network.backward(labels);
  const own = gradients();
  network.step(sgd);
  return {out, loss, gradients: own, state: state()};
});
const {points, labels} = batches[0], data = {points: Float64Array.from(points.flat()), labels, n: labels.length};
return {start, places, steps, trainable: network.trainable, measured: network.measure(data), off: network.off(data),
  clamped: numbers(network.predict(data.points, data.n, {clamp: 0.3})),
  running: network.layers.map(({mean, variance}) => [numbers(mean), numbers(variance)])};
"""


class Reference(nn.Module):
    """The same network in PyTorch, in float64; `free` are its parameters that learn, by the names of network.js."""

    def __init__(self, start, places, learns, depth, width):
        super().__init__()
        layers = []
        for layer in range(depth):
            layers += [nn.Linear(width if layer else 2, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        self.stack = nn.Sequential(*layers, nn.Linear(width, 1)).double()
        own = {f"layers.{i}.weight": f"{3 * i}.weight" for i in range(depth)}
        own |= {f"layers.{i}.gamma": f"{3 * i + 1}.weight" for i in range(depth)}
        own |= {f"layers.{i}.beta": f"{3 * i + 1}.bias" for i in range(depth)}
        own |= {"output.weight": f"{3 * depth}.weight", "output.bias": f"{3 * depth}.bias"}
        shapes = dict(self.stack.named_parameters())
        self.names = {ours: theirs for ours, theirs in own.items()}
        self.fixed = {n: torch.tensor(start[n], dtype=torch.float64).reshape(shapes[own[n]].shape) for n in own}
        chosen = {
            "bn": lambda name: name.endswith(("gamma", "beta")),
            "output": lambda name: name.startswith("output"),
            "random:2": lambda name: re.fullmatch(r"layers\.\d+\.weight", name),
            "all": lambda name: True,
        }[learns]
        self.places = {n: torch.tensor(places[n] if learns == "random:2" else range(len(start[n]))) for n in own if chosen(n)}
        self.free = {n: self.fixed[n].flatten()[at].clone().requires_grad_() for n, at in self.places.items()}

    def values(self):
        whole = dict(self.fixed)
        for name, at in self.places.items():
            whole[name] = whole[name].flatten().index_put((at,), self.free[name]).reshape(whole[name].shape)
        return whole

    def forward(self, points, clamp=0.0):
        values = {
            self.names[name]: torch.where(value.abs() < clamp, 0.0, value) if "gamma" in name else value
            for name, value in self.values().items()
        }
        return torch.func.functional_call(self.stack, values, (points,)).squeeze(1)


def close(ours, theirs, what):
    theirs = theirs.detach().flatten()
    torch.testing.assert_close(torch.tensor(ours, dtype=torch.float64), theirs, rtol=1e-6, atol=1e-12, msg=lambda m: f"{what}: {m}")


@pytest.mark.parametrize("decay_bn", [True, False])
@pytest.mark.parametrize(("depth", "width"), [(1, 3), (1, 16), (3, 2), (3, 8), (3, 16)])
@pytest.mark.parametrize("learns", LEARNS)
def test_every_step_is_pytorchs(run, learns, depth, width, decay_bn):
    random = np.random.RandomState(depth * 100 + width)
    batches = [{"points": random.randn(2, n).tolist(), "labels": random.randint(0, 2, n).tolist()} for n in (17, 12, 17, 2, 9)]
    # A decay large enough to be seen, were it wrong.
    got = run(TRAIN, {"depth": depth, "width": width, "learns": learns, "seed": 5}, {"decay": 0.1, "decayBN": decay_bn}, batches)

    reference = Reference(got["start"], got["places"], learns, depth, width)
    affine = [value for name, value in reference.free.items() if name.endswith(("gamma", "beta"))]
    others = [value for name, value in reference.free.items() if not name.endswith(("gamma", "beta"))]
    groups = [{"params": affine, "weight_decay": 0.1 * decay_bn}, {"params": others, "weight_decay": 0.1}]
    optimiser = torch.optim.SGD([group for group in groups if group["params"]], lr=0.1, momentum=0.9)
    assert got["trainable"] == sum(value.numel() for value in reference.free.values())

    for number, (batch, step) in enumerate(zip(batches, got["steps"], strict=True)):
        points = torch.tensor(batch["points"], dtype=torch.float64).T
        out = reference(points)
        loss = nn.functional.binary_cross_entropy_with_logits(out, torch.tensor(batch["labels"], dtype=torch.float64))
        optimiser.zero_grad()
        loss.backward()
        close(step["out"], out, f"step {number}, outputs")
        close([step["loss"]], loss, f"step {number}, loss")
        assert set(step["gradients"]) == set(reference.free)
        for name, value in reference.free.items():
            own = torch.tensor(step["gradients"][name], dtype=torch.float64)[reference.places[name]].tolist()
            close(own, value.grad, f"step {number}, gradient of {name}")
        optimiser.step()
        for name, value in reference.values().items():
            close(step["state"][name], value, f"step {number}, {name}")

    norms = [layer for layer in reference.stack if isinstance(layer, nn.BatchNorm1d)]
    for (mean, variance), norm in zip(got["running"], norms, strict=True):
        close(mean, norm.running_mean, "running mean")
        close(variance, norm.running_var, "running variance")
    reference.eval()
    points, labels = torch.tensor(batches[0]["points"], dtype=torch.float64).T, torch.tensor(batches[0]["labels"])
    out, hidden, off = reference(points), points, 0
    values = {name: reference.values()[ours] for ours, name in reference.names.items()}
    for at, layer in enumerate(reference.stack[:-1]):
        own = {name.removeprefix(f"{at}."): value for name, value in values.items() if name.startswith(f"{at}.")}
        hidden = torch.func.functional_call(layer, own, (hidden,))
        if isinstance(layer, nn.ReLU):
            off += int((hidden == 0).all(0).sum())
    assert got["off"] == off
    close([got["measured"]["loss"]], nn.functional.binary_cross_entropy_with_logits(out, labels.double()), "measured loss")
    assert got["measured"]["accuracy"] == pytest.approx(((out > 0) == (labels > 0)).double().mean().item())
    close(got["clamped"], reference(points, clamp=0.3), "with small γ at 0")


FROZEN = """
const network = new B.Network({depth: 3, width: 8, learns: arguments[0], seed: 1});
const state = () => network.parameters.map(({name, values, learning, places}) => ({name, values: [...values], learning, places}));
const training = new B.Training(network, B.pack(B.sample("spirals", 100, 1, "train")), {seed: 1}), before = state();
for (let i = 0; i < 50; i++) training.step({rate: 0.3});
return [before, state()];
"""


@pytest.mark.parametrize("learns", LEARNS)
def test_frozen_numbers_keep_every_bit_and_the_others_move(run, learns):
    before, after = run(FROZEN, learns)
    for old, new in zip(before, after, strict=True):
        moved = [i for i, (a, b) in enumerate(zip(old["values"], new["values"], strict=True)) if a != b]
        free = (old["places"] if old["places"] else list(range(len(old["values"])))) if old["learning"] else []
        assert moved == sorted(free), (learns, old["name"])


def test_the_seed_alone_draws_the_network(run):
    draw = """return arguments[0].map(([learns, seed]) => new B.Network({depth: 3, width: 64, learns, seed})
      .parameters.map(({name, values}) => [name, [...values]]))"""
    first, *same, other = run(draw, [*[[learns, 3] for learns in LEARNS], ["bn", 4]])
    assert all(one == first for one in same)
    values = {name: np.array(numbers) for name, numbers in first}
    assert [name for name, numbers in other if np.array_equal(values[name], numbers)] == [f"layers.{i}.beta" for i in range(3)]
    gamma = np.concatenate([values[f"layers.{i}.gamma"] for i in range(3)])
    assert gamma.min() > 0 and gamma.max() < 1 and abs(gamma.mean() - 0.5) < 0.1
    assert values["layers.1.weight"].std() == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert abs(values["layers.1.weight"].mean()) < 0.01
    assert not values["layers.2.beta"].any()


def test_data_sets_are_balanced_and_held_out_points_are_others(run):
    for name in ("moons", "circles", "spirals"):
        train, test = (run("return B.sample(...arguments)", name, 200, 0, use) for use in ("train", "test"))
        assert sum(point["label"] for point in train) == sum(point["label"] for point in test) == 100
        assert not {(point["x"], point["y"]) for point in train} & {(point["x"], point["y"]) for point in test}
        assert max(abs(point[axis]) for point in train + test for axis in "xy") < 1.3, "outside the square"


@pytest.mark.parametrize("options", [{"learns": "gamme"}, {"depth": 0}, {"width": 0}])
def test_a_network_that_cannot_be_is_refused(run, options):
    message = run("try { new B.Network(arguments[0]) } catch (error) { return error.message }", options)
    assert str(next(iter(options.values()))) in message


# What the text says, over seeds that the page can show.

OUTCOMES = """
const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
return arguments[0].map(({data, depth, learns, decay}) => {
  const seeds = [0, 1, 2, 3, 4].map((seed) => {
    const network = new B.Network({depth, width: 16, learns, seed}), [train, test] = ["train", "test"]
      .map((use) => B.pack(B.sample(data, 200, seed, use)));
    const small = () => network.gammas.filter((gamma) => Math.abs(gamma) < 0.05).length / network.gammas.length, first = small();
    const training = new B.Training(network, train, {seed});
    for (let i = 0; i < 2000; i++) training.step({rate: 0.1, decayBN: decay});
    return {first, small: small(), accuracy: network.measure(test).accuracy, off: network.off(train),
      clamped: network.measure(test, {clamp: 0.2}).accuracy, trainable: network.trainable};
  });
  return Object.fromEntries(Object.keys(seeds[0]).map((key) => [key, mean(seeds.map((one) => one[key]))]));
});
"""


@pytest.mark.slow
def test_what_the_page_says_is_so(run):
    names = {
        **{f"{data} {learns}": (data, 3, learns, True) for data in ("spirals",) for learns in LEARNS},
        **{f"{data} bn": (data, 3, "bn", True) for data in ("moons", "circles")},
        **{f"depth {depth}": ("spirals", depth, "bn", True) for depth in (1, 2)},
        "no decay": ("spirals", 3, "bn", False),
    }
    asked = [dict(zip(("data", "depth", "learns", "decay"), values, strict=True)) for values in names.values()]
    found = dict(zip(names, run(OUTCOMES, asked), strict=True))
    bn, accuracy = found["spirals bn"], {name: one["accuracy"] for name, one in found.items()}
    assert min(accuracy[f"{data} bn"] for data in ("moons", "circles", "spirals")) > 0.95, "γ and β alone learn"
    assert found["spirals random:2"]["trainable"] == bn["trainable"], "as many numbers"
    assert max(accuracy["spirals random:2"], accuracy["spirals output"]) < accuracy["spirals bn"] - 0.1, "far worse"
    assert accuracy["depth 1"] < accuracy["depth 2"] < accuracy["spirals bn"], "deeper is better"
    assert bn["small"] > 1.5 * bn["first"] and found["no decay"]["small"] > 1.5 * found["no decay"]["first"], "more γ near 0"
    assert bn["accuracy"] - bn["clamped"] < 0.01, "small γ hardly matter"
    assert bn["off"] > 1.3 * found["spirals all"]["off"], "more units off"


# The page, in a browser.


@pytest.fixture(scope="module")
def addresses():
    """The built page from a file and from a server."""
    if not PAGE.exists():
        pytest.skip("the book has not been built: make book")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGE.parent.parent))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield {"file": PAGE.as_uri(), "http": f"http://127.0.0.1:{server.server_port}/book/playground.html"}
    server.shutdown()
    server.server_close()
    thread.join()


class Window:
    """The page in the browser, and what one does there."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def open(self, fragment="", scheme="file"):
        self.browser.get("about:blank")  # another fragment alone would not load the page again
        self.browser.get_log("browser")
        self.browser.get(f"{self.address[scheme]}{fragment}")
        return self

    def js(self, script, *values):
        return self.browser.execute_script(
            "const part = (name) => document.querySelector(`[data-part='${name}']`);"
            "const field = (name) => document.querySelector(`#playground`).elements[name];" + script,
            *values,
        )

    def text(self, part):
        return self.js("return part(arguments[0]).textContent", part)

    def steps(self):
        return int(self.text("steps"))

    def accuracy(self):
        return float(self.text("accuracy").removesuffix(" %")) / 100

    def hash(self, *words):
        """The address's fragment, once it has all these words: it follows a little later."""
        self.until(lambda: all(word in self.js("return location.hash") for word in words))
        return self.js("return location.hash")

    def press(self, what):
        self.browser.find_element("css selector", f'[data-do="{what}"]').click()

    def playing(self):
        return self.js("return document.querySelector('[data-do=play]').textContent") == "Pause"

    def set(self, name, value):
        self.js(
            "const one = [].concat(field(arguments[0]))[0], to = arguments[1]; if (one.length && !one.options)"
            " field(arguments[0]).value = to; else if (one.type === 'checkbox') one.checked = to; else one.value = to;"
            " (one.length && !one.options ? one[0] : one).dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    def until(self, what):
        until(what, lambda: f"it never came; step {self.text('steps')}, {self.text('accuracy')}")

    def errors(self):
        return [entry for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def window(browser, addresses):
    return Window(browser, addresses)


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_it_starts_and_learns_by_itself_without_errors_or_other_hosts(window, scheme):
    window.open(scheme=scheme)
    assert window.js("return field('learns').value") == "bn" and window.playing()
    window.until(lambda: window.accuracy() > 0.9 and window.steps() > 300)
    assert window.text("trainable").startswith("96 of ")
    assert window.errors() == []
    asked = window.js("return performance.getEntriesByType('resource').map(({name}) => name)")
    assert not [name for name in asked if not name.startswith(window.address[scheme].split("/book/")[0])]


@pytest.mark.parametrize("data", ["moons", "circles"])
def test_gamma_and_beta_alone_learn_the_other_data_sets(window, data):
    window.open(f"#data={data}")
    window.until(lambda: window.accuracy() > 0.95 and window.steps() > 200)


def test_pause_step_reset_and_seed(window):
    window.open()
    window.until(lambda: window.steps() > 40)
    window.press("play")
    paused, spot = window.steps(), window.js("return part('regions').toDataURL()")
    time.sleep(0.4)
    assert window.steps() == paused and not window.playing()
    window.press("step")
    assert window.steps() == paused + 1
    for _ in range(20):
        window.press("step")
    assert window.js("return part('regions').toDataURL()") != spot, "the regions have not been drawn again"
    window.press("reset")
    assert window.steps() == 0
    loss = window.text("loss")
    window.press("seed")
    assert window.js("return field('seed').value") == "1" and window.text("loss") != loss


@pytest.mark.parametrize("typed", ["", "1.5", "-4", "x"])
def test_a_seed_that_is_none_is_not_trained_with(window, typed):
    window.open("#seed=7")
    window.press("play")
    window.set("seed", typed)
    window.set("depth", "2")
    assert window.js("return field('seed').value") == "7" and window.hash("depth=2") == "#depth=2&seed=7"
    window.js("field('seed').value = arguments[0]", typed)
    window.press("seed")
    assert window.js("return field('seed').value") == "8"


def test_zeros_before_a_seed_make_no_other_one(window):
    window.open("#seed=007")
    window.press("play")
    assert window.js("return field('seed').value") == "7"
    window.set("seed", "0012")
    window.js("field('seed').dispatchEvent(new Event('change', {bubbles: true}))")
    assert window.js("return field('seed').value") == "12" and window.hash("seed=12") == "#seed=12"


def test_points_of_one_class_alone_are_not_trained_on(window):
    window.open("#data=draw&points=a1010a2020a3030")
    window.press("play")
    assert not window.playing() and window.steps() == 0
    assert window.js("return document.getElementById('pg-status').textContent") == "Add points of both classes first."
    window.open("#data=draw&points=a1010a2020b9090b8080")
    assert window.text("accuracy") == "–, no point is held out yet"


def test_a_point_taken_away_does_not_take_the_steps_away(window):
    window.open("#data=draw&points=a1010a2020a1515a1212b9090b8080b8585b8888")
    window.until(lambda: window.steps() > 10)
    window.press("play")
    steps = window.steps()
    window.press("undo")
    assert window.steps() == steps and window.text("steps") == str(steps)


def test_a_browser_that_takes_no_more_addresses_does_no_harm(window):
    window.open("#data=draw")
    window.js("history.replaceState = () => { throw new DOMException('too many', 'SecurityError'); }; part('regions').focus()")
    window.browser.switch_to.active_element.send_keys("ab")
    assert len(window.js("return field('points').value")) == 10 and "Added a point of class B" in window.js(
        "return document.getElementById('pg-status').textContent"
    )
    assert window.errors() == []


def test_a_training_that_only_guesses_says_so(window):
    window.open("#learns=all&rate=1")  # all three seeds that were tried collapse
    window.until(lambda: window.steps() > 520 and window.text("loss").endswith("; guessing has 0.693"))
    window.open()
    window.until(lambda: window.steps() > 520)
    assert "guessing" not in window.text("loss")


def test_the_same_settings_give_the_same_numbers(window):
    def outcome():
        window.open("#data=circles&width=8&seed=7")
        window.press("play")
        window.press("reset")
        for _ in range(45):
            window.press("step")
        return [window.text(part) for part in ("accuracy", "loss", "off", "threshold")]

    assert outcome() == outcome()


def test_curves_stay_to_compare_until_another_network_is_asked_for(window):
    curves = "return [...document.querySelectorAll('[data-of]')].filter((one) => one.textContent).map((one) => one.dataset.of)"
    window.open()
    window.until(lambda: window.steps() >= 40)
    window.press("play")
    window.set("learns", "output")
    assert window.steps() == 0
    window.press("play")
    window.until(lambda: window.steps() >= 40)
    assert window.js(curves) == ["bn", "output"]
    assert window.js("return part('curves').querySelectorAll('polyline').length") == 2
    window.set("depth", "2")
    assert window.js(curves) == ["output"]


def test_the_fragment_holds_and_restores_every_setting(window):
    window.open()
    wanted = {"data": "moons", "learns": "all", "depth": "2", "width": "8", "rate": "0.3", "seed": "12", "threshold": "0.4"}
    for name, value in wanted.items():
        window.set(name, value)
    for name, value in {"decay": False, "clamp": True, "held": True}.items():
        window.set(name, value)
    fragment = window.hash("held=1")
    window.open(fragment)
    assert {name: window.js("return field(arguments[0]).value", name) for name in wanted} == wanted
    assert window.js("return ['decay', 'clamp', 'held'].map((name) => field(name).checked)") == [False, True, True]
    window.js("location.hash = '#data=circles'")
    window.until(lambda: window.js("return field('data').value") == "circles")
    assert window.js("return field('depth').value") == "3"


@pytest.mark.parametrize("fragment", ["#data=cats&depth=99&seed=x&learns=", "#points=<b>&data=draw", "#one-unit-seen-from-inside"])
def test_a_wrong_fragment_does_no_harm(window, fragment):
    window.open(fragment)
    assert window.js("return ['depth', 'learns', 'seed', 'points'].map((name) => field(name).value)") == ["3", "bn", "0", ""]
    assert window.errors() == []


def test_the_threshold_clamps(window):
    window.open("#threshold=1")
    window.until(lambda: window.accuracy() > 0.9 and window.steps() > 300)
    window.press("play")
    as_learned, gammas = window.accuracy(), window.text("threshold")
    below, every = map(int, re.search(r"(\d+) of (\d+)", gammas).groups())
    assert 0 < below < every == 48
    window.set("clamp", True)
    clamped = window.accuracy()
    assert clamped < as_learned, "a third of the network is gone"
    assert f"{100 * clamped:.1f} %" in window.text("clamped") and f"{100 * as_learned:.1f} %" in window.text("clamped")
    window.set("threshold", "0")
    assert window.accuracy() == as_learned, "what was learned has changed"


def test_points_by_hand_with_the_keyboard_and_with_the_pointer(window):
    from selenium.webdriver import ActionChains, Keys

    window.open("#data=draw")
    assert not window.playing() and "Add points" in window.text("regions") + window.js(
        "return document.getElementById('pg-status').textContent"
    )
    canvas = window.browser.find_element("css selector", "[data-part=regions]")
    window.js("part('regions').focus()")
    keys = [Keys.ARROW_LEFT] * 5 + ["a"] + [Keys.ARROW_UP] * 4 + ["a"] + [Keys.ARROW_RIGHT] * 12 + ["b"] + [Keys.ARROW_DOWN] * 4
    ActionChains(window.browser).send_keys(*keys, "bbb", Keys.BACKSPACE).perform()
    first = window.js("return field('points').value")
    assert re.fullmatch(r"(a\d{4}){2}(b\d{4}){3}", first)
    stroke = ActionChains(window.browser).move_to_element_with_offset(canvas, 60, 60).click_and_hold().move_by_offset(60, 0)
    stroke.release().perform()
    assert len(window.js("return field('points').value")) > len(first), "no point where the pointer was"
    window.press("play")
    window.until(lambda: float(window.text("loss")) < 0.3)
    fragment = window.hash(window.js("return field('points').value"))
    window.press("clear")
    assert not window.playing() and window.js("return field('points').value") == ""
    assert window.errors() == []
    window.open(fragment)
    assert window.js("return field('points').value").startswith(first)


def test_every_control_can_be_reached_and_used_by_keyboard(window):
    from selenium.webdriver import ActionChains, Keys

    window.open("#data=draw")
    window.js("document.querySelector('[data-do=play]').focus()")
    reached = []
    for _ in range(40):
        at = "const one = document.activeElement; return one.name || one.dataset.do || one.dataset.part || one.dataset.gamma || ''"
        reached.append(window.js(at))
        ActionChains(window.browser).send_keys(Keys.TAB).perform()
    controls = ["play", "step", "reset", "seed", "regions", "held", "brush", "undo", "clear", "learns", "data", "depth", "width"]
    controls += ["rate", "seed", "decay", "threshold", "clamp", "0.5", "gamma", "beta"]
    places = iter(reached)
    assert all(name in places for name in controls), reached
    window.open()
    window.js("document.querySelector('[data-do=play]').focus()")
    ActionChains(window.browser).send_keys(" ").perform()
    assert not window.playing()
    window.js("document.querySelector('[name=threshold]').focus()")
    ActionChains(window.browser).send_keys(Keys.ARROW_RIGHT).perform()
    assert window.text("threshold").startswith("0.06")
    window.js("document.querySelector('[name=learns]:checked').focus()")
    ActionChains(window.browser).send_keys(Keys.ARROW_DOWN).perform()
    assert window.js("return field('learns').value") == "output"


def test_with_motion_reduced_it_waits_and_redraws_at_most_twice_a_second(window):
    window.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    window.open()
    time.sleep(0.5)
    assert not window.playing() and window.steps() == 0
    window.js(
        "window.changes = 0; new MutationObserver(() => window.changes++)"
        ".observe(part('steps'), {childList: true, characterData: true, subtree: true})"
    )
    window.press("play")
    begun = time.monotonic()
    window.until(lambda: window.steps() > 20 and time.monotonic() - begun > 3)
    assert 1 <= window.js("return window.changes") <= 1 + 2 * (time.monotonic() - begun)


def test_the_spoken_text_is_not_changed_each_frame(window):
    window.open()
    window.js(
        "window.said = 0; new MutationObserver(() => window.said++)"
        ".observe(document.getElementById('pg-status'), {childList: true, characterData: true, subtree: true})"
    )
    window.until(lambda: window.steps() > 100)
    assert window.js("return window.said") <= 1
    window.press("play")
    said = window.js("return document.getElementById('pg-status').textContent")
    assert f"Step {window.steps()}, paused" in said and window.text("accuracy") in said and "class A" in said


def test_it_rests_where_nobody_looks(window):
    window.open()
    window.until(lambda: window.steps() > 20)
    window.js("window.scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")

    def rests():
        before = window.steps()
        time.sleep(0.7)
        return window.steps() == before

    window.until(rests)
    assert window.playing()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390, 320])
def test_it_fits_and_axe_finds_nothing(window, width, theme):
    mobile = width < 500
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile}
    window.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    window.open("#data=draw&points=a1020b3040a5060b7080&clamp=1")
    window.js("document.documentElement.dataset.theme = arguments[0]", theme)
    time.sleep(0.5)
    assert window.js("return document.documentElement.scrollWidth") <= width, "scrolls sideways"
    for place in ("#playground", "#unit"):
        wrong = Axe().run(window.browser, place)["violations"]
        assert not wrong, [(one["id"], [node["html"] for node in one["nodes"]]) for one in wrong]
    small = window.js("""
      return [...document.querySelectorAll(".pg :is(button, select, input:not([type=hidden]))")]
        .map((one) => [one, (one.closest("label") || one).getBoundingClientRect()])
        .filter(([, {width, height}]) => height && Math.min(width, height) < 24).map(([one]) => one.outerHTML)""")
    assert not small, "too small to touch"
    letters = window.js("""
      return [...document.querySelectorAll(".pg *")].filter((one) => one.checkVisibility() && [...one.childNodes]
        .some((node) => node.nodeType === 3 && node.data.trim())).map((one) => parseFloat(getComputedStyle(one).fontSize))""")
    assert min(letters) >= (11 if mobile else 12)
    cut = window.js("""
      return [...document.querySelectorAll(".pg svg text")].filter((one) => { const own = one.getBoundingClientRect(),
        svg = one.ownerSVGElement.getBoundingClientRect(); return own.left < svg.left - 1 || own.right > svg.right + 1; })
        .map((one) => one.textContent)""")
    assert not cut, "letters outside of their drawing"


def test_the_page_turns_dark_with_the_book(window):
    window.open()
    window.press("play")
    corner = "return [...part('regions').getContext('2d').getImageData(3, 3, 1, 1).data].slice(0, 3).reduce((a, b) => a + b)"
    window.js("document.documentElement.dataset.theme = 'light'")
    time.sleep(0.3)
    light = window.js(corner)
    window.js("document.documentElement.dataset.theme = 'dark'")
    window.until(lambda: window.js(corner) < light - 150)


# The drawing of one unit.


def test_the_units_shares_are_those_of_a_rectified_normal(window):
    window.open()
    x = torch.linspace(-12, 12, 400_001, dtype=torch.float64)
    weight = torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5 * (x[1] - x[0])
    for gamma, beta in [(1, 0), (0.3, -0.5), (-1.5, 0.7), (2, 3), (0.6, -1.8), (0.02, 0.6)]:
        got = window.js("return BatchNormUnit.rectified(...arguments)", gamma, beta)
        out = torch.relu(gamma * x + beta)
        mean = (weight * out).sum().item()
        off = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(-beta / abs(gamma), dtype=torch.float64)).item()
        assert got["off"] == pytest.approx(off, abs=1e-6)
        assert got["mean"] == pytest.approx(mean, abs=1e-5)
        assert got["deviation"] == pytest.approx(((weight * (out - mean) ** 2).sum().item()) ** 0.5, abs=1e-3)
    for beta, off in [(0.5, 0), (-0.5, 1), (0, 1)]:  # γ = 0: a constant
        assert window.js("return BatchNormUnit.rectified(0, arguments[0])", beta) == {
            "off": off,
            "mean": max(0, beta),
            "deviation": 0,
        }


def test_the_units_examples_sliders_and_dragging(window):
    from selenium.webdriver import ActionChains

    window.open()
    sentences = {"0.02": "constant", "0.6": "silent", "0.5": "tells inputs apart", "-1": "below 0"}
    for gamma, word in sentences.items():
        window.browser.find_element("css selector", f'[data-gamma="{gamma}"]').click()
        assert word in window.text("say")
    window.browser.find_element("css selector", '[data-gamma="0.5"]').click()
    assert "off for 50.0 %" in window.text("say")
    for name in ("beta", "gamma"):
        value = f"return +document.querySelector('#unit [name={name}]').value"
        before = window.js(value)
        handle = window.browser.find_element("css selector", f'[data-drag="{name}"]')
        target = handle.find_elements("css selector", "circle")[-1] if name == "gamma" else handle
        grip = ActionChains(window.browser).move_to_element_with_offset(target, 0 if name == "gamma" else -30, 0)
        grip.click_and_hold().move_by_offset(12, 0).move_by_offset(12, 0).release().perform()
        assert window.js(value) > before + 0.3, name
    assert window.errors() == []
