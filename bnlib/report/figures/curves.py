"""Accuracy during a training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.report.figures.marks import handle, other_handles, reference_points
from bnlib.report.figures.panels import nothing
from bnlib.report.figures.style import RECIPE_TITLES, house_style, label, look, order
from bnlib.spec import RECIPES


def curves(histories: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Accuracy during the training of one network, a panel for each recipe, a line for each trainable set.

    histories: of `analysis.histories`; solid the test accuracy, dotted the training accuracy, of the first replicate.
    reference: rows of `paper.values("curve")` with a column `epoch`, of recipe `paper`; in the panels of others those epochs whose
    learning rate is the same.
    """
    if not len(histories) and not len(reference):
        return nothing()
    recipes = [r for r in RECIPE_TITLES if r in set(histories.recipe) or (r == "paper" and len(reference))]
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.2), layout="constrained")
        axes = figure.subplots(len(recipes), 1, squeeze=False)[:, 0]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = histories[histories.recipe == recipe]
            settings = RECIPES[recipe]
            reference_points(ax, reference[[settings.alike(RECIPES["paper"], epoch) for epoch in reference.epoch]], "epoch")
            for trainable in order(set(own.trainable)):
                rows = own[own.trainable == trainable]
                _course(ax, rows[rows.seed == rows.seed.min()], look(trainable)[0])
            _frame(ax, settings.epochs, settings.milestones)
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
        _course(ax, history, look("bn")[0])
        _frame(ax, history.epoch.iloc[-1], history.epoch[history.lr.diff() < 0] - 1, chance)
        ax.set_xlabel("epoch")
        ax.set_title(title, loc="left")
        ax.legend(loc="upper left")
    return figure


def _course(ax, history: pd.DataFrame, colour: str) -> None:
    """One training: test accuracy solid, training accuracy dotted."""
    ax.plot(history.epoch, 100 * history.test_accuracy, color=colour, label="test")
    ax.plot(history.epoch, 100 * history.train_accuracy, color=colour, linestyle=":", label="training")


def _frame(ax, epochs: int, drops, chance: float = 0.1) -> None:
    """The axes of a training of so many epochs: chance, and the epochs after which the learning rate drops."""
    ax.axhline(100 * chance, color="#8A8A8A", linestyle="--", linewidth=1)
    ax.text(epochs, 100 * chance + 1, "chance", color="#666666", fontsize=8, ha="right", va="bottom")
    for i, epoch in enumerate(drops):
        ax.axvline(epoch + 0.5, color="#BBBBBB", linewidth=1, zorder=0)
        if i == 0:
            ax.text(epoch + 0.5 + epochs / 160, 3, "learning rate drops", color="#666666", fontsize=8)
    ax.set_ylim(0, 100)
    ax.set_xlim(0, 1.03 * epochs)
    ax.set_ylabel("accuracy (%)")
