"""ImageNet's ResNets: the paper's counts, torchvision's layout, what a name says of its network; and the experiment on them."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from sealing import sealed

from bnlib import RunSpec, build, count, experiments, freeze, models, store
from bnlib.models import networks
from bnlib.report import paper
from bnlib.spec import added, architecture, image_folder, place, smallest_filter

# Total, BN, output, shortcut: Table 1, and for 152 layers what the authors' code builds.
COUNTS = {
    18: (11_689_512, 9_600, 513_000, 172_032),
    34: (21_797_672, 17_024, 513_000, 172_032),
    50: (25_557_032, 53_120, 2_049_000, 2_768_896),
    101: (44_549_160, 105_344, 2_049_000, 2_768_896),
    152: (60_192_808, 151_424, 2_049_000, 2_768_896),
    200: (64_673_832, 176_000, 2_049_000, 2_768_896),
}
OF_FOUR_SEGMENTS = [f"imagenet-resnet{depth}" for depth in COUNTS] + [f"keras-resnet{depth}" for depth in (50, 101, 152)]


@pytest.mark.parametrize("depth", COUNTS)
def test_every_trainable_set_has_the_papers_count(depth):
    total, bn, output, shortcut = COUNTS[depth]
    model = models.skeleton(f"imagenet-resnet{depth}")
    due = {
        "bn": bn,
        "gamma": bn // 2,
        "beta": bn // 2,
        "output": output,
        "bn+output": bn + output,
        "shortcut+output": shortcut + output,
        "bn+shortcut+output": bn + shortcut + output,
        "features": total - bn - output - shortcut,
        "all": total,
        "all-bn": total - bn,
        "none": 0,
    }
    assert {name: count(freeze(model, name))["trainable"] for name in due} == due
    # Every output channel of a convolution has one γ and one β, so that two random weights a channel are as many as those.
    assert count(freeze(models.skeleton(f"imagenet-resnet{depth}"), "random:2"))["trainable"] == bn


def test_the_counts_are_those_of_the_papers_table():
    table = paper.values("table1")
    table = table[table.dataset == "imagenet"].pivot_table(index="network", columns="metric", values="value")
    columns = ["parameters_total", "parameters_batchnorm", "parameters_output", "parameters_shortcut"]
    assert {int(name.removeprefix("ResNet-")): tuple(row[columns]) for name, row in table.iterrows()} == {
        depth: counts for depth, counts in COUNTS.items() if depth != 152
    }


def test_a_bottleneck_halves_the_resolution_in_its_3x3_convolution():
    block = models.skeleton("imagenet-resnet50").layer2[0]
    assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3, block.downsample[0])] == [
        (1, 1),
        (2, 2),
        (1, 1),
        (2, 2),
    ]
    assert not isinstance(models.skeleton("imagenet-resnet18").layer1[0].downsample, torch.nn.Sequential)


def test_the_initialisation_is_the_papers():
    model = build("imagenet-resnet50", 1, classes=10)
    gammas = {name: m.weight.detach() for name, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert all(0.2 < gamma.mean() < 0.8 and gamma.min() >= 0 and gamma.max() <= 1 for gamma in gammas.values()), "none starts at 0"
    for conv in (model.conv1, model.layer3[2].conv2, model.layer4[0].downsample[0]):
        assert conv.weight.std().item() == pytest.approx((2 / conv.weight[0].numel()) ** 0.5, rel=0.03) and conv.bias is None
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("size", [32, 57, 224])
@pytest.mark.parametrize("name", [*OF_FOUR_SEGMENTS, "resnet14", "vgg13"])
def test_the_work_reckoned_from_a_name_is_that_of_its_network(name, size):
    layers, network = [], models.skeleton(name)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    for module in convolutions:
        module.register_forward_hook(lambda conv, _, out: layers.append((out.numel(), conv.weight[0].numel())))
    network(torch.empty(2, 3, size, size, device="meta"))
    expected = 2 * sum(values * inputs for values, inputs in layers) - layers[0][0] * layers[0][1]
    assert models.work(name, 2, size) == (expected, sum(values for values, _ in layers))
    assert architecture(name).weights == sum(conv.weight.numel() for conv in convolutions)
    assert smallest_filter(name) == min(conv.weight[0].numel() for conv in convolutions)


@pytest.mark.parametrize("name", ["imagenet-resnet18", "imagenet-resnet50", "keras-resnet50", "resnet20", "vgg11"])
def test_layers_are_sorted_and_told_apart_by_their_names(name):
    network = models.skeleton(name)
    norms = [path for path, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert sorted(norms, key=place) == norms
    last = {18: "bn2", 50: "bn3", 20: "bn2", 11: "-"}[architecture(name).depth]
    blocks = [path for path, module in network.named_modules() if models.ends_in_relu(module)]
    due = {f"{block}.{last}" for block in blocks} | {
        path for path in norms if path.split(".")[-2:-1] in (["shortcut"], ["downsample"])
    }
    assert {path for path in norms if added(path, norms)} == due
    assert len(blocks) == {18: 8, 50: 16, 20: 9, 11: 0}[architecture(name).depth]


@pytest.mark.parametrize("name", ["imagenet-resnet18", "keras-resnet50", "resnet8"])
def test_what_a_block_gives_has_been_through_its_relu(name):
    network, seen = build(name), []
    for module in network.modules():
        if models.ends_in_relu(module):
            module.register_forward_hook(lambda _m, _x, out: seen.append(float(out.min())))
    with torch.no_grad():
        network.eval()(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert seen and not any(seen)


def test_every_relu_of_a_bottleneck_is_asked_how_often_it_is_off():
    from bnlib import data
    from bnlib.engine import probes

    asked = probes.relu_activity(build("imagenet-resnet50", classes=10).eval(), data.load("digits"), images=2)
    names = [layer["layer"] for layer in asked["layers"]]
    assert len(names) == 1 + 3 * 16 and names[:4] == ["bn1", "layer1.0.bn1", "layer1.0.bn2", "layer1.0"]
    assert all(0 < layer["zero"] < 1 for layer in asked["layers"])


def test_a_network_is_fp32_on_the_cpu_whatever_the_defaults_are():
    plain = [models.checksum(build(name, 3, classes=10)) for name in ("resnet8", "vgg11", "imagenet-resnet18")]
    generator = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        made = [build(name, 3, classes=10) for name in ("resnet8", "vgg11", "imagenet-resnet18", "keras-resnet50")]
        assert torch.get_default_dtype() == torch.float64 and torch.get_default_device() == torch.device("meta")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    tensors = [tensor for model in made for tensor in model.state_dict().values()]
    assert {tensor.dtype for tensor in tensors} == {torch.float32, torch.int64} and {t.device.type for t in tensors} == {"cpu"}
    assert [models.checksum(model) for model in made[:3]] == plain and torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize(
    "name, other",
    [("resnet50", "imagenet-resnet50"), ("ResNet152", "imagenet-resnet152"), ("vgg11", "torchvision.models.vgg11_bn")],
)
def test_a_name_that_torchvision_has_for_another_network_gets_a_word_once(name, other, caplog):
    networks._say.cache_clear()
    with caplog.at_level(logging.WARNING, "bnlib.models"):
        assert models.checksum(models.draw(name)) and not caplog.records, "what is drawn again says nothing"
        build(name)
        build(name, 1)
    assert [(record.name, other in record.message) for record in caplog.records] == [("bnlib.models", True)]


def test_other_names_get_no_word(caplog):
    networks._say.cache_clear()
    with caplog.at_level(logging.DEBUG):
        for name in ("resnet14", "wrn50-2", "imagenet-resnet18", "keras-resnet50"):
            models.say_which(name)
    assert not caplog.records


@pytest.fixture
def imagenet_run(runs_folder, monkeypatch):
    """Put a stored run of CIFAR-10 into the store as if it were of ImageNet's ResNet-18; returns its spec."""

    def put(classes, recipe="imagenet", dataset="imagefolder:/data/imagenet"):
        spec = RunSpec("imagenet-resnet18", recipe=recipe, dataset=dataset)
        known = store.load("resnet14_bn_short_seed0-f7b08146")
        folder = runs_folder / spec.id
        folder.mkdir(parents=True)
        for name in ("run.json", "history.csv", "bn.safetensors"):
            shutil.copy(known.folder / name, folder)
        about = {**known.info, "id": spec.id, "spec": spec.to_dict(), "classes": classes}
        (folder / "run.json").write_text(json.dumps(about))
        sealed(folder)
        monkeypatch.setattr(store.Run, "check", lambda run: None)  # its curve and tensors are another run's
        monkeypatch.setitem(store.form.MAY, "classes", (lambda value: isinstance(value, int), "a whole number"))
        return spec

    return put


def test_the_figure_on_imagenet_shows_runs_on_a_thousand_classes_wherever_they_lie(imagenet_run):
    shown, unshown = imagenet_run(1000), imagenet_run(10, dataset="imagefolder:/data/imagenette")
    found = experiments.runs("fig2_imagenet")
    assert found.id.tolist() == [shown.id] and found.variant.tolist() == ["bn"] and found.network.tolist() == ["ImageNet ResNet-18"]
    assert unshown.id in set(store.results().id)
    others = {name: experiments.runs(name) for name in experiments.EXPERIMENTS if name != "fig2_imagenet"}
    assert not [name for name, runs in others.items() if {shown.id, unshown.id} & set(runs.id)]


def test_the_experiment_on_imagenet_lists_the_papers_networks_on_the_users_pictures(monkeypatch, tmp_path):
    specs = experiments.wanted("fig2_imagenet")
    assert {spec.recipe for spec in specs} == {"imagenet"} and {spec.size or spec.settings.size for spec in specs} == {224}
    assert specs[:5] == [
        RunSpec(f"imagenet-resnet{depth}", recipe="imagenet", dataset="imagefolder:$BNLIB_IMAGENET")
        for depth in (18, 34, 50, 101, 200)
    ]
    assert {"all", "all-bn", "bn+output"} <= {spec.trainable for spec in specs}
    elsewhere = experiments.wanted("fig2_imagenet", dataset=f"imagefolder:{tmp_path}")
    assert {spec.dataset for spec in elsewhere} == {f"imagefolder:{tmp_path}"} and len(elsewhere) == len(specs)
    assert experiments.experiment("fig2_imagenet").takes("imagenet-resnet152")
    with pytest.raises(ValueError, match="recipe 'short': use one of imagenet, smoke"):
        experiments.wanted("fig2_imagenet", "short")
    monkeypatch.setenv("BNLIB_IMAGENET", str(tmp_path))
    assert image_folder(specs[0].dataset) == tmp_path


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_an_experiment_takes_its_own_networks_and_none_of_another_family(name):
    own = experiments.experiment(name)
    assert all(own.takes(network) for network in own.networks)
    families = {architecture(network).family for network in own.networks}
    others = [
        one for one in ("resnet14", "vgg11", "imagenet-resnet50", "keras-resnet50") if architecture(one).family not in families
    ]
    assert len(others) >= 3 and not any(map(own.takes, others))


def test_what_a_training_on_imagenet_costs_is_reckoned_from_what_there_is():
    seconds, device = experiments.cost("fig2_imagenet", "imagenet")
    short, _ = experiments.cost("blog_keras", "blog-short")
    assert device and seconds > 1000 * short > 0, "days of it are told from minutes"


def test_runs_on_fewer_images_do_not_say_what_a_training_costs(monkeypatch):
    frame = store.results().assign(train_images=500)
    monkeypatch.setattr(store, "results", lambda: frame)
    assert experiments.cost("fig2_imagenet", "imagenet") == (0.0, "")


def test_random_weights_of_a_bottleneck_lie_in_each_channel():
    model = freeze(build("imagenet-resnet18", classes=2), "random:3", seed=1)
    assert model.conv1.parametrizations.weight.original.shape == (64, 3)
    assert np.isfinite(model(torch.zeros(2, 3, 32, 32)).detach().numpy()).all()
