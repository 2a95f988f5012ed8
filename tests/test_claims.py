"""The claims, and what stands behind them: made of runs by rule, on numbers made by hand where there are none."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bnlib import experiments, store
from bnlib.report import analysis, claims, evidence, paper


def points(*rows):
    """Rows (network, depth, width, variant, recipe, mean) as `summarise` gives them."""
    frame = pd.DataFrame(rows, columns=["network", "depth", "width", "variant", "recipe", "mean"])
    return frame.assign(trainable=frame.variant, sd=0.3, n=3, diverged=0)


def test_a_difference_is_judged_by_its_sign_and_the_papers_range():
    summary = points(
        ("ResNet-14", 14, 1, "all", "paper", 91.0),
        ("ResNet-14", 14, 1, "all-bn", "paper", 90.0),
        ("ResNet-32", 32, 1, "all", "paper", 99.0),
        ("ResNet-32", 32, 1, "all-bn", "paper", 90.0),
        ("ResNet-56", 56, 1, "all", "paper", 86.9),
        ("ResNet-56", 56, 1, "all-bn", "paper", 90.0),
        ("ResNet-14", 14, 1, "all", "short", 82.1),
        ("ResNet-14", 14, 1, "all-bn", "short", 80.0),
        ("ResNet-110", 110, 1, "all", "short", 81.0),
        ("ResNet-218", 218, 1, "all", "paper", 91.9),
        ("ResNet-218", 218, 1, "all-bn", "paper", 90.0),
    )
    summary.loc[summary.network == "ResNet-218", "sd"] = 3.0
    found = analysis.judge_differences(analysis.differences(summary, "all", "all-bn"), 0.5, 2.0)
    assert found.difference.round(6).tolist() == [1.0, 9.0, -3.1, 2.1, 1.9]
    assert found.verdict.tolist() == ["reproduced", "in trend", "not reproduced", "in trend", "too close"]
    assert analysis.overall(found) == "in part" and analysis.overall(found[:2]) == "in trend"
    assert analysis.overall(found.iloc[[0, 4]]) == "in part"  # one that chance favoured does not speak for the others
    assert analysis.overall(found.iloc[[2, 4]]) == "not reproduced"


def test_overfitting_is_held_against_that_of_everything_trained():
    gaps = points(
        ("ResNet-14", 14, 1, "bn", "short", -1.0),
        ("ResNet-14", 14, 1, "all", "short", 2.5),
        ("ResNet-32", 32, 1, "bn", "short", -1.0),
        ("ResNet-32", 32, 1, "all", "short", 0.0),
        ("ResNet-56", 56, 1, "bn", "paper", 3.0),
        ("ResNet-56", 56, 1, "all", "paper", 9.0),
    )
    gaps.loc[gaps.network == "ResNet-32", "sd"] = 2.0
    assert analysis.judge_overfitting(gaps).verdict.tolist() == ["in trend", "too close", "not reproduced"]


def test_overfitting_on_the_images_as_they_are_is_of_those_that_were_asked(monkeypatch):
    runs = experiments.runs("fig4_gamma", "short", ["resnet14"])
    asked = runs.id[(runs.trainable == "bn") & (runs.seed == 1)].item()
    monkeypatch.setattr(
        store.Run, "probes", property(lambda run: {"train": {"accuracy": 0.5}} if run.id == asked else {"relu": {}})
    )
    found = analysis.overfitting_as_they_are(runs)
    assert found.n.tolist() == [1] and found["mean"].tolist() == [pytest.approx(100 * (0.5 - store.load(asked).accuracy))]


def test_depth_and_width_are_compared_at_equal_parameters_without_extrapolation():
    summary = points(
        ("ResNet-14", 14, 1, "bn", "short", 40.0),
        ("ResNet-32", 32, 1, "bn", "short", 60.0),
        ("WRN-14-2", 14, 2, "bn", "short", 45.0),
        ("WRN-14-4", 14, 4, "bn", "short", 50.0),
        ("ResNet-56", 56, 1, "bn", "short", 90.0),
    ).assign(parameters=[1000, 4000, 2000, 8000, 4001], n=[3, 4, 3, 1, 1], sd=[0.3, 0.6, 0.9, np.nan, np.nan])
    found = analysis.at_equal_parameters(summary)
    assert found.network.tolist() == ["WRN-14-2"] and found.more.tolist() == [pytest.approx(50)]  # halfway in the logarithm
    assert found.difference.tolist() == [pytest.approx(5)] and found.n.tolist() == ["3"]
    theirs = stats.ttest_ind_from_stats(50, 0.6, 3, 45, 0.9, 3, equal_var=False)  # of the neighbours the more uncertain
    assert found.p.tolist() == [pytest.approx(theirs.pvalue)]


def test_the_clamping_curve_is_read_off():
    curve = pd.DataFrame({"threshold": [0.0, 0.005, 0.01, 0.1, 1.0], "share": [0.0, 0.1, 0.2, 0.5, 1.0]})
    curve = curve.assign(accuracy=[0.5, 0.5, 0.495, 0.29, 0.1], accuracy_beta=[0.5, 0.4, 0.3, 0.2, 0.1])
    curve = curve.assign(accuracy_random=[0.5, np.nan, 0.3, np.nan, 0.1], n=2, beta_low=-0.3, beta_high=-0.1)
    found = analysis.clamping_answer(
        points(("ResNet-14", 14, 1, "bn", "short", 0)).drop(columns="n").merge(curve, how="cross")
    ).iloc[0]
    assert (found.share, found.change, found.change_beta, found.change_random) == pytest.approx((0.2, -0.5, -20, -20))
    assert (found.safe, found.safe_share, found.half, found.half_share) == (0.01, 0.2, 0.1, 0.5)
    assert "β at 0" in analysis.clamping_table(pd.DataFrame([found])).to_html()


def test_replicates_extremes_are_kept_with_the_mean_clamping_curve():
    runs = experiments.runs("fig6_clamping", "paper", ["resnet14"])
    curve = analysis.clamping(runs[runs.trainable == "bn"])
    at = curve[curve.threshold <= 0.01].iloc[-1]
    change = at.accuracy_beta - curve.accuracy.iloc[0]
    assert at.n == 3 and at.beta_low < change < at.beta_high and (curve.beta_low <= curve.beta_high).all()


def test_off_units_are_judged_by_every_definition_but_not_by_the_zeros():
    rows = [("0.9", "bn", 40), ("0.9", "all", 10), ("0.99", "bn", 5), ("0.99", "all", 9), ("zero", "bn", 60)]
    frame = pd.DataFrame(rows, columns=["definition", "trainable", "mean"]).assign(n=3, sd=0.5)
    found = analysis.relu_differences(frame.assign(network="ResNet-14", depth=14, width=1, recipe="short"))
    assert (
        found.n.tolist() == ["3", "3"]
        and found.definition.tolist() == ["> 90 %", "> 99 %"]
        and found.verdict.tolist() == ["in trend", "not reproduced"]
    )


def test_off_units_are_counted_behind_batchnorm_and_behind_additions_each_unit_once():
    layers = points(("ResNet-14", 14, 1, "bn", "short", 0)).merge(
        pd.DataFrame([(0, "BatchNorm", 300, 40.0), (1, "addition", 50, 5.0), (2, "BatchNorm", 100, 20.0)]).set_axis(
            ["layer", "after", "units", "off"], axis=1
        ),
        how="cross",
    )
    found = analysis.relu_after(layers.assign(definition="0.9"))
    assert found[["network", "definition", "BatchNorm", "addition"]].values.tolist() == [["ResNet-14", "0.9", 35, 5]]
    assert not len(analysis.relu_after(analysis.relu_layers(experiments.runs("fig7_relu").head(0))))


def test_a_block_has_one_relu_behind_batchnorm_and_one_behind_its_addition():
    layers = analysis.relu_layers(experiments.runs("fig7_relu", "short", ["resnet14"]))
    kinds = layers[(layers.trainable == "bn") & (layers.definition == "0.9")].sort_values("layer").after
    assert kinds.tolist() == ["BatchNorm"] + 6 * ["BatchNorm", "addition"]


def test_there_are_eleven_claims_each_with_a_page_that_exists():
    settled = claims.settle()
    assert len(claims.CLAIMS) == len(settled) == 11 and [one.number for one in settled] == list(range(1, 12))
    for one in settled:
        assert one.found.verdict in (*analysis.VERDICTS, "checked") and (one.found.verdict == "checked") == one.claim.software
        assert one.found.text or one.found.verdict == "not trained"
        assert all((store.ROOT / "notebooks" / f"{page}.ipynb").exists() for page in one.claim.pages)
    text = claims.listing(settled)
    assert len(re.findall(r"^\d+\. ", text, flags=re.M)) == 11 and text._repr_markdown_() == text
    assert "[Figure 7: ReLUs that are off](fig7_relu.ipynb)" in text and claims.short(settled).count("\n- ") == 10
    assert claims.listing(claims.settle([8])).startswith('8. **<span class="bn-badge')
    assert claims.count(settled).startswith("Of 10 claims about learning: ") and "about the software: checked" in claims.count(
        settled
    )
    with pytest.raises(ValueError, match="from 1 to 11"):
        claims.settle([12])


def test_of_a_curve_that_never_falls_neither_a_point_nor_half_is_lost():
    curve = pd.DataFrame({"threshold": [0.0, 0.01, 1.0], "share": [0.0, 0.2, 1.0], "accuracy": 0.1, "accuracy_beta": 0.1})
    place = points(("ResNet-14", 14, 1, "bn", "short", 0)).drop(columns="n")
    answer = analysis.clamping_answer(place.merge(curve.assign(accuracy_random=0.1, n=1, beta_low=0.0, beta_high=0.0), how="cross"))
    assert answer.safe.isna().all() and answer.half.isna().all()


def test_an_order_of_wide_and_deep_networks_is_not_settled_by_shallow_ones(monkeypatch):
    collapse = next(claim for claim in claims.CLAIMS if "fall towards chance" in claim.says)
    reference = paper.accuracies()
    reference = reference[reference.kind.isin(paper.PAPER)]
    deep = points(("ResNet-14", 14, 1, "shortcut+output", "paper", 49.0), ("ResNet-110", 110, 1, "shortcut+output", "paper", 19.0))
    wide = points(("WRN-14-2", 14, 2, "shortcut+output", "paper", 54.0))
    short = pd.concat([deep.assign(mean=[40.0, 12.0]), wide.assign(mean=49.0)]).assign(recipe="short")
    off = deep[:1].assign(
        mean=44.0
    )  # of another recipe, in which nothing deep or wide is known: its level says nothing of the order
    for rows, verdict in (
        (deep, "not judged"),
        (deep[:0], "not trained"),
        (pd.concat([deep, wide]), "in trend"),
        (pd.concat([short, off]), "in trend"),
        (pd.concat([short.iloc[::2], deep[1:]]), "not judged"),  # wide ones in one recipe, deep ones in the other
    ):
        judged = analysis.judge(rows, reference)
        monkeypatch.setattr(evidence, "accuracy_points", lambda *_, judged=judged, **__: judged)
        assert collapse.evidence().verdict == verdict
        if len(rows) == 4:
            assert collapse.evidence().text.replace("\u00a0", " ").replace("\u2011", "-") == (
                "After 16 epochs, shortcuts and the output layer alone reach 49.0 % in WRN-14-2, 40.0 % in ResNet-14 and 12.0 % in "
                "ResNet-110."
            )


def test_with_nothing_run_every_claim_says_so(monkeypatch):
    monkeypatch.setattr("bnlib.store.runs.all_runs", list)
    assert set(found.verdict for _, _, found in claims.settle()) == {"not trained"}


def test_no_number_of_ours_is_typed_into_a_claim():
    known = set(paper.values("abstract", "fig1", "fig4", "relu").value.round(2))
    percent = known | {round(100 * value, 2) for value in known}
    conventions = {0.0, 6.0, 1000.0, 866.0, 110.0, 200.0, 10.0, 5.0, 0.01, analysis.TOLERANCE}
    numbers = {float(n.replace(",", "")) for claim in claims.CLAIMS for n in re.findall(r"\d[\d,.]*\d|\d", claim.says)}
    assert numbers <= percent | conventions


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_a_run_is_shown_by_the_experiments_that_list_it(name):
    found = experiments.runs(name)
    recipes = experiments.experiment(name).recipes
    ids = {spec.id for recipe in recipes for spec in experiments.wanted(name, recipe, seeds=3)}
    assert ids & {run.id for run in store.all_runs()} <= set(found.id)
    assert all(experiments.experiment(name).takes(model) for model in found.model) and found.variant.notna().all()
