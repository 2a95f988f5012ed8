"""Every notebook runs by papermill, as a reader would; and the commands of the README do what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    done = papermill("fig2_depth.ipynb", tmp_path / "out.ipynb", "-p", "depth", "14", "-p", "recipe", "smoke")
    assert done.returncode == 0, done.stderr[-2000:]
    text, kinds = shown(tmp_path / "out.ipynb")
    assert "not stored; training it now" in text and "ms a step" in text and "image/png" in kinds
    assert list(runs_folder.glob("resnet14_bn_smoke_seed0-*/run.json"))


def test_quickstart_trains_live(tmp_path):
    done = papermill("quickstart.ipynb", tmp_path / "out.ipynb", "-p", "epochs", "2", "-p", "model", "resnet8")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test digits right" in shown(tmp_path / "out.ipynb")[0]


def test_fig5_has_a_slider_for_a_page_and_one_for_a_kernel(tmp_path):
    done = papermill("fig5_thresholds.ipynb", tmp_path / "out.ipynb", "-y", "depths: [14]", "-p", "live", "True")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "application/vnd.jupyter.widget-view+json" in shown(tmp_path / "out.ipynb")[1]
    text = (tmp_path / "out.ipynb").read_text()
    assert "threshold-slider" in text and "ResNet-14, recipe short" in text and "ResNet-32" not in text


@pytest.mark.parametrize("name", ["fig4_gamma", "engine_speed"])
def test_it_runs_as_it_is(name, tmp_path):
    done = papermill(f"{name}.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "image/png" in shown(tmp_path / "out.ipynb")[1]


def test_table1_counts_one_more_network(tmp_path):
    done = papermill("table1_parameters.ipynb", tmp_path / "out.ipynb", "-p", "model", "resnet20")
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_empty_store_draws_the_papers_values_and_says_not_run(monkeypatch):
    from bnlib import analysis, experiments, figures, paper, store

    monkeypatch.setattr(store, "all_runs", list)
    reference = paper.values("fig2", "abstract", metric="test_accuracy_percent")
    for recipe in ("auto", "paper", "smoke"):
        summary = analysis.summarise(experiments.runs("fig2_depth", recipe))
        points = analysis.judge(summary, reference)
        assert analysis.overall(points) == analysis.deepest(points) == "not run"
        assert figures.fig2_depth(summary, reference).axes
    assert (experiments.coverage("fig2_depth") == "not run").all().all()


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
