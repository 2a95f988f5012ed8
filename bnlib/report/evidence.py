"""What the stored runs say of each of the paper's claims: a statement with its verdict, by the claim's subject."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bnlib import experiments, store
from bnlib.report import analysis, paper
from bnlib.report import statements as say
from bnlib.report.statements import Statement

AFFINE = "everything trained", "everything but γ and β"  # the sides of claim 4


def reference() -> pd.DataFrame:
    """The paper's own accuracies on CIFAR-10, in percent."""
    return paper.values("fig2", "abstract", metric="test_accuracy_percent", kinds=paper.PAPER)


def depth_points() -> pd.DataFrame:
    """The points of Figure 2 against depth, judged, all trainable sets together, as its page has them."""
    return analysis.judge(analysis.summarise(experiments.runs("fig2_depth")), reference())


def accuracy_points(*experiments_: str, trainable: str) -> pd.DataFrame:
    """The points of `trainable` that these experiments show, judged among themselves: of Figure 2, deep or wide or both."""
    runs = pd.concat([experiments.runs(name) for name in experiments_]).drop_duplicates("id")
    return analysis.judge(analysis.summarise(runs[runs.trainable == trainable]), reference())


def imagenet_reaches() -> Statement:
    """Claim 1 on ImageNet: top-5 accuracy with γ and β alone, held against the paper's of ResNet-200."""
    summary = analysis.summarise(analysis.top5(experiments.runs("fig2_imagenet")))
    return say.top5(summary, analysis.judge(summary, paper.top5()))


def imagenet_gains(more: str, less: str, low: float = 0.0, high: float = np.inf) -> pd.DataFrame:
    """By how much the trainable set `more` is better than `less` on ImageNet, in top-1 accuracy, judged.

    low, high: between how many points the paper says it is.
    """
    summary = analysis.summarise(experiments.runs("fig2_imagenet"))
    return analysis.judge_differences(analysis.differences(summary, more, less), low, high)


def imagenet_affine() -> Statement:
    """Claim 4 on ImageNet: what γ and β are worth where all else is trained, in top-1 accuracy."""
    rows = imagenet_gains("all", "all-bn", *paper.gain_range("imagenet"))
    return say.gain(rows, *AFFINE, summary=_imagenet("all", "all-bn"))


def imagenet_output() -> Statement:
    """Claim 7: what the output layer brings beside γ and β on ImageNet, in top-1 accuracy."""
    names = "γ, β and the output layer", "γ and β alone"
    return say.gain(imagenet_gains("bn+output", "bn"), *names, verb="reach", summary=_imagenet("bn", "bn+output"))


def _imagenet(*sets: str) -> pd.DataFrame:
    summary = analysis.summarise(experiments.runs("fig2_imagenet"))
    return summary[summary.trainable.isin(sets)]


def halves(cifar: Statement, imagenet: Statement) -> Statement:
    """What a claim about both data sets comes to; its badge says of which it speaks, where the other has not been trained."""
    halves = {"on CIFAR-10": cifar, "on ImageNet": imagenet}
    judged = [where for where, half in halves.items() if half.verdict not in ("not trained", "not judged")]
    text = imagenet.text if imagenet else "Nothing of this has been trained on ImageNet."
    verdict = analysis.whole(cifar.verdict, imagenet.verdict)
    return Statement(f"{cifar.text} {text}".strip(), verdict, judged[0] if len(judged) == 1 else "")


def reaches() -> Statement:
    """Claim 1: accuracy with γ and β alone, on CIFAR-10 against depth, and on ImageNet."""
    points, summary = depth_points(), analysis.summarise(experiments.runs("fig2_depth"))
    points = points[points.trainable == "bn"]
    found, deepest = say.depth(points, summary), points[points.network == "ResNet-866"]
    tried = ((summary.network == "ResNet-866") & (summary.trainable == "bn")).any()
    open_ = "" if len(deepest) else "ResNet\u2011866 diverged." if tried else "ResNet\u2011866 has not been trained."
    verdict = analysis.overall(deepest) if len(deepest) or not tried else "not judged"
    found = halves(Statement(f"{found.text} {open_}".strip(), verdict), imagenet_reaches())
    where = "in ResNet\u2011866 or on ImageNet"  # what the claim is about: other depths have been
    return replace(found, of=where) if found.verdict == "not trained" and len(points) else found


def control() -> Statement:
    """Claim 2: γ and β against two random weights a channel."""
    summary = analysis.summarise(experiments.runs("fig2_depth"))
    rows = analysis.judge_differences(analysis.differences(summary, "bn", "random:2"))
    own = summary[summary.variant.isin(["bn", "random:2"])]
    return say.gain(rows, "γ and β", "as many weights chosen at random, two a channel,", "reach", own)


def disabled() -> Statement:
    """Claim 3: the share of γ that end below 0.01, with γ and β alone and with everything trained."""
    gammas = analysis.gammas(experiments.runs("fig5_thresholds"))
    shares = analysis.small_gammas(gammas)
    found = say.small(shares, analysis.judge(shares, paper.small_gammas()))
    return Statement(f"{found.text} {say.against_all(shares).text} {say.decay(gammas).text}".strip(), found.verdict, found.of)


def affine() -> Statement:
    """Claim 4: what γ and β are worth where all else is trained."""
    summary = analysis.summarise(experiments.runs("fig1_affine"))
    rows = analysis.judge_differences(analysis.differences(summary, "all", "all-bn"), *paper.gain_range())
    return halves(say.gain(rows, *AFFINE, summary=summary), imagenet_affine())


def depth_or_width() -> Statement:
    """Claim 5: deep against wide networks with as many γ and β."""
    points = analysis.with_parameters(experiments.runs("fig3_depth_or_width"))
    return say.depth_or_width(analysis.judge_differences(analysis.at_equal_parameters(points)), points)


def collapse() -> Statement:
    """Claim 6: output layer and shortcuts alone, on wide networks and on deep ones."""
    points = accuracy_points("fig2_depth", "fig2_width", trainable="shortcut+output")
    most = points.groupby("recipe")[["width", "depth"]].transform("max")
    told = analysis.ordered(points[(most.width > 1) & (most.depth >= 110)])  # recipes in which wide ones and deep ones are known
    if not len(told):
        return say.collapse(points, "not judged" if len(points) else "not trained")
    return say.collapse(told[told.recipe == analysis.best(told).recipe.iloc[0]], analysis.overall(told))


def clamping() -> Statement:
    """Claim 8: what it costs to set small γ to 0."""
    answer = analysis.clamping_answer(analysis.clamping(experiments.runs("fig6_clamping")))
    found = say.clamped(answer)
    return Statement(f"{found.text} {say.clamped_to_nothing(answer).text}".strip(), found.verdict)


def silent() -> Statement:
    """Claim 9: units after ReLUs that are off, with γ and β alone and with everything trained."""
    relu = analysis.relu(experiments.runs("fig7_relu"))
    return say.silent(relu, analysis.relu_differences(relu))


def overfitting() -> Statement:
    """Claim 10: training accuracy against test accuracy."""
    gaps = analysis.overfitting(experiments.runs("fig4_gamma"))
    return say.overfitting(gaps, analysis.judge_overfitting(gaps))


def storage() -> Statement:
    """Claim 11: how small a stored network is, and whether its seed draws the same weights here."""
    from bnlib.store import networks, seedfile  # with PyTorch, for which the pages of stored runs need not wait

    shown = experiments.runs("fig4_gamma")
    runs = [store.load(name) for name in shown[shown.trainable == "bn"].id]
    if not runs:
        return Statement("", "not trained")
    run = min(runs, key=lambda run: (run.info["counts"]["total"], run.id))
    drawn = networks.drawn_alike(run, networks.draw(run.spec, run.classes))
    with tempfile.TemporaryDirectory() as folder:
        kept, whole = seedfile.export(run, Path(folder) / "seed").stat().st_size, 4 * run.info["counts"]["total"]
    text = (
        f"{say.network(say.title(run.spec.model))} takes {say.in_bytes(kept)} instead of {say.in_bytes(whole)}: its seed, γ, β "
        "and running statistics, which can be [folded into them](beyond_bytes.ipynb); the seed draws "
    )
    text += f"{'the same' if drawn else 'other'} weights here. {say.cheaper(analysis.epochs(experiments.runs('fig2_depth'))).text}"
    return Statement(text.strip(), "checked" if drawn else "failed", "for storage")
