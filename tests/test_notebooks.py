"""Every notebook runs by papermill, as a reader would; and the commands of the README do what they say."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import pytest
from papermill import inspect_notebook as papermill_reads

from bnlib import store
from bnlib.spec import RECIPES
from bnlib.store import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def papermill(name, out, *parameters):
    """`papermill notebooks/NAME OUT …` from the repository's root; what it printed and its exit status."""
    words = [sys.executable, "-m", "papermill", f"notebooks/{name}", str(out), "--no-progress-bar", *parameters]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)


def shown(path):
    """All text and the kinds of all outputs of an executed notebook."""
    outputs = [o for cell in json.loads(Path(path).read_text())["cells"] for o in cell.get("outputs", [])]
    return "".join("".join(o.get("text", "")) for o in outputs), {kind for o in outputs for kind in o.get("data", {})}


def test_fig2_depth_runs_as_it_is(tmp_path):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "image/png" in shown(tmp_path / "out.ipynb")[1]


def test_fig2_depth_refuses_a_depth_that_no_resnet_has(tmp_path):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", "-p", "depth", "433")
    assert done.returncode != 0 and "nearest: 428 and 434" in done.stderr


def test_fig2_depth_takes_a_stored_point_without_training(tmp_path):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", "-p", "depth", "14", "-p", "recipe", "short")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stored, " in shown(tmp_path / "out.ipynb")[0]


def test_fig2_depth_trains_a_missing_point(cifar10, tmp_path, runs_folder):
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", *"-p depth 14 -p recipe smoke -p seeds 2".split())
    assert done.returncode == 0, done.stderr[-2000:]
    text, kinds = shown(tmp_path / "out.ipynb")
    assert "not stored; training it now" in text and "ms a step" in text and "image/png" in kinds
    assert [len(list(runs_folder.glob(f"resnet14_bn_smoke_seed{seed}-*/run.json"))) for seed in range(3)] == [1, 1, 0]


def test_quickstart_trains_live(tmp_path):
    done = papermill("quickstart.ipynb", tmp_path / "out.ipynb", "-p", "epochs", "2", "-p", "model", "resnet8")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test digits right" in shown(tmp_path / "out.ipynb")[0]


def cells(path, **parameters):
    """Run the code cells of a notebook here and now, which takes no kernel; returns what they showed."""
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
    return shown


def draw(shown):
    """Draw the figures among what a notebook showed, and set the rest as HTML or Markdown; returns the texts."""
    texts = []
    for one in shown:
        figure = getattr(one, "figure", one)  # what `figures.show` wraps
        if isinstance(figure, matplotlib.figure.Figure):
            figure.canvas.draw()
            assert figure.axes, "IPython shows no figure without axes"
        if one is not figure or not isinstance(one, matplotlib.figure.Figure) and hasattr(one, "_repr_html_"):
            texts.append(one._repr_html_())
        if hasattr(one, "_repr_markdown_"):
            texts.append(one._repr_markdown_())
    return texts


OF_RUNS = [path for path in NOTEBOOKS if path.stem not in ("quickstart", "engine_speed", "table1_parameters")]


@pytest.mark.parametrize("without", ["nothing", "everything", "the first run", "all that is trained whole", "probes"])
@pytest.mark.parametrize("path", OF_RUNS, ids=lambda p: p.stem)
def test_a_notebook_is_right_with_whatever_runs_there_are(path, without, monkeypatch):
    runs = store.all_runs()
    kept = {
        "nothing": runs,
        "everything": [],
        "the first run": runs[1:],
        "all that is trained whole": [run for run in runs if run.spec.trainable != "all"],
        "probes": runs,
    }[without]
    monkeypatch.setattr("bnlib.store.runs.all_runs", lambda: kept)
    if without == "probes":
        monkeypatch.setattr(store.Run, "probes", None)
    texts = draw(cells(path))
    assert not [text for text in texts if re.search(r"(?<![\w/+-])nan(?![\w/+-])", re.sub(r'"[^"]*"', "", text), re.I)]
    verdicts = {verdict for text in texts for verdict in re.findall(r'class="bn-badge[^>]*>([^<]*)<', text)}
    assert verdicts <= {"not trained", "not judged"} or without != "everything", verdicts


def test_the_contents_list_what_is_not_trained_apart():
    toc = (ROOT / "_toc.yml").read_text()
    apart = re.search(r"caption: Not trained yet\n(.*?)(?=  - caption|\Z)", toc, flags=re.S)
    listed = set(re.findall(r"file: notebooks/(\w+)", apart[1])) if apart else set()
    first = {path.stem: next(iter(draw(cells(path))), "") for path in OF_RUNS}
    found = {name for name, text in first.items() if ">not trained<" in text and name not in ("claims", "front")}
    assert found == listed, "move these pages in _toc.yml"


@pytest.mark.parametrize("recipe", ["paper", "short", "smoke"])
@pytest.mark.parametrize(
    "path", [path for path in OF_RUNS if path.stem not in ("claims", "front", "gamma_explorer")], ids=lambda p: p.stem
)
def test_a_notebook_shows_one_recipe(path, recipe):
    shown = cells(path, recipe=recipe)
    drawn = [getattr(one, "figure", one) for one in shown]  # what `figures.show` wraps
    titles = [ax.get_title("left") for one in drawn if isinstance(one, matplotlib.figure.Figure) for ax in one.axes]
    others = [f"ours, {RECIPES[other].epochs} epochs" for other in ("paper", "short", "smoke") if other != recipe]
    assert not [title for title in titles if any(other in title for other in others)], titles
    draw(shown)


def test_a_notebook_adds_what_is_asked_for(monkeypatch, capsys):
    cells(ROOT / "notebooks" / "fig2_width.ipynb", width=1, trainable="all", recipe="short")
    assert "resnet14_all_short_seed0-45e7a78d: stored" in capsys.readouterr().out
    cells(ROOT / "notebooks" / "fig2_depth.ipynb", depth=14, recipe="short", seeds=3)
    assert capsys.readouterr().out.count(": stored, 4") == 3
    with pytest.raises(ValueError, match="seeds 0: .* nearest: 1"):
        cells(ROOT / "notebooks" / "fig6_clamping.ipynb", depth=14, seeds=0)
    with pytest.raises(ValueError, match="at least 1"):
        cells(ROOT / "notebooks" / "fig2_width.ipynb", width=0)
    with pytest.raises(ValueError, match="11, 13, 16 or 19"):
        cells(ROOT / "notebooks" / "ablation_vgg.ipynb", depth=12)
    with pytest.raises(ValueError, match="has no place for wrn14-2"):
        from bnlib import experiments

        experiments.points("fig1_affine", "wrn14-2")


def test_what_was_trained_but_not_asked_is_said_so_and_asked(monkeypatch):
    from bnlib import experiments, training

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


def test_engine_speed_runs_as_it_is(tmp_path):
    done = papermill("engine_speed.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "image/png" in shown(tmp_path / "out.ipynb")[1]


def test_table1_counts_one_more_network(tmp_path):
    done = papermill("table1_parameters.ipynb", tmp_path / "out.ipynb", "-p", "model", "resnet20")
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_empty_store_draws_the_papers_values_and_says_not_run(monkeypatch):
    from bnlib import experiments, store
    from bnlib.report import analysis, figures, paper

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
        assert not any(line.startswith(("def ", "for ", "while ")) for line in lines)
        if "parameters" in cell["metadata"].get("tags", []):
            assert all(":" in line and "#" in line for line in lines), "each parameter has a type and a comment"
