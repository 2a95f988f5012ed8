"""The store can be trusted: every change is found, one bad folder stays alone, a kill leaves nothing wrong, nothing is injected."""

import html
import json
import logging
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from filelock import FileLock
from safetensors.numpy import load_file, save_file
from sealing import sealed

from bnlib import RunSpec, experiments, store
from bnlib.cli import main
from bnlib.report import analysis, page
from bnlib.store import cleaning, files, form, networks, runs, seedfile, verification, writing

ROOT = Path(__file__).resolve().parent.parent
ONE, OTHER = "resnet14_bn_short_seed0-297e0749", "resnet14_bn_short_seed1-0d02cbdf"
TAG = "<script>alert(1)</script>"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of a committed run, in a store of its own; `copied(name)` copies a further one."""
    empty = tmp_path / "results"
    empty.mkdir()
    committed = store.results_folder()
    monkeypatch.setenv("BNLIB_RESULTS", str(empty))
    monkeypatch.setattr(runs, "_said", set())

    def copy(name=ONE):
        return Path(shutil.copytree(committed / name, empty / name))

    return copy


def call(*words):
    return CliRunner().invoke(main, list(words))


def edit(folder, **changes):
    """run.json with other values; its digest is that of before."""
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=1) + "\n")


# What can be done to a run's folder: by name, the file that `verify` must name, and the damage.

DAMAGES = {}


def damage(name, file):
    def keep(function):
        assert name not in DAMAGES
        DAMAGES[name] = (file, function)
        return function

    return keep


def text(name, file, change):
    """A damage to the text of a file, which it must change."""

    @damage(name, file)
    def do(folder):
        before = (folder / file).read_text()
        after = change(before)
        assert after != before
        (folder / file).write_text(after)


def value(name, change):
    """A damage to what run.json says."""

    @damage(f"run.json: {name}", "run.json")
    def do(folder):
        about = json.loads((folder / "run.json").read_text())
        before = json.dumps(about)
        change(about)
        assert json.dumps(about) != before
        (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")


def tensor(name, change):
    """A damage to the tensors."""

    @damage(f"bn.safetensors: {name}", "bn.safetensors")
    def do(folder):
        found = {key: one.copy() for key, one in load_file(folder / "bn.safetensors").items()}
        save_file(change(found) or found, folder / "bn.safetensors")


def raw(name, file, change):
    """A damage to the bytes of a file."""

    @damage(name, file)
    def do(folder):
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(change(before))
        assert (folder / file).read_bytes() != before


def cell(row, column, change):
    def do(before):
        lines = [line.split(",") for line in before.splitlines()]
        lines[row][column] = change(lines[row][column])
        return "\n".join(",".join(line) for line in lines) + "\n"

    return do


def flip(number):
    """Another last digit."""
    return number[:-1] + ("1" if number[-1] != "1" else "2")


for _at, _column in enumerate(form.HISTORY):
    for _row in (2, 8, 16):
        text(f"history.csv: {_column} of epoch {_row}", "history.csv", cell(_row, _at, flip))
    text(f"history.csv: no {_column}", "history.csv", cell(5, _at, lambda _: ""))
    text(f"history.csv: column {_column} renamed", "history.csv", cell(0, _at, lambda word: word + "s"))
_lines = {
    "rows swapped": lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
    "a row less": lambda lines: lines[:4] + lines[5:],
    "a row more": lambda lines: [*lines, lines[-1]],
    "the last epochs cut off": lambda lines: lines[:9],
    "no rows": lambda lines: lines[:1],
    "no header": lambda lines: lines[1:],
    "a word": lambda lines: [*lines[:3], "3,fast,1,1,1,1,1\n", *lines[4:]],
    "a value more": lambda lines: [*lines[:3], lines[3].rstrip() + ",1\n", *lines[4:]],
}
for _name, _change in _lines.items():
    text(f"history.csv: {_name}", "history.csv", lambda t, c=_change: "".join(c(t.splitlines(keepends=True))))

for _key in form.FIELDS:
    value(f"{_key} removed", lambda about, key=_key: about.pop(key))
    value(f"{_key} renamed", lambda about, key=_key: about.update({f"{key}_": about.pop(key)}))
    value(f"{_key} of another type", lambda about, key=_key: about.update({key: [about[key]]}))
_values = {
    "status": "failed",
    "accuracy": 0.5369,
    "test_loss": 1.5311724609,
    "train_accuracy": 0.41913,
    "train_loss": 1.5652838980,
    "test_images": 9999,
    "seconds": 657.9,
    "engine": "plain",
    "passes": "cc",
    "device": "Another CPU",
    "threads": 2,
    "commit": "0" * 40,
    "dirty": True,
    "data_checksum": "0" * 64,
    "weights_checksum": "0" * 64,
    "started": "2026-11-25T18:38:55+00:00",
    "id": OTHER,
}
for _key, _value in _values.items():
    value(f"another {_key}", lambda about, key=_key, new=_value: about.update({key: new}))
value("status diverged", lambda about: about.update(status="diverged"))
value("a field more", lambda about: about.update(colour="red"))
value("a count", lambda about: about["counts"].update(bn=1121))
value("a version", lambda about: about["versions"].update(torch="2.12.0"))
value("another seed", lambda about: about["spec"].update(seed=5))
value("another model", lambda about: about["spec"].update(model="resnet32"))
value("a model that is none", lambda about: about["spec"].update(model="resnet15"))
value("an lr in the spec", lambda about: about["spec"].update(lr=0.2))
value("a field of the spec that is none", lambda about: about["spec"].update(colour="red"))
value("the recipe's epochs repeated", lambda about: about["spec"].update(epochs=16))
value("a newer format", lambda about: about.update(format=99))
text("run.json: NaN", "run.json", lambda t: t.replace("0.4369", "NaN"))
text("run.json: a number too large", "run.json", lambda t: t.replace("0.4369", "1e999"))
text("run.json: a key twice", "run.json", lambda t: t.replace('"status"', '"accuracy": 0.9, "status"'))
text("run.json: a space", "run.json", lambda t: t.replace(": ", ":  ", 1))
text("run.json: empty object", "run.json", lambda _: "{}")
text("run.json: a list", "run.json", lambda _: "[]")
text("run.json: nested", "run.json", lambda _: "[" * 100_000)
raw("run.json: not UTF-8", "run.json", lambda data: data.replace(b"AMD", b"\xff\xfe\xfd"))

text("probes.json: a digit", "probes.json", lambda t: t.replace("0.4371", "0.4372", 1))
text("probes.json: a key renamed", "probes.json", lambda t: t.replace("accuracy_beta", "accuracy_Beta"))
text("probes.json: a list", "probes.json", lambda _: "[]")
text("probes.json: an empty object", "probes.json", lambda _: "{}")
text("probes.json: a curve shorter", "probes.json", lambda t: t.replace("[0.0, ", "[", 1))
text("probes.json: an accuracy above 1", "probes.json", lambda t: t.replace("0.4371", "4.371", 1))

for _name in form.NORM:
    tensor(f"bn.{_name} changed by 1e-6", lambda t, n=_name: t[f"bn.{n}"].__setitem__(3, t[f"bn.{n}"][3] + np.float32(1e-6)))
tensor("float64", lambda t: t.update({"bn.weight": t["bn.weight"].astype(np.float64)}))
tensor("float16", lambda t: t.update({"bn.weight": t["bn.weight"].astype(np.float16)}))
tensor("one less", lambda t: {k: v for k, v in t.items() if k != "bn.weight"})
tensor("one more", lambda t: t.update({"more": t["bn.weight"]}))
tensor("one renamed", lambda t: {k.replace("bn.weight", "bn.wait"): v for k, v in t.items()})
tensor("one shorter", lambda t: t.update({"bn.weight": t["bn.weight"][:-1]}))
tensor("one of two dimensions", lambda t: t.update({"bn.weight": t["bn.weight"].reshape(4, 4)}))
tensor("NaN", lambda t: t["bn.weight"].__setitem__(0, np.nan))
tensor("infinity", lambda t: t["bn.running_mean"].__setitem__(0, np.inf))
tensor("a variance below 0", lambda t: t["bn.running_var"].__setitem__(0, -1))
tensor("two swapped", lambda t: t.update({"bn.weight": t["bn.bias"], "bn.bias": t["bn.weight"]}))
raw("bn.safetensors: a bit of the header", "bn.safetensors", lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:])
raw("bn.safetensors: a bit of the last number", "bn.safetensors", lambda data: data[:-4] + bytes([data[-4] ^ 1]) + data[-3:])
raw("bn.safetensors: a byte more", "bn.safetensors", lambda data: data + b"\0")
raw("bn.safetensors: a header of 10 GB", "bn.safetensors", lambda data: struct.pack("<Q", 10**10) + data[8:])

for _file in files.PARTS:
    raw(f"{_file}: cut in half", _file, lambda data: data[: len(data) // 2])
    raw(f"{_file}: its last byte missing", _file, lambda data: data[:-1])
    raw(f"{_file}: empty", _file, lambda _: b"")
    raw(f"{_file}: zeros", _file, lambda data: bytes(len(data)))
    damage(f"{_file}: deleted", _file)(lambda folder, file=_file: (folder / file).unlink())

    @damage(f"{_file}: a link", _file)
    def _link(folder, file=_file):
        shutil.move(folder / file, folder.parent / "elsewhere")
        (folder / file).symlink_to(folder.parent / "elsewhere")

    @damage(f"{_file}: a folder", _file)
    def _folder(folder, file=_file):
        (folder / file).unlink()
        (folder / file).mkdir()

    @damage(f"{_file}: a pipe", _file)
    def _pipe(folder, file=_file):
        (folder / file).unlink()
        os.mkfifo(folder / file)

    @damage(f"{_file}: another run's", _file)
    def _others(folder, file=_file):
        shutil.copy(ROOT / "results" / OTHER / file, folder / file)


text("SHA256SUMS: a digit", "SHA256SUMS", lambda t: re.sub(r"\w(?=\w{63}  history)", lambda m: "10"[m[0] == "1"], t))
text("SHA256SUMS: a line less", "SHA256SUMS", lambda t: "".join(line for line in t.splitlines(True) if "history" not in line))
text("SHA256SUMS: a path", "SHA256SUMS", lambda t: t + f"{'0' * 64}  ../other/run.json\n")
text("SHA256SUMS: a line that is none", "SHA256SUMS", lambda t: t + "and more\n")
raw("SHA256SUMS: empty", "SHA256SUMS", lambda _: b"")
damage("a file that no run has", "notes.txt")(lambda folder: (folder / "notes.txt").write_text("mine"))


def test_there_are_enough_damages():
    assert len(DAMAGES) >= 72


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_found_and_named(name, copied):
    folder = copied()
    file, do = DAMAGES[name]
    do(folder)
    found = verification.verify(store.Run(folder))
    assert any(line.startswith(f"{ONE}: ") and file in line for line in found), found
    assert all("\n" not in line and len(line) < 600 for line in found)
    if file != "notes.txt":  # which is in no figure's way
        with pytest.raises(store.StoreError, match=ONE):
            store.Run(folder).check()
        assert not len(store.results(whole=True)) and list(store.unreadable(whole=True)) == [folder]


# Of these nobody can tell where the digests were changed, too: values that could have been, and bytes that say the same.
ONLY_BY_DIGESTS = re.compile(
    r"history.csv: ((train|test)_(loss|accuracy)|seconds) of epoch (2|8)|history.csv: (seconds of epoch 16|no test_loss)"
    r"|run.json: another (test_loss|train_loss|seconds|engine|passes|device|threads|commit|dirty|data_checksum|started)"
    r"|run.json: (a field more|a version|the recipe's epochs repeated|a space|its last byte missing)"
    r"|probes.json: (a digit|an empty object|its last byte missing|another run's)"
    r"|bn.safetensors: (bn.\w+ changed by 1e-6|two swapped|a bit of the last number|another run's)"
)


@pytest.mark.parametrize("name", [name for name, (file, _) in DAMAGES.items() if file in files.PARTS])
def test_without_its_digest_most_damages_are_found(name, copied):
    folder = copied()
    DAMAGES[name][1](folder)
    sealed(folder)
    found = verification.verify(store.Run(folder))
    assert any(line.startswith(f"{ONE}: ") for line in found) == (not ONLY_BY_DIGESTS.fullmatch(name)), found


def test_a_right_run_is_right_and_needs_its_digests(copied):
    run = store.Run(copied())
    assert verification.verify(run) == [] and run.accuracy and len(run.history) == 16 and run.gamma
    assert not store.unreadable(whole=True)
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=run.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run.folder / files.SUMS).unlink()
    assert verification.verify(run) == [f"{run.id}: SHA256SUMS is missing, the digests of what was stored"]


# One bad folder.

BAD = {
    "run.json: cut in half": "run.json",
    "run.json: empty object": "it lacks id, spec",
    "run.json: a field of the spec that is none": "colour",
    "run.json: a newer format": "a newer version of bnlib has written it (format 99",
    "run.json: deleted": "no run.json",
    "run.json: nested": "nested too deeply",
    "run.json: status renamed": "it lacks status",
    "run.json: a link": "is a symbolic link",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_named_and_the_others_are_listed(name, copied, caplog):
    good, bad = copied(OTHER), copied()
    DAMAGES[name][1](bad)
    sealed(bad)
    with caplog.at_level(logging.WARNING):
        assert store.results().id.tolist() == [good.name] and [run.id for run in store.all_runs()] == [good.name]
        assert store.find(RunSpec("resnet14", recipe="short", bn_init="signed_uniform")) is None
    assert [(ONE in line, BAD[name] in line) for line in caplog.messages] == [(True, True)], "once"
    assert list(store.unreadable()) == [bad]
    with pytest.raises(store.StoreError, match=re.escape(BAD[name])):
        store.load(ONE)
    assert call("results").exit_code == 0 and f"{ONE}: " in call("verify").output


def test_the_command_line_names_it_once_and_lists_the_rest(copied, tmp_path):
    bad = copied()
    (bad / "run.json").write_text("{}")
    shutil.copytree(bad.parent, tmp_path / "own")
    words = [sys.executable, "-m", "bnlib", "results"]
    environment = os.environ | {"BNLIB_RUNS": str(tmp_path / "own"), "BNLIB_RESULTS": str(ROOT / "results")}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and ONE in done.stdout and OTHER in done.stdout  # from results/, where it is right
    assert done.stderr.count("left out:") == 1 and "own" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["history.csv: the last epochs cut off", "bn.safetensors: NaN", "probes.json: cut in half"])
def test_pages_are_drawn_without_a_damaged_run_and_say_so(name, copied):
    first, second = (copied(RunSpec("resnet14", recipe="short", seed=seed).id) for seed in (0, 1))
    assert len(experiments.runs("fig4_gamma")) == 2 and not page.left_out()
    DAMAGES[name][1](second)
    runs = experiments.runs("fig4_gamma")
    assert runs.id.tolist() == [first.name] and len(store.results()) == 2
    assert len(analysis.histories(runs)) == 16 and len(analysis.gammas(runs)) and len(analysis.clamping(runs))
    for said in (page.not_trained("fig4_gamma"), page.finding(page.Statement("So it is."))):
        assert said.startswith('<div class="admonition warning">') and f"<li>results/{second.name}: {name.split(':')[0]}" in said
    assert experiments.coverage("fig4_gamma").loc["ResNet-14", "bn"] == "16\u00a0epochs"


def test_every_run_of_this_checkout_can_be_read(monkeypatch):
    """A folder that cannot be read is a warning in the book, and an error here."""
    monkeypatch.setenv("BNLIB_RUNS", str(ROOT / "runs"))
    assert store.unreadable(whole=True) == {}


def test_a_folder_of_another_name_is_another_run(copied):
    folder = copied()
    other = RunSpec("resnet14", recipe="short", bn_init="signed_uniform", seed=1)
    folder.rename(folder.parent / other.id)
    assert store.find(other) is None and "its spec belongs to" in next(iter(store.unreadable().values()))


@pytest.mark.parametrize("name", ["../results/" + ONE, "..", ".", "", "/etc", f"{ONE}/../{ONE}", "a\0b", TAG, "\x1b[2J"])
def test_a_name_is_no_path(name, copied):
    copied()
    with pytest.raises(store.StoreError, match="no run"):
        store.load(name)
    assert "\x1b" not in call("results", "probe", "--", name).output


def test_a_link_to_a_folder_is_no_run(copied):
    folder = copied()
    shutil.move(folder, folder.parent.parent / ONE)
    folder.symlink_to(folder.parent.parent / ONE)
    assert not store.all_runs() and "symbolic link" in store.unreadable()[folder]


# Written whole, with the modes of the user, and nothing is left behind.


def made(spec, folder, loss=1.0, classes=10, **more):
    """A run as a training would store it, with made-up results."""
    model = networks.draw(spec, classes)
    checksum = networks.models.checksum(model)
    networks.freezing.freeze(model, spec.trainable, spec.seed)
    rates = map(spec.settings.learning_rate, range(spec.settings.epochs))
    rows = [dict(zip(form.HISTORY, (epoch, lr, 1.0, 0.5, 1.0, 0.25, 2.0), strict=True)) for epoch, lr in enumerate(rates, 1)]
    rows[-1]["train_loss"] = loss
    if classes > 10:
        rows = [{key: (row | {"test_top5": 0.5})[key] for key in form.MANY} for row in rows]
        more = {"top5": 0.5} | more
    if classes != 10:
        more = {"classes": classes} | more
    about = json.loads((ROOT / "results" / ONE / "run.json").read_text())
    about = {key: one for key, one in about.items() if key not in ("id", "spec")} | {"accuracy": 0.25, "test_loss": 1.0}
    about |= {"train_accuracy": 0.5, "train_loss": loss, "seconds": 2.0 * len(rows), "weights_checksum": checksum}
    about |= {"counts": networks.freezing.count(model), "test_images": 100} | more
    return writing.write(spec, model, rows, about, folder, {"train": {"accuracy": 0.5, "loss": 1.0}})


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002, 0o077])
def test_files_have_the_mode_that_the_umask_says(mask, tiny, tmp_path):
    before = os.umask(mask)
    try:
        run = made(tiny(), tmp_path)
        writing.add_probes(run, {"relu": {"images": 1}})
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.folder.iterdir()}
    assert modes == dict.fromkeys([*files.PARTS, files.SUMS], 0o666 & ~mask)
    assert run.folder.stat().st_mode & 0o777 == 0o777 & ~mask


def test_what_is_no_number_is_null(tiny, tmp_path):
    run = made(tiny(), tmp_path, loss=float("nan"), status="diverged")
    text = (run.folder / "run.json").read_text()
    assert '"train_loss": null' in text and json.loads(text, parse_constant=pytest.fail)
    assert run.info["train_loss"] is None and np.isnan(run.history.train_loss.iloc[-1]) and verification.verify(run) == []
    (run.folder / "run.json").write_text(text.replace("null", "NaN", 1).replace('"format": 2', '"format": 1'))  # an older version's
    sealed(run.folder)
    assert store.Run(run.folder).info["train_loss"] is None


@pytest.mark.parametrize("moment", range(12))
def test_a_crash_while_probes_are_added_leaves_a_run_that_is_right(moment, copied, monkeypatch):
    """Killed before or after each replacement of a file, also again when it is tried again."""
    folder = copied("resnet14_bn_short_seed0-f7b08146")
    before, replace, calls = store.Run(folder).probes, os.replace, []

    def dies(*names):
        calls.append(names)
        if len(calls) == moment // 2 + 1:
            if moment % 2:
                replace(*names)
            raise KeyboardInterrupt
        replace(*names)

    probes, right = {"more": {"one": 1}}, (before, before | {"more": {"one": 1}})
    monkeypatch.setattr(os, "replace", dies)
    for _ in range(3):
        try:
            writing.add_probes(store.Run(folder), probes)
        except KeyboardInterrupt:
            assert verification.verify(store.Run(folder)) == [] and store.Run(folder).probes in right
    assert verification.verify(store.Run(folder)) == [] and store.Run(folder).probes == right[1]
    assert "next" not in (folder / files.SUMS).read_text() and len(calls) > moment // 2
    with pytest.raises(store.StoreError, match="written once"):
        writing.add_probes(store.Run(folder), {"more": {"one": 2}})


def test_probes_are_added_to_a_run_without_any_and_to_one_with_some(tiny, tmp_path, copied):
    for run in (made(tiny(), tmp_path), store.Run(copied())):
        writing.add_probes(run, {"more": {"one": 0.12345678}})
        assert store.Run(run.folder).probe("more") == {"one": 0.123457} and verification.verify(run) == []


def test_a_run_whose_folder_is_taken_says_what_to_remove(tiny, tmp_path):
    spec, folder = tiny(), tmp_path / "a folder"
    run = made(spec, folder)
    with pytest.raises(store.StoreError, match="written once"):
        made(spec, folder)
    (run.folder / "run.json").unlink()
    with pytest.raises(store.StoreError, match="no run.json") as error:
        made(spec, folder)
    subprocess.run(str(error.value).split("remove it: ")[1], shell=True, check=True)
    assert verification.verify(made(spec, folder)) == []


def test_a_store_that_fails_leaves_nothing_and_one_that_was_killed_is_cleared(tiny, tmp_path, monkeypatch):
    spec = tiny()
    (tmp_path / f".{spec.id}-0123abcd").mkdir()
    (tmp_path / f".{spec.id}-0123abcd" / "run.json").write_text("{")
    (tmp_path / f".{tiny(seed=1).id}-0123abcd").mkdir()  # of another run, whose lock is not ours
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(store.StoreError, match="could not be written .*No space left"):
            made(spec, tmp_path)
    assert [path.name for path in tmp_path.glob(".*seed*")] == [f".{tiny(seed=1).id}-0123abcd"] and not (
        tmp_path / spec.id
    ).exists()
    assert verification.verify(made(spec, tmp_path)) == []


def test_what_is_left_over_is_listed_and_then_removed(tiny, runs_folder):
    spec, going = tiny(), tiny(seed=1)
    run, work = made(spec, runs_folder), store.check_writable(runs_folder / ".unfinished")
    gone = [work / f"{spec.id}.pt", work / f"{spec.id}.part", work / f"{spec.id}.lock", runs_folder / f".{spec.id}-0123abcd"]
    gone += [run.folder / ".probes.json-0123abcd", run.folder / "probes.json.part", work / f"{tiny(seed=2).id}.lock"]
    kept = [work / f"{going.id}.pt", work / f"{going.id}.part", work / f"{going.id}.lock", work / f"{tiny(seed=3).id}.pt"]
    kept += [work / "mine.txt", runs_folder / ".mine-0123abcd"]
    for path in (*gone, *kept):
        path.write_text("")
    before = sorted(runs_folder.rglob("*"))
    with FileLock(work / f"{going.id}.lock"):
        said = call("results", "clean")
        assert said.exit_code == 0 and sorted(runs_folder.rglob("*")) == before, "it only says"
        assert {line.split(": ")[0] for line in said.output.splitlines()[:-1]} == set(map(str, gone)), said.output
        assert "7 removed" in call("results", "clean", "--yes").output
    assert sorted(runs_folder.rglob("*")) == [path for path in before if path not in gone]
    assert verification.verify(run) == [] and all(path.exists() for path in kept)
    assert "a checkpoint that was not saved" in call("results", "clean").output, "once nobody trains it"


# Nothing is injected.


def tagged():
    """Every place in run.json where a text can stand, with a tag in it."""
    about = json.loads((ROOT / "results" / ONE / "run.json").read_text())
    for key, one in about.items():
        if isinstance(one, dict):
            yield from ((f"{key}.{inner}", {key: one | {inner: TAG}}) for inner in one)
            yield f"a key of {key}", {key: one | {TAG: 1}}
        else:
            yield key, {key: TAG}
    yield "a key", {TAG: TAG}


@pytest.mark.parametrize("field, change", list(tagged()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_tag_in_a_run_is_text_in_every_output(field, change, copied, monkeypatch):
    folder = copied("resnet14_bn_short_seed0-f7b08146")
    edit(folder, **change)
    sealed(folder)
    shown, frame = experiments.runs("fig2_depth"), store.results()
    monkeypatch.setattr(experiments, "cost", lambda *_: (60.0, frame.device.iloc[0] if len(frame) else TAG))
    outputs = [
        page.behind("fig2_depth", shown, {TAG: analysis.table(analysis.durations(frame))}),
        page.folded(TAG, frame.assign(**{TAG: TAG}).astype(str)),
        page.left_out(),
        analysis.provenance(shown).to_html() if len(shown) else "",
        analysis.table(frame[["id", "device", "engine", "commit"]]).to_html() if len(frame) else "",
    ]
    assert not [text for text in outputs if "<script" in text]
    said = html.unescape("".join(outputs))
    assert TAG in said
    monkeypatch.setattr(experiments, "runs", lambda *_: [])
    assert r"on \<script\>alert\(1\)" in page.not_trained("fig2_depth") or field != "device"
    assert len(shown) or folder.name in page.left_out()


def _probes(folder, change):
    found = json.loads((folder / "probes.json").read_text())
    change(found)
    (folder / "probes.json").write_text(json.dumps(found))


def _negative(folder):
    lines = (folder / "history.csv").read_text().splitlines(keepends=True)
    row = lines[5].split(",")
    row[form.HISTORY.index("test_loss")] = "-1"
    (folder / "history.csv").write_text("".join([*lines[:5], ",".join(row), *lines[6:]]))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda folder: edit(folder, started="2026-01-31T12:00:00"), "a time with its zone"),
        (lambda folder: edit(folder, earlier=["AMD"]), "a list of objects"),
        (_negative, "a loss is no number of at least 0"),
        (lambda folder: _probes(folder, lambda found: found["clamping"]["threshold"].reverse()), "thresholds that do not rise"),
    ],
)
def test_what_a_file_says_is_held_against_its_form(change, message, copied):
    folder = copied()
    assert verification.verify(store.Run(folder)) == []
    change(folder)
    sealed(folder)
    assert message in " ".join(verification.verify(store.Run(folder)))


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order, sync, move = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append(os.fstat(number).st_size), sync(number))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("named"), move(*paths))[1])
    files.put(tmp_path, "file", b"12345")
    assert order[:2] == [5, "named"], "else a power cut could leave it empty"


@pytest.mark.parametrize("field", ["engine", "passes", "device", "status", "id"])
def test_a_text_that_moves_a_terminal_is_refused(field, copied):
    folder = copied()
    edit(folder, **{field: "\x1b]0;mine\x07"})
    sealed(folder)
    assert not store.all_runs() and "\x1b" not in call("verify").output + call("results").output


def test_a_folder_whose_name_is_a_tag_is_text(copied, runs_folder):
    folder = copied()
    folder.rename(folder.parent / "<b>x")
    assert "<b>" not in page.left_out() and "&lt;b&gt;x" in page.left_out()
    (folder.parent / "<b>x").rename(folder.parent / "a\x1b[2J\nb")
    assert "\x1b" not in page.left_out() + call("verify").output


def test_links_are_the_only_html_of_a_table():
    from bnlib.report import links

    frame = pd.DataFrame({"run": [links.commit("0" * 40), "<b>"], "value": ["4.7 ± 1.0", "3.0"], "<i>": [1.5, -2.0]})
    text = analysis.table(frame).to_html()
    assert "&lt;b&gt;" in text and "&lt;i&gt;" in text and "−2.0" in text
    assert text.count('<span style="visibility: hidden"> ± 1.0</span>') == 1


def test_markdown_shows_a_text_as_it_is():
    from markdown_it import MarkdownIt

    odd = "A `b` *c* [d](e) <f> $g$ {{ h }} \\i _j_ # & ~k~"
    assert html.unescape(re.sub(r"</?p>|\n", "", MarkdownIt().render(page.literal(odd)))) == odd and "{{" not in page.literal(odd)


def test_a_header_that_promises_10_gb_costs_nothing(copied):
    import tracemalloc

    folder = copied()
    data = (folder / "bn.safetensors").read_bytes()
    (folder / "bn.safetensors").write_bytes(struct.pack("<Q", 10 * 2**30) + data[8:])
    sealed(folder)
    tracemalloc.start()
    with pytest.raises(store.StoreError, match="bn.safetensors is damaged .its header promises 10,737,418,240 bytes"):
        _ = store.Run(folder).tensors
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_file_larger_than_any_runs_is_not_read(copied):
    folder = copied()
    with open(folder / "probes.json", "r+b") as file:
        file.truncate(1 << 40)  # a hole, which takes no room
    assert "probes.json is larger than any run's" in verification.verify(store.Run(folder))[0]


# Other data sets: as many classes as they have, top-5.


@pytest.fixture
def folder_of_pictures(monkeypatch):
    """Digits, as if they were a folder of pictures, of which only a run knows how many classes it has."""
    monkeypatch.setattr(RunSpec, "classes", None, raising=False)


@pytest.mark.parametrize("classes", [7, 10, 23])
def test_a_run_of_other_classes_is_drawn_verified_exported_and_loaded_with_them(classes, folder_of_pictures, tiny, runs_folder):
    run = made(tiny(trainable="bn+output"), runs_folder, classes=classes, processes=2)
    assert run.classes == classes and ("classes" in run.info) == (classes != 10) and verification.verify(run) == []
    row = store.results().set_index("id").loc[run.id]
    assert (row.classes, row.processes) == (classes, 2) and (row.top5 == 0.5 if classes > 10 else np.isnan(row.top5))
    assert run.model().output.weight.shape == (classes, 64) and ("test_top5" in run.history) == (classes > 10)
    _, model = seedfile.load(seedfile.export(run, runs_folder / "file"))
    assert all((model.state_dict()[name].numpy() == tensor).all() for name, tensor in run.tensors.items())
    assert seedfile.sizes(run.spec, classes)[0] == sum(t.numel() * t.element_size() for t in model.state_dict().values())
    assert call("export", run.id, str(runs_folder / "again")).exit_code == 0
    with pytest.raises(ValueError, match="how many classes it has must be given"):
        networks.draw(run.spec)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"classes": 24}, "seed 0 draws other weights here"),
        ({"classes": 0}, "classes is 0, not a whole number above 0"),
        ({"classes": "23"}, "classes is '23'"),
        ({"classes": 5}, "it has test_top5, and 5 classes"),
        ({"top5": 0.51}, "top5 is 0.51 in run.json, 0.5 in the last line"),
        ({"top5": 1.5}, "top5 is 1.5, not a fraction"),
        ({"processes": 1}, "processes is 1, not a whole number above 1"),
    ],
)
def test_a_wrong_number_of_classes_and_a_wrong_top5_are_found(changes, message, folder_of_pictures, tiny, runs_folder):
    run = made(tiny(), runs_folder, classes=23)
    edit(run.folder, **changes)
    sealed(run.folder)
    assert message in " ".join(verification.verify(run))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.replace(",0.25,0.5,2\n", ",0.25,0.24,2\n"), "a test_top5 is below the test_accuracy"),
        (lambda t: t.replace(",0.25,0.5,2", ",0.25,0.505,2"), "a test_top5 is not that of a whole number of images"),
        (lambda t: t.replace(",0.25,0.5,2", ",0.25,1.5,2"), "test_top5 is not a fraction everywhere"),
        (lambda t: t.replace("test_top5", "test_top4"), "its columns are not"),
        (lambda t: t.replace("train_loss", "test_top5"), "its columns are not"),
        (lambda t: t.replace(",test_top5", "").replace(",0.25,0.5,2", ",0.25,2"), "it has no test_top5, and 23 classes"),
    ],
)
def test_a_damaged_top5_in_a_history_is_found(change, message, folder_of_pictures, tiny, runs_folder):
    run = made(tiny(), runs_folder, classes=23)
    text = (run.folder / "history.csv").read_text()
    assert change(text) != text
    (run.folder / "history.csv").write_text(change(text))
    sealed(run.folder)
    assert message in " ".join(verification.verify(run))


def test_a_data_set_of_a_name_has_as_many_classes_as_it_has(tiny, runs_folder, monkeypatch):
    monkeypatch.setattr(RunSpec, "classes", 10, raising=False)
    run = made(tiny(), runs_folder)
    edit(run.folder, classes=7)
    sealed(run.folder)
    assert verification.verify(run) == [f"{run.id}: run.json: classes is 7, and digits has 10"]


def test_no_committed_run_says_where_something_lies_on_a_machine():
    """A run of a folder of pictures names it by a variable, imagefolder:$BNLIB_IMAGENET, before it is committed."""
    place = re.compile(r"\"(?:imagefolder:)?(?:/|~|[A-Za-z]:[\\/])")
    assert place.search('{"dataset": "imagefolder:/home/me/pictures"}') and not place.search('{"dataset": "imagefolder:$HERE/a"}')
    for run in (ROOT / "results").glob("*/run.json"):
        assert not place.search(run.read_text(encoding="utf-8")), run


@pytest.mark.parametrize(
    "name",
    [
        "imagefolder-My-Pictures_imagenet-resnet50_bn_imagenet_seed0-01234567",
        "imagefolder-pictures_keras-resnet50_bn+random2_blog-short_seed12-0123abcd",
        "cifar100_wrn14-4_bn+shortcut+output_paper_seed0-89abcdef",
    ],
)
def test_every_name_of_a_run_is_known_for_one(name, runs_folder):
    work = store.check_writable(runs_folder / ".unfinished")
    (work / f"{name}.part").touch()
    (runs_folder / name).mkdir()
    assert list(cleaning.leftovers()) == [work / f"{name}.part"] and runs_folder / name in store.folders()
    with pytest.raises(store.StoreError, match="no run.json"):
        store.load(name)


def test_what_is_known_of_a_run_is_forgotten_when_its_files_change(copied, runs_folder, monkeypatch):
    run = store.Run(copied())
    later = time.time_ns() + 10**10  # as if it had lain there for a while
    monkeypatch.setattr(time, "time_ns", lambda: later)
    looked = []
    monkeypatch.setattr(
        store.Run, "fault", lambda self, whole=False, real=store.Run.fault: looked.append(whole) or real(self, whole)
    )
    for _ in range(3):
        assert run.id in set(store.results(whole=True).id)
    assert len(looked) == 2 * len(store.folders()), "each run is held against its digests once"
    path = run.folder / "history.csv"
    about, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-2] + b"7\n")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # no later than before: the clock of the folder tells
    assert run.id not in set(store.results(whole=True).id) and run.id in set(store.results().id)
