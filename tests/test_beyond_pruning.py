"""The chapter on pruning: what it reckons from γ and β is what `prune` does; what it says follows from the numbers."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import bnlib
from bnlib import bench, experiments, pruning, store
from bnlib.bench import forward
from bnlib.report.beyond import cut_out
from bnlib.report.beyond import pruning as chapter

RUN = "resnet14_bn_paper_seed0-3c3e6a91"


def stored(recipe, *networks):
    """What is saved in the stored runs of which γ and β were trained."""
    runs = experiments.runs("beyond_pruning", recipe, list(networks))
    return cut_out.savings(runs[runs.trainable == "bn"])


def multiplications(model):
    """Of all convolutions for one picture of 32×32, counted as they are done."""
    counts = []

    def hook(conv, _inputs, output):
        counts.append(conv.weight.numel() * output[0, 0].numel())

    hooks = [conv.register_forward_hook(hook) for conv in model.modules() if isinstance(conv, nn.Conv2d)]
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    for one in hooks:
        one.remove()
    return sum(counts)


@pytest.mark.parametrize("name", [RUN, "resnet32_bn_short_seed0-cf1a37ff"])
def test_what_is_reckoned_is_what_prune_does(name):
    run = store.load(name)
    model, thresholds = run.model(), (*cut_out.AT, 1e9)
    total, products = bnlib.count(model)["total"], multiplications(model)
    for row in cut_out.cut(run, thresholds).itertuples():
        pruned = pruning.prune(model, row.threshold)
        sizes = [sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)) for net in (model, pruned)]
        assert (row.parameters, row.products, row.features) == (total, products, sizes[0])
        assert row.parameters - row.parameters_saved == bnlib.count(pruned)["total"]
        assert row.products - row.products_saved == multiplications(pruned)
        assert row.removed == sizes[0] - sizes[1] and row.removed <= row.off


def test_a_layer_of_which_nothing_stays_keeps_one_channel():
    """Also where all its constants are 0, as `prune` has it."""
    model = bnlib.build("resnet8").eval()
    for bn in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.constant_(bn.bias, -1)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    gamma = {name: bn.weight.detach().numpy() for name, bn in norms.items()}
    beta = {name: bn.bias.detach().numpy() for name, bn in norms.items()}
    run = type("Run", (), {"spec": bnlib.RunSpec("resnet8"), "gamma": gamma, "beta": beta, "classes": 10})
    row = cut_out.cut(run, [10.0]).iloc[0]
    assert row.parameters - row.parameters_saved == bnlib.count(pruning.prune(model, 10.0))["total"]
    assert row.products - row.products_saved == multiplications(pruning.prune(model, 10.0))


def test_the_change_is_the_probes():
    run, single = store.load(RUN), stored("paper", "resnet14")
    own, curve = single[single.seed == 0], run.probe("clamping")
    assert list(own.threshold) == curve["threshold"]
    np.testing.assert_allclose(own.change, 100 * (np.array(curve["accuracy"]) - curve["accuracy"][0]), atol=1e-9)
    np.testing.assert_allclose(own.off_percent, 100 * np.array(curve["share"]), atol=0.01)  # which the older ones are rounded to
    found = cut_out.replicated(single)
    np.testing.assert_allclose(found.change, single.groupby("threshold").change.mean(), atol=1e-9)
    assert set(found.n) == {3} and (found.low <= found.high).all()
    assert len(cut_out.at(found, *cut_out.AT)) == len(cut_out.AT)


def test_replicates_that_were_not_asked_are_left_out_where_others_were():
    single = stored("paper", "resnet14")
    some = single.assign(change=single.change.where(single.seed == 0))
    assert set(cut_out.replicated(some).n) == {1}
    none = cut_out.replicated(single.assign(change=np.nan))
    assert set(none.n) == {3} and none.change.isna().all()
    assert chapter.answer(none).verdict == "not judged" and chapter.answer(none[:0]).verdict == "not trained"


def points(*rows):
    """Rows of `replicated` at the threshold of the answer: trainable, depth, recipe, saved, change."""
    names = ["trainable", "depth", "recipe", "saved", "change"]
    frame = pd.DataFrame(rows, columns=names).assign(width=1, threshold=chapter.SMALL, n=1, off=9.0, removed=8.0)
    frame = frame.assign(network=[f"ResNet-{depth}" for depth in frame.depth], variant=frame.trainable, parameters=1000.0)
    return frame.assign(low=frame.change, high=frame.change, parameters_saved=200.0)


@pytest.mark.parametrize(
    "rows, verdict, of, says",
    [
        ([("bn", 14, "paper", 40.0, 0.1), ("bn", 32, "paper", 30.0, -0.4)], "yes", "", "30.0 % of those of ResNet‑32"),
        ([("bn", 14, "paper", 40.0, 0.1), ("bn", 32, "paper", 9.0, 0.0)], "yes", "in 1 of 2 networks", "costs no accuracy"),
        ([("bn", 14, "paper", 40.0, -0.6)], "no", "", "costs at most 0.6 points of accuracy"),
        ([("bn", 14, "paper", 40.0, -0.6), ("bn", 14, "short", 40.0, 0.0)], "no", "", "After 160 epochs"),
        ([("bn", 14, "short", 40.0, 0.0), ("all", 14, "paper", 1.0, 0.0)], "yes", "", "After 16 epochs"),
        ([("all", 14, "paper", 40.0, 0.0)], "not trained", "", ""),
        ([("bn", 14, "smoke", 40.0, 0.0)], "not judged", "", ""),
    ],
)
def test_the_answer_follows_from_the_numbers(rows, verdict, of, says):
    said = chapter.answer(points(*rows))
    assert (said.verdict, said.of) == (verdict, of) and says in said.text.replace("\u00a0", " ")


def test_the_answer_holds_of_each_replicate_as_the_largest_threshold_does():
    found = points(("bn", 14, "paper", 40.0, -0.4)).assign(low=-1.6, n=3)
    said = chapter.answer(found)
    assert said.verdict == "no" and "costs at most 1.6 points" in said.text.replace("\u00a0", " ")


def test_what_else_is_said():
    runs = experiments.runs("beyond_pruning")
    single = cut_out.savings(runs)
    found = cut_out.replicated(single)
    text = chapter.further(found).text.replace("\u00a0", " ")
    own = found[(found.recipe == "paper") & (found.trainable == "bn") & found.change.notna()]
    safe = own[own.depth == own.depth.max()].sort_values("threshold")
    lost = safe[safe.low < -chapter.COST].threshold.min()
    largest = safe[safe.threshold < lost].iloc[-1]
    assert f" and {largest.threshold:.2g} in {largest.network.replace('-', chr(0x2011))} ({largest.saved:.1f} %)" in text
    assert all(name.replace("-", "\u2011") in text for name in own.network)
    assert "With everything trained, " in chapter.whole(single).text and "at 0.01" in chapter.whole(single).text
    short = single[(single.recipe == "short") & (single.trainable == "bn") & np.isclose(single.threshold, 0.01)]
    least, most = (f"{end:.1f} %" for end in short.groupby("network").products_saved_percent.mean().agg(["min", "max"]))
    sooner = chapter.sooner(single).text.replace("\u00a0", " ")
    assert f"After 16 epochs only {least} (" in sooner and f") to {most} (" in sooner, "of all replicates, asked or not"
    assert not chapter.sooner(single[:0]) and not chapter.sooner(single[single.recipe == "short"])
    assert not chapter.further(found[:0]) and not chapter.whole(single[:0]) and not chapter.speed(pd.DataFrame())
    timed = chapter.to_time(runs)
    assert all(store.load(name).spec.model != "resnet110" for name in timed) and (runs.depth == 110).any(), "it takes too long"
    assert RUN in timed and all(store.load(name).spec.trainable == "bn" for name in timed)


def test_the_tables_have_what_their_columns_say():
    row = {
        "network": "ResNet-14",
        "threshold": 0.01,
        "whole": 300.0,
        "pruned": 270.0,
        "ratio": 0.9,
        "low": 0.88,
        "high": 0.93,
        "turns": 9,
    }
    listed = chapter.timing_table(pd.DataFrame([row])).data.iloc[0]
    assert (listed["whole (ms)"], listed["pruned (ms)"], listed["of the time (%, quartiles)"]) == ("300", "270", "90 (88 to 93)")
    found = points(("bn", 14, "paper", 40.0, -0.4)).assign(parameters=175_258, parameters_saved=75_258, low=-0.5, high=-0.25, n=3)
    listed = chapter.savings_table(found).data.iloc[0]
    assert listed["kB"] == "701 → 400" and listed["accuracy (points)"] == "−0.40 (−0.50 to −0.25)"


def test_the_time_is_said_at_best_and_at_worst():
    rows = [
        ("ResNet-14", 14, 0.001, 1.11),
        ("ResNet-14", 14, 0.01, 0.95),
        ("ResNet-56", 56, 0.01, 0.905),
        ("ResNet-56", 56, 0.1, 0.8),
    ]
    timed = pd.DataFrame(rows, columns=["network", "depth", "threshold", "ratio"]).assign(images=128, whole=300.0, machine="M")
    said = chapter.speed(timed.assign(pruned=timed.ratio * timed.whole)).text.replace("\u00a0", " ")
    assert "a batch of 128 pictures takes 272 ms instead of 300 ms, 90 % of the time" in said
    assert "80 % (|γ| up to 0.1 in ResNet\u201156) to 111 % (|γ| up to 0.001 in ResNet\u201114), that is, slower" in said
    assert "slower" not in chapter.speed(timed[1:].assign(pruned=1.0)).text


def test_the_figure_has_a_line_for_each_network_and_set():
    found = cut_out.replicated(cut_out.savings(experiments.runs("beyond_pruning")))
    asked = found[found.change.notna()]
    drawn = chapter.figure(found)
    for ax, (recipe, own) in zip(drawn.axes, asked.groupby("recipe"), strict=True):
        lines = [line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 2]
        assert len(lines) == own.groupby(["network", "trainable"], observed=True).ngroups, recipe
        depths = [f"{depth}" for _, depth in set(zip(own.trainable, own.depth, strict=True))]
        assert sorted(text.get_text() for text in ax.texts) == sorted(depths)
    assert "saved" in drawn.alt and chapter.figure(found[:0]).axes


def test_networks_are_timed_in_turns_on_one_thread(monkeypatch):
    threads, wide = torch.get_num_threads(), bnlib.build("wrn14-4")
    times = forward.turns([wide, bnlib.build("resnet14")], images=4, seconds=0, least=5)
    assert len(times) == 5 and np.median([turn[1] / turn[0] for turn in times]) < 0.6
    frame = bench.pruned([RUN], (0.01, 1e9), images=8, seconds=0)
    assert list(frame.threshold) == [0.01, 1e9] and (frame.whole > 0).all() and (frame.low <= frame.high).all()
    assert frame.ratio[1] < 0.95 and torch.get_num_threads() == threads and frame.machine.str.endswith("1 thread").all()
    assert f"{frame.whole[0]:.0f}\u00a0ms" in chapter.speed(frame).text and not len(bench.pruned([], ()))
    chapter.timing_table(frame).to_html()
