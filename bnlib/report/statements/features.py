"""What γ, β and ReLUs say: how many γ are small, what weight decay has to do with it, what happens when they are set to 0."""

import pandas as pd

from bnlib.report.analysis.accuracy import differences
from bnlib.report.analysis.gamma import shrunk
from bnlib.report.analysis.verdicts import FULL, HOLD, LEVEL, RECIPES, best, overall, whole
from bnlib.report.statements.course import growth
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper, what
from bnlib.spec import RECIPES as SETTINGS


def small(shares: pd.DataFrame, judged: pd.DataFrame, threshold: float = 0.01) -> Statement:
    """The share of γ that end below `threshold` with γ and β alone, at the longest recipe that has been run, against depth.

    shares: of `analysis.small_gammas`. judged: the same, of `analysis.judge`; where only one of the paper's two shares has been
    trained, the verdict is of that one.
    """
    own, held = shares[shares.trainable == "bn"], best(judged)
    some, own = "not judged" if len(own) else "not trained", best(own[own.recipe.isin(held.recipe)] if len(held) else own)
    if not len(own):
        return Statement("", some)
    recipe, sets = own.recipe.iloc[0], list(held.trainable.unique())
    verdict, of = overall(judged) if len(judged) else "not judged", f"with {what(sets[0])} trained" if len(sets) == 1 else ""
    if len(own) == 1:
        text = f"{percent(own['mean'].iloc[0])} of γ end below {threshold:g} in {network(own.network.iloc[0])} with γ and β alone"
        text = f"{upper(text)}, {after(recipe)}{few(own)}."
    else:
        text = f"{upper(after(recipe))}, with γ and β alone, the share of γ below {threshold:g} {growth(own)}{few(own)}."
    for row in held[(held.trainable == "bn") & held.recipe.isin(FULL)].itertuples():
        text += f" The paper has {row.reference:g}\u00a0%, as others quote it, presumably for {network(row.network)}."
    return Statement(text, verdict, of)


def against_all(shares: pd.DataFrame, threshold: float = 0.01) -> Statement:
    """How many more γ are small with γ and β alone than with everything trained, in the deepest network trained both ways.

    shares: of `analysis.small_gammas`.
    """
    rows = best(differences(shares, "bn", "all"))
    if not len(rows):
        return Statement("")
    row = rows.sort_values(["depth", "width"]).iloc[-1]
    sure = "" if row.p < LEVEL else ", a difference that may be chance"
    return Statement(
        f"With everything trained, {percent(row.less)} of γ end below {threshold:g} in {network(row.network)} {after(row.recipe)}, "
        f"with γ and β alone {percent(row.more)}{few(rows[rows.network == row.network])}{sure}."
    )


def near_zero(close: pd.DataFrame, wide: pd.DataFrame) -> Statement:
    """How many more γ end near 0 with γ and β alone than with everything trained, at both thresholds that are shown.

    close, wide: `differences` of the shares below 0.01 and below 0.1, judged.
    """
    if not len(best(wide)):
        return Statement("", "not judged" if len(wide) else "not trained")
    verdicts = overall(close), overall(wide)
    row = best(wide).sort_values("depth").iloc[-1]
    verdict = whole(*verdicts)
    small_ = best(close)
    at = small_[small_.network == row.network]
    more = f"; below 0.01 they are {percent(at.more.iloc[0])} and {percent(at.less.iloc[0])}" if len(at) else ""
    return Statement(
        f"{upper(after(row.recipe))}, {percent(row.more)} of γ end below 0.1 in {network(row.network)} with γ and β alone, and "
        f"{percent(row.less)} with everything trained{more}.",
        verdict,
    )


def without_decay(shares: pd.DataFrame, threshold: float = 0.01) -> Statement:
    """Whether γ still end near 0 without weight decay on γ and β, in the deepest network that has been trained both ways.

    shares: of `analysis.small_gammas`, of the variants `the recipe` and `no weight decay on γ and β`.
    """
    rows = best(differences(shares, "the recipe", "no weight decay on γ and β"))
    if not len(rows):
        return Statement("")
    row = rows.sort_values("depth").iloc[-1]
    still = "some go there without decay, too" if row.less > 1.5 else "without decay none goes there"
    return Statement(
        f"Without weight decay on γ and β, {percent(row.less)} of γ end below {threshold:g} in {network(row.network)}, with it "
        f"{percent(row.more)}, {after(row.recipe)}; 1\u00a0% starts there, so {still}."
    )


def decay(gammas: pd.DataFrame, threshold: float = 0.01) -> Statement:
    """Whether weight decay alone explains which γ end below `threshold`, with γ and β alone, in the deepest network.

    gammas: of `analysis.gammas`. Decay alone would bring there every γ that starts below a bound, and no other.
    """
    own = best(gammas[(gammas.trainable == "bn") & gammas.recipe.isin(RECIPES)])
    own = own[own.variant != "no weight decay on γ and β"]
    if not len(own):
        return Statement("")
    deepest = own.sort_values("depth").network.iloc[-1]
    own, recipe = own[own.network == deepest], own.recipe.iloc[0]
    bound = threshold / shrunk(SETTINGS[recipe])
    ends, below = own.gamma.abs() < threshold, own.start.abs() < bound
    stray, stay = 100 * ends[~below].mean(), 100 * (~ends[below]).mean()
    alone = (
        f"Weight decay alone would bring every γ that starts below {bound:.2g} under {threshold:g} {after(recipe)}, and no other"
    )
    if stray < 1 and stay < 1:
        return Statement(f"{alone}; in {network(deepest)} it is so.")
    return Statement(
        f"{alone}. In {network(deepest)}, {stay:.0f}\u00a0% of those that start below it do not end there, "
        f"and {stray:.0f}\u00a0% of the others do: the gradient decides, too."
    )


def where_small(where: pd.DataFrame) -> Statement:
    """Where small γ sit: before a ReLU or before an addition; in the deepest network, γ and β alone.

    where: of `analysis.small_where`.
    """
    row = _deepest(where)
    if row is None:
        return Statement("")
    return Statement(
        f"In {network(row.network)} {percent(row.relu)} of the γ before a ReLU end below 0.01, and {percent(row.added)} of those "
        f"before an addition, {after(row.recipe)}."
    )


def moved(far: pd.DataFrame) -> Statement:
    """How far γ has moved from where weight decay alone would have left it, γ and β alone. far: of `analysis.moved`."""
    own = best(far[far.trainable == "bn"])
    if not len(own):
        return Statement("", "not trained")
    recipe, own = own.recipe.iloc[0], own.sort_values("depth")
    places = [f"{row['mean'] / 100:.2f} in {network(row.network)}" for _, row in own.iloc[[0, -1]].iterrows()]
    ends = " and ".join(dict.fromkeys(places))
    return Statement(
        f"γ starts between 0 and 1; {after(recipe)} half of them lie further than {ends} from where weight decay alone would have "
        "left them.",
        "not judged",
    )


def clamped(answer: pd.DataFrame, small_: float = 0.01) -> Statement:
    """What setting |γ| up to `small_` to 0 costs, γ and β alone, in the deepest network. answer: of `analysis.clamping_answer`."""
    row = _deepest(answer)
    if row is None:
        return Statement("", "not trained")
    change = float(row.change)
    effect = "changes nothing" if abs(change) < 0.05 else f"{'costs' if change < 0 else 'gains'} {points(change)}"
    text = f"Setting the {percent(100 * row['share'])} of γ with |γ| up to {small_:g} to zero {effect} in {network(row.network)}"
    random = float(row.change_random)
    beside = (
        f"; as many features drawn at random, once, {'cost' if random < 0 else 'gain'} {points(random)}"
        if abs(random) >= 0.05
        else ""
    )
    return Statement(f"{text}, {after(row.recipe)}{few(answer.loc[[row.name]])}{beside}.", "not judged")


def clamped_to_nothing(answer: pd.DataFrame) -> Statement:
    """The same with β at 0 too, so that the feature is nothing, not a constant; and how far γ can be cut."""
    own = best(answer[answer.trainable == "bn"])
    if not len(own):
        return Statement("")
    row = own.sort_values("depth").iloc[-1]
    said = f"Setting their β to 0 as well, so that such a feature is gone instead of a constant, {_costs(row.change_beta)}"
    wide = own[own.n > 1].assign(range=lambda rows: (rows.beta_high - rows.beta_low).astype(float)).sort_values("range")
    others = own[~own.network.isin([row.network, *wide.network.tail(1)])]
    if len(others):
        each = others.change_beta.astype(float)
        said += f"; in {listing(map(network, others.network))} it {_range(each.max(), each.min())}"
    if len(wide):
        last = wide.iloc[-1]
        ends = _range(last.beta_high, last.beta_low)
        said += f", and among the {number(int(last.n))} replicates of {network(last.network)} it {ends}"
    return Statement(f"{said}.")


def _costs(change: float) -> str:
    """What a change of accuracy, in points, is, as a verb and its object: costs 2.0 points."""
    change = float(change)
    return "costs nothing" if abs(change) < 0.05 else f"{'costs' if change < 0 else 'gains'} {points(change)}"


def _range(best: float, worst: float) -> str:
    """What two changes of accuracy are, and all between them: costs 2.4 to 9.2 points."""
    if _costs(best) == _costs(worst):
        return _costs(worst)
    if best <= -0.05:
        return f"costs {abs(best):.1f} to {points(worst)}"
    return f"{_costs(best)} at best and {_costs(worst)} at worst"


def nothing_already(where: pd.DataFrame) -> Statement:
    """Whose β it is that matters: most features of small γ are 0 after their ReLU anyway. where: of `small_where`."""
    row = _deepest(where)
    if row is None:
        return Statement("")
    so = f". So it is the β of the other {percent(100 - row.ahead)}, before an addition, that matter" if row.negative > 90 else ""
    return Statement(
        f"In {network(row.network)} {percent(row.ahead)} of the features of small γ are before a ReLU, and "
        f"{percent(row.negative)} of these have β below 0: they are nothing already{so}."
    )


def silent(relu: pd.DataFrame, judged: pd.DataFrame, definition: str = "0.9") -> Statement:
    """How many units after ReLUs are off, γ and β alone against everything, in the deepest network trained both ways.

    relu: of `analysis.relu`. judged: of `analysis.relu_differences`.
    """
    name = f"> {100 * float(definition):g} %"
    rows = best(judged)
    verdict = overall(judged)
    rows = rows[rows.definition == name] if len(rows) else rows
    share = f"{100 * float(definition):g}\u00a0% of the images"
    if len(rows):
        row = rows.sort_values("depth").iloc[-1]
        sure = "" if row.p < LEVEL else "; with so few replicates that may be chance"
        return Statement(
            f"{upper(after(row.recipe))}, {percent(row.more)} of the units after ReLUs are 0 for more than {share} with γ and β "
            f"alone, and {percent(row.less)} with everything trained, in {network(row.network)}{few(rows.loc[[row.name]])}{sure}.",
            verdict,
            "as an order" if verdict in HOLD else "",
        )
    own = relu[(relu.trainable == "bn") & (relu.definition == definition)]
    row = _deepest(own)
    if row is None:
        return Statement("", "not judged" if len(own) else "not trained")
    off = f"{percent(row['mean'])} of the units after ReLUs are 0 for more than {share}"
    return Statement(f"{upper(after(row.recipe))}, {off} with γ and β alone in {network(row.network)}.", "not judged")


def _deepest(points_: pd.DataFrame) -> pd.Series | None:
    """The row of the deepest network trained with γ and β alone, at the best recipe; None where there is none."""
    own = best(points_[points_.trainable == "bn"])
    return own.sort_values("depth").iloc[-1] if len(own) else None
