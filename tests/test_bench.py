"""The benchmark: what its rows hold, how they are kept, and that it says what went wrong. Nothing here judges a time."""

import itertools
import json

import pandas as pd
import pytest
import torch

from bnlib import bench
from bnlib.report import analysis, figures, statements
from bnlib.spec import architecture

RATES = {"flop_per_second": 1e11, "bytes_per_second": 1e10}


def row(model, way, seconds):
    """One hand-made row."""
    return {
        "model": model,
        "way": way,
        "seconds": seconds,
        "low": seconds * 0.9,
        "high": seconds * 1.1,
        "epoch_seconds": 391 * seconds,
        "peak_bytes": 2**30,
        "first_seconds": 9.0,
    }


@pytest.fixture
def found():
    """What a benchmark would have found on a machine that does not exist."""
    ways = [row(model, way, 0.1 * (1 + i)) for model in ("resnet14", "resnet110") for i, way in enumerate(bench.FEW)]
    more = [row(model, way, 0.3) for model in ("resnet56", "wrn14-2") for way in ("fused bf16", "convolutions bf16")]
    here = {"machine": "Hand made, 2 threads", "bf16": True, "commit": "0" * 40, "versions": {}, **RATES}
    return {**here, "rows": ways + more}


@pytest.mark.slow
def test_ways_take_turns_in_processes_of_their_own(cifar10):
    ways, said = ["loop", "uncompiled bf16", "convolutions bf16"], []
    rows = bench.compare("resnet8", ways, torch.device("cpu"), rounds=2, steps=2, say=said.append)
    assert [r["way"] for r in rows] == ways and len(said) == 9
    for r in rows:
        assert 0 < r["low"] <= r["seconds"] <= r["high"] < r["first_seconds"]
        assert r["epoch_seconds"] == 391 * r["seconds"] and 10**8 < r["peak_bytes"] < 10**10


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(bench.WorkerFailed, match="plain fp32.*CIFAR-10 is not in"):
        bench.compare("resnet8", ["plain fp32"], torch.device("cpu"), tmp_path, rounds=1)


def test_what_is_measured_anew_replaces_what_was_and_nothing_else(found, tmp_path):
    path = bench.save(found, tmp_path)
    assert path.name == "hand-made-2-threads.json"
    bench.save({**found, "commit": "1" * 40, "rows": [row("resnet14", "loop", 7.0)]}, tmp_path)
    where, rows = bench.stored(tmp_path)["Hand made, 2 threads"]
    assert where["commit"] == "1" * 40
    own = rows[rows.model == "resnet14"].set_index("way")
    assert own.seconds.to_dict() == {"plain fp32": 0.2, "fused bf16": pytest.approx(0.3), "convolutions bf16": 0.4, "loop": 7.0}
    assert set(own.commit) == {"0" * 40, "1" * 40} and own.commit["loop"] == "1" * 40
    assert (rows.model == "resnet110").sum() == 4 and rows[rows.model == "wrn14-2"].width.tolist() == [2, 2]
    others = [{"model": model, "processes": count, "trainable": "bn", "bytes": 1} for model in ("a", "b") for count in (2, 4)]
    bench.save({**found, "exchange": others}, tmp_path)
    kept = json.loads(bench.save({**found, "exchange": [{**others[0], "bytes": 9}]}, tmp_path).read_text())["exchange"]
    assert sorted((one["model"], one["processes"], one["bytes"]) for one in kept) == [
        ("a", 2, 9),
        ("a", 4, 1),
        ("b", 2, 1),
        ("b", 4, 1),
    ]


def test_the_rates_are_products_and_bytes_by_the_seconds_they_took(monkeypatch):
    monkeypatch.setattr(bench.measure.time, "perf_counter", itertools.count(0.0, 0.25).__next__)
    rates = bench.describe(torch.device("cpu"))
    assert rates["flop_per_second"] == 2 * 1024**3 / 0.25 and rates["bytes_per_second"] == 2 * 4 * 2**26 / 0.25


def test_the_ratios_of_the_table_are_against_the_loop_and_the_convolutions(found):
    table = bench.table(found["rows"][:4])  # 100, 200, 300 and 400 ms
    assert table["× the loop"].to_dict() == {"loop": 1.0, "plain fp32": 0.5, "fused bf16": 0.33, "convolutions bf16": 0.25}
    assert table["÷ convolutions"].to_dict() == {"loop": 0.25, "plain fp32": 0.5, "fused bf16": 0.75, "convolutions bf16": 1.0}


def test_pruned_is_timed_as_a_share_of_the_whole(monkeypatch):
    monkeypatch.setattr(bench.forward, "turns", lambda models, **_: [[0.2, 0.1, 0.05]] * 4)
    frame = bench.pruned(["resnet14_bn_short_seed0-f7b08146"], (0.01, 0.1))
    assert list(frame.whole) == [200, 200] and list(frame.ratio) == [0.5, 0.25] and list(frame.pruned) == [100, 50]


def test_each_kind_of_device_has_its_ways():
    cpu, gpu = (set(bench.ways(torch.device(kind))) for kind in ("cpu", "cuda"))
    assert "inductor bf16" in cpu - gpu and "unrecorded bf16" in gpu - cpu and set(bench.FEW) <= cpu & gpu


def test_a_rate_that_was_not_measured_gives_no_estimate(found, tmp_path):
    bench.save({name: value for name, value in found.items() if name != "bytes_per_second"}, tmp_path)
    stored = bench.stored(tmp_path)
    assert stored["Hand made, 2 threads"][1].floor.isna().all()
    assert set(analysis.machines(stored).data["over the estimate"]) == {"not measured"}


def test_the_floor_is_that_of_the_slower_of_two(found):
    """For ResNet-8, by hand: its convolutions' products, and the values that they give."""
    outputs = 16 * 1024 * 3 + 32 * 256 * 3 + 64 * 64 * 3  # stem and three blocks, with two shortcuts
    weights = [(16 * 1024, 27), *2 * [(16 * 1024, 144)], (8192, 144), (8192, 288), (8192, 16), (4096, 288), (4096, 576), (4096, 32)]
    products = 2 * sum(out * inputs for out, inputs in weights) - weights[0][0] * 27
    assert bench.floor("resnet8", {**RATES, "bytes_per_second": 1e30}) == pytest.approx(128 * 2 * products / 1e11)
    assert bench.floor("resnet8", {**RATES, "flop_per_second": 1e30}) == pytest.approx(128 * 18 * outputs / 1e10)


def test_the_engines_page_is_made_of_what_is_stored(found, tmp_path):
    bench.save(found, tmp_path)
    stored = bench.stored(tmp_path)
    rows = stored["Hand made, 2 threads"][1]
    found_ = analysis.speed(rows, "resnet110")
    assert (found_["over"], found_["times"], found_["peak"]) == pytest.approx((0.75, 1 / 3, 2**30))
    said = statements.speed(rows, "resnet110", "here").text.replace("\u2011", "-")
    assert (
        said.startswith("An epoch of ResNet-110 with γ and β alone takes 2 min on here, 0.3 times as fast as")
        and "0.8 times its conv" in said
    )
    assert "times as fast" not in statements.speed(rows, "resnet56", "here").text
    assert statements.speed(rows, "resnet866", "here").text.endswith("has not been measured on here.")
    assert "WRN-14-2" in analysis.machines(stored).to_html()
    assert [ax.get_title(loc="left") for ax in figures.steps(rows).axes] == ["ResNet-14", "ResNet-110"]
    assert "ms a layer" in figures.scaling(rows).axes[0].get_legend().get_texts()[0].get_text()
    assert "× the loop" in bench.table(found["rows"][:4]).columns


def test_every_committed_benchmark_is_whole():
    stored = bench.stored()
    assert stored, "benchmarks/ holds nothing; make bench"
    for where, rows in stored.values():
        assert {"versions", "commit", "bf16", "cores", "flop_per_second"} <= set(where)
        ours = rows.way.replace("inductor bf16", "fused bf16")  # what a training took until its passes were in C
        assert any(set(bench.FEW) <= set(ours[own.index]) for _, own in rows.groupby("model"))
        assert rows.seconds.gt(0).all() and rows.model.map(architecture).notna().all()


def test_precisions_are_compared_where_both_were_run():
    columns = ["network", "trainable", "recipe", "precision", "accuracy"]
    runs = [("ResNet-14", "bn", "short", p, a) for p, a in (("bf16", 0.4), ("bf16", 0.42), ("fp32", 0.41))]
    runs.append(("ResNet-32", "bn", "short", "bf16", 0.5))
    table = analysis.precisions(pd.DataFrame(runs, columns=columns))
    assert table.n.tolist() == [2, 1] and table["mean"].tolist() == [41.0, 41.0] and table.sd[0] == 1.41


def test_the_command_prints_json(monkeypatch, found, tmp_path, cifar10):
    from click.testing import CliRunner

    from bnlib.cli import main

    monkeypatch.setattr(bench, "describe", lambda device: {k: v for k, v in found.items() if k != "rows"})
    monkeypatch.setattr(bench, "compare", lambda model, ways, *_, **__: [row(model, way, 0.5) for way in ways])
    result = CliRunner().invoke(main, ["bench", "--model", "resnet14", "--json", "--save", str(tmp_path)])
    assert json.loads(result.stdout)["seconds_per_epoch"] == 195.5
    assert len(list(tmp_path.glob("*.json"))) == 1

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bench, "save", full)
        result = CliRunner().invoke(main, ["bench", "--model", "resnet14", "--save", str(tmp_path)])
    assert result.exit_code == 1 and "ms a step" in result.stdout, "what was measured is shown"
    assert f"nothing could be written to {tmp_path} (No space left on device); what was measured is above" in result.stderr
    result = CliRunner().invoke(main, ["bench", "--exchange", "2", "--all", "--rounds", "7"])
    assert result.exit_code == 1 and "nothing else: leave out --all, --rounds" in result.output
    result = CliRunner().invoke(main, ["bench", "--exchange", "100000"])
    assert result.exit_code == 2 and "a whole number from 2 to 256 is needed; nearest: 256" in result.output
    result = CliRunner().invoke(main, ["bench", "--model", "resnet15"])
    assert result.exit_code != 0 and "nearest: 14 and 20" in result.output
    result = CliRunner().invoke(main, ["bench", "--model", "vgg11"])
    assert result.exit_code != 0 and "is for resnetN and wrn14-W" in result.output


def test_what_processes_exchange_is_what_learns(found, tmp_path):
    rows = bench.exchange.measure(["resnet8", "resnet14"], 2)
    sizes = {(row["model"], row["trainable"]): row["bytes"] for row in rows}
    assert sizes["resnet14", "bn"] == 4 * 1_120 and sizes["resnet14", "all"] == 4 * 175_258 and len(sizes) == 4
    assert all(0 < row["low"] <= row["seconds"] <= row["high"] and row["processes"] == 2 for row in rows)
    bench.save({**found, "exchange": rows}, tmp_path)
    path = bench.save(found, tmp_path)  # a later measurement of steps leaves them there
    assert [{k: v for k, v in one.items() if k != "commit"} for one in json.loads(path.read_text())["exchange"]] == rows
    assert list(bench.exchanged(rows)["kB a step"])[2:] == [4.5, 701.0]
    bench.save({**found, "machine": "Another", "rows": [], "exchange": rows}, tmp_path)
    assert list(bench.stored(tmp_path)) == ["Hand made, 2 threads"] and len(bench.exchanges(tmp_path)) == 8


def test_a_network_that_is_none_is_said_before_a_process_starts():
    with pytest.raises(ValueError, match="unknown model 'resnat8'"):
        bench.exchange.measure(["resnat8"], 2)
