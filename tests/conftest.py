"""Fixtures: a store of its own for every test, a training of seconds, CIFAR-10 where it is there."""

import pytest

from bnlib import RunSpec, data


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    """New runs go to an empty folder of the test's own."""
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def tiny():
    """Specs that train in a second or two, on real digits."""

    def make(**fields):
        defaults = dict(model="resnet8", recipe="smoke", dataset="digits", precision="fp32", train_images=160, test_images=100)
        return RunSpec(**{**defaults, "batch_size": 64, **fields})

    return make


@pytest.fixture(scope="session")
def cifar10():
    """CIFAR-10, or a skip that says how to get it."""
    try:
        return data.load("cifar10")
    except data.DataMissing as error:
        pytest.skip(str(error))
