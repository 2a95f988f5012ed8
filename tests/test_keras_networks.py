"""Keras's ResNets and the blog's experiment: Keras's counts, layers, first numbers, and the logits that Keras itself gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bnlib import RunSpec, build, count, experiments, freeze, models, seeds
from bnlib.spec import RECIPES, architecture


@pytest.mark.parametrize(
    "depth, total, statistics", [(50, 25_636_712, 53_120), (101, 44_707_176, 105_344), (152, 60_419_944, 151_424)]
)
def test_the_counts_are_keras_s(depth, total, statistics):
    model = models.skeleton(f"keras-resnet{depth}")
    running = sum(buffer.numel() for name, buffer in model.named_buffers() if "running" in name)
    counts = count(freeze(model, "bn"))
    assert counts["total"] + running == total and running == statistics == counts["bn"] == counts["trainable"]
    assert counts["output"] == 2048 * 1000 + 1000
    assert counts["shortcut"] == 64 * 256 + 256 * 512 + 512 * 1024 + 1024 * 2048 + 256 + 512 + 1024 + 2048


def test_the_logits_are_those_of_keras_with_the_same_weights():
    """Of `keras.applications.ResNet50` (Keras 3.15) on the first of four pictures, given the weights of this network."""
    x = torch.from_numpy(seeds.stream("a picture").standard_normal((4, 3, 64, 64)).astype(np.float32))
    model = build("keras-resnet50", 0, classes=3)
    with torch.no_grad():
        in_training, then = (model.train(mode)(x)[0].tolist() for mode in (True, False))
    assert in_training == pytest.approx([1.6410, -1.1535, -0.1014], abs=2e-3)
    # With running statistics that have moved by one step; they are told from Keras's by what n − 1 makes of the variance.
    assert then == pytest.approx([-0.1270, -0.2932, -0.1230], abs=1e-3)


def test_the_layers_are_keras_s():
    model = models.skeleton("keras-resnet50")
    strides = [[[conv.stride[0] for conv in (b.conv1, b.conv2, b.conv3)] for b in segment] for segment in model.segments]
    assert all(
        blocks == [[first, 1, 1]] + [[1, 1, 1]] * (len(blocks) - 1) for first, blocks in zip((1, 2, 2, 2), strides, strict=True)
    )
    assert [[isinstance(b.shortcut, torch.nn.Identity) for b in segment].index(True) for segment in model.segments] == [1, 1, 1, 1]
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1.001e-5, 0.01)} and len(norms) == 53
    assert all(module.bias is not None for module in model.modules() if isinstance(module, torch.nn.Conv2d))


def test_the_first_numbers_are_keras_s():
    model = build("keras-resnet50", 2, weight_init="glorot_uniform", bn_init="he_normal", classes=10)
    for layer in (model.conv, model.segments[2][1].conv2, model.segments[3][0].shortcut[0], model.output):
        weight = layer.weight.detach()
        bound = (6 / (weight[0].numel() + weight[:, 0].numel())) ** 0.5
        assert 0.98 * bound < weight.abs().max() <= bound and not layer.bias.any()
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert not any(norm.bias.any() for norm in norms)
    scaled = torch.cat([norm.weight.detach() * (norm.num_features / 2) ** 0.5 for norm in norms]).double()  # of variance 1
    assert scaled.std().item() == pytest.approx(1, abs=0.01) and scaled.mean().item() == pytest.approx(0, abs=0.02)
    most = 2 / 0.87962566103423978  # of a normal draw two standard deviations, widened
    assert 0.99 * most < scaled.abs().max() <= most * (1 + 1e-6)


PINNED = [0.208998, 0.0160005, -0.210257, -0.843189, 0.231767]
CHECKSUM = "f02765d08c179616"


def test_he_normal_draws_the_same_bits_everywhere():
    drawn = seeds.gamma(0, "bn", 5, "he_normal")
    assert drawn.dtype == np.float32 and [float(f"{value:.6g}") for value in drawn] == PINNED
    assert (
        models.checksum(build("keras-resnet50", 0, weight_init="glorot_uniform", bn_init="he_normal", classes=10))[:16] == CHECKSUM
    )


def test_the_blogs_recipes_are_the_blogs():
    blog = RunSpec("keras-resnet50", recipe="blog").settings
    assert (blog.optimiser, blog.lr, blog.batch_size, blog.epochs, blog.augment) == ("adam", 0.01, 1024, 50, "none")
    assert not blog.milestones and not blog.weight_decay and not blog.warmup and blog.size == 32
    assert {blog.learning_rate(epoch) for epoch in range(50)} == {0.01}
    assert RECIPES["blog-short"] == replace(RECIPES["blog"], epochs=3, batch_size=128)


def test_the_blogs_experiment_has_both_ways_to_draw_gamma():
    specs = experiments.wanted("blog_keras")
    assert [(spec.model, spec.bn_init) for spec in specs[:2]] == [("keras-resnet50", "he_normal"), ("keras-resnet50", "ones")]
    assert (
        len(specs) == 6
        and {spec.weight_init for spec in specs} == {"glorot_uniform"}
        and {spec.recipe for spec in specs} == {"blog"}
    )
    assert {architecture(spec.model).title for spec in specs} == {f"Keras ResNet-{depth}" for depth in (50, 101, 152)}
    assert {spec.recipe for spec in experiments.wanted("blog_keras", "blog-short")} == {"blog-short"}


@pytest.mark.slow
def test_a_network_of_keras_learns_and_comes_back_from_its_seed(tiny):
    from bnlib import training

    spec = tiny(model="keras-resnet50", weight_init="glorot_uniform", bn_init="he_normal", optimiser="adam", lr=0.01, epochs=2)
    run = training.train(spec, progress=False)
    assert run.history.train_loss.iloc[-1] < run.history.train_loss.iloc[0] and run.info["counts"]["output"] == 2048 * 10 + 10
    again = run.model()
    assert (
        models.checksum(models.draw(spec.model, weight_init="glorot_uniform", bn_init="he_normal", classes=10))
        == (run.info["weights_checksum"])
    )
    assert torch.equal(again.segments[1][2].bn2.weight, torch.from_numpy(run.gamma["segments.1.2.bn2"]))
