"""Training and the store: resume, interruption, exact evaluation, write-once, verification."""

import functools
import json

import pytest
import torch
from safetensors.numpy import save_file
from sealing import sealed

import bnlib
from bnlib import data, engine, machine, store, training
from bnlib.engine import passes
from bnlib.store import networks, writing
from bnlib.store.verification import verify
from bnlib.training import loop, trainer


def stored(run):
    """All a run's files, the measured seconds aside."""
    history = run.history.drop(columns="seconds").to_numpy().tolist()
    return history, {name: tensor.tobytes() for name, tensor in run.tensors.items()}


@pytest.mark.parametrize("trainable", ["bn", "random:2", "none"])
def test_an_interrupted_training_ends_bit_identical(trainable, tiny, tmp_path, monkeypatch, capsys):
    spec = tiny(trainable=trainable, epochs=3)
    whole = training.train(spec, folder=tmp_path / "whole", progress=False)

    real, calls = trainer.Trainer._end_epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(trainer.Trainer, "_end_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, folder=tmp_path / "parts", progress=False)
    assert "saved after epoch 1 of 3" in capsys.readouterr().out
    assert store.find(spec, tmp_path / "parts") is None
    parts = training.train(spec, folder=tmp_path / "parts", progress=False)
    assert "going on after epoch 1 of 3" in capsys.readouterr().out
    assert stored(parts) == stored(whole) and "earlier" not in parts.info
    assert not list((tmp_path / "parts" / ".unfinished").glob("*.pt"))


def test_a_training_that_goes_on_elsewhere_says_where_it_has_been(tiny, tmp_path, monkeypatch):
    spec, real = tiny(epochs=2), trainer.Trainer._end_epoch

    def once(*args):
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "commit", lambda root: ("1" * 40, True))
    monkeypatch.setattr(trainer.Trainer, "_end_epoch", once)
    with pytest.raises(KeyboardInterrupt):
        training.train(spec, folder=tmp_path, progress=False)
    monkeypatch.setattr(trainer.Trainer, "_end_epoch", real)
    monkeypatch.setattr(machine, "commit", lambda root: ("2" * 40, False))
    info = training.train(spec, folder=tmp_path, progress=False).info
    assert info["commit"] == "2" * 40 and info["dirty"]  # a part of it is
    assert [one["commit"] for one in info["earlier"]] == ["1" * 40]


def test_replicates_share_the_time_that_passes(tiny, tmp_path, monkeypatch):
    real, shares = trainer.Trainer._end_epoch, []

    def noted(one, start):
        real(one, start)
        shares.append((one.spec.seed, one.last_epoch / one.history[-1]["seconds"]))

    monkeypatch.setattr(trainer.Trainer, "_end_epoch", noted)
    specs = [tiny(seed=0, epochs=2), tiny(seed=1, epochs=2), tiny(seed=2, epochs=1)]
    runs = bnlib.train_together(specs, folder=tmp_path, progress=False)
    assert [(seed, round(share, 6)) for seed, share in shares] == [(0, 3), (1, 3), (2, 3), (0, 2), (1, 2)]
    assert runs[0].info["seconds"] == pytest.approx(runs[0].history.seconds.sum(), abs=0.1)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "around",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
    ids=["no_grad", "inference", "autocast"],
)
def test_what_the_caller_has_switched_on_or_off_changes_no_training(around, fused, tiny, tmp_path):
    spec = tiny(epochs=1, batch_size=2 if fused else 64, train_images=400 if fused else 160, lr=0.01)
    alone = training.train_together([spec], folder=tmp_path / "alone", progress=False)[0]
    with around():
        within = training.train_together([spec], folder=tmp_path / "within", progress=False)[0]
    assert alone.info["engine"] == within.info["engine"]
    columns = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert alone.history[columns].equals(within.history[columns])
    assert all((alone.tensors[name] == within.tensors[name]).all() for name in alone.tensors)


def test_weights_in_bf16_are_those_of_this_step():
    model, x = bnlib.build("resnet8").train(), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    step = engine.Plain(model, "bf16")
    step.native = True
    with machine.learning():
        first = step.logits(x)
        with torch.no_grad():
            model.conv.weight.add_(torch.randn(model.conv.weight.shape, generator=torch.Generator().manual_seed(1)))
        changed = step.logits(x)
    assert not torch.allclose(first, changed, rtol=0.01), "an autocast that is not the outermost keeps what it has cast"


def test_replicates_trained_together_are_what_they_are_alone(tiny, tmp_path, capsys):
    specs = [tiny(seed=0), tiny(seed=1), tiny(seed=2, epochs=1)]
    together = bnlib.train_together(specs, folder=tmp_path / "together", progress=False)
    for spec, run in zip(specs, together, strict=True):
        assert run.spec == spec
        assert stored(run) == stored(training.train(spec, folder=tmp_path / "alone", progress=False))


def test_replicates_that_are_stored_are_not_trained_again(tiny, tmp_path):
    first = training.train(tiny(seed=1), folder=tmp_path, progress=False)
    started = first.info["started"]
    runs = bnlib.train_together([tiny(seed=0), tiny(seed=1), tiny(seed=0)], folder=tmp_path, progress=False)
    assert [run.spec.seed for run in runs] == [0, 1, 0] and store.Run(first.folder).info["started"] == started


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fused_step_trains_as_the_plain_one(precision, tiny, tmp_path, monkeypatch):
    """A whole short training by each: the same course, up to the rounding that a training multiplies."""
    spec = tiny(precision=precision, epochs=2, lr=0.01)
    plain = training.train(spec, folder=tmp_path / "plain", progress=False)
    monkeypatch.setattr(trainer.engine, "make", lambda model, precision, **_: engine.Fused(model, precision))
    fused = training.train(spec, folder=tmp_path / "fused", progress=False)
    assert (plain.info["engine"], fused.info["engine"]) == ("plain", "fused")
    assert fused.history.train_loss.to_numpy() == pytest.approx(plain.history.train_loss.to_numpy(), rel=2e-2)


def test_the_parameters_stay_views_of_one_tensor(tiny, tmp_path):
    one = trainer.Trainer(tiny(trainable="all"), torch.device("cpu"), data.load("digits"), store.check_writable(tmp_path))
    store.check_writable(tmp_path / ".unfinished")
    list(one.train())
    (flat,) = one.optimiser.param_groups[0]["params"]
    assert all(p.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr() for p in one.model.parameters())
    assert torch.cat([p.detach().flatten() for p in one.model.parameters()]).sort()[0].equal(flat.detach().sort()[0])


@pytest.mark.parametrize("fields", [{"optimiser": "adam", "lr": 0.01}, {"decay_bn": False}, {"momentum": 0.0}])
def test_the_flat_optimiser_is_torchs_own_over_each_parameter(fields, tiny):
    """A training by hand with torch's optimiser over the parameters one by one."""
    spec = tiny(trainable="bn+output", train_images=192, epochs=1, weight_decay=0.05, augment="none", **fields)
    model = bnlib.freeze(networks.draw(spec), spec.trainable).to(memory_format=torch.channels_last).train()
    bn = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("output")]
    groups = [
        {"params": bn, "weight_decay": 0.05 if spec.settings.decay_bn else 0.0},
        {"params": list(model.output.parameters()), "weight_decay": 0.05},
    ]
    if fields.get("optimiser") == "adam":
        optimiser = torch.optim.Adam(groups, lr=0.01)
    else:
        optimiser = torch.optim.SGD(groups, lr=0.1, momentum=spec.settings.momentum)
    digits, order = data.load("digits"), data.draw(192, seed=0, epoch=0, kind="none")[0]
    for part in order.split(64):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(data.normalise(digits.train_images[part])), digits.train_labels[part]).backward()
        optimiser.step()
    run = bnlib.run(spec, progress=False)
    for name, p in model.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(torch.from_numpy(run.tensors[name]), p.detach(), rtol=1e-3, atol=2e-4)


def test_a_vgg_trains_and_comes_back(tiny):
    run = bnlib.run(tiny(model="vgg11", epochs=1, train_images=64), progress=False)
    assert run.info["engine"] == "plain" and run.info["counts"]["bn"] == sum(map(len, run.gamma.values())) * 2 == 5504
    assert bnlib.evaluate(run.model(), data.load("digits"), images=100)[0] == run.accuracy


@pytest.mark.parametrize("trainable", ["bn", "none", "random:2", "bn+shortcut+output"])
def test_the_model_comes_back_from_its_seed_with_its_accuracy(trainable, tiny):
    run = bnlib.run(tiny(trainable=trainable), progress=False)
    accuracy, loss = bnlib.evaluate(run.model(), data.load("digits"), images=100)
    assert accuracy == run.accuracy == run.history.test_accuracy.iloc[-1]
    assert loss == pytest.approx(run.info["test_loss"])
    assert run.spec == tiny(trainable=trainable)
    assert (
        list(run.gamma)[0] == "bn"
        and run.gamma["bn"].shape == (16,)
        and sum(map(len, run.beta.values())) * 2 == run.info["counts"]["bn"]
    )


def test_a_run_that_is_stored_is_not_trained_again(tiny, monkeypatch):
    first = bnlib.run(tiny(), progress=False)
    monkeypatch.setattr("bnlib.training.together.Trainer", None)
    assert bnlib.run(tiny()).folder == first.folder
    frame = bnlib.results()
    row = frame[frame.id == first.id].iloc[0]
    assert row.accuracy == first.accuracy and row.epochs == 2 and row.parameters_bn == first.info["counts"]["bn"]


def test_what_was_trained_whole_is_not_stored_and_says_so(tiny):
    run = bnlib.run(tiny(trainable="all", epochs=1), progress=False)
    assert not any("conv" in name for name in run.tensors)
    with pytest.raises(store.StoreError, match="are not stored; bnlib.train_together"):
        run.model()


def test_a_loss_that_is_not_finite_ends_the_training_as_diverged(tiny):
    run = bnlib.run(tiny(trainable="all", lr=1000, weight_decay=1000, epochs=20), progress=False)
    assert run.info["status"] == "diverged" and len(run.history) < 20
    assert verify(run) == []


def test_a_folder_that_cannot_be_written_is_said_before_any_work(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path / "file" / "runs"))
    monkeypatch.setattr("bnlib.training.together.Trainer", None)
    with pytest.raises(store.StoreError, match="cannot be written.*BNLIB_RUNS"):
        bnlib.run(tiny())


def test_a_run_is_written_once_and_whole(tiny, monkeypatch):
    run = bnlib.run(tiny(), progress=False)
    with pytest.raises(store.StoreError, match="written once"):
        writing.write(run.spec, run.model(), [{"epoch": 1}], {}, run.folder.parent)
    assert [path.name for path in run.folder.parent.iterdir() if path.name != ".unfinished"] == [run.id]


def test_verify_finds_what_is_wrong(tiny):
    """Also where the digests have been changed, too; tests/test_store.py has more."""
    run = bnlib.run(tiny(), progress=False)
    assert verify(run, data.load("digits")) == []
    about = json.loads((run.folder / "run.json").read_text())

    def says(**changes):
        (run.folder / "run.json").write_text(json.dumps(about | changes))
        return run

    assert f"{run.id}: run.json is not what was stored" in verify(says(accuracy=0.987))[0]
    for changes, message in [
        ({}, None),
        ({"accuracy": 0.98}, "in the last line of history.csv"),
        ({"weights_checksum": "0" * 64}, "draws other weights"),
        ({"data_checksum": "0" * 64}, "not that of the images here"),
        ({"counts": {**about["counts"], "output": 1}}, "counts are not the network's"),
        ({"spec": {**about["spec"], "seed": 5}}, "its spec belongs to"),
    ]:
        sealed(says(**changes).folder)
        found = verify(run, data.load("digits"))
        assert any(message in line for line in found) if message else found == []
    sealed(says(weights_checksum="0" * 64).folder)
    with pytest.raises(store.StoreError, match="draws other weights"):
        store.Run(run.folder).model()
    save_file({**run.tensors, "output.weight": run.tensors["bn.weight"]}, run.folder / "bn.safetensors")
    sealed(says().folder)
    assert any("does not fit the network: output.weight" in line for line in verify(run))
    with pytest.raises(store.StoreError, match="does not fit"):
        store.Run(run.folder).model()


def test_every_committed_run_is_right(monkeypatch):
    runs = [run for run in store.all_runs() if run.folder.parent == store.results_folder()]
    assert runs, "results/ holds no run"
    assert [line for run in runs for line in verify(run)] == []
    assert not any(run.info["dirty"] for run in runs)


def test_a_committed_run_gives_its_accuracy_again(cifar10):
    run = store.load("resnet14_bn_short_seed0-f7b08146")
    accuracy, _ = bnlib.evaluate(run.model(), cifar10)
    assert accuracy == pytest.approx(run.accuracy, abs=5e-4)  # exact on the CPU it was trained on; another may break a tie


def test_what_is_known_of_a_network_is_not_another_answer(tiny):
    run = training.train(tiny(), progress=False)
    writing.add_probes(run, {"relu": {"zero": 13 / 560}})
    writing.add_probes(run, {"relu": {"zero": 13 / 560}, "train": {"accuracy": 0.5}})  # as another process may have found meanwhile
    assert store.Run(run.folder).probes == {"relu": {"zero": 0.023214}, "train": {"accuracy": 0.5}}


def test_outside_of_a_checkout_no_commit_is_known(tmp_path):
    assert (machine.commit(store.ROOT)[0] != "unknown") == (store.ROOT / ".git").exists()
    assert machine.commit(store.ROOT / "bnlib") == machine.commit(tmp_path) == ("unknown", True)


def test_the_schedule_drops_at_the_milestones():
    spec = bnlib.RunSpec("resnet14")
    assert [spec.settings.learning_rate(epoch) for epoch in (0, 79, 80, 119, 120, 159)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_the_step_is_torchs_sgd_with_weight_decay_on_gamma_and_beta(tiny):
    """Two steps by hand, from the formula of the authors' optimiser."""
    spec = tiny(train_images=128, epochs=1, weight_decay=0.01, augment="none")
    model = bnlib.freeze(networks.draw(spec), "bn").to(memory_format=torch.channels_last).train()
    learn, speed = [p for p in model.parameters() if p.requires_grad], {}
    digits, order = data.load("digits"), data.draw(128, seed=0, epoch=0, kind="none")[0]
    for part in order.split(64):
        pixels, labels = digits.train_images[part], digits.train_labels[part]
        torch.nn.functional.cross_entropy(model(data.normalise(pixels)), labels).backward()
        with torch.no_grad():
            for p in learn:
                gradient = p.grad + 0.01 * p
                speed[p] = gradient if p not in speed else 0.9 * speed[p] + gradient
                p -= 0.1 * speed[p]
                p.grad = None
    run = bnlib.run(spec, progress=False)
    for name, p in model.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(torch.from_numpy(run.tensors[name]), p.detach(), rtol=1e-4, atol=1e-5)


def test_the_estimate_leaves_no_trace(tiny, runs_folder):
    assert "about" in training.estimate(tiny())
    assert not list(runs_folder.glob("*")) if runs_folder.exists() else True


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_the_same_network_on_the_same_batches(tiny, tmp_path):
    runs = [training.train(tiny(epochs=1), device=device, folder=tmp_path / device, progress=False) for device in ("cpu", "cuda")]
    assert runs[0].info["weights_checksum"] == runs[1].info["weights_checksum"]
    assert runs[0].history.train_loss.iloc[0] == pytest.approx(runs[1].history.train_loss.iloc[0], rel=1e-2)


ON_A_GPU = [
    {"precision": "bf16"},
    {"precision": "fp32"},
    {"precision": "bf16", "trainable": "random:2"},
    {"precision": "bf16", "trainable": "all"},
    {"precision": "bf16", "trainable": "bn+output", "optimiser": "adam", "lr": 0.01},
]


@pytest.fixture
def fused(monkeypatch):
    """The fused step whatever the length of the training."""
    compiling = lambda sizes: functools.partial(passes.InTorch, sizes=sizes)  # noqa: E731
    monkeypatch.setattr(engine, "make", lambda model, precision, *, sizes, **_: engine.Fused(model, precision, compiling(sizes)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("fields", ON_A_GPU)
def test_on_a_gpu_replicates_together_are_what_they_are_alone(fields, tiny, tmp_path, fused):
    specs = [tiny(seed=seed, epochs=2, train_images=600, **fields) for seed in (0, 1, 2)]
    together = bnlib.train_together(specs, device="cuda", folder=tmp_path / "together", progress=False)
    alone = [training.train(spec, device="cuda", folder=tmp_path / "alone", progress=False) for spec in specs]
    assert [stored(run) for run in together] == [stored(run) for run in alone]
    assert together[0].info["engine"] == "fused"


@pytest.fixture
def recorded(monkeypatch):
    """The steps that were to be recorded as graphs; while it stands, none is."""
    asked = []
    monkeypatch.setattr(loop, "Recorded", lambda work, device: asked.append(work) or work)
    return asked


def test_on_a_cpu_no_step_is_recorded(tiny, tmp_path, recorded):
    assert training.train(tiny(epochs=1), device="cpu", folder=tmp_path, progress=False) and not recorded


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("fields", ON_A_GPU)
def test_on_a_gpu_the_recorded_step_is_the_step_itself(fields, tiny, tmp_path, fused, request):
    spec = tiny(epochs=2, train_images=600, **fields)
    graph = training.train(spec, device="cuda", folder=tmp_path / "graph", progress=False)
    recorded = request.getfixturevalue("recorded")
    assert stored(training.train(spec, device="cuda", folder=tmp_path / "steps", progress=False)) == stored(graph)
    assert recorded
