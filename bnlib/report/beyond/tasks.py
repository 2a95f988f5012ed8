"""One frozen network for many tasks: a table, a figure, and what they say. A trained one for new classes is in `transfer`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.analysis.accuracy import differing
from bnlib.report.analysis.replicates import PLACE, sound, summarise
from bnlib.report.analysis.tables import table
from bnlib.report.analysis.verdicts import LEVEL, OPEN, RECIPES, TOLERANCE
from bnlib.report.analysis.words import MANY, mean_and_sd, replicates
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import FAINT, GREY, HALO, MUTED, OURS, house_style, label, look
from bnlib.report.statements.grammar import Statement, after, few, listing, network, number, percent, points, upper
from bnlib.spec import RECIPES as SETTINGS

# Each task as a sentence has it, and what who always names one class gets right, in percent.
TASKS = {
    "ten classes": ("CIFAR-10's ten classes", 10),
    "rotation": ("how pictures are turned", 25),
    "animals": ("animals against vehicles", 60),
    "digits": ("handwritten digits", 10),
}


def tasks(runs: pd.DataFrame) -> pd.DataFrame:
    """Each task of which γ and β alone and everything have been trained: a row for each, in each network and recipe.

    runs: of the experiment `beyond_tasks`. Returns network, depth, width, recipe, task; more (everything, percent), less (γ and β);
    sd and sd_less, of three replicates or more, else NaN; difference, half, p, n (as `analysis.differences`); guess; way: how far
    γ and β alone come from guessing to everything, in percent; says: *yes*, γ and β do what everything does, as the interval of the
    difference ends below the tolerance of 2 points; *no*, they do less, as the difference is more than chance; else *too close*,
    or *not judged* where nothing has been repeated.
    """
    summary = sound(summarise(runs))
    summary = summary.assign(task=summary.variant.astype(str).str.split(":").str[0])
    sides = [*PLACE, "task", "mean", "sd", "n", "diverged"]
    both = [summary.loc[summary.trainable == trainable, sides] for trainable in ("all", "bn")]
    found = both[0].merge(both[1], on=[*PLACE, "task"], suffixes=("", "_less"))
    spreads = pd.DataFrame(
        {f"sd{side}": found[f"sd{side}"].astype(float).where(found[f"n{side}"] >= MANY) for side in ("", "_less")}
    )
    # Each task scatters by itself: the digits are tested on 360 images, the others on 10,000.
    found = differing(found, summary, within=("recipe", "task")).assign(sd=spreads.sd, sd_less=spreads.sd_less)
    found["guess"] = found.task.map({task: guess for task, (_, guess) in TASKS.items()})
    found["way"] = 100 * (found.less - found.guess) / (found.more - found.guess)
    found["says"] = [
        "not judged" if pd.isna(p) else "yes" if gap + half < TOLERANCE else "no" if p < LEVEL and gap > 0 else "too close"
        for gap, half, p in zip(found.difference, found.half, found.p, strict=True)
    ]
    rank = {task: i for i, task in enumerate(TASKS)}
    return found.sort_values("task", key=lambda column: column.map(rank), kind="stable").reset_index(drop=True)


def at(found: pd.DataFrame, least: int = 1) -> pd.DataFrame:
    """The rows of the one network and recipe that the answer is about: of which there are most.

    Of equally many the longest training, then that with most replicates, of which three are enough, then the shallowest network.
    least: with fewer rows than that there are none.
    """
    if not len(found):
        return found
    rank = {name: i for i, name in enumerate(RECIPES)}

    def value(place):
        (_, depth, _, recipe), rows = place
        return -len(rows), rank.get(recipe, len(rank)), -min(min(*replicates(n), MANY) for n in rows.n), depth

    first = min(found.groupby(PLACE), key=value)[1]
    return first if len(first) >= least else found[:0]


def each(found: pd.DataFrame, least: int = 1) -> list[pd.DataFrame]:
    """`at` of each network apart, the shallowest first; without those of which there is too little."""
    own = [at(rows, least) for _, rows in found.groupby("network")]
    return sorted((rows for rows in own if len(rows)), key=lambda rows: rows.depth.iloc[0])


def every(found: pd.DataFrame, least: int = 1) -> pd.DataFrame:
    """The rows of `each` together."""
    return pd.concat(rows) if (rows := each(found, least)) else found[:0]


def one_for_all(found: pd.DataFrame, runs: pd.DataFrame) -> Statement:
    """Whether one frozen network does what a network for each task does. found: of `tasks`, of these `runs`."""
    own = at(found, 2)
    return _answer(own, runs) if len(own) else Statement("", "not judged" if len(runs) else "not trained")


def elsewhere(found: pd.DataFrame, runs: pd.DataFrame) -> Statement:
    """The same of every other network of which there are tasks to compare. As `one_for_all`."""
    first = set(at(found, 2).network)
    return Statement(" ".join(_answer(own, runs).text for own in each(found, 2) if not first & set(own.network)))


def _answer(own: pd.DataFrame, runs: pd.DataFrame) -> Statement:
    """The answer of one network and recipe, whose rows of `tasks` these are, of these `runs`."""
    where, numbers = own.iloc[0], _of(own, runs).parameters_bn.iloc[0]

    def called(rows):
        return listing(TASKS[task][0] for task in rows.task)

    verdicts = ("no", "yes", *OPEN)
    behind, level, near, untested = (own[own.says == verdict] for verdict in verdicts)
    far = (level.p < LEVEL) & (level.difference < -TOLERANCE)
    ahead, level = level[far], level[~far]
    said = []
    if len(behind):
        said.append(f"does worse than one trained whole for the task {_behind(behind.sort_values('difference'), len(own))}")
    if len(ahead):
        gaps = listing(f"{points(row.difference)} on {TASKS[row.task][0]}" for row in ahead.itertuples())
        said.append(f"does better than one trained whole for the task by {gaps}")
    if len(level):
        said.append(f"does as well as one trained whole for the task, within {points(TOLERANCE)}, on {called(level)}")
    if len(near):
        gap, most = points(near.difference.abs().max()), "" if len(near) == 1 else " at most"
        said.append(f"cannot be told from one trained whole for the task on {called(near)}, {gap} apart{most}")
    if len(untested):
        ours, theirs = (listing(map(percent, untested[side])) for side in ("less", "more"))
        said.append(f"reaches {ours} on {called(untested)}, one trained whole for the task {theirs}, one run each")
    frozen = f"one frozen {network(where.network)}, with γ and β of its own for each task ({numbers:,} numbers),"
    text = f"{upper(after(where.recipe))}{_longer(own, runs)} {frozen} {'; it '.join(said)}{'' if len(untested) else few(own)}."
    if where.recipe not in RECIPES:
        return Statement(text, "not judged")
    if len(behind):
        return Statement(text, "no", "" if len(behind) == len(own) else f"on {len(behind)} of {len(own)} tasks")
    return Statement(text, "not judged" if len(untested) else "too close" if len(near) else "yes")


def _longer(own: pd.DataFrame, runs: pd.DataFrame) -> str:
    """In brackets, for how long the digits are trained, which have few images: not for as many epochs as the other tasks."""
    digits = runs.variant.astype(str).str.startswith("digits")
    epochs = set(runs[digits & runs.network.isin(own.network) & runs.recipe.isin(own.recipe)].epochs)
    there = "digits" in set(own.task) and epochs != {SETTINGS[own.recipe.iloc[0]].epochs}
    return f" (digits {max(epochs)})" if there else ""


def _behind(rows: pd.DataFrame, of: int) -> str:
    """On which tasks one network does worse, and by how much. rows: sorted by that. of: so many tasks there are."""
    each = listing(f"{points(row.difference)} on {TASKS[row.task][0]}" for row in rows.itertuples())
    return f"on all {number(of)}: by {each}" if len(rows) == of > 1 else f"by {each}"


def _row(task: str, own: pd.DataFrame, runs: pd.DataFrame) -> str:
    """A task as the figure names its row; with the epochs, where these are not those of the others."""
    epochs = _longer(own, runs).strip(" ()").removeprefix("digits ") if task == "digits" else ""
    return upper(TASKS[task][0]) + (f"\n({epochs}\u00a0epochs)" if epochs else "")


def shown(found: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Those of `runs` that the page shows: of each network at one recipe."""
    return _of(every(found, 2), runs)


def _of(own: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Those of `runs` that are of a network and recipe in `own`."""
    places = set(zip(own.network, own.recipe, strict=True))
    return runs[np.array([place in places for place in zip(runs.network, runs.recipe, strict=True)], bool)]


def size(found: pd.DataFrame, runs: pd.DataFrame) -> Statement:
    """How much a further task takes, against a whole network for it."""
    own = _of(at(found, 2), runs)
    if not len(own):
        return Statement("")
    numbers, whole = own.parameters_bn.iloc[0], own.parameters_total.max()
    return Statement(f"Its γ and β for a task are {percent(100 * numbers / whole)} of a whole network's {whole:,} numbers.")


def way(found: pd.DataFrame) -> Statement:
    """How far γ and β alone come from guessing to the whole network: the task on which they do best, and worst.

    Of those on which the whole network does better than guessing, and than what counts as the same.
    """
    own = at(found, 2)
    own = own[own.more > own.guess + TOLERANCE].sort_values("way")
    if not len(own):
        return Statement("")
    ends = own.iloc[[0, -1]].drop_duplicates("task")
    goes = (f"{percent(row.way) if row.way < 100 else 'all of it'} on {TASKS[row.task][0]}" for row in ends.itertuples())
    return Statement(f"Of the way from guessing to the whole network it goes {listing(goes)}.")


def table_of(found: pd.DataFrame):
    """`tasks` as a table to read, of each network at the recipe that the page shows."""
    found = every(found, 2)
    side = lambda mean, sd: mean_and_sd(pd.DataFrame({"mean": mean, "sd": sd, "n": sd.notna() * MANY}))  # noqa: E731
    shown = {"network": found.network, "task": found.task, "guessing (%)": found.guess.astype(float)}
    shown |= {"γ and β (%)": side(found.less, found.sd_less), "everything (%)": side(found.more, found.sd)}
    halves = ["" if pd.isna(half) else f"\u00a0(±\u00a0{half:.1f})" for half in found.half]
    gap = [f"{-gap:+.1f}{half}" for gap, half in zip(found.difference, halves, strict=True)]
    return table(pd.DataFrame(shown | {"difference (95 %)": gap, "n": found.n, "as good": found.says}))


def figure(found: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """A row for each task: guessing, γ and β alone, everything; a panel for each network. found: of `tasks`, of these `runs`."""
    networks = each(found, 2)
    if not networks:
        return nothing()
    with house_style():
        tasks_ = [task for task in TASKS if any((own.task == task).any() for own in networks)]
        rows = [len(tasks_)] * len(networks)
        drawn, axes = column(len(rows), 0.62 * sum(rows) + 0.5 * len(rows) + 0.8, height_ratios=rows)
        for ax, own in zip(axes, networks, strict=True):
            for y in set(range(len(tasks_))) - {tasks_.index(task) for task in own.task}:
                ax.text(1, y, "not trained both ways yet", color=MUTED, fontsize=9, va="center")
            for row in own.itertuples():
                y = tasks_.index(row.task)
                ax.plot([row.less, row.more], [y, y], color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
                ax.plot(row.guess, y, "|", color=GREY, markersize=14, markeredgewidth=1.6)
                for trainable, mean, sd, up in (("bn", row.less, row.sd_less, 7), ("all", row.more, row.sd, -15)):
                    colour, mark, _ = look(trainable)
                    ax.errorbar(mean, y, xerr=None if pd.isna(sd) else sd, linestyle="", marker=mark, color=colour, zorder=3)
                    style = {"textcoords": "offset points", "ha": "center", "fontsize": 9, "color": colour}
                    ax.annotate(f"{mean:.1f} %", (mean, y), (0, up), **style, path_effects=HALO)
            ax.set_yticks(range(len(tasks_)), [_row(task, own, runs) for task in tasks_])
            ax.grid(axis="y", visible=False)
            ax.set_ylim(len(tasks_) - 0.4, -0.6)
            ax.set_title(f"{own.network.iloc[0]}: {OURS[own.recipe.iloc[0]]}", loc="left")
        axes[-1].set_xlim(0, 105)
        axes[-1].set_xlabel("test accuracy (%)")
        handles = [Line2D([], [], color=look(one)[0], marker=look(one)[1], linestyle="", label=label(one)) for one in ("bn", "all")]
        guess = {"marker": "|", "markersize": 12, "markeredgewidth": 1.6, "linestyle": "", "label": "always the same answer"}
        handles.append(Line2D([], [], color=GREY, **guess))
        drawn.legend(handles=handles, loc="outside lower center", ncols=3)
    said = [
        f"{own.network.iloc[0]}: "
        + "; ".join(f"{TASKS[row.task][0]}, {row.less:.0f} % and {row.more:.0f} %" for row in own.itertuples())
        for own in networks
    ]
    drawn.alt = f"Test accuracy with γ and β alone and with everything trained, a row for each task. {'. '.join(said)}."
    return drawn
