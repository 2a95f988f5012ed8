"""What stands in BatchNorm's place: GroupNorm, LayerNorm, InstanceNorm; and what a run of such a network is, from spec to page."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import bnlib
from bnlib import RunSpec, data, engine, experiments, models, seeds, store
from bnlib.cli import main
from bnlib.report.beyond import norms
from bnlib.spec import canonical
from bnlib.spec.choices import NORMALISATIONS
from bnlib.store import form, networks, seedfile
from bnlib.store.verification import verify
from bnlib.training import costs

OTHERS = [name for name in NORMALISATIONS if name != "batch"]


@pytest.mark.parametrize("norm", OTHERS)
@pytest.mark.parametrize("name", ["resnet14", "wrn14-2"])
def test_it_has_as_many_parameters_and_the_same_numbers_as_with_batchnorm(name, norm):
    batch, other = bnlib.build(name, seed=3), bnlib.build(name, seed=3, norm=norm)
    assert models.checksum(other) == models.checksum(batch), "weights, γ and β, by the same names"
    counts, theirs = bnlib.count(bnlib.freeze(other, "norm")), bnlib.count(batch)
    kind = NORMALISATIONS[norm]
    assert counts["trainable"] == counts["norm"] == counts[kind] == theirs["bn"] and counts["bn"] == counts["gamma"] == 0
    assert [counts[group] for group in ("total", "features", "shortcut", "output")] == [
        theirs[group] for group in ("total", "features", "shortcut", "output")
    ]
    assert not list(other.buffers()), "no statistics"
    gamma = seeds.gamma(3, "segments.1.0.shortcut.1", len(other.segments[1][0].shortcut[1].weight))
    assert np.array_equal(other.segments[1][0].shortcut[1].weight.detach().numpy(), gamma)
    ones = bnlib.build(name, norm=norm, bn_init="oneone")
    assert all((p == 1).all() for one in ones.modules() if hasattr(one, "eps") for p in one.parameters())


@pytest.mark.parametrize("norm, groups", [("group", 8), ("layer", 1), ("instance", None)])
def test_it_computes_what_it_is_called(norm, groups):
    """Against the formula, layer by layer, in fp64; in training mode and in evaluation mode."""
    model = bnlib.build("resnet14", seed=1, norm=norm).double()
    found = []

    def check(layer, inputs, output):
        (x,) = inputs
        n, features, *pixels = x.shape
        parts = x.reshape(n, groups or features, -1)
        mean, var = parts.mean(2, keepdim=True), parts.var(2, unbiased=False, keepdim=True)
        own = ((parts - mean) / torch.sqrt(var + 1e-5)).reshape(x.shape)
        own = own * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
        found.append(torch.allclose(own, output, atol=1e-9))

    for module in model.modules():
        if hasattr(module, "eps"):
            module.register_forward_hook(check)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        first = model.train()(x)
        alone = model.eval()(x[:1])
    assert len(found) == 2 * 15 and all(found)
    assert torch.allclose(first[:1], alone, atol=1e-9), "an image is treated alike, whatever other images there are"


def test_behind_the_last_instancenorm_a_feature_has_the_same_mean_in_every_image():
    """As the page says: the average pool alone would tell no image from another."""
    model = bnlib.build("resnet14", norm="instance")
    last, seen = model.segments[2][1].bn2, []
    with torch.no_grad():
        last.bias.copy_(torch.randn(64))
        last.register_forward_hook(lambda _module, _inputs, output: seen.append(output.mean((2, 3))))
        scores = model(torch.randn(5, 3, 32, 32) * torch.tensor([0.1, 0.5, 1, 2, 5.0]).view(-1, 1, 1, 1))
    assert torch.allclose(seen[0], last.bias.expand(5, -1), atol=1e-5) and scores.std(0).min() > 1e-3, "but for what comes behind"


def test_groups_divide_the_features():
    assert {models.networks.normalisation("group", f).num_groups for f in (16, 32, 64, 48)} == {8}
    assert models.networks.normalisation("group", 4).num_groups == 4 and models.networks.normalisation("group", 12).num_groups == 4


def test_what_a_spec_says():
    spec = RunSpec("resnet14", "norm", norm="group")
    assert (
        spec.id.startswith("resnet14_norm_paper_seed0-") and spec.kind == "gn" and spec.text.startswith("model=resnet14 norm=group")
    )
    assert RunSpec("resnet14", "norm", norm="batch").id == "resnet14_bn_paper_seed0-3c3e6a91", "as before there was a norm"
    assert len({RunSpec("resnet14", "norm", norm=norm).id for norm in NORMALISATIONS}) == 4
    for said, spelt in (("gn", "norm"), ("output+norm", "norm+output"), ("norm+shortcut+features+output", "all"), ("all", "all")):
        assert RunSpec("resnet14", said, norm="group").trainable == spelt
    for said, spelt in (
        ("random:2+norm", "norm+random:2"),
        ("none", "none"),
        ("features+output+shortcut", "features+shortcut+output"),
    ):
        assert RunSpec("resnet14", said, norm="instance").trainable == spelt == canonical(spelt, kind="in")
    assert not RunSpec("resnet14", "all", norm="layer").redrawn and RunSpec("resnet14", "norm+random:3", norm="layer").redrawn


@pytest.mark.parametrize(
    "fields, line",
    [
        ({"trainable": "bn"}, "trainable 'bn': resnet14 with norm 'group' has no BatchNorm; .* nearest: norm$"),
        ({"trainable": "gamma+output"}, "has no BatchNorm; .* nearest: norm\\+output$"),
        ({"trainable": "all-bn"}, "has no BatchNorm; .* nearest: features\\+shortcut\\+output$"),
        ({"trainable": "ln"}, "has no group 'ln'; .* nearest: norm$"),
        ({"trainable": "norm", "sync_bn": True}, "sync_bn True: .* has no BatchNorm, .* nearest: False$"),
        ({"trainable": "norm", "norm": "grup"}, "norm 'grup': use one of batch, group, layer, instance; did you mean 'group'"),
        ({"trainable": "norm", "norm": ["group"]}, "norm \\['group'\\]: use one of"),
        ({"model": "vgg11", "trainable": "norm"}, "norm 'group': vgg11 has BatchNorm alone; .* nearest: batch$"),
        ({"model": "imagenet-resnet18", "trainable": "norm"}, "norm 'group': imagenet-resnet18 has BatchNorm alone"),
        ({"trainable": "norm+random:10000"}, "K is larger than the smallest filter"),
    ],
)
def test_what_a_network_has_not_is_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line) as error:
        RunSpec(**{"model": "resnet14", "norm": "group", **fields})
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="'ln' is of networks with other normalisation; resnet14 has BatchNorm alone; nearest: bn"):
        RunSpec("resnet14", "ln")
    with pytest.raises(ValueError, match="norm 'group': keras-resnet50 has BatchNorm alone"):
        bnlib.build("keras-resnet50", norm="group")


def test_the_command_line_takes_it(tiny):
    done = CliRunner().invoke(main, ["run", "resnet8", "--norm", "groop"])
    assert done.exit_code == 2 and "did you mean 'group'" in done.output
    done = CliRunner().invoke(main, ["run", "resnet8", "--norm", "group"])
    assert done.exit_code == 1 and "nearest: norm" in done.output and len(done.output.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A stored run of each, with its output layer too, of another with everything, and the network as it was trained."""
    folder, digits = tmp_path_factory.mktemp("runs"), data.load("digits")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNLIB_RUNS", str(folder))
        for norm in OTHERS:
            for trainable in ("norm+output", "all"):
                spec = RunSpec("resnet8", trainable, "smoke", "digits", norm=norm, precision="fp32")
                spec = replace(spec, train_images=160, test_images=100, batch_size=64)
                found[norm, trainable] = bnlib.run(spec, progress=False)
        yield found, digits


@pytest.mark.parametrize("norm", OTHERS)
def test_a_run_is_stored_and_its_network_comes_back(trained, norm, tmp_path):
    runs, digits = trained
    run = runs[norm, "norm+output"]
    assert verify(run) == [] and verify(run, digits) == [] and verify(runs[norm, "all"]) == []
    assert set(run.tensors) == {f"{layer}.{kind}" for layer in [*run.gamma, "output"] for kind in ("weight", "bias")}
    layers = ["bn", *(f"segments.{i}.0.{one}" for i in range(3) for one in ("bn1", "bn2", "shortcut.1")[: 3 if i else 2])]
    assert list(run.gamma) == list(run.beta) == layers == list(runs[norm, "all"].gamma)
    moved = [np.abs(gamma - seeds.gamma(0, layer, len(gamma))).max() for layer, gamma in run.gamma.items()]
    assert min(moved) > 1e-4 and run.info["counts"]["trainable"] == run.info["counts"]["norm"] + 650
    model, fresh = run.model(), networks.draw(run.spec, 10).eval()
    assert all(
        torch.equal(p, q)
        for (name, p), (_, q) in zip(model.named_parameters(), fresh.named_parameters(), strict=True)
        if "conv" in name
    )
    assert engine.evaluate(model, digits, images=100)[0] == run.accuracy
    file = seedfile.export(run, tmp_path / "small.st")
    spec, again = seedfile.load(file)
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert spec == run.spec and torch.equal(again(x), model(x))
    assert abs(file.stat().st_size - seedfile.sizes(run.spec)[1]) < 40
    assert set(seedfile._parts(run.spec, 10)) == {"gamma", "beta", "output.weight", "output.bias"}
    with pytest.raises(store.StoreError, match="its convolutions were trained"):
        seedfile.export(runs[norm, "all"], tmp_path / "other.st")


def test_batches_of_the_trainer_end_no_process_and_it_learns(tiny):
    """Channels last, a frozen stem: PyTorch's own GroupNorm crashes there on a CPU."""
    spec = replace(tiny(norm="group", trainable="norm+output"), train_images=1400, test_images=360, batch_size=32, epochs=8)
    run = bnlib.run(spec, progress=False)
    assert run.accuracy > 0.25 and run.history.train_loss.iloc[-1] < run.history.train_loss.iloc[0]
    for norm in OTHERS:
        model = bnlib.freeze(bnlib.build("resnet8", norm=norm), "norm").to(memory_format=torch.channels_last)
        x = torch.randn(16, 3, 32, 32).to(memory_format=torch.channels_last)
        model(x).square().sum().backward()
        assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("norm", OTHERS)
def test_its_network_can_be_asked(trained, norm):
    run, digits = trained[0][norm, "norm+output"], trained[1]
    some = replace(run.spec, test_images=50, train_images=50)
    asked = engine.probe(run.model(), digits, some, names=("relu", "train"))
    assert len(asked["relu"]["layers"]) == 7 and 0.2 < asked["relu"]["total"]["zero"] < 0.9 and not form.probes(asked)
    curve = engine.probes.clamping(run.model(), digits, thresholds=(0.0, 0.5, 2.0), images=50)
    assert curve["share"][0] == 0 and 0.3 < curve["share"][1] < 0.7 and curve["share"][2] == 1
    assert curve["accuracy"][0] == engine.evaluate(run.model(), digits, images=50)[0] != curve["accuracy"][2]


def test_what_is_stored_is_read_strictly(trained):
    run = trained[0]["group", "norm+output"]
    about, tensors = run.info, run.tensors
    assert form.layers(tensors, about, "gn") == []
    one = tensors["bn.weight"]
    for changed, line in (
        ({"bn.running_mean": one, "bn.running_var": one}, "bn has running statistics, and no layer is BatchNorm"),
        ({"bn.bias": one[:3]}, "bn does not have weight, bias of one length"),
        ({"bn.weight": one[None]}, "it does not hold the 336 γ that run.json counts"),
        ({"bn.bias": one * np.nan}, "bn.bias is not finite everywhere"),
    ):
        assert any(line in said for said in form.layers(tensors | changed, about, "gn")), line
    missing = {name: value for name, value in tensors.items() if name != "bn.bias"}
    assert form.layers(missing, about, "gn") == ["bn does not have weight, bias of one length"]
    text = json.loads((run.folder / "run.json").read_text())
    for counts, line in (
        ({"in": 0}, "not whole numbers by the names"),
        ({"gamma": 336, "norm": 0}, "and all γ and β of its network are in gn"),
        ({"norm": 2}, "and all γ and β of its network are in gn"),
    ):
        changed = text | {"counts": text["counts"] | counts}
        assert any(line in said for said in form.info(json.dumps(changed).encode(), run.id)[2]), line
    other = text | {"spec": text["spec"] | {"norm": "batch", "trainable": "bn+output"}}
    assert any("not whole numbers by the names" in said for said in form.info(json.dumps(other).encode(), run.id)[2])


def test_it_trains_by_the_plain_step_and_is_priced_apart(trained):
    several = {"steps": 10**6, "sizes": (64,), "depth": 8}
    for norm in OTHERS:
        assert type(engine.make(bnlib.build("resnet8", norm=norm), "fp32", **several)) is engine.Plain
        assert trained[0][norm, "all"].info["engine"] == "plain"
    own, batch = RunSpec("resnet14", "norm", "short", norm="group"), RunSpec("resnet14", "bn", "short")
    assert costs.kind(own) == costs.kind(replace(own, norm="layer")) != costs.kind(batch)
    known = {costs.kind(batch): [costs.Pace(1.0, 2.0)]}
    assert costs.alike(own, known) == costs.alike(batch, known) == known[costs.kind(batch)], "rather than nothing"
    known[costs.kind(own)] = [costs.Pace(1.0, 4.0)]
    assert (
        costs.alike(own, known) == known[costs.kind(own)]
        and costs.alike(replace(own, seed=1, model="vit2", norm="batch"), {}) == []
    )


def test_other_figures_do_not_show_it(tiny, monkeypatch):
    real = store.all_runs()[0]
    specs = [RunSpec("resnet14", trainable, "short", norm="group") for trainable in ("norm", "all")]

    class Stand:
        top5, classes, stamp, fault = real.top5, 10, None, lambda self, whole=False: ""
        info = real.info

        def __init__(self, spec):
            self.spec, self.id, self.folder = spec, spec.id, real.folder.parent / spec.id

    monkeypatch.setattr("bnlib.store.runs.all_runs", lambda: [Stand(spec) for spec in specs])
    found = {name: set(experiments.runs(name).id) for name in experiments.EXPERIMENTS}
    assert {name for name, ids in found.items() if ids} == {"beyond_norms"} and found["beyond_norms"] == {spec.id for spec in specs}
    assert "norm" in bnlib.results().columns


# What the page says, of made-up points.
def points(network="ResNet-14", depth=14, recipe="short", n=3, **means):
    rows = []
    for variant, mean in means.items():
        name = variant.replace("_all", ", everything")
        row = {"network": network, "depth": depth, "width": 1, "variant": name, "recipe": recipe, "mean": float(mean), "n": n}
        row |= {"trainable": "all" if "_all" in variant else "bn" if "Batch" in variant else "norm", "sd": 0.5 if n > 1 else np.nan}
        rows.append({**row, "each": (mean,) * n, "seeds": tuple(range(n)), "diverged": 0})
    return pd.DataFrame(rows)


def answer(summary):
    return norms.answer(norms.against_batch(summary), summary)


def test_batchnorm_is_the_best_only_if_no_other_does_as_well():
    clear = points(BatchNorm=50, GroupNorm=45, LayerNorm=44, InstanceNorm=30)
    said = answer(clear)
    assert said.verdict == "yes" and "alone reach 50.0" in said.text and "GroupNorm, the next best, 45.0" in said.text
    assert answer(points(BatchNorm=50, GroupNorm=55, LayerNorm=44, InstanceNorm=30)).verdict == "no"
    assert answer(points(BatchNorm=50, GroupNorm=49.7, LayerNorm=44, InstanceNorm=30)).verdict == "no", (
        "less, but by less than matters"
    )
    assert answer(points(BatchNorm=50, GroupNorm=48.4, LayerNorm=44, InstanceNorm=30)).verdict in ("too close", "yes")
    some = answer(points(BatchNorm=50, GroupNorm=45, LayerNorm=44))
    assert some.verdict == "not judged" and some.text.endswith("; InstanceNorm has not been tried.")
    once = answer(points(n=1, BatchNorm=50, GroupNorm=45, LayerNorm=44, InstanceNorm=30))
    assert once.verdict == "not judged" and once.text.endswith("one run each.")
    deeper = points("ResNet-32", 32, BatchNorm=60, GroupNorm=64, LayerNorm=50, InstanceNorm=40)
    both = answer(pd.concat([clear, deeper]))
    assert both.verdict == "no" and "64.0" in both.text and "ResNet\u201132" in both.text
    worse = points("ResNet-32", 32, BatchNorm=60, GroupNorm=50, LayerNorm=50, InstanceNorm=40)
    both = answer(pd.concat([clear, worse]))
    assert both.verdict == "yes" and "ResNet\u201132" in both.text
    once = worse.assign(n=[3, 1, 1, 1], sd=[0.5, np.nan, np.nan, np.nan])
    both = answer(pd.concat([clear, once]))
    assert (
        both.verdict == "yes"
        and both.of == "with this recipe"
        and both.text.endswith("; so it is in ResNet\u201132, too (n\u00a0=\u00a01 to 3).")
    )
    assert both.verdict == "yes" and "ResNet\u201114" in both.text, "an order is said of replicates, where there are some"
    part = pd.concat([clear, points("ResNet-32", 32, BatchNorm=60, LayerNorm=50)])
    assert answer(part).verdict == "yes" and "GroupNorm, the next best, 45.0" in answer(part).text, (
        "a network of which a part is there"
    )
    assert "45.0\u00a0% with GroupNorm" in norms.others(norms.against_batch(part)).text
    lost = clear.assign(diverged=[0, 1, 0, 0])
    assert "with GroupNorm diverged" in answer(lost).text and "not been tried" not in answer(lost).text
    assert answer(clear[:0]).verdict == "not trained" and not answer(clear[:1])
    assert not answer(points(recipe="smoke", BatchNorm=50, GroupNorm=45, LayerNorm=44, InstanceNorm=30))


def test_what_cannot_be_told_is_said_of_those_of_which_it_cannot():
    each = {"BatchNorm": 50, "GroupNorm": 46, "LayerNorm": 40, "InstanceNorm": 45.9}
    summary = points(**each).assign(sd=[0.4, 0.4, 3.0, np.nan], n=[3, 3, 3, 1])
    said = answer(summary)
    rows = norms.against_batch(summary).set_index("other")
    assert rows.p["GroupNorm"] < 0.05 < rows.p["InstanceNorm"], "else this asks nothing"
    assert said.verdict == "too close" and "InstanceNorm's reach 45.9" in said.text and "GroupNorm" not in said.text


def test_what_the_others_reach_and_where_the_choice_matters():
    means = {"BatchNorm": 50, "GroupNorm": 45, "LayerNorm": 44, "InstanceNorm": 15}
    summary = points(**means, **{f"{name}_all": 90 - i for i, name in enumerate(means)})
    alone, every = norms.against_batch(summary), norms.against_batch(summary, norms.EVERYTHING)
    assert "45.0\u00a0% with GroupNorm" in norms.others(alone).text and norms.others(alone).text.endswith(
        "not all far above chance."
    )
    one = norms.others(alone[alone.other == "GroupNorm"]).text.replace("\u00a0", " ")
    assert one == "γ and β alone reach 45.0 % with GroupNorm in ResNet\u201114 after 16 epochs: far above chance."
    said = norms.with_everything(alone, every).text.replace("\u00a0", " ")
    assert said == (
        "With everything trained, in ResNet\u201114 after 16 epochs, BatchNorm is ahead, too, of InstanceNorm by 3.0 points (35.0 "
        "with γ and β alone) and of LayerNorm by 2.0 points (6.0); GroupNorm cannot be told from it."
    )
    other = points(**means, **{f"{name}_all": mean for name, mean in zip(means, (90, 91, 70, 92), strict=True)})
    said = norms.with_everything(norms.against_batch(other), norms.against_batch(other, norms.EVERYTHING)).text
    assert "ahead, too, of LayerNorm by 20.0" in said and said.endswith("GroupNorm and InstanceNorm do as well or better.")
    said = norms.with_everything(alone, every.assign(difference=[0.1, 5.0, 1.0], p=0.5, half=4.0)).text
    assert said.endswith("16\u00a0epochs, LayerNorm, InstanceNorm and GroupNorm cannot be told from BatchNorm.")
    assert "ahead, too" not in norms.with_everything(alone.assign(difference=-1.0), every).text
    assert not norms.with_everything(alone, every[:0]) and list(every.other) == list(norms.OTHERS)
    figure = norms.figure(pd.concat([summary, points("ResNet-32", 32, BatchNorm=60)]), summary[:0])
    assert len(figure.axes) == 1, "BatchNorm alone is compared with nothing"
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(means)
    assert "InstanceNorm, everything, 87 %" in figure.alt and not norms.figure(summary[:0], summary[:0]).axes[0].has_data()
    assert "the other (%)" in norms.table(alone).to_html()


NONE = points(BatchNorm=50)[:0]


def vit(n=3, **means):
    summary = points("ViT-6", 6, n=n, **{name.replace("_", "+", 1): mean for name, mean in means.items()})
    return summary.assign(
        trainable=[name if name in ("none", "output", "all", "norm+output") else "norm" for name in summary.variant]
    )


def test_whether_a_transformer_learns_by_its_norms_alone():
    summary = vit(none=10, norm=40, output=30, norm_output=50, all=70)
    said = norms.transformer(summary, NONE)
    assert said.verdict == "yes" and "40.0" in said.text and "untrained it has 10.0" in said.text
    assert norms.transformer(vit(none=10, norm=10.1), NONE).verdict == "too close"
    single = vit(1, none=10, norm=40)
    assert norms.transformer(single, NONE).verdict == "not judged", "one run each"
    assert norms.transformer(single, points(BatchNorm=50)).verdict == "yes", "ResNets say how far a run scatters"
    assert norms.transformer(single, points(BatchNorm=50).assign(recipe="paper")).verdict == "not judged", "of the same recipe"
    assert norms.transformer(vit(none=10, norm=8), NONE).verdict == "no"
    assert (
        norms.transformer(vit(output=10), NONE).verdict == "not judged"
        and norms.transformer(summary[:0], NONE).verdict == "not trained"
    )
    beside = norms.beside_output(summary, NONE).text.replace("\u00a0", " ")
    assert "10.0 points more than the output layer alone; both together reach 50.0 %" in beside
    assert "which may be chance" in norms.beside_output(vit(none=10, norm=40, output=39.8), NONE).text
    with_adam = pd.concat([summary, summary.tail(1).assign(variant="everything, Adam", mean=75.0, trainable="all")])
    assert "5.0 points better with everything trained" in norms.adam(with_adam, NONE).text.replace("\u00a0", " ")
    assert not norms.adam(summary, NONE) and not norms.beside_output(summary[:1], NONE)
    figure = norms.figure(summary[:0], summary)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][0] == "nothing" and "ViT-6" in figure.alt


def test_a_block_of_another_norm_is_made_of_plain_modules():
    assert isinstance(bnlib.build("resnet8", norm="layer").bn, nn.GroupNorm)
    assert isinstance(bnlib.build("resnet8", norm="instance").segments[1][0].shortcut[1], nn.InstanceNorm2d)
