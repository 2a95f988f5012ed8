"""The chapters beyond the paper: what each says of runs, whichever way they fall out."""

import json

import pandas as pd
import pytest
from test_store import made

from bnlib import experiments
from bnlib.report import analysis, questions
from bnlib.report.beyond import order
from bnlib.report.statements import Statement
from bnlib.store import ROOT


def summary(values: dict, recipe="short", network="ResNet-14", depth=14):
    """As of `analysis.summarise`: of each variant what its replicates reached, in percent."""
    rows = [
        {"network": network, "depth": depth, "width": 1, "variant": variant, "trainable": "all", "recipe": recipe, "diverged": 0}
        | {"mean": sum(each) / len(each), "sd": pd.Series(each).std(), "n": len(each), "each": each, "seeds": range(len(each))}
        for variant, each in values.items()
    ]
    return pd.DataFrame(rows)


START, EIGHTH, QUARTER, HALF = experiments.EXPERIMENTS["beyond_bn_first"].variants


@pytest.mark.parametrize(
    ("half", "verdict"),
    [
        ((88.0, 88.1, 88.2), "yes"),
        ((78.0, 78.1, 78.2), "no"),
        ((85.0, 84.2, 84.9), "too close"),
        ((78.0,), "no"),  # one run, beside the spread of those that were repeated
    ],
)
def test_the_answer_on_bn_first(half, verdict):
    found = order.answer(summary({START: (84.5, 84.8, 84.9), HALF: half}))
    assert found.verdict == verdict and "with γ and β alone for the first 8 of them, " in found.text
    assert found.text.startswith("After 16\u00a0epochs ResNet\u201114 reaches 84.7\u00a0% with everything from the start")
    assert ("no further apart than by chance" in found.text) == (verdict == "too close")


def test_one_run_each_gives_no_answer():
    found = order.answer(summary({START: (84.5,), EIGHTH: (80.0,), HALF: (70.0,)}))
    assert found.verdict == "not judged" and found.text.endswith("% and 70.0\u00a0%; one run each, so no order can be told.")
    assert "the first 2 and 8 of them" in found.text


def test_p_is_corrected_once_for_the_networks_and_the_variants_together():
    each = {START: (84.5, 84.6, 84.7), EIGHTH: (84.0, 84.2, 84.4), HALF: (84.1, 84.6, 84.9)}
    both = pd.concat([summary(each), summary({START: (86.0, 86.1, 86.6), HALF: (85.6, 86.1, 86.7)}, network="ResNet-32", depth=32)])
    rows = order.against_start(both)
    assert list(rows.variant) == [EIGHTH, HALF, HALF] and (rows.difference < 0.1).all()
    raw = [order.against_start(summary({START: each[START], variant: each[variant]})).p.iloc[0] for variant in (EIGHTH, HALF)]
    raw.append(order.against_start(both[both.network == "ResNet-32"]).p.iloc[0])
    assert list(rows.p) == pytest.approx(list(analysis.replicates.corrected(pd.Series(raw))))


def test_better_here_and_worse_there_is_an_answer_in_part():
    both = pd.concat(
        [
            summary({START: (84.5, 84.6, 84.7), HALF: (88.0, 88.1, 88.2)}),
            summary({START: (86.5, 86.6, 86.7), HALF: (80.0, 80.1, 80.2)}, network="ResNet-32", depth=32),
        ]
    )
    found = order.answer(both)
    assert found.verdict == "in part"
    said = "It is better with the first 8 in ResNet\u201114, and worse with the first 8 in ResNet\u201132."
    assert found.text.endswith(said)


def test_the_answer_on_bn_first_is_said_of_the_network_with_replicates():
    each = {START: (84.5, 84.6, 84.7), EIGHTH: (84.0, 84.2, 84.4), HALF: (81.1, 81.6, 81.9)}
    once = {variant: values[:1] for variant, values in each.items()}
    both = pd.concat([summary(each), summary(once, network="ResNet-32", depth=32)])
    assert order.answer(both).text.startswith("After 16\u00a0epochs ResNet\u201114 reaches 84.6\u00a0%")


def test_without_the_other_side_nothing_is_said():
    assert order.answer(summary({START: (84.5, 84.6)})) == Statement("", "not judged")
    assert order.answer(summary({HALF: (84.5, 84.6)})) == Statement("", "not judged")
    assert order.answer(summary({START: (84.5, 84.6)}).head(0)) == Statement("", "not trained")
    gone = summary({START: (10.0, 10.0)}).assign(n=0, diverged=2)
    assert order.answer(pd.concat([gone, summary({HALF: (84.5, 84.6)})])).text.startswith("Both replicates of ResNet")


def test_the_answer_on_bn_first_says_in_which_network_if_not_in_the_one_it_speaks_of():
    same = {START: (84.5, 84.6, 84.7), EIGHTH: (84.4, 84.6, 84.8), HALF: (84.5, 84.7, 84.8)}
    gains = {START: (84.5, 84.6, 84.7), EIGHTH: (88.0, 88.1, 88.2), HALF: (87.0, 87.1, 87.2)}
    found = order.answer(pd.concat([summary(gains), summary(same, network="ResNet-32", depth=32)]))
    assert found.verdict == "yes" and found.text.startswith("After 16\u00a0epochs ResNet\u201132 reaches")
    assert found.text.endswith(". It is better with the first 2 and 8 in ResNet\u201114.")


def test_bn_first_has_equal_epochs_and_is_drawn(runs_folder):
    specs = experiments.wanted("beyond_bn_first", "short")
    assert [(spec.learned, spec.switch) for spec in specs[:4]] == [("all", None), ("all", 2), ("all", 4), ("all", 8)]
    assert {spec.settings.epochs for spec in specs} == {16}
    assert [spec.switch for spec in experiments.wanted("beyond_bn_first", "paper")[:4]] == [None, 20, 40, 80]
    for spec in dict.fromkeys(experiments.EXPERIMENTS["beyond_bn_first"].specs("smoke", 0, ("resnet8",))):
        made(spec, runs_folder)
    runs = experiments.runs("beyond_bn_first", "smoke")
    assert len(runs) == 2 and order.figure(runs).axes[0].lines
    assert "At the end: ResNet-8, ours, 2 epochs, a test, everything from the start" in order.figure(runs).alt
    assert len(analysis.summarise(runs)) == 2


@pytest.mark.parametrize(
    ("then", "last", "said"),
    [
        (44, 80, "is 6.0 points behind the training of everything from the start; at the end it is still 4.0 points behind."),
        (44, 86, "is 6.0 points behind the training of everything from the start; at the end it is 2.0 points ahead."),
        (44, 84, "is 6.0 points behind the training of everything from the start; at the end it has caught up."),
        (60, 85, "is 10.0 points ahead of the training of everything from the start; at the end it is still 1.0 point ahead."),
        (60, 80, "is 10.0 points ahead of the training of everything from the start; at the end it is 4.0 points behind."),
        (60, 84, "is 10.0 points ahead of the training of everything from the start; at the end they are alike."),
        (50, 84, "is as far as the training of everything from the start; at the end they are alike."),
    ],
)
def test_who_is_ahead_when_the_rest_joins_is_said_as_it_is(then, last, said, monkeypatch):
    curves = [
        {"network": "ResNet-14", "depth": 14, "recipe": "short", "variant": variant, "epoch": epoch, "n": 3}
        | {"test_accuracy": value / 100}
        for variant, at in ((START, {8: 50, 16: 84}), (HALF, {8: then, 16: last}))
        for epoch, value in at.items()
    ]
    monkeypatch.setattr(order, "_mean_curves", lambda _: pd.DataFrame(curves))
    begins, _, rest = order.lead(None).text.replace("\u00a0", " ").partition("ResNet\u201114 ")
    assert begins == "When the rest joins, after 8 epochs, where the learning rate drops, too, " and rest == said


def test_curves_are_of_what_did_not_diverge():
    runs = experiments.runs("beyond_bn_first", "short")
    own = runs[(runs.network == "ResNet-14") & (runs.variant == START)]
    every, one = order._mean_curves(own), order._mean_curves(own.assign(status=["finished", *["diverged"] * (len(own) - 1)]))
    assert set(every.n) == {len(own)} and set(one.n) == {1} and not len(order._mean_curves(own.assign(status="diverged")))


@pytest.mark.parametrize("one", questions.BEYOND, ids=lambda one: one.pages[0])
def test_a_question_stands_on_its_page_and_has_an_answer(one):
    cells = json.loads((ROOT / "notebooks" / f"{one.pages[0]}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    assert one.asks in " ".join(" ".join(texts).split())
    assert f"  - file: notebooks/{one.pages[0]}\n" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert one.evidence().verdict in analysis.ANSWERS


def test_the_questions_as_a_list():
    one = questions.Question("Is it so?", ("beyond_bn_first",), lambda: Statement("It is.", "yes"))
    none = questions.Question("And so?", ("beyond_bytes",), lambda: Statement(""))
    found, badge = questions.answers((one, none)), '**<span class="bn-badge bn-yes">yes</span>**'
    assert questions.short(found).splitlines()[0] == f"- {badge} [Is it so?](beyond_bn_first.ipynb)"
    said = questions.listing(found)
    assert f"- **Is it so?**\\\n  {badge} It is. [γ and β first, then everything](beyond_bn_first.ipynb)" in said
    assert "Nothing of this has been trained yet." in said and questions.count(found).endswith("There are runs for one of them.")
