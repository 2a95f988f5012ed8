"""The package without its checkout: a wheel holds all of it, and says that the stored runs come with the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from patience import PATIENCE

from bnlib import store
from bnlib.store import places

ROOT = Path(__file__).resolve().parent.parent
RUN = "resnet14_bn_short_seed0-f7b08146"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as a wheel of this checkout installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "bnlib", folder / "source" / "bnlib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder / "source")
    # The two lines on the licence are of newer setuptools than may be here, where none can be fetched.
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "source" / "pyproject.toml").write_text(re.sub(r"(?m)^license.*\n", "", text), encoding="utf-8")
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    done = subprocess.run([sys.executable, "-c", build], cwd=folder / "source", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def outside(installed, tmp_path):
    """Runs a Python text outside the checkout, with the installed package; returns the finished process."""

    def call(text, *words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BNLIB_R")}
        environment |= {"PYTHONPATH": str(installed)}
        command = [sys.executable, "-c", text, *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)

    return call


COMMANDS = """
import json, os, sys
from click.testing import CliRunner
from bnlib.cli import main
from bnlib.store import runs

found = []
for results, *words in json.loads(sys.argv[1]):  # one process for several commands: to start one takes seconds
    os.environ.pop("BNLIB_RESULTS", None)
    os.environ |= {"BNLIB_RESULTS": results} if results else {}
    runs._said.clear()
    told = CliRunner().invoke(main, words)
    found.append((told.exit_code, told.stdout, told.stderr))
print(json.dumps(found))
"""


def test_a_wheel_holds_every_file_of_the_package(installed):
    def files(folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    assert files(installed / "bnlib") == files(ROOT / "bnlib")


def test_without_the_checkout_python_says_once_where_the_stored_runs_are(outside, installed):
    text = """
import json, bnlib
counts = [len(bnlib.results()) for _ in range(3)]
try:
    bnlib.load("resnet14")
except Exception as error:
    print(json.dumps([bnlib.__file__, counts, str(error)]))
"""
    done = outside(text)
    assert done.stderr == places_absent() + "\n"
    file, counts, error = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed) and counts == [0, 0, 0] and error.startswith("no run 'resnet14' in ")


def places_absent():
    return (
        "the project's stored runs are not here: they come with its checkout, not with the installed package; "
        "set BNLIB_RESULTS to the folder results of a checkout"
    )


def test_without_the_checkout_each_command_says_where_the_stored_runs_are(outside, tmp_path):
    commands = [("results",), ("verify",), ("results", "verify"), ("export", RUN, "file")]
    done = outside(COMMANDS, json.dumps([("", *words) for words in commands]))
    for words, (code, said, wrong) in zip(commands, json.loads(done.stdout), strict=True):
        assert code == (words != ("results",)), "nothing has been verified, or exported"
        assert wrong.count(places_absent()) == 1 and "no run" in said + wrong and "site/results" not in said, words
        assert "nothing wrong" not in said
    assert not (tmp_path / "file").exists() and not (tmp_path / "runs").exists()


def test_with_the_folder_of_the_stored_runs_an_installed_package_has_them(outside, tmp_path):
    (tmp_path / "few").mkdir()
    shutil.copytree(ROOT / "results" / RUN, tmp_path / "few" / RUN)
    commands = [("few", "results"), ("few", "verify"), ("~/few", "export", RUN, "file")]
    commands += [(str(tmp_path / "few"), "export", RUN, "file"), ("", "load", "file")]
    results, verified, elsewhere, exported, loaded = json.loads(outside(COMMANDS, json.dumps(commands)).stdout)
    assert results[0] == 0 and RUN in results[1] and not results[2]
    assert verified[1] == "1 runs, nothing wrong\n"
    assert elsewhere[0] == 1, "that is another one"
    assert exported[0] == 0
    assert loaded[0] == 0 and "digest:    right" in loaded[1] and not loaded[2], "a seed file needs no stored runs"


@pytest.mark.parametrize(
    "folder, message",
    [
        ("nowhere", "BNLIB_RESULTS 'nowhere': there is no such folder"),
        ("a file", "BNLIB_RESULTS 'a file': not a folder"),
        ("~nosuchuser/x", "BNLIB_RESULTS '~nosuchuser/x' names no home folder that is known here"),
        ("..", None),
    ],
)
def test_a_folder_of_stored_runs_that_is_none_is_one_line(folder, message, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a file").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BNLIB_RESULTS", folder)
    from click.testing import CliRunner

    from bnlib.cli import main

    message = message or "BNLIB_RESULTS '..': a checkout, whose runs are in its folder results; nearest: ../results"
    for words in (["results"], ["verify"], ["export", RUN, "file"], ["run", "resnet14", "--recipe", "short"]):
        said = CliRunner().invoke(main, words)
        assert said.exit_code == 1 and said.output == f"Error: {message}\n"
    with pytest.raises(store.StoreError, match="BNLIB_RESULTS"):
        store.results()


def test_one_folder_for_both_is_read_once(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "results" / RUN, tmp_path / RUN)
    monkeypatch.setenv("BNLIB_RESULTS", str(tmp_path))
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path))
    assert store.folders() == [tmp_path / RUN] and store.results().id.tolist() == [RUN]


def test_a_checkout_has_its_runs_beside_it(monkeypatch):
    monkeypatch.delenv("BNLIB_RESULTS", raising=False)
    assert store.results_folder() == ROOT / "results" and places.absent() == "" and places.searched()[0] == ROOT / "results"
