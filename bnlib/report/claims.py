"""The paper's eleven claims, and what the stored runs say of each: statements and verdicts made of results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from bnlib import experiments, store
from bnlib.report import analysis, page, paper
from bnlib.report import statements as say
from bnlib.report.page import Markdown
from bnlib.report.statements import Statement

AFFINE = "everything trained", "everything but γ and β"  # the sides of claim 4


@dataclass(frozen=True)
class Claim:
    """A claim: what the paper says, what of it is judged, how it is known, the pages that show it, and `evidence`, which looks.

    software: it is about this book's software, not about learning, and is counted apart.
    """

    says: str
    judged: str
    known: str
    pages: tuple[str, ...]
    evidence: Callable[[], Statement]
    software: bool = False


class Settled(NamedTuple):
    """A claim, its number, and what the stored runs say of it."""

    number: int
    claim: Claim
    found: Statement


def settle(numbers: list[int] | None = None) -> list[Settled]:
    """The claims, held against the stored runs. numbers: only these, counted from 1; None: all.

    Raises ValueError for a number that no claim has.
    """
    wrong = [number for number in numbers or () if number not in range(1, len(CLAIMS) + 1)]
    if wrong:
        raise ValueError(f"claim {wrong[0]!r}: use whole numbers from 1 to {len(CLAIMS)}")
    return [Settled(i, claim, claim.evidence()) for i, claim in enumerate(CLAIMS, 1) if not numbers or i in numbers]


def listing(settled: list[Settled]) -> Markdown:
    """The claims one below the other: the paper's, the badge, what we find, the page."""
    lines = []
    for number, claim, found in settled:
        pages = ", ".join(f"[{page.title(name)}]({name}.ipynb)" for name in claim.pages)
        lines += [f"{number}. {page.badge(found)} **{claim.says}** {found.text} {pages}".rstrip() + "\\"]
        lines += [f"   *How we know: {claim.known}.{f' Judged: {claim.judged}.' if claim.judged else ''}*", ""]
    return Markdown(page.left_out() + "\n".join(lines))


def short(settled: list[Settled]) -> Markdown:
    """The claims as a short list: badge and claim, with its page as a link."""
    lines = []
    for _, claim, found in settled:
        link = f"[{claim.says}]({claim.pages[0]}.ipynb)" if claim.pages else claim.says
        lines.append(f"- {page.badge(found)} {link}")
    return Markdown("\n".join(lines))


def count(settled: list[Settled]) -> Markdown:
    """How many claims about learning have each verdict, in words; and apart from them, how many checks of the software hold."""
    verdicts = [found.verdict for _, claim, found in settled if not claim.software]
    each = say.listing(f"{verdicts.count(v)} {v}" for v in analysis.VERDICTS if v in verdicts)
    checks = [found.verdict for _, claim, found in settled if claim.software]
    apart = f" One more is about the software: {checks[0]}." if len(checks) == 1 else ""
    return Markdown(f"Of {len(verdicts)} claims about learning: {each}.{apart}")


def in_three_sentences() -> Markdown:
    """What has been asked, what we find beside the paper, and what is not trained yet: for the front page."""
    fig2 = analysis.summarise(experiments.runs("fig2_depth"))
    points = analysis.judge(fig2, reference())
    shares = analysis.small_gammas(analysis.gammas(experiments.runs("fig5_thresholds")))
    found = say.depth(points[points.trainable == "bn"], fig2)
    lines = [
        f"{page.badge(found)} {found.text}",
        _control().text,
        say.small(shares, shares.head(0)).text,
        say.still_to_train("fig2_depth").text,
    ]
    return Markdown(page.left_out() + "\n".join(f"- {line}" for line in lines if line.strip()))


def reference() -> pd.DataFrame:
    """The paper's own accuracies on CIFAR-10, in percent."""
    return paper.values("fig2", "abstract", metric="test_accuracy_percent", kinds=paper.PAPER)


def accuracy_points(*experiments_: str, trainable: str) -> pd.DataFrame:
    """The points of `trainable` that these experiments show, judged: of Figure 2, deep or wide or both."""
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


def _halves(cifar: Statement, imagenet: Statement) -> Statement:
    """What a claim about both data sets comes to; its badge says of which it speaks, where the other has not been trained."""
    halves = {"on CIFAR-10": cifar, "on ImageNet": imagenet}
    judged = [where for where, half in halves.items() if half.verdict not in ("not trained", "not judged")]
    text = imagenet.text if imagenet else "Nothing of this has been trained on ImageNet."
    verdict = analysis.whole(cifar.verdict, imagenet.verdict)
    return Statement(f"{cifar.text} {text}".strip(), verdict, judged[0] if len(judged) == 1 else "")


def _reaches():
    points, summary = accuracy_points("fig2_depth", trainable="bn"), analysis.summarise(experiments.runs("fig2_depth"))
    found, deepest = say.depth(points, summary), points[points.network == "ResNet-866"]
    tried = ((summary.network == "ResNet-866") & (summary.trainable == "bn")).any()
    open_ = "" if len(deepest) else "ResNet\u2011866 diverged." if tried else "ResNet\u2011866 has not been trained."
    verdict = analysis.overall(deepest) if len(deepest) or not tried else "not judged"
    return _halves(Statement(f"{found.text} {open_}".strip(), verdict), imagenet_reaches())


def _control():
    summary = analysis.summarise(experiments.runs("fig2_depth"))
    rows = analysis.judge_differences(analysis.differences(summary, "bn", "random:2"))
    own = summary[summary.variant.isin(["bn", "random:2"])]
    return say.gain(rows, "γ and β", "two random weights a channel", "reach", own)


def _disabled():
    gammas = analysis.gammas(experiments.runs("fig5_thresholds"))
    shares = analysis.small_gammas(gammas)
    found = say.small(shares, analysis.ordered(analysis.judge(shares, paper.small_gammas())))
    return Statement(f"{found.text} {say.decay(gammas).text}".strip(), found.verdict)


def _affine():
    summary = analysis.summarise(experiments.runs("fig1_affine"))
    rows = analysis.judge_differences(analysis.differences(summary, "all", "all-bn"), *paper.gain_range())
    return _halves(say.gain(rows, *AFFINE, summary=summary), imagenet_affine())


def _depth_or_width():
    points = analysis.with_parameters(experiments.runs("fig3_depth_or_width"))
    return say.depth_or_width(analysis.judge_differences(analysis.at_equal_parameters(points)), points)


def _collapse():
    points = accuracy_points("fig2_depth", "fig2_width", trainable="shortcut+output")
    told = (points.width > 1).any() and (points.depth >= 110).any()  # else nothing is known of wide ones, or of deep ones
    return say.collapse(points, analysis.overall(analysis.ordered(points)) if told else "not trained")


def _clamping():
    answer = analysis.clamping_answer(analysis.clamping(experiments.runs("fig6_clamping")))
    found = say.clamped(answer)
    return Statement(f"{found.text} {say.clamped_to_nothing(answer).text}".strip(), found.verdict)


def _off_units():
    relu = analysis.relu(experiments.runs("fig7_relu"))
    return say.silent(relu, analysis.relu_differences(relu))


def _overfitting():
    gaps = analysis.overfitting(experiments.runs("fig4_gamma"))
    return say.overfitting(gaps, analysis.judge_overfitting(gaps))


def _storage():
    from bnlib.store import networks  # with PyTorch, for which the pages of stored runs need not wait

    shown = experiments.runs("fig4_gamma")
    runs = [store.load(name) for name in shown[shown.trainable == "bn"].id]
    if not runs:
        return Statement("", "not trained")
    run = min(runs, key=lambda run: (run.info["counts"]["total"], run.id))
    drawn = networks.drawn_alike(run, networks.draw(run.spec, run.classes))
    size, whole = (run.folder / "bn.safetensors").stat().st_size, 4 * run.info["counts"]["total"]
    text = (
        f"{say.network(say.title(run.spec.model))} takes {size / 1000:.0f} KB instead of {whole / 1000:,.0f}: its seed, γ, β "
        "and running statistics; the seed "
    )
    return Statement(
        text + ("draws the same weights here." if drawn else "draws other weights here."), "checked" if drawn else "failed"
    )


CLAIMS = (
    Claim(
        "γ and β alone reach 82 % on CIFAR-10 (ResNet-866), and 32 % top-5 on ImageNet (ResNet-200).",
        "the two values",
        "its abstract; the networks by a review",
        ("fig2_depth", "fig2_imagenet"),
        _reaches,
    ),
    Claim(
        "Training as many randomly chosen weights instead does far worse.",
        "the sign, as the numbers are not known",
        "its abstract; the control by a review",
        ("ablation_random_parameters",),
        _control,
    ),
    Claim(
        "Training turns off around a third of the random features: 27 % of γ end below 0.01, 9 % when everything is trained.",
        "the two shares",
        "its abstract; the numbers by a reproduction, presumably of ResNet-110",
        ("fig5_thresholds",),
        _disabled,
    ),
    Claim(
        "In ordinary training γ and β are worth 0.5 to 2 points on CIFAR-10, and 2 on ImageNet.",
        "the differences; on ImageNet in top-1 accuracy, as which the paper means is not known to us",
        "its introduction",
        ("fig1_affine", "fig2_imagenet"),
        _affine,
    ),
    Claim(
        "For the same number of γ and β, depth helps more than width.",
        "the sign",
        "reviews",
        ("fig3_depth_or_width",),
        _depth_or_width,
    ),
    Claim(
        "Output layer and shortcuts alone do well on wide networks, and fall towards chance on deep ones.",
        "the order, once a wide network and one of at least 110 layers have been trained",
        "a picture of its first version",
        ("fig2_depth", "fig2_width"),
        _collapse,
    ),
    Claim(
        "With 1,000 classes the output layer must be trained too.",
        "the sign, in top-1 accuracy, of what the output layer brings",
        "a review",
        ("fig2_imagenet",),
        imagenet_output,
    ),
    Claim(
        "What happens when small γ are set to 0: one review of Figure 6 reads little change, another a sharp drop.",
        "",
        "reviews, which disagree",
        ("fig6_clamping",),
        _clamping,
    ),
    Claim(
        "Behind the ReLUs 30 to 40 % of the units are off, about 10 % when everything is trained.",
        "the order, as what counts as off is not known",
        "a review",
        ("fig7_relu",),
        _off_units,
    ),
    Claim(
        "Such a network does not overfit: training and test accuracy stay together.",
        "training accuracy, on augmented images, is at most 2 points above test accuracy, and less than when everything is trained",
        "a review",
        ("curve_resnet110",),
        _overfitting,
    ),
    Claim(
        "A seed, γ and β are enough to store such a network; training does not get cheaper.",
        "the former, with BatchNorm's running statistics stored, too",
        "a review of its discussion",
        ("engine_speed",),
        _storage,
        software=True,
    ),
)
