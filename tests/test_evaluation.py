"""Evaluation and probes against slow and obvious implementations, on a small network."""

import copy
import json
import time

import pytest
import torch
from click.testing import CliRunner
from sealing import sealed

import bnlib
from bnlib import RunSpec, cli, data, seeds, store, training
from bnlib.engine import probes
from bnlib.store import writing
from bnlib.training import timing


@pytest.fixture(scope="module")
def network():
    """A network whose features differ: γ from −1 to 1, β not 0, running statistics that fit."""
    model = bnlib.build("resnet8", bn_init="signed_uniform")
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=random))
        model(data.normalise(data.load("digits").train_images[:200]))
    return model.eval()


class Scaled(torch.nn.Module):
    """A network in fp16 behind a parameter of another kind, as CLIP has one."""

    def __init__(self, kind):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones((), dtype=kind))
        self.inside = bnlib.build("resnet8").half()

    def forward(self, x):
        return (self.inside(x).float() * self.scale).abs()


def test_it_gives_the_same_number_wherever_it_is_called_on_any_network(network):
    digits = data.load("digits")
    x, labels = data.normalise(digits.test_images[:64]), digits.test_labels[:64]
    for around in (torch.autocast("cpu", torch.bfloat16), torch.inference_mode(), torch.enable_grad()):
        with around:
            assert bnlib.evaluate(network, digits, images=64) == bnlib.evaluate(network, (x, labels))
    for kind in (torch.float32, torch.complex64):
        assert 0 <= bnlib.evaluate(Scaled(kind), (x.half(), labels))[0] <= 1
    pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    assert 0 <= bnlib.evaluate(pooled, (x, labels % 3))[0] <= 1, "no parameters"


def test_labels_and_numbers_of_images_that_cannot_be_are_one_line(network):
    digits = data.load("digits")
    x, labels = data.normalise(digits.test_images[:32]), digits.test_labels[:32]
    loader = lambda labels: torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, labels), 16)  # noqa: E731
    assert bnlib.evaluate(network, loader(labels.int())) == bnlib.evaluate(network, (x, labels))
    for wrong in (labels[:, None], labels.float(), torch.nn.functional.one_hot(labels, 10)):
        with pytest.raises(ValueError, match=r"labels \(16.* beside scores \(16, 10\): whole labels \(N,\) are needed"):
            bnlib.evaluate(network, loader(wrong))
    with pytest.raises(ValueError, match="labels from .* to 1[0-4]: from 0 to 9 are needed, as this network has 10 scores"):
        bnlib.evaluate(network, (x, labels + 5))
    for images in (-3, 0, 2.5, True, "5"):
        with pytest.raises(ValueError, match="images .*: a whole number from 1"):
            bnlib.evaluate(network, digits, images=images)


def test_clamping_is_setting_gamma_to_zero(network):
    digits, before = data.load("digits"), copy.deepcopy(network.state_dict())
    thresholds = (0.0, 0.2, 0.2000001, 0.6, 5.0)
    found = probes.clamping(network, digits, thresholds=thresholds, images=100)
    x, labels = data.normalise(digits.test_images[:100]), digits.test_labels[:100]
    for i, threshold in enumerate(thresholds):
        for key, beta_too in (("accuracy", False), ("accuracy_beta", True)):
            model, off, features = copy.deepcopy(network), 0, 0
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    for feature in range(module.num_features):
                        features += 1
                        if abs(float(module.weight[feature].detach())) <= threshold:
                            off += 1
                            module.weight.data[feature] = 0
                            if beta_too:
                                module.bias.data[feature] = 0
            with torch.no_grad():
                assert found[key][i] == pytest.approx(float((model(x).argmax(1) == labels).float().mean()))
            assert found["share"][i] == off / features
    total = sum(m.num_features for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    lot = seeds.stream("clamping").permutation(total)
    assert [i for i, asked in enumerate(found["accuracy_random"]) if asked is not None] == [0, 1]
    chosen, model, feature = set(lot[: round(found["share"][1] * total)]), copy.deepcopy(network), 0
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for i in range(module.num_features):
                if feature in chosen:
                    module.weight.data[i] = 0
                feature += 1
    with torch.no_grad():
        assert found["accuracy_random"][1] == pytest.approx(float((model(x).argmax(1) == labels).float().mean()))
    assert found["share"][0] == 0 and found["share"][-1] == 1
    assert found["accuracy"][0] == found["accuracy_beta"][0] == bnlib.evaluate(network, digits, images=100)[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_network_is_as_before_when_clamping_is_interrupted(network, monkeypatch):
    before = copy.deepcopy(network.state_dict())

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(probes, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probes.clamping(network, data.load("digits"), thresholds=(0.5,))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_relu_activity_counts_zeros(network):
    """Every ReLU's output collected whole, by running the network's parts one by one."""
    digits = data.load("digits")
    found = probes.relu_activity(network, digits, images=100)
    outputs = {}
    with torch.no_grad():
        x = outputs["bn"] = torch.relu(network.bn(network.conv(data.normalise(digits.test_images[:100]))))
        for s, segment in enumerate(network.segments):
            for b, block in enumerate(segment):
                outputs[f"segments.{s}.{b}.bn1"] = torch.relu(block.bn1(block.conv1(x)))
                x = outputs[f"segments.{s}.{b}"] = block(x)
    assert [one["layer"] for one in found["layers"]] == list(outputs)
    everything = []
    for one in found["layers"]:
        share = (outputs[one["layer"]] == 0).double().mean(0).flatten()
        everything.append(share)
        assert one["units"] == len(share) and one["zero"] == pytest.approx(share.mean().item())
        assert one["off"] == {str(t): pytest.approx((share > t).double().mean().item()) for t in probes.OFF}
    share = torch.cat(everything)
    assert found["total"]["units"] == len(share)


def test_the_grid_has_fifty_thresholds():
    assert len(probes.THRESHOLDS) == 50 and list(probes.THRESHOLDS) == sorted(set(probes.THRESHOLDS))


def test_a_training_asks_its_network_at_the_end_or_later(cifar10, runs_folder, monkeypatch, capsys):
    small = dict(recipe="short", epochs=1, train_images=256, test_images=40, precision="fp32")
    asked = training.train(RunSpec("resnet8", **small), progress=False)
    assert len(asked.probes["clamping"]["threshold"]) == 50 and asked.probes["relu"]["images"] == 40
    assert asked.probes["clamping"]["accuracy"][0] == asked.accuracy
    images, labels = (data.load("cifar10").train_images[:256], data.load("cifar10").train_labels[:256])
    right = (asked.model().eval()(data.normalise(images)).argmax(1) == labels).float().mean().item()
    assert asked.probes["train"]["accuracy"] == pytest.approx(right, abs=0.005)  # not augmented, as the test images
    later, lost = (training.train(RunSpec("resnet8", t, seed=1, **small), progress=False, probes=False) for t in ("bn", "all"))
    assert later.probes is None and lost.probes is None
    call = lambda *names: CliRunner().invoke(cli.main, ["results", "probe", *names])  # noqa: E731
    assert "its convolutions were trained" in call(lost.id).output and store.Run(later.folder).probes is None
    assert call(later.id).exit_code == 0
    whole = store.Run(later.folder).probes
    assert whole["clamping"]["accuracy"][0] == later.accuracy
    (later.folder / "probes.json").write_text(json.dumps({"relu": whole["relu"]}))  # as an older version, which asked less
    sealed(later.folder)
    assert call(later.id).exit_code == 0 and store.Run(later.folder).probes == whole
    late = training.train(RunSpec("resnet8", seed=2, **small), progress=False, until=time.monotonic() + 3600)
    assert late.probes is not None
    monkeypatch.setattr(timing, "probes_seconds", lambda *_: 7200.0)  # an epoch ends in time, and the probes would not
    late = training.train(RunSpec("resnet8", seed=3, **small), progress=False, until=time.monotonic() + 3600)
    assert late.probes is None and f"bnlib results probe {late.id}" in capsys.readouterr().out
    assert "no run 'resnet9'" in call("resnet9").output
    with pytest.raises(store.StoreError, match="written once"):
        writing.add_probes(store.Run(later.folder), asked.probes)
