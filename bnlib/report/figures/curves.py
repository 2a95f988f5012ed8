"""Accuracy during a training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bnlib.report.figures import alt
from bnlib.report.figures.marks import chance as chance_line
from bnlib.report.figures.marks import handle, other_handles, reference_points, title
from bnlib.report.figures.panels import nothing
from bnlib.report.figures.style import FAINT, HALO, MUTED, OURS, house_style, label, look, order
from bnlib.spec import RECIPES


def curves(histories: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Accuracy during the training of one network, a panel for each recipe, a line for each trainable set.

    histories: of `analysis.histories`; solid the test accuracy, dotted the training accuracy, of the first replicate that did not
    diverge. Where all did it is the first, and its end is marked.
    reference: rows of `paper.values("curve")` with a column `epoch`, of recipe `paper`; in the panels of others those epochs whose
    learning rate is the same, pale.
    """
    if not len(histories) and not len(reference):
        return nothing()
    recipes = [r for r in OURS if r in set(histories.recipe) or (r == "paper" and len(reference))]
    with house_style():
        figure = Figure(figsize=(6.4, 3.5 * len(recipes) + 1.2), layout="constrained")
        axes, drawn = figure.subplots(len(recipes), 1, squeeze=False)[:, 0], [histories[:0]]
        for ax, recipe in zip(axes, recipes, strict=True):
            own = histories[histories.recipe == recipe]
            settings = RECIPES[recipe]
            alike = reference[[settings.alike(RECIPES["paper"], epoch) for epoch in reference.epoch]]
            reference_points(ax, alike, "epoch", recipe)
            for trainable in order(set(own.trainable)):
                rows = own[own.trainable == trainable]
                sound = rows[rows.status != "diverged"]
                rows = sound if len(sound) else rows
                rows = rows[rows.seed == rows.seed.min()]
                drawn.append(rows)
                _course(ax, rows, look(trainable)[0])
                if not len(sound):
                    end = (rows.epoch.iloc[-1], 100 * rows.test_accuracy.iloc[-1])
                    ax.annotate("diverged", end, (5, 4), textcoords="offset points", fontsize=9, path_effects=HALO)
            _frame(ax, settings.epochs, settings.milestones)
            ax.set_title(title(own, recipe), loc="left")
        axes[-1].set_xlabel("epoch")
        ours = set(histories.trainable)
        handles = [Line2D([], [], color=look(t)[0], label=label(t)) for t in order(ours)]
        kinds = (("-", "test images"), (":", "training images"))
        handles += [Line2D([], [], color=MUTED, linestyle=dash, label=name) for dash, name in kinds] if ours else []
        handles += [handle(t, ours=False) for t in order(set(reference.trainable) - ours)]
        figure.legend(handles=handles + other_handles(reference, recipes, EARLY), loc="outside lower center", ncols=2)
    network = next(iter({*histories.network, *reference.network}))
    own = pd.concat(drawn)
    own = own.assign(mean=100 * own.test_accuracy.astype(float), n=(own.status != "diverged").astype(int))
    figure.alt = alt.against(f"Test accuracy during the training of {network}", own, reference, "epoch", *_EPOCHS)
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
    percent = history.assign(**{name: 100 * history[name] for name in ("test_accuracy", "train_accuracy")})
    test, training = (alt.course(percent, "epoch", name, *_EPOCHS) for name in ("test_accuracy", "train_accuracy"))
    figure.alt = f"Accuracy during one training, {title}. Test: {test}; training: {training}."
    return figure


EARLY = "the paper's first epochs"
_EPOCHS = ("after epoch {:g}", "after {:g}")


def _course(ax, history: pd.DataFrame, colour: str) -> None:
    """One training: test accuracy solid, training accuracy dotted."""
    ax.plot(history.epoch, 100 * history.test_accuracy, color=colour, label="test")
    ax.plot(history.epoch, 100 * history.train_accuracy, color=colour, linestyle=":", label="training")


def _frame(ax, epochs: int, drops, level: float = 0.1) -> None:
    """The axes of a training of so many epochs: chance, and the epochs after which the learning rate drops."""
    chance_line(ax, 0.99, 100 * level)
    for i, epoch in enumerate(drops):
        ax.axvline(epoch + 0.5, color=FAINT, linewidth=1, zorder=0)
        if i == 0:
            ax.text(epoch + 0.5 + epochs / 160, 2.5, "learning rate drops", color=MUTED, fontsize=9)
    ax.set_ylim(0, 100)
    ax.set_xlim(0, 1.03 * epochs)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("accuracy (%)")
