"""What learns changes in the course of a training: `then` and `switch`."""

import time

import pytest
import torch

from bnlib import RunSpec, data, engine, models, store, training
from bnlib.store.verification import verify
from bnlib.training import trainer
from bnlib.training.costs import epoch_work


def put(network):
    """The numbers of a network, by name."""
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def followed(spec, folder, monkeypatch):
    """The run of `spec`, what its network was after each epoch, and the optimiser's state then."""
    seen, real = [], trainer.Trainer._end_epoch

    def after(self, *args):
        real(self, *args)
        state = [t.clone() for one in self.optimiser.state.values() for t in one.values() if t is not None]
        seen.append((put(self.model), [p.numel() for p in self.learning], state))

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "_end_epoch", after)
        run = training.train(spec, folder=folder, progress=False)
    return run, seen


def test_the_convolutions_learn_from_the_switch_on(tiny, tmp_path, monkeypatch):
    spec = tiny(then="all", switch=2, epochs=3)
    run, seen = followed(spec, tmp_path, monkeypatch)
    drawn = put(models.draw(spec.model, spec.seed))
    convolutions = [name for name, p in drawn.items() if p.dim() == 4]
    for epoch, (now, _, _) in enumerate(seen, 1):
        for name in convolutions:
            assert torch.equal(now[name], drawn[name]) == (epoch <= 2), (epoch, name)
        assert not torch.equal(now["bn.weight"], drawn["bn.weight"])
    assert [sum(sizes) for _, sizes, _ in seen] == [run.info["counts"][name] for name in ("bn", "total", "total")]
    alone = training.train(tiny(epochs=3), folder=tmp_path, progress=False)
    columns = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert run.history[columns][:2].equals(alone.history[columns][:2]) and not run.history[columns].equals(alone.history[columns])


def test_the_optimiser_begins_anew_and_the_learning_rate_goes_on(tiny, tmp_path, monkeypatch):
    run, seen = followed(tiny(then="all", switch=1, epochs=2, milestones=(1,)), tmp_path, monkeypatch)
    assert not any(tensor.any() for tensor in seen[0][2]) and all(tensor.any() for tensor in seen[1][2])
    assert run.history.lr.tolist() == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize("fields", [{"trainable": "bn", "then": "all"}, {"trainable": "all", "then": "bn"}], ids=str)
@pytest.mark.parametrize("when", [1, 2, 3])
def test_an_interrupted_one_ends_bit_identical(fields, when, tiny, tmp_path, monkeypatch):
    spec = tiny(**fields, switch=2, epochs=4)
    whole, through = followed(spec, tmp_path / "whole", monkeypatch)
    real, calls = trainer.Trainer._end_epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == when + 1:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "_end_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            training.train(spec, folder=tmp_path / "parts", progress=False)
    parts, on = followed(spec, tmp_path / "parts", monkeypatch)
    assert whole.history.drop(columns="seconds").equals(parts.history.drop(columns="seconds"))
    assert all(torch.equal(one, on[-1][0][name]) for name, one in through[-1][0].items())
    assert {name: t.tobytes() for name, t in whole.tensors.items()} == {name: t.tobytes() for name, t in parts.tensors.items()}


def test_what_learned_in_either_part_is_stored(tiny):
    run = training.train(tiny(trainable="output", then="bn", switch=1), progress=False)
    counts = run.info["counts"]
    assert run.spec.learned == "bn+output" and counts["trainable"] == counts["bn"] + counts["output"]
    assert "output.weight" in run.tensors and verify(run, data.load("digits")) == []
    with pytest.raises(store.StoreError, match="its convolutions were trained"):
        training.train(tiny(trainable="bn", then="all", switch=1), progress=False).model()


def test_the_fused_step_goes_through_the_switch_as_the_plain_one(tiny, tmp_path, monkeypatch):
    spec = tiny(then="all", switch=1, precision="fp32", epochs=2)
    plain = training.train(spec, folder=tmp_path / "plain", progress=False)
    monkeypatch.setattr(engine, "make", lambda model, precision, **_: engine.Fused(model, precision))
    fused = training.train(spec, folder=tmp_path / "fused", progress=False)
    assert (plain.info["engine"], fused.info["engine"]) == ("plain", "fused")
    assert plain.history.train_loss.tolist() == pytest.approx(fused.history.train_loss.tolist(), rel=2e-3)


def test_a_spec_says_what_learns_when():
    spec = RunSpec("resnet14", recipe="short", then="all", switch=4)
    assert [spec.learning(epoch) for epoch in (0, 3, 4, 15)] == ["bn", "bn", "all", "all"]
    assert spec.id.startswith("resnet14_bn-then-all_short_seed0-") and not spec.redrawn
    assert RunSpec("resnet14", trainable="output", then="gamma+beta", switch=1).learned == "bn+output"
    assert RunSpec("resnet14", recipe="short").id == "resnet14_bn_short_seed0-f7b08146"  # as before there was a switch
    assert RunSpec(**spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("sets", "both"),
    [
        (("bn", "all-bn"), "all"),
        (("none", "gamma"), "gamma"),
        (("gamma", "beta+output"), "bn+output"),
        (("bn", "output"), "bn+output"),
    ],
    ids=str,
)
def test_the_union_of_two_sets(sets, both):
    for first, then in (sets, sets[::-1]):
        assert RunSpec("resnet14", trainable=first, then=then, switch=1).learned == both


def test_other_normalisation_may_learn_first_too():
    spec = RunSpec("resnet14", trainable="norm", then="all", switch=1, norm="group")
    assert (spec.learned, spec.learning(0)) == ("all", "norm")
    assert RunSpec("vit2", trainable="output", then="norm", switch=1).learned == "norm+output"
    with pytest.raises(ValueError, match="nearest: norm"):
        RunSpec("vit2", trainable="norm", then="bn", switch=1)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"then": "all"}, "then 'all': switch is needed too, an epoch from 1 to 15"),
        ({"switch": 3}, "switch 3: then is needed too, a set such as all"),
        ({"then": "all", "switch": 0}, "switch 0: a whole number from 1 to 15 is needed; nearest: 1"),
        ({"then": "all", "switch": 16}, "switch 16: a whole number from 1 to 15 is needed; nearest: 15"),
        ({"then": "all", "switch": 2.5}, "switch 2.5: a whole number from 1 to 15 is needed"),
        ({"then": "al", "switch": 2}, "did you mean 'all'"),
        ({"then": "beta+gamma", "switch": 2}, "then 'bn': that is what learns before"),
        ({"then": "random:2", "switch": 2}, "then 'random:2': random:K learns from the first epoch to the last; nearest: all"),
        ({"then": "al", "switch": 2}, "then 'al': unknown group 'al'"),
        ({"then": 3, "switch": 2}, "then 3: unknown group"),
        ({"then": "all", "epochs": 2}, "then 'all': switch is needed too, 1"),
        ({"trainable": "random:2", "then": "bn", "switch": 2}, "trainable 'random:2': random:K learns"),
        ({"then": "all", "switch": 1, "epochs": 1}, "then 'all': there is but 1 epoch"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said_in_one_line(fields, line):
    with pytest.raises(ValueError) as said:
        RunSpec("resnet14", recipe="short", **fields)
    assert line in str(said.value) and "\n" not in str(said.value)


def test_what_is_left_is_reckoned_with_what_learns_then(tiny):
    bn, whole, both = (
        4 * epoch_work(tiny(**fields, epochs=4)) for fields in ({}, {"trainable": "all"}, {"then": "all", "switch": 1})
    )
    assert both == pytest.approx(bn / 4 + 3 * whole / 4)


def test_the_time_that_is_left_is_asked_of_what_learns_from_the_switch_on(tiny, tmp_path):
    spec, late = tiny(then="all", switch=1, epochs=2), time.monotonic() + 3600
    free, bound = (training.train(spec, folder=tmp_path / str(until), progress=False, until=until) for until in (None, late))
    columns = ["train_loss", "test_loss", "test_accuracy"]
    assert free.history[columns].equals(bound.history[columns]) and len(bound.history) == 2
