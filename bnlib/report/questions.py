"""What readers ask beyond the paper, and what the stored runs answer: for the front page and that of the claims."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bnlib import experiments
from bnlib.report import analysis, page
from bnlib.report.beyond import order, pruning
from bnlib.report.page import Markdown
from bnlib.report.statements import Statement


@dataclass(frozen=True)
class Question:
    """A question, the page that is about it, and `answer`, which looks at the stored runs."""

    asks: str
    page: str
    answer: Callable[[], Statement]


class Answered(NamedTuple):
    """A question, and what the stored runs say."""

    question: Question
    found: Statement


def settle() -> list[Answered]:
    """Every question, and what the stored runs answer."""
    return [Answered(one, one.answer()) for one in QUESTIONS]


def short(answered: list[Answered]) -> Markdown:
    """The questions as a short list: the badge, and the question as a link to its page."""
    return Markdown("\n".join(f"- {page.badge(found)} [{one.asks}]({one.page}.ipynb)" for one, found in answered))


def listing(answered: list[Answered]) -> Markdown:
    """The questions one below the other, each with its badge, the answer and the page."""
    lines = [
        f"- {page.badge(found)} **{one.asks}** {found.text} [{page.title(one.page)}]({one.page}.ipynb)" for one, found in answered
    ]
    return Markdown("\n".join(lines))


def _summary(name: str):
    return analysis.summarise(experiments.runs(name))


QUESTIONS = (
    Question(
        "Is it better to train γ and β alone at first, and everything afterwards?",
        "beyond_bn_first",
        lambda: order.answer(_summary("beyond_bn_first")),
    ),
    Question(
        "Can the features that training turned off be cut out, and what does that save?",
        "beyond_pruning",
        lambda: pruning.answer(pruning.replicated(pruning.savings(experiments.runs("beyond_pruning")))),
    ),
)
