"""Every reader, fed what nobody would write: it ends in a result, or in one line that says what is wrong."""

import copy
import json
import pickle
import shutil
import struct
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import bnlib
from bnlib import data, store, training
from bnlib.cli import main
from bnlib.data import published
from bnlib.spec import architecture, parse
from bnlib.store import seedfile, verification
from bnlib.training import trainer
from bnlib.words import Mendable

COMMITTED, SOUND = (store.load(f"resnet14_bn_{rest}").folder for rest in ("short_seed0-f7b08146", "paper_seed0-3c3e6a91"))
FILES = {path.name: path.read_bytes() for path in COMMITTED.iterdir()}
INFO = json.loads(FILES["run.json"])

few = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes, and what fails is small
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
fewer = settings(few, max_examples=15)

LARGE = st.sampled_from([0, -1, 2**31, 2**63, 10**24, 10**400, -(10**400), 1e308, float("inf"), float("nan"), 1e-320])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | LARGE | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def one_line(read, allowed=(Mendable, ValueError), seconds: float = 20.0):
    """What `read` returns, or None if it ends as a reader may: soon, and with one line."""
    start = time.process_time()
    try:
        return read()
    except allowed as error:
        assert "\n" not in str(error), str(error)
    finally:
        assert time.process_time() - start < seconds


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """The bytes of a file after an accident: cut, flipped, overwritten, something put in, a piece twice, or others altogether."""
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    some = draw(
        st.binary(max_size=12) | st.sampled_from([b"\0", b"\xff\xfe", b"\n", b'"', b"{", b",", b"nan", b"1e999", b"9" * 5000])
    )
    return draw(
        st.sampled_from(
            [
                content[:at],
                content[at:],
                content[:at] + content[to:],
                content[:at] + some + content[at:],
                content[:at] + some + content[at + len(some) :],
                content[:at] + bytes([content[at] ^ 1 << draw(st.integers(0, 7))]) + content[at + 1 :]
                if at < len(content)
                else b"",
                content[:to] + content[at:to] + content[to:],
                some,
            ]
        )
    )


@pytest.fixture
def run(runs_folder, tmp_path, monkeypatch):
    """A copy of a committed run, to be damaged; beside it is another."""
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("BNLIB_RESULTS", str(tmp_path / "results"))
    folder = runs_folder / COMMITTED.name
    folder.mkdir(parents=True)
    shutil.copytree(SOUND, runs_folder / SOUND.name)
    return store.Run(folder)


def put(run: store.Run, **changed: bytes) -> store.Run:
    """The run anew, with the files named changed: `run_json` is run.json."""
    contents = {**FILES, **{name.replace("_", "."): content for name, content in changed.items()}}
    for path in run.folder.iterdir():
        path.unlink()
    for name, content in contents.items():
        (run.folder / name).write_bytes(content)
    return store.Run(run.folder)


def read_everything(run: store.Run) -> None:
    """Ask everything that reads a run, each on its own."""
    for what in ("info", "spec", "accuracy", "history", "tensors", "probes", "gamma", "model"):
        one_line(lambda what=what: call() if callable(call := getattr(store.Run(run.folder), what)) else call)
    found = one_line(lambda: verification.verify(store.Run(run.folder)))
    assert found is not None and all("\n" not in line for line in found), "verify says what is wrong, and raises nothing"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a run that cannot be read may be named in one
        assert SOUND.name in set(bnlib.results().id), "one bad folder takes the others along"


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_damaged_file_of_a_run(file, run):
    @fewer
    @given(damaged(FILES[file]))
    def ends_in_a_line(content):
        read_everything(put(run, **{file.replace(".", "_"): content}))

    ends_in_a_line()


def test_a_run_json_of_other_values(run):
    @few
    @given(st.sampled_from([*INFO, *(("spec", name) for name in INFO["spec"]), ("counts", "bn"), ()]), JSON)
    @example((), {})
    @example((), [])
    @example(("spec", "epochs"), 10**400)
    @example(("spec", "model"), "resnet" + "9" * 4000)
    @example(("spec", "colour"), "red")
    @example("counts", None)
    @example("accuracy", "<script>")
    def ends_in_a_line(place, value):
        changed = copy.deepcopy(INFO)
        if place == ():
            changed = value
        elif isinstance(place, tuple):
            changed[place[0]][place[1]] = value
        else:
            changed[place] = value
        read_everything(put(run, run_json=json.dumps(changed).encode()))

    ends_in_a_line()


NAMES = st.from_regex(r"((imagenet-|keras-)?resnet|wrn|vgg)\d{1,6}(-\d{1,5})?", fullmatch=True)
SETS = st.from_regex(r"(bn|gamma|random:\d{1,5000}|all|output)(\+(bn|beta|random:\d+|none|\w+)){0,3}", fullmatch=True)
SPEC = [field for field in INFO["spec"] if field != "model"]


@few
@given(
    st.sampled_from(["resnet14", "wrn14-2", "vgg11"])
    | st.from_regex(r"((imagenet-|keras-)?resnet|wrn|vgg)\d+(-\d+)?", fullmatch=True)
    | st.text(max_size=12),
    st.dictionaries(st.sampled_from(SPEC), JSON, max_size=3),
)
@example("resnet14", {"epochs": 10**400})
@example("resnet14", {"lr": 10**400})
@example("resnet14", {"seed": 10**5000})
@example("resnet14", {"dataset": "imagefolder:\ud800"})
@example("resnet14", {"dataset": "imagefolder:$HOME/../..", "size": 1024, "warmup": 0, "sync_bn": True})
@example("imagenet-resnet18", {"dataset": "imagefolder:~", "recipe": "imagenet", "batch_size": 100_000})
def test_a_spec(model, fields):
    spec = one_line(lambda: bnlib.RunSpec(model, **fields))
    if spec is not None:
        assert bnlib.RunSpec(**json.loads(json.dumps(spec.to_dict()))) == spec and spec.id.isprintable()


@few
@given(st.text(max_size=20) | NAMES)
@example("resnet٣٢")
@example("wrn14-" + "9" * 5000)
def test_a_networks_name(name):
    one_line(lambda: architecture(name))


@few
@given(
    st.text(max_size=20)
    | st.from_regex(r"(bn|gamma|random:\d{1,5000}|all|output)(\+(bn|beta|random:\d+|none|\w+)){0,3}", fullmatch=True)
)
def test_a_trainable_set(name):
    one_line(lambda: parse(name))


# Seed files: see also those that lie, in test_seedfile.py.


@few
@given(st.data())
def test_a_damaged_seed_file(tmp_path, data):
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    content = seedfile.export(store.Run(COMMITTED), path).read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    changed = data.draw(damaged(content[:header])) + content[header:] if data.draw(st.booleans()) else data.draw(damaged(content))
    assume(changed != content)
    path.write_bytes(changed)
    one_line(lambda: seedfile.load(path), allowed=store.StoreError)


@few
@given(st.sampled_from(["spec", "accuracy", "weights_checksum", "version", "digest"]), JSON)
def test_a_seed_file_of_other_values(tmp_path, name, value):
    path, info = tmp_path / "file", {"version": "0", "spec": {"model": "resnet8"}, "accuracy": 0.5, "weights_checksum": "0" * 64}
    tensors = {name: np.zeros(304, "<f4") for name in ("gamma", "beta", "running_mean", "running_var")}
    info[name] = value
    info = {**info, "digest": seedfile._digest(info, tensors)} if name != "digest" else info
    path.write_bytes(save(tensors, {"bnlib": json.dumps(info)}))
    assert one_line(lambda: seedfile.load(path), allowed=store.StoreError) is None


# CIFAR-10's files, which are opened only if their md5 is right: here it always is.


@few
@given(st.binary(max_size=300) | damaged(pickle.dumps({"data": [1, 2], "labels": [3], 4: (5.0, "x")}, protocol=2)))
def test_a_file_in_place_of_a_batch_of_images(content):
    assert (
        one_line(lambda: published._open(content, Path("file"), published.SETS["cifar10"], 10_000), allowed=data.DataMissing)
        is None
    )


# Checkpoints.


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training that was stopped after its first epoch: its spec, its checkpoint, and what comes out if it goes on."""
    shared = dict(dataset="digits", recipe="smoke", precision="fp32", epochs=2, train_images=64, test_images=10, batch_size=64)
    spec, folder, real = bnlib.RunSpec("resnet8", **shared), tmp_path_factory.mktemp("runs"), trainer.Trainer._end_epoch

    def stop(*args):
        real(*args)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "_end_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(spec, folder=folder, progress=False)
    content = (folder / ".unfinished" / f"{spec.id}.pt").read_bytes()
    return spec, folder, content, training.train(spec, folder=folder, progress=False).tensors


class Touches:
    """A pickle of this makes a file when it is opened in the usual way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.slow
def test_a_damaged_checkpoint(stopped, tmp_path, monkeypatch):
    monkeypatch.setattr("bnlib.training.timing.estimate", lambda _: "soon")  # measured anew each time it would take longest
    spec, folder, content, expected = stopped

    @settings(few, max_examples=4)
    @given(damaged(content))
    @example(b"")
    @example(content[: len(content) // 2])
    @example(content.replace(expected["bn.weight"].tobytes()[:8], bytes(8)))
    @example(pickle.dumps(Touches(tmp_path / "ran")))
    def ends_in_a_line_or_as_if_it_were_whole(content):
        shutil.rmtree(folder / spec.id, ignore_errors=True)
        (folder / ".unfinished" / f"{spec.id}.pt").write_bytes(content)
        run = one_line(lambda: training.train(spec, folder=folder, progress=False), seconds=60)
        assert run is None or all((run.tensors[name] == expected[name]).all() for name in expected)
        assert not (tmp_path / "ran").exists()

    ends_in_a_line_or_as_if_it_were_whole()


# The command line.

VALUES = st.text(max_size=12).map(lambda text: text.strip("/~.")) | st.integers().map(str) | LARGE.map(str)
WORDS = st.sampled_from(
    ["--recipe", "--seed", "--epochs", "--lr", "--milestones", "--batch-size", "--trainable", "--device", "--rounds"]
)


def test_a_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @few
    @given(
        st.sampled_from(["run", "estimate", "bench", "export", "load", "results", "sweep"]) | st.text(max_size=6),
        st.lists(VALUES | st.sampled_from(["resnet14", "wrn14-2", "--", "-h", COMMITTED.name]), max_size=2),
        st.lists(st.tuples(WORDS, VALUES | st.sampled_from(["short", "smoke", "cpu", "8,12", "bn"])), max_size=2),
    )
    @example("run", ["resnet14"], [("--epochs", str(10**400))])
    @example("run", ["resnet14"], [("--lr", "inf")])
    @example("load", ["\0"], [])
    @example("export", [COMMITTED.name, "\0"], [])
    @example("load", [str(COMMITTED)], [])
    def ends_in_a_line(command, values, options):
        # No data are there: what could train, or measure, ends with that.
        words = [command, *values, *(word for option in options for word in option), "--data", str(tmp_path / "none")]
        words = words[:-2] if command in ("export", "results") else words
        start = time.process_time()
        result = CliRunner().invoke(main, words)
        assert result.exit_code in (0, 1, 2) and isinstance(result.exception, SystemExit | None), repr(result.exception)
        assert "Traceback" not in result.output and time.process_time() - start < 20
        if result.exit_code == 1:
            assert result.output.startswith("Error: ") and result.output.count("\n") == 1, result.output

    ends_in_a_line()
