"""Why features go off, and what we learned: the tables, the sentences and the figure, on tables made by hand and on stored runs."""
# ruff: noqa: E501  a sentence is a sentence

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_notebooks import cells, draw
from test_statements import plain

from bnlib import RunSpec, experiments, models, store
from bnlib.engine import probes
from bnlib.report import analysis, claims, figures, paper, questions
from bnlib.report import statements as say
from bnlib.report.analysis.off import START, answers, trains_well
from bnlib.report.statements.off import _doubts, _known
from bnlib.spec import RECIPES

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
TITLES = ("Training learns to turn features off", "BatchNorm with ReLU lets features collapse", "Weight decay pulls")


def variant(lr, decays):
    """What `why_off` calls it."""
    name = "" if lr == 0.1 else f"learning rate {lr:g}"
    return ", ".join(filter(None, [name, "" if decays else "no weight decay on γ and β"])) or "the recipe"


def rows(values, decays, n=3, sd=0.5, recipe="short", depth=14, **other):
    """Points over RATES, as `analysis.summarise` gives them, with their rates; a value that is None is not run."""
    there = [(lr, value) for lr, value in zip(RATES, values, strict=False) if value is not None]
    frame = pd.DataFrame({"variant": [variant(lr, decays) for lr, _ in there], "mean": [float(value) for _, value in there]})
    frame = frame.assign(network=f"ResNet-{depth}", depth=depth, width=1, trainable="bn", recipe=recipe, n=n, **other)
    frame = frame.assign(sd=sd if n > 1 else np.nan, each=[(m,) * n for m in frame["mean"]], seeds=[tuple(range(n))] * len(frame))
    return analysis.with_rates(frame)


def world(gamma, gamma_free, relu, relu_free, accuracy=(40, 45, 45, 45, 45), n=3, **other):
    """Shares and accuracy, with weight decay and without it, and what the explanations add."""
    parts = [(gamma, True, "gamma"), (gamma_free, False, "gamma"), (relu, True, "relu"), (relu_free, False, "relu")]
    shares = pd.concat(
        [rows(values, decays, measure=measure, n=n, **other) for values, decays, measure in parts], ignore_index=True
    )
    both = [rows(accuracy, decays, diverged=0, n=n, **other) for decays in (True, False)]
    return shares, pd.concat(both, ignore_index=True), analysis.accounts(shares, pd.concat(both, ignore_index=True))


LEARNT = world(*[(5, 20, 20.2, 20, 20.1)] * 2, *[(5, 25, 25.2, 25, 25.1)] * 2)
COLLAPSED = world(*[(1, 1, 1.2, 8, 30)] * 2, *[(0, 0, 0.2, 9, 35)] * 2)
DECAYED = world((1, 1.1, 1.4, 3, 27), (1, 1, 1, 1, 1), *[(0, 0, 0.1, 0, 0)] * 2)


def verdicts(own):
    return {title: [(one.verdict, one.of) for one in said] for title, said in say.explanations(own[2], own[1]).items()}


@pytest.mark.parametrize(
    "own, training, rate, decay",
    [
        (LEARNT, ("yes", "yes"), ("no", "no"), ("no", "no")),
        (COLLAPSED, ("no", "no"), ("yes", "yes"), ("no", "no")),
        (DECAYED, ("no", "no"), ("no", "no"), ("in part", "no")),  # at small rates it has nothing to pull with
    ],
    ids=["training", "rate", "decay"],
)
def test_each_explanation_wins_where_it_is_so(own, training, rate, decay):
    found = verdicts(own)
    assert [title.startswith(start) for title, start in zip(found, TITLES, strict=True)] == [True] * 3
    measures = "(small γ)", "(silent ReLUs)"
    assert list(found.values()) == [list(zip(one, measures, strict=True)) for one in (training, rate, decay)]
    assert say.why(own[2]).verdict == answers(training)


def test_the_answer_says_when_features_go_off():
    more = "even without weight decay, no more at a larger learning rate, and no more with decay"
    said = f"In ResNet-14 after 16 epochs, ReLUs fall silent {more}; γ end near 0 {more}."
    assert plain(say.why(LEARNT[2])) == said
    none = "no more γ end near 0 than start there without weight decay, no more at a larger learning rate, and more with decay at some rates."
    assert plain(say.why(DECAYED[2])).endswith(none)
    assert "hardly any ReLU falls silent without weight decay, more at a larger learning rate, and no more" in plain(
        say.why(COLLAPSED[2])
    )


@pytest.mark.parametrize(
    "found, known, doubts",
    [
        (
            ("too close", "too close", "yes"),
            "more γ end near 0 with weight decay",
            "whether γ end near 0 without weight decay, nor whether more do at a larger learning rate",
        ),
        (("not trained", "not trained", "no"), "no more γ end near 0 with weight decay", ""),
        (
            ("yes", "too close", "yes"),
            "γ end near 0 even without weight decay, and more with decay",
            "whether more γ end near 0 at a larger learning rate",
        ),
        (("too close", "not trained", "not trained"), "", "whether γ end near 0 without weight decay"),
    ],
)
def test_what_can_be_told_is_said_and_then_what_cannot(found, known, doubts):
    verdicts = dict(zip(("training", "rate", "decay"), found, strict=True))
    assert (_known("gamma", verdicts), _doubts("gamma", verdicts)) == (known, doubts)


def test_training_has_learnt_what_does_not_come_with_the_rate_alone():
    both = world(*[(5, 20, 20.2, 25, 40)] * 4)
    assert [one[0] for one in verdicts(both)[say.EXPLANATIONS["training"]]] == ["in part"] * 2 and say.why(
        both[2]
    ).verdict == "in part"
    untried = world(*[(None, None, 20)] * 4, (None, None, 45))
    assert say.why(untried[2]).verdict == "not judged", "it may be a collapse"
    assert plain(say.why(untried[2])).endswith("Whether more do at a larger learning rate has not been tried yet.")
    half = world((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), *[(0, 20, 20, 20, 20)] * 2)
    assert say.why(half[2]).verdict == "in part", "ReLUs, but not γ"


def test_the_sentences_have_the_numbers_of_the_table():
    said = [plain(one) for found in say.explanations(DECAYED[2], DECAYED[1]).values() for one in found]
    assert (
        said[0]
        == "Without weight decay, 1.0 % of γ end below 0.01 at learning rate 0.03, the smallest that trains well, which may be chance; 1.0 % start there."
    )
    assert said[2].endswith(
        "1.0 % of γ end below 0.01 at learning rate 1, and 1.0 % at 0.03, which may be chance. Accuracy there is 45.0 % and 45.0 %."
    )
    assert said[4] == (
        f"At learning rate 1, 27.0 % of γ end below 0.01 with weight decay and 1.0 % without; decay alone would bring "
        f"{analysis.alone('gamma', 'short', 1.0):.1f} %. At 0.3 it adds to them, too; at 0.01, 0.03 and 0.1 it adds none."
    )
    assert "decay alone would bring none, as it shrinks γ and β alike" in said[5]
    parts = DECAYED[2].set_index(["measure", "part", "lr"])
    assert parts.loc[("gamma", "decay", 1.0), "difference"] == 26 and parts.loc[("gamma", "training", 0.03), "n"] == "3"


def test_what_a_larger_rate_adds_counts_from_the_smallest_that_trains_well():
    assert trains_well(rows((30, 43, 44.9, 45, 40), False, diverged=0)) == 0.03
    assert trains_well(rows((30, 42, 44.9, 45, 40), False, diverged=0)) == 0.1
    assert trains_well(rows((30, 42), True, diverged=0)) is None
    # More go off as the rate grows, and accuracy grows as well: that is training, and no collapse.
    slow = world(*[(1, 3, 8, 15, 30)] * 2, *[(1, 3, 8, 15, 30)] * 2, accuracy=(20, 25, 30, 35, 45))
    found = verdicts(slow)
    assert [one[0] for one in found[say.EXPLANATIONS["training"]]] == ["not judged"] * 2
    assert found[say.EXPLANATIONS["rate"]] == [("not trained", "")]


def test_few_runs_cannot_tell():
    once = world(*[(5, 20, 20, 20, 20)] * 2, *[(5, 20, 20, 20, 20)] * 2, n=1)
    assert {one[0] for said in verdicts(once).values() for one in said} == {"not judged"}
    assert "one run;" in plain(say.explanations(once[2], once[1])[say.EXPLANATIONS["training"]][0])
    said = (
        "In ResNet-14 after 16 epochs (n = 1), it cannot be told yet whether ReLUs fall silent without weight decay, nor whether "
    )
    assert plain(say.why(once[2])).startswith(said) and plain(say.why(once[2])).count("nor whether γ") == 1
    assert say.take_away(once[2]).text == ""


def test_what_is_not_run_is_said():
    some = world((1, 1, 1, 1, 1), (None, None, 5), (1, 1, 1, 1, 1), (None, None, 6), (None, None, 45))
    said = say.explanations(some[2], some[1])
    assert "the only one tried" in said[say.EXPLANATIONS["training"]][0].text
    assert [one.verdict for one in said[say.EXPLANATIONS["rate"]]] == ["not trained"]
    assert plain(say.why(some[2])).endswith("Whether more do at a larger learning rate has not been tried yet.")
    none = world((1, 1, 1), (), (1, 1, 1), ())
    assert say.why(none[2]) == say.Statement("", "not trained") and not say.take_away(none[2])
    assert [[one.verdict for one in said] for said in say.explanations(none[2], none[1]).values()] == [["not trained"]] * 3
    smoke = world(*[(1, 1, 1)] * 4, recipe="smoke")
    assert say.why(smoke[2]) == say.Statement("", "not judged") and set(smoke[2].verdict) == {"not judged"}


def test_the_place_with_most_runs_is_spoken_of_and_tests_are_corrected_together():
    paper_ = world(*[(None, None, 22)] * 4, recipe="paper")
    both = pd.concat([LEARNT[2], paper_[2]], ignore_index=True)
    assert "after 16 epochs" in plain(say.why(both)) and "after 160 epochs" in plain(say.why(paper_[2]))
    longer = LEARNT[2][LEARNT[2].part != "decay"].assign(recipe="paper")
    longer = pd.concat([longer, LEARNT[2][LEARNT[2].part == "decay"].drop_duplicates(["measure"]).assign(recipe="paper")])
    assert "after 160 epochs" in plain(say.why(pd.concat([LEARNT[2], longer]))), "as many parts, at fewer learning rates"
    alone = analysis.accounts(LEARNT[0][LEARNT[0].measure == "gamma"], LEARNT[1])
    pd.testing.assert_frame_equal(alone, LEARNT[2][LEARNT[2].measure == "gamma"], check_dtype=False)
    assert (alone.p >= 0).all() and alone.loc[alone.part == "training", "p"].item() < 0.05


def test_where_weight_decay_adds_to_what_training_learns_it_is_so_in_part():
    both = world((None, None, 30, 30), (None, None, 20, 20), *[(None, None, 25, 25)] * 2)
    assert [one for one, _ in verdicts(both)[list(say.EXPLANATIONS.values())[0]]] == ["yes", "yes"]
    assert say.why(both[2]).verdict == "in part"


def test_single_runs_are_taken_to_scatter_as_much_as_anywhere():
    """Without decay at 160 epochs, once: not as little as the repeated trainings with decay, if at 16 epochs runs scatter more."""
    values = (None, None, 20, 20), (None, None, 20, None, 23), *[(None, None, 1, 1)] * 2
    calm, wild = world(*values, recipe="paper", sd=0.2), world(*values, sd=3.0)
    once = [calm[i].assign(n=[1 if not decays else 3 for decays in calm[i].decays]) for i in (0, 1)]
    rate = lambda accounts: accounts[(accounts.recipe == "paper") & (accounts.part == "rate") & (accounts.measure == "gamma")]  # noqa: E731
    assert rate(analysis.accounts(*once)).verdict.item() == "yes"
    both = [pd.concat([one, other], ignore_index=True) for one, other in zip(once, wild, strict=False)]
    assert rate(analysis.accounts(*both)).verdict.item() == "too close"


def test_as_the_paper_trains():
    shares, accuracy, accounts = world((None, None, 22), (None, None, 3), (None, None, 24), (None, None, 24), recipe="paper")
    would = f"{analysis.alone('gamma', 'paper', 0.1):.1f} %"
    said = plain(say.as_the_paper_trains(shares, accounts))
    assert (
        said
        == f"As the paper trains, after 160 epochs, 22.0 % of γ end below 0.01 in ResNet-14; without weight decay 3.0 % do. Decay without any gradient would bring {would} there."
    )
    undone = shares[shares.decays]
    assert "; without weight decay none has been trained so yet. " in plain(
        say.as_the_paper_trains(undone, analysis.accounts(undone, accuracy))
    )
    assert not say.as_the_paper_trains(shares[:0], accounts[:0])


def test_the_take_away_follows_from_the_verdicts():
    assert plain(say.take_away(LEARNT[2])) == "ReLUs fall silent without any weight decay, so that is not needed for it."
    assert "silences more ReLUs and brings more γ near 0" in say.take_away(COLLAPSED[2]).text
    assert "ReLUs stay on" in say.take_away(COLLAPSED[2]).text
    assert say.take_away(DECAYED[2]).text.startswith("How many γ are near 0 says little by itself")


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([], "not trained"),
        (["yes", "too close"], "yes"),
        (["no", "too close"], "too close"),
        (["yes", "no"], "in part"),
        (["no", "no"], "no"),
        (["not judged"], "not judged"),
        (["in part", "yes"], "in part"),
    ],
)
def test_several_answers_come_to_one(found, verdict):
    assert answers(found) == verdict


@pytest.mark.parametrize("recipe, lr", [("short", 0.1), ("short", 1.0), ("paper", 0.03), ("paper", 0.1)])
def test_weight_decay_alone_is_exact(recipe, lr):
    settings = replace(RECIPES[recipe], lr=lr)
    steps, state = -(-50_000 // settings.batch_size), np.array([1.0, 0.0])  # γ and its velocity
    for epoch in range(settings.epochs):
        rate, decay, momentum = settings.learning_rate(epoch), settings.weight_decay, settings.momentum
        one = np.array([[1 - rate * decay, -rate * momentum], [decay, momentum]])
        state = np.linalg.matrix_power(one, steps) @ state
    assert analysis.alone("gamma", recipe, lr) == pytest.approx(min(100, 1 / state[0]), rel=1e-9)
    pull = steps * sum(map(settings.learning_rate, range(settings.epochs))) * settings.weight_decay / (1 - settings.momentum)
    assert analysis.alone("gamma", recipe, lr) == pytest.approx(np.exp(pull), rel=0.03)  # the formula on the page
    assert analysis.alone("relu", recipe, lr) == 0


def test_ten_times_the_rate_decays_as_ten_times_the_epochs():
    assert analysis.alone("gamma", "short", 1.0) == pytest.approx(analysis.alone("gamma", "paper", 0.1), rel=0.03)
    assert analysis.alone("gamma", "paper", 1.0) == 100


def test_an_untrained_network_has_hardly_a_silent_unit_and_as_many_small_gammas_as_said(cifar10):
    model = models.build("resnet14", seed=0)
    for norm in (module for module in model.modules() if hasattr(module, "momentum")):
        norm.momentum = 1.0
    images, *_ = next(cifar10.parts(images=500))
    with torch.no_grad():
        model.train()(images)
    found = probes.relu_activity(model, cifar10, images=500)["total"]["off"]["0.99"]
    assert 100 * found == pytest.approx(START["relu"], abs=0.5)
    drawn = np.concatenate([module.weight.detach().numpy() for module in model.modules() if hasattr(module, "momentum")])
    assert 100 * (np.abs(drawn) < 0.01).mean() == pytest.approx(START["gamma"], abs=1.3)  # of 560, three standard deviations


def test_the_variants_are_what_they_are_called():
    found = experiments.experiment("why_off").variants
    assert set(found) == {variant(lr, decays) for lr in RATES for decays in (True, False)}
    shown = analysis.with_rates(pd.DataFrame({"variant": list(found), "recipe": "paper"}))
    for row, fields in zip(shown.itertuples(), found.values(), strict=True):
        settings = RunSpec("resnet14", **fields).settings
        assert (settings.lr, settings.decay_bn) == (row.lr, row.decays)
    recipe = experiments.experiment("ablation_recipe").variants
    assert all(fields == found[name] for name, fields in recipe.items() if name in found) and len(set(recipe) & set(found)) == 6


def test_stored_runs_are_counted_as_elsewhere():
    runs = experiments.runs("why_off", "short", ["resnet14"])
    found = analysis.off(runs)
    small = analysis.small_gammas(analysis.gammas(runs))
    assert found[found.measure == "gamma"]["mean"].tolist() == small["mean"].tolist()
    silent = found[(found.measure == "relu") & (found.lr == 1.0)]
    run = store.find(RunSpec("resnet14", recipe="short", lr=1.0))
    assert silent[silent.decays]["mean"].item() == pytest.approx(100 * run.probe("relu")["total"]["off"]["0.99"])
    empty = analysis.off(runs.head(0))
    assert not len(empty) and not len(analysis.accounts(empty, analysis.with_rates(analysis.summarise(runs.head(0)))))


def test_the_figure_draws_both_lines_and_what_decay_alone_does():
    figure = figures.why_off(*DECAYED[:2], analysis.alone)
    figure.canvas.draw()
    gamma, relu, accuracy = figure.axes
    courses = [[list(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) > 2] for ax in (gamma, relu)]
    assert courses[0][:2] == [[1, 1.1, 1.4, 3, 27], [1, 1, 1, 1, 1]]
    assert courses[0][2][-1] == pytest.approx(analysis.alone("gamma", "short", 1.0)) and not np.any(courses[1][2])
    assert any(list(line.get_ydata()) == [10, 10] for line in accuracy.lines)
    assert any(list(line.get_xdata()) == [0.1, 0.1] for line in gamma.lines)
    assert "γ with |γ| < 0.01 with decay, 1 % at 0.01 to 27 % at 1" in figure.alt
    nothing = figures.why_off(DECAYED[0][:1], DECAYED[1][:1], analysis.alone)
    assert nothing.alt.startswith("No two learning rates")


def test_a_run_that_diverged_is_drawn_so():
    shares, accuracy, _ = DECAYED
    gone = accuracy.copy()
    gone.loc[gone.lr == 1.0, ["n", "diverged"]] = [0, 1]
    figure = figures.why_off(shares[shares.lr < 1], gone, analysis.alone)
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[2].texts] == ["diverged"] * 2


def test_the_page_says_what_is_so_and_links_what_it_cites():
    texts = "".join(draw(cells(Path(store.ROOT / "notebooks" / "why_off.ipynb"))))
    assert all(title in texts for title in say.EXPLANATIONS.values())


# What we learned.


def many(values, base=45.0, n=3, recipe="short", sd=0.5):
    """Points of `bn` and of `random:K`."""
    names = {"bn": base, **{f"random:{k}": value for k, value in values.items()}}
    frame = pd.DataFrame({"variant": list(names), "trainable": list(names), "mean": [float(v) for v in names.values()]})
    frame = frame.assign(network="ResNet-14", depth=14, width=1, recipe=recipe, n=n, sd=sd if n > 1 else np.nan, diverged=0)
    return frame.assign(each=[(m,) * n for m in frame["mean"]], seeds=[tuple(range(n))] * len(frame))


@pytest.mark.parametrize(
    "values, n, says",
    [
        ({}, 3, ""),
        ({2: 30}, 3, "Two random weights a channel give 30.0 % in ResNet-14 after 16 epochs, still 15.0 points less than γ and β. No other number has been tried."),
        ({1: 20, 2: 30, 16: 40}, 3, "16 random weights a channel give 40.0 % in ResNet-14 after 16 epochs, still 5.0 points less than γ and β. Tried: 1, 2 and 16."),
        ({2: 30, 4: 38, 8: 45, 16: 52}, 3, "Four random weights a channel give less (38.0 %) than γ and β (45.0 %), 16 (52.0 %) more; eight (45.0 %) cannot be told from them, in ResNet-14 after 16 epochs. Tried: 2, 4, 8 and 16."),
        ({1: 45.2, 2: 50}, 3, "One random weight a channel already cannot be told from γ and β, in ResNet-14 after 16 epochs. Tried: 1 and 2."),
        ({2: 60, 4: 70}, 3, "γ and β give 45.0 %, two (60.0 %) and four (70.0 %) more, in ResNet-14 after 16 epochs. Tried: 2 and 4."),
        ({1: 45.2, 2: 60}, 3, "One random weight a channel already cannot be told from γ and β, in ResNet-14 after 16 epochs. Tried: 1 and 2."),
        ({1: 30, 2: 60}, 3, "One random weight a channel gives less (30.0 %) than γ and β (45.0 %), two (60.0 %) more, in ResNet-14 after 16 epochs. Tried: 1 and 2."),
        ({1: 30}, 3, "One random weight a channel gives 30.0 % in ResNet-14 after 16 epochs, still 15.0 points less than γ and β. No other number has been tried."),
        ({2: 30}, 1, "Two random weights a channel give 30.0 % in ResNet-14 after 16 epochs, γ and β 45.0 %, one run each. No other number has been tried."),
    ],
)  # fmt: skip
def test_how_many_random_weights_are_worth_gamma_and_beta(values, n, says):
    found = say.as_many(many(values, n=n))
    assert plain(found) == says and found.verdict == "not judged"


def test_the_papers_other_start_is_one_that_gains_as_much_or_none():
    reference = paper.alternate()
    assert reference.set_index("network").gain["ResNet-14"] == pytest.approx(50.7 - 48.3) and len(reference) > 5
    own = many({1: 47.5, 2: 45.1}).replace({"random:1": "γ = 1", "random:2": "weights binary"})
    assert plain(say.alternate(own, "bn", reference)).endswith("here γ = 1 may be it.")
    assert plain(say.alternate(own[own.variant != "γ = 1"], "bn", reference)).endswith("none tried here gains that for sure.")
    assert plain(say.alternate(own[:1], "bn", reference)).endswith("over its networks.")


def test_whether_a_variant_differs():
    assert say.differ(many({1: 47.5}), "bn", better=True) == "yes" and say.differ(many({1: 42}), "bn", better=True) == "no"
    assert say.differ(many({1: 42}), "bn") == "yes" and say.differ(many({1: 45.2}), "bn") == "no"
    assert say.differ(many({1: 47}, n=1), "bn") == "not judged" and say.differ(many({}), "bn") == "not judged"
    assert say.differ(many({}).head(0), "bn") == "not trained" == say.as_many(many({}).head(0)).verdict


def test_every_question_is_answered_by_the_runs_or_says_that_there_are_none(monkeypatch):
    found = questions.answers(questions.LEARNED)
    assert list(found) == [*questions.LEARNED] and all(one.text for one in found.values())
    assert [question.asks for question, one in found.items() if not one.verdict] == [
        one.asks for one in questions.LEARNED if one.open
    ]
    settled = {one.number: one.found for one in claims.settle()}
    for number in (2, 5, 8, 9):
        assert any(one.text == settled[number].text or not settled[number] for one in found.values()), number
    text = questions.listing(questions.answers(questions.LEARNED, [1, 5]))
    assert text.count("\n- ") == 1 and "(fig2_depth.ipynb)" in text and "[Why do features go off?](why_off.ipynb)" in text
    assert all((store.ROOT / "notebooks" / f"{page}.ipynb").exists() for one in questions.LEARNED for page in one.pages)
    monkeypatch.setattr("bnlib.store.runs.all_runs", lambda: [])
    none = questions.answers(questions.LEARNED)
    assert {one.verdict for one in none.values()} == {"not trained"}
    some = dict(zip(none, [*list(none.values())[:-1], say.Statement("", "yes")], strict=True))
    assert questions.count(some) == "Eleven questions. There are runs for one of them."
    assert questions.count(dict.fromkeys(none, say.Statement("", "yes"))) == "Eleven questions. There are runs for each."
    assert questions.count(none) == "Eleven questions. There are runs for none of them."


def test_the_paper_stands_in_the_question_about_small_gammas_once():
    text, theirs = plain(questions.answers(questions.LEARNED, [4])[questions.LEARNED[3]]), paper.small_gammas()
    assert text.count(f"{theirs.set_index('trainable').value['bn']:.0f}") == 1, text
    everything = plain(say.quoted(theirs, theirs[theirs.trainable == "bn"].assign(recipe="paper")))
    assert everything == "The paper has 9 % with everything trained, as others quote it, presumably for ResNet-110."
    assert plain(say.quoted(theirs, theirs.assign(recipe="short"))).startswith("The paper has 27 % with γ and β trained and 9")
    assert not say.quoted(theirs, theirs.assign(recipe="paper"))


def test_a_question_that_is_none_is_refused():
    with pytest.raises(ValueError, match="numbers 12: a whole number from 1 to 11"):
        cells(store.ROOT / "notebooks" / "learned.ipynb", numbers=[12])
