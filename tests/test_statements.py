"""Statements, each branch of each of them, on tables made by hand."""
# ruff: noqa: E501  a sentence is a sentence

import numpy as np
import pandas as pd
import pytest

from bnlib import experiments
from bnlib.report import analysis, paper
from bnlib.report import statements as say
from bnlib.report.analysis.verdicts import fullest
from bnlib.report.statements.course import growth

NB, HYPHEN = "\u00a0", "\u2011"


def plain(statement) -> str:
    """The text with plain spaces and hyphens."""
    return getattr(statement, "text", statement).replace(NB, " ").replace(HYPHEN, "-")


def points(*rows, n=3, sd=1.0, recipe="paper", trainable="bn"):
    """Rows (depth, mean), or (depth, mean, trainable), as `analysis.summarise` gives them."""
    rows = [(*row, trainable)[:3] if len(row) < 3 else row for row in rows]
    frame = pd.DataFrame(rows, columns=["depth", "mean", "trainable"])
    frame = frame.assign(network=[f"ResNet-{d}" for d in frame.depth], width=1, variant=frame.trainable, recipe=recipe, diverged=0)
    return frame.assign(
        n=n, sd=sd if n > 1 else np.nan, seeds=[tuple(range(n))] * len(frame), each=[(m,) * n for m in frame["mean"]]
    )


def judged(summary, values, uncertainty=0.4):
    """`summary` held against the values of the paper, by depth and set."""
    rows = [(f"ResNet-{depth}", trainable, value) for (depth, trainable), value in values.items()]
    reference = pd.DataFrame(rows, columns=["network", "trainable", "value"]).assign(uncertainty=uncertainty, kind="digitised")
    return analysis.judge(summary, reference)


@pytest.mark.parametrize(
    "means, says",
    [
        ([], ""),
        ([50], "is 50.0 % at 14 layers"),
        ([50, 60, 70], "rises from 50.0 % at 14 layers to 70.0 % at 56 layers"),
        (
            [50, 60, 60.5, 61],
            "rises from 50.0 % at 14 layers to 60.0 % at 32 layers; from there to 110 layers no two differ by more",
        ),
        (
            [50, 60, 60.5],
            "rises from 50.0 % at 14 layers to 60.0 % at 32 layers; whether the 60.5 % at 56 layers is more than that cannot be told",
        ),
        ([50, 51, 50.5], "stays between 50.0 % and 51.0 % from 14 to 56 layers, no two further apart than by chance"),
        ([50, 50.5, 51], "rises with depth, from 50.0 % at 14 layers to 51.0 % at 56 layers, which may be chance"),
        ([51, 50.5, 50], "falls with depth, from 51.0 % at 14 layers to 50.0 % at 56 layers, which may be chance"),
        ([50, 50.5], "is 50.0 % at 14 layers and 50.5 % at 32 layers, no further apart than by chance"),
        ([70, 60, 50], "falls from 70.0 % at 14 layers to 50.0 % at 56 layers"),
        ([50, 70, 60], "rises from 50.0 % at 14 layers to 70.0 % at 32 layers and falls to 60.0 % at 56 layers"),
        ([60, 50, 60], "falls from 60.0 % at 14 layers to 50.0 % at 32 layers and rises to 60.0 % at 56 layers"),
        (
            [50, 70, 60, 80],
            "rises from 50.0 % at 14 layers to 70.0 % at 32 layers, falls to 60.0 % at 56 layers and rises to 80.0 %",
        ),
        ([70, 60, 60.5, 60.2], "falls from 70.0 % at 14 layers to 60.0 % at 32 layers; from there to 110 layers no two differ"),
    ],
)
def test_growth_says_what_the_means_do(means, says):
    assert plain(growth(points(*zip((14, 32, 56, 110), means, strict=False)))).startswith(says)


def test_growth_up_and_not_surely_down_cannot_be_told():
    said = plain(growth(points((14, 50), (32, 57), (56, 53.5), sd=1.6)))
    assert said == "rises from 50.0 % at 14 layers to 57.0 % at 32 layers, and further on it cannot be told"


def test_growth_of_single_runs_cannot_be_told_unless_others_say_how_much_they_scatter():
    single = points((14, 50), (32, 60), n=1)
    assert plain(growth(single)).endswith("one run each: whether that is chance cannot be told")
    assert plain(growth(single, spreads=points((14, 50)))) == "rises from 50.0 % at 14 layers to 60.0 % at 32 layers"


def test_depth_stands_beside_the_paper_where_it_was_trained_as_long():
    summary = points((14, 48), (32, 58))
    near = say.depth(judged(summary, {(14, "bn"): 48.3, (32, "bn"): 57.6}), summary)
    assert (
        plain(near).endswith("to 58.0 % at 32 layers; the paper's values are within 0.4 points.") and near.verdict == "reproduced"
    )
    assert near.of == "at 2 of 7 depths"
    far = say.depth(judged(summary, {(14, "bn"): 48.3, (32, "bn"): 68}), summary)
    assert (
        "in ResNet-32 that is 10.0 points below the paper's 68.0 %; one of two are within" in plain(far)
        and far.verdict == "in trend"
    )
    one = points((14, 48))
    assert plain(say.depth(judged(one, {(14, "bn"): 48.3}), one)).startswith(
        "γ and β alone reach 48.0 % at 14 layers after 160 epochs"
    )
    short = points((14, 44), (32, 51), recipe="short")
    assert "paper" not in plain(say.depth(judged(short, {(14, "bn"): 48.3, (32, "bn"): 57.6}), short))
    nothing = say.depth(judged(short.head(0), {(14, "bn"): 48.3}), short.head(0))
    assert not nothing and nothing.verdict == "not trained"
    alone = say.depth(judged(one := points((14, 44), recipe="short"), {(14, "bn"): 48.3}), one)
    assert plain(alone) == "γ and β alone reach 44.0 % at 14 layers after 16 epochs." and alone.verdict == "not judged"


def test_what_the_paper_gains_and_ours_do_not_is_said():
    flat = judged(points((14, 44), (110, 58), (434, 58.5), recipe="short"), {(14, "bn"): 48, (110, "bn"): 69, (434, "bn"): 80})
    said = plain(say.beside_paper(flat))
    assert (
        said
        == "From ResNet-110 to ResNet-434 the paper, after 160 epochs, gains 11.0 points; after 16 epochs ours differ by 0.5 points, "
        "no more than chance."
    )
    assert set(flat.verdict) == {"in trend", "in part"} and analysis.overall(flat) == "in part"
    turned = judged(points((110, 58), (434, 50), recipe="short"), {(110, "bn"): 69, (434, "bn"): 80})
    assert "ours are the other way round by 8.0 points" in plain(say.beside_paper(turned))
    assert not say.beside_paper(judged(points((14, 44), (110, 58), recipe="short"), {(14, "bn"): 48, (110, "bn"): 69}))


def test_orders_are_counted():
    values = {(14, "bn"): 48, (110, "bn"): 69, (434, "bn"): 80}
    flat = judged(points((14, 44), (110, 58), (434, 58.5), recipe="short"), values)
    assert (
        plain(say.compared(flat))
        == "Of the orders that the paper's values put clearly, 2 of 3 come out here as in the paper after 16 epochs. "
        "Not so: ResNet-434 above ResNet-110 with γ and β."
    )
    close = judged(points((14, 57), (110, 58), recipe="short", n=2, sd=3.0), {(14, "bn"): 66, (110, "bn"): 69})
    assert plain(say.compared(close)).endswith("none is decided here yet after 16 epochs; 1 more cannot be told from chance.")
    assert not say.compared(flat.head(0))


@pytest.mark.parametrize(
    ("n", "says"),
    [
        ([3, 4], ""),
        ([2], ""),
        ([1, 1], " (n = 1)"),
        ([3, 1], " (n = 1 to 3)"),
        (["3 and 1", "3"], " (n = 1 to 3)"),
        (["1 (2 of 3 diverged)"], " (n = 1)"),
        ([], ""),
    ],
)
def test_what_rests_on_a_single_run_says_so(n, says):
    assert say.grammar.few(pd.DataFrame({"n": n})).replace("\u00a0", " ") == says


def test_three_sets_are_compared_in_one_network():
    summary = points((14, 85, "all"), (14, 44, "bn"), (14, 28, "random:2"), (32, 51, "bn"), (32, 86, "all"))
    said = (
        "In ResNet-14 after 160 epochs, training everything gives 85.0 %, γ and β 44.0 % and two random weights a channel 28.0 %."
    )
    assert plain(say.sets(summary)) == said
    assert not say.sets(summary[summary.trainable == "bn"]) and not say.sets(summary.head(0))
    few = "In ResNet-14 after 160 epochs, training γ and β gives 44.0 % and two random weights a channel 28.0 %."
    assert plain(say.sets(summary[summary.trainable != "all"])) == few


def gaps(*differences, p=0.001, recipe="paper"):
    """Rows of `analysis.differences`."""
    p = p if isinstance(p, tuple) else (p,) * len(differences)
    rows = [(f"ResNet-{d}", d, gap, one) for (d, gap), one in zip(zip((14, 32, 56), differences, strict=False), p, strict=True)]
    frame = pd.DataFrame(rows, columns=["network", "depth", "difference", "p"])
    return frame.assign(width=1, recipe=recipe, more=50 + frame.difference, less=50.0, half=1.0, n="3")


@pytest.mark.parametrize(
    "rows, says",
    [
        (gaps(5.0, 5.04), "One reaches 5.0 points more than other in two networks, after 160 epochs."),
        (gaps(5.0), "One reaches 5.0 points more than other in ResNet-14, after 160 epochs."),
        (gaps(5.0, 9.0), "One reaches 5.0 to 9.0 points more than other in two networks, after 160 epochs."),
        (gaps(-5.0), "One reaches 5.0 points less than other in ResNet-14, after 160 epochs."),
        (
            gaps(-5.0, 9.0),
            "One reaches 9.0 points more than other in ResNet-32, and 5.0 points less in ResNet-14, after 160 epochs.",
        ),
        (
            gaps(5.0, 9.0, p=(0.001, 0.5)),
            "One reaches 5.0 points more than other in ResNet-14, after 160 epochs; in ResNet-32 it cannot",
        ),
        (gaps(0.5, p=0.5), "One reaches 0.5 points more than other in ResNet-14, after 160 epochs, which may be chance."),
        (gaps(-0.5, p=np.nan), "One reaches 0.5 points less than other in ResNet-14, after 160 epochs, one run each."),
        (
            gaps(-0.5, 0.7, p=0.5),
            "One reaches 0.5 points less than other in ResNet-14 and 0.7 points more in ResNet-32, after 160 epochs, which may be chance.",
        ),
        (
            pd.concat([gaps(0.5, p=0.5), gaps(2.5, recipe="short")]),
            "One reaches 0.5 points more than other in ResNet-14, after 160 epochs, which may be chance. One reaches 2.5 points more than other in ResNet-14, after 16 epochs.",
        ),
        (gaps(5.0, recipe="short"), "One reaches 5.0 points more than other in ResNet-14, after 16 epochs."),
        (gaps(), ""),
    ],
)
def test_a_gain_is_said_with_its_sign_and_how_sure_it_is(rows, says):
    assert plain(say.gain(rows, "one", "other")).startswith(says)


def test_a_gain_that_the_paper_speaks_of_has_a_verdict():
    assert say.gain(analysis.judge_differences(gaps(1.0), 0.5, 2.0), "one", "other").verdict == "reproduced"
    assert say.gain(analysis.judge_differences(gaps(9.0), 0.5, 2.0), "one", "other").verdict == "in trend"
    assert say.gain(analysis.judge_differences(gaps(-5.0)), "one", "other").verdict == "not reproduced"
    assert say.gain(analysis.judge_differences(gaps(1.0, p=np.nan)), "one", "other").verdict == "not judged"
    assert say.gain(analysis.judge_differences(gaps(5.0, 1.0, p=(0.01, 0.5))), "one", "other").verdict == "in part"
    assert say.gain(analysis.judge_differences(gaps()), "one", "other").verdict == "not trained"


def test_longer_training_is_compared_where_both_were_done():
    both = pd.concat([points((14, 48), (32, 58)), points((14, 44), recipe="short")])
    assert plain(say.longer(both)) == "160 epochs instead of 16 change accuracy by points: +4.0 in ResNet-14."
    assert not say.longer(points((14, 48)))


def variant(*rows, n=1, sd=np.nan):
    """Rows (variant, mean) of one network."""
    frame = points(*[(14, mean) for _, mean in rows], n=1)
    return frame.assign(variant=[name for name, _ in rows], n=n, sd=sd)


def test_variants_are_held_against_the_base_by_what_replicates_scatter():
    many = variant(("base", 50.0), n=3, sd=1.0)
    found = say.variants(pd.concat([many, variant(("up", 60.0), ("down", 40.0), ("same", 50.5))]), "base", "other ways")
    assert plain(found) == (
        "Up gains 10.0 points and down loses 10.0 points against base in ResNet-14 after 160 epochs (n = 1 to 3); one of the three "
        "tried cannot be told from it."
    )
    same = say.variants(pd.concat([many, variant(("up", 50.5), ("down", 49.0))]), "base", "other ways")
    assert plain(same).startswith(
        "None of the two other ways tried differs from base by more than chance in ResNet-14 after 160 epochs"
    )
    assert plain(same).endswith("the largest difference is 1.0 point (down).")
    one = say.variants(pd.concat([many, variant(("up", 50.5))]), "base", "other ways")
    assert plain(one) == "Up changes accuracy by 0.5 points in ResNet-14 after 160 epochs (n = 1 to 3), no more than chance."
    single = say.variants(variant(("base", 50.0), ("up", 60.0)), "base", "other ways")
    assert plain(single).endswith("(up), one run each: no order can be told.")
    assert not say.variants(many, "base", "other ways")


def test_gamma_and_beta_alone_are_held_against_both():
    rows = points((14, 44, "bn"), (14, 30, "beta"), n=3)
    assert (
        plain(say.halves(rows))
        == "β alone reaches 30.0 %, both together 44.0 %, in ResNet-14 after 160 epochs; γ alone has not been trained."
    )
    close = points((14, 44, "bn"), (14, 43.8, "gamma"), (14, 45, "beta"), n=3)
    assert plain(say.halves(close)) == (
        "γ alone reaches 43.8 % and β alone 45.0 %, both together 44.0 %, in ResNet-14 after 160 epochs; that γ alone does "
        "worse than γ and β together, γ and β together do worse than β alone and γ alone does worse than β alone may be chance."
    )
    assert not say.halves(points((14, 44, "bn"))) and not say.halves(points((14, 30, "beta"), (14, 40, "gamma")))


def test_what_is_reached_is_above_chance_or_not():
    assert (
        plain(say.reach(points((11, 40))))
        == "With γ and β alone accuracy is 40.0 % in ResNet-11 after 160 epochs, well above chance."
    )
    assert "11.0 % in ResNet-19 to 40.0 % in ResNet-11" in plain(say.reach(points((11, 40), (19, 11))))
    assert plain(say.reach(points((11, 11)))).endswith("hardly above chance.") and not say.reach(points())


def test_what_diverged_is_said_beside_what_did_not():
    own = points((14, 48), (32, 58)).assign(diverged=[1, 0])
    values = {(14, "bn"): 48.3, (32, "bn"): 57.6}
    said = plain(say.depth(judged(own, values), own))
    assert said.startswith("After 160 epochs, with γ and β alone, accuracy rises from 48.0 % at 14 layers to 58.0 % at 32 layers;")
    assert said.endswith("within 0.4 points; 1 of 4 replicates at 14 layers diverged.")
    assert plain(say.replicates(own)) == "n = 3; 1 of 4 replicates of ResNet-14 (γ and β, 160 epochs) diverged"
    half = own.assign(n=[0, 3], diverged=[2, 0])
    assert plain(say.depth(judged(half, values), half)).endswith("; both replicates at 14 layers diverged.")
    assert plain(say.replicates(half)) == "n = 3; both replicates of ResNet-14 (γ and β, 160 epochs) diverged"
    many = points(*[(depth, 50) for depth in (8, 14, 20, 26)]).assign(diverged=1)
    assert plain(say.replicates(many)) == "n = 3; 4 of 16 replicates of 4 points diverged"


def test_where_all_diverged_it_is_not_said_that_nothing_was_trained():
    gone = points((14, 10)).assign(n=0, diverged=1)
    only = "The only replicate of ResNet-14 (γ and β, 160 epochs) diverged."
    rows = analysis.judge_differences(analysis.differences(gone, "bn", "random:2"))
    for found in (say.depth(judged(gone, {(14, "bn"): 48.3}), gone), say.reach(gone), say.halves(gone), say.variants(gone, "bn", "others"),
                  say.gain(rows, "one", "other", summary=gone), say.depth_or_width(rows, gone)):  # fmt: skip
        assert plain(found) == only and found.verdict == "not judged"
    assert say.gain(rows, "one", "other").verdict == say.gain(rows, "one", "other", summary=gone.head(0)).verdict == "not trained"
    assert plain(say.replicates(gone)) == only[0].lower() + only[1:-1]


def test_variants_and_halves_say_which_diverged():
    many = variant(("base", 50.0), n=3, sd=1.0)
    some = variant(("up", 60.0), ("wild", 10.0)).assign(n=[1, 0], diverged=[0, 3])
    found = plain(say.variants(pd.concat([many, some]), "base", "other ways"))
    assert found.startswith("Up gains 10.0 points") and found.endswith("; all 3 replicates of “wild” diverged.")
    lost = say.variants(pd.concat([many.assign(n=0, diverged=3), variant(("up", 60.0), ("down", 50.0))]), "base", "other ways")
    assert plain(lost) == "All 3 replicates of ResNet-14 (base, 160 epochs) diverged." and lost.verdict == "not judged"
    rows = points((14, 44, "bn"), (14, 30, "beta"), (14, 10, "gamma")).assign(n=[3, 3, 0], diverged=[0, 1, 1])
    assert plain(say.halves(rows)) == (
        "β alone reaches 30.0 %, both together 44.0 %, in ResNet-14 after 160 epochs; 1 of 4 replicates with β alone and the only replicate "
        "with γ alone diverged."
    )
    vgg = points((11, 40), (19, 11)).assign(diverged=[2, 0])
    assert plain(say.reach(vgg)).endswith("hardly above chance in ResNet-19; 2 of 5 replicates of ResNet-11 diverged.")
    assert plain(say.reach(points((11, 15), (19, 11)))).endswith("after 160 epochs, hardly above chance.")


def test_counts_are_checked_and_not_judged():
    rows = pd.DataFrame({"equal": [4, 4, None], "bn share": [0.005, 0.0064, 0.1]})
    assert (
        plain(say.counts(rows))
        == "γ and β are 0.5 % to 0.64 % of a network's parameters; all 8 counts are those that the paper prints, rounded."
    )
    assert say.counts(rows).verdict == "checked" and say.counts(rows.assign(equal=[4, 3, None])).verdict == "failed"


def history(recipe="paper", rates=(0.1, 0.01), name="ResNet-110"):
    rows = [(i + 1, lr, 0.5 + 0.1 * i) for i, lr in enumerate(rates)]
    frame = pd.DataFrame(rows, columns=["epoch", "lr", "test_accuracy"])
    return frame.assign(recipe=recipe, trainable="bn", network=name, seed=0, status="finished")


def test_a_curve_is_said_at_its_drops():
    reference = pd.DataFrame({"trainable": ["bn"], "epoch": [157], "value": [69.6]})
    said = plain(say.curve(pd.DataFrame(), history(), reference, "ResNet-110"))
    assert said == (
        "With γ and β alone ResNet-110 is at 50.0 % before the learning rate first drops and at 60.0 % at the end, after 160 epochs; "
        "the paper has 69.6 %."
    )
    assert "the paper" not in plain(say.curve(pd.DataFrame(), history("short"), reference, "ResNet-110"))
    assert plain(say.curve(pd.DataFrame(), history(rates=(0.1,)), reference[:0], "ResNet-110")).endswith(
        "first drops, after 160 epochs."
    )
    gone = history(rates=(0.1,)).assign(status="diverged", seed=1)
    assert plain(say.curve(pd.DataFrame(), pd.concat([gone, history()]), reference, "ResNet-110")) == said
    lost = say.curve(pd.DataFrame(), gone, reference, "ResNet-110")
    assert lost.verdict == "not judged" and plain(lost) == "With γ and β alone ResNet-110 diverged, in epoch 1."
    none = say.curve(pd.DataFrame(), history().head(0), reference, "ResNet-110")
    assert none.verdict == "not trained" and plain(none) == "ResNet-110 has not been trained yet."


def test_overfitting_is_said_with_and_without_something_to_hold_it_against():
    both = points((14, -1.0, "bn"), (14, 2.5, "all"))
    said = say.overfitting(both, analysis.judge_overfitting(both))
    assert "ends 1.0 point below test accuracy with γ and β alone, and 2.5 points above it with everything trained" in plain(said)
    assert said.verdict == "reproduced"
    alone = both[both.trainable == "bn"]
    said = say.overfitting(alone, analysis.judge_overfitting(alone))
    assert (
        plain(said).endswith("1.0 point below test accuracy with γ and β alone, after 160 epochs.") and said.verdict == "not judged"
    )
    assert say.overfitting(both.head(0), analysis.judge_overfitting(both.head(0))).verdict == "not trained"
    assert "neither shifted nor mirrored" in plain(say.overfitting_as_they_are(alone))
    assert not say.overfitting_as_they_are(alone.head(0))


def test_shortcuts_and_output_alone_are_said_in_one_network_if_there_is_one():
    rows = judged(points((14, 49, "shortcut+output"), (110, 19, "shortcut+output")), {(14, "shortcut+output"): 49})
    assert plain(say.collapse(rows, "x")) == "After 160 epochs, shortcuts and the output layer alone reach 49.0 % in ResNet-14."
    assert not say.collapse(rows.head(0), "not trained")


@pytest.mark.parametrize(
    "own, more, says",
    [
        (
            44.0,
            48.5,
            ", 5.0 points below the paper's 49.0 %; if the shortcuts' own γ and β learn, too, 48.5 %, within 0.5 points",
        ),
        (44.0, 49.04, "if the shortcuts' own γ and β learn, too, 49.0 %, as in the paper: that [would explain it]"),
        (
            44.0,
            45.0,
            "if the shortcuts' own γ and β learn, too, 45.0 %, 4.0 points from the paper's: that does not explain it.",
        ),
        (
            54.0,
            None,
            "5.0 points above the paper's 49.0 %; whether the shortcuts' own γ and β learn in the paper's line has not been",
        ),
        (48.0, 49.0, None),
        (None, 49.0, None),
    ],
)
def test_what_the_papers_line_of_shortcuts_may_have_trained(own, more, says):
    rows = [(14, own, "shortcut+output"), (14, more, experiments.WITH_BESIDE), (14, 90, "all")]
    summary = points(*(row for row in rows if row[1] is not None))
    said = plain(say.shortcuts(judged(summary, {(14, "shortcut+output"): 49.0}), summary))
    assert says in said if says else said == ""


def test_what_is_still_to_be_trained_is_named(monkeypatch):
    lacks = lambda keep: monkeypatch.setattr(  # noqa: E731
        experiments, "lacking", lambda name, recipe: [spec for spec in experiments.wanted(name, recipe) if keep(spec)]
    )
    lacks(lambda spec: spec.model != "resnet14")
    said = plain(say.still_to_train("fig2_depth"))
    assert said == "Not trained for 160 epochs yet: ResNet-32, ResNet-56, ResNet-110, ResNet-218, ResNet-434 and ResNet-866."
    lacks(lambda spec: spec.model == "resnet14" or spec.trainable == "all-bn")
    assert plain(say.still_to_train("fig1_affine")).startswith(
        "Not trained for 160 epochs yet: ResNet-14, and some trainings of ResNet-32, "
    )
    lacks(lambda spec: True)
    assert plain(say.still_to_train("fig2_depth")) == "Nothing of this has been trained for 160 epochs yet."
    lacks(lambda spec: False)
    assert not say.still_to_train("fig2_depth") and not say.left_to_train("beyond_norms")


def test_what_a_chapter_lacks_is_said_in_a_line(monkeypatch):
    left = lambda name, keep: (  # noqa: E731
        monkeypatch.setattr(
            experiments, "lacking", lambda name, recipe: [spec for spec in experiments.wanted(name, recipe) if keep(spec)]
        ),
        plain(say.left_to_train(name)),
    )[1]
    assert left("beyond_norms", lambda spec: True) == "Not trained yet: for 160 epochs all of it; for 16 epochs all of it."
    lacks = lambda spec: spec.recipe == "short" and (spec.model == "resnet32" or spec.norm == "layer")  # noqa: E731
    assert left("beyond_norms", lacks) == "Not trained yet: for 16 epochs ResNet-32, and some trainings of ResNet-14."
    many = left("beyond_bytes", lambda spec: spec.recipe == "paper" and spec.model.startswith("wrn"))
    narrow = "WRN-14-0.0625, WRN-14-0.125, WRN-14-0.1875, WRN-14-0.25, WRN-14-0.375 and WRN-14-0.5"
    assert many == f"Not trained yet: for 160 epochs {narrow}."


def test_small_gammas_are_said_against_depth():
    shares = points((14, 20), (32, 27))
    assert plain(say.small(shares, shares.head(0))) == (
        "After 160 epochs, with γ and β alone, the share of γ below 0.01 rises from 20.0 % at 14 layers to 27.0 % at 32 layers."
    )
    one = say.small(points((14, 20)), shares.head(0))
    assert (
        plain(one) == "20.0 % of γ end below 0.01 in ResNet-14 with γ and β alone, after 160 epochs."
        and one.verdict == "not judged"
    )
    assert say.small(shares.head(0), shares.head(0)).verdict == "not trained"


def test_one_of_the_papers_two_shares_is_judged_by_itself():
    reference = pd.DataFrame(
        {"network": "ResNet-110", "trainable": ["bn", "all"], "value": [27.0, 9.0], "uncertainty": 1.0, "kind": "review"}
    )
    alone, both = points((14, 20), (110, 26)), points((14, 20), (110, 26), (110, 8, "all"))
    said = say.small(alone, analysis.judge(alone, reference))
    assert (said.verdict, said.of) == ("reproduced", "with γ and β trained")
    assert plain(said).endswith("to 26.0 % at 110 layers. The paper has 27 %, as others quote it, presumably for ResNet-110.")
    said = say.small(both, analysis.judge(both, reference))
    assert (said.verdict, said.of) == ("reproduced", "")
    short = alone.assign(recipe="short")
    assert say.small(short, analysis.judge(short, reference)).verdict == "not judged"


def test_most_can_be_said_of_the_fullest_place_then_of_the_longer_recipe_the_replicated_and_the_deeper_network():
    rows = pd.DataFrame(
        {
            "network": ["a", "a", "b", "b", "b"],
            "depth": [14, 14, 32, 32, 32],
            "recipe": ["short", "short", "short", "short", "smoke"],
            "variant": list("xyxyz"),
            "n": 1,
        }
    )
    assert set(fullest(rows, "variant").network) == {"b"}
    longer = pd.concat([rows, rows[:2].assign(recipe="paper")])
    assert set(fullest(longer, "variant").recipe) == {"paper"}
    more = pd.concat([longer, rows[:1].assign(variant="z")])
    assert list(fullest(more, "variant").recipe) == ["short"] * 3 and not len(fullest(rows[4:], "variant"))


@pytest.mark.parametrize(
    ("n", "place"),
    [
        ([3, 3, 1, 1], "a"),
        ([3, 3, 3, 1], "a"),
        ([4, 4, 3, 3], "b"),  # three are enough
        (["3", "3 (1 of 4 diverged)", "3 and 1", "3 and 1"], "a"),
        (["3 and 1", "1", "1 and 3", "1"], "b"),
    ],
)
def test_of_as_many_most_can_be_said_of_the_network_with_three_replicates_then_of_the_deeper_one(n, place):
    rows = pd.DataFrame({"network": list("aabb"), "depth": [14, 14, 32, 32], "recipe": "short", "variant": list("xyxy"), "n": n})
    assert set(fullest(rows, "variant").network) == {place}


def test_small_gammas_are_held_against_everything_trained():
    both = points((14, 20, "bn"), (14, 9, "all"))
    assert plain(say.against_all(both)).endswith("with γ and β alone 20.0 %.")
    assert plain(say.against_all(both.assign(sd=20.0))).endswith("20.0 %, a difference that may be chance.")
    assert not say.against_all(both[both.trainable == "bn"])


def gammas(start, gamma, depth=14, recipe="paper"):
    frame = pd.DataFrame({"start": start, "gamma": gamma})
    return frame.assign(network=f"ResNet-{depth}", depth=depth, recipe=recipe, trainable="bn", variant="bn", width=1, seed=0)


def test_decay_alone_explains_small_gammas_or_does_not():
    start = np.linspace(0, 1, 201)
    alone = say.decay(gammas(start, start * 0.037))
    assert plain(alone).endswith("; in ResNet-14 it is so.")
    other = say.decay(gammas(start, start[::-1] * 0.037))
    assert "of those that start below it do not end there" in plain(other) and plain(other).endswith("the gradient decides, too.")
    assert not say.decay(gammas(start, start).head(0))


def test_near_zero_is_judged_at_both_thresholds():
    close, wide = analysis.judge_differences(gaps(5.0)), analysis.judge_differences(gaps(20.0))
    said = say.near_zero(close, wide)
    assert (
        plain(said).endswith("50.0 % with everything trained; below 0.01 they are 55.0 % and 50.0 %.")
        and said.verdict == "reproduced"
    )
    assert say.near_zero(analysis.judge_differences(gaps(0.1, p=0.9)), wide).verdict == "in part"
    against = analysis.judge_differences(gaps(-5.0))
    assert say.near_zero(analysis.judge_differences(gaps(0.1, p=0.9)), against).verdict == "not reproduced"
    assert say.near_zero(close.head(0), wide.head(0)).verdict == "not trained"


def test_without_decay_they_still_end_there_or_do_not():
    rows = points((14, 20, "the recipe"), (14, 8, "no weight decay on γ and β"))
    assert plain(say.without_decay(rows)).endswith(
        "with it 20.0 %, after 160 epochs; 1 % starts there, so some go there without decay, too."
    )
    none = points((14, 20, "the recipe"), (14, 1, "no weight decay on γ and β"))
    assert plain(say.without_decay(none)).endswith("so without decay none goes there.")
    assert not say.without_decay(rows.head(1))


def test_where_and_how_far_and_what_they_are_worth():
    where = points((14, 0)).assign(relu=40.0, added=5.0, ahead=80.0, negative=90.0)
    assert plain(say.where_small(where)) == (
        "In ResNet-14 40.0 % of the γ before a ReLU end below 0.01, and 5.0 % of those before an addition, after 160 epochs."
    )
    assert not say.where_small(where.head(0)) and not say.nothing_already(where.head(0))
    said = "In ResNet-14 80.0 % of the features of small γ are before a ReLU, and 90.0 % of these have β below 0: they are nothing already."
    assert plain(say.nothing_already(where)) == said
    so = "So it is the β of the other 20.0 %, before an addition, that matter."
    assert plain(say.nothing_already(where.assign(negative=95.0))).endswith(so)
    assert "further than 0.43 in ResNet-14 and 0.30 in ResNet-32" in plain(say.moved(points((14, 43), (32, 30))))
    assert say.moved(points()).verdict == "not trained"
    answer = points((14, 0)).assign(share=0.2, change=-1.5, change_random=-40.0, change_beta=-2.0, beta_low=-3.0, beta_high=-1.0)
    assert plain(say.clamped(answer)) == (
        "Setting the 20.0 % of γ with |γ| up to 0.01 to zero costs 1.5 points in ResNet-14, after 160 epochs; as many features drawn "
        "at random, once, cost 40.0 points."
    )
    assert "changes nothing" in plain(say.clamped(answer.assign(change=0.0, change_random=0.0)))
    said = lambda **other: plain(say.clamped_to_nothing(answer.assign(**other)))  # noqa: E731
    assert said().endswith("constant, costs 2.0 points, and among the three replicates of ResNet-14 it costs 1.0 to 3.0 points.")
    assert said(beta_high=0.1).endswith("it gains 0.1 points at best and costs 3.0 points at worst.")
    assert said(beta_high=0.04, beta_low=-0.04).endswith("it costs nothing.")
    more = pd.concat(
        [
            answer.assign(n=1),
            answer.assign(n=1, network="ResNet-32", depth=32, change_beta=-9.0),
            answer.assign(n=1, network="ResNet-56", depth=56),
        ]
    )
    assert plain(say.clamped_to_nothing(more)).endswith(
        "constant, costs 2.0 points; in ResNet-14 and ResNet-32 it costs 2.0 to 9.0 points."
    )
    assert plain(say.clamped_to_nothing(more.head(2))).endswith("constant, costs 9.0 points; in ResNet-14 it costs 2.0 points.")
    assert said(change_beta=0.0, n=1).endswith("instead of a constant, costs nothing.")
    assert not say.clamped(answer.head(0)) and not say.clamped_to_nothing(answer.head(0))


def test_silent_units_are_said_with_and_without_everything_trained():
    rows = pd.concat([points((14, 30, "bn"), (14, 10, "all")).assign(definition=d) for d in ("0.9", "0.99", "0.999")])
    said = say.silent(rows, analysis.relu_differences(rows))
    assert plain(said) == (
        "After 160 epochs, 30.0 % of the units after ReLUs are 0 for more than 90 % of the images with γ and β alone, and 10.0 % with "
        "everything trained, in ResNet-14."
    )
    assert said.verdict == "reproduced"
    alone = rows[rows.trainable == "bn"]
    assert say.silent(alone, analysis.relu_differences(alone)).verdict == "not judged"
    assert say.silent(rows.head(0), analysis.relu_differences(rows.head(0))).verdict == "not trained"
    smoke = rows.assign(recipe="smoke")
    assert say.silent(smoke, analysis.relu_differences(smoke)).verdict == "not judged"


def test_a_test_of_seconds_says_nothing():
    smoke = points((14, 50, "bn"), (14, 40, "all"), (14, 30, "random:2"), (14, 20, "gamma"), (14, 10, "beta"), recipe="smoke")
    judged_ = judged(smoke, {(14, "bn"): 48.3, (14, "all"): 90})
    assert not any((say.sets(smoke), say.halves(smoke), say.reach(smoke), say.variants(smoke, "bn", "sets"), say.compared(judged_)))
    assert say.depth(judged_, smoke).verdict == "not judged" and not say.small(smoke, judged_)
    assert not say.beside_paper(judged_) and not say.against_all(smoke) and not say.longer(smoke)


def test_the_badge_and_the_sentence_are_of_the_same_trainings():
    def history(trainable, recipe, values):
        long = 160 if recipe == "paper" else 16
        lr = [0.1 if epoch <= long / 2 else 0.01 if epoch <= long * 0.75 else 0.001 for epoch in values]
        own = {"network": "ResNet-110", "depth": 110, "variant": trainable, "trainable": trainable, "recipe": recipe}
        frame = pd.DataFrame({"epoch": [*values], "lr": lr, "test_accuracy": [*values.values()]})
        return frame.assign(seed=0, status="finished", **own)

    reference = paper.curve("ResNet-110")
    ends = reference[reference.trainable == "all"].set_index("epoch").value / 100
    right = history("bn", "paper", dict(reference[reference.trainable == "bn"].set_index("epoch").value / 100))

    def said(*histories):
        own = pd.concat(histories, ignore_index=True)
        return say.curve(analysis.judge(*analysis.at_epochs(own, reference)), own, reference, "ResNet-110")

    assert said(right, history("all", "paper", dict(ends - 0.1))).verdict == said(right).verdict == "reproduced"
    short = said(history("bn", "short", {8: 0.5, 12: 0.58, 16: 0.587}), history("all", "paper", dict(ends)))
    assert short.verdict == "not judged" and "after 16 epochs" in plain(short)
    shares = points((14, 5)), points((110, 4), recipe="short"), points((110, 1, "all"), recipe="short")
    found = say.small(pd.concat(shares), analysis.judge(pd.concat(shares), paper.small_gammas()))
    assert found.verdict == "in trend" and "4.0 % of γ end below 0.01 in ResNet-110" in plain(found)


def test_variants_and_their_badge_are_of_one_network():
    def of(depth, n, **means):
        return pd.concat(
            [
                points((depth, mean), n=n[i], sd=0.2, recipe="short").assign(variant=name.replace("_", " "))
                for i, (name, mean) in enumerate(means.items())
            ]
        )

    one = of(14, (3, 1, 1), base=44.0, high_rate=54.0, low_rate=44.1)
    both = pd.concat([one, of(56, (1, 1, 1), base=55.0, high_rate=55.1, low_rate=54.9)], ignore_index=True)
    assert "gains 10.0 points" in plain(say.variants(both, "base", "settings")) and say.differ(both, "base") == "yes"
    flat = pd.concat(
        [of(14, (3, 1, 1), base=44.0, high_rate=44.1, low_rate=44.1), of(56, (1, 1, 1), base=55.0, high_rate=66, low_rate=54.9)],
        ignore_index=True,
    )
    assert (
        "None of the two settings tried differs" in plain(say.variants(flat, "base", "settings"))
        and say.differ(flat, "base") == "no"
    )


def test_of_many_differences_that_may_be_chance_both_ends_are_said():
    gaps = {14: -3.0, 20: -2.5, 26: -2.0, 32: 0.1, 44: 0.2, 56: 0.3}
    every = points(*[row for depth, gap in gaps.items() for row in ((depth, 90 + gap, "all"), (depth, 90, "all-bn"))], n=2, sd=9.0)
    rows = analysis.differences(every, "all", "all-bn")
    assert plain(say.gain(rows, "everything", "all but γ and β")).startswith(
        "Everything reaches from 3.0 points less than all but γ and β in ResNet-14 to 0.3 points more in ResNet-56, over six networks, "
    )


def test_words():
    assert say.what("random:2") == "two random weights a channel" and say.what("random:1") == "one random weight a channel"
    assert say.listing(["a", "b", "c"]) == "a, b and c" and say.listing(["a"]) == "a" and say.listing([]) == ""
    assert plain(say.percent(-1.25)) == "−1.2 %" and say.network("ResNet-14") == "ResNet\u201114"
    assert plain(say.replicates(points((14, 1)))) == "n = 3" and say.replicates(points()) == ""


def test_a_difference_is_tested_as_scipy_does():
    from scipy import stats

    from bnlib.report.analysis.replicates import spread, tested

    p, half = tested(2.0, (1.0, 3), (0.5, 4), (np.nan, 0))
    theirs = stats.ttest_ind_from_stats(2.0, 1.0, 3, 0.0, 0.5, 4, equal_var=False)
    assert p == pytest.approx(theirs.pvalue)
    one = stats.ttest_ind([1.0, 2.0, 3.0], [0.0, 0.5, 0.7, 0.1], equal_var=False)
    half = tested(one._estimate, (1.0, 3), (np.std([0.0, 0.5, 0.7, 0.1], ddof=1), 4), (np.nan, 0))[1]
    assert one.confidence_interval().high - one._estimate == pytest.approx(half)
    pooled = spread(points((14, 1), (32, 2)).assign(sd=[1.0, 2.0]))
    assert pooled == (pytest.approx(np.sqrt(2.5)), 4)
    p, _ = tested(5.0, (np.nan, 1), (1.0, 3), pooled)
    assert p == pytest.approx(2 * stats.t.sf(5.0 / (np.sqrt(2.5) * np.sqrt(1 + 1 / 3)), 4))
    assert all(np.isnan(tested(5.0, (np.nan, 1), (np.nan, 1), (np.nan, 0))))
