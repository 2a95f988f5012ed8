"""What we learned: the questions that this book set out to answer, and what the stored runs say to each."""

from collections.abc import Callable
from dataclasses import dataclass

from bnlib import experiments
from bnlib.report import analysis, claims, page, paper
from bnlib.report import statements as say
from bnlib.report.page import Markdown
from bnlib.report.statements import Statement


@dataclass(frozen=True)
class Question:
    """A question, the pages that show its figure, and `evidence`, which looks at the runs."""

    asks: str
    pages: tuple[str, ...]
    evidence: Callable[[], Statement]


def answers(numbers: list[int] | None = None) -> dict[str, Statement]:
    """Each question, and what the stored runs say to it. numbers: only these, counted from 1; None: all."""
    found = {}
    for i, question in enumerate(QUESTIONS, 1):
        if not numbers or i in numbers:
            one = question.evidence()
            found[question.asks] = one if one else Statement("Nothing of this has been trained yet.", "not trained")
    return found


def listing(found: dict[str, Statement]) -> Markdown:
    """The questions one below the other: the answer with its badge, and the pages that show it."""
    pages = {one.asks: ", ".join(f"[{page.title(name)}]({name}.ipynb)" for name in one.pages) for one in QUESTIONS}
    linked = {asks: [Statement(f"{one.text} {pages[asks]}", one.verdict, one.of)] for asks, one in found.items()}
    return Markdown(page.left_out() + page.answers(linked))


def count(found: dict[str, Statement]) -> Markdown:
    """To how many of the questions there are runs, in words."""
    there = sum(one.verdict != "not trained" for one in found.values())
    return Markdown(
        f"{say.upper(say.number(len(found)))} questions. To {say.number(there)} of them there are runs that say something."
    )


def _values():
    summary = analysis.summarise(experiments.runs("fig2_depth"))
    found = say.depth(claims.accuracy_points("fig2_depth", trainable="bn"), summary)
    return _and(found, say.still_to_train("fig2_depth"))


def _claim(number: int) -> Callable[[], Statement]:
    return lambda: claims.settle([number])[0].found


def _shares():
    shares = analysis.small_gammas(analysis.gammas(experiments.runs("fig5_thresholds")))
    found = say.small(shares, analysis.ordered(analysis.judge(shares, paper.small_gammas())))
    return _and(found, say.against_all(shares), say.quoted(paper.small_gammas()))


def _why():
    runs = experiments.runs("why_off")
    shares, accuracy = analysis.off(runs), analysis.with_rates(analysis.summarise(runs))
    accounts = analysis.accounts(shares, accuracy)
    return _and(say.why(accounts), say.as_the_paper_trains(shares, accounts))


def _random():
    return say.as_many(analysis.summarise(experiments.runs("ablation_random_parameters")))


def _halves():
    return say.halves(analysis.summarise(experiments.runs("ablation_gamma_or_beta")))


def _initialisation():
    summary, base = analysis.summarise(experiments.runs("ablation_initialisation")), next(iter(experiments.INITIALISATIONS))
    found = say.variants(summary, base, "other initialisations", "the paper's start")
    return _and(found, say.alternate(summary, base, paper.alternate()), verdict=say.differ(summary, base, better=True))


def _recipe():
    summary = analysis.summarise(experiments.runs("ablation_recipe"))
    return _and(say.variants(summary, "the recipe", "other settings"), verdict=say.differ(summary, "the recipe"))


def _and(found: Statement, *more: Statement, verdict: str = "") -> Statement:
    """The statement, and what else there is to say, if it says anything. verdict: instead of its own."""
    text = " ".join(one.text for one in (found, *more) if one)
    return Statement(text, verdict or found.verdict, found.of) if found else found


QUESTIONS = (
    Question("Does accuracy with γ and β alone come to the paper's values?", ("fig2_depth",), _values),
    Question("Is that more than training as many random weights?", ("ablation_random_parameters",), _claim(2)),
    Question("How many random weights a channel are worth γ and β?", ("ablation_random_parameters",), _random),
    Question("Do as many γ end near 0 as the paper says?", ("fig5_thresholds", "fig4_gamma"), _shares),
    Question("Does training learn to turn features off, or is it weight decay or a collapse?", ("why_off",), _why),
    Question("What does it cost to set the small γ to 0?", ("fig6_clamping",), _claim(8)),
    Question("Are more ReLUs silent than when everything is trained?", ("fig7_relu",), _claim(9)),
    Question("Which matters more, γ or β?", ("ablation_gamma_or_beta",), _halves),
    Question("Does another initialisation do better?", ("ablation_initialisation",), _initialisation),
    Question("Does the result hang on the recipe?", ("ablation_recipe",), _recipe),
    Question("With as many γ and β, is deeper better than wider?", ("fig3_depth_or_width",), _claim(5)),
)
