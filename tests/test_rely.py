"""The page "What you can rely on": the tests that it names are there, and what no other test holds."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from bnlib.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "book" / "rely.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/\w+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize("file, name", NAMED)
def test_a_test_that_is_named_is_there_and_does_not_stand_aside(file, name):
    functions = {node.name: node for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body if hasattr(node, "name")}
    assert name in functions, f"{file} has no test {name}"
    marks = [ast.unparse(mark) for mark in functions[name].decorator_list]
    assert not any(word in mark for mark in marks for word in ("xfail", "mark.skip(")), "what may fail holds no promise"


def test_each_promise_names_a_test():
    promises = PAGE.split("(not-promised)=")[0].split("\n**")[1:]
    assert len(promises) > 12 and len(NAMED) == PAGE.count("- `tests/") == len(set(NAMED))
    assert [promise.split("**")[0] for promise in promises if "- `tests/" not in promise] == []


@pytest.mark.slow
def test_a_run_trained_twice_has_the_same_bits(tmp_path, monkeypatch):
    words = (
        "run resnet8 --dataset digits --recipe smoke --precision fp32 --epochs 1 --batch-size 256 --trainable bn+random:2".split()
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BNLIB_RUNS": str(tmp_path / "one")}
    subprocess.run([sys.executable, "-m", "bnlib", *words], env=environment, check=True, capture_output=True)
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path / "two"))
    told = CliRunner().invoke(main, words)  # where other tests have computed something before, the bits are the same
    assert told.exit_code == 0, told.output
    (one,), (two,) = ([path for path in (tmp_path / name).glob("digits_*")] for name in ("one", "two"))
    assert (one / "bn.safetensors").read_bytes() == (two / "bn.safetensors").read_bytes()
    curves = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (one, two)]
    pd.testing.assert_frame_equal(*curves, check_exact=True)
