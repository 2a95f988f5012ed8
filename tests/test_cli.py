"""The command line: one line for every mistake, before any work."""

import pytest
from click.testing import CliRunner

from bnlib import training
from bnlib.cli import main
from bnlib.spec.choices import PROBES


def call(*words):
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "resnet433"], "nearest: 428 and 434"),
        (["run", "resnet14", "--trainable", "batchnorm"], "unknown group"),
        (["run", "resnet14", "--recipe", "papr"], "did you mean 'paper'"),
        (["run", "resnet14", "--epochs", "0"], "nearest: 1"),
        (["run", "resnet14", "--milestones", "a,b"], "whole epochs joined by commas"),
        (["run", "resnet14", "--recipe", "smoke", "--data", "/nowhere"], "bnlib data --download"),
        (["run", "resnet14", "--recipe", "smoke", "--device", "cdua"], "did you mean 'cuda'"),
        (["estimate", "wrn14-0"], "at least 1"),
        (["sweep", "fig2_dept"], "did you mean 'fig2_depth'"),
        (["sweep", "fig2_depth", "--budget", "9"], "such as 90s, 9m or 2h"),
        (["bench", "--data", "/nowhere"], "bnlib data --download"),
        (["run", "resnet14", "--optimiser", "adm"], "did you mean 'adam'"),
        (["data", "--data", "/nowhere"], "bnlib data --download --data /nowhere"),
    ],
)
def test_mistakes_are_one_line(words, message, runs_folder):
    result = call(*words)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
    assert not list(runs_folder.glob("resnet*"))


def test_run_then_list_then_verify(runs_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BNLIB_RESULTS", str(tmp_path / "results"))  # the committed ones are verified elsewhere
    (tmp_path / "results").mkdir()
    words = [
        "run",
        "resnet8",
        "--dataset",
        "digits",
        "--recipe",
        "smoke",
        "--precision",
        "fp32",
        "--epochs",
        "1",
        "--batch-size",
        "256",
    ]
    first, second = call(*words), call(*words)
    assert first.exit_code == 0, first.output
    assert "test accuracy, finished" in first.output and "(stored before)" in second.output
    assert "digits_resnet8_bn_smoke_seed0" in call("results").output
    assert "nothing wrong" in call("results", "verify").output
    next(runs_folder.glob("digits*/history.csv")).unlink()
    broken = call("results", "verify")
    assert broken.exit_code == 1 and "no history.csv" in broken.output


def test_time_that_the_list_has_used_up_is_no_time_without_end(runs_folder, monkeypatch):
    from bnlib.training import costs, sweep

    asked = []
    monkeypatch.setattr(costs, "plan", lambda *_: [])
    monkeypatch.setattr(sweep, "side_by_side", lambda jobs, words: asked.append((jobs, words)))
    assert call("sweep", "fig2_depth", "--recipe", "smoke", "--budget", "0s", "--jobs", "2").exit_code == 0
    (jobs, words) = asked[0]
    assert jobs == 2 and words[words.index("--budget") + 1] == "0.0s" and "--model" not in words
    call(*"sweep fig2_depth --recipe smoke --jobs 2 --model resnet14 --model resnet20 --no-list".split())
    assert [words for words in asked[1][1] if words.startswith("resnet")] == ["resnet14", "resnet20"]


def test_probes_that_are_there_are_not_asked_for_again(runs_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "ask", lambda runs, names, **_: asked.extend((run.id, *names) for run in runs))
    whole, half = "resnet14_bn_paper_seed0-3c3e6a91", "resnet14_all_short_seed0-45e7a78d"
    first = PROBES[:3]  # the later ones not every committed run has been asked
    said = call("results", "probe", whole, half, *(word for name in first for word in ("--only", name)))
    assert said.exit_code == 0 and f"{whole}: has its probes already" in said.output and asked == [(half, *first)]
    assert call("results", "probe", half, "--only", "relu").exit_code == 0 and len(asked) == 1
    assert "did you mean 'train'?" in call("results", "probe", whole, "--only", "trian").output
