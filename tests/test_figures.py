"""Figures in a page: what is drawn, in which colours, in which words; and in a browser, light, dark, small and enlarged."""

import base64
import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from bnlib import experiments
from bnlib.report import analysis, figures, paper
from bnlib.report.figures import alt, style

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
POINT = dict(width=1, sd=np.nan, n=1, diverged=0)


def points(*rows):
    """Rows (depth, trainable, recipe, mean) as `analysis.summarise` gives them."""
    frame = pd.DataFrame(rows, columns=["depth", "trainable", "recipe", "mean"]).assign(**POINT)
    frame = frame.assign(network="ResNet-" + frame.depth.astype(str), variant=frame.trainable)
    return frame.assign(each=[(mean,) for mean in frame["mean"]], seeds=[(0,)] * len(frame))


def known(*rows):
    """Rows (network, trainable, value, kind) as `paper.values` gives them."""
    return pd.DataFrame(rows, columns=["network", "trainable", "value", "kind"]).assign(uncertainty=0.4)


def variant(depth, name, mean):
    return points((depth, "bn", "short", mean)).assign(variant=name)


def test_the_dashed_line_is_the_first_variant_or_none():
    both = pd.concat([variant(14, "bn", 44), variant(14, "gamma", 40), variant(32, "gamma", 45), variant(32, "beta", 33)])
    axes = figures.variants(both, ["bn", "gamma", "beta"]).axes
    assert [[line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] for ax in axes] == [[44], []]


def test_what_is_said_of_a_figure_is_what_it_shows():
    rows = pd.concat([points((14, one, "short", 40)) for one in ("bn", "random:2")] + [points((32, "bn", "paper", 59))])
    said = figures.random_parameters(rows).alt
    assert "ResNet-14" in said and "ResNet-32" not in said and "panels" not in said
    lost = points((14, "bn", "paper", 10)).assign(n=0, diverged=1)
    assert "all that has been run diverged" in figures.fig2_depth(lost, known().head(0)).alt
    lines = [
        pd.DataFrame({"epoch": [1, 16], "lr": 0.1, "train_accuracy": 0.5, "test_accuracy": [0.2, end], "seed": seed})
        for seed, end in ((0, 0.4375), (1, 0.45), (2, 0.44))
    ]
    own = {"network": "ResNet-14", "depth": 14, "trainable": "bn", "variant": "bn", "recipe": "short", "status": "finished"}
    for order in (lines, lines[::-1]):
        assert "44 % after 16" in figures.curves(pd.concat(order).assign(**own), paper.curve("ResNet-14")).alt, (
            "of seed 0, as drawn"
        )


OURS = points((14, "bn", "paper", 48), (32, "bn", "paper", 59), (14, "bn", "short", 44), (32, "all", "short", 86.4))
THEIRS = known(
    ("ResNet-14", "bn", 48.3, "digitised"), ("ResNet-866", "bn", 82, "paper-text"), ("ResNet-14", "bn", 47, "reproduction")
)


def drawn(html):
    """The SVG in a figure's HTML."""
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.S)[0])


def test_a_figure_is_html_and_a_picture_and_words():
    bundle = figures.show(figures.fig2_depth(OURS, THEIRS), "What ResNet-14 learns & more.", name="depth")._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    png = base64.b64decode(bundle["image/png"])
    assert png[1:4] == b"PNG" and struct.unpack(">I", png[16:20])[0] == int(6.4 * 96 * 2)
    html = bundle["text/html"]
    assert html.startswith('<figure class="bn-figure" id="depth">') and "://" not in html
    caption = 'What <span style="white-space:nowrap">ResNet-14</span> learns &amp; more.'
    assert f"<figcaption>{caption}</figcaption>" in html
    svg = drawn(html)
    assert svg.get("role") == "img" and svg.get("aria-label") == bundle["text/plain"] != ""
    assert figures.show(figures.fig2_depth(OURS, THEIRS), alt="Mine.")._repr_mimebundle_()["text/plain"] == "Mine."


def test_text_is_text_and_nothing_is_a_raster_and_it_is_small():
    html = figures.show(figures.fig2_depth(OURS, THEIRS))._repr_html_()
    texts = {"".join(one.itertext()) for one in drawn(html).iter("text")}
    assert {"ours, 160 epochs", "γ and β", "test accuracy (%)", "866"} <= texts
    svg = re.search(r"<svg.*</svg>", html, re.S)[0]
    assert "<image" not in svg and "base64" not in svg and len(svg) < 25_000
    labels = figures.fig3_depth_or_width(OURS.assign(parameters=OURS.depth), THEIRS.assign(parameters=[14, 866, 14]))
    texts = [one for one in drawn(figures.show(labels)._repr_html_()).iter("text")]
    assert "866" in {"".join(one.itertext()) for one in texts}, "a label with a halo is text, too"
    assert all(text.get_path_effects() for ax in labels.axes for text in ax.texts), "the figure itself keeps its halos"


def test_a_notebook_that_is_not_trusted_shows_the_picture_alone():
    """JupyterLab takes style sheets and SVG out of it, and leaves the words in the SVG; the picture and inline styles stay."""
    html = figures.show(figures.fig2_depth(OURS, THEIRS))._repr_html_()
    assert (
        re.search(r'<div class="bn-scroll" style="display:none"><svg', html) and ".bn-scroll { display: block !important;" in html
    )
    assert re.search(r'<img class="bn-plain" alt="Test accuracy [^>]* src="data:image/png;base64,', html)
    assert ".bn-plain { display: none; }" in html


def test_the_book_leaves_out_the_picture(monkeypatch):
    monkeypatch.syspath_prepend(STATIC.parent / "_ext")
    import companion

    page = companion.mend(f"<p>{figures.show(figures.fig2_depth(OURS, THEIRS))._repr_html_()}</p>")
    assert "bn-plain {" in page and "base64" not in page and page.endswith("</figure></p>")


def test_ids_are_of_one_figure_each_and_every_reference_has_its_target():
    pages = [figures.show(one)._repr_html_() for one in (figures.fig2_depth(OURS, THEIRS), figures.fig2_depth(OURS[:2], THEIRS))]
    found = [{one.get("id") for one in drawn(page).iter() if one.get("id")} for page in pages]
    assert found[0] and not found[0] & found[1]
    for page, ids in zip(pages, found, strict=True):
        assert len(re.findall(r' id="', page)) == len(ids)
        assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', page)) == ids
    named = [set(re.findall(r"\.(\w+)\{", re.search(r"<svg.*</svg>", page, re.S)[0])) for page in pages]
    assert named[0] and not named[0] & named[1], "classes, too"
    assert not re.search(r"\} ?\*|\*\{", pages[0]), "no rule for the rest of the page"
    assert pages[0] == figures.show(figures.fig2_depth(OURS, THEIRS))._repr_html_(), "the page is the same at each build"


def test_colours_that_dark_pages_change_are_variables():
    html = figures.show(figures.front(analysis.on_front(OURS), THEIRS))._repr_html_()
    svg = re.search(r"<svg.*</svg>", html, re.S)[0]
    assert {"--bn-ink", "--bn-page", "--bn-grid", "--bn-grey", "--bn-bn"} <= set(re.findall(r"var\((--[\w-]+),#\w{6}\)", svg))
    bare = re.sub(r"var\([^)]*\)", "", svg)
    assert not {one.upper() for one in re.findall(r"#[0-9a-f]{6}\b", bare, re.I)} & set(style.DARK)


def luminance(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("trainable", style.SETS)
def test_a_hue_is_seen_on_both_pages(trainable):
    colour = style.SETS[trainable][0]
    assert contrast(colour, style.PAGE) >= 3
    assert contrast(style.DARK.get(colour, (None, colour))[1], style.DARK[style.PAGE][1]) >= 3


def test_small_text_has_the_contrast_of_text():
    for colour in (style.INK, style.MUTED):
        assert contrast(colour, style.PAGE) >= 4.5 and contrast(style.DARK[colour][1], style.DARK[style.PAGE][1]) >= 4.5


def test_the_books_style_sheet_has_the_colours_of_the_package():
    sheet = (STATIC / "figures.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"(--bn-[\w-]+): (#\w+)", sheet.split(at)[1].split("}")[0])) for at in ("html {", '"dark"] {'))
    assert light == {name: colour.lower() for colour, (name, _) in style.DARK.items()}
    assert dark == {name: colour.lower() for name, colour in style.DARK.values()}


def test_what_has_no_runs_is_a_sentence():
    for figure in (None, figures.vgg(points()), figures.variants(points(), ["bn"]), figures.random_parameters(points())):
        bundle = figures.show(figure, "VGG-11 has not been run.")._repr_mimebundle_()
        assert set(bundle) == {"text/html", "text/plain"} and "<svg" not in bundle["text/html"]
        assert bundle["text/plain"] == "VGG-11 has not been run." and bundle["text/html"].startswith('<p class="bn-nothing">')
    assert "othing" in figures.show(None)._repr_html_()


def test_everything_that_can_be_trained_has_a_readers_name():
    sets = {spec.trainable for name in experiments.EXPERIMENTS for spec in experiments.wanted(name)}
    assert all(style.label(one) != one for one in sets)
    assert (
        style.label("bn") == "γ and β" and style.label("all") == "everything" and style.label("all-bn").startswith("everything but")
    )
    assert style.label("random:1") == "1 random weight a channel" and style.label("random:4") == "4 random weights a channel"
    assert style.OURS["paper"] == "ours, 160 epochs" and style.OURS["short"] == "ours, 16 epochs"


EMPTY = pd.DataFrame(columns=["network", "depth", "width", "recipe", "trainable", "variant", "seed"])


def tables():
    """Every drawing function on hand-made tables that lack a part, by name."""
    few = points((14, "bn", "short", 44), (14, "random:2", "short", 28), (14, "gamma", "short", 40))
    reference = known(("ResNet-110", "bn", 27, "review"))
    one = dict(network="ResNet-14", depth=14, width=1, recipe="short", variant="bn", trainable="bn")
    gammas = pd.DataFrame({"gamma": [0.0, 0.5, 1.0], "beta": [-1.0, 0.0, 1.0]}).assign(**one, seed=0)
    shares = pd.DataFrame({"threshold": [0.001, 0.01], "share": [0.1, 0.3], "decayed": [0.0, 0.3]}).assign(**one)
    layers = pd.DataFrame({"place": [0.0, 1.0], "gamma": [0.5, 0.1], "gamma_low": [0.4, -9.0], "gamma_high": [0.6, 0.2]})
    layers = layers.assign(added=[False, True], **one)
    clamping = pd.DataFrame({"threshold": [0.0, 0.01, 1.0], "share": [0.0, 0.2, 0.9], "accuracy": [0.5, 0.48, 0.1]})
    clamping = clamping.assign(accuracy_beta=0.1, accuracy_random=[np.nan, 0.2, 0.1], **one)
    relu = pd.DataFrame({"definition": ["0.9", "0.99"], "mean": [30.0, 24.0], "sd": np.nan, "n": 1}).assign(**one)
    off = pd.DataFrame({"definition": ["0.9", "0.99", "0.999"], "off": [30.0, 24.0, 20.0], "place": 0.5, "after": "BatchNorm"})
    history = pd.DataFrame({"epoch": [1, 2], "lr": [0.1, 0.01], "train_accuracy": [0.2, 0.4], "test_accuracy": [0.3, 0.5]})
    rates = history.assign(**one, seed=0, status="finished")
    epochs = paper.curve("ResNet-110")
    counts = pd.DataFrame({"network": ["ResNet-14"], "family": ["CIFAR-10, deeper"], "total": [175258], "bn": [1120]})
    ways = ["fused bf16", "convolutions bf16", "loop"]
    speed = pd.DataFrame({"model": "resnet14", "way": ways, "seconds": [0.03, 0.01, 0.1], "depth": 14, "width": 1})
    speed = speed.assign(low=speed.seconds, high=speed.seconds)
    deeper = pd.concat([speed, speed.assign(model="resnet110", depth=110, seconds=speed.seconds * 8)])
    counted = THEIRS.assign(parameters=[1120, 64736, 1120])
    gains = analysis.differences(few, "bn", "random:2").assign(recipe="short")
    large = points(*((18, one, "imagenet", 8.0) for one in experiments.FIG2_IMAGENET))
    keras = points((50, "bn", "blog", 45.0), (50, "bn", "blog-short", 20.0)).assign(variant=["γ He normal", "γ = 1"])
    why = experiments.runs("why_off")
    return {
        "why_off": figures.why_off(analysis.off(why), analysis.with_rates(analysis.summarise(why)), analysis.alone),
        "fig1_affine": figures.fig1_affine(few.assign(trainable="all"), gains[:0], 0.5, 2, THEIRS),
        "fig1_affine, with a difference": figures.fig1_affine(few.assign(trainable="all"), gains, 0.5, 2, THEIRS),
        "fig2_depth": figures.fig2_depth(few, THEIRS),
        "fig2_depth, the paper alone": figures.fig2_depth(few[:0], THEIRS),
        "fig2_width": figures.fig2_width(few, known(("WRN-14-2", "bn", 53, "digitised"))),
        "fig2_imagenet": figures.fig2_imagenet(large, large.assign(mean=3 * large["mean"]), paper.top5()),
        "blog_keras": figures.blog_keras(keras, paper.blog(), ["γ He normal", "γ = 1"]),
        "vgg": figures.vgg(few.assign(network="VGG-11", depth=11)),
        "fig3_depth_or_width": figures.fig3_depth_or_width(few[:1].assign(parameters=1120), counted),
        "front": figures.front(analysis.on_front(few), THEIRS),
        "variants": figures.variants(few, ["bn", "gamma", "beta"]),
        "random_parameters": figures.random_parameters(few),
        "fig4_gamma": figures.fig4_gamma(gammas),
        "fig5_thresholds": figures.fig5_thresholds(shares, reference),
        "gamma_layers": figures.gamma_layers(layers),
        "fig6_clamping": figures.fig6_clamping(clamping),
        "clamping_or_chance": figures.clamping_or_chance(clamping),
        "fig7_relu": figures.fig7_relu(relu, paper.values("relu")),
        "relu_layers": figures.relu_layers(off.assign(**one)),
        "curves": figures.curves(rates, epochs[:0]),
        "curves, the paper alone": figures.curves(rates[:0], epochs),
        "curve": figures.curve(history, "resnet14"),
        "table1": figures.table1(counts),
        "steps": figures.steps(speed),
        "scaling": figures.scaling(deeper),
    }


@pytest.fixture(scope="module")
def drawings():
    return tables()


def test_every_drawing_function_is_among_those_that_are_tested(drawings):
    assert {name.partition(",")[0] for name in drawings} == set(figures.__all__) - {"show", "Shown"}


def test_no_panel_is_empty_and_the_legend_names_no_recipe_by_its_key(drawings):
    for name, figure in drawings.items():
        assert figure.axes and all(ax.has_data() for ax in figure.axes), name
        bundle = figures.show(figure)._repr_mimebundle_()
        texts = ["".join(one.itertext()) for one in drawn(bundle["text/html"]).iter("text")]
        assert not [text for text in texts if re.search(r"\brecipe (paper|short)|, (paper|short)$|\bbn\b", text)], name
        assert not [text for text in texts if re.search(r"(^|\s)-\d", text)], f"{name}: a hyphen for a minus"


def test_every_figure_says_what_it_shows_in_few_sentences(drawings):
    for name, figure in drawings.items():
        said = figure.alt
        assert 40 < len(said) < 450 and said.endswith(".") and not re.search(r"\bnan\b|None|\{", said), (name, said)
        assert re.search(r"\d", said), f"{name} says no number: {said}"


def test_the_words_of_a_figure_are_its_data(drawings):
    said = figures.fig2_depth(OURS, THEIRS).alt
    assert said == (
        "Test accuracy against depth. γ and β, ours, 160 epochs: 48 % at 14 layers to 59 % at 32; ours, 16 epochs: 44 % at 14 "
        "layers; the paper: 48 % at 14 layers to 82 % at 866. Also drawn: everything."
    )
    assert drawings["gamma_layers"].alt.endswith("ours, 16 epochs: γ and β, 0.50 in the first layer to 0.10 in the last.")
    assert "50 % as trained, 48 % with |γ| up to 0.01 at 0" in drawings["fig6_clamping"].alt
    assert "48 % without the smallest 20 %, 20 % without as many at random" in drawings["clamping_or_chance"].alt
    assert drawings["fig7_relu"].alt.endswith("γ and β, 24 %.") and "24 % after BatchNorm" in drawings["relu_layers"].alt
    assert "30 % below 0.01" in drawings["fig5_thresholds"].alt and "ResNet-110" not in drawings["fig5_thresholds"].alt
    assert drawings["curve"].alt.endswith("Test: 30 % after epoch 1 to 50 % after 2; training: 20 % after epoch 1 to 40 % after 2.")
    assert "0.64 % of ResNet-14." in drawings["table1"].alt
    assert "10 ms (convolutions bf16) to 100 ms (loop)" in drawings["steps"].alt
    assert "γ and β 44.0 %; γ alone 40.0 %." in drawings["variants"].alt


def test_words_for_one_point_none_and_another_set():
    where = ("at {:g} layers", "at {:g}")
    assert alt.course(OURS[:1], "depth", "mean", *where) == "48 % at 14 layers"
    assert alt.course(OURS[:0], "depth", "mean", *where) == ""
    assert alt.against("Accuracy", OURS[:0], THEIRS[:0].assign(depth=[]), "depth", *where) == "Accuracy: nothing has been run yet."
    assert alt.against("Accuracy", OURS[3:], THEIRS[:0].assign(depth=[]), "depth", *where) == (
        "Accuracy. Everything, ours, 16 epochs: 86 % at 32 layers."
    )
    assert alt.telling("Shares", EMPTY, len) == "Shares: nothing has been run yet."
    deepest = alt.telling("Shares", OURS, lambda rows: f"{rows['mean'].iloc[0]:.0f} %")
    assert deepest == "Shares, in 4 panels, for each network and number of epochs. ResNet-32, ours, 160 epochs: γ and β, 59 %."
    assert (alt.number(-0.04, ".1f"), alt.number(-1.26, "+.1f"), alt.number(2, "+.1f")) == ("0.0", "−1.3", "+2.0")


def test_the_papers_values_are_paler_beside_runs_of_fewer_epochs():
    above, below = figures.fig2_depth(OURS, THEIRS).axes
    strong, pale = ([line for line in ax.lines if line.get_marker() in ("D", "x")] for ax in (above, below))
    assert len(strong) == len(pale) == 3
    for one, other in zip(strong, pale, strict=True):
        assert one.get_alpha() == 1 and other.get_alpha() == style.PALE
        assert other.get_markersize() < one.get_markersize()
    legend = [text.get_text() for text in figures.fig2_depth(OURS, THEIRS).legends[0].get_texts()]
    pale = "the same, after 160 epochs, beside our 16"
    assert "the paper (its text, read off a figure)" in legend and pale in legend
    legend = [text.get_text() for text in figures.fig2_depth(OURS[:2], THEIRS).legends[0].get_texts()]
    assert pale not in legend


def test_panels_of_a_figure_share_their_scales_and_epochs_are_whole():
    gammas = analysis.gammas(experiments.runs("fig4_gamma", networks=["resnet14", "resnet434"]))
    axes = figures.fig4_gamma(gammas).axes
    assert len({ax.get_xlim() for ax in axes}) == len({ax.get_ylim() for ax in axes}) == 1 and len(axes) > 1
    low, high = axes[0].get_xlim()
    assert -2 < low < 0 and 1 < high < 3
    layers = figures.gamma_layers(analysis.layers(gammas)).axes
    low, high = layers[0].get_ylim()
    assert len({ax.get_ylim() for ax in layers}) == 1 and -3 < low < high < 4
    assert any("quartiles reach" in text.get_text() for ax in layers for text in ax.texts), "what is cut off is said"
    for epochs in (3, 20):
        history = pd.DataFrame({"epoch": range(1, epochs + 1), "lr": 0.1, "train_accuracy": 0.5, "test_accuracy": 0.5})
        ticks = figures.curve(history, "resnet14").axes[0].get_xticks()
        assert (ticks == ticks.round()).all()
    layers = pd.concat([one_relu(20.0), one_relu(70.0).assign(network="ResNet-32", depth=32)])
    assert figures.relu_layers(layers).axes[0].get_ylim()[1] > 70


def one_relu(off):
    """One ReLU's rows as `analysis.relu_layers` gives them."""
    frame = pd.DataFrame({"definition": ["0.9", "0.99", "0.999"], "off": off, "place": 0.5, "after": "BatchNorm"})
    return frame.assign(network="ResNet-14", depth=14, recipe="short", trainable="bn")


def test_the_front_shows_the_short_line_whole_where_the_long_one_ends_earlier():
    more = points((14, "bn", "short", 44), (14, "bn", "paper", 48), (56, "bn", "short", 55), (14, "bn", "smoke", 20))
    figure = figures.front(analysis.on_front(more), THEIRS)
    assert set(analysis.on_front(more[more.depth == 14]).recipe) == {"paper"}
    drawn = {line.get_markersize(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in figure.axes[0].lines}
    assert [(14, 48.0)] in drawn.values() and [(14, 44.0), (56, 55.0)] in drawn.values()
    assert {"γ and β: the paper", "ours, 160 epochs", "ours, 16 epochs", "chance"} == {t.get_text() for t in figure.axes[0].texts}
    assert not figure.legends and 47 not in [y for line in figure.axes[0].lines for y in line.get_ydata()]  # a reproduction


# In a browser ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with two figures and the book's style sheet and script."""
    shown = [
        figures.show(figures.front(analysis.on_front(OURS), THEIRS), "The first.", name="first"),
        figures.show(figures.fig2_depth(OURS, THEIRS), "The second."),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(
        f"""<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Figures</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <style>{(STATIC / "figures.css").read_text(encoding="utf-8")} body {{ max-width: 720px; margin: 0 auto; padding: 0 16px; }}
        </style>
        <script>{(STATIC / "figures.js").read_text(encoding="utf-8")}</script></head>
        <body><main><h1>Figures</h1>{"".join(one._repr_html_() for one in shown)}</main></body></html>""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def page(browser, written):
    """That page, opened from its file; what it logged must be nothing."""
    browser.get(written.as_uri())
    yield browser
    assert not [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]


def colours(page):
    """The colours of a tick's label, γ and β's line and a diamond's inside, as the browser paints them."""
    return page.execute_script("""
        const svg = document.querySelector("#first svg"), paint = (one, what) => getComputedStyle(one)[what];
        const texts = [...svg.querySelectorAll("text")], text = words => texts.find(one => one.textContent === words);
        return [paint(text("14"), "fill"), paint(text("ours, 160 epochs"), "fill"), paint(text("ours, 160 epochs"), "stroke")]""")


def rgb(colour):
    return "rgb({}, {}, {})".format(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)))


def test_a_dark_page_has_dark_figures(page):
    wanted = (style.INK, "#0072B2", style.PAGE)
    assert colours(page) == [rgb(one) for one in wanted]
    try:
        page.execute_script("document.documentElement.dataset.theme = 'dark'")
        assert colours(page) == [rgb(style.DARK[one][1]) for one in wanted]
    finally:
        page.execute_script("document.documentElement.dataset.theme = 'light'")


def test_a_notebook_in_a_dark_jupyterlab_has_dark_figures(page):
    try:
        page.execute_script("document.body.dataset.jpThemeLight = 'false'")
        page.execute_script("document.querySelectorAll('head style').forEach(one => one.sheet.disabled = true)")
        assert colours(page) == [rgb(style.DARK[one][1]) for one in (style.INK, "#0072B2", style.PAGE)]
    finally:
        page.execute_script("delete document.body.dataset.jpThemeLight")
        page.execute_script("document.querySelectorAll('head style').forEach(one => one.sheet.disabled = false)")


def test_the_keyboard_enlarges_a_figure_and_escape_closes_it(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    back = "return document.querySelector('#first .bn-scroll svg') !== null"
    width = "return document.querySelector('svg[aria-label]').getBoundingClientRect().width"
    opened = "return document.querySelector('dialog').open && document.querySelector('dialog svg').getBoundingClientRect().width"
    before = page.execute_script(width)
    page.execute_script("document.activeElement.blur()")
    ActionChains(page).send_keys(Keys.TAB).perform()
    assert page.switch_to.active_element.accessible_name == "Enlarge the figure"
    ActionChains(page).send_keys(Keys.ENTER).perform()
    assert page.execute_script(opened) > 1.4 * before
    assert page.execute_script("return document.querySelector('dialog').getAttribute('aria-label')").startswith("Test accuracy")
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    # The browser says that it closed the dialog a moment after it did, and only then the figure goes back to its place.
    WebDriverWait(page, 10).until(lambda page: page.execute_script(back))
    assert page.execute_script(opened) is False and page.execute_script(width) == before
    assert page.switch_to.active_element.accessible_name == "Enlarge the figure", "the focus is back"


def test_a_click_on_a_figure_enlarges_it(page):
    page.execute_script("document.querySelector('#first svg').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert page.execute_script("return document.querySelector('dialog').open")
    page.execute_script("document.querySelector('dialog button').click()")
    assert not page.execute_script("return document.querySelector('dialog').open")


def test_on_a_phone_text_is_legible_and_the_page_does_not_scroll_sideways(page):
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    sizes = page.execute_script("""return [...document.querySelectorAll("svg text")].map(
        one => parseFloat(getComputedStyle(one).fontSize) * Math.hypot(one.getScreenCTM().a, one.getScreenCTM().b))""")
    assert len(sizes) == 40 and min(sizes) >= 11
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    box = "document.querySelector('#first .bn-scroll')"
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert page.execute_script(f"return {box}.scrollWidth > {box}.clientWidth && {box}.tabIndex === 0")
    assert page.execute_script("return getComputedStyle(document.querySelector('#first .bn-hint')).display") == "block"


def test_axe_finds_nothing(page):
    from axe_core_python.selenium import Axe

    found = Axe().run(page)["violations"]
    assert not found, [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
