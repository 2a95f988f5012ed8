"""Trainings that begin from another one's network: what of it, that it comes first, and what cannot be had without it."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from patience import PATIENCE

import bnlib
from bnlib import RunSpec, cli, data, engine, freezing, store, training
from bnlib.store import cleaning, networks, pretrained, seedfile, verification
from bnlib.training import costs, parents, resume, trainer
from bnlib.training import sweep as sweeping


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of runs with one training that others begin from, and its network."""
    folder = tmp_path_factory.mktemp("parent")
    parent = RunSpec("resnet8", "all", "smoke", "digits", precision="fp32")
    training.train_together([parent], folder=folder, progress=False, keep=True)
    return folder


@pytest.fixture
def parent(trained, runs_folder):
    """The same in the test's own folder of runs."""
    shutil.copytree(trained, runs_folder)
    (network,) = (runs_folder / ".networks").iterdir()
    return network


@pytest.fixture
def child(tiny):
    """Specs that begin from that network."""
    return lambda **fields: tiny(pretrained="digits", **fields)


def test_the_parent_is_the_whole_network_with_the_recipe_as_it_is():
    spec = RunSpec("resnet14", "output", "short", "cifar10-last5", 2, precision="fp32", bn_init="ones", lr=0.01, epochs=80,
                   train_images=50, pretrained="cifar10-first5")  # fmt: skip
    assert spec.parent == RunSpec("resnet14", "all", "short", "cifar10-first5", 2, precision="fp32", bn_init="ones")
    assert "pretrained=cifar10-first5" in spec.text and spec.id != RunSpec(**{**spec.to_dict(), "pretrained": None}).id
    assert not spec.redrawn and not spec.features_learn and spec.parent.parent is None
    assert RunSpec("resnet14").text == "model=resnet14" and RunSpec("resnet14").parent is None


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"pretrained": "cifar10-first"}, "pretrained 'cifar10-first': use one of cifar10, .*; did you mean 'cifar10-first5'"),
        ({"pretrained": "imagefolder:/a"}, "pretrained 'imagefolder:/a': use one of cifar10"),
        ({"pretrained": 5}, "pretrained 5: use one of"),
        (
            {"pretrained": "cifar10", "recipe": "imagenet", "dataset": "imagefolder:/a"},
            "its pictures are 224×224, those of cifar10",
        ),
    ],
)
def test_what_cannot_be_begun_from_is_refused_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message) as error:
        RunSpec(**{"model": "resnet14", **fields})
    assert "\n" not in str(error.value)


def test_it_begins_from_the_parents_network_with_an_output_layer_of_its_own(parent, child):
    whole = store.pretrained.load_trained(freezing.freeze(networks.draw(child().parent), "all"), parent).state_dict()
    for spec, classes in ((child(), 10), (child(dataset="cifar10-animals"), 2)):
        model, again = networks.draw(spec), networks.draw(spec)
        seeds_own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        assert pretrained.begin(spec, model) == pretrained.begin(spec, again)
        for name, tensor in model.state_dict().items():
            if name.startswith("output."):
                assert len(tensor) == classes and not torch.equal(tensor, seeds_own[name])
                assert not torch.equal(tensor, whole[name][:classes])
            else:
                assert torch.equal(tensor, whole[name]), name
                assert name.endswith("num_batches_tracked") or not torch.equal(tensor, seeds_own[name])


def test_with_another_norm_it_begins_from_a_network_of_that(child, tmp_path):
    spec = child(norm="layer", trainable="norm", epochs=1)
    run = training.train(spec, folder=tmp_path, progress=False)
    assert run.info["began"] and spec.parent.norm == "layer" and store.find(spec.parent, tmp_path)


def test_the_parent_comes_first_and_once(child, runs_folder, capsys):
    spec = child()
    run = training.train(spec, progress=False)
    said = capsys.readouterr().out
    assert f"{spec.parent.id}, whose network others begin from, is not trained yet: it comes first, 2 epochs\n" in said
    assert len(re.findall("about .* step, fp32", said)) == 2, "an estimate of each"
    stored = store.find(spec.parent)
    assert stored.spec == spec.parent and len(stored.history) == 2
    assert run.info["began"] != run.info["weights_checksum"] and "began" not in stored.info
    training.train(child(trainable="output"), progress=False)
    assert "comes first" not in capsys.readouterr().out
    assert verification.verify(stored) == [] and [one.name for one in runs_folder.iterdir() if one.name[0] != "."]


@pytest.mark.parametrize("trainable", ["bn", "output", "bn+output", "random:2", "none"])
def test_its_network_comes_back_while_the_parents_is_here(trainable, parent, child, tmp_path):
    images = data.load("digits")
    run = training.train(child(trainable=trainable), progress=False)
    assert engine.evaluate(run.model(), images, images=100)[0] == run.accuracy
    assert verification.verify(run, images) == [] and verification.unseen(run) == ""
    parent.unlink()
    with pytest.raises(
        store.StoreError, match=r"began from the network that digits_resnet8_all.* not in .*networks; bnlib.train_tog"
    ):
        run.model()
    assert verification.verify(run, images) == []
    assert verification.unseen(run) == f"where it began is not checked, as the network of {run.spec.parent.id} is not here"
    (tmp_path / "none").mkdir()  # the committed runs count their own
    said = CliRunner().invoke(cli.main, ["results", "verify"], env={"BNLIB_RESULTS": str(tmp_path / "none")})
    assert said.exit_code == 0 and "where 1 of them began is not checked: the network is not here" in said.output, said.output


def test_what_hangs_on_the_seed_says_in_one_line_that_it_does_not_come_back(parent, child, tmp_path, capsys):
    run, whole = training.train_together([child(), child(trainable="all")], progress=False)
    with pytest.raises(
        store.StoreError, match="it began from a network trained on digits, which no seed draws, so there is no network"
    ):
        seedfile.export(run, tmp_path / "file")
    with pytest.raises(ValueError, match="comes back from no seed: it began from a network trained on digits"):
        seedfile.sizes(run.spec)
    with pytest.raises(store.StoreError, match="its convolutions were trained and are not stored; bnlib.train_together"):
        whole.model()
    with pytest.raises(store.StoreError, match="its convolutions were trained and are not stored, so there is no network"):
        seedfile.export(whole, tmp_path / "file")
    training.ask([run], names=("train",))
    assert store.load(run.id).probe("train")["accuracy"] > 0
    parent.unlink()
    training.ask([run], names=("relu",))
    assert "which no seed draws" in capsys.readouterr().out and store.load(run.id).probe("relu") is None


def test_a_damaged_network_is_refused_before_any_step(parent, child, capsys):
    content = bytearray(parent.read_bytes())
    content[-100] ^= 1
    parent.write_bytes(content)
    with pytest.raises(store.StoreError, match=rf"{parent.name} is damaged"):
        training.train(child(), progress=False)
    assert store.find(child()) is None


def test_a_network_that_was_trained_again_is_no_fault_of_a_run_that_began_from_the_earlier_one(parent, child):
    run = training.train(child(), progress=False)
    model = networks.pretrained.load_trained(freezing.freeze(networks.draw(run.spec.parent), "all"), parent)
    with torch.no_grad():
        model.conv.weight[0, 0, 0, 0] += 1
    pretrained.keep(run.spec.parent, model, parent.parent.parent)
    line = rf"{re.escape(run.id)}: the network of {run.spec.parent.id} that is here is not the one that it began from"
    with pytest.raises(store.StoreError, match=line):
        run.model()
    assert verification.verify(run, data.load("digits")) == []
    assert verification.unseen(run).endswith(f"the network of {run.spec.parent.id} that is here is another one, trained again")


def test_a_run_that_lies_about_where_it_began_is_damaged(parent, child, monkeypatch):
    run = training.train(child(), progress=False)
    text = (run.folder / "run.json").read_text()
    monkeypatch.setattr(store.files, "stored", store.files.read)  # as if somebody had made new digests, too
    silent = text.replace('"began"', '"never"')
    for wrong, said in ((silent, "does not say from which"), (text.replace(run.info["began"], "x"), "began is 'x', not 64 hex")):
        (run.folder / "run.json").write_text(wrong)
        assert said in store.Run(run.folder).fault()


def test_a_stored_parent_without_its_network_is_trained_again_and_stays_as_it_was(parent, child, capsys):
    before = (store.find(child().parent).folder / "run.json").read_bytes()
    network = parent.read_bytes()
    parent.unlink()
    training.train(child(), progress=False)
    assert "stored, but its whole network is not here: trained again, 2 epochs" in capsys.readouterr().out
    assert (store.find(child().parent).folder / "run.json").read_bytes() == before and parent.read_bytes() == network


@pytest.fixture
def hot(monkeypatch):
    """Trainings from whose network others begin diverge."""

    class Hot(trainer.Trainer):
        def _work(self, *batch):
            super()._work(*batch)
            if self.keep:
                self.totals[0] += float("nan")

    monkeypatch.setattr(training.together, "Trainer", Hot)


def test_nothing_begins_from_a_training_that_diverged(child, hot, monkeypatch, runs_folder):
    for _ in range(2):  # the second time it is known, and nothing is trained
        with pytest.raises(store.StoreError, match=f"can't begin from the network of {child().parent.id}, whose training diverged"):
            training.train(child(), progress=False)
        monkeypatch.setattr(training.together, "Trainer", None)
    assert store.find(child().parent).info["status"] == "diverged" and not (runs_folder / ".networks").exists()


def test_a_sweep_goes_on_with_what_does_not_begin_from_a_training_that_diverged(child, tiny, hot, runs_folder, capsys):
    other = tiny(seed=5)
    for _ in range(2):  # the second time it is known
        said = f"left out: {child().id} can't begin from the network of {child().parent.id}, whose training diverged"
        assert sweeping.sweep([child(), other], progress=False, probes=False) == [child()]
        assert said in capsys.readouterr().out
    assert store.find(other)
    assert parents.possible([child(), other]) == [other] and costs.plan([other], {})


def test_what_comes_first_is_asked_as_if_it_were_trained_alone(child, monkeypatch, runs_folder):
    asked = {}

    class Asking(trainer.Trainer):
        def __init__(self, spec, where, dataset, target, probes, *more):
            asked[spec] = probes
            super().__init__(spec, where, dataset, target, probes, *more)

    monkeypatch.setattr(training.together, "Trainer", Asking)
    training.train(child(), progress=False)
    assert asked == {child().parent: True, child(): True}


def test_replicates_trained_together_are_what_each_is_alone(child, tmp_path, capsys):
    specs = [child(seed=seed) for seed in (0, 1)]
    both = training.train_together(specs, folder=tmp_path / "together", progress=False)
    assert capsys.readouterr().out.count("comes first") == 2
    alone = training.train(specs[1], folder=tmp_path / "alone", progress=False)
    assert both[1].info["began"] == alone.info["began"] != both[0].info["began"]
    assert {name: one.tobytes() for name, one in both[1].tensors.items()} == {
        name: o.tobytes() for name, o in alone.tensors.items()
    }
    assert both[0].model() is not None, "the parent's network is found beside the run"


def test_a_killed_training_goes_on_whether_it_was_the_parents_or_its_own(child, monkeypatch, capsys, runs_folder):
    spec, real, calls = child(), trainer.Trainer._end_epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) in (2, 5):  # in the second epoch of the parent, which then goes on, and in the second of the child
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(trainer.Trainer, "_end_epoch", interrupted)
    for name in (spec.parent.id, spec.id):
        with pytest.raises(KeyboardInterrupt):
            training.train(spec, progress=False)
        assert f"{name}: stopped; saved after epoch 1 of 2" in capsys.readouterr().out
    run = training.train(spec, progress=False)
    assert f"{spec.id}: going on after epoch 1 of 2" in capsys.readouterr().out
    whole = training.train(spec, folder=runs_folder / "whole", progress=False)
    assert run.info["began"] == whole.info["began"] and run.history.drop(columns="seconds").equals(
        whole.history.drop(columns="seconds")
    )


def test_a_checkpoint_that_began_from_another_network_is_not_gone_on_from(parent, child):
    one = trainer.Trainer(child(), torch.device("cpu"), data.load("digits"), parent.parent.parent)
    assert resume.misfit(one, {"history": [dict.fromkeys(one.columns, 1)], "began": "x"}) != ""
    next(one.train())
    one._end_epoch(0.0)
    state = resume.find(one)
    assert resume.misfit(one, state) == ""
    assert "the network that it began from is not the one" in resume.misfit(one, {**state, "began": None})


def test_a_sweep_trains_the_parent_first_and_its_plan_says_so(child, capsys):
    specs = [child(seed=seed, trainable=trainable) for seed in (0, 1) for trainable in ("bn", "none")]
    lines = costs.plan(specs, costs.costs(specs))
    assert [line.split()[0] for line in lines[:2]] == [spec.parent.id for spec in (specs[0], specs[2])]
    assert all("comes first, as others begin from its network, about" in line for line in lines[:2])
    assert "0 of 4 runs are there, 4 missing, and 2 to come first, about" in lines[-1]
    assert sweeping.sweep(specs, budget=600, progress=False) == []
    assert "6 of" not in costs.plan(specs, {})[-1] and "4 of 4 runs are there, 0 missing" in costs.plan(specs, {})[-1]
    assert [store.find(spec.parent) is not None for spec in specs] == [True] * 4


def test_a_sweep_without_time_for_the_parent_leaves_all_for_the_next_one(child, runs_folder):
    assert sweeping.sweep([child()], budget=0.5, progress=False) == [child()]
    assert not list(runs_folder.glob("digits*"))


def test_an_estimate_is_of_both_and_stores_nothing(child, parent, runs_folder, capsys):
    assert training.estimate(child()).count("ms a step") == 1
    parent.unlink()
    assert re.fullmatch(r"2 epochs of 12 steps, .*; then 2 epochs of 3 steps, .*", training.estimate(child()))
    assert not (runs_folder / ".networks").exists() or not parent.exists()


def test_the_command_line_knows_both_options(parent, runs_folder):
    words = (
        "run resnet8 --recipe smoke --dataset digits --precision fp32 --pretrained digits --train-images 50 --batch-size 64".split()
    )
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0 and "test accuracy, finished" in done.output, done.output
    (run,) = [run for run in store.all_runs() if run.spec.pretrained == "digits"]
    assert run.spec.train_images == 50 and run.spec.settings.batch_size == 64
    wrong = CliRunner().invoke(cli.main, ["run", "resnet8", "--pretrained", "cifar10-lost5"])
    assert wrong.exit_code == 2 and "did you mean 'cifar10-last5'?" in wrong.output
    table = bnlib.results()
    assert table[table.pretrained == "digits"].id.tolist() == [run.id]


def test_a_process_killed_while_it_kept_a_network_leaves_nothing_for_good(parent, child, runs_folder):
    name = child().parent.id
    left = parent.with_name(f".{parent.name}-01234567")
    left.write_bytes(b"half")
    assert cleaning.leftovers()[left] == "a network that was not kept to its end"
    with FileLock(store.runs_folder() / ".unfinished" / f"{name}.lock"):
        assert cleaning.leftovers() == {}
    cleaning.clean()
    assert not left.exists() and parent.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_two_processes_train_one_parent_once(child, runs_folder):
    lines = [
        "from bnlib import RunSpec, training",
        f"spec = RunSpec(**{child().to_dict()!r})",
        "training.train_together([RunSpec(**{**spec.to_dict(), 'trainable': TRAINABLE})], progress=False)",
    ]
    codes = ["\n".join(lines).replace("TRAINABLE", repr(name)) for name in ("bn", "none")]
    going = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ}, stdout=subprocess.PIPE, text=True) for code in codes
    ]
    said = [one.communicate(timeout=PATIENCE)[0] for one in going]
    assert [one.returncode for one in going] == [0, 0]
    began = {store.find(child(trainable=name)).info["began"] for name in ("bn", "none")}
    assert len(began) == 1 and sum(text.count("12 steps") for text in said) == 1
