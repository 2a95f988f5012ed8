"""Seed files: a network comes back bit for bit from its seed and a few numbers, everywhere; no other file gets through."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save, save_file

import bnlib
from bnlib import models, seeds, store
from bnlib.cli import main
from bnlib.spec.choices import WEIGHT_INITS
from bnlib.store import seedfile

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = "resnet14_bn_short_seed0-f7b08146"


@pytest.fixture
def committed(tmp_path):
    """The seed file of a committed run."""
    return seedfile.export(store.load(COMMITTED), tmp_path / "network.safetensors")


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("trainable", ["bn", "none", "beta", "random:2", "bn+shortcut+output"])
def test_the_network_comes_back_bit_for_bit(trainable, tmp_path):
    run = next(run for run in store.all_runs() if run.spec.model == "resnet14" and run.spec.trainable == trainable)
    spec, model = seedfile.load(seedfile.export(run, tmp_path / "file"))
    expected, found = run.model().state_dict(), model.state_dict()
    assert spec == run.spec and list(expected) == list(found) and not model.training
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_committed_run_comes_back_with_its_accuracy(committed, cifar10):
    seed = seedfile.read(committed)
    assert seed.accuracy == store.load(COMMITTED).accuracy
    assert bnlib.evaluate(seed.model(), cifar10)[0] == pytest.approx(seed.accuracy, abs=5e-4)  # another CPU may break a tie


@pytest.mark.parametrize("run", [run.id for run in store.all_runs() if run.spec.redrawn and run.spec.seed == 0])
def test_every_committed_run_that_can_be_redrawn_can_be_exported(run, tmp_path):
    run = store.load(run)
    seed = seedfile.read(seedfile.export(run, tmp_path / "file"))
    assert seed.spec == run.spec and seed.tensors.keys() == run.tensors.keys()
    assert all((seed.tensors[name] == run.tensors[name]).all() for name in run.tensors)


def test_batchnorms_numbers_lie_in_the_order_of_the_network(committed):
    with safe_open(committed, "numpy") as file:
        assert sorted(file.keys()) == ["beta", "gamma", "running_mean", "running_var"]
        run = store.load(COMMITTED)
        assert (file.get_tensor("gamma") == np.concatenate(list(run.gamma.values()))).all()
        assert (file.get_tensor("beta") == np.concatenate(list(run.beta.values()))).all()
        assert json.loads(file.metadata()["bnlib"])["spec"] == {"model": "resnet14", "recipe": "short"}


def test_the_same_run_gives_the_same_bytes_in_every_process(committed, tmp_path):
    lines = f"from bnlib import store; from bnlib.store import seedfile; seedfile.export(store.load('{COMMITTED}'), 'again')"
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert (tmp_path / "again").read_bytes() == committed.read_bytes()


def test_a_file_is_as_large_as_said_and_a_hundredth_of_the_network(committed):
    whole, small = seedfile.sizes(store.load(COMMITTED).spec)
    state = store.load(COMMITTED).model().state_dict()
    assert whole == sum(t.numel() * t.element_size() for t in state.values()) and abs(small - committed.stat().st_size) < 50
    whole, small = seedfile.sizes(bnlib.RunSpec("resnet866"))
    assert round(whole / 1e6) == 56 and round(small / 1e6, 1) == 0.5


def test_others_may_read_it_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        path = seedfile.export(store.load(COMMITTED), tmp_path / "file")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644 and list(tmp_path.glob("*")) == list(tmp_path.glob(".*")) + [path]


def test_what_cannot_be_exported_is_refused(tiny, tmp_path, committed):
    run = store.load(COMMITTED)
    with pytest.raises(store.StoreError, match="its convolutions were trained and are not stored"):
        seedfile.export(store.load("resnet14_all_short_seed0-45e7a78d"), tmp_path / "all")
    with pytest.raises(store.StoreError, match="is there already, and is left as it is"):
        seedfile.export(run, committed)
    for path in (tmp_path / "no" / "folder", committed / "below a file", "~nosuchuser/file"):
        with pytest.raises(store.StoreError, match="cannot be written") as error:
            seedfile.export(run, path)
        assert "\n" not in str(error.value)
    diverged = bnlib.run(tiny(lr=1000, weight_decay=1000, trainable="bn+output", epochs=20), progress=False)
    assert diverged.info["status"] == "diverged"
    with pytest.raises(store.StoreError, match="its training diverged"):
        seedfile.export(diverged, tmp_path / "diverged")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["network.safetensors"]


# What a file may be: each is a function of the bytes of a right one, its JSON and its tensors.


def parts(path: Path) -> tuple[dict, dict]:
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["bnlib"]), {name: file.get_tensor(name) for name in file.keys()}


def written(path: Path, info: dict | str, tensors: dict, honest: bool = True) -> None:
    """Write a file anew, with its digest right: as one would who means harm."""
    if honest and isinstance(info, dict):
        info = {name: value for name, value in info.items() if name != "digest"}
        info["digest"] = seedfile._digest(info, tensors)
    save_file(tensors, path, {"bnlib": info if isinstance(info, str) else json.dumps(info)})


def spec(**fields):
    return lambda info, tensors: ({**info, "spec": {**info["spec"], **fields}}, tensors)


def says(**fields):
    return lambda info, tensors: ({**info, **fields}, tensors)


def gamma(change):
    return lambda info, tensors: (info, {**tensors, "gamma": change(tensors["gamma"])})


def nan(values):
    return np.where(np.arange(len(values)) == 7, np.float32("nan"), values)


HOSTILE = {
    "another seed": (spec(seed=1), "draws other weights"),
    "another network": (spec(model="resnet20"), "does not fit resnet20"),
    "a huge depth": (spec(model="resnet99998"), None),
    "a depth without end": (spec(model="resnet" + "9" * 3998 + "8"), None),
    "a huge width": (spec(model="wrn14-1000"), None),
    "a width without end": (spec(model="wrn14-" + "9" * 3998), None),
    "no network": (spec(model="resnet15"), "not 6D"),
    "a list for a network": (spec(model=["resnet14"]), "unknown model"),
    "what is not stored": (spec(trainable="all"), "comes back from no seed"),
    "another set": (spec(trainable="bn+output"), "'output.weight' does not fit"),
    "random weights": (spec(trainable="bn+random:2"), "does not fit"),
    "a later version's field": (spec(colour="red"), "the field 'colour'"),
    "a field of two lines": (spec(**{"a\nb\x1b[31m": 1}), r"the field 'a\\nb"),
    "epochs without end": (spec(epochs=10**400), None),
    "a spec that is a list": (says(spec=["model"]), None),
    "a spec that is a number": (says(spec=3), None),
    "an accuracy of 2": (says(accuracy=2.0), "accuracy 2.0"),
    "an accuracy in words": (says(accuracy="high"), "accuracy 'high'"),
    "no number": (says(accuracy=float("nan")), "accuracy nan"),
    "another checksum": (says(weights_checksum="0" * 64), "draws other weights"),
    "a checksum that is a list": (says(weights_checksum=[]), "draws other weights"),
    "NaN": (gamma(nan), "a number in gamma is not finite"),
    "float64": (gamma(lambda values: values.astype(np.float64)), "'gamma' does not fit"),
    "too few": (gamma(lambda values: values[:-1]), "'gamma' does not fit"),
    "another shape": (gamma(lambda values: values.reshape(2, -1)), "'gamma' does not fit"),
    "none": (lambda info, tensors: (info, {}), "'gamma' does not fit"),
    "one more": (lambda info, tensors: (info, {**tensors, "more": np.zeros(1)}), "'more' does not fit"),
    "no JSON": (lambda info, tensors: ("{", tensors), None),
    "a number for JSON": (lambda info, tensors: ("3", tensors), None),
    "null": (lambda info, tensors: ("null", tensors), None),
    "nested": (lambda info, tensors: ("[" * 200_000, tensors), None),
    "no spec": (lambda info, tensors: ({"accuracy": 0.5}, tensors), None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_refused_in_one_line(name, committed):
    change, message = HOSTILE[name]
    written(committed, *change(*parts(committed)))
    with pytest.raises(store.StoreError, match=message) as error:
        seedfile.load(committed)
    said = str(error.value)
    assert said.isprintable() and said.startswith(str(committed)) and len(said) < 700


@pytest.mark.parametrize(
    "change",
    [spec(seed=1), spec(precision="fp32"), says(accuracy=0.99), says(version="9"), gamma(lambda values: values * 1.000001)],
)
def test_what_is_changed_afterwards_is_not_what_the_digest_was_made_of(change, committed):
    written(committed, *change(*parts(committed)), honest=False)
    with pytest.raises(store.StoreError, match="is damaged: what it holds is not what its digest"):
        seedfile.read(committed)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_every_flipped_bit_is_found(committed):
    content = committed.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    places = sorted({*range(0, header, 3), *range(header, len(content), 501), len(content) - 1})
    for at in places:
        committed.write_bytes(flipped(content, at))
        try:
            seedfile.read(committed)
        except store.StoreError as error:
            assert "\n" not in str(error)
        else:
            # In the header's own blanks, behind its last bracket, nothing is said that could be changed.
            assert content[at:header].strip() == b"", f"byte {at} of {len(content)}: {content[max(0, at - 20) : at + 20]}"


@pytest.mark.parametrize("length", [0, 7, 8, 9, 100, 500, 3000, -1])
def test_a_truncated_file_is_refused(length, committed):
    committed.write_bytes(committed.read_bytes()[:length])
    with pytest.raises(store.StoreError, match="network.safetensors"):
        seedfile.read(committed)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 10 * 2**30) + b"{}",
        struct.pack("<Q", 2**64 - 1) + b"{}" * 100,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 3) + b"\xff\xfe\xfd",
        save({"gamma": np.zeros(560, np.float32)}),
        save({}, {"bnlib": "{}"}),
        b"PK\x03\x04" + bytes(1000),
        b"\x80\x02}q\x00." * 50,
    ],
)
def test_a_foreign_file_is_refused(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(store.StoreError) as error:
        seedfile.read(tmp_path / "file")
    assert "\n" not in str(error.value) and "file" in str(error.value)


def test_a_header_is_held_against_the_file_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(seedfile, "safe_open", None)  # which maps the file
    for content in (struct.pack("<Q", 10 * 2**30) + b"{}", struct.pack("<Q", seedfile.HEADER + 1) + b" " * (seedfile.HEADER + 1)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(store.StoreError, match="or not all of it"):
            seedfile.read(tmp_path / "file")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path, "not a file"), (tmp_path / "pipe", "not a file"), (Path("/dev/zero"), "not a file")):
        with pytest.raises(store.StoreError, match=message):
            seedfile.read(path)
    for path, message in ((tmp_path / "none", "is not there"), ("~nosuchuser/x", "nosuchuser"), ("x" * 5000, "cannot be read")):
        with pytest.raises(store.StoreError, match=message):
            seedfile.read(path)


def test_the_commands_say_what_they_did(tiny, tmp_path):
    run, path = bnlib.run(tiny(epochs=1), progress=False), tmp_path / "a network"
    wrote = call("export", run.id, path)
    assert wrote.exit_code == 0 and wrote.output.startswith(f"{path}: {path.stat().st_size:,} bytes, {run.accuracy:.2%}")
    said, accuracy = call("load", path, "--accuracy").output, f"{run.accuracy:.2%}"
    assert "digest:    right" in said and "drawn from seed 0, the same bits" in said
    exec(said.split("in Python: ")[1], names := {})  # as it says, in a new session
    assert names["spec"] == run.spec and isinstance(names["model"], torch.nn.Module)
    assert run.spec.text in said and f"accuracy:  {accuracy} " in said and f"here:      {accuracy} " in said
    for words, message in (
        (("export", COMMITTED, path), "is there already"),
        (("export", "resnet14_bn_shrot", tmp_path / "x"), "did you mean"),
        (("load", tmp_path / "x"), "is not there"),
    ):
        failed = call(*words)
        assert failed.exit_code == 1 and message in failed.output and failed.output.count("\n") == 1


# The weights that a seed draws.

DRAW = """
import os, sys, torch
from bnlib import models
print(torch.backends.cpu.get_cpu_capability())
for kind in sys.argv[1:]:
    print(models.checksum(models.build("resnet20", 5, weight_init=kind)))
"""


# Other code in the C library's logarithm, in LAPACK and in numpy, than this processor would choose.
PLAIN = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "OMP_NUM_THREADS": "3",
}


@pytest.mark.slow
@pytest.mark.parametrize("capability, others", [("default", PLAIN), ("avx2", {}), ("avx512", {})])
def test_drawn_weights_are_the_same_bits_whatever_the_processor_can_do(capability, others):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ATEN_CPU_CAPABILITY": capability, **others}
    command = [sys.executable, "-W", "ignore", "-c", DRAW, *WEIGHT_INITS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    taken, *drawn = done.stdout.split()
    if taken.lower() != capability:
        pytest.skip(f"this processor cannot do {capability}")
    assert drawn == [models.checksum(bnlib.build("resnet20", 5, weight_init=kind)) for kind in WEIGHT_INITS]


def test_drawing_needs_nothing_of_pytorch_and_leaves_its_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with torch.device("cpu"):
        model = bnlib.build("resnet8", 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert (model.conv.weight.detach().numpy() == seeds.weights(3, "conv", (16, 3, 3, 3))).all()
    assert "torch" not in vars(seeds)
