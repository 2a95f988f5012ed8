"""The paper's eleven claims: what each says, how it is known, which pages show it; and as lists, with what our runs say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bnlib import experiments
from bnlib.report import analysis, evidence, page, paper
from bnlib.report import statements as say
from bnlib.report.page import Markdown
from bnlib.report.statements import Statement
from bnlib.words import whole


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
    numbers = [whole("claim", number, 1, len(CLAIMS)) for number in numbers or ()]
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
    part = [found.verdict for _, claim, found in settled if not claim.software and found.of]

    def some(verdict):  # it holds of what has been tried, which is not all
        few, of = part.count(verdict), verdicts.count(verdict)
        how = "only partly tested" if few == of else f"{say.number(few)} of them only partly tested"
        return f" ({how})" if few and verdict in ("reproduced", "in trend") else ""

    each = say.listing(f"{verdicts.count(v)} {v}{some(v)}" for v in analysis.VERDICTS if v in verdicts)
    checks = [found.verdict for _, claim, found in settled if claim.software]
    apart = f" One more is about the software: {checks[0]}." if len(checks) == 1 else ""
    return Markdown(f"Of {len(verdicts)} claims about learning: {each}.{apart}" if verdicts else apart.strip().replace("more ", ""))


def in_three_sentences() -> Markdown:
    """What has been asked, what we find beside the paper, and what is not trained yet: for the front page."""
    fig2 = analysis.summarise(experiments.runs("fig2_depth"))
    points = evidence.depth_points()
    shares = analysis.small_gammas(analysis.gammas(experiments.runs("fig5_thresholds")))
    found = say.depth(points[points.trainable == "bn"], fig2)
    shared = say.small(shares, analysis.judge(shares, paper.small_gammas()))
    lines = [
        f"{page.badge(found)} {found.text}",
        evidence.control().text,
        f"{shared.text} [Whether training learns that](why_off.ipynb) is another question." if shared else "",
        say.still_to_train("fig2_depth").text,
    ]
    return Markdown(page.left_out() + "\n".join(f"- {line}" for line in lines if line.strip()))


CLAIMS = (
    Claim(
        "γ and β alone reach 82 % on CIFAR-10 (ResNet-866), and 32 % top-5 on ImageNet (ResNet-200).",
        "the two values",
        "its abstract; the networks by a review",
        ("fig2_depth", "fig2_imagenet"),
        evidence.reaches,
    ),
    Claim(
        "Training as many randomly chosen weights instead does far worse.",
        "the sign, as the numbers are not known",
        "its abstract; the control by a review",
        ("ablation_random_parameters",),
        evidence.control,
    ),
    Claim(
        "Training turns off around a third of the random features; in the first version 27 % of γ end below 0.01, and 9 % when "
        "everything is trained.",
        "the two shares, where the network has been trained; not “a third”, as we do not know what it counts, and not the cause",
        "“a third” from its abstract; the shares as a reproduction quotes them, presumably of ResNet-110",
        ("fig5_thresholds",),
        evidence.disabled,
    ),
    Claim(
        "In ordinary training γ and β are worth 0.5 to 2 points on CIFAR-10, and 2 on ImageNet.",
        "the differences; on ImageNet in top-1 accuracy, as which the paper means is not known to us",
        "its introduction",
        ("fig1_affine", "fig2_imagenet"),
        evidence.affine,
    ),
    Claim(
        "For the same number of γ and β, depth helps more than width.",
        "the sign",
        "reviews",
        ("fig3_depth_or_width",),
        evidence.depth_or_width,
    ),
    Claim(
        "Output layer and shortcuts alone do well on wide networks, and fall towards chance on deep ones.",
        "the order, once a wide network and one of at least 110 layers have been trained so",
        "a picture of its first version",
        ("fig2_depth", "fig2_width"),
        evidence.collapse,
    ),
    Claim(
        "With 1,000 classes the output layer must be trained too.",
        "the sign, in top-1 accuracy, of what the output layer brings",
        "a review",
        ("fig2_imagenet",),
        evidence.imagenet_output,
    ),
    Claim(
        "What happens when small γ are set to 0: one review of Figure 6 reads little change, another a sharp drop.",
        "",
        "reviews, which disagree",
        ("fig6_clamping",),
        evidence.clamping,
    ),
    Claim(
        "After the ReLUs 30 to 40 % of the units are off, about 10 % when everything is trained.",
        "the order, as what counts as off is not known",
        "a review",
        ("fig7_relu",),
        evidence.silent,
    ),
    Claim(
        "Such a network does not overfit: training and test accuracy stay together.",
        "training accuracy, on augmented images, is at most 2 points above test accuracy, and less than when everything is trained",
        "a review",
        ("curve_resnet110",),
        evidence.overfitting,
    ),
    Claim(
        "A seed, γ and β are enough to store such a network; training does not get cheaper.",
        "the former, with BatchNorm's running statistics stored, too",
        "a review of its discussion",
        ("engine_speed",),
        evidence.storage,
        software=True,
    ),
)
