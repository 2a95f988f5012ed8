"""In how few bytes a network is kept: every byte by hand, the numbers that come back, and what the chapter says of them."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bnlib import RunSpec, build, data, evaluate, experiments, freeze, run, store, training
from bnlib.engine import probes
from bnlib.engine.quantised import NAME, SEED, _channels, _levels, kept, quantised
from bnlib.report.beyond import critique, equal_bytes, small
from bnlib.report.statements import Statement
from bnlib.report.statements.grammar import in_bytes
from bnlib.spec.choices import FORMATS
from bnlib.store import form, verification


def trained(name="wrn8-0.25", trainable="bn", seed=0, **how):
    """A network as if trained: γ, β and statistics are of no layer's beginning, and some of each are hard to keep."""
    model, random = build(name, seed, **how), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for bn in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
            for tensor in (bn.weight, bn.bias, bn.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=random))
            bn.running_var.copy_(torch.rand(bn.running_var.shape, generator=random) + 0.1)
            bn.weight[0] = 0
    return freeze(model, trainable, seed).eval()


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_a_seeds_bytes_by_hand():
    model = trained()  # 4, 8 and 16 features: 3 convolutions of 4, 3 of 8 and a shortcut's, as many of 16
    features, layers = 3 * 4 + 3 * 8 + 3 * 16, 9
    assert kept(model, "fp32")[1] == NAME + SEED + 2 * features * 4
    assert kept(model, "fp16")[1] == NAME + SEED + 2 * features * 2
    assert kept(model, "int8")[1] == NAME + SEED + 2 * features + layers * 2 * (2 + 2)  # a first level and a distance, each fp16


def test_a_fully_trained_networks_bytes_by_hand():
    model, features = trained(trainable="all"), 84
    weights = 27 * 4 + 9 * (2 * 4 * 4 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 4 * 8 + 8 * 16
    assert kept(model, "fp32")[1] == NAME + 4 * (weights + features + 160 + 10)
    assert kept(model, "fp16")[1] == NAME + 2 * (weights + features + 160 + 10)
    assert kept(model, "int8")[1] == NAME + weights + 160 + 2 * (features + 10) + 2 * (features + 10)  # a step each; shifts in fp16


@pytest.mark.parametrize(
    ("trainable", "more"),
    [
        ("gamma", {"fp32": 0, "fp16": 0, "int8": 0}),
        ("none", {"fp32": 0, "fp16": 0, "int8": 0}),
        ("bn+output", {"fp32": 680, "fp16": 340, "int8": 160 + 20 + 20}),
        ("random:2", {"fp32": 84 * 8, "fp16": 84 * 4, "int8": 84 * 2 + 9 * 4}),
        # The shortcuts' weights in the place of the scales of their 24 features.
        ("bn+shortcut", {"fp32": 4 * (160 - 24), "fp16": 2 * (160 - 24), "int8": 160 + 2 * 24 - 24 - 2 * 4 + (2 - 1) * 24 - 2 * 4}),
    ],
)
def test_what_else_was_trained_is_counted(trainable, more):
    alone, model = trained(), trained(trainable=trainable)
    assert {form: kept(model, form)[1] - kept(alone, form)[1] for form in FORMATS} == more


def test_a_network_without_a_seed_pays_for_none():
    own, all_but = trained(trainable="all"), trained(trainable="all-bn")
    assert kept(own, "fp32")[1] == kept(all_but, "fp32")[1]  # γ and β go into the weights
    some = kept(trained(trainable="features+shortcut+bn"), "fp32")[1]  # the output layer comes from the seed
    assert some == kept(own, "fp32")[1] - 4 * 170 + SEED


@pytest.mark.parametrize("trainable", ["bn", "all", "random:2", "bn+output", "none"])
@pytest.mark.parametrize("name", ["wrn8-0.25", "vgg11"])
def test_in_fp32_it_computes_what_the_network_does(name, trainable):
    model, x = trained(name, trainable), torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = {}
    with torch.no_grad():
        due = model(x)
        for form_ in FORMATS:
            found[form_] = ((kept(model, form_)[0](x) - due).abs().max() / due.abs().max()).item()
    assert found["fp32"] < 1e-5 < found["fp16"] < 2e-2 and found["fp16"] < found["int8"] < 0.5


@pytest.mark.parametrize("kind", [_levels, _channels])
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1, 300])
def test_eight_bits_are_at_most_half_a_step_off(kind, scale):
    values = scale * np.random.RandomState(0).randn(7, 3, 3, 3)
    values = values[:, 0, 0, 0] if kind is _levels else values
    back, size = kind(values, "int8")
    if kind is _levels:
        steps = (values.max() - values.min()) / 255
        assert size == values.size + 4
    else:
        steps = abs(values).reshape(7, -1).max(1).reshape(7, 1, 1, 1) / 127
        assert size == values.size + 2 * 7
    back = back.reshape(values.shape)
    # A step in fp16 is that much longer; and fp16 has no smaller one than 2⁻²⁴.
    assert (abs(back - values) <= 0.5 * np.maximum(steps * 1.02, 2**-23)).all()
    assert len(np.unique(back)) > 2 or scale < 1e-4


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, 0.1), np.array([3.0])])
def test_numbers_that_are_all_alike_come_back(values):
    assert np.allclose(_levels(values, "int8")[0], values, rtol=1e-3, atol=1e-7)
    assert np.allclose(_channels(values[:, None], "int8")[0], values[:, None], rtol=1e-2)


@pytest.mark.parametrize("far", [-1e5, 1e5, 1e30])
def test_a_number_that_fp16_has_not_is_the_last_that_it_has(far):
    values = np.array([0.5, -0.25, far])
    for form_ in ("fp16", "int8"):
        back = _levels(values, form_)[0]
        assert np.isfinite(back).all() and abs(back[2]) > 6e4 and np.sign(back[2]) == np.sign(far)
    assert np.isfinite(_channels(values[:, None], "int8")[0]).all()


def test_a_network_that_began_from_another_is_not_asked_how_small_it_is():
    assert "quantised" not in RunSpec("resnet8", pretrained="digits").probes
    assert "quantised" in RunSpec("resnet8").probes


def test_the_network_is_left_as_it_was(digits):
    for trainable in ("bn", "all", "random:2"):
        model = trained(trainable=trainable).train()
        before, eps = copy.deepcopy(model.state_dict()), model.bn.eps
        found = quantised(model, digits, images=50)
        after = model.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before) and model.bn.eps == eps and model.training
        assert list(found) == list(FORMATS) and form.probes({"quantised": found}) == []


def test_accuracy_in_fp32_is_that_of_the_run(tiny, digits):
    made = run(tiny(trainable="bn+output", epochs=2))
    found = probes.probe(made.model(), digits, made.spec, names=("quantised",))["quantised"]
    assert found["fp32"]["accuracy"] == pytest.approx(made.accuracy, abs=0.011)  # an image of 100, at most


def test_a_stored_run_is_asked_and_verified(tiny, digits, monkeypatch):
    made = run(tiny())
    monkeypatch.setattr(training.together.data, "load", lambda *_: digits)
    training.ask([made], names=("quantised",))
    again = store.load(made.id)
    assert set(again.probes) == {"quantised"} and verification.verify(again) == []
    assert again.probe("quantised")["fp32"]["accuracy"] == pytest.approx(evaluate(made.model(), digits, images=100)[0], abs=0.011)


def test_what_cannot_be_folded_is_refused():
    lacking = build("resnet8")
    lacking.bn = nn.Identity()
    with pytest.raises(ValueError, match="not every convolution of this network has a BatchNorm of its own"):
        kept(lacking, "fp32")
    more = freeze(build("resnet8"), "bn")
    more.extra = nn.PReLU()
    with pytest.raises(ValueError, match="extra.weight learns, and is neither"):
        kept(more, "fp32")


RIGHT = {form_: {"bytes": size, "accuracy": 0.5} for form_, size in zip(FORMATS, (400, 200, 120), strict=True)}


@pytest.mark.parametrize(
    "wrong",
    [
        {name: RIGHT[name] for name in ("fp32", "fp16")},
        RIGHT | {"int4": RIGHT["int8"]},
        RIGHT | {"int8": {"bytes": 120}},
        RIGHT | {"int8": {"bytes": 120.5, "accuracy": 0.5}},
        RIGHT | {"int8": {"bytes": 0, "accuracy": 0.5}},
        RIGHT | {"int8": {"bytes": 120, "accuracy": 1.5}},
        RIGHT | {"int8": {"bytes": 120, "accuracy": float("nan")}},
        RIGHT | {"int8": [120, 0.5]},
        RIGHT | {"fp32": {"bytes": 200, "accuracy": 0.5}},
    ],
)
def test_the_form_refuses_what_cannot_be(wrong):
    assert form.probes({"quantised": RIGHT}) == []
    assert len(form.probes({"quantised": wrong})) == 1


# What the chapter says.


def points(seeds: dict, dense: dict, recipe="short", n=3, apart=0.2):
    """As of `equal_bytes.kept`: of ResNets from a seed and of fully trained WRN-14-W how many bytes at 8 bits, and the accuracy."""
    rows = []
    for way, own in (("bn", seeds), ("all", dense)):
        for number, (size, mean) in own.items():
            depth, width = (number, 1) if way == "bn" else (14, number)
            network = f"ResNet-{depth}" if width == 1 else f"WRN-14-{width}"
            for times, form_ in ((4, "fp32"), (2, "fp16"), (1, "int8")):
                each = tuple(mean + apart * k for k in range(-(n // 2), n - n // 2))
                row = dict(network=network, depth=depth, width=width, variant=way, trainable=way, recipe=recipe, format=form_)
                sd = np.std(each, ddof=1) if n > 1 else np.nan
                rows.append(
                    {**row, "bytes": times * size, "mean": np.mean(each), "sd": sd, "n": n, "each": each, "seeds": range(n)}
                )
    return pd.DataFrame(rows)


DENSE = {0.0625: (1_000, 30.0), 0.25: (10_000, 50.0), 0.5: (100_000, 80.0)}


def test_both_sides_are_compared_in_the_format_that_is_asked_for():
    own = points({14: (2_500, 38.0)}, DENSE)
    alike = [equal_bytes.at_equal_bytes(own, form, form).iloc[0] for form in ("fp32", "fp16", "int8")]
    assert [(row.format, row.format_less) for row in alike] == [(form, form) for form in ("fp32", "fp16", "int8")]
    assert len({round(row.difference, 9) for row in alike}) == 1, "four bytes a number on both sides: as with one on both"
    mixed = equal_bytes.at_equal_bytes(own, "fp32", "int8").iloc[0]
    assert (mixed.format, mixed.format_less) == ("fp32", "int8") and mixed.less == pytest.approx(50.0)
    assert {"seed's format", "the other's"} <= set(small.compared_table(own).data.columns)


def test_at_equal_bytes_the_better_format_counts_and_lies_between_two_networks():
    found = equal_bytes.at_equal_bytes(points({14: (1_000 * 10**0.5, 45.0)}, DENSE)).iloc[0]
    assert found.format == "int8" and found.less == pytest.approx(40.0) and found.difference == pytest.approx(5.0)
    assert found.smaller == "WRN-14-0.0625" and found.p < 0.05
    better = equal_bytes.at_equal_bytes(points({14: (1_500, 45.0), 32: (2_000, 47.0)}, DENSE))
    assert list(better.format) == ["int8"] * 2, "nobody keeps a seed in more bytes that another one beats with fewer"
    worse = equal_bytes.at_equal_bytes(points({14: (500, 30.0), 32: (1_500, 45.0)}, DENSE))
    assert list(worse.network) == ["ResNet-32"], "ResNet-14 at 32 bits would be compared, at 2,000 bytes"
    assert not len(equal_bytes.at_equal_bytes(points({14: (100, 45.0)}, DENSE)))  # at 4 × 100 bytes too there is nothing beside it


@pytest.mark.parametrize(
    ("seeds", "verdict", "of", "judged"),
    [
        (
            {14: (1_500, 45.0), 32: (10_000, 60.0)},
            "yes",
            "",
            "For such a seed the critique does not hold here, up to 10\u00a0kB: of the two seeds compared, the gap is the other",
        ),
        (
            {14: (1_500, 15.0), 32: (10_000, 35.0)},
            "no",
            "",
            "For such a seed the critique holds here at some sizes only: of the two",
        ),
        ({14: (10_000, 35.0)}, "no", "", "15.0\u00a0points behind. For such a seed the critique holds here."),
        (
            {14: (1_500, 45.0), 32: (10_000, 46.0)},
            "no",
            "at 1 of 2 sizes",
            "the gap is smaller at one and the other way round at one.",
        ),
        (
            {14: (10_000, 50.1)},
            "too close",
            "",
            "For such a seed the critique does not hold here, up to 10\u00a0kB: the gap is smaller.",
        ),
    ],
)
def test_the_answer(seeds, verdict, of, judged):
    own = points(seeds, DENSE)
    found = small.answer(own)
    assert (found.verdict, found.of) == (verdict, of)
    assert found.text.startswith("After 16\u00a0epochs a seed with γ and β reaches ") and found.text.endswith(".")
    assert judged in critique.judged(own).text


def test_what_cannot_be_told_does_not_confirm_the_critique():
    said = lambda *own: critique.judged(pd.concat(own)).text  # noqa: E731
    assert "Whether the critique holds here cannot be told." in said(points({14: (10_000, 35.0)}, DENSE, apart=15))
    assert "Whether the critique holds here cannot be told." in said(points({14: (10_000, 35.0)}, DENSE, n=1))
    scattered, sure = points({14: (1_500, 33.5)}, {}, apart=8), points({32: (10_000, 45.0)}, DENSE)
    assert "of the two seeds compared, the gap is smaller at one and not clear at one." in said(scattered, sure)


def test_sizes_at_which_the_critique_cannot_be_told_are_not_said_to_refute_it():
    scattered, sure = points({32: (10_000, 36.0)}, {}, apart=8), points({14: (1_500, 33.5)}, DENSE)
    said = critique.judged(pd.concat([scattered, sure])).text
    assert "For such a seed the critique does not hold here at some sizes, and at others it cannot be told: of the two" in said
    right = points({14: (1_500, 18.5)}, DENSE)
    said = critique.judged(pd.concat([scattered, right])).text
    assert "For such a seed the critique holds here at some sizes: of the two" in said


def test_a_seed_that_is_not_rounded_is_held_against_the_critique_apart():
    own = points({14: (1_500, 38.0), 32: (2_500, 44.0)}, {0.0625: (1_000, 30.0), 0.25: (1_800, 58.0), 0.5: (100_000, 62.0)})
    said = critique.judged(own).text.replace("\u00a0", " ")
    assert "After 16 epochs it is, both rounded to 8 bits, 11.3 to 14.3 points behind" in said
    both, mixed = said.split(" With ")[1:]
    assert both == "both in 32 bits it is 11.3 to 14.3 points behind: as the critique says, at one of two sizes."
    assert mixed.startswith("the seed in 32 bits and the dense network in 8 bits it is 15.7 to 21.2 points behind: as the critique")
    assert mixed.endswith("as the critique says, or more.")
    said = critique.judged(points({14: (1_500, 45.0)}, DENSE)).text.replace("\u00a0", " ")
    assert "it is 0.6 points behind: less than the critique says." in said


def test_the_size_from_which_a_seed_is_behind_is_named_and_a_single_run_there_is_said():
    own = points({14: (1_500, 33.5), 32: (10_000, 42.0)}, DENSE)
    once = own.network == "ResNet-32"
    own.loc[once, ["n", "sd"]] = [1, np.nan]
    found = small.answer(own)
    assert found.of == "at 1 of 2 sizes, open at 1"
    assert found.text.endswith(". From 10\u00a0kB on it is behind (n\u00a0=\u00a01 to 3).")


def test_a_seed_that_is_ahead_at_first_and_behind_later_says_up_to_where():
    found = small.answer(points({14: (1_500, 45.0), 32: (10_000, 46.0)}, DENSE))
    assert found.text.endswith("against about 50.0\u00a0%. It is ahead up to 1.5\u00a0kB.")
    found = small.answer(points({14: (1_500, 15.0), 32: (10_000, 60.0)}, DENSE))
    assert found.text.endswith("against about 50.0\u00a0%. It is ahead at 10\u00a0kB.")
    own = points({14: (1_500, 45.0), 32: (2_500, 46.0), 56: (5_000, 55.0), 110: (10_000, 56.0), 218: (50_000, 57.0)}, DENSE)
    own.loc[own.network == "ResNet-32", ["sd", "mean"]] = [9.0, 45.1]
    rows = equal_bytes.at_equal_bytes(own)
    open_ = rows.bytes[~(rows.p < 0.05)]
    assert len(open_) == 1 and open_.item() == 2_500 and rows.difference.iloc[-1] < 0 < rows.difference.iloc[2], (
        "else this asks nothing"
    )
    assert "It is ahead at 1.5\u00a0kB" in small.answer(own).text, "what is open in between is not said to be ahead"


def test_one_run_each_gives_no_order_and_nothing_to_compare_no_answer():
    assert small.answer(points({14: (1_500, 45.0)}, DENSE, n=1)).verdict == "not judged"
    assert small.answer(points({14: (1_500, 45.0)}, {})) == Statement("", "not judged")
    empty = equal_bytes.kept(experiments.runs("beyond_bytes").head(0))
    assert small.answer(empty) == Statement("", "not trained") and not critique.judged(empty)
    assert not small.rounding(empty) and small.figure(empty).alt == "No network has been asked yet."


def test_a_seed_that_a_smaller_one_beats_is_named_where_it_lies_behind():
    own = points({14: (1_500, 25.0), 32: (10_000, 20.0)}, DENSE)
    assert list(equal_bytes.beaten(own).network.unique()) == ["ResNet-32"]
    said = critique.judged(own).text.replace("\u00a0", " ")
    assert said.endswith(" ResNet\u201132 is not among them, as a smaller seed reaches as much: in 10 kB it is 30.0 points behind.")
    alone = own[own.network != "ResNet-32"]
    assert "not among" not in critique.judged(alone).text


def test_seeds_trained_longer_than_any_narrow_network_are_compared_with_nothing():
    short, long = points({14: (1_500, 45.0)}, DENSE), points({14: (1_500, 50.0), 32: (2_000, 55.0)}, {}, recipe="paper")
    said = small.longer(pd.concat([short, long])).text.replace("\u00a0", " ")
    assert said.startswith("After 160 epochs a seed reaches up to 55.0 % in 2 kB; narrow networks have not been trained so long")
    assert not small.longer(short) and not small.longer(points({14: (1_500, 50.0)}, DENSE, recipe="paper"))


def test_recipes_are_not_mixed():
    own = pd.concat([points({14: (1_500, 45.0)}, DENSE), points({14: (1_500, 50.0)}, {0.25: (10_000, 60.0)}, recipe="paper")])
    assert set(equal_bytes.at_equal_bytes(own).recipe) == {"short"}  # at `paper` there is one network trained as a whole
    assert len(small.figure(own).axes) == 2


def test_rounding_and_work_are_said_in_numbers():
    own = points({110: (10_000, 60.0)}, DENSE)
    own.loc[(own.format == "int8") & (own.variant == "all"), "mean"] -= 1.5
    own.loc[(own.format == "int8") & (own.variant == "bn"), "mean"] -= 0.01
    said = small.rounding(own).text
    assert said.endswith("cost no accuracy of a seed with γ and β and at most 1.5\u00a0points of a fully trained network.")
    row = pd.Series({"depth": 110, "width": 1})
    assert equal_bytes.multiplications(row) == pytest.approx(253e6, rel=0.01)
    assert "253 million multiplications an image, where WRN\u201114\u20110.25" in small.work(own).text


@pytest.mark.parametrize(
    ("count", "said"), [(939, "939 bytes"), (1_264, "1.3 kB"), (1_000, "1 kB"), (177_800, "178 kB"), (2.5e6, "2.5 MB")]
)
def test_sizes_are_said_short(count, said):
    assert in_bytes(count) == said.replace(" ", "\u00a0")
