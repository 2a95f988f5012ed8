"""Trainings that go on, and trainings that were stopped, are listed as they are; nothing in their files breaks the list."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from filelock import FileLock

from bnlib import store
from bnlib.cli import main
from bnlib.store import cleaning, form

ROOT = Path(__file__).resolve().parent.parent
STORED = "resnet14_bn_short_seed0-297e0749"


def listed():
    said = CliRunner().invoke(main, ["results"])
    assert said.exit_code == 0, said.output
    return said.output.split("not through")[1] if "not through" in said.output else ""


@pytest.fixture
def history():
    return (ROOT / "results" / STORED / "history.csv").read_text()


@pytest.fixture
def work(runs_folder):
    return store.check_writable(runs_folder / ".unfinished")


def test_nothing_unfinished_is_an_empty_frame_of_the_same_kinds(runs_folder, tiny):
    frame = store.unfinished()
    assert not len(frame) and not runs_folder.exists() and listed() == ""
    (store.check_writable(runs_folder / ".unfinished") / f"{tiny().id}.pt").touch()
    assert store.unfinished().dtypes.equals(frame.dtypes)


def test_a_training_that_was_stopped_says_how_far_it_came(work, tiny, history):
    name = tiny().id
    (work / f"{name}.pt").touch()
    (work / f"{name}.csv").write_text("".join(history.splitlines(keepends=True)[:6]))
    os.utime(work / f"{name}.csv", (1, 1))
    (row,) = store.unfinished().itertuples()
    rows = store.load(STORED).history.iloc[:5]
    assert (row.id, row.epoch, row.accuracy, row.busy, row.fault) == (name, 5, rows.test_accuracy.iloc[-1], False, "")
    assert row.seconds == pytest.approx(rows.seconds.sum()) and pd.isna(row.epochs)
    assert abs(row.written.timestamp() - (work / f"{name}.pt").stat().st_mtime) < 1e-3, "the younger of the two"
    assert f"epoch 5  test {row.accuracy:.2%}  saved 0 s ago  no process is at it" in " ".join(listed().split(" "))


def test_of_how_many_epochs_is_said_where_the_history_says_so(work, tiny, history):
    head, *lines = history.splitlines()
    for seed, epochs in enumerate(("16", "", "1e300")):
        text = "\n".join([f"{head},epochs", *(f"{line},{epochs}" for line in lines[:3])]) + "\n"
        (work / f"{tiny(seed=seed).id}.csv").write_text(text)
    frame = store.unfinished()
    assert frame.epoch.tolist() == [3, 3, 3] and sorted(frame.epochs.dropna()) == [16] and (frame.fault == "").all()
    assert listed().count("epoch 3 of 16 ") == 1


def test_with_many_classes_the_history_has_a_column_more(work, tiny, history):
    frame = pd.read_csv(ROOT / "results" / STORED / "history.csv").assign(test_top5=0.9)
    (work / f"{tiny().id}.csv").write_text(frame[form.MANY].to_csv(index=False))
    assert store.unfinished().epoch.tolist() == [16]


DAMAGES = {
    "empty": "",
    "zeros": "\0" * 500,
    "cut off in a line": None,
    "only a head": ",".join(form.HISTORY) + "\n",
    "other columns": "a,b\n1,2\n",
    "words": ",".join(form.HISTORY) + "\nx,y,z,1,1,1,1\n",
    "a terminal's": "\x1b]0;mine\x07\n",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_history_is_one_line_and_the_others_are_listed(name, work, tiny, history):
    bad, good = tiny().id, tiny(seed=1).id
    (work / f"{bad}.pt").touch()
    (work / f"{bad}.csv").write_text(history[:-20] if DAMAGES[name] is None else DAMAGES[name])
    (work / f"{good}.csv").write_text(history)
    frame = store.unfinished().set_index("id")
    assert frame.loc[good, "epoch"] == 16 and pd.isna(frame.loc[bad, "epoch"]) and frame.loc[bad, "fault"].isprintable()
    (line,) = [line for line in listed().splitlines() if line.startswith(bad)]
    assert frame.loc[bad, "fault"] in line and frame.loc[bad, "fault"] and "\x1b" not in line


def test_a_history_that_is_no_plain_file_is_not_followed(work, tiny, tmp_path):
    names = [tiny(seed=seed).id for seed in range(3)]
    (tmp_path / "elsewhere").write_text("secret\n")
    (work / f"{names[0]}.csv").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(work / f"{names[1]}.csv")
    (work / f"{names[2]}.csv").mkdir()
    frame = store.unfinished().set_index("id")
    assert "symbolic link" in frame.fault[names[0]] and "no plain file" in frame.fault[names[1]] and frame.fault[names[2]]
    assert len(listed().splitlines()) == 4


def test_what_is_stored_and_what_nobody_began_is_not_listed(work, tiny, history):
    shutil.copytree(ROOT / "results" / STORED, work.parent / STORED)
    for path in (f"{STORED}.csv", f"{STORED}.pt", f"{tiny().id}.lock", "mine.csv", f"{tiny(seed=1).id}.pt.bad"):
        (work / path).write_text(history)
    assert not len(store.unfinished())
    found = {path.name: what for path, what in cleaning.leftovers().items()}
    assert found.pop(f"{STORED}.csv") == "a history of a run that is stored"
    assert found.pop(f"{STORED}.pt") == "a checkpoint of a run that is stored"
    assert found == {f"{tiny().id}.lock": "a lock that nobody holds"}


def test_a_history_that_was_not_written_to_its_end_is_left_over(work, tiny, history):
    for end in ("csv", "csv.part", "part", "pt"):
        (work / f"{tiny().id}.{end}").write_text(history)
    found = {path.name.removeprefix(tiny().id): what for path, what in cleaning.clean().items()}
    assert found == {
        ".csv.part": "a history that was not saved to its end",
        ".part": "a checkpoint that was not saved to its end",
    }
    assert store.unfinished().epoch.tolist() == [16], "what a training goes on from stays, and what it says of itself"


def test_the_mark_of_a_sweep_that_was_killed_is_left_over_after_a_week(work):
    old, new, other = (work / f".sweep-{name}" for name in ("0123456789abcdef", "fedcba9876543210", "mine"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    assert cleaning.clean() == {old: "the mark of a sweep that was killed"}
    assert not old.exists() and new.exists() and other.exists()


def test_a_process_at_work_is_seen_and_not_disturbed(work, tiny, history):
    going, first = tiny().id, tiny(seed=1).id
    (work / f"{going}.csv").write_text(history)
    hold = "import sys, filelock; locks = [filelock.FileLock(p) for p in sys.argv[1:]]; [one.acquire() for one in locks]; print()"
    command = [sys.executable, "-u", "-c", hold + "; sys.stdin.read()", *(str(work / f"{one}.lock") for one in (going, first))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        frame = store.unfinished().set_index("id")
        assert frame.busy.all() and frame.epoch.to_dict() == {going: 16, first: 0} and pd.isna(frame.written[first])
        assert "epoch 0" in listed() and "nothing saved yet" in listed() and listed().count("a process is at it") == 2
        assert not cleaning.leftovers()
        process.stdin.close()
    assert store.unfinished().set_index("id").busy.to_dict() == {going: False}, "the other never ended an epoch"
    with FileLock(work / f"{going}.lock", timeout=0):  # the list has let go of it
        pass


def test_a_file_that_goes_while_the_list_is_made(work, tiny, history, monkeypatch):
    (work / f"{tiny().id}.csv").write_text(history)
    (work / f"{tiny().id}.pt").touch()
    there = cleaning.inside(work)
    for path in there:
        path.unlink()
    monkeypatch.setattr("bnlib.store.progress.inside", lambda _: there)
    assert len(there) == 2 and not len(store.unfinished())
