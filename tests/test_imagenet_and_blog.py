"""Figure 2 on ImageNet, the blog's experiment, and claims 1, 4 and 7 on ImageNet: without runs, and with runs made by hand."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save
from sealing import sealed
from test_notebooks import cells, draw
from torch import nn

from bnlib import RunSpec, experiments, freezing, models, store
from bnlib.report import analysis, claims, evidence, figures, page, paper
from bnlib.report import statements as say
from bnlib.store import ROOT
from bnlib.training import costs
from bnlib.words import duration

NOTEBOOKS = ROOT / "notebooks"
FOLDER = experiments.IMAGENET_FOLDER
DEPTHS = (18, 34, 50, 101, 200)


def plain(text) -> str:
    return str(getattr(text, "text", text)).replace("\u00a0", " ").replace("\u2011", "-")


@pytest.fixture
def made(runs_folder, tmp_path, monkeypatch):
    """Writes a run that nobody trained, with its network's true layers: its spec, accuracy and what run.json has besides."""
    # Beside the committed runs, but for those of the blog's experiment, which would be among the ones that are made here.
    committed = shutil.copytree(store.results_folder(), tmp_path / "committed", ignore=shutil.ignore_patterns("keras*"))
    monkeypatch.setenv("BNLIB_RESULTS", str(committed))
    like = json.loads((store.results_folder() / "resnet14_bn_paper_seed0-3c3e6a91" / "run.json").read_text())

    def make(spec: RunSpec, accuracy: float, status: str = "finished", **also) -> store.Run:
        images, folder = 50_000, runs_folder / spec.id
        model = models.skeleton(spec.model, also.get("classes", 10))
        rows = spec.settings.epochs if status == "finished" else 2
        loss = {"train_loss": 1.0 if status == "finished" else None, "test_loss": 1.0}
        about = {**like, "id": spec.id, "spec": spec.to_dict(), "status": status, "counts": freezing.count(model), **loss, **also}
        about |= {"accuracy": round(accuracy * images) / images, "train_accuracy": accuracy, "test_images": images}
        about |= {"seconds": float(rows), "device": "AMD EPYC (AVX512), 1 thread"}
        about.pop("earlier", None)
        curve = [(i + 1, spec.settings.learning_rate(i), 1.0, accuracy, 1.0, about["accuracy"], 1.0) for i in range(rows)]
        curve = pd.DataFrame(
            curve, columns=["epoch", "lr", *("train_loss", "train_accuracy", "test_loss", "test_accuracy"), "seconds"]
        )
        if "top5" in also:
            about["top5"] = max(round(also["top5"] * images) / images, about["accuracy"])
            curve.insert(6, "test_top5", about["top5"])
        if status == "diverged":
            curve.loc[rows - 1, "train_loss"] = np.inf
        rng, tensors = np.random.default_rng(spec.seed), {}
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                for part in ("weight", "bias", "running_mean", "running_var"):
                    tensors[f"{name}.{part}"] = rng.random(module.num_features, dtype=np.float32)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
        curve.to_csv(folder / "history.csv", index=False, lineterminator="\n", float_format="%.6g")
        (folder / "bn.safetensors").write_bytes(save(tensors))
        sealed(folder)
        return store.load(spec.id)

    return make


@pytest.fixture
def imagenet(made):
    """Runs on ImageNet: their depth, trainable set, and the top-1 accuracy of each replicate, in percent."""

    def make(depth: int, trainable: str, *accuracies: float, top5: float | None = None, **also) -> None:
        for seed, percent in enumerate(accuracies):
            spec = RunSpec(f"imagenet-resnet{depth}", trainable, "imagenet", FOLDER, seed)
            found = {"classes": 1000, "top5": min(100.0, 3 * percent if top5 is None else top5 + seed / 10) / 100}
            made(spec, percent / 100, **{**found, **also})

    return make


@pytest.fixture
def blog(made):
    def make(depth: int, variant: int, *accuracies: float, recipe: str = "blog-short", **also) -> None:
        fields = list(experiments.BLOG.values())[variant]
        for seed, percent in enumerate(accuracies):
            made(RunSpec(f"keras-resnet{depth}", recipe=recipe, seed=seed, **fields), percent / 100, **also)

    return make


# Without runs.


def test_of_imagenet_the_page_says_what_is_missing_how_to_train_it_and_what_it_costs():
    said = plain(cells(NOTEBOOKS / "fig2_imagenet.ipynb")[0])
    assert ">not trained<" in said
    assert "To train it: `bnlib sweep fig2_imagenet --recipe imagenet`, with `BNLIB_IMAGENET` set" in said
    days = int(re.search(r"Its first training takes about ([\d,]+) days on ", said)[1].replace(",", ""))
    assert 20 < days < 400 and "runs on CIFAR-10. How long it takes on a GPU has not been measured." in said
    assert "\n" not in said.strip()


def test_what_is_too_little_to_compare_is_not_said_to_be_nothing(monkeypatch):
    assert "Nothing of this has been trained yet. To train it: `bnlib sweep fig2_imagenet" in page.not_trained("fig2_imagenet")
    said = page.not_trained("beyond_norms", "paper")
    assert (
        "Too little of this has been trained yet" in said and "`bnlib sweep beyond_norms --recipe paper` trains the rest." in said
    )
    assert "is a test, and nothing is concluded" in page.not_trained("beyond_norms", "smoke")
    monkeypatch.setattr(experiments, "runs", lambda *_: [])
    assert "To train it: `bnlib sweep beyond_norms --recipe short`." in page.not_trained("beyond_norms")


def test_a_cost_that_a_gpu_was_timed_for_says_nothing_of_gpus(monkeypatch):
    monkeypatch.setattr(experiments, "cost", lambda *_: (5 * 86400.0, "NVIDIA H100 80GB HBM3"))
    said = page.not_trained("fig2_imagenet")
    assert "5 days on NVIDIA H100" in said and "GPU has not" not in said


def test_larger_pictures_cost_more():
    small, large = (costs.epoch_work(RunSpec("imagenet-resnet18", recipe="imagenet", dataset=FOLDER, size=s)) for s in (32, 224))
    assert 40 < large / small <= 49
    assert [duration(s) for s in (71 * 3600, 72 * 3600, 78.2 * 86400, 2000 * 86400)] == [
        "71 h 00 min",
        "3 days",
        "78 days",
        "2,000 days",
    ]


def test_without_runs_the_claims_say_so_of_imagenet_and_link_to_the_page():
    first, fourth, seventh = claims.settle([1, 4, 7])
    for one in (first, fourth):
        assert "Nothing of this has been trained on ImageNet." in one.found.text
    assert not seventh.found and seventh.found.verdict == "not trained"
    listed = claims.listing([first, fourth, seventh])
    assert listed.count("](fig2_imagenet.ipynb)") == 3
    assert fourth.found.of == ("on CIFAR-10" if fourth.found.verdict not in ("not trained", "not judged") else "")


@pytest.mark.parametrize(
    "folder, message", [(None, "set BNLIB_IMAGENET to the folder"), ("/no/such", "no folder '/no/such'; it holds")]
)
def test_without_pictures_a_point_is_refused_in_one_line_before_any_work(folder, message, monkeypatch, capsys):
    monkeypatch.setattr("bnlib.training.train_together", lambda *_, **__: pytest.fail("something was trained"))
    monkeypatch.delenv("BNLIB_IMAGENET", raising=False)
    if folder:
        monkeypatch.setenv("BNLIB_IMAGENET", folder)
    with pytest.raises(ValueError, match=message) as error:
        cells(NOTEBOOKS / "fig2_imagenet.ipynb", depth=18)
    assert "\n" not in str(error.value) and not capsys.readouterr().out


def test_a_stored_point_needs_no_pictures(imagenet, monkeypatch, capsys):
    monkeypatch.delenv("BNLIB_IMAGENET", raising=False)
    imagenet(18, "bn", 4.0)
    cells(NOTEBOOKS / "fig2_imagenet.ipynb", depth=18)
    assert "stored, 4.0%" in capsys.readouterr().out


# ImageNet, with runs.


@pytest.mark.parametrize(
    "reached, verdict", [(32.5, "reproduced"), (30.0, "reproduced"), (29.0, "not reproduced"), (36.0, "not reproduced")]
)
def test_claim_1_on_imagenet_is_held_against_the_papers_value(imagenet, reached, verdict):
    imagenet(18, "bn", 4.0, 4.2, 4.4)
    imagenet(200, "bn", 12.0, 12.2, 12.4, top5=reached - 0.1)
    found = evidence.imagenet_reaches()
    assert (found.verdict, found.of) == (verdict, "at 2 of 5 depths")
    assert f"rises from 12.6 % at 18 layers to {reached:.1f} % at 200 layers" in plain(found)
    assert plain(found).endswith("; in ImageNet ResNet-200 the paper has 32.0 %.")
    whole = claims.settle([1])[0].found
    assert (
        plain(found) in plain(whole)
        and whole.verdict in (verdict, "in part", "in trend")
        and "has been trained on" not in whole.text
    )


def test_networks_whose_value_is_not_known_are_not_judged(imagenet):
    imagenet(18, "bn", 4.0)
    found = evidence.imagenet_reaches()
    assert found.verdict == "not judged" and "is 12.0 % at 18 layers" in plain(found)
    assert claims.settle([1])[0].found.verdict in ("not judged", "reproduced", "in trend")


def test_a_run_on_imagenet_that_diverged_is_said(imagenet):
    imagenet(18, "bn", 0.1, status="diverged")
    found = evidence.imagenet_reaches()
    assert found.verdict == "not judged" and "diverged" in plain(found)


AFFINE = {  # everything trained, everything but γ and β, both in percent
    "reproduced": ((70.0, 70.1, 70.2), (68.0, 68.1, 68.2)),
    "in trend": ((70.0, 70.1, 70.2), (60.0, 60.1, 60.2)),
    "not reproduced": ((66.0, 66.1, 66.2), (68.0, 68.1, 68.2)),
    "too close": ((70.0, 72.0, 74.0), (69.0, 71.0, 73.0)),
    "not judged": ((70.0,), (68.0,)),
    "not trained": ((), ()),
}


@pytest.mark.parametrize("verdict", AFFINE)
def test_claim_4_on_imagenet_is_judged_by_the_rule_of_differences(imagenet, verdict):
    for trainable, values in zip(("all", "all-bn"), AFFINE[verdict], strict=True):
        imagenet(50, trainable, *values)
    found = evidence.imagenet_affine()
    assert found.verdict == verdict
    assert ("ImageNet ResNet-50" in plain(found)) == (verdict != "not trained")


OUTPUT = {  # γ, β and output layer; γ and β
    "reproduced": ((30.0, 30.1, 30.2), (8.0, 8.1, 8.2)),
    "not reproduced": ((7.0, 7.1, 7.2), (8.0, 8.1, 8.2)),
    "too close": ((8.0, 9.0, 8.5), (8.1, 8.6, 8.9)),
    "not judged": ((), (8.0,)),
    "not trained": ((), ()),
}


@pytest.mark.parametrize("verdict", OUTPUT)
def test_claim_7_is_judged_by_what_the_output_layer_brings(imagenet, verdict):
    for trainable, values in zip(("bn+output", "bn"), OUTPUT[verdict], strict=True):
        imagenet(34, trainable, *values)
    found = claims.settle([7])[0].found
    assert found.verdict == verdict
    if verdict == "reproduced":
        assert (
            plain(found)
            == "γ, β and the output layer reach 22.0 points more than γ and β alone in ImageNet ResNet-34, after 90 epochs."
        )


@pytest.mark.parametrize(
    "parts, verdict",
    [
        (("not trained", "not trained"), "not trained"),
        (("not trained", "not judged"), "not judged"),
        (("in trend", "not trained"), "in trend"),
        (("not judged", "reproduced"), "reproduced"),
        (("in trend", "reproduced"), "in trend"),
        (("reproduced", "not reproduced"), "in part"),
        (("too close", "in trend"), "in part"),
        (("too close", "not reproduced"), "not reproduced"),
    ],
)
def test_two_halves_of_a_claim_are_one_by_the_rule_of_figures(parts, verdict):
    assert analysis.whole(*parts) == verdict
    found = evidence.halves(say.Statement("A.", parts[0]), say.Statement("B.", parts[1]))
    told = [half for half, part in zip(("CIFAR-10", "ImageNet"), parts, strict=True) if part not in ("not trained", "not judged")]
    assert (found.text, found.verdict) == ("A. B.", verdict)
    assert found.of == (f"on {told[0]}" if len(told) == 1 else "")


def test_a_folder_of_ten_classes_is_no_imagenet(imagenet):
    imagenet(18, "bn", 4.0, classes=10)
    assert not len(experiments.runs("fig2_imagenet")) and evidence.imagenet_reaches().verdict == "not trained"


def test_the_page_of_imagenet_with_runs(imagenet):
    for depth, accuracy in zip(DEPTHS, (4, 5, 8, 10, 11), strict=True):
        imagenet(depth, "bn", accuracy, accuracy + 0.2, accuracy + 0.4, top5=2.9 * accuracy)
    imagenet(18, "bn+output", 20.0, 20.2)
    shown = cells(NOTEBOOKS / "fig2_imagenet.ipynb")
    texts = draw(shown)
    first = plain(texts[0])
    assert ">reproduced<" in first and "rises from 11.7 % at 18 layers to 32.0 % at 200 layers" in first
    figure = next(one.figure for one in shown if isinstance(one, figures.Shown) and one.figure)
    assert [ax.get_ylabel() for ax in figure.axes] == ["top-1 accuracy (%)", "top-5 accuracy (%)"]
    diamonds = [[one for one in ax.lines if one.get_marker() == "D" and one.get_markerfacecolor() == "none"] for ax in figure.axes]
    assert [len(some) for some in diamonds] == [0, 1] and diamonds[1][0].get_xydata().tolist() == [[200.0, 32.0]]
    dashed = [
        [one.get_ydata()[0] for one in ax.lines if one.get_linestyle() == "--" and len(one.get_xdata()) == 2] for ax in figure.axes
    ]
    assert 0.1 in dashed[0] and 0.5 in dashed[1]
    assert "the paper: 32 % at 200 layers" in figure.alt and "Top-1 accuracy on ImageNet" in figure.alt
    assert "γ, β and the output layer reach" in plain(texts[2]) and "Not trained" not in plain(texts[2])
    assert not [text for text in texts if re.search(r"\bnan\b", re.sub(r'"[^"]*"', "", text))]


def test_runs_without_top5_are_drawn_by_top1_alone(imagenet):
    imagenet(18, "bn", 4.0)
    for path in store.runs_folder().glob("*/run.json"):
        about = json.loads(path.read_text())
        about.pop("top5")
        path.write_text(json.dumps(about, indent=1) + "\n")
        sealed(path.parent)
    runs = experiments.runs("fig2_imagenet")
    assert len(runs) == 1 and not len(analysis.top5(runs))
    top1 = analysis.summarise(runs)
    assert len(figures.fig2_imagenet(top1, analysis.summarise(analysis.top5(runs)), paper.top5()).axes) == 1


def test_what_is_still_to_train_is_of_the_experiments_own_recipe(imagenet):
    assert plain(say.still_to_train("fig2_imagenet")) == "Nothing of this has been trained for 90 epochs yet."
    imagenet(18, "bn", 4.0)
    assert plain(say.still_to_train("fig2_imagenet")).startswith("Not trained for 90 epochs yet: ImageNet ResNet-34, ")


# The blog.


def test_the_blogs_two_gammas_are_told_apart_only_if_they_can_be(blog):
    reference = paper.blog()
    said = lambda: plain(say.blog(analysis.summarise(experiments.runs("blog_keras")), reference))  # noqa: E731
    assert said() == ""
    blog(50, 0, 21.0)
    assert said() == "After 3 epochs Keras ResNet-50 reaches 21.0 % with γ drawn He normal as in the blog."
    blog(50, 1, 10.0)
    assert said().endswith("as in the blog and 10.0 % with γ at 1, one run each.")
    blog(101, 0, 50.0, 50.2, recipe="blog")
    blog(101, 1, 10.0, 10.1, recipe="blog")
    both = "50.1 % with γ drawn He normal as in the blog and 10.1 % with γ at 1"
    assert said() == f"After 50 epochs Keras ResNet-101 reaches {both}; the blog has 52 %."
    blog(152, 0, 20.0, 30.0, recipe="blog")
    assert say.blog(analysis.summarise(experiments.runs("blog_keras")), reference).verdict == "not judged"


def test_the_blogs_gammas_may_differ_by_chance(blog):
    blog(50, 0, 20.0, 30.0)
    blog(50, 1, 22.0, 27.0)
    assert plain(say.blog(analysis.summarise(experiments.runs("blog_keras")), paper.blog())).endswith(
        ", no further apart than by chance. With γ at 1 the blog's networks did not train; this one does."
    )


def test_a_blogs_run_that_diverged_is_said(blog):
    blog(50, 1, 10.0, status="diverged")
    found = say.blog(analysis.summarise(experiments.runs("blog_keras")), paper.blog())
    assert found.verdict == "not judged" and "The only replicate of Keras ResNet-50 (γ = 1, 3 epochs) diverged." == plain(found)


def test_the_page_of_the_blog_with_runs(blog):
    blog(50, 0, 21.0)
    blog(50, 1, 10.0)
    shown = cells(NOTEBOOKS / "blog_keras.ipynb")
    texts = draw(shown)
    assert ">not judged<" in texts[0] and "After 3 epochs Keras ResNet-50" in plain(texts[0])
    figure = next(one.figure for one in shown if isinstance(one, figures.Shown))
    (ax,) = figure.axes
    crosses = [one for one in ax.lines if one.get_marker() == "x"]
    assert [one.get_xydata()[0].tolist() for one in crosses] == [[50, 45], [101, 52], [152, 50]]
    assert all(one.get_alpha() == 0.5 for one in crosses), "pale beside runs of fewer epochs"
    ours = {
        tuple(one.get_xydata()[0]): one.get_marker() for one in ax.lines if one.get_marker() in "os" and len(one.get_xdata()) == 1
    }
    assert ours == {(50, 21.0): "o", (50, 10.0): "s"}
    assert "γ = 1, ours, 3 epochs: 10 % at 50 layers; the blog, 50 epochs: 45 % at 50 layers to 50 % at 152." in figure.alt
    rows = analysis.blog_table(experiments.runs("blog_keras"), paper.blog()).data
    assert rows.whose.tolist() == ["the blog"] * 3 + ["ours"] * 2
    assert rows.test.tolist() == ["45.0", "52.0", "50.0", "21.0", "10.0"] and rows.training.tolist()[:3] == ["50.0", "60.0", "62.0"]


def test_what_diverged_has_the_mark_of_its_line(blog):
    blog(50, 0, 21.0)
    blog(101, 1, 10.0, status="diverged")
    (ax,) = figures.blog_keras(analysis.summarise(experiments.runs("blog_keras")), paper.blog(), list(experiments.BLOG)).axes
    assert [one.get_marker() for one in ax.lines if (101, 10.0) in map(tuple, one.get_xydata())] == ["s"]


def test_crosses_are_strong_beside_as_many_epochs(blog):
    blog(50, 0, 44.0, recipe="blog")
    summary = analysis.summarise(experiments.runs("blog_keras"))
    (ax,) = figures.blog_keras(summary, paper.blog(), list(experiments.BLOG)).axes
    assert ax.get_title("left") == "ours, 50 epochs" and {one.get_alpha() for one in ax.lines if one.get_marker() == "x"} == {1}


def test_the_parameters_beside_torchvisions_are_those_of_the_networks():
    rows = analysis.beside_torchvision().data
    for depth, row in zip((50, 101, 152), rows.itertuples(index=False), strict=True):
        keras, torchvision = (models.skeleton(f"{kind}-resnet{depth}", 10) for kind in ("keras", "imagenet"))
        biases = sum(one.bias.numel() for one in keras.modules() if isinstance(one, nn.Conv2d))
        of = [freezing.count(keras)["total"], freezing.count(torchvision)["total"], biases, freezing.count(keras)["bn"]]
        assert freezing.count(torchvision)["bn"] == of[-1]
        assert [int(text.replace(",", "")) for text in row[1:]] == of


# Beside all other pages.


def test_nothing_else_minds_such_runs(imagenet, blog, monkeypatch):
    before = {name: len(experiments.runs(name)) for name in experiments.EXPERIMENTS}
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    imagenet(18, "bn", 4.0)
    imagenet(18, "all", 60.0)
    blog(50, 0, 21.0)
    blog(50, 1, 10.0)
    frame = store.results(whole=True)
    assert {"ImageNet ResNet-18", "Keras ResNet-50"} <= set(frame.network) and not store.unreadable(whole=True)
    now = {name: len(experiments.runs(name)) for name in experiments.EXPERIMENTS}
    more = {name: count - before[name] for name, count in now.items() if count != before[name]}
    assert more == {"fig2_imagenet": 2, "blog_keras": 2}
    assert not analysis.durations(frame).network.str.contains("ImageNet|Keras").any()
    for name in experiments.EXPERIMENTS:
        assert len(experiments.coverage(name))

    import status

    class Env:
        found_docs = ()

    assert "2 at `blog-short`" in status.runs_by_experiment(Env) and "2 at `imagenet`" in status.runs_by_experiment(Env)
    for name in ("gamma_explorer", "engine_speed", "front"):  # the last settles all claims
        draw(cells(NOTEBOOKS / f"{name}.ipynb"))


def test_the_gammas_of_such_networks_lie_in_the_order_of_their_layers(imagenet, blog):
    imagenet(50, "bn", 4.0)
    blog(50, 0, 21.0)
    for name, stem in (("fig2_imagenet", "bn1"), ("blog_keras", "bn")):
        runs = experiments.runs(name)
        run = store.load(runs.id.item())
        names = [name for name, one in models.skeleton(run.spec.model).named_modules() if isinstance(one, nn.BatchNorm2d)]
        assert sorted(run.gamma) == sorted(names) and next(iter(run.gamma)) == stem
        gammas = analysis.gammas(runs)
        assert len(analysis.small_gammas(gammas)) == 1 and len(analysis.layers(gammas)) and len(analysis.small_where(gammas))
        for figure in (figures.fig4_gamma(gammas), figures.gamma_layers(analysis.layers(gammas))):
            figure.canvas.draw()
