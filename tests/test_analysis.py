"""Verdicts by rule, on numbers made by hand; and the reference values themselves."""

import numpy as np
import pandas as pd
import pytest

from bnlib import experiments
from bnlib.report import analysis, figures, paper


def summary(*rows):
    """Rows (depth, trainable, recipe, mean) as `summarise` gives them."""
    frame = pd.DataFrame(rows, columns=["depth", "trainable", "recipe", "mean"])
    frame = frame.assign(network="ResNet-" + frame.depth.astype(str), width=1, variant=frame.trainable, sd=np.nan, n=1, diverged=0)
    return frame.assign(each=[(mean,) for mean in frame["mean"]], seeds=[(0,)] * len(frame))


REFERENCE = pd.DataFrame(
    [
        ("ResNet-14", "bn", 48.3, 0.4),
        ("ResNet-32", "bn", 57.6, 0.4),
        ("ResNet-14", "all", 90.5, np.nan),
        ("ResNet-56", "bn", 57.9, 0.4),
    ],
    columns=["network", "trainable", "value", "uncertainty"],
).assign(kind="digitised")


def verdicts(*rows):
    return list(analysis.judge(summary(*rows), REFERENCE).verdict)


def test_a_point_within_tolerance_at_paper_is_reproduced():
    assert verdicts((14, "bn", "paper", 48.3 - 2.39)) == ["reproduced"]
    assert verdicts((14, "all", "paper", 92.4)) == ["reproduced"]  # an uncertainty nobody gave counts as none


def test_outside_the_tolerance_the_order_decides():
    assert verdicts((14, "bn", "paper", 45.8)) == ["not reproduced"]  # nothing to compare it with
    assert verdicts((14, "bn", "paper", 45.8), (32, "bn", "paper", 57)) == ["in trend", "reproduced"]
    assert verdicts((14, "bn", "paper", 61.0), (32, "bn", "paper", 57)) == ["not reproduced", "reproduced"]


def test_short_is_at_most_in_trend():
    assert verdicts((14, "bn", "short", 48.3), (32, "bn", "short", 57.6)) == ["in trend", "in trend"]
    assert verdicts((14, "bn", "short", 60), (32, "bn", "short", 56)) == ["not reproduced", "not reproduced"]
    assert verdicts((14, "bn", "short", 48.3)) == ["not run"]


def test_recipes_are_not_compared_with_each_other_and_smoke_is_not_judged():
    points = analysis.judge(summary((14, "bn", "short", 90), (32, "bn", "paper", 57.6), (14, "bn", "smoke", 48.3)), REFERENCE)
    assert dict(zip(points.recipe, points.verdict, strict=True)) == {"short": "not run", "paper": "reproduced", "smoke": "not run"}


def test_an_order_that_chance_may_have_made_decides_nothing():
    assert verdicts((14, "bn", "short", 50), (32, "bn", "short", 52.9)) == ["too close", "too close"]
    assert verdicts((14, "bn", "short", 50), (32, "bn", "short", 47.1)) == ["too close", "too close"]
    many = summary((14, "bn", "short", 50), (32, "bn", "short", 51)).assign(n=3, sd=0.3)
    assert analysis.judge(many, REFERENCE).verdict.tolist() == ["in trend", "in trend"]  # 1 point, three times the error is 0.73
    assert analysis.judge(many.assign(sd=0.9), REFERENCE).verdict.tolist() == ["too close", "too close"]
    assert (
        analysis.compared(analysis.judge(many, REFERENCE))
        == "1 of 1 between two networks, none decided yet between two trainable sets"
    )
    close = analysis.compared(analysis.judge(many.assign(sd=0.9), REFERENCE))
    assert close.startswith("none decided yet (1 more: too close to decide) between two networks")


def test_points_of_another_set_and_another_network_are_not_compared():
    points = analysis.judge(summary((14, "all", "short", 55), (32, "bn", "short", 60), (14, "bn", "short", 50)), REFERENCE)
    assert dict(zip(points.network + points.trainable, points.verdict, strict=True)) == {
        "ResNet-14all": "in trend",
        "ResNet-32bn": "in trend",
        "ResNet-14bn": "in trend",
    }


def test_a_run_that_diverged_judges_nothing():
    rows = summary((14, "bn", "short", 50), (32, "bn", "short", 10)).assign(diverged=[0, 1])
    assert analysis.judge(rows, REFERENCE).verdict.tolist() == ["not run"]
    assert not len(analysis.differences(rows.assign(network="ResNet-14", depth=14, variant=["bn", "random:2"]), "bn", "random:2"))
    runs = rows.assign(accuracy=rows["mean"] / 100, status=["finished", "diverged"], seed=0)
    assert analysis.summarise(runs).diverged.tolist() == [0, 1]
    assert "not known" in analysis.noise(rows.assign(n=3, sd=19.0, diverged=1))


def test_what_the_reference_cannot_tell_apart_is_not_compared():
    points = analysis.judge(summary((32, "bn", "short", 60), (56, "bn", "short", 50)), REFERENCE)
    assert len(analysis.comparisons(points)) == 0


def test_a_figures_verdict_is_its_least_point_at_the_better_recipe():
    judge = lambda *rows: analysis.overall(analysis.judge(summary(*rows), REFERENCE))  # noqa: E731
    assert judge() == "not run"
    assert judge((14, "bn", "paper", 48), (14, "bn", "short", 10), (32, "bn", "short", 5)) == "reproduced"
    assert judge((14, "bn", "paper", 45.8), (32, "bn", "paper", 57)) == "in trend"
    assert judge((14, "bn", "short", 40), (32, "bn", "short", 50), (14, "all", "short", 80)) == "in trend"


def test_a_statement_about_an_order_needs_two_points_whose_order_is_decided():
    def judge(*rows, trainable=None):
        return analysis.overall(analysis.ordered(analysis.judge(summary(*rows), REFERENCE), trainable))

    assert judge((14, "bn", "paper", 48)) == "not run"
    assert (
        judge((14, "bn", "paper", 40), (32, "bn", "paper", 41), (14, "bn", "short", 40), (32, "bn", "short", 50))
        == "not reproduced"
    )
    assert judge((14, "bn", "paper", 48), (14, "bn", "short", 40), (32, "bn", "short", 50)) == "in trend"
    assert judge((14, "bn", "paper", 48), (32, "bn", "paper", 58)) == "reproduced"
    assert judge((14, "bn", "paper", 48), (14, "all", "paper", 90.5)) == "reproduced"
    assert judge((14, "bn", "paper", 48), (14, "all", "paper", 90.5), trainable="bn") == "not run"


def test_the_margin_of_single_runs_is_what_the_replicates_here_say():
    points = analysis.summarise(experiments.runs("fig2_depth", "short"))
    spreads = points[(points.trainable == "bn") & points.network.isin(["ResNet-14", "ResNet-32"]) & (points.n == 3)].sd
    assert len(spreads) == 2 and 2 * np.sqrt(2 * (spreads**2).mean()) == pytest.approx(3.0, abs=0.1)


def test_replicates_are_put_together():
    runs = pd.DataFrame(
        {"network": "ResNet-14", "depth": 14, "width": 1, "variant": "bn", "trainable": "bn", "recipe": "short"},
        index=range(3),
    ).assign(seed=[0, 1, 2], accuracy=[0.4, 0.5, 0.6], status="finished")
    row = analysis.summarise(runs).iloc[0]
    assert (row["mean"], row.sd, row.n, len(row.each)) == (pytest.approx(50), pytest.approx(10), 3, 3)
    assert np.isnan(analysis.summarise(runs[:1]).iloc[0].sd)
    assert analysis.replicates(analysis.summarise(runs)) == "n = 3"


def test_networks_and_recipes_are_said_in_order():
    rows = summary((32, "bn", "short", 50), (14, "bn", "paper", 48.26), (14, "bn", "short", 44), (14, "all", "short", 80))
    rows = rows.assign(n=[1, 1, 3, 1], sd=[np.nan, np.nan, 1.2, np.nan])
    words = lambda text: text.replace("\u00a0", " ")  # noqa: E731
    assert words(analysis.by_network(rows, "short")) == "ResNet-14 44.0 ± 1.2 % (n = 3), ResNet-32 50.0 % (n = 1)"
    assert analysis.by_network(rows, "paper", "all") == "not run"
    assert words(analysis.by_recipe(rows)) == "ResNet-14: 44.0 ± 1.2 % after 16 epochs (n = 3), 48.3 % after 160 epochs (n = 1)"
    assert (
        analysis.span(rows.assign(**{"mean": rows["mean"] - 45})) == "-1.0 to +5.0 points"
        and analysis.span(rows, "beta") == "not run"
    )
    assert analysis.span(rows[:1]) == "+50.0 points" and analysis.by_network(rows.assign(diverged=1), "short") == "not run"
    assert analysis.by_recipe(rows[:1]) == "not run with several recipes"


def test_what_more_training_is_worth_is_told_by_the_same_seeds():
    rows = summary((14, "bn", "short", 44), (14, "bn", "paper", 48)).assign(n=[3, 2], sd=1.0)
    rows = rows.assign(each=[(43.0, 44.0, 45.0), (47.0, 49.0)], seeds=[(0, 1, 2), (2, 0)])
    assert analysis.by_recipe(rows).replace("\u00a0", " ").endswith("; the same seeds gain +4.0 ± 2.8 points")


def test_what_a_learning_rate_comes_to_is_the_mean_of_its_last_half():
    history = pd.DataFrame({"epoch": range(1, 7), "lr": [0.1] * 4 + [0.01] * 2, "test_accuracy": [0.1, 0.2, 0.3, 0.5, 0.6, 0.7]})
    history = history.assign(network="ResNet-14", depth=14, trainable="bn", recipe="short", seed=0)
    other = history.assign(seed=1, test_accuracy=history.test_accuracy + 0.02)
    found = analysis.plateaus(pd.concat([history, other], ignore_index=True))
    assert found[["lr 0.1", "lr 0.01"]].values.tolist() == [[pytest.approx(41), pytest.approx(71)]]
    assert not len(analysis.plateaus(analysis.histories(experiments.runs("curve_resnet110").head(0))))


def test_the_papers_curve_is_shown_where_the_training_is_the_papers():
    run = analysis.histories(experiments.runs("curve_resnet110", "short", ["resnet110"]))
    reference = paper.curve("ResNet-110")
    panels = figures.curves(run, reference).axes
    places = [{line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"} for ax in panels]
    assert places[0] == set(reference.epoch) and places[1] == {1, 5}  # `short` drops its learning rate after epoch 8
    said = analysis.while_alike(run[run.trainable == "bn"], reference[reference.trainable == "bn"])
    assert said.count("against") == 2 and said.endswith("after epoch 5 (n = 1)")
    assert analysis.while_alike(run[:0], reference) == "not run" and "not known" in analysis.while_alike(run, reference[:0])
    assert [line.get_xdata()[0] for line in panels[0].lines if line.get_color() == "#BBBBBB"] == [80.5, 120.5]


def test_reference_values_all_have_a_source():
    values = paper.values()
    assert len(values) == 205 and values.source.str.len().gt(10).all() and set(values.kind) <= set(paper.KINDS)
    assert values[values.kind.isin(paper.PAPER)].uncertainty.notna().all()
    with pytest.raises(ValueError, match="values are known for"):
        paper.values("fig22")


def test_the_figure_shows_recipes_apart_and_a_band_from_three_replicates():
    reference = paper.values("fig2", "abstract", metric="test_accuracy_percent")
    two = summary((14, "bn", "short", 44), (32, "bn", "short", 50), (14, "bn", "paper", 48)).assign(
        n=[1, 1, 3], sd=[np.nan, np.nan, 1.0], each=[(44,), (50,), (47, 48, 49)]
    )
    panels = figures.fig2_depth(two, reference).axes
    assert [ax.get_title("left") for ax in panels] == ["ours, 160 epochs", "ours, 16 epochs"]
    spreads = [[c for c in ax.collections if c.get_alpha() in (0.2, 0.4) and c.get_paths()] for ax in panels]
    assert len(spreads[0]) > len(spreads[1]) == 0
    assert len(figures.fig2_depth(summary(), reference).axes) == 1


def test_an_experiment_lists_each_run_once_in_order_of_value():
    specs = experiments.wanted("fig2_depth")
    assert len(specs) == len({s.id for s in specs}) == 56 and specs[0].model == "resnet14" and specs[0].trainable == "bn"


def test_a_point_takes_what_is_stored_and_paper_first(capsys):
    assert experiments.points("fig2_depth", "resnet14", "all", "short")[0].accuracy > 0.8
    assert "stored" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nearest: 428 and 434"):
        experiments.points("fig2_depth", "resnet433")
    with pytest.raises(ValueError, match="fig2_depth has no line for trainable 'beta'"):
        experiments.points("fig2_depth", "resnet14", "beta")
    assert experiments.points("fig2_depth", "resnet14", "beta+gamma", "short")[0].spec.trainable == "bn"
