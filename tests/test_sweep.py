"""The lists of what there is to train, and training what is missing within a time."""

import time
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from bnlib import experiments, machine, store, training
from bnlib.training import sweep, trainer


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_list_is_of_different_runs_all_of_seed_0_first(name):
    recipe = experiments.experiment(name).recipes[-1]
    specs = experiments.wanted(name, recipe, seeds=2)
    assert len(specs) == len(set(specs)) == 2 * len(experiments.wanted(name, recipe))
    assert [spec.seed for spec in specs] == sorted(spec.seed for spec in specs)
    assert {spec.recipe for spec in specs} == {recipe}


def test_an_experiment_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="did you mean 'fig2_depth'"):
        experiments.wanted("fig2_dept")


def test_a_sweep_trains_what_is_missing_and_says_what_is_left(tiny, runs_folder):
    specs = [tiny(seed=0, epochs=1), tiny(seed=1, epochs=1), tiny(seed=2, epochs=1)]
    first = training.train(specs[1], progress=False)
    with FileLock(store.check_writable(runs_folder / ".unfinished") / f"{specs[2].id}.lock"):  # as if another process trained it
        assert sweep.sweep(specs, progress=False) == [specs[2]]
    assert store.find(specs[0]) and store.find(specs[1]).info["started"] == first.info["started"]
    assert sweep.sweep(specs, progress=False) == []


def test_no_epoch_is_begun_that_would_not_end_in_time_and_the_next_sweep_goes_on(tiny, runs_folder, monkeypatch, capsys):
    spec = tiny(epochs=3)
    assert sweep.sweep([spec], budget=0.0, progress=False) == [spec]
    assert store.find(spec) is None and not list(runs_folder.glob(".unfinished/*.pt"))
    clock = iter([0.0])  # in time for the first epoch, and then late
    watch = SimpleNamespace(monotonic=lambda: next(clock, 1e18), perf_counter=time.perf_counter)
    monkeypatch.setattr(trainer, "time", watch)
    assert sweep.sweep([spec], budget=3600.0, progress=False) == [spec]
    assert "out of time after epoch 1 of 3" in capsys.readouterr().out and list(runs_folder.glob(".unfinished/*.pt"))
    monkeypatch.setattr(trainer, "time", time)
    assert sweep.sweep([spec], budget=3600.0, progress=False) == []
    assert "going on after epoch 1 of 3" in capsys.readouterr().out and len(store.find(spec).history) == 3


def test_what_is_no_cheaper_than_what_had_no_time_is_not_looked_at(tiny, monkeypatch):
    tried = []

    def no_time(specs, **_):
        tried.extend(specs)
        raise trainer.OutOfTime

    monkeypatch.setattr("bnlib.training.together.train_together", no_time)
    specs = [tiny(model="resnet14"), tiny(model="resnet20"), tiny(model="resnet14", seed=1), tiny(model="resnet8")]
    assert sweep.sweep(specs, budget=3600.0) == specs and tried == [specs[0], specs[3]]


def test_on_a_gpu_a_sweep_trains_further_replicates_together(tiny, monkeypatch):
    monkeypatch.setattr(machine, "device", lambda name: torch.device("cuda"))
    trained = []
    monkeypatch.setattr("bnlib.training.together.train_together", lambda specs, **_: trained.append(specs))
    a, b = [[tiny(model=model, seed=seed) for seed in range(3)] for model in ("resnet8", "resnet14")]
    sweep.sweep([a[0], b[0], a[1], b[1], a[2], b[2]])
    assert trained == [[a[0]], [b[0]], a[1:], b[1:]]


def test_processes_that_fail_side_by_side_are_counted():
    with pytest.raises(store.StoreError, match="2 of 2 processes failed"):
        sweep.side_by_side(2, ["fig2_dept"])


def test_costs_grow_with_the_work(tiny):
    sets = [tiny(trainable=name) for name in ("all", "output", "none")]
    costs = sweep.costs([tiny(), tiny(model="resnet14"), tiny(epochs=4), *sets])
    assert costs[1] > costs[0] > 0
    assert [cost / costs[0] for cost in costs[2:]] == pytest.approx([2, 1.5, 0.5, 0.5])
