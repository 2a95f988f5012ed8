"""Verdicts by rule, on numbers made by hand; and the reference values themselves."""

import numpy as np
import pandas as pd
import pytest

from bnlib import experiments, store
from bnlib.report import analysis, figures, paper
from bnlib.report.analysis import verdicts as rules


def summary(*rows, n=3, sd=0.5):
    """Rows (depth, trainable, recipe, mean) as `summarise` gives them."""
    frame = pd.DataFrame(rows, columns=["depth", "trainable", "recipe", "mean"])
    frame = frame.assign(network="ResNet-" + frame.depth.astype(str), width=1, variant=frame.trainable, sd=sd, n=n, diverged=0)
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


def verdicts(*rows, **spread):
    return list(analysis.judge(summary(*rows, **spread), REFERENCE).verdict)


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
    assert verdicts((14, "bn", "short", 48.3)) == ["not judged"]


def test_recipes_are_not_compared_with_each_other_and_smoke_is_not_judged():
    points = analysis.judge(summary((14, "bn", "short", 90), (32, "bn", "paper", 57.6), (14, "bn", "smoke", 48.3)), REFERENCE)
    said = {"short": "not judged", "paper": "reproduced", "smoke": "not judged"}
    assert dict(zip(points.recipe, points.verdict, strict=True)) == said


def test_an_order_that_chance_may_have_made_decides_nothing():
    rows = (14, "bn", "short", 50), (32, "bn", "short", 51)
    assert verdicts(*rows, sd=0.3) == ["in trend", "in trend"]
    # The paper's 9.3 points would show if 95 % of what chance does, and the tolerance, left room for less.
    assert verdicts(*rows, sd=5.0) == ["too close", "too close"]
    assert verdicts(*rows, sd=1.5) == ["not reproduced", "not reproduced"]
    assert verdicts(*rows, n=1, sd=np.nan) == ["not judged", "not judged"]  # and nothing says how much single runs scatter


def test_what_the_paper_separates_clearly_and_ours_do_not_counts():
    points = analysis.judge(summary((14, "bn", "short", 50), (32, "bn", "short", 50.2), (14, "all", "short", 80)), REFERENCE)
    assert dict(zip(points.network + points.trainable, points.verdict, strict=True)) == {
        "ResNet-14bn": "in part",
        "ResNet-32bn": "not reproduced",
        "ResNet-14all": "in trend",
    }
    assert analysis.comparisons(points).says.tolist() == ["agrees", "missing"] and analysis.overall(points) == "in part"


def test_many_comparisons_are_corrected_for_their_number():
    from scipy import stats

    points = analysis.judge(summary((14, "all", "short", 80), (32, "bn", "short", 51), (14, "bn", "short", 50), sd=0.6), REFERENCE)
    pairs = analysis.comparisons(points)
    alone = [2 * stats.t.sf(gap / (0.6 * np.sqrt(2 / 3)), 4) for gap in pairs.ours]
    assert pairs.p.tolist() == pytest.approx(stats.false_discovery_control(alone)) and (pairs.p >= alone).all()


def test_single_runs_are_compared_by_the_spread_of_those_that_were_repeated():
    rows = summary((14, "bn", "short", 50), (32, "bn", "short", 56)).assign(n=[3, 1], sd=[1.0, np.nan])
    assert analysis.judge(rows, REFERENCE).verdict.tolist() == ["in trend", "in trend"]
    assert analysis.judge(rows.assign(sd=[4.0, np.nan]), REFERENCE).verdict.tolist() == ["too close", "too close"]


def test_points_of_another_set_and_another_network_are_not_compared():
    points = analysis.judge(summary((14, "all", "short", 55), (32, "bn", "short", 60), (14, "bn", "short", 50)), REFERENCE)
    assert len(analysis.comparisons(points)) == 2 and set(points.verdict) == {"in trend"}


def test_a_point_that_diverged_judges_nothing():
    rows = summary((14, "bn", "short", 50), (32, "bn", "short", 10)).assign(diverged=[0, 3], n=[3, 0])
    assert analysis.judge(rows, REFERENCE).verdict.tolist() == ["not judged"]
    assert not len(analysis.differences(rows.assign(network="ResNet-14", depth=14, variant=["bn", "random:2"]), "bn", "random:2"))


def replicates(*accuracies, lost=(), depth=14, trainable="bn", recipe="short"):
    """Replicates of a point as `experiments.runs` gives them; lost: the seeds of those that diverged."""
    point = {"network": f"ResNet-{depth}", "depth": depth, "width": 1, "variant": trainable, "trainable": trainable}
    frame = pd.DataFrame({"accuracy": accuracies, "seed": range(len(accuracies))}).assign(**point, recipe=recipe)
    return frame.assign(status=["diverged" if seed in lost else "finished" for seed in frame.seed])


def test_the_sound_replicates_of_a_point_are_put_together_and_the_others_counted():
    runs = [replicates(0.4, 0.1, 0.5, 0.6, lost=[1]), replicates(0.1, 0.12, lost=[0, 1], depth=32), replicates(0.55, depth=56)]
    found = analysis.summarise(pd.concat(runs))  # whose index is not unique
    assert found.depth.tolist() == [14, 32, 56] and found.n.tolist() == [3, 0, 1] and found.diverged.tolist() == [1, 2, 0]
    assert found["mean"].tolist() == pytest.approx([50, 11, 55]) and found.sd[0] == pytest.approx(10) and np.isnan(found.sd[1])
    assert found.each.tolist() == [pytest.approx((40, 50, 60)), (), pytest.approx((55,))]
    assert found.seeds.tolist() == [(0, 2, 3), (), (0,)]


def test_a_diverged_replicate_changes_no_verdict_and_is_told():
    runs = [replicates(0.48, 0.49, 0.485), replicates(0.57, 0.58, 0.575, depth=32), replicates(0.8, 0.81, 0.805, trainable="all")]
    sound = pd.concat(runs)
    more = pd.concat([*runs, replicates(0.4, 0.4, 0.4, 0.1, lost=[3]).tail(1)])
    one, other = (analysis.judge(analysis.summarise(frame), REFERENCE) for frame in (sound, more))
    assert one.verdict.tolist() == other.verdict.tolist() == ["in trend"] * 3 and one["mean"].tolist() == other["mean"].tolist()
    assert "3 (1 of 4 diverged)" in analysis.verdict_table(other).to_html()
    gap = analysis.differences(analysis.summarise(more), "all", "bn")
    assert gap.n.tolist() == ["3 and 3 (1 of 4 diverged)"] and gap.difference.tolist() == [pytest.approx(32)]
    assert analysis.differences(analysis.summarise(sound), "all", "bn").n.tolist() == ["3"]


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_what_diverged_is_marked_and_bends_no_line():
    runs = [replicates(0.48, 0.1, 0.49, 0.47, lost=[1]), replicates(0.1, 0.1, lost=[0, 1], depth=32), replicates(0.6, depth=56)]
    found = analysis.summarise(pd.concat(runs))
    figure = figures.fig2_depth(found, paper.accuracies().head(0))
    lines = [
        line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 1
    ]
    assert any(len(one) == 2 and one == [pytest.approx([14, 48]), pytest.approx([56, 60])] for one in lines)
    assert {"1 of 4 diverged", "both diverged"} <= set(texts(figure)) and "48 % at 14 layers to 60 % at 56" in figure.alt
    front = figures.front(analysis.on_front(found), paper.accuracies().head(0)).axes[0]
    assert [14, 56] in [list(line.get_xdata()) for line in front.lines]
    three = found.assign(parameters=[10, 20, 30])
    assert "both diverged" in texts(figures.fig3_depth_or_width(three, paper.with_parameters(paper.accuracies()).head(0)))
    named = found.assign(variant=["base", "low", "high"], network="ResNet-14")
    assert {"48.0 %, 1 of 4 diverged", "both diverged", "60.0 %"} <= set(texts(figures.variants(named, ["base", "low", "high"])))
    some = found.assign(trainable=["random:1", "random:2", "random:4"], network="ResNet-14", depth=14)
    assert {"1 of 4 diverged", "both diverged"} <= set(texts(figures.random_parameters(some)))


def test_a_curve_is_that_of_the_first_sound_replicate():
    epochs = pd.DataFrame({"epoch": [1, 2], "lr": 0.1, "test_accuracy": [0.3, 0.4], "train_accuracy": [0.3, 0.4]})
    own = epochs.assign(network="ResNet-110", depth=110, trainable="bn", variant="bn", recipe="short", status="finished", seed=1)
    gone = own.head(1).assign(seed=0, status="diverged", test_accuracy=0.1)
    both = figures.curves(pd.concat([gone, own]), paper.curve("ResNet-110").head(0))
    assert [30, 40] in [list(line.get_ydata()) for line in both.axes[0].lines] and "diverged" not in texts(both)
    assert "diverged" in texts(figures.curves(gone, paper.curve("ResNet-110").head(0)))


def test_coverage_says_what_diverged(monkeypatch):
    runs = experiments.runs("fig2_depth")
    gone = runs.assign(status=runs.status.where(runs.seed != 1, "diverged"))
    monkeypatch.setattr("bnlib.experiments.stored.runs", lambda _: gone)
    said = experiments.coverage("fig2_depth").loc["bn", "ResNet-14"]
    assert said == "160\u00a0epochs ×2, 160\u00a0epochs (diverged), 16\u00a0epochs ×2, 16\u00a0epochs (diverged)"


def test_what_the_reference_cannot_tell_apart_is_not_compared():
    points = analysis.judge(summary((32, "bn", "short", 60), (56, "bn", "short", 50)), REFERENCE)
    assert len(analysis.comparisons(points)) == 0


def test_a_figures_verdict_is_that_of_its_points_at_the_better_recipe():
    judge = lambda *rows: analysis.overall(analysis.judge(summary(*rows), REFERENCE))  # noqa: E731
    assert judge() == "not trained" and judge((14, "bn", "short", 48)) == "not judged"
    assert judge((14, "bn", "paper", 48), (14, "bn", "short", 10), (32, "bn", "short", 5)) == "reproduced"
    assert judge((14, "bn", "paper", 45.8), (32, "bn", "paper", 57)) == "in trend"
    assert judge((14, "bn", "short", 40), (32, "bn", "short", 50), (14, "all", "short", 80)) == "in trend"
    assert judge((14, "bn", "paper", 61), (32, "bn", "paper", 57)) == "in part"
    assert judge((14, "bn", "short", 60), (32, "bn", "short", 50)) == "not reproduced"
    verdicts = lambda *said: analysis.overall(pd.DataFrame({"recipe": "paper", "verdict": said}))  # noqa: E731
    assert verdicts("too close") == "too close" and verdicts("too close", "not reproduced") == "not reproduced"
    assert verdicts("too close", "in trend") == "in part" and verdicts("reproduced", "in trend") == "in trend"


def test_a_statement_about_an_order_needs_two_points_whose_order_is_decided():
    def judge(*rows):
        return analysis.overall(analysis.ordered(analysis.judge(summary(*rows), REFERENCE)))

    assert judge((14, "bn", "paper", 48)) == "not trained"
    assert judge((14, "bn", "paper", 48), (14, "bn", "short", 40), (32, "bn", "short", 50)) == "in trend"
    assert judge((14, "bn", "paper", 48), (32, "bn", "paper", 58)) == "reproduced"
    assert judge((14, "bn", "paper", 48), (14, "all", "paper", 90.5)) == "reproduced"
    assert judge((14, "bn", "paper", 60)) == "not trained", "a level that is not reproduced is no order"


def test_a_value_at_the_tolerance_is_within_it():
    of = lambda mean: analysis.judge(summary((14, "bn", "paper", mean)), REFERENCE).verdict.item()  # noqa: E731
    assert [of(mean) for mean in (48.3 + 2.4, 50.7, 45.9, 50.71, 45.89)] == ["reproduced"] * 3 + ["not reproduced"] * 2


def test_a_run_counts_once_however_many_rows_it_is_in():
    once = summary((14, "bn", "short", 20), (14, "all", "short", 10), n=2, sd=1.0)
    each = [once.assign(definition=share, mean=once["mean"] / k) for k, share in enumerate(("0.9", "0.99", "0.999"), start=1)]
    found = analysis.relu_differences(pd.concat(each, ignore_index=True))
    alone = analysis.differences(once, "bn", "all")
    assert found.half.tolist() == pytest.approx([alone.half.item()] * 3), "two degrees of freedom, not six"
    wide = analysis.relu_differences(pd.concat([each[0], each[1].assign(sd=5.0)], ignore_index=True))
    assert wide.half[1] == pytest.approx(5 * wide.half[0]), "definitions do not scatter alike"
    history = pd.DataFrame({"epoch": [85, 118, 157], "lr": [0.01, 0.01, 0.001], "test_accuracy": [0.6, 0.61, 0.64]})
    history = history.assign(network="ResNet-110", depth=110, trainable="bn", variant="bn", recipe="paper", status="finished")
    both = pd.concat(
        [history.assign(seed=0), history.assign(seed=1, test_accuracy=history.test_accuracy + 0.01)], ignore_index=True
    )
    points, _ = analysis.at_epochs(both, paper.curve("ResNet-110"))
    assert len(points) == 3 and analysis.replicates.spread(points) == (pytest.approx(np.std([0, 1], ddof=1)), 1)


def test_what_is_not_trained_says_nothing_of_how_training_scatters():
    none = summary((14, "none", "paper", 10), sd=0.0)
    assert np.isnan(analysis.replicates.spread(none)[0])
    alone = summary((14, "bn", "paper", 48), n=1, sd=np.nan)
    assert analysis.replicates.spread(pd.concat([none, summary((32, "bn", "paper", 58)), alone])) == (pytest.approx(0.5), 2)


def test_replicates_are_put_together():
    runs = pd.DataFrame(
        {"network": "ResNet-14", "depth": 14, "width": 1, "variant": "bn", "trainable": "bn", "recipe": "short"},
        index=range(3),
    ).assign(seed=[0, 1, 2], accuracy=[0.4, 0.5, 0.6], status="finished")
    row = analysis.summarise(runs).iloc[0]
    assert (row["mean"], row.sd, row.n, len(row.each)) == (pytest.approx(50), pytest.approx(10), 3, 3)
    assert np.isnan(analysis.summarise(runs[:1]).iloc[0].sd)


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
    assert len(specs) == len({s.id for s in specs}) == 58 and specs[0].model == "resnet14" and specs[0].trainable == "bn"


def test_a_point_takes_what_is_stored_and_paper_first(capsys):
    assert experiments.points("fig2_depth", "resnet14", "all", "short")[0].accuracy > 0.8
    assert "stored" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nearest: 428 and 434"):
        experiments.points("fig2_depth", "resnet433")
    with pytest.raises(ValueError, match="fig2_depth has no line for trainable 'beta'"):
        experiments.points("fig2_depth", "resnet14", "beta")
    assert experiments.points("fig2_depth", "resnet14", "beta+gamma", "short")[0].spec.trainable == "bn"


def test_a_run_that_changed_machines_names_them_in_order():
    runs = experiments.runs("fig1_affine", "paper")
    begun = next(run for run in map(store.load, runs.id) if "NVIDIA H200" in [one["device"] for one in run.info.get("earlier", ())])
    assert f"NVIDIA H200, then {begun.info['device']}" in analysis.provenance(runs[runs.id == begun.id]).to_html()


def test_two_replicates_say_less_of_their_spread_than_all_that_have_been_repeated():
    from scipy import stats

    tested, pooled = rules.tested, (1.0, 10)
    alike = stats.ttest_ind_from_stats(20.0, 0.5, 3, 17.0, 0.7, 4, equal_var=False).pvalue
    assert tested(3.0, (0.5, 3), (0.7, 4), pooled)[0] == pytest.approx(alike), "Welch's test"
    assert (
        tested(3.0, (0.01, 2), (0.01, 4), pooled)
        == tested(3.0, (9.0, 2), (9.0, 4), pooled)
        != tested(3.0, (9.0, 3), (9.0, 4), pooled)
    )
    assert np.isnan(tested(3.0, (0.5, 2), (0.5, 1), (np.nan, 0))).all()
