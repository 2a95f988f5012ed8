"""A training can be trusted: what is damaged is not gone on from, what cannot be stored is not begun, and no end loses an epoch."""

import io
import os
import pickle
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from patience import PATIENCE, until

from bnlib import bench, data, machine, store, training
from bnlib.cli import main
from bnlib.engine import passes_c
from bnlib.store import places
from bnlib.training import checkpoint, costs, sweep, together, trainer
from bnlib.words import Mendable

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")


def bits(run):
    """What a training found, the measured seconds aside."""
    history = run.history.drop(columns="seconds").to_numpy().tolist()
    return history, {name: tensor.tobytes() for name, tensor in run.tensors.items()}


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


# --- Checkpoints -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with the checkpoints of a training's first and second epoch of three; its spec; and another run's checkpoint."""
    from bnlib import RunSpec

    folder, digits = tmp_path_factory.mktemp("begun"), data.load("digits")
    fields = dict(recipe="smoke", dataset="digits", precision="fp32", train_images=64, test_images=40, batch_size=32, epochs=3)
    specs = [RunSpec("resnet8", seed=seed, **fields) for seed in (0, 1)]
    for spec in specs:
        one = trainer.Trainer(spec, CPU, digits, folder)
        steps = one.train()
        while len(one.history) < 2:
            next(steps)
    return folder / ".unfinished", *specs


class Evil:
    """What calls `function` when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def resealed(state) -> bytes:
    """`state` as a checkpoint with a right digest, as one who means harm would write it."""
    memory = io.BytesIO()
    torch.save(state, memory)
    return memory.getvalue() + checkpoint.MARK + checkpoint.hashlib.sha256(memory.getvalue()).digest()


def rezipped(content: bytes, change, method=zipfile.ZIP_STORED) -> bytes:
    """The archive `content` with `change` made to each of its members, by name."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(memory, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return memory.getvalue()


def flipped(content: bytes, place: float) -> bytes:
    at = int(place * (len(content) - 1))
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def edited(content: bytes, *path, to) -> bytes:
    """The checkpoint with the value at `path` set to `to`, and a right digest."""
    state = inner = torch.load(io.BytesIO(content), weights_only=True)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return resealed(state)


def unsealed(content: bytes) -> bytes:
    """The checkpoint as it was written before it had a digest and a name."""
    memory, state = io.BytesIO(), torch.load(io.BytesIO(content), weights_only=True)
    del state["spec"]
    torch.save(state, memory)
    return memory.getvalue()


def old(content: bytes, *path, to) -> bytes:
    return unsealed(edited(content, *path, to=to))


def bomb(content: bytes) -> bytes:
    return rezipped(unsealed(content), lambda name, part: bytes(10**8) if name.endswith("/data/0") else part, zipfile.ZIP_DEFLATED)


def overstated(content: bytes) -> bytes:
    """Tensors that state a thousand times the numbers that are there."""
    return rezipped(unsealed(content), lambda name, part: part[:8] if "/data/" in name else part)


DAMAGES = {
    "empty": lambda c: b"",
    "one byte": lambda c: c[:1],
    "half": lambda c: c[: len(c) // 2],
    "its last byte missing": lambda c: c[:-1],
    "its digest missing": lambda c: c[: -checkpoint.TAIL],
    "a byte more": lambda c: c + b"\0",
    "text": lambda c: b"not a checkpoint\n" * 99,
    "zeros": lambda c: bytes(len(c)),
    **{f"a bit flipped at {place:.3f}": lambda c, place=place: flipped(c, place) for place in [i / 12 for i in range(13)]},
    "older, half": lambda c: unsealed(c)[: len(unsealed(c)) // 2],
    "older, a tensor missing": lambda c: old(c, "tensors", to={"bn.weight": torch.ones(16)}),
    "older, a tensor of another shape": lambda c: old(c, "tensors", "bn.weight", to=torch.ones(17)),
    "older, a tensor of another dtype": lambda c: old(c, "tensors", "bn.weight", to=torch.ones(16, dtype=torch.float64)),
    "older, of another schedule": lambda c: old(c, "history", 0, "lr", to=0.05),
    "older, no optimiser": lambda c: old(c, "optimiser", to=None),
    "older, made nowhere": lambda c: old(c, "made", to=[]),
    "more epochs than the run has": lambda c: edited(c, "history", to=torch.load(io.BytesIO(c))["history"] * 2),
    "a history of words": lambda c: edited(c, "history", 1, "test_accuracy", to="high"),
    "no history": lambda c: edited(c, "history", to=[]),
    "a history that is a number": lambda c: edited(c, "history", to=7),
    "a start that is no time": lambda c: edited(c, "started", to="yesterday"),
    "seconds that are none": lambda c: edited(c, "seconds", to="long"),
    "another run's name": lambda c: edited(c, "spec", to="digits_resnet8_bn_smoke_seed1-00000000"),
    "a list": lambda c: resealed([1, 2]),
    "code": lambda c: resealed({"spec": Evil(os.system, "touch /tmp/bnlib-was-here")}),
    "code in plain pickle": lambda c: pickle.dumps(Evil(os.system, "touch /tmp/bnlib-was-here")),
    "10 GB asked for": lambda c: resealed({"spec": Evil(bytearray, 10**10)}),
    "an archive that grows": bomb,
    "tensors that reach behind their bytes": overstated,
}


@pytest.mark.parametrize("before", ["with the one before", "without"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_said_in_a_line(damage, before, begun, tmp_path, capsys):
    source, spec, _ = begun
    work = tmp_path / ".unfinished"
    work.mkdir()
    path = work / f"{spec.id}.pt"
    if before != "without":
        checkpoint.before(path).write_bytes(checkpoint.before(source / path.name).read_bytes())
    bad = DAMAGES[damage]((source / path.name).read_bytes())
    path.write_bytes(bad)
    one = trainer.Trainer(spec, CPU, data.load("digits"), tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert f"the checkpoint {path} cannot be used (" in said[0] and said[0].endswith(f"; it is now {path}.bad"), said
    assert len(said) == 2 and len(said[0]) < 600 and Path(f"{path}.bad").read_bytes() == bad
    fresh = {name: tensor.clone() for name, tensor in one.moving().items()}
    if before == "without":
        assert said[1].endswith("starting anew") and one.saved == 0 and not path.exists()
        empty = trainer.Trainer(spec, CPU, data.load("digits"), tmp_path / "elsewhere")
        assert all(fresh[name].equal(tensor) for name, tensor in empty.moving().items())
    else:
        assert said[1].endswith("going on after epoch 1 of 3") and one.saved == 1 and path.exists()
    assert not Path("/tmp/bnlib-was-here").exists()


def test_the_checkpoint_of_another_run_is_not_gone_on_from(begun, tmp_path, capsys):
    source, spec, other = begun
    work = store.check_writable(tmp_path / ".unfinished")
    (work / f"{spec.id}.pt").write_bytes((source / f"{other.id}.pt").read_bytes())
    assert trainer.Trainer(spec, CPU, data.load("digits"), tmp_path).saved == 0
    assert f"it is of another run, {other.id}" in capsys.readouterr().out


@pytest.mark.parametrize("fields", [{}, {"optimiser": "adam", "lr": 0.01}, {"trainable": "none"}, {"momentum": 0.0}], ids=str)
def test_a_checkpoint_from_before_there_were_digests_is_gone_on_from(fields, tiny, tmp_path, monkeypatch):
    spec = tiny(epochs=2, **fields)
    whole = training.train(spec, folder=tmp_path / "whole", progress=False)
    monkeypatch.setattr(trainer.Trainer, "train", stopped_after(1))
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, folder=tmp_path, progress=False)
    monkeypatch.undo()
    path = tmp_path / ".unfinished" / f"{spec.id}.pt"
    path.write_bytes(unsealed(path.read_bytes()))
    going = trainer.Trainer(spec, CPU, data.load("digits"), tmp_path)
    assert going.saved == 1
    assert bits(training.train(spec, folder=tmp_path, progress=False)) == bits(whole)


def stopped_after(epochs, error=KeyboardInterrupt):
    """`Trainer.train` that raises after so many epochs."""
    real = trainer.Trainer.train

    def train(self, until=None):
        for said in real(self, until):
            yield said
            if len(self.history) == epochs:
                raise error

    return train


def test_from_the_one_before_the_training_ends_the_same_and_leaves_nothing(tiny, tmp_path, monkeypatch, capsys):
    spec = tiny(epochs=3)
    whole = training.train(spec, folder=tmp_path / "whole", progress=False)
    monkeypatch.setattr(trainer.Trainer, "train", stopped_after(2))
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, folder=tmp_path, progress=False)
    monkeypatch.undo()
    path = tmp_path / ".unfinished" / f"{spec.id}.pt"
    path.write_bytes(flipped(path.read_bytes(), 0.5))
    assert bits(training.train(spec, folder=tmp_path, progress=False)) == bits(whole)
    assert "going on after epoch 1 of 3" in capsys.readouterr().out
    assert [p.name for p in path.parent.iterdir()] == [f"{spec.id}.lock"]


def test_a_large_checkpoint_is_kept_once(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    for keep, there in ((checkpoint.KEEP, True), (10, False)):
        monkeypatch.setattr(checkpoint, "KEEP", keep)
        checkpoint.save(path, "a", {"n": 1})
        checkpoint.save(path, "a", {"n": 2})
        assert checkpoint.load(path, "a")["n"] == 2 and checkpoint.before(path).exists() == there
        assert not there or checkpoint.load(checkpoint.before(path), "a")["n"] == 1


def test_a_checkpoint_is_on_the_disk_before_it_replaces_the_last(tmp_path, monkeypatch):
    did, fsync, replace = [], os.fsync, os.replace
    kind = lambda number: "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file"  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda number: (did.append(kind(number)), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda *paths: (did.append("replace"), replace(*paths)))
    checkpoint.save(tmp_path / "a.pt", "a", {})
    assert did == ["file", "replace", "folder"]


# --- What goes wrong on the way --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_in_a_line_and_keeps_the_last_checkpoint(tiny, tmp_path, monkeypatch):
    spec, real = tiny(epochs=3), trainer.Trainer._save
    whole = training.train(spec, folder=tmp_path / "whole", progress=False)

    def full(self):
        if len(self.history) == 2:
            self.checkpoint.with_suffix(".part").symlink_to("/dev/full")
        real(self)

    monkeypatch.setattr(trainer.Trainer, "_save", full)
    with pytest.raises(store.StoreError) as caught:
        training.train(spec, folder=tmp_path, progress=False)
    said = str(caught.value)
    assert "epoch 2 cannot be written" in said and "No space left on device" in said and "\n" not in said
    assert "saved after epoch 1 of 3: the same command goes on from there" in said
    monkeypatch.undo()
    assert not list(tmp_path.glob(".unfinished/*.part"))
    assert bits(training.train(spec, folder=tmp_path, progress=False)) == bits(whole)


def test_a_checkpoint_folder_that_is_removed_meanwhile_is_made_again(tiny, tmp_path, monkeypatch):
    spec, real = tiny(epochs=3), trainer.Trainer._save
    whole = training.train(spec, folder=tmp_path / "whole", progress=False)

    def removed(self):
        for path in self.checkpoint.parent.iterdir():
            path.unlink()
        self.checkpoint.parent.rmdir()
        real(self)

    monkeypatch.setattr(trainer.Trainer, "_save", removed)
    assert bits(training.train(spec, folder=tmp_path, progress=False)) == bits(whole)


def test_too_little_memory_ends_in_a_line_and_keeps_the_last_checkpoint(tiny, tmp_path, monkeypatch, capsys):
    specs, real = [tiny(epochs=2, seed=seed) for seed in (0, 1)], trainer.Trainer._work

    def greedy(self, *batch):
        if self.history and self.spec.seed == 1:
            torch.empty(2**50)  # PyTorch's own error
        real(self, *batch)

    monkeypatch.setattr(trainer.timing, "estimate", lambda one: "")
    monkeypatch.setattr(trainer.Trainer, "_work", greedy)
    with pytest.raises(machine.OutOfMemory) as caught:
        training.train_together(specs, folder=tmp_path, progress=False)
    said = str(caught.value)
    assert said.startswith("out of memory (asked for ") and "\n" not in said and "fewer replicates" in said
    assert all(f"{spec.id}: saved after epoch 1 of 2" in said for spec in specs)
    monkeypatch.undo()
    assert [run.spec for run in training.train_together(specs, folder=tmp_path, progress=False)] == specs


def test_errors_that_are_not_of_memory_stay_what_they_are():
    for error in (RuntimeError("shapes differ"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)), machine.enough_memory(lambda: "never said"):
            raise error
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")):
        with pytest.raises(machine.OutOfMemory, match="^out of memory.*; kept"), machine.enough_memory(lambda: "kept"):
            raise error


def test_a_file_system_without_locks_and_another_users_lock_are_said(tiny, tmp_path, monkeypatch):
    spec, work = tiny(), store.check_writable(tmp_path / ".unfinished")
    for number, words in ((37, "No locks available"), (95, "not supported")):

        def refused(*_, number=number, **__):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(FileLock, "acquire", refused)
        with pytest.raises(store.StoreError, match=rf"lock .*{words}.*BNLIB_RUNS"), together.alone(spec, work):
            pass
    (work / f"{spec.id}.lock").touch()

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", denied)
    with (
        pytest.raises(store.StoreError, match=r"belongs to user \S+, who may be training it.* rm .*lock"),
        together.alone(spec, work),
    ):
        pass


# --- Before the work -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_work(monkeypatch):
    """Nothing is trained and nothing measured."""
    monkeypatch.setattr(together, "Trainer", None)
    monkeypatch.setattr(costs, "Trainer", None)


def test_a_folder_in_the_way_is_refused_first_and_the_hint_can_be_pasted(tiny, tmp_path, no_work, monkeypatch):
    spec, folder = tiny(), tmp_path / "my runs; echo"
    (folder / spec.id).mkdir(parents=True)
    (folder / spec.id / "notes").touch()
    with pytest.raises(store.StoreError, match="is in the way: it holds no run") as caught:
        training.train(spec, folder=folder)
    assert [path.name for path in folder.iterdir()] == [spec.id]
    monkeypatch.undo()
    subprocess.run(str(caught.value).split("remove it: ")[1], shell=True, check=True, cwd=tmp_path)
    assert training.train(spec, folder=folder, progress=False).folder == folder / spec.id


def test_a_sweep_leaves_out_what_is_in_the_way_and_says_so_first(tiny, runs_folder, capsys):
    specs = [tiny(seed=0, epochs=1), tiny(seed=1, epochs=1)]
    (runs_folder / specs[0].id).mkdir(parents=True)
    assert sweep.sweep(specs, progress=False) == [specs[0]]
    assert capsys.readouterr().out.startswith(f"left out: {runs_folder / specs[0].id} is in the way")
    assert store.find(specs[1])


def test_a_folder_is_expanded_and_made_first(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run = training.train(tiny(epochs=1), folder="~/deep/er", progress=False)
    assert run.folder.parent == tmp_path / "deep" / "er"
    with pytest.raises(store.StoreError, match="~nosuchuser/x: nobody here"):
        training.train(tiny(), folder="~nosuchuser/x")


def test_a_refusal_creates_nothing(tiny, tmp_path, runs_folder, no_work, monkeypatch):
    (tmp_path / "file").touch()
    cifar = tiny(dataset="cifar10")
    for asked in (
        lambda: training.train(cifar, data_root=tmp_path / "nowhere"),
        lambda: sweep.sweep([cifar], data_root=tmp_path / "nowhere"),
        lambda: costs.costs([cifar], data_root=tmp_path / "nowhere"),
        lambda: training.train(tiny(), device="gpu"),
        lambda: sweep.sweep([tiny()], device="gpu"),
        lambda: training.train(tiny(), folder=tmp_path / "file" / "x"),
        lambda: training.estimate(cifar, data_root=tmp_path / "nowhere"),
    ):
        with pytest.raises((Mendable, ValueError)):
            asked()
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path / "file" / "runs"))
    with pytest.raises(store.StoreError, match="cannot be written.*BNLIB_RUNS"):
        sweep.sweep([tiny()])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_places_that_cannot_be_written(tmp_path):
    assert places.unwritable(tmp_path / "a" / "b") == "" and not list(tmp_path.iterdir())
    assert "is not a folder" in places.unwritable(Path("/dev/null/x"))
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.geteuid():
        assert "no permission" in places.unwritable(tmp_path / "locked" / "x")


WITHOUT_PYTORCH = """
import sys
class Refused:
    def find_spec(name, *_):
        assert name.split(".")[0] != "torch", "PyTorch is imported"
sys.meta_path.insert(0, Refused)
from bnlib.cli import main
main()
"""


@pytest.mark.parametrize(
    "words, message",
    [
        (["bench", "--save", "/dev/null/x"], "/dev/null is not a folder"),
        (["bench", "--save", "~nosuchuser/x"], "nobody here has that home folder"),
        (["sweep", "fig2_depth", "--device", "gpu"], "'gpu' is not one of"),
        (["bench", "--device", "gpu"], "'gpu' is not one of"),
        (["run", "resnet14", "--seed", "7"], "cannot be written (/dev/null is not a folder)"),
        (["sweep", "fig2_depth", "--seeds", "9"], "cannot be written (/dev/null is not a folder)"),
    ],
)
def test_what_needs_no_pytorch_to_be_refused_is_refused_before_it(words, message):
    run = lambda: subprocess.run(  # noqa: E731
        [sys.executable, "-c", WITHOUT_PYTORCH, *words],
        env=environment(BNLIB_RUNS="/dev/null/x"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    done = run()
    assert done.returncode in (1, 2) and message in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_file_of_measurements_that_is_none_is_refused_first(tmp_path, monkeypatch, cifar10):
    monkeypatch.setattr(bench, "compare", None)
    monkeypatch.setattr(bench, "describe", None)
    path = bench.place(machine.device_name(CPU), tmp_path)
    for content in ("", "[]", '{"rows": 3}', '{"rows": [{}]}'):
        path.write_text(content)
        said = CliRunner().invoke(main, ["bench", "--device", "cpu", "--save", str(tmp_path)])
        assert said.exit_code == 1 and "is not what a benchmark writes" in said.output and "rm " in said.output, said.output
        assert path.read_text() == content


# --- Ending ----------------------------------------------------------------------------------------------------------------------


LONG = ["run", "resnet8", "--dataset", "digits", "--recipe", "smoke", "--precision", "fp32", "--epochs", "100000", "--no-probes"]


class Started:
    """A `bnlib` in a process and a session of its own; `said` is what it has said so far."""

    def __init__(self, *words, **variables):
        command, pipes = [sys.executable, "-u", "-m", "bnlib", *words], {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, env=environment(**variables), text=True, start_new_session=True, **pipes)
        self.said, self.reader = "", threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said += line

    def until(self, words):
        until(lambda: words in self.said or self.process.poll() is not None, lambda: self.said, every=0.01)
        assert words in self.said, self.said

    def ended(self):
        """Its exit status."""
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.process.stdout.close()


@pytest.mark.slow
def test_sigterm_ends_as_ctrl_c_does(runs_folder):
    with Started(*LONG) as one:
        one.until("test ")  # the bar after its first epoch
        one.process.terminate()
        assert one.ended() == 143
        assert "the same command goes on from there" in one.said and "Traceback" not in one.said, one.said[-2000:]
    assert list(runs_folder.glob(".unfinished/*.pt")) and not list(runs_folder.glob(".unfinished/*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_two_interrupts_end_without_a_traceback(pause):
    with Started(*LONG) as one:
        one.until("a step: about")
        os.killpg(one.process.pid, signal.SIGINT)
        time.sleep(pause)
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGINT)
        code = one.ended()
        # Python's last moments are without handlers: there a shell sees 130, too.
        assert code in (130, -signal.SIGINT) and "Traceback" not in one.said and "Error" not in one.said, one.said[-2000:]


@pytest.mark.slow
def test_sigterm_to_a_sweep_ends_the_processes_it_started(cifar10, tmp_path):
    nothing = {"BNLIB_RESULTS": str(tmp_path)}  # else what it trains would change with the runs that are there
    with Started("sweep", "fig1_affine", "--recipe", "short", "--jobs", "2", "--no-list", **nothing) as one:
        listed = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children")
        if not listed.exists():
            pytest.skip("no list of a process's children here")
        one.until("a step: about")
        children = [int(child) for child in listed.read_text().split()]
        assert len(children) == 2
        one.process.terminate()
        assert one.ended() == 143 and "Traceback" not in one.said, one.said[-2000:]
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_process_that_is_killed_is_said_to_be(monkeypatch):
    suicide = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **more: real(suicide, **more))
    with pytest.raises(store.StoreError, match="2 of 2 processes failed, 2 killed by signal 9, as when memory runs out"):
        sweep.side_by_side(2, [])


# --- Odd places ------------------------------------------------------------------------------------------------------------------


SHORT = [*LONG[:-3], "--epochs", "1"]


def test_a_terminal_that_has_no_gamma_shows_the_rest():
    for words in (["run", "--help"], [*SHORT, "--trainable", "γ"]):
        done = subprocess.run(
            [sys.executable, "-m", "bnlib", *words],
            env=environment(PYTHONIOENCODING="cp1252", PYTHONUTF8="0"),
            capture_output=True,
            encoding="cp1252",
            timeout=PATIENCE,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said and ("All but ?, ?" in said or "unknown group '?'" in said), said


# As somebody else, who may read everything here, be it in root's home.
SOMEBODY = "setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search".split()


@pytest.fixture
def somebody():
    """Runs `bnlib` as a user without an account and a home, in a folder that is everybody's; a skip where that cannot be."""
    if os.geteuid() or not shutil.which("setpriv") or subprocess.run([*SOMEBODY, "true"], capture_output=True).returncode:
        pytest.skip("only root, with setpriv, can be somebody else")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are its user's alone
        os.chmod(folder, 0o777)
        none = ("HOME", "USER", "LOGNAME", "BNLIB_DATA", "XDG_CACHE_HOME")
        bare = {name: value for name, value in environment(BNLIB_RUNS=f"{folder}/runs").items() if name not in none}

        def call(*words, **more):
            command, where = [*SOMEBODY, sys.executable, "-m", "bnlib", *words], {**bare, **more}
            return subprocess.run(command, env=where, cwd="/", capture_output=True, text=True, timeout=PATIENCE)

        call.runs = Path(folder) / "runs"
        yield call


@pytest.mark.slow
def test_somebody_without_an_account_and_a_home_can_train(somebody):
    done = somebody(*SHORT)
    assert done.returncode == 0 and "test accuracy, finished" in done.stdout, done.stderr[-3000:]
    assert somebody.runs.stat().st_uid == 54321
    shutil.rmtree(next(somebody.runs.glob("digits*")))
    for path in somebody.runs.glob(".unfinished/*.lock"):
        os.chown(path, 0, 0)
    for again, more, message in (
        (SHORT, {}, "belongs to user root, who may be training it"),
        (["run", "resnet8", "--recipe", "smoke"], {}, "there is no home folder"),
        (SHORT, {"BNLIB_RUNS": str(ROOT / "tests" / "mine")}, "cannot be written (no permission"),
    ):
        refused = somebody(*again, **more)
        assert refused.returncode == 1 and message in refused.stderr, refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr


def test_without_a_home_compiled_passes_are_kept_elsewhere(monkeypatch):
    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    folder = passes_c._folder()
    assert folder.is_dir() and os.access(folder, os.W_OK)
    folder.rmdir()


def test_a_file_that_cannot_be_read_is_one_line(monkeypatch):
    def unreadable(*_):
        raise PermissionError(13, "Permission denied", "/data/test_batch")

    monkeypatch.setattr(data, "load", unreadable)
    said = CliRunner().invoke(main, ["data"])
    assert said.exit_code == 1 and said.output == "Error: /data/test_batch: Permission denied\n"


# --- Killed at any moment --------------------------------------------------------------------------------------------------------


# PyTorch is imported once, and nothing computed: a process forked from this one starts at once, and as good as new.
FORKS = """
import os, signal, sys
from bnlib import RunSpec, data, training
data.load("digits")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # its children are gone when they end
print("ready", flush=True)
for line in sys.stdin:
    folder, epochs = line.split()
    if (child := os.fork()) == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what it says must not come between the children's numbers
        spec = RunSpec("resnet8", recipe="smoke", dataset="digits", precision="fp32", batch_size=64, epochs=int(epochs),
                       train_images=160, test_images=100)
        run = training.train(spec, folder=folder, progress=False)
        os._exit(0)
    print(child, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_training_killed_at_any_moment_and_by_four_at_once_ends_the_same(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", FORKS], env=environment(), text=True, **pipes) as forks:
        lines = iter(forks.stdout.readline, "")

        def fork(folder, epochs=4):
            forks.stdin.write(f"{folder} {epochs}\n")
            forks.stdin.flush()
            return int(next(line for line in lines if line.strip().isdigit()))

        def gone(child, within=PATIENCE):
            end = time.monotonic() + within
            while Path(f"/proc/{child}").exists() and time.monotonic() < end:
                time.sleep(0.002)
            return not Path(f"/proc/{child}").exists()

        def found(folder):
            (run,) = [store.Run(path.parent) for path in folder.glob("*/run.json") if path.parent.name[0] != "."]
            return run

        try:
            assert any(line.strip() == "ready" for line in lines)
            start = time.monotonic()
            assert gone(fork(tmp_path / "whole"))
            whole, takes = bits(found(tmp_path / "whole")), time.monotonic() - start
            chance, moments = random.Random(), []
            while len(moments) < 3:
                folder = tmp_path / f"killed{len(list(tmp_path.iterdir()))}"
                for _ in range(3):
                    child, moment = fork(folder), chance.uniform(0.1, 0.95)
                    if gone(child, moment * takes):
                        takes *= 0.8  # it was over first: the machine has less to do now than it had
                        break
                    os.kill(child, signal.SIGKILL)
                    moments.append(round(moment, 3))
                    assert gone(child)
                assert gone(fork(folder))
                assert bits(found(folder)) == whole, moments
            children = [fork(tmp_path / "four") for _ in range(4)]
            assert all(map(gone, children))
            assert bits(found(tmp_path / "four")) == whole
            assert [path.suffix for path in (tmp_path / "four" / ".unfinished").iterdir()] == [".lock"]
        finally:
            forks.kill()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("fields", [{}, {"optimiser": "adam", "lr": 0.01}], ids=str)
@pytest.mark.parametrize("first", ["cuda", "cpu"])
def test_a_gpu_goes_on_from_a_checkpoint_of_any_device(first, fields, tiny, tmp_path, monkeypatch):
    spec = tiny(epochs=3, **fields)
    whole = training.train(spec, folder=tmp_path / "whole", device="cuda", progress=False)
    monkeypatch.setattr(trainer.Trainer, "train", stopped_after(2))
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, folder=tmp_path, device=first, progress=False)
    monkeypatch.undo()
    run = training.train(spec, folder=tmp_path, device="cuda", progress=False)
    assert len(run.history) == 3 and (first == "cpu" or bits(run) == bits(whole))
