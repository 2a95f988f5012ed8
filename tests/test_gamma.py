"""γ after training: counted by obvious code; the figures."""

import numpy as np
import pandas as pd
import pytest
import torch

from bnlib import experiments, store
from bnlib.report import analysis, figures, paper, statements
from bnlib.spec import RECIPES
from bnlib.store import networks


@pytest.fixture(scope="module")
def gammas():
    """γ and β of the committed runs of ResNet-14."""
    return analysis.gammas(experiments.runs("fig4_gamma", networks=["resnet14"]))


def test_gammas_are_those_of_the_stored_runs(gammas):
    run = store.load("resnet14_bn_short_seed0-f7b08146")
    own = gammas[(gammas.recipe == "short") & (gammas.trainable == "bn") & (gammas.seed == 0)]
    assert len(own) == 560 and list(dict.fromkeys(own.layer)) == list(run.gamma)
    assert np.array_equal(own.gamma, np.concatenate(list(run.gamma.values())))
    assert np.array_equal(own.beta, np.concatenate(list(run.beta.values())))


def test_shares_are_counted_strictly_below():
    frame = pd.DataFrame({"gamma": [0.0, -0.01, 0.02, 1.0], "network": "ResNet-14", "depth": 14, "width": 1})
    frame = frame.assign(variant="bn", trainable="bn", recipe="paper", seed=[0, 0, 1, 1])
    assert analysis.shares(frame, [0.01, 0.0100001, 5]).share.tolist() == [0.25, 0.5, 1.0]
    small = analysis.small_gammas(frame, 0.0100001)
    assert small["mean"].tolist() == [50.0] and small.n.tolist() == [2] and small.sd.round(2).tolist() == [70.71]


def test_the_share_of_small_gammas_is_judged_by_the_rule_of_every_figure():
    reference = paper.small_gammas()
    rows = [("ResNet-110", 110, 1, t, t, "paper", m, 0.5, 3) for t, m in (("bn", 29.5), ("all", 20.0))]
    columns = ["network", "depth", "width", "variant", "trainable", "recipe", "mean", "sd", "n"]
    points = analysis.judge(pd.DataFrame(rows, columns=columns), reference)
    assert analysis.verdict_table(points[:0]).to_html()  # no point of the paper's has been run
    assert dict(zip(points.trainable, points.verdict, strict=True)) == {"bn": "reproduced", "all": "in trend"}


def test_a_gamma_is_where_its_network_was_drawn(gammas):
    own = gammas[(gammas.recipe == "short") & (gammas.trainable == "bn") & (gammas.seed == 1)]
    drawn = networks.draw(store.load("resnet14_bn_short_seed1-0d02cbdf").spec)
    assert np.array_equal(own.start, np.concatenate([m.weight.detach() for m in drawn.modules() if hasattr(m, "running_var")]))


def test_what_decay_alone_would_have_left_has_not_moved(gammas):
    own = gammas[(gammas.recipe == "short") & (gammas.trainable == "bn")]
    still = own.assign(gamma=own.start * analysis.shrunk(RECIPES["short"]))
    assert analysis.moved(still)["mean"].tolist() == [pytest.approx(0, abs=1e-4)] and 10 < analysis.moved(own)["mean"].item() < 100
    assert analysis.moved(still.assign(gamma=still.gamma - 0.25))["mean"].item() == pytest.approx(25)


def test_a_block_ends_in_the_batchnorm_that_is_added(gammas):
    added = gammas[gammas.added == True].layer.unique()  # noqa: E712  a column
    assert set(added) == {f"segments.{i}.{j}.bn2" for i in range(3) for j in range(2)} | {
        f"segments.{i}.0.shortcut.1" for i in (1, 2)
    }


def test_weight_decay_alone_is_what_torchs_sgd_does_without_a_gradient():
    recipe = RECIPES["short"]
    gamma = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    sgd = torch.optim.SGD([gamma], lr=0.1, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    gamma.grad = torch.zeros_like(gamma)
    for epoch in range(recipe.epochs):
        sgd.param_groups[0]["lr"] = recipe.learning_rate(epoch)
        for _ in range(391):
            sgd.step()
    assert analysis.shrunk(recipe) == pytest.approx(gamma.item(), rel=1e-9)


def test_where_small_gammas_are_is_counted_and_where_they_started():
    frame = pd.DataFrame({"gamma": [0.001, -0.002, 0.5, 0.003, 0.5, 0.5], "beta": [-1.0, 1.0, -1.0, -1.0, 0.0, 0.0]})
    frame = frame.assign(added=[False, False, False, True, True, True], start=[0.1, 0.2, 0.5, 1.0, 0.5, 0.5])
    frame = frame.assign(network="ResNet-14", depth=14, width=1, variant="bn", trainable="bn", recipe="paper", seed=0)
    found = analysis.small_where(frame).iloc[0]
    expected = pytest.approx((1, 200 / 3, 100 / 3, 200 / 3, 50))
    assert (found.n, found.relu, found.added, found.ahead, found.negative) == expected
    said = statements.decay(frame).text.replace("\u00a0", " ")
    assert said.startswith(
        "Weight decay alone would bring every γ that starts below 0.27 under 0.01 after 160 epochs, and no other."
    )
    assert "0 % of those that start below it do not end there, and 25 % of the others do" in said  # two of two, one of four
    assert not statements.decay(frame.assign(recipe="smoke"))


def test_each_layer_is_in_the_column_of_where_its_output_goes(gammas):
    layers = analysis.layers(gammas[gammas.trainable == "bn"])
    first, second = figures.gamma_layers(layers).axes[:2]
    own = layers[(layers.network == "ResNet-14") & (layers.recipe == "paper")]
    for ax, added in ((first, False), (second, True)):
        assert ax.lines[0].get_ydata().tolist() == own.gamma[own.added == added].tolist()
    assert len(first.lines[0].get_ydata()) == 7 and len(second.lines[0].get_ydata()) == 8


def test_zero_is_an_edge_of_the_bars(gammas):
    edges = figures.fig4_gamma(gammas).axes[0].patches[0].get_data().edges
    assert np.isclose(edges, 0, atol=1e-12).any() and np.allclose(np.diff(edges), 0.05)


def test_layers_are_those_of_the_network_in_order(gammas):
    run = store.load("resnet14_bn_short_seed0-f7b08146")
    found = analysis.layers(gammas[(gammas.recipe == "short") & (gammas.trainable == "bn") & (gammas.seed == 0)])
    assert found.layer.tolist() == list(run.gamma) and found.features.tolist() == [len(g) for g in run.gamma.values()]
    assert found.gamma.tolist() == pytest.approx([np.median(g) for g in run.gamma.values()])
    assert found.small.tolist() == pytest.approx([(abs(g) < 0.01).mean() for g in run.gamma.values()])


def test_the_figures_have_a_panel_for_each_network_and_recipe(gammas):
    panels = gammas.groupby(["network", "recipe"]).ngroups
    for figure in (
        figures.fig4_gamma(gammas),
        figures.fig4_gamma(gammas, "beta"),
        figures.fig5_thresholds(analysis.shares(gammas), paper.small_gammas()),
    ):
        assert sum(ax.get_visible() for ax in figure.axes) == panels
    assert figure.axes[0].get_title(loc="left") == "ResNet-14: ours, 160 epochs"


def test_the_papers_shares_lie_on_the_axes_of_their_network():
    shares = pd.DataFrame(
        {"threshold": [0.001, 0.01], "share": [0.1, 0.3], "decayed": [0.03, 0.3], "network": "ResNet-110", "depth": 110}
    )
    figure = figures.fig5_thresholds(shares.assign(trainable="bn", recipe="short"), paper.small_gammas())
    diamonds = [float(line.get_ydata()[0]) for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert diamonds == pytest.approx([27, 9])


def test_with_nothing_run_the_figures_say_so():
    empty = analysis.gammas(experiments.runs("fig4_gamma", networks=["resnet20"]))
    for figure in (figures.fig4_gamma(empty), figures.fig5_thresholds(analysis.shares(empty), paper.small_gammas())):
        assert not figure.axes[0].axison and "nothing has been run" in figure.axes[0].texts[0].get_text()
