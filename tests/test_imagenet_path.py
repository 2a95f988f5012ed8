"""ImageNet's road on 300 real photographs: it trains, the loss falls, it is stored, it comes back. No result of anything."""

import dataclasses

import pytest

import bnlib
from bnlib import RunSpec, data, store, training
from bnlib.store import verification


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    """ImageNet's ResNet-18, γ, β and the output layer, for a few epochs of small pictures at the recipe `imagenet`."""
    folder = tmp_path_factory.mktemp("runs")
    spec = RunSpec(
        "imagenet-resnet18",
        "bn+output",
        "imagenet",
        f"imagefolder:{photographs}",
        epochs=4,
        batch_size=16,
        warmup=1,
        size=64,
        lr=0.02,
        train_images=96,
        test_images=40,
    )
    return training.train(spec, folder=folder, progress=False, callbacks=[seen.append])


seen = []


def test_it_trains_and_the_loss_falls(run):
    assert run.history.train_loss.iloc[-1] < run.history.train_loss.iloc[0]
    assert run.info["status"] == "finished" and run.info["test_images"] == 40 and run.info["engine"] == "plain"
    assert [row["epoch"] for row in seen] == [1, 2, 3, 4]
    assert run.history.lr.tolist() == pytest.approx([run.spec.settings.learning_rate(epoch) for epoch in range(4)], rel=1e-5)


def test_it_is_stored_and_comes_back(run):
    images = data.of(run.spec)
    assert images.classes == 10 and verification.verify(run, images) == []
    assert bnlib.evaluate(run.model(), images, images=40)[0] == run.accuracy
    assert run.info["counts"]["bn"] == 9_600 and run.info["counts"]["trainable"] == 9_600 + 512 * 10 + 10


def test_an_interrupted_training_sees_the_same_pictures(photographs, run, tmp_path):
    def stop(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(run.spec, folder=tmp_path, progress=False, callbacks=[stop])
    again = training.train(run.spec, folder=tmp_path, progress=False)
    assert again.history.drop(columns="seconds").equals(run.history.drop(columns="seconds"))


def test_a_data_set_of_many_classes_has_top_five(tmp_path, monkeypatch):
    digits = dataclasses.replace(data.load("digits"), classes=100)  # as if most of the classes had no image
    spec = RunSpec("resnet8", recipe="smoke", dataset="cifar100", epochs=1, train_images=128, test_images=100)
    monkeypatch.setattr(data, "of", lambda *_: digits)
    run = training.train(spec, folder=tmp_path, progress=False, device="cpu")
    assert "test_top5" in run.history and run.info["top5"] == run.history.test_top5.iloc[-1] >= run.accuracy
    assert run.info["classes"] == 100 and run.info["counts"]["output"] == 64 * 100 + 100
    assert store.Run(run.folder).model().output.out_features == 100
