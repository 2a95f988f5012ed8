"""Accuracy against depth of the networks that see photographs: ImageNet's ResNets, and the Keras networks of a blog."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnlib.experiments import IMAGENET_CLASSES
from bnlib.report.figures import alt
from bnlib.report.figures.marks import chance, handle, line, log_axis, paper_handle, recipes_of, reference_points
from bnlib.report.figures.panels import column, nothing
from bnlib.report.figures.style import FULL, GREY, MUTED, OURS, PAGE, SETS, house_style, look, order
from bnlib.spec import RECIPES


def fig2_imagenet(top1: pd.DataFrame, top5: pd.DataFrame, reference: pd.DataFrame) -> Figure:
    """Figure 2 on ImageNet: top-1 and top-5 accuracy against depth, a line for each trainable set, two panels for each recipe.

    top1, top5: of `analysis.summarise`, of the runs and of `analysis.top5`. reference: rows of `paper.top5()`, beside our top-5
    after a whole training. Replicates as in `fig2_depth`. Dashed: chance among 1,000 classes.
    """
    reference = _of_depth(reference[reference.trainable.isin(SETS)])
    kinds = (("top-1", top1, reference[:0], 100 / IMAGENET_CLASSES), ("top-5", top5, reference, 500 / IMAGENET_CLASSES))
    shown = [
        (recipe, name, rows[rows.recipe == recipe], theirs if recipe in FULL else theirs[:0], guess)
        for recipe in recipes_of(top1)
        for name, rows, theirs, guess in kinds
        if (rows.recipe == recipe).any()
    ]
    if not shown:
        return nothing()
    ticks = sorted({*top1.depth, *(depth for *_, theirs, _ in shown for depth in theirs.depth)})
    with house_style():
        figure, axes = column(len(shown), 3.3 * len(shown) + 1.5)
        for ax, (recipe, name, own, theirs, guess) in zip(axes, shown, strict=True):
            reference_points(ax, theirs, "depth", recipe)
            for trainable in order(set(own.trainable)):
                line(ax, own[own.trainable == trainable].sort_values("depth"), "depth", trainable)
            chance(ax, level=guess)
            log_axis(ax, ticks)
            ax.set_ylim(-2, 100)  # room for what is at chance
            ax.set_ylabel(f"{name} accuracy (%)")
            ax.set_title(f"{name}: {OURS[recipe]}", loc="left")
        axes[-1].set_xlabel("depth of ImageNet's ResNet-N (layers, log scale)")
        handles = [handle(trainable) for trainable in order(set(top1.trainable))]
        handles += [one for one in [paper_handle(pd.concat([theirs.kind for *_, theirs, _ in shown]), True, [*FULL])] if one]
        guesses = f"chance: {kinds[0][3]:g} %, with five guesses {kinds[1][3]:g} %"
        handles.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1, label=guesses))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure.alt = alt.against("Top-1 accuracy on ImageNet against depth", top1, reference[:0], "depth", *alt.LAYERS)
    if (top5.trainable == "bn").any():
        alone = top5[top5.trainable == "bn"]
        theirs = reference if top5.recipe.isin(FULL).any() else reference[:0]
        figure.alt += " " + alt.against("Top-5 accuracy", alone, theirs, "depth", *alt.LAYERS)
    return figure


def blog_keras(summary: pd.DataFrame, reference: pd.DataFrame, names: list[str]) -> Figure:
    """Accuracy of Keras's ResNets with γ and β alone against depth, a line for each γ that they start from, a panel a recipe.

    summary: of `analysis.summarise`. reference: of `paper.blog()`, whose test accuracies are crosses; pale beside fewer epochs.
    names: the two variants, the blog's first.
    """
    theirs = _of_depth(reference[reference.metric == "test_accuracy_percent"])
    looks = dict(zip(names, ({}, {"marker": "s", "linestyle": "--", "markerfacecolor": PAGE}), strict=True))
    recipes, ticks, colour = recipes_of(summary), sorted({*summary.depth, *theirs.depth}), look("bn")[0]
    if not len(summary):
        return nothing()
    with house_style():
        figure, axes = column(len(recipes), 3 * len(recipes) + 1.2)
        for ax, recipe in zip(axes, recipes, strict=True):
            own = summary[summary.recipe == recipe]
            reference_points(ax, theirs, "depth", recipe)
            for name, style in looks.items():
                line(ax, own[own.variant == name].sort_values("depth"), "depth", "bn", **style)
            chance(ax, 0.99)
            log_axis(ax, ticks)
            ax.set_xlim(0.88 * ticks[0], 1.14 * ticks[-1])
            ax.set_ylim(0, 100)
            ax.set_ylabel("test accuracy (%)")
            ax.set_title(OURS[recipe], loc="left")
        axes[-1].set_xlabel("depth of Keras's ResNet-N (layers, log scale)")
        _, marker, dash = look("bn")
        plain = {"color": colour, "marker": marker, "linestyle": dash}
        handles = [
            Line2D([], [], **{**plain, **style}, label=name) for name, style in looks.items() if name in set(summary.variant)
        ]
        epochs = RECIPES["blog"].epochs
        handles.append(Line2D([], [], color=MUTED, marker="x", linestyle="", markersize=5, label=f"the blog, {epochs} epochs"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    each = "; ".join(
        f"{name}, {OURS[recipe]}: {course}"
        for recipe in recipes
        for name in names
        if (
            course := alt.course(
                summary[(summary.recipe == recipe) & (summary.variant == name) & (summary.n > 0)], "depth", "mean", *alt.LAYERS
            )
        )
    )
    blog = alt.course(theirs, "depth", "value", *alt.LAYERS)
    figure.alt = f"Test accuracy of Keras's ResNets with γ and β alone against depth. {each}; the blog, {epochs} epochs: {blog}."
    return figure


def _of_depth(reference: pd.DataFrame) -> pd.DataFrame:
    """The values of networks whose names end in their depth, with it."""
    return reference.assign(depth=reference.network.str.extract(r"-(\d+)$", expand=False).astype(int))
