"""Every notebook runs by papermill, as a reader would; and the commands of the README do what they say."""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from papermill import inspect_notebook as papermill_reads
from patience import PATIENCE

from bnlib import experiments, store
from bnlib.report import figures, parameters
from bnlib.spec import RECIPES
from bnlib.store import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def papermill(name, out, *parameters):
    """`papermill notebooks/NAME OUT …` from the repository's root; what it printed and its exit status."""
    words = [sys.executable, "-m", "papermill", f"notebooks/{name}", str(out), "--no-progress-bar", *parameters]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def shown(path):
    """All text and the kinds of all outputs of an executed notebook."""
    outputs = [o for cell in json.loads(Path(path).read_text())["cells"] for o in cell.get("outputs", [])]
    return "".join("".join(o.get("text", "")) for o in outputs), {kind for o in outputs for kind in o.get("data", {})}


def test_fig2_depth_takes_a_stored_point_without_training(tmp_path):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", "-p", "depth", "434")
    assert done.returncode == 0, done.stderr[-2000:]
    text, kinds = shown(tmp_path / "out.ipynb")
    assert "stored, " in text and "image/png" in kinds


def test_fig2_depth_trains_a_missing_point(cifar10, tmp_path, runs_folder):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", *"-p depth 8 -p recipe smoke -p seeds 2".split())
    assert done.returncode == 0, done.stderr[-2000:]
    text, kinds = shown(tmp_path / "out.ipynb")
    assert "not stored; training it now" in text and "ms a step" in text and "image/png" in kinds
    assert [len(list(runs_folder.glob(f"resnet8_bn_smoke_seed{seed}-*/run.json"))) for seed in range(3)] == [1, 1, 0]


def test_quickstart_trains_live(tmp_path):
    done = papermill("quickstart.ipynb", tmp_path / "out.ipynb", *"-p epochs 2 -p model resnet8 -p trainable all".split())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test digits right" in shown(tmp_path / "out.ipynb")[0]


def cells(path, most=None, **parameters):
    """Run the code cells of a notebook here and now, without a kernel, until `most` of them showed something; returns what."""
    shown, names = [], {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(line for line in cell["source"] if not line.startswith("%"))).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), path.name, "exec"), names)
        if "parameters" in cell["metadata"].get("tags", []):
            assert set(parameters) <= set(names)
            names.update(parameters)
        if last:
            shown.append(eval(compile(ast.Expression(last.value), path.name, "eval"), names))
        if len(shown) == most:
            break
    return shown


def draw(shown):
    """Draw the figures among what a notebook showed, and set the rest as HTML or Markdown; returns the texts."""
    texts = []
    for one in shown:
        if isinstance(one, figures.Shown):
            vars(one)["_png"] = ""  # the same once more
            assert one.figure is None or one.figure.axes, "IPython shows no figure without axes"
        elif isinstance(one, matplotlib.figure.Figure):
            one.canvas.draw()
            assert one.axes, "IPython shows no figure without axes"
        if not isinstance(one, matplotlib.figure.Figure) and hasattr(one, "_repr_html_"):
            texts.append(one._repr_html_())
        if hasattr(one, "_repr_markdown_"):
            texts.append(one._repr_markdown_())
    return texts


OF_RUNS = [path for path in NOTEBOOKS if path.stem not in ("quickstart", "own_network", "engine_speed", "table1_parameters")]


@functools.cache
def pruned(runs, thresholds):
    """How long networks take for few images, whole and pruned, measured once: it does not change with what else there is."""
    from bnlib.bench import forward

    return forward.pruned(list(runs), thresholds, images=8, seconds=0)


@pytest.mark.parametrize("without", ["everything", "all that is trained whole", "probes"])
@pytest.mark.parametrize("path", OF_RUNS, ids=lambda p: p.stem)
def test_a_notebook_is_right_with_whatever_runs_there_are(path, without, monkeypatch):
    runs = store.all_runs()
    kept = {
        "everything": [],
        "all that is trained whole": [run for run in runs if run.spec.trainable != "all"],
        "probes": runs,
    }[without]
    for place in ("bnlib.store.runs.all_runs", "bnlib.store.all_runs"):  # by both names, as costs ask for it by the latter
        monkeypatch.setattr(place, lambda: kept)
    if without == "probes":
        monkeypatch.setattr(store.Run, "probes", None)
    monkeypatch.setattr("bnlib.bench.pruned", lambda runs, thresholds: pruned(tuple(runs), thresholds))
    texts = draw(cells(path))
    assert all(texts), "a cell shows an empty box"
    assert not [text for text in texts if re.search(r"(?<![\w/+-])nan(?![\w/+-])", re.sub(r'"[^"]*"', "", text), re.I)]
    verdicts = {verdict for text in texts for verdict in re.findall(r'class="bn-badge[^>]*>([^<]*)<', text)}
    assert verdicts <= {"not trained", "not judged"} or without != "everything", verdicts


def test_the_contents_list_what_is_not_trained_apart():
    toc = (ROOT / "_toc.yml").read_text()
    apart = re.search(r"caption: Not trained yet\n(.*?)(?=  - caption|\Z)", toc, flags=re.S)
    listed = set(re.findall(r"file: notebooks/(\w+)", apart[1])) if apart else set()
    first = {path.stem: next(iter(draw(cells(path, 1))), "") for path in OF_RUNS if path.stem not in ("claims", "front")}
    found = {name for name, text in first.items() if ">not trained<" in text}
    assert found == listed, "move these pages in _toc.yml"


@pytest.mark.parametrize(
    "name, recipe",
    [
        (path.stem, recipe)
        for path in OF_RUNS
        if path.stem in experiments.EXPERIMENTS
        for recipe in (*experiments.experiment(path.stem).recipes, "smoke")
        if path.stem == "fig2_depth" or len(experiments.runs(path.stem, recipe))  # where nothing is stored no title could be wrong
    ],
)
def test_a_notebook_shows_one_recipe(name, recipe, monkeypatch):
    monkeypatch.setattr("bnlib.bench.pruned", lambda runs, thresholds: pruned(tuple(runs), thresholds))
    shown = cells(ROOT / "notebooks" / f"{name}.ipynb", recipe=recipe)
    drawn = [getattr(one, "figure", one) for one in shown]  # what `figures.show` wraps
    titles = [ax.get_title("left") for one in drawn if isinstance(one, matplotlib.figure.Figure) for ax in one.axes]
    others = [f"ours, {RECIPES[other].epochs} epochs" for other in RECIPES if other != recipe]
    assert not [title for title in titles if any(other in title for other in others)], titles
    draw(shown)


def test_a_notebook_adds_what_is_asked_for(monkeypatch, capsys):
    cells(ROOT / "notebooks" / "fig2_width.ipynb", width=1, trainable="all", recipe="short")
    assert "resnet14_all_short_seed0-45e7a78d: stored" in capsys.readouterr().out
    cells(ROOT / "notebooks" / "fig2_depth.ipynb", depth=14, recipe="short", seeds=3)
    assert capsys.readouterr().out.count(": stored, 4") == 3
    with pytest.raises(ValueError, match="seeds 0: .* nearest: 1"):
        cells(ROOT / "notebooks" / "fig6_clamping.ipynb", depth=14, seeds=0)
    with pytest.raises(ValueError, match="has no place for wrn14-2"):
        experiments.points("fig1_affine", "wrn14-2")
    with pytest.raises(ValueError, match="recipe 'shrot': .*did you mean 'short'"):
        experiments.points("fig1_affine", "resnet14", recipe="shrot")
    with pytest.raises(ValueError, match="recipe 'shrot': .*did you mean 'short'"):
        experiments.runs("fig1_affine", "shrot")
    with pytest.raises(ValueError, match="seeds 0"):
        experiments.wanted("fig1_affine", seeds=0)


REFUSED = [
    ("fig2_depth", "depth", 433, "depth 433 .*nearest: 428 and 434"),
    ("fig2_depth", "depth", "14", "depth '14': a whole number of the form 6D\\+2"),
    ("fig2_depth", "depth", 14.0, "depth 14.0: a whole number"),
    ("fig2_depth", "depth", True, "depth True: a whole number"),
    ("fig2_depth", "depth", 999998, "depth 999998: .*at most 10000 layers; nearest: 9998"),
    ("fig2_depth", "seeds", "2", "seeds '2': a whole number from 1 to 1000 is needed; nearest: 2"),
    ("fig2_depth", "seeds", 2.0, "seeds 2.0: .*nearest: 2"),
    ("fig2_depth", "seeds", None, "seeds None: .*nearest: 1"),
    ("fig6_clamping", "seeds", 10**24, "seeds 1000.*nearest: 1000"),
    ("fig2_depth", "recipe", "shrot", "recipe 'shrot': use one of auto, paper, short, smoke; did you mean 'short'"),
    ("fig1_affine", "recipe", 16, "recipe 16: use one of auto"),
    ("fig2_depth", "trainable", "batchnorm", "trainable 'batchnorm': use one of bn, all, bn\\+shortcut\\+output, "),
    ("fig2_depth", "trainable", "gamma", "trainable 'gamma': use one of bn, all"),
    ("fig2_width", "width", 0, "width 0: a whole number from 1 .*nearest: 1"),
    ("fig2_width", "width", 900, "width 900: .*nearest: wrn14-76"),
    ("ablation_vgg", "depth", 12, "depth 12: a VGG's is needed, one of 11, 13, 16, 19"),
    ("ablation_vgg", "depth", 11.0, "depth 11.0: a VGG's"),
    ("fig2_imagenet", "depth", 434, "depth 434: that of an ImageNet ResNet is needed, one of 18, .*, 200; nearest: 200"),
    ("fig2_imagenet", "depth", "50", "depth '50': that of an ImageNet ResNet"),
    ("fig2_imagenet", "trainable", "gamma", "trainable 'gamma': use one of bn, all, bn\\+output, all-bn"),
    ("fig2_imagenet", "recipe", "paper", "recipe 'paper': use one of auto, imagenet, smoke"),
    ("blog_keras", "depth", 34, "depth 34: that of a Keras ResNet is needed, one of 50, 101, 152; nearest: 50"),
    ("blog_keras", "recipe", "blog_short", "did you mean 'blog-short'"),
    ("fig3_depth_or_width", "model", "vgg11", "model 'vgg11': fig3_depth_or_width has a place for resnetN and wrn14-W"),
    ("fig3_depth_or_width", "model", 14, "unknown model 14: .*did you mean resnet14"),
    ("fig4_gamma", "depths", [14, 15], r"depths \[14, 15\]: depth 15 is not 6D\+2.*nearest: 14 and 20"),
    ("fig5_thresholds", "depths", 14, r"depths 14: a list is needed, such as \[14, 32\]; for papermill -y 'depths: \[14, 32\]'"),
    ("fig7_relu", "depths", "[14]", "depths '.14.': a list"),
    ("gamma_explorer", "threshold", 2, "threshold 2: a number from 0.0001 to 1.58"),
    ("gamma_explorer", "threshold", "0.01", "threshold '0.01': a number"),
    ("claims", "numbers", [1, 12], "numbers 12: a whole number from 1 to 11"),
    ("front", "numbers", [True], "numbers True: a whole number"),
    ("front", "numbers", 3, "numbers 3: a list is needed"),
    ("engine_speed", "machine", "mine", "machine 'mine': use one of "),
    ("table1_parameters", "model", "imagenet-resnet20", "imagenet-resnetN with N one of 18"),
    ("table1_parameters", "model", "resnt20", "did you mean resnet20"),
    ("quickstart", "trainable", "bnn", "trainable 'bnn': .*did you mean 'bn'"),
    ("quickstart", "epochs", 0, "epochs 0: .*nearest: 1"),
    ("quickstart", "seed", "0", "seed '0': a whole number"),
    ("quickstart", "model", "resnet7", "nearest: 8"),
]


@pytest.mark.parametrize("name, parameter, value, message", REFUSED, ids=[f"{n}-{p}-{v!r:.20}" for n, p, v, _ in REFUSED])
def test_a_value_that_cannot_be_is_refused_in_one_line(name, parameter, value, message, monkeypatch):
    monkeypatch.setattr("bnlib.experiments.points", lambda *_, **__: pytest.fail("something was looked for"))
    monkeypatch.setattr("bnlib.train", lambda *_, **__: pytest.fail("something was trained"))
    with pytest.raises(ValueError, match=message) as error:
        cells(ROOT / "notebooks" / f"{name}.ipynb", **{parameter: value})
    assert "\n" not in str(error.value) and (parameter in str(error.value) or parameter == "model")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_parameter_is_checked(path):
    """Each is refused a value that nothing can be; a parameter that is not there, by itself and as papermill gives it."""
    known = parameters.declared(path.stem)
    allowed = {"machine": ["mine"]} if "machine" in known else {}
    parameters.check(path.stem, dict(known), **allowed)
    for name in known:
        with pytest.raises(ValueError, match=name if name != "model" else "model"):
            parameters.check(path.stem, {**known, name: {"a": 1}}, **allowed)
    for names in ({**known, "dpeth": 14}, {**known, "In": ["", "x = 3", "# Parameters\ndpeth = 14\n"]}):
        with pytest.raises(ValueError, match=f"parameter 'dpeth': {path.stem}.ipynb has {', '.join(known)}"):
            parameters.check(path.stem, names, **allowed)
    assert any(
        f'parameters.check("{path.stem}", globals()' in "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]
    )


def test_in_jupyterlab_a_readers_own_names_are_no_parameters():
    names = {**parameters.declared("fig2_depth"), "In": ["", "mine = 3", "# Parameters\ndepth = 14\n"], "mine": 3, "caption": "…"}
    parameters.check("fig2_depth", {**names, "depth": np.int64(14)})
    with pytest.raises(ValueError, match="parameter 'caption'"):  # although a cell further down has this name
        parameters.check("fig2_depth", {**names, "In": ["# Parameters\ncaption = 'mine'\n"]})


def test_papermill_ends_with_that_line(tmp_path):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", "-p", "dpeth", "14")
    line = "ValueError: parameter 'dpeth': fig2_depth.ipynb has depth, trainable, recipe, seeds; did you mean 'depth'?"
    assert done.returncode != 0 and done.stderr.strip().splitlines()[-1] == line


def test_what_was_trained_but_not_asked_is_said_so_and_asked(monkeypatch):
    from bnlib import training

    asked, without = [], "resnet14_bn_short_seed2-8c932eb8"
    monkeypatch.setattr(
        store.Run, "probes", property(lambda run: None if run.id == without else {"relu": {"total": {}}, "clamping": {"share": []}})
    )
    monkeypatch.setattr(training, "ask", lambda runs, names: asked.extend((run.id, *names) for run in runs))
    assert experiments.coverage("fig6_clamping").loc["ResNet-14", "bn"].endswith(", 16\u00a0epochs ×2, 16\u00a0epochs (not asked)")
    assert experiments.coverage("fig4_gamma").loc["ResNet-14", "bn"].endswith(", 16\u00a0epochs ×3")
    experiments.points("fig4_gamma", "resnet14", "bn", "short", seeds=3)
    assert not asked
    experiments.points("fig7_relu", "resnet14", "bn", "short", seeds=3)
    assert asked == [(without, "relu")]


def test_engine_speed_has_a_figure_of_every_machine_that_was_measured():
    from bnlib import bench

    for machine in bench.stored():
        found = [one for one in cells(ROOT / "notebooks" / "engine_speed.ipynb", machine=machine) if isinstance(one, figures.Shown)]
        assert draw(found) and not found[0].empty, machine


def test_table1_counts_one_more_network():
    texts = draw(cells(ROOT / "notebooks" / "table1_parameters.ipynb", model="resnet20"))
    assert "ResNet-20" in "".join(texts).replace("\u2011", "-")


def test_an_empty_store_draws_the_papers_values_and_says_not_run(monkeypatch):
    from bnlib.report import analysis, paper

    monkeypatch.setattr("bnlib.store.runs.all_runs", list)
    reference = paper.values("fig2", "abstract", metric="test_accuracy_percent")
    for recipe in ("auto", "paper", "smoke"):
        summary = analysis.summarise(experiments.runs("fig2_depth", recipe))
        points = analysis.judge(summary, reference)
        assert analysis.overall(points) == "not trained"
        assert figures.fig2_depth(summary, reference).axes
    assert (experiments.coverage("fig2_depth") == "–").all().all()
    assert not len(analysis.precisions(experiments.precisions())) and not len(analysis.durations(store.results()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_papermill_reads_every_parameter_as_python_does(path, caplog):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    written = {line.target.id: ast.literal_eval(line.value) for line in ast.parse("".join(cells[0]["source"])).body}
    read = papermill_reads(str(path))
    assert {name: ast.literal_eval(one["default"]) for name, one in read.items()} == written and not caplog.text
    assert all(one["inferred_type_name"] != "None" and one["help"] for one in read.values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_are_kept_as_agreed(path):
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in code) == 1
    for cell in code:
        lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
        assert len(lines) <= 12 and not cell["outputs"] and cell["execution_count"] is None
        loops = () if path.stem == "own_network" else ("for ", "while ")  # that page shows what a reader types
        assert not any(line.startswith(("def ", *loops)) for line in lines)
        if "parameters" in cell["metadata"].get("tags", []):
            assert all(":" in line and "#" in line for line in lines), "each parameter has a type and a comment"
