"""The paper's eleven claims, and what the stored runs say of each: words and verdicts made of results, with no number typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from bnlib import experiments, store
from bnlib.report import analysis, paper
from bnlib.spec import architecture

NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Claim:
    """A claim: what the paper says, how that is known, the pages that show it, and `evidence`, which looks.

    evidence: gives words, and rows with a recipe and a verdict each, as `analysis.judge` does; None where nothing of the paper's is
    known that ours could be held against.
    """

    says: str
    known: str
    pages: tuple[str, ...]
    evidence: Callable[[], tuple[str, pd.DataFrame | None]]

    def settle(self) -> "Settled":
        """The evidence in words, and the verdict: the least of its rows', at recipe `paper` if there are any."""
        words, rows = self.evidence()
        return Settled(CLAIMS.index(self) + 1, self, words, NO_VERDICT if rows is None else analysis.overall(rows))


class Settled(NamedTuple):
    """A claim, its number, what the stored runs say of it, and the verdict."""

    number: int
    claim: Claim
    words: str
    verdict: str


class Markdown(str):
    """A text that notebooks and the book set as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def settle(numbers: list[int] | None = None) -> list[Settled]:
    """The claims, held against the stored runs. numbers: only these, counted from 1; None: all.

    Raises ValueError for a number that no claim has.
    """
    wrong = [number for number in numbers or () if number not in range(1, len(CLAIMS) + 1)]
    if wrong:
        raise ValueError(f"claim {wrong[0]!r}: use whole numbers from 1 to {len(CLAIMS)}")
    return [claim.settle() for number, claim in enumerate(CLAIMS, 1) if not numbers or number in numbers]


def table(settled: list[Settled]) -> Markdown:
    """The claims: what the paper says, what we find, the verdict, the page."""
    lines = ["| | The paper says | We find | Verdict |", "|---|---|---|---|"]
    for number, claim, words, verdict in settled:
        pages = ", ".join(f"[{_title(page)}]({page}.ipynb)" for page in claim.pages)
        cells = (number, f"{claim.says} *({claim.known})*", f"{words} {pages}", f"**{verdict}**")
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return Markdown("\n".join(lines))


def _title(page: str) -> str:
    """The heading of a page, as the book's contents have it."""
    first = json.loads((store.ROOT / "notebooks" / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).splitlines()[0].removeprefix("# ")


def count(settled: list[Settled]) -> str:
    """How many claims have each verdict, in words."""
    verdicts = [one.verdict for one in settled]
    return ", ".join(f"{verdicts.count(v)} {v}" for v in (*analysis.VERDICTS, NO_VERDICT) if v in verdicts)


def accuracy_points(*experiments_: str, trainable: str) -> pd.DataFrame:
    """The points of `trainable` that these experiments show, judged: of Figure 2, deep or wide or both."""
    runs = pd.concat([experiments.runs(name) for name in experiments_]).drop_duplicates("id")
    reference = paper.values("fig2", "abstract", metric="test_accuracy_percent", kinds=paper.PAPER)
    return analysis.judge(analysis.summarise(runs[runs.trainable == trainable]), reference)


def _listed(rows: pd.DataFrame, of_what: str) -> str:
    """Differences in words, those that count for the verdict: the best recipe's."""
    shown = analysis.best(rows)
    if not len(shown):
        return "Not run."
    each = ", ".join(f"{row.difference:+.1f} in {row.network} (n = {row.n})" for row in shown.itertuples())
    return f"{of_what}, in points at recipe {shown.recipe.iloc[0]}: {each}."


def _each_network(points: pd.DataFrame, **words) -> str:
    """What each network has with γ and β only, by recipe. words: as for `analysis.by_network`."""
    return "; ".join(f"recipe {recipe}: {analysis.by_network(points, recipe, **words)}" for recipe in analysis.RECIPES)


def _reaches():
    points = accuracy_points("fig2_depth", trainable="bn")
    return f"γ and β only, {_each_network(points)}. ImageNet: not run.", points[points.network == "ResNet-866"]


def _control():
    rows = analysis.judge_differences(analysis.differences(analysis.summarise(experiments.runs("fig2_depth")), "bn", "random:2"))
    return _listed(rows, "γ and β against two random weights a channel"), rows


def _disabled():
    gammas = analysis.gammas(experiments.runs("fig5_thresholds"))
    small, alone = analysis.small_gammas(gammas), analysis.weight_decay_words(gammas)["small"]
    rows = analysis.ordered(analysis.judge(small, paper.small_gammas()))
    words = (
        f"γ below 0.01, {_each_network(small)}. {analysis.small_against(small)}. Weight decay alone, without a gradient: {alone}."
    )
    return words, rows


def _affine():
    rows = analysis.differences(analysis.summarise(experiments.runs("fig1_affine")), "all", "all-bn")
    rows = analysis.judge_differences(rows, *paper.gain_range())
    return _listed(rows, "With γ and β against without"), rows


def _depth_or_width():
    points = analysis.with_parameters(experiments.runs("fig3_depth_or_width"))
    rows = analysis.judge_differences(analysis.at_equal_parameters(points))
    return _listed(rows, "Deeper against wider with as many γ and β"), rows


def _collapse():
    points = accuracy_points("fig2_depth", "fig2_width", trainable="shortcut+output")
    rows = analysis.best(analysis.ordered(points))
    shown = (rows if len(rows) else analysis.best(points.drop(columns="verdict"))).sort_values(["width", "depth"])
    words = ", ".join(f"{row['mean']:.1f} % in {row.network} (n = {row.n})" for _, row in shown.iterrows())
    told = (rows.width > 1).any() and (rows.depth >= 110).any()  # else nothing is known of wide ones, or of deep ones
    return (f"At recipe {shown.recipe.iloc[0]}: {words}." if words else "Not run."), rows if told else rows[:0]


def _thousand_classes():
    return "ImageNet: not run.", pd.DataFrame(columns=["recipe", "verdict"])


def _clamping():
    answer = analysis.clamping_answer(analysis.clamping(experiments.runs("fig6_clamping")))
    words = analysis.clamping_words(analysis.best(answer[answer.trainable == "bn"]))
    return f"Measured: {words['small']}; with β at 0 too, {words['beta']}.", None


def _off_units():
    rows = analysis.relu_differences(analysis.relu(experiments.runs("fig7_relu")))
    shown = analysis.best(rows)
    words = ", ".join(
        f"{row.more:.0f} % against {row.less:.0f} % ({row.network}, {row.definition}, n = {row.n})" for row in shown.itertuples()
    )
    return (f"γ and β only against all: {words}, at recipe {shown.recipe.iloc[0]}." if len(shown) else "Not run."), rows


def _overfitting():
    rows = analysis.judge_overfitting(analysis.overfitting(experiments.runs("fig4_gamma")))
    shown = analysis.best(rows)
    if not len(shown):
        return "Not run.", rows
    words = ", ".join(f"{row.less:+.1f} against {row.more:+.1f} in {row.network} (n = {row.n})" for row in shown.itertuples())
    clean = analysis.overfitting_as_they_are(experiments.runs("fig4_gamma"))
    clean = _each_network(clean, unit="points above it", absent="not asked")
    return (
        f"Training above test accuracy, γ and β only against all, in points at recipe {shown.recipe.iloc[0]}: {words}. "
        f"On the training images as they are, γ and β only, {clean}."
    ), rows


def _storage():
    from bnlib.store import networks  # with PyTorch, for which the pages of stored runs need not wait

    shown = experiments.runs("fig4_gamma")
    runs = [store.load(name) for name in shown[shown.trainable == "bn"].id]
    rows, smallest = [], min(runs, key=lambda run: run.info["counts"]["total"], default=None)
    for run in runs:
        if run.info["counts"]["total"] == smallest.info["counts"]["total"]:
            drawn = networks.drawn_alike(run, networks.draw(run.spec))
            size = (run.folder / "bn.safetensors").stat().st_size
            rows.append({"recipe": run.spec.recipe, "size": size, "verdict": analysis.holds(run.spec.recipe, drawn)})
    if not rows:
        return "Not run.", pd.DataFrame(columns=["recipe", "verdict"])
    title, whole = architecture(smallest.spec.model).title, 4 * smallest.info["counts"]["total"]
    sizes = f"{rows[0]['size'] / 1000:.0f} KB, header included, instead of {whole / 1000:,.0f} KB of parameters"
    words = (
        f"{title} is stored in {sizes}: its seed, γ, β and running statistics. That the seed draws the same weights again is "
        "checked here. What a step costs:"
    )
    return words, pd.DataFrame(rows)


CLAIMS = (
    Claim(
        "Training only γ and β reaches 82 % on CIFAR-10 (ResNet-866), and 32 % top-5 on ImageNet (ResNet-200); judged on CIFAR-10.",
        "its abstract; the networks by a review",
        ("fig2_depth",),
        _reaches,
    ),
    Claim(
        "That is far more than training as many randomly chosen parameters; judged by the sign, as the numbers are not known.",
        "its abstract; the control by a review",
        ("ablation_random_parameters",),
        _control,
    ),
    Claim(
        "Part of it is done by disabling around a third of the random features: 27 % of γ are below 0.01, 9 % when everything is "
        "trained.",
        "its abstract; the numbers by a reproduction, presumably of ResNet-110",
        ("fig5_thresholds",),
        _disabled,
    ),
    Claim(
        "In ordinary training, γ and β are worth 0.5 to 2 points on CIFAR-10, and 2 on ImageNet; judged on CIFAR-10.",
        "its introduction",
        ("fig1_affine",),
        _affine,
    ),
    Claim(
        "For the same number of γ and β, depth helps more than width.",
        "reviews",
        ("fig3_depth_or_width",),
        _depth_or_width,
    ),
    Claim(
        "Output layer and shortcuts alone do well on wide networks, and fall towards chance on deep ones.",
        "a picture of its first version",
        ("fig2_depth", "fig2_width"),
        _collapse,
    ),
    Claim(
        "With 1,000 classes the output layer must be trained too.",
        "a review",
        (),
        _thousand_classes,
    ),
    Claim(
        "What happens when small γ are set to 0: one review of Figure 6 reads little change, another a sharp drop.",
        "reviews, which disagree",
        ("fig6_clamping",),
        _clamping,
    ),
    Claim(
        "Behind the ReLUs 30 to 40 % of the units are off, about 10 % when everything is trained; judged by the order, as what "
        "counts as off is not known.",
        "a review",
        ("fig7_relu",),
        _off_units,
    ),
    Claim(
        "Such a network does not overfit: training and test accuracy stay together. Judged: training accuracy, on augmented "
        "images, is at most 2 points above test accuracy, and less above it than when everything is trained.",
        "a review",
        ("curve_resnet110",),
        _overfitting,
    ),
    Claim(
        "A seed, γ and β are enough to store such a network; training does not get cheaper. Judged: the former, with BatchNorm's "
        "running statistics stored, too.",
        "a review of its discussion",
        ("engine_speed",),
        _storage,
    ),
)
