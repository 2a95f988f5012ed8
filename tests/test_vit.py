"""The small vision transformer: its numbers, what it computes, and what a run of it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import bnlib
from bnlib import RunSpec, data, engine, experiments, models, seeds
from bnlib.spec import architecture, place
from bnlib.store import networks, seedfile
from bnlib.store.verification import verify


@pytest.mark.parametrize("depth", [1, 6, 24])
def test_it_has_exactly_these_parameters(depth):
    f, hidden, tokens = 128, 512, 65
    block = (3 * f * f + 3 * f) + (f * f + f) + (f * hidden + hidden) + (hidden * f + f)
    features = depth * block + (3 * 4 * 4 * f + f) + f + tokens * f
    counts = bnlib.count(bnlib.freeze(models.skeleton(f"vit{depth}"), "norm"))
    assert counts["ln"] == counts["norm"] == counts["trainable"] == (2 * depth + 1) * 2 * f
    assert (counts["features"], counts["output"], counts["shortcut"], counts["bn"]) == (features, 10 * f + 10, 0, 0)
    arch = architecture(f"ViT{depth}")
    assert (arch.name, arch.title, arch.family, arch.width) == (f"vit{depth}", f"ViT-{depth}", "vit", 1)
    assert arch.weights == depth * (4 * f * f + 2 * f * hidden) + 48 * f
    products, values = models.work(f"vit{depth}", 2)
    assert products == 2 * 64 * (2 * arch.weights - 48 * f) and values == 2 * 64 * (f + depth * (5 * f + hidden))


def test_the_seed_draws_it_the_same_bits_everywhere():
    assert models.checksum(bnlib.build("vit2", seed=5)) == "4326d134d73a1f2073e0a8c28272b14fbeff22d9e3c8759801a8e25d885e072f"
    model, other = bnlib.build("vit2"), bnlib.build("vit2", seed=1)
    parameters = dict(model.named_parameters())
    same = [name for name, value in other.named_parameters() if torch.equal(value, parameters[name])]
    assert all(name.endswith("bias") and "ln" in name for name in same) and len(same) == 5, "β alone starts at 0 with every seed"
    deeper = dict(bnlib.build("vit3").named_parameters())
    assert all(torch.equal(value, deeper[name]) for name, value in parameters.items()), "each from a stream of its own"
    gamma = seeds.gamma(0, "encoder.layers.encoder_layer_1.ln_2", 128)
    assert np.array_equal(model.encoder.layers[1].ln_2.weight.detach().numpy(), gamma)
    assert model.heads.head.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.1), (
        "torchvision's is 0: frozen, it learns nothing"
    )
    assert 0.018 < model.encoder.pos_embedding.std().item() < 0.022
    ones = bnlib.build("vit1", bn_init="oneone", weight_init="orthogonal")
    assert (ones.encoder.ln.weight == 1).all() and (ones.encoder.ln.bias == 1).all()
    inner = ones.encoder.layers[0].self_attention.in_proj_weight
    assert torch.allclose(inner.T @ inner, torch.eye(128), atol=1e-3)


def test_it_computes_what_a_vision_transformer_is():
    """Against the formulas, in fp64: patches, places, attention of four heads, two linear layers, LayerNorm ahead of each."""
    model = bnlib.build("vit2", seed=2).double().eval()
    p = dict(model.named_parameters())
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64)

    def ln(tokens, name):
        return F.layer_norm(tokens, (128,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)

    def linear(tokens, name):
        return tokens @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    patches = F.unfold(x, 4, stride=4).transpose(1, 2) @ p["conv_proj.weight"].reshape(128, -1).T + p["conv_proj.bias"]
    tokens = torch.cat([p["class_token"].expand(3, 1, 128), patches], 1) + p["encoder.pos_embedding"]
    for i in range(2):
        name = f"encoder.layers.encoder_layer_{i}"
        qkv = ln(tokens, f"{name}.ln_1") @ p[f"{name}.self_attention.in_proj_weight"].T + p[f"{name}.self_attention.in_proj_bias"]
        q, k, v = (part.reshape(3, 65, 4, 32).transpose(1, 2) for part in qkv.chunk(3, 2))
        seen = (q @ k.transpose(2, 3) / 32**0.5).softmax(-1) @ v
        tokens = tokens + linear(seen.transpose(1, 2).reshape(3, 65, 128), f"{name}.self_attention.out_proj")
        inside = F.gelu(linear(ln(tokens, f"{name}.ln_2"), f"{name}.mlp.0"))
        tokens = tokens + linear(inside, f"{name}.mlp.3")
    with torch.no_grad():
        assert torch.allclose(model(x), linear(ln(tokens, "encoder.ln")[:, 0], "heads.head"), atol=1e-9)
        assert torch.allclose(model.train()(x), model.eval()(x), atol=1e-9), "no dropout"


@pytest.mark.parametrize(
    "fields, line",
    [
        ({"model": "vit25"}, "model 'vit25': a ViT has from 1 to 24 blocks; nearest: vit24$"),
        ({"model": "vit0"}, "nearest: vit1$"),
        ({"model": "vit-6"}, "unknown model 'vit-6': use .* vitN \\(vit6\\); did you mean vit6"),
        ({"trainable": "bn"}, "trainable 'bn': vit6 has no BatchNorm; .* nearest: norm$"),
        ({"trainable": "shortcut+output"}, "vit6 has no group 'shortcut'; .* nearest: output$"),
        ({"trainable": "random:2"}, "vit6 has no group 'random:2'; .* nearest: norm$"),
        ({"trainable": "gn"}, "vit6 has no group 'gn'"),
        ({"norm": "group"}, "norm 'group': vit6 has LayerNorm, .* nearest: batch$"),
        ({"dataset": "imagefolder:/pictures", "size": 64}, "size 64: vit6 takes pictures of up to 32×32; nearest: 32$"),
        ({"dataset": "imagefolder:/pictures", "size": 16}, "size 16: vit6 needs pictures of at least 32×32; nearest: 32$"),
        ({"sync_bn": True}, "sync_bn True: vit6 has no BatchNorm"),
    ],
)
def test_what_it_has_not_is_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line) as error:
        RunSpec(**{"model": "vit6", "trainable": "norm", **fields})
    assert "\n" not in str(error.value)


def test_what_a_spec_says():
    for said, spelt in (
        ("ln", "norm"),
        ("norm+output", "norm+output"),
        ("ln+features+output", "all"),
        ("none", "none"),
        ("all", "all"),
    ):
        assert RunSpec("vit6", said).trainable == spelt
    assert RunSpec("vit6", "ln").kind == "ln" and RunSpec("vit6", "norm").probes == ("clamping", "train")
    assert RunSpec("resnet14").probes == RunSpec("resnet14").asked == ("clamping", "relu", "train", "quantised")
    for name in ("wrn14-2", "vgg11"):  # no figure shows what small γ are worth there, and it takes longest
        assert RunSpec(name).asked == ("relu", "train", "quantised") and RunSpec(name, "all").asked == RunSpec(name).probes
    for own in (RunSpec("resnet14", "random:2"), RunSpec("resnet14", "output"), RunSpec("resnet14", "norm", norm="group")):
        assert own.asked == tuple(name for name in own.probes if name != "clamping"), own
    assert RunSpec("resnet14", "gamma").asked == RunSpec("resnet14", "bn+output").asked == RunSpec("resnet14").probes
    assert RunSpec("resnet14", "norm", norm="layer").probes == ("clamping", "relu", "train")
    assert [spec.model for spec in experiments.wanted("beyond_transformer", "short")] == ["vit6"] * len(
        experiments.experiment("beyond_transformer").variants
    )


def test_layers_stand_in_their_order():
    names = [
        name.removesuffix(".weight")
        for name, _ in models.skeleton("vit12").named_parameters()
        if ".ln" in name and "weight" in name
    ]
    assert sorted(names, key=place) == names and names[-1] == "encoder.ln"
    assert sorted(["segments.0.10.bn1", "segments.0.9.bn2", "bn"], key=place) == ["bn", "segments.0.9.bn2", "segments.0.10.bn1"]


@pytest.mark.parametrize("trainable", ["norm", "norm+output", "output", "none", "all"])
def test_a_run_is_stored_and_its_network_comes_back(trainable, tiny, tmp_path):
    digits, spec = data.load("digits"), tiny(model="vit1", trainable=trainable)
    run = bnlib.run(spec, progress=False)
    assert verify(run, digits) == [] and run.info["engine"] == "plain" and run.info["counts"]["ln"] == 768
    assert list(run.gamma) == ["encoder.layers.encoder_layer_0.ln_1", "encoder.layers.encoder_layer_0.ln_2", "encoder.ln"]
    moved = not np.array_equal(run.gamma["encoder.ln"], seeds.gamma(0, "encoder.ln", 128))
    assert moved == ("norm" in trainable or trainable == "all")
    if trainable == "all":
        assert len(run.tensors) == 6
        return
    model = run.model()
    assert engine.evaluate(model, digits, images=100)[0] == run.accuracy
    frozen = [name for name in dict(model.named_parameters()) if ".ln" not in name and "heads" not in name]
    fresh = dict(networks.draw(spec, 10).named_parameters())
    assert frozen and all(torch.equal(dict(model.named_parameters())[name], fresh[name]) for name in frozen)
    _, again = seedfile.load(seedfile.export(run, tmp_path / "small.st"))
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_it_is_asked_what_makes_sense(tiny):
    digits, spec = data.load("digits"), tiny(model="vit1", trainable="norm")
    model = networks.draw(spec, 10)
    asked = engine.probe(model, digits, replace(spec, train_images=50), names=("relu", "train"))
    assert set(asked) == {"train"}
    curve = engine.probes.clamping(model, digits, thresholds=(0.0, 2.0), images=50)
    assert curve["share"] == [0, 1] and curve["accuracy_beta"][1] <= 0.2


@pytest.mark.parametrize("trainable", ["norm", "all"])
def test_it_learns(trainable):
    """A handful of images by heart, in a second; γ and β alone too."""
    model = bnlib.freeze(bnlib.build("vit2"), trainable).train()
    learning = [p for p in model.parameters() if p.requires_grad]
    before = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    x, labels = torch.from_numpy(seeds.stream("images").standard_normal((16, 3, 32, 32))).float(), torch.arange(16) % 10
    optimiser, losses = torch.optim.Adam(learning, lr=0.02 if trainable == "norm" else 0.001), []
    for _ in range(60):
        optimiser.zero_grad()
        loss, _ = engine.Plain(model, "fp32").gradients(x, labels)
        assert all(p.grad.abs().sum() > 0 for p in learning)
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0], losses
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)
