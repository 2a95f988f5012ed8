"""Why features go off: what each of three explanations adds, in words."""

import pandas as pd

from bnlib.report.analysis.off import PARTS, SMALL, alone, answers
from bnlib.report.analysis.verdicts import LEVEL, OPEN, fullest
from bnlib.report.statements.grammar import Statement, after, few, lasting, listing, network, percent, upper
from bnlib.spec import RECIPES as SETTINGS

OF = {"gamma": "(small γ)", "relu": "(silent ReLUs)"}  # the measures, as a badge says them
EXPLANATIONS = {
    "training": "Training learns to turn features off, as the paper reads it",
    "rate": "BatchNorm with ReLU lets features collapse, the more the larger the learning rate",
    "decay": "Weight decay pulls γ to 0",
}
DOES = {  # what happens, and what does not
    "gamma": ("γ end near 0", "no more γ end near 0 than start there"),
    "relu": ("ReLUs fall silent", "hardly any ReLU falls silent"),
}
UNTOLD = "Whether that is learnt, or a collapse that a larger rate makes worse, {}."
WHERE = {"training": "without weight decay", "rate": "at a larger learning rate", "decay": "with weight decay"}


def place(accounts: pd.DataFrame) -> pd.DataFrame:
    """The rows of the network and recipe of which most can be said: of most parts, whatever the number of learning rates."""
    return fullest(accounts, "measure", "part")


def why(accounts: pd.DataFrame) -> Statement:
    """When features go off; the verdict is on whether training learns it, of both measures. accounts: of `analysis.accounts`.

    *in part* where weight decay adds to it.
    """
    own = place(accounts)
    if not len(own):
        return Statement("", "not judged" if len(accounts) else "not trained")
    found = {measure: _found(own[own.measure == measure]) for measure in ("relu", "gamma")}
    said = "; ".join(filter(None, (_known(measure, verdicts) for measure, verdicts in found.items())))
    doubts = ", nor ".join(filter(None, (_doubts(measure, verdicts) for measure, verdicts in found.items())))
    due = [WHERE[part] for part in PARTS if all(verdicts[part] == "not trained" for verdicts in found.values())]
    sentences = [said, f"it cannot be told yet {doubts}" if doubts else ""]
    sentences.append(f"whether more do {' or '.join(due)} has not been tried yet" if due else "")
    first, *rest = filter(None, sentences)
    where = f"In {network(own.network.iloc[0])} {after(own.recipe.iloc[0])}{few(own)}"
    verdict = answers(map(_learnt, found.values()))
    if verdict == "yes" and any(verdicts["decay"] in ("yes", "in part") for verdicts in found.values()):
        verdict = "in part"
    return Statement(" ".join([f"{where}, {first}.", *(f"{upper(one)}." for one in rest)]), verdict)


def _found(own: pd.DataFrame) -> dict[str, str]:
    """The verdict on each part, of one measure."""
    return {part: answers(own[own.part == part].verdict) for part in PARTS}


def _learnt(found: dict[str, str]) -> str:
    """Whether training learns it: features go off without decay, and no more at a larger rate, which would be a collapse."""
    known = {"no": "yes", "yes": "in part", "too close": "too close"}
    return known.get(found["rate"], "not judged") if found["training"] == "yes" else found["training"]


def _known(measure: str, found: dict[str, str]) -> str:
    """When features go off and when not, as far as it can be told; "" if nothing can."""
    does, does_not = DOES[measure]
    said = {"yes": f"{does} even {WHERE['training']}", "no": f"{does_not} {WHERE['training']}"}.get(found["training"])
    each = [said] if said else []
    where = WHERE | ({"decay": "with decay"} if said else {})
    for part in PARTS[1:]:
        more = f"more {where[part]}" if each else f"more {does} {where[part]}"  # what comes first says of what
        words = {"yes": more, "in part": f"{more} at some rates", "no": f"no {more}"}
        each += [words[found[part]]] if found[part] in words else []
    *first, last = each or [""]
    return f"{', '.join(first)}, and {last}" if first else last


def _doubts(measure: str, found: dict[str, str]) -> str:
    """Whether features go off when, where the runs are too close to tell; "" if they tell everything."""
    does = DOES[measure][0]
    close = [part for part in PARTS if found[part] in OPEN]
    each = [f"whether {does} {WHERE['training']}"] if "training" in close else []
    for part in close:
        if part != "training":
            each.append(f"whether more do {WHERE[part]}" if each else f"whether more {does} {WHERE[part]}")
    return ", nor ".join(each)


def explanations(accounts: pd.DataFrame, accuracy: pd.DataFrame) -> dict[str, list[Statement]]:
    """Each explanation, and what the runs say of it: of small γ and of silent ReLUs, with a verdict on each.

    accounts: of `analysis.accounts`. accuracy: of `analysis.with_rates`; how it moves along.
    """
    own = place(accounts)
    percents = accuracy.merge(own[["network", "recipe"]].drop_duplicates()).set_index(["decays", "lr"])["mean"]
    found = {}
    for part, title in EXPLANATIONS.items():
        rows = own[own.part == part]
        said = [(measure, rows[rows.measure == measure]) for measure in OF]
        tell, none = TELL[part]
        verdicts = {one: _found(own[own.measure == one]) for one in OF}
        judged = {one: _learnt(verdicts[one]) if part == "training" else verdicts[one][part] for one in OF}
        # Too close though features go off: what cannot be told is whether that is learnt.
        why_ = {one: "has not been tried" if verdicts[one]["rate"] == "not trained" else "is too close to tell" for one in OF}
        doubt = {one: f" {UNTOLD.format(why_[one])}" if judged[one] in OPEN and verdicts[one][part] == "yes" else "" for one in OF}
        found[title] = [Statement(tell(one, rows, percents) + doubt[one], judged[one], OF[one]) for one, of in said if len(of)]
        found[title] = found[title] or [Statement(none, "not trained")]
    return found


def _training(measure: str, rows: pd.DataFrame, percents: pd.Series) -> str:
    row, rates = rows[rows.measure == measure].iloc[0], sorted(percents[False].index)
    which = (
        "the smallest of these of which that is known"
        if row.lr > rows.lr.min()
        else "the smallest that trains well"
        if row.lr > rates[0]
        else f"the smallest tried {lasting(row.recipe)}"
        if len(rates) > 1
        else "the only one tried"
    )
    start = f"{percent(row.less)} start there" if measure == "gamma" else "in an untrained network hardly any"
    said = f"Without weight decay, {percent(row.more)} {_noun(measure)} at learning rate {row.lr:g}, {which}"
    return f"{said}{_doubt(row, 'one run')}; {start}."


def _rate(measure: str, rows: pd.DataFrame, percents: pd.Series) -> str:
    row = rows[rows.measure == measure].iloc[0]
    said = (
        f"Without weight decay, {percent(row.more)} {_noun(measure)} at learning rate {row.lr:g}, and {percent(row.less)} at "
        f"{row.lr_less:g}{_doubt(row)}."
    )
    if measure == "relu":
        return said
    return f"{said} Accuracy there is {percent(percents[False, row.lr])} and {percent(percents[False, row.lr_less])}."


def _decay(measure: str, rows: pd.DataFrame, percents: pd.Series) -> str:
    rows = rows[rows.measure == measure].sort_values("lr")
    row = rows.iloc[-1]
    would = alone(measure, row.recipe, row.lr)
    does = f"decay alone would bring {percent(would)}" if would else "decay alone would bring none, as it shrinks γ and β alike"
    said = f"At learning rate {row.lr:g}, {percent(row.more)} {_noun(measure)} with weight decay and {percent(row.less)} without"
    others, told = rows[rows.lr != row.lr].sort_values("lr"), []
    adds, takes = ((others.p < LEVEL) & (sign * others.difference > 0) for sign in (1, -1))
    too = ", too" if row.p < LEVEL and row.difference > 0 else ""
    known = ~(adds | takes) & ~others.verdict.isin(OPEN)
    kinds = ((adds, f"it adds to them{too}"), (takes, "there are fewer with it"), (known, "it adds none"))
    for which, words in (*kinds, (~(adds | takes | known), "it cannot be told")):
        if which.any():
            told.append(f"at {listing(f'{lr:g}' for lr in others.lr[which])} {words}")
    rest = f" {upper('; '.join(told))}." if told else ""
    return f"{said}{_doubt(row)}; {does}.{rest}"


def _noun(measure: str) -> str:
    return f"of γ end below {SMALL:g}" if measure == "gamma" else "of the units after ReLUs are silent"


def _doubt(row, runs: str = "one run each") -> str:
    single = f", {runs}" if str(row.n) == "1" else ""
    return single if row.p < LEVEL or row.p != row.p else f"{single}, which may be chance"


TELL = {  # of each explanation: its sentences, and what is said where nothing has been run
    "training": (_training, "Nothing has been trained without weight decay yet."),
    "rate": (_rate, "No larger learning rate has been tried without weight decay yet."),
    "decay": (_decay, "No learning rate has been tried both with and without weight decay yet."),
}


def as_the_paper_trains(shares: pd.DataFrame, accounts: pd.DataFrame) -> Statement:
    """At the paper's recipe: the share of small γ, what weight decay alone would bring, and without decay, if that has been run.

    shares: of `analysis.off`. The deepest network trained so.
    """
    own = shares[(shares.recipe == "paper") & (shares.lr == SETTINGS["paper"].lr) & (shares.measure == "gamma") & shares.decays]
    if not len(own):
        return Statement("")
    tried = accounts[(accounts.part == "decay") & (accounts.recipe == "paper") & (accounts.measure == "gamma")]
    tried = tried[tried.lr == SETTINGS["paper"].lr]
    row = own[own.network.isin(tried.network) | (not len(tried))].sort_values("depth").iloc[-1]
    would = alone("gamma", "paper", row.lr)
    less = tried[tried.network == row.network]
    free = "without weight decay none has been trained so yet"
    if len(less):
        free = f"without weight decay {percent(less.less.iloc[0])} do{_doubt(less.iloc[0])}"
    return Statement(
        f"As the paper trains, {after('paper')}, {percent(row['mean'])} of γ end below {SMALL:g} in {network(row.network)}; "
        f"{free}. Decay without any gradient would bring {percent(would)} there."
    )


def take_away(accounts: pd.DataFrame) -> Statement:
    """What a reader can take away, in plain words, of what could be told. accounts: of `analysis.accounts`."""
    own = place(accounts)
    gamma, relu = (_found(own[own.measure == measure]) for measure in ("gamma", "relu"))
    held, said = ("yes", "in part"), []
    if gamma["decay"] in held:
        said.append(
            "how many γ are near 0 says little by itself: weight decay brings them there, by learning rate times decay times "
            "steps, so hold it against what decay alone would bring"
        )
    if relu["training"] == "yes":
        added = "; whether it adds to it cannot be told yet" if relu["decay"] in OPEN else ""
        said.append(f"ReLUs fall silent without any weight decay, so that is not needed for it{added}")
    elif relu["training"] == "no":
        said.append("without weight decay ReLUs stay on where training goes well, so there it has not learnt to silence them")
    off = [what for what, found in (("silences more ReLUs", relu), ("brings more γ near 0", gamma)) if found["rate"] == "yes"]
    if off:
        said.append(f"a larger learning rate {listing(off)}, with nothing else changed")
    return Statement(f"{upper('; '.join(said))}." if said else "")
