"""Accuracy during a training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.figures.marks import handle, other_handles, reference_points
from bnlib.figures.panels import nothing
from bnlib.figures.style import RECIPE_TITLES, house_style, label, look, order


def curves(histories: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Accuracy during the training of one network, a panel for each recipe, a line for each trainable set.

    histories: of `analysis.histories`; solid the test accuracy, dotted the training accuracy, of the first replicate.
    reference: rows of `paper.values("curve")` with a column `epoch`; at recipe `paper` only, whose epochs they are.
    """
    if not len(histories) and not len(reference):
        return nothing()
    recipes = [r for r in RECIPE_TITLES if r in set(histories.recipe) or (r == "paper" and len(reference))]
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.2), layout="constrained")
        axes = figure.subplots(len(recipes), 1, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = histories[histories.recipe == recipe]
            if recipe == "paper":
                reference_points(ax, reference, "epoch")
            for trainable in order(set(own.trainable)):
                rows = own[own.trainable == trainable]
                _course(ax, rows[rows.seed == rows.seed.min()], look(trainable)[0])
            _accuracy_axis(ax)
            ax.set_title(RECIPE_TITLES[recipe] if len(own) else "the paper's values, 160 epochs", loc="left")
        axes[-1].set_xlabel("epoch")
        ours = set(histories.trainable)
        handles = [Line2D([], [], color=look(t)[0], label=label(t)) for t in order(ours)]
        handles += [Line2D([], [], color="#555555", linestyle=":", label="training, the same colour")] if ours else []
        handles += [handle(t, ours=False) for t in order(set(reference.trainable) - ours)]
        figure.legend(handles=handles + other_handles(reference), loc="outside lower center", ncols=2)
    return figure


def curve(history: pd.DataFrame, title: str, chance: float = 0.1) -> Figure:
    """Accuracy during one training: training and test accuracy against the epoch. history: `run.history`."""
    with house_style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        ax = figure.subplots()
        _course(ax, history, look("bn")[0], chance)
        ax.set_xlabel("epoch")
        ax.set_title(title, loc="left")
        ax.legend(loc="upper left")
    return figure


def _course(ax, history: pd.DataFrame, colour: str, chance: float = 0.1) -> None:
    """One training: test accuracy solid, training accuracy dotted, chance, and where the learning rate drops."""
    ax.plot(history.epoch, 100 * history.test_accuracy, color=colour, label="test")
    ax.plot(history.epoch, 100 * history.train_accuracy, color=colour, linestyle=":", label="training")
    if not ax.texts:
        ax.axhline(100 * chance, color="#8A8A8A", linestyle="--", linewidth=1)
        ax.text(history.epoch.iloc[-1], 100 * chance + 1, "chance", color="#666666", fontsize=8, ha="right", va="bottom")
        drops = history.epoch[history.lr.diff() < 0]
        for epoch in drops:
            ax.axvline(epoch - 0.5, color="#BBBBBB", linewidth=1)
        if len(drops):
            ax.text(drops.iloc[0] - 0.4, 3, "learning rate drops", color="#666666", fontsize=8)
    _accuracy_axis(ax)


def _accuracy_axis(ax) -> None:
    ax.set_ylim(0, 100)
    ax.set_xlim(left=0)
    ax.set_ylabel("accuracy (%)")
