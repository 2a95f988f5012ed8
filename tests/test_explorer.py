"""The γ explorer: what it counts against numpy on the stored γ, in a real browser by keyboard and pointer; and with a kernel."""

import functools
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_core_python.selenium import Axe
from patience import PATIENCE, until
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bnlib import data, experiments, store
from bnlib.engine import evaluate, probes
from bnlib.report import analysis, explorer
from bnlib.report.explorer import content as contents
from bnlib.report.explorer.content import STOPS
from bnlib.store import networks

ROOT = Path(__file__).resolve().parent.parent
DEEP, WHOLE = "resnet32_bn_paper_seed0-9c6fccd6", "resnet32_all_short_seed0-7f25445a"
SEEDS = ["resnet14_bn_paper_seed0-3c3e6a91", "resnet14_bn_paper_seed1-69e6b644", "resnet14_bn_paper_seed2-e7268316"]


@pytest.fixture(scope="module")
def runs():
    """The committed runs of ResNet-14 and 32, so that what opens stays the same as more are run."""
    found = experiments.runs("fig5_thresholds", networks=["resnet14", "resnet32"])
    return found[found.id.isin([DEEP, WHOLE, *SEEDS])].reset_index(drop=True)


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    """A page that holds the explorer and nothing else; its folder."""
    folder = tmp_path_factory.mktemp("page")
    html = explorer.gamma(runs)._repr_html_()
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>γ</title><link rel="icon" href="data:,">'
    )
    whole = f'<!doctype html><html lang="en">{head}<main><h1>γ</h1>{html}</main>'
    (folder / "page.html").write_text(whole, encoding="utf-8")
    return folder


@pytest.fixture
def shown(browser, page):
    """Opens the page from the disk, with a fragment; waits until it has drawn itself, and sees to it that nothing went wrong."""

    def show(fragment="", address=None, width=1300, height=1600):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        )
        browser.get("about:blank")  # else another fragment alone loads nothing
        browser.get_log("browser")
        browser.get((address or (page / "page.html").as_uri()) + fragment)
        until(lambda: browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer .values td"))
        return browser

    yield show
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert not errors


def clicked(browser, selector) -> bool:
    """Whether the first that is displayed could be clicked; JupyterLab may draw it anew, or lay a question over it."""
    try:
        for one in browser.find_elements(By.CSS_SELECTOR, selector):
            if one.is_displayed():
                one.click()
                return True
    except StaleElementReferenceException:
        pass
    except ElementClickInterceptedException:  # on a busy machine it asks whether to wait for the kernel
        browser.execute_script("document.querySelector('.jp-Dialog .jp-mod-accept')?.click()")
    return False


def answers(address) -> bool:
    """Whether a server is there; its file is written before it listens."""
    try:
        return urllib.request.urlopen(address).status == 200
    except urllib.error.URLError:
        return False


def part(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, f".gamma-explorer {selector}")


def said(browser) -> dict[str, list[str]]:
    """The table of values: by the name of a row, its cells. Read in one go: a kernel's answer draws it anew."""
    rows = browser.execute_script(
        """return [...document.querySelectorAll(".gamma-explorer .values tbody tr")].map(
        row => [...row.cells].map(cell => cell.innerText.replace(/\\s+/g, " ")))"""
    )
    return {name: cells for name, *cells in rows}


def counted(gammas, threshold) -> str:
    """What the table says of one run's layers."""
    every = np.abs(np.concatenate(list(gammas)))
    below = int((every < threshold).sum())
    return f"{100 * below / len(every):.1f} % {below} of {len(every):,}"


def segment(run, number):
    return [gamma for layer, gamma in run.gamma.items() if layer.startswith(f"segments.{number - 1}.")]


# --- What is sent to the page


def test_every_count_at_every_stop_is_that_of_the_stored_gamma(runs):
    held = contents.content(runs, 0.01)
    for point in held["points"]:
        for one in point["runs"]:
            run, network, at = store.load(one["run"]), held["networks"][point["network"]], 0
            assert network["layers"] == list(run.gamma)
            for gamma, size in zip(run.gamma.values(), network["sizes"], strict=True):
                own, at = one["codes"][at : at + size], at + size
                codes = np.cumsum([ord(letter) - 48 for letter in own])
                assert [(codes <= i).sum() for i in range(len(STOPS))] == [(np.abs(gamma) < stop).sum() for stop in STOPS]
            every = np.concatenate(list(run.gamma.values()))
            assert at == len(every) == sum(one["bars"]) and len(one["bars"]) == len(held["edges"]) - 1
            inner = [((every >= low) & (every < high)).sum() for low, high in zip(held["edges"], held["edges"][1:], strict=False)]
            assert np.abs(np.array(inner) - one["bars"])[1:-1].sum() <= 2  # a γ on an edge, to the last bit


def test_the_stops_are_where_networks_are_asked_and_0_01_is_one():
    assert STOPS[15:].tolist() == list(probes.THRESHOLDS[1:]) and 0.01 in STOPS and (np.diff(STOPS) > 0).all()


def test_an_accuracy_is_that_of_exactly_the_features_below():
    run = store.load(DEEP)
    held = contents.counted(run, np.array([-1.0, 0, 1]))
    asked = run.probe("clamping")
    assert held["accuracy"][15:] == asked["accuracy"][1:] and held["beta"][15:] == asked["accuracy_beta"][1:]
    every = np.abs(np.concatenate(list(run.gamma.values())))
    counts = [round(share * len(every)) for share in asked["share"]]
    for stop, value in zip(STOPS[:15], held["accuracy"], strict=False):
        assert (value is None) == (int((every < stop).sum()) not in counts)


def test_decay_alone_starts_where_the_network_was_drawn():
    run = store.load(DEEP)
    start = np.concatenate([bn.weight.detach().numpy() for bn in networks.draw(run.spec).modules() if hasattr(bn, "running_var")])
    left = start.astype(float) * analysis.shrunk(run.spec.settings)
    assert contents.counted(run, np.array([-1.0, 0, 1]))["decayed"] == [int((left < stop).sum()) for stop in STOPS]


def test_it_opens_on_all_replicates_of_the_deepest_point_at_the_better_recipe(runs):
    every = experiments.runs("fig5_thresholds", networks=["resnet14", "resnet32"])
    assert contents.opening(runs) == [DEEP]
    assert contents.opening(runs[runs.id != DEEP]) == SEEDS
    both = every[every.recipe == "short"]
    found = contents.opening(both)
    assert [run.split("_")[:3] for run in found] == [["resnet32", "bn", "short"]] * 3 + [["resnet32", "all", "short"]]
    assert contents.opening(runs[:0]) == [] and contents.opening(runs[runs.id == WHOLE]) == [WHOLE]


def test_what_has_no_room_or_diverged_is_named(runs, monkeypatch):
    monkeypatch.setattr(contents, "LIMIT", len(contents.pack(contents.counted(store.load(DEEP), contents._edges(runs)))) + 10)
    held = contents.content(runs.assign(status=["diverged", *["finished"] * (len(runs) - 1)]), 0.01)
    assert [one["run"] for point in held["points"] for one in point["runs"]] == [DEEP]
    assert sorted(text.split(": ")[1] for text in held["left_out"]) == ["diverged"] + ["no room on this page"] * 3
    assert held["left_out"][0].startswith("ResNet-14, γ and β, 160 epochs, seed 0")


def test_a_page_with_every_run_is_small():
    html = explorer.gamma(experiments.runs("fig5_thresholds"))._repr_html_()
    assert len(html.encode()) < 250_000 and "http" not in html.split("<script>")[1]


def test_a_threshold_out_of_range_is_refused_and_nothing_run_is_said(runs):
    with pytest.raises(ValueError, match="use one from 0.0001 to 1.58"):
        explorer.gamma(runs, 2)
    assert "nothing has been run" in explorer.gamma(runs[:0])._repr_html_()
    assert explorer.gamma(runs, 0.0098).content["at"] == list(STOPS).index(0.01)


# --- In a browser


def test_the_keyboard_moves_the_threshold_and_every_number_is_numpys(shown):
    browser, run = shown(), store.load(DEEP)
    slider, at = part(browser, "[data-slider]"), list(STOPS).index(0.01)
    for key, step in ((Keys.RIGHT, 1), (Keys.RIGHT, 1), (Keys.LEFT, -1), (Keys.END, 100), (Keys.HOME, -100), (Keys.RIGHT, 1)):
        slider.send_keys(key)
        at = min(max(at + step, 0), len(STOPS) - 1)
        stop, found = STOPS[at], said(browser)
        assert float(part(browser, ".threshold output").text) == stop and slider.get_attribute("aria-valuetext") == f"{stop:g}"
        assert found["in all"] == [counted(run.gamma.values(), stop)]
        assert found["stem"] == [counted([run.gamma["bn"]], stop)]
        assert [found[f"segment {n}"] for n in (1, 2, 3)] == [[counted(segment(run, n), stop)] for n in (1, 2, 3)]
        share = counted(run.gamma.values(), stop).split(" %")[0]
        assert part(browser, "[role=status]").text.replace("\u00a0", " ") == f"Below {stop:g}: A {share} %."
        none = run.probe("clamping")["accuracy"][0]
        assert found["… in the training's precision"] == [f"{100 * none:.1f} %"]
        if at >= 15:
            assert found["… with these γ at 0"] == [f"{100 * run.probe('clamping')['accuracy'][at - 14]:.1f} %"]
    layers = part(browser, "[data-layer]")
    layers.send_keys(*[Keys.RIGHT] * 5)
    name = list(run.gamma)[5]
    assert said(browser)["in the chosen layer"] == [f"{counted([run.gamma[name]], STOPS[1])} {name}"]
    assert layers.get_attribute("aria-valuetext").startswith(f"{name}: A ")


def test_the_pointer_moves_it_too_and_chooses_a_layer(shown):
    browser, run = shown(), store.load(DEEP)
    panel = part(browser, "[data-panel=share]")
    place = lambda stop: round(44 + (panel.size["width"] - 56) * stop / (len(STOPS) - 1) - panel.size["width"] / 2)  # noqa: E731
    ActionChains(browser).move_to_element_with_offset(panel, place(20), 0).click_and_hold().perform()
    assert said(browser)["in all"] == [counted(run.gamma.values(), STOPS[20])]
    ActionChains(browser).move_to_element_with_offset(panel, place(45), 0).release().perform()
    assert said(browser)["in all"] == [counted(run.gamma.values(), STOPS[45])]
    strip, names = part(browser, "[data-panel=strip]"), list(run.gamma)
    across = 22 + (strip.size["width"] - 22) * 7.5 / len(names) - strip.size["width"] / 2
    ActionChains(browser).move_to_element_with_offset(strip, round(across), -10).perform()  # hovers, no button
    assert said(browser)["in the chosen layer"] == [f"{counted([run.gamma[names[7]]], STOPS[45])} {names[7]}"]


def test_replicates_are_ticks_of_their_own_and_several_are_a_mean_that_says_so(shown):
    browser = shown()
    assert "ResNet-32, γ and β, 160 epochs, seed 0 (n = 1)" in part(browser, ".legend").text.replace("\u00a0", " ")
    for seed in (0, 1, 2):
        part(browser, f'[aria-label="ResNet-14, γ and β, 160 epochs, seed {seed}"]').click()
        share = np.mean([np.mean(np.abs(np.concatenate(list(store.load(s).gamma.values()))) < 0.01) for s in SEEDS[: seed + 1]])
        assert said(browser)["in all"][0].split(" %")[0] == f"{100 * share:.1f}"
    assert "ResNet-14, γ and β, 160 epochs, mean of seeds 0, 1, 2 (n = 3)" in part(browser, ".legend").text.replace("\u00a0", " ")
    part(browser, '[aria-label="ResNet-32, everything, 16 epochs, seed 0"]').click()
    assert [len(cells) for cells in said(browser).values()] == [3] * len(said(browser))
    for box in browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer .runs input:checked"):
        box.click()
    assert part(browser, "[role=status]").text == "No run is ticked." and not said(browser)


def test_decay_and_the_papers_values_are_switched_on(shown):
    browser = shown()
    assert not browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer svg .paper, .gamma-explorer svg .alone")
    for key in ("decay", "paper", "beta"):
        part(browser, f"[data-switch={key}]").click()
    run, found = store.load(DEEP), said(browser)
    alone = contents.counted(run, np.array([-1.0, 0, 1]))["decayed"][30] / 1232
    assert found["weight decay alone"] == [f"{100 * alone:.1f} %"]
    assert found["… and their β, too"] == [f"{100 * run.probe('clamping')['accuracy_beta'][16]:.1f} %"]
    assert len(browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer svg .alone")) == 1
    text = part(browser, "[data-paper-said]").text.replace("\u00a0", " ")
    assert "ResNet-110, γ and β, 27 %; ResNet-110, everything, 9 %" in text and "ResNet-32, γ and β, 57.6 %" in text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer svg .paper")) == 2 * 3  # each a bar and a diamond


def test_a_view_can_be_linked(shown, page):
    browser = shown()
    part(browser, "[data-slider]").send_keys(Keys.RIGHT, Keys.RIGHT)
    part(browser, '[aria-label="ResNet-32, everything, 16 epochs, seed 0"]').click()
    part(browser, "[data-switch=decay]").click()
    part(browser, "[data-layer]").send_keys(Keys.RIGHT, Keys.RIGHT)
    before, address = said(browser), part(browser, "[data-link]").get_attribute("href")
    until(lambda: browser.current_url == address)
    shown("#" + address.split("#")[1], height=700)
    assert said(browser) == before and part(browser, "[data-switch=decay]").is_selected()
    assert len(before["in all"]) == 2 and browser.execute_script("return scrollY") > 0
    browser.execute_script("location.hash = 'gamma=0.1&runs=9c6fccd6'")
    until(lambda: said(browser)["in all"] == [counted(store.load(DEEP).gamma.values(), 0.1)])
    shown("#gamma=nonsense&runs=nothing")
    assert said(browser)["in all"] == [counted(store.load(DEEP).gamma.values(), 0.01)]


def test_the_link_follows_an_address_that_is_pasted_and_no_layer_is_beyond_the_first(shown):
    browser = shown("#gamma=0.01&runs=9c6fccd6&layer=-3")
    assert "layer=0" in part(browser, "[data-link]").get_attribute("href")
    browser.execute_script("location.hash = 'gamma=0.1&runs=9c6fccd6&layer=2'")
    until(lambda: "gamma=0.1&runs=9c6fccd6&layer=2" in part(browser, "[data-link]").get_attribute("href"))
    part(browser, "[data-link]").click()
    assert said(browser)["in all"] == [counted(store.load(DEEP).gamma.values(), 0.1)]


def test_what_a_kernel_answered_is_of_the_view_that_it_was_asked_for(shown, runs):
    browser, run, now = shown(), SEEDS[0], "… with these γ at 0, computed now"
    host = """
        window.view = ""; window.questions = [];
        const root = document.querySelector(".gamma-explorer"), packed = root.dataset.packed;
        window.begun = gammaExplorer(root, packed, {
          read: () => view, write: text => { view = text; }, changed: call => { window.changed = call; },
          ask: question => questions.push(question), hear: call => { window.hear = call; },
        });"""
    browser.execute_script(explorer.page.script() + host)
    until(lambda: browser.execute_script("return !!window.changed"))
    threshold = lambda stop: browser.execute_script(f"view = 'gamma={stop}&runs={run[-8:]}&layer=0'; changed()")  # noqa: E731
    asked = lambda: browser.execute_script("return questions.at(-1)")  # noqa: E731
    answer = lambda number: browser.execute_script(  # noqa: E731
        "hear({number: arguments[0], accuracies: {[arguments[1]]: [.55, .44, 500]}, note: '', done: 1})", number, run
    )
    threshold(0.01)
    until(lambda: (asked() or {}).get("threshold") == 0.01)
    answer(asked()["number"])
    assert said(browser)[now][0].startswith("55.0 %")
    threshold(1)  # as another view of the same explorer, or the kernel, sets it
    assert said(browser)[now] == ["–"]
    until(lambda: asked()["threshold"] == 1)
    answer(asked()["number"] - 1)
    assert said(browser)[now] == ["–"], "an answer to what is no longer shown"


def test_the_csv_is_what_is_shown(shown, tmp_path):
    browser, run = shown("#gamma=0.1&runs=9c6fccd6&show=decay"), store.load(DEEP)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    part(browser, "[data-csv]").click()
    frame = pd.read_csv(until(lambda: next(tmp_path.glob("*.csv"), None)))
    assert (frame.n == 1).all() and set(frame.network) == {"ResNet-32"} and set(frame.trained) == {"γ and β"}
    every = np.abs(np.concatenate(list(run.gamma.values())))
    own = frame[(frame.quantity == "share below") & (frame.of == "all")]
    assert own.threshold.tolist() == STOPS.tolist() and own.value.tolist() == [(every < stop).mean() for stop in STOPS]
    layers = frame[(frame.quantity == "share below") & frame.of.isin(run.gamma)].set_index("of").value
    assert layers.to_dict() == {name: (np.abs(gamma) < 0.1).mean() for name, gamma in run.gamma.items()}
    accuracy = frame[frame.quantity == "test accuracy"].set_index("threshold").value
    assert accuracy.loc[0.001:].tolist() == run.probe("clamping")["accuracy"][1:]
    assert frame[frame.quantity == "share in the bar"].value.sum() == pytest.approx(1)
    assert (frame.quantity == "share below, weight decay alone").sum() == len(STOPS)


def test_without_scripts_there_is_a_picture_in_words_too(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((page / "page.html").as_uri() + "#no-scripts")
        browser.refresh()
        root = browser.execute_cdp_cmd("DOM.getDocument", {})["root"]["nodeId"]
        image = browser.execute_cdp_cmd("DOM.querySelector", {"nodeId": root, "selector": ".gamma-explorer noscript img"})["nodeId"]
        size = browser.execute_cdp_cmd("DOM.getBoxModel", {"nodeId": image})["model"]
        attributes = browser.execute_cdp_cmd("DOM.getAttributes", {"nodeId": image})["attributes"]
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    alt = attributes[attributes.index("alt") + 1]
    assert size["width"] > 250 and size["height"] > 150 and "Below 0.01: ResNet-32, γ and β: 23.0%" in alt


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_it_is_legible_on_a_phone_and_in_the_dark_and_axe_finds_nothing(shown, width, theme):
    browser = shown("#gamma=0.1&runs=9c6fccd6.7f25445a.3c3e6a91&show=decay.paper.beta", width=width)
    browser.execute_script(
        """const style = document.documentElement.style; document.documentElement.dataset.theme = arguments[0];
        const [text, ground] = arguments[0] === "dark" ? ["#ced6dd", "#14181e"] : ["#222832", "#fff"];
        style.setProperty("--pst-color-text-base", text); style.setProperty("--pst-color-background", ground);
        style.setProperty("--pst-color-text-muted", arguments[0] === "dark" ? "#9ca4af" : "#48566b");
        document.body.style.background = ground; document.body.style.color = text;""",
        theme,
    )
    if width == 390 and not part(browser, ".runs").get_attribute("open"):
        part(browser, ".runs summary").click()
    sizes = browser.execute_script(
        """return [...document.querySelectorAll(".gamma-explorer svg text")].map(
        text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"""
    )
    assert len(sizes) > 40 and min(sizes) >= 10.99
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(browser, {"include": [[".gamma-explorer"]]}, {"resultTypes": ["violations"]})
    assert not [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
    if width == 390:
        assert min(box.size["height"] for box in browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer .runs label")) >= 24


def test_over_http_it_asks_for_nothing_but_its_page(shown, page):
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(page))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        browser = shown("#gamma=0.1", f"http://127.0.0.1:{server.server_port}/page.html")
        part(browser, "[data-slider]").send_keys(Keys.RIGHT)
        loaded = browser.execute_script('return performance.getEntriesByType("resource").map(one => one.name)')
        server.shutdown()
        thread.join()
    assert asked == ["/page.html"] and not [name for name in loaded if not name.startswith(("data:", "blob:"))]


@pytest.mark.parametrize("name", ["gamma_explorer", "fig5_thresholds", "fig6_clamping"])
def test_the_built_page_shows_the_page_and_not_the_widget(shown, name):
    built = ROOT / "_build" / "html" / "notebooks" / f"{name}.html"
    if not built.exists():
        pytest.skip("the book has not been built: make book")
    text = built.read_text(encoding="utf-8")
    assert "vnd.jupyter.widget" not in text and len(text.encode()) < 300_000
    browser = shown(address=built.as_uri())
    assert set(said(browser)) >= {"in all", "segment 3", "Test accuracy, in fp32", "… in the training's precision"}
    part(browser, "[data-slider]").send_keys(Keys.RIGHT)
    assert part(browser, "[role=status]").text.startswith("Below 0.01166: A ")


# --- With a kernel


def test_there_is_a_page_for_readers_and_a_widget_for_kernels(runs):
    bundle = explorer.gamma(runs)._repr_mimebundle_()
    assert {"text/html", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    assert "widget" not in bundle["text/plain"].lower() and "<script>" in bundle["text/html"]
    assert set(explorer.gamma(runs[:0])._repr_mimebundle_()) == {"text/html", "text/plain"}


def asked(live, run, threshold=0.01, images=500, number=1):
    """The last answer to a question, computed in this thread."""
    question = {"number": number, "runs": [run], "threshold": threshold, "images": images}
    live.set_trait("question", question) if live.question != question else None
    live.compute(question)
    return live.answer


@pytest.fixture
def live(runs, monkeypatch):
    """The widget, whose questions start no thread."""
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    return explorer.gamma(runs).live


def test_the_accuracy_is_computed_anew_in_the_same_way(live, cifar10):
    answer, run = asked(live, SEEDS[0], 0.1), store.load(SEEDS[0])
    model = run.model()
    stored = probes.clamping(model, cifar10, thresholds=(0.1,), images=500, precision=run.spec.precision)
    assert answer["accuracies"][SEEDS[0]] == [stored["accuracy"][0], stored["accuracy_beta"][0], 500] and answer["done"] == 1
    for bn in model.modules():
        if hasattr(bn, "running_var"):
            bn.weight.data[bn.weight.abs() <= 0.1] = 0
    assert answer["accuracies"][SEEDS[0]][0] == pytest.approx(evaluate(model, cifar10, images=500)[0], abs=0.012)  # fp32, here


def test_progress_is_said_and_a_newer_question_ends_it(live, cifar10):
    heard = []
    live.observe(lambda change: heard.append(change.new["done"]), "answer")
    asked(live, SEEDS[0])
    assert heard[:2] == [0, 0.5] and heard[-1] == 1
    question = dict(live.question)
    live.set_trait("question", {**question, "number": 2})
    heard.clear()
    live.compute(question)
    assert not heard


def test_where_it_cannot_be_computed_the_stored_curve_has_a_word(live, monkeypatch, tmp_path):
    answer = asked(live, WHOLE)
    assert "its convolutions were trained and are not stored" in answer["note"] and "The stored curve is shown." in answer["note"]
    monkeypatch.setenv("BNLIB_DATA", str(tmp_path))
    experiments.point._dataset.cache_clear()
    answer = asked(live, SEEDS[0], number=3)
    assert "CIFAR-10 is not in" in answer["note"] and answer["accuracies"] == {} and answer["done"] == 1
    with pytest.raises(data.DataMissing):
        list(experiments.clamped(SEEDS[0], 0.01, 100))


def began(browser):
    """Whether the first cell has begun; if not, asks for it once more: keys that come before JupyterLab is ready are lost."""
    prompts = browser.execute_script("return [...document.querySelectorAll('.jp-InputPrompt')].map(one => one.textContent.trim())")
    if any(prompt and prompt != "[ ]:" for prompt in prompts):
        return True
    if clicked(browser, ".jp-CodeCell .cm-line"):
        ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        time.sleep(1)
    return False


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="no JupyterLab here: pip install jupyterlab")
def test_in_jupyterlab_the_notebook_is_the_page(browser, cifar10, tmp_path):
    cell = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": []}
    source = f"""from bnlib import experiments
from bnlib.report import explorer
runs = experiments.runs("fig5_thresholds")
explorer.gamma(runs[runs.id == "{SEEDS[0]}"])"""
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": [{**cell, "source": source}], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "one.ipynb").write_text(json.dumps(notebook))
    settings = ["--no-browser", "--allow-root", "--port=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"]
    settings.append("--LabApp.news_url=None")  # asks nobody
    environment = {
        **os.environ,
        **{f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")},
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    log = (tmp_path / "log").open("w")
    lab = subprocess.Popen([sys.executable, "-m", "jupyterlab", *settings], cwd=tmp_path, env=environment, stderr=log, stdout=log)
    try:
        server = until(lambda: next((tmp_path / "RUNTIME").glob("jpserver-*.json"), None))
        address = until(lambda: server.read_text() and json.loads(server.read_text()))["url"]
        until(lambda: answers(f"{address}api"))
        browser.get(f"{address}lab/tree/one.ipynb")
        until(lambda: browser.find_elements(By.CSS_SELECTOR, '[data-status="idle"]'))
        until(lambda: began(browser))
        until(lambda: browser.find_elements(By.CSS_SELECTOR, ".gamma-explorer .values td"))
        part(browser, "[data-slider]").send_keys(*[Keys.RIGHT] * 15)
        run, now = store.load(SEEDS[0]), "… with these γ at 0, computed now"
        assert said(browser)["in all"] == [counted(run.gamma.values(), 0.1)]
        until(lambda: "first 500 images" in said(browser)[now][0])
        kept = [kept for _, kept, _ in experiments.clamped(SEEDS[0], 0.1, 500)][-1]
        assert said(browser)[now][0].startswith(f"{100 * kept:.1f} %")
    finally:
        browser.get("about:blank")
        lab.terminate()
        lab.wait(PATIENCE)
        log.close()


def test_it_shows_the_runs_of_several_experiments_each_once():
    found = explorer.shown("short", ["resnet14"])
    assert found.id.is_unique and set(found.model) == {"resnet14"} and set(found.recipe) == {"short"}
    names = dict(zip(found.id, found.variant, strict=True))
    assert names["resnet14_bn_short_seed0-f7b08146"] == "bn", "under the name of the first experiment that has it"
    points = {point["name"] for point in explorer.gamma(found).content["points"]}
    assert {"γ and β", "everything", "γ and β, learning rate 1", "γ and β, no weight decay on γ and β"} <= points
    assert {"γ and β, rotation", "everything, animals", "γ and β, GroupNorm", "everything, GroupNorm"} <= points
    assert not any(name.count("everything") > 1 for name in points), "each thing said once"


def test_the_papers_accuracies_stand_beside_networks_trained_as_its_own_alone():
    points = explorer.gamma(explorer.shown("short", ["resnet14"])).content["points"]
    assert {point["name"] for point in points if point["plain"]} == {"γ and β", "everything"}
    guesses = {task: {point["guess"] for point in points if task in point["name"]} for task in ("rotation", "animals", "digits")}
    assert guesses == {"rotation": {0.25}, "animals": {0.6}, "digits": {0.1}}, "three of five pictures show an animal"
