"""One training in several processes, as torchrun starts them: the same gradients, one store, and what happens when one dies."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from patience import PATIENCE, until

import bnlib
from bnlib import data, processes, store, training
from bnlib.cli import main
from bnlib.engine import synced
from bnlib.store import pretrained
from bnlib.training import loop

ROOT = Path(__file__).resolve().parent.parent
RUN = ["-m", "bnlib", "run", "resnet8", "--recipe", "smoke", "--dataset", "digits", "--device", "cpu"]


def torchrun(count, *words, **more):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def said(process) -> str:
    return process.communicate(timeout=PATIENCE)[0]


CASES = ["bn-common-64", "bn-common-63", "all-common-64", "all-common-63", "bn-own-63"]


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What one process, and each of two, found after one step, by case."""

    folders = {count: tmp_path_factory.mktemp(f"steps{count}") for count in (1, 2)}
    worker = ROOT / "tests/processes_worker.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(worker), str(folders[1]), *CASES])
        runpy.run_path(str(worker), run_name="__main__")  # one is this one
    text = said(process := torchrun(2, worker, folders[2], *CASES))
    assert process.returncode == 0, text
    return {count: [torch.load(folder / f"{rank}.pt") for rank in range(count)] for count, folder in folders.items()}


@pytest.mark.parametrize("case", CASES[:4])
def test_with_common_statistics_two_processes_are_one_with_the_whole_batch(steps, case):
    (alone,) = steps[1]
    for found in steps[2]:
        for name, value in alone[case].items():
            torch.testing.assert_close(
                found[case][name], value, rtol=1e-6, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_with_their_own_statistics_gradients_and_evaluation_are_common_and_statistics_are_not(steps):
    one, two = (found["bn-own-63"] for found in steps[2])
    assert torch.equal(one["gradient"], two["gradient"]) and torch.equal(one["score"], two["score"])
    assert not torch.equal(one["bn.running_mean"], two["bn.running_mean"])


def test_alone_nothing_is_exchanged():
    norm = torch.nn.BatchNorm2d(3)
    assert type(synced(norm, processes.ALONE)) is torch.nn.BatchNorm2d
    tensor = torch.ones(3)
    assert processes.ALONE.total(tensor) is tensor and processes.ALONE.told("x") == "x" and processes.ALONE.first
    with pytest.raises(RuntimeError, match="lost connection"), processes.ALONE.guarded(lambda: ""):
        raise RuntimeError("lost connection")  # not of another process: there is none


def test_more_processes_than_images_is_a_line(tiny):
    model, settings = bnlib.freeze(bnlib.build("resnet8"), "bn"), tiny(batch_size=4).settings
    with pytest.raises(ValueError, match="^3 processes: the smallest batch of an epoch has 4 images, .*; nearest: 2 ") as error:
        loop.Loop("one", model, data.load("digits"), settings, processes=processes.Processes(0, 3))
    assert "\n" not in str(error.value)


def test_a_sweep_takes_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun says it
    told = CliRunner().invoke(main, ["sweep", "fig2_depth", "--recipe", "smoke"])
    assert told.exit_code == 1 and "torchrun's processes train one network together: use bnlib run" in told.output


def test_a_killed_process_ends_the_job_in_a_line_and_another_number_goes_on(tmp_path):
    words = [*RUN, "--epochs", "12", "--trainable", "bn+output"]
    process = torchrun(2, *words, BNLIB_RUNS=str(tmp_path))
    (history,) = until(lambda: list((tmp_path / ".unfinished").glob("*.csv")))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    last = [pid for pid in children if b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    os.kill(int(last[0]), signal.SIGKILL)
    text = said(process)
    assert process.returncode
    (line,) = [line for line in text.splitlines() if "saved after epoch" in line]
    assert "the same command goes on from there" in line
    epochs = len(pd.read_csv(history))
    assert 1 <= epochs < 12
    process = torchrun(1, *words, BNLIB_RUNS=str(tmp_path))
    text = said(process)
    assert process.returncode == 0 and "going on after epoch" in text, text
    (folder,) = tmp_path.glob("digits_*")
    run = store.Run(folder)
    assert len(run.history) == 12 and run.info["earlier"][0]["processes"] == 2 and "processes" not in run.info
    work = tmp_path / ".unfinished"
    assert not list(work.glob("*.csv")) and not list(work.glob("*.pt*"))


def test_what_a_training_begins_from_comes_first_and_every_process_has_it(tmp_path):
    words = [*RUN, "--epochs", "1", "--pretrained", "digits", "--trainable", "output"]
    text = said(process := torchrun(2, *words, BNLIB_RUNS=str(tmp_path)))
    assert process.returncode == 0, text
    parent, run = (store.Run(folder) for folder in sorted(tmp_path.glob("digits_*")))
    assert run.spec.parent == parent.spec and parent.info["processes"] == run.info["processes"] == 2
    assert text.count("it comes first") == 1
    (network,) = (tmp_path / ".networks").iterdir()
    begun = pretrained.begin(run.spec, bnlib.build("resnet8", classes=10, seed=0), tmp_path)
    assert network.is_file() and run.info["began"] == begun


def test_a_time_to_end_is_for_one_process(monkeypatch, tiny):
    monkeypatch.setattr(processes, "started", lambda device: processes.Processes(0, 2))
    with pytest.raises(ValueError, match="until is for one process; here 2 train each spec together: leave it out"):
        training.train_together([tiny()], until=1.0)
