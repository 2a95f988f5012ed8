"""The command line: one line for every mistake, before any work."""

import math
import re

import pytest
from click.testing import CliRunner
from test_store import made

from bnlib import RunSpec, data, engine, training
from bnlib.cli import main, options
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
        (["data", "--data", __file__], "test_cli.py is a file; the folder that holds the data sets is needed"),
        (["data", "--size", "0"], "a whole number from 8 to 1024 is needed; nearest: 8"),
        (["data", "--dataset", "digits", "--size", "64"], "--size 64: the pictures of digits are 32×32; leave it out"),
        (["run", "resnet14", "--device", "GPU"], "did you mean 'cuda'"),
        (["run", "resnet14", "--trainable", "bn,output"], "did you mean 'bn+output'"),
        (["run", "resnet14", "--train-images", "60000"], "cifar10 has 50,000 of them; nearest: 50000"),
        (["run", "resnet14", "--replicates", "1001"], "a whole number from 1 to 1000 is needed; nearest: 1000"),
        (["sweep", "fig2_depth", "--seeds", "0"], "a whole number from 1 to 1000 is needed; nearest: 1"),
        (["sweep", "fig2_depth", "--jobs", "100000"], "a whole number from 1 to 256 is needed; nearest: 256"),
        (["sweep", "fig2_depth", "--seeds", "--5"], "'--5': a whole number from 1 to 1000 is needed; nearest: 1"),
        (["sweep", "fig2_depth", "--seeds", "9" * 5000], "a whole number from 1 to 1000 is needed; nearest: "),
        (["sweep", "fig2_depth", "--jobs", "two"], "'two': a whole number from 1 to 256 is needed"),
        (["sweep", "fig2"], "did you mean 'fig2_depth', 'fig2_width' or 'fig2_imagenet'?"),
        (["sweep", "norms"], "did you mean 'beyond_norms'?"),
        (["export", "resnet14_bn_short_seed0-f7b08146", ""], "'': the path of a file is needed"),
        (["load", " "], "' ': the path of a file is needed"),
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
    measured = []
    monkeypatch.setattr(costs, "_measure", lambda *_: measured.append(1))
    monkeypatch.setattr(sweep, "side_by_side", lambda jobs, words: asked.append((jobs, words)))
    assert call("sweep", "fig2_depth", "--recipe", "smoke", "--budget", "0s", "--jobs", "2").exit_code == 0
    (jobs, words) = asked[0]
    assert jobs == 2 and words[words.index("--budget") + 1] == "0.0s" and "--model" not in words
    call(*"sweep fig2_depth --recipe smoke --jobs 2 --model resnet14 --model resnet20 --no-list".split())
    assert [words for words in asked[1][1] if words.startswith("resnet")] == ["resnet14", "resnet20"]
    given = "--dataset digits --device cpu --data /here --no-probes --seeds 3".split()
    call(*"sweep fig2_depth --recipe smoke --jobs 2 --no-list".split(), *given)
    handed = asked[2][1]
    assert handed[handed.index("--seeds") + 1] == "3" and "--no-probes" in handed and "--probes" not in handed
    assert [handed[handed.index(name) + 1] for name in given[:6:2]] == given[1:6:2]
    assert "--probes" in asked[1][1] and not measured, "nothing is measured when there is no time"


def test_a_budget_in_which_no_epoch_fits_is_said(runs_folder, monkeypatch):
    from bnlib.training import costs

    def said(epoch, budget="1m"):
        monkeypatch.setattr(costs, "costs", lambda specs, **_: {spec: costs.Cost(epoch, 2 * epoch) for spec in specs if epoch})
        done = call(*f"sweep fig2_depth --recipe smoke --budget {budget} --dataset digits".split())
        assert done.exit_code == 0, done.output
        return done.output.splitlines()[-1]

    assert re.fullmatch(
        r"5\d s of 60 s were left .*: too little for an epoch, of which the shortest known takes about 2 min", said(100.0)
    )
    assert said(0, "0s") == "in that time not even an epoch could be measured; give more"
    assert said(math.inf).endswith("0 trained, 58 left"), "the list has said that nothing fits in memory"


def test_replicates_are_the_next_seeds(tiny, runs_folder, monkeypatch):
    trained = []

    def train(specs, **_):
        trained.extend(specs)
        for spec in specs:
            made(spec, runs_folder)

    monkeypatch.setattr(training, "train_together", train)
    said = call(*"run resnet8 --dataset digits --recipe smoke --seed 4 --replicates 3".split())
    assert [spec.seed for spec in trained] == [4, 5, 6] and said.output.count("25.00% test accuracy, finished") == 3


def test_what_is_listed_tells_runs_of_one_name_apart(tiny, runs_folder):
    for spec in (tiny(), tiny(lr=0.5, weight_decay=0)):
        made(spec, runs_folder)
    lines = [line for line in call("results").output.splitlines() if "digits_resnet8_bn_smoke_seed0" in line]
    assert len(lines) == 2 and sum("lr=0.5" in line and "weight_decay=0.0" in line for line in lines) == 1


def test_verify_evaluates_if_it_is_asked_to(tiny, runs_folder, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("BNLIB_RESULTS", str(tmp_path / "results"))
    checksum = data.load("digits").checksum
    run = made(tiny(), runs_folder, data_checksum=checksum)
    right = round(engine.evaluate(run.model(), data.load("digits"), images=100)[0], 9)
    assert abs(right - run.accuracy) > 0.05, "else this asks nothing"
    assert "1 runs, nothing wrong" in call("results", "verify").output
    said = call("results", "verify", "--accuracy")
    assert said.exit_code == 1 and f"accuracy 0.25 in run.json, {right} evaluated now" in said.output


def test_what_cannot_be_asked_says_why(tiny, runs_folder):
    diverged = made(RunSpec("resnet8", recipe="short"), runs_folder, loss=float("nan"), status="diverged")
    digits = made(tiny(), runs_folder)
    assert f"{diverged.id}: it diverged; nothing is asked of it" in call("results", "probe", diverged.id).output
    assert f"{digits.id}: only networks trained on CIFAR-10" in call("results", "probe", digits.id).output


def test_nothing_to_ask_is_said(runs_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BNLIB_RESULTS", str(tmp_path))
    assert call("results", "probe").output.startswith("no runs in ")
    made(RunSpec("resnet8", recipe="smoke"), runs_folder)
    assert call("results", "probe").output == "nothing to ask; stored: 1\n"


def test_a_file_that_holds_where_pictures_lay_says_so(runs_folder, tmp_path):
    spec = RunSpec("resnet8", dataset="imagefolder:/home/me/pictures", recipe="smoke", size=32, augment="flip+crop")
    run = made(spec, runs_folder, classes=3)
    said = call("export", run.id, str(tmp_path / "file")).output
    assert "whoever gets the file can read in it where the pictures lay: /home/me/pictures" in said
    own = made(RunSpec("resnet8", recipe="smoke"), runs_folder)
    assert "whoever" not in call("export", own.id, str(tmp_path / "other")).output


def test_what_cannot_be_said_is_a_line_and_a_closed_pipe_none(monkeypatch):
    def raises(error):
        monkeypatch.setattr("bnlib.store.results", lambda *_: (_ for _ in ()).throw(error))
        return call("results")

    full = raises(OSError(28, "No space left on device"))  # standard output's, of no file
    assert full.exit_code == 1 and full.output == "Error: No space left on device\n"
    assert raises(OSError(13, "Permission denied", "there")).output == "Error: there: Permission denied\n"
    assert isinstance(raises(BrokenPipeError(32, "Broken pipe")).exception, BrokenPipeError | SystemExit)


def test_each_unit_of_a_time_is_its_own():
    assert [options.Duration().convert(one, None, None) for one in ("90s", "1.5m", "2h")] == [90, 90, 7200]


def test_the_list_of_commands_cuts_no_sentence():
    for words in (["--help"], ["results", "--help"]):
        listed = call(*words).output.partition("Commands:")[2]
        assert listed.count("\n") > 2 and "..." not in listed


def test_probes_that_are_there_are_not_asked_for_again(runs_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "ask", lambda runs, names, **_: asked.extend((run.id, *names) for run in runs))
    whole, half = "resnet14_bn_paper_seed0-3c3e6a91", "resnet14_all_short_seed0-45e7a78d"
    first = PROBES[:3]  # the later ones not every committed run has been asked
    said = call("results", "probe", whole, half, *(word for name in first for word in ("--only", name)))
    assert said.exit_code == 0 and f"{whole}: has its probes already" in said.output and asked == [(half, *first)]
    assert call("results", "probe", half, "--only", "relu").exit_code == 0 and len(asked) == 1
    assert "did you mean 'train'?" in call("results", "probe", whole, "--only", "trian").output
