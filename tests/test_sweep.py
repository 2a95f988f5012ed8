"""The lists of what there is to train, and training what is missing within a time."""

import contextlib
import time
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock

from bnlib import RunSpec, experiments, machine, store, training
from bnlib.cli import main
from bnlib.training import costs, loop, sweep, timing, together


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_list_is_of_different_runs_all_of_seed_0_first(name):
    recipe = experiments.experiment(name).recipes[-1]
    specs = experiments.wanted(name, recipe, seeds=2)
    assert len(specs) == len(set(specs)) == 2 * len(experiments.wanted(name, recipe))
    assert [spec.seed for spec in specs] == sorted(spec.seed for spec in specs)
    assert {spec.recipe for spec in specs} == {recipe}


def test_a_list_can_be_of_some_networks_its_own_or_others():
    every = experiments.wanted("beyond_bytes", "short", seeds=2)
    own = experiments.wanted("beyond_bytes", "short", seeds=2, networks=("ResNet32", "resnet32"))
    assert own == [spec for spec in every if spec.model == "resnet32"] and {spec.trainable for spec in own} == {"bn"}
    other = experiments.wanted("beyond_bytes", "short", networks=("resnet20", "resnet32"))
    assert [(spec.model, spec.trainable) for spec in other] == [("resnet32", "bn"), ("resnet20", "bn"), ("resnet20", "all")]
    with pytest.raises(ValueError, match="beyond_norms has no place for vgg16: it shows networks such as resnet14"):
        experiments.wanted("beyond_norms", networks=("vgg16",))


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
    monkeypatch.setattr(loop, "time", watch)
    assert sweep.sweep([spec], budget=3600.0, progress=False) == [spec]
    assert "out of time after epoch 1 of 3" in capsys.readouterr().out and list(runs_folder.glob(".unfinished/*.pt"))
    monkeypatch.setattr(loop, "time", time)
    assert sweep.sweep([spec], budget=3600.0, progress=False) == []
    assert "going on after epoch 1 of 3" in capsys.readouterr().out and len(store.find(spec).history) == 3


def test_what_is_no_cheaper_than_what_had_no_time_is_not_looked_at(tiny, monkeypatch):
    tried = []

    def no_time(specs, **_):
        tried.extend(specs)
        raise loop.OutOfTime

    monkeypatch.setattr("bnlib.training.together.train_together", no_time)
    specs = [tiny(model="resnet14"), tiny(model="resnet20"), tiny(model="resnet14", seed=1), tiny(model="resnet8")]
    assert sweep.sweep(specs, budget=3600.0) == specs and tried == [specs[0], specs[3]]
    tried.clear()
    specs = [tiny(model="resnet14"), tiny(model="resnet14", train_images=80), tiny(model="resnet14", seed=1)]
    assert sweep.sweep(specs, budget=3600.0) == specs and tried == specs[:2], "of fewer images an epoch may yet fit"


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


def test_a_network_that_does_not_fit_in_memory_does_not_end_the_sweep(tiny, monkeypatch, capsys):
    train, specs = together.train_together, [tiny(model="resnet14", epochs=1), tiny(epochs=1)]

    def too_large(free, **settings):
        if specs[0] in free:
            raise machine.OutOfMemory("out of memory; nothing is kept of it")
        return train(free, **settings)

    monkeypatch.setattr("bnlib.training.together.train_together", too_large)
    with pytest.raises(sweep.Failed, match="1 training did not fit in memory"):
        sweep.sweep(specs, progress=False)
    assert store.find(specs[1]) and "out of memory; nothing" in capsys.readouterr().out


# What it costs.


def run(spec, seconds, device="a CPU, 2 threads", **info):
    """A stored run, as far as costs look at it: all its epochs but one took ten times as long as they need."""
    epochs = spec.settings.epochs
    history = pd.DataFrame({"seconds": [10 * seconds / epochs] * (epochs - 1) + [seconds / epochs]})
    return SimpleNamespace(spec=spec, history=history, info={"device": device, "status": "finished", **info})


def test_costs_grow_with_the_work(tiny):
    specs = [tiny(), tiny(model="resnet14"), tiny(epochs=4), *(tiny(trainable=name) for name in ("all", "output", "none"))]
    priced = sweep.costs(specs)
    found = [priced[spec].whole for spec in specs]
    assert found[1] > found[0] > 0
    assert [cost / found[0] for cost in found[2:]] == pytest.approx([2, 1.5, 0.5, 0.5])


def test_only_runs_of_this_machine_and_of_this_kind_tell_what_a_training_costs(tiny):
    spec = RunSpec("resnet14", recipe="short")
    runs = [run(spec, 160.0), run(replace(spec, seed=1), 320.0), run(replace(spec, seed=2), 1600.0)]
    others = [
        run(spec, 1.0, device="another"),
        run(spec, 1.0, status="diverged"),
        run(spec, 1.0, earlier=[{"device": "another"}]),
        run(spec, 1.0, processes=2),
    ]
    known = costs.paces("a CPU, 2 threads", runs + others)
    assert list(known) == [costs.kind(spec)] and len(known[costs.kind(spec)]) == 3
    assert costs.kind(spec) == costs.kind(RunSpec("resnet866", "all", "paper")) != costs.kind(replace(spec, precision="fp32"))
    found = costs.reckon(RunSpec("resnet14", recipe="paper"), known[costs.kind(spec)], probes=False)
    assert found.epoch == pytest.approx(10) and found.whole == pytest.approx(1600)  # the fastest's


def test_a_network_costs_what_those_of_nearly_its_size_cost(tiny):
    small, large = RunSpec("resnet14", recipe="short"), RunSpec("resnet434", recipe="short")
    seconds = 16 * costs.epoch_work(large) / costs.epoch_work(small)  # as fast for what there is to multiply
    known = costs.paces("a CPU, 2 threads", [run(small, 32.0), run(large, seconds)])[costs.kind(small)]
    of = lambda model: costs.reckon(RunSpec(model, recipe="short"), known, probes=False).epoch / costs.epoch_work(RunSpec(model))  # noqa: E731
    assert of("resnet20") == pytest.approx(of("resnet14")) == pytest.approx(2 * of("resnet866"))


def test_probes_are_part_of_what_it_costs_where_there_are_any(tiny):
    spec = RunSpec("resnet14", recipe="short")
    known = [costs.Pace(costs.epoch_work(spec), 11.0)]
    assert costs.reckon(spec, known).whole - costs.reckon(spec, known, probes=False).whole == pytest.approx(
        timing.probes_seconds(1.0, spec.asked)
    )
    assert costs.reckon(tiny(), known).whole == costs.reckon(tiny(), known, probes=False).whole


def test_nothing_is_measured_of_which_the_store_knows_the_pace_and_else_the_smallest_of_its_kind(tiny, monkeypatch):
    measured, spec = [], RunSpec("resnet14", recipe="short")
    monkeypatch.setattr(costs, "_measure", lambda spec, *_: measured.append(spec) or costs.Pace(costs.epoch_work(spec), 3.0))
    monkeypatch.setattr(machine, "device_name", lambda _: "a CPU, 2 threads")
    monkeypatch.setattr(store, "all_runs", lambda: [run(spec, 160.0)])
    monkeypatch.setattr(store, "find", lambda *_: None)
    specs = [RunSpec("resnet110", recipe="paper"), RunSpec("resnet32", recipe="short", precision="fp32")]
    specs.append(replace(specs[1], model="resnet20"))
    found = costs.costs(specs)
    assert measured == [specs[2]] and [found[spec].measured for spec in specs] == [False, True, True]
    assert found[specs[2]].epoch == pytest.approx(3)
    said = costs.plan([specs[0]], {specs[0]: found[specs[0]]})
    assert "missing, about " in said[0] and said[-1].endswith("in all, by runs stored of this machine")
    assert costs.plan(specs, found)[-1].endswith("by steps measured now")


def test_what_does_not_fit_in_memory_has_no_price_and_ends_nothing(tiny, monkeypatch, capsys):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(costs, "Trainer", full)
    found = costs.costs([tiny()])
    assert "does not fit here" in capsys.readouterr().out
    assert "too large for the memory here" in costs.plan([tiny()], found)[0]


def test_what_the_list_prices_out_of_the_budget_is_not_touched(tiny, monkeypatch):
    tried = []
    monkeypatch.setattr("bnlib.training.together.train_together", lambda specs, **_: tried.extend(specs))
    monkeypatch.setattr(sweep, "costs", lambda *_, **__: pytest.fail("the list has been made"))
    specs = [tiny(model="resnet110"), tiny(), tiny(model="resnet14")]
    expected = {spec: costs.Cost(epoch, 9999.0) for spec, epoch in zip(specs, (3601.0, 1.0, 3000.0), strict=True)}
    assert sweep.sweep(specs, budget=3600.0, expected=expected) == specs and tried == specs[1:]


def a_training(clock, step, left=160, batch=128, images=10_000):
    """A training of which a step takes so many seconds of the test's own clock."""

    def take_step(*_):
        clock[0] += step

    return SimpleNamespace(
        spec=RunSpec("resnet110"),
        settings=RunSpec("resnet110").settings,
        data=SimpleNamespace(test_count=images),
        title="resnet110 bn paper",
        device=torch.device("cpu"),
        on_stream=contextlib.nullcontext,
        state=list,
        batches=lambda _: [(torch.zeros(batch),)],
        totals=torch.zeros(2),
        take_step=take_step,
        step=None,
        model=None,
        probes=True,
        left=left,
        steps=391,
        at_once=500,
    )


@pytest.mark.parametrize(
    "step, left, steps, images", [(0.1, 160, 8, 500), (4.0, 160, 3, 80), (100.0, 160, 2, 3), (0.01, 1, 2, 500), (0.01, 2, 8, 500)]
)
def test_a_measurement_has_an_end_and_says_what_it_does(step, left, steps, images, monkeypatch, capsys):
    clock, asked = [0.0], []
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def evaluate(_model, _data, images, size, step):
        assert size == 500
        asked.append(images)
        clock[0] += 0.01 * images

    monkeypatch.setattr(timing, "measured", evaluate)
    training = a_training(clock, step, left)
    pace = timing.measure(training)
    taken = round((clock[0] - 0.01 * sum(asked)) / step)
    assert taken == steps and set(asked) == {images}
    assert pace.step == pytest.approx(step) and pace.test == pytest.approx(100) == pace.last_test
    assert "measuring resnet110 bn paper here: a few steps, for up to 20 s" in capsys.readouterr().out


def test_the_next_epoch_has_what_comes_before_the_run_is_stored():
    pace = timing.Pace(step=1.0, test=10.0, last_test=30.0, probes=500.0)
    one = SimpleNamespace(pace=pace, last_epoch=None, together=2, steps=100, history=[], settings=SimpleNamespace(epochs=3))
    one.spec = SimpleNamespace(redrawn=True)
    assert timing.next_epoch(one) == pytest.approx(timing.MARGIN * 220)
    one.last_epoch, one.history = 200.0, [{}, {}]
    assert timing.next_epoch(one) == pytest.approx(timing.MARGIN * 220)  # the last one, evaluated in fp32
    one.spec.redrawn = False  # whose network is gone afterwards
    assert timing.next_epoch(one) == pytest.approx(timing.MARGIN * 720)


def test_the_list_and_all_before_it_is_part_of_the_budget(tiny, monkeypatch):
    import bnlib.cli.train

    given, clock = [], iter([1000.0])  # the start, and then what the list has taken
    monkeypatch.setattr(experiments, "wanted", lambda *_: [tiny()])
    monkeypatch.setattr(bnlib.cli.train, "time", SimpleNamespace(monotonic=lambda: next(clock, 1050.0)))
    monkeypatch.setattr(costs, "costs", lambda specs, **_: {spec: costs.Cost(1.0, 2.0) for spec in specs})
    monkeypatch.setattr(sweep, "sweep", lambda specs, budget, expected, **_: given.append((budget, expected[specs[0]].whole)))
    done = CliRunner().invoke(main, ["sweep", "fig2_depth", "--budget", "2m"])
    assert done.exit_code == 0, done.output
    assert given == [(69.0, 2.0)] and "missing, about 2 s" in done.output
