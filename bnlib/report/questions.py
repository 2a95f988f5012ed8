"""Questions, and what the stored runs say to each: those about the paper (what we learned), and those beyond it."""

from collections.abc import Callable
from dataclasses import dataclass

from bnlib import experiments
from bnlib.report import analysis, claims, evidence, page, paper
from bnlib.report import statements as say
from bnlib.report.beyond import cut_out, equal_bytes, norms, order, pruning, small, tasks, transfer
from bnlib.report.page import Markdown
from bnlib.report.statements import Statement


@dataclass(frozen=True)
class Question:
    """A question, the pages that show its figure, and `evidence`, which looks at the runs.

    open: the answer is no yes or no, and nothing of the paper's is known that it could be held against: it has no badge.
    """

    asks: str
    pages: tuple[str, ...]
    evidence: Callable[[], Statement]
    open: bool = False


def answers(questions: tuple[Question, ...], numbers: list[int] | None = None) -> dict[Question, Statement]:
    """Each question, and what the stored runs say to it. numbers: only these, counted from 1; None: all."""
    found = {}
    for i, question in enumerate(questions, 1):
        if not numbers or i in numbers:
            one = question.evidence()
            there = one.verdict == "not judged"  # a part of it
            none = "Not enough of this has been trained to be compared." if there else "Nothing of this has been trained yet."
            if one and there and question.open:
                one = Statement(one.text)
            found[question] = one if one else Statement(none, "not judged" if there else "not trained")
    return found


def listing(found: dict[Question, Statement]) -> Markdown:
    """The questions one below the other: the answer with its badge, and the pages that show it."""
    linked = {}
    for question, one in found.items():
        pages = ", ".join(f"[{page.title(name)}]({name}.ipynb)" for name in question.pages)
        linked[question.asks] = [Statement(f"{one.text} {pages}".strip(), one.verdict, one.of)]
    return Markdown(page.left_out() + page.answers(linked))


def short(found: dict[Question, Statement]) -> Markdown:
    """The questions as a short list: the badge, and the question as a link to its page."""
    return Markdown("\n".join(f"- {page.badge(one)} [{asked.asks}]({asked.pages[0]}.ipynb)" for asked, one in found.items()))


def count(found: dict[Question, Statement]) -> Markdown:
    """To how many of the questions there are runs, in words."""
    there = sum(one.verdict != "not trained" for one in found.values())
    of = "each" if there == len(found) else f"{say.number(there) if there else 'none'} of them"
    if len(found) == 1:
        return Markdown(f"One question. There are {'' if there else 'no '}runs for it.")
    return Markdown(f"{say.upper(say.number(len(found)))} questions. There are runs for {of}.")


def _summary(name: str):
    return analysis.summarise(experiments.runs(name))


def _values():
    summary = analysis.summarise(experiments.runs("fig2_depth"))
    found = say.depth(evidence.depth_points(), summary)
    return _and(found, say.still_to_train("fig2_depth"))


def _claim(number: int) -> Callable[[], Statement]:
    return lambda: claims.settle([number])[0].found


def _shares():
    shares = analysis.small_gammas(analysis.gammas(experiments.runs("fig5_thresholds")))
    judged = analysis.judge(shares, paper.small_gammas())
    return _and(say.small(shares, judged), say.against_all(shares), say.quoted(paper.small_gammas(), judged))


def _why():
    runs = experiments.runs("why_off")
    shares, accuracy = analysis.off(runs), analysis.with_rates(analysis.summarise(runs))
    accounts = analysis.accounts(shares, accuracy)
    return _and(say.why(accounts), say.as_the_paper_trains(shares, accounts))


def _random():
    return say.as_many(_summary("ablation_random_parameters"))


def _halves():
    return say.halves(_summary("ablation_gamma_or_beta"))


def _initialisation():
    summary, base = _summary("ablation_initialisation"), next(iter(experiments.INITIALISATIONS))
    found = say.variants(summary, base, "other initialisations", "the paper's start")
    return _and(found, say.alternate(summary, base, paper.alternate()), verdict=say.differ(summary, base, better=True))


def _recipe():
    summary = _summary("ablation_recipe")
    return _and(say.variants(summary, "the recipe", "other settings"), verdict=say.differ(summary, "the recipe"))


def _and(found: Statement, *more: Statement, verdict: str = "") -> Statement:
    """The statement, and what else there is to say, if it says anything. verdict: instead of its own."""
    text = " ".join(one.text for one in (found, *more) if one)
    return Statement(text, verdict or found.verdict, found.of) if found else found


def _norms():
    summary = _summary("beyond_norms")
    return norms.answer(norms.against_batch(summary), summary)


def _tasks():
    runs = experiments.runs("beyond_tasks")
    return tasks.one_for_all(tasks.tasks(runs), runs)


LEARNED = (
    Question("Does accuracy with γ and β alone match the paper's values?", ("fig2_depth",), _values),
    Question("Is that more than training as many random weights?", ("ablation_random_parameters",), _claim(2)),
    Question("How many random weights a channel are worth γ and β?", ("ablation_random_parameters",), _random, open=True),
    Question("Do as many γ end near 0 as the paper says?", ("fig5_thresholds", "fig4_gamma"), _shares),
    Question("Does training itself learn to turn features off?", ("why_off",), _why),
    Question("What does it cost to set the small γ to 0?", ("fig6_clamping",), _claim(8), open=True),
    Question("Are more ReLUs silent than when everything is trained?", ("fig7_relu",), _claim(9)),
    Question("Which matters more, γ or β?", ("ablation_gamma_or_beta",), _halves, open=True),
    Question("Does another initialisation do better?", ("ablation_initialisation",), _initialisation),
    Question("Does the result depend on the recipe?", ("ablation_recipe",), _recipe),
    Question("With as many γ and β, is deeper better than wider?", ("fig3_depth_or_width",), _claim(5)),
)
BEYOND = (
    Question(
        "Is it better to train γ and β alone at first, and everything afterwards?",
        ("beyond_bn_first",),
        lambda: order.answer(_summary("beyond_bn_first")),
    ),
    Question(
        "For a given accuracy, is a seed with γ and β the smallest thing to store?",
        ("beyond_bytes",),
        lambda: small.answer(equal_bytes.kept(experiments.runs("beyond_bytes"))),
    ),
    Question(
        "Can the features that training turned off be cut out?",
        ("beyond_pruning",),
        lambda: pruning.answer(cut_out.replicated(cut_out.savings(experiments.runs("beyond_pruning")))),
    ),
    Question("Is BatchNorm the best normalisation for this?", ("beyond_norms",), _norms),
    Question(
        "Does a random transformer learn by its norms alone?",
        ("beyond_norms",),
        lambda: norms.transformer(_summary("beyond_transformer"), _summary("beyond_norms")),
    ),
    Question(
        "Can one frozen network, with other γ and β for each task, do what a network trained for each task does?",
        ("beyond_tasks",),
        _tasks,
    ),
    Question(
        "Is it better to train less than everything, where a trained network is to learn new classes from few images?",
        ("beyond_tasks",),
        lambda: transfer.less_pays(transfer.ranking(transfer.carried(experiments.runs("beyond_transfer")))),
    ),
)
