"""The page on many tasks: its verdicts by rule on made-up accuracies, and that each experiment's runs are found."""

import numpy as np
import pandas as pd
import pytest

from bnlib import experiments
from bnlib.experiments.catalogue import CARRIED
from bnlib.report.beyond import tasks, transfer
from bnlib.spec import datasets
from bnlib.store import ROOT


def runs(name, accuracies, recipe="short", seeds=3, network="ResNet-14"):
    """Rows as `experiments.runs` has them. accuracies: of each variant its mean in percent; replicates lie 0.2 points apart."""
    rows = [
        {"network": network, "depth": 14, "width": 1, "variant": variant, "recipe": recipe, "seed": seed, "status": "finished",
         "trainable": experiments.experiment(name).variants[variant]["trainable"], "accuracy": (mean + 0.2 * (seed - 1)) / 100,
         "parameters_bn": 1120, "parameters_total": 175258, "epochs": 160 if variant.startswith("digits") else 16}
        for variant, mean in accuracies.items() for seed in range(seeds)
    ]  # fmt: skip
    columns = ["network", "depth", "width", "variant", "recipe", "seed", "status", "trainable", "accuracy"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def both(bn, whole):
    names = list(tasks.TASKS)
    return {
        f"{task}: {kind}": mean
        for task, pair in zip(names, zip(bn, whole, strict=False), strict=False)
        for kind, mean in zip(("bn", "all"), pair, strict=False)
    }


@pytest.mark.parametrize(
    "bn, whole, seeds, verdict, of",
    [
        ((44, 55, 82, 96), (85, 82, 95, 98), 3, "no", ""),
        ((44, 55, 82, 98), (85, 82, 95, 98.1), 3, "no", "on 3 of 4 tasks"),
        ((85, 82, 95, 98), (85, 82.2, 94, 98.1), 3, "yes", ""),
        ((44, 55), (85, 82), 1, "not judged", ""),  # one run each: nothing can be told
        ((85, 80), (85, 82.3), 3, "no", "on 1 of 2 tasks"),
        ((85,), (85,), 3, "not judged", ""),
    ],
)
def test_the_verdict_on_one_network_for_all_tasks(bn, whole, seeds, verdict, of):
    rows = runs("beyond_tasks", both(bn, whole), seeds=seeds)
    found = tasks.one_for_all(tasks.tasks(rows), rows)
    assert (found.verdict, found.of) == (verdict, of) and ("1,120" in found.text) == (len(bn) > 1)


def test_where_one_network_is_behind_is_said_by_how_much():
    def said(bn, whole):
        rows = runs("beyond_tasks", both(bn, whole))
        return tasks.one_for_all(tasks.tasks(rows), rows).text.replace("\u00a0", " ").replace("\u2011", "-")

    begins = (
        "After 16 epochs (digits 160) one frozen ResNet-14, with γ and β of its own for each task (1,120 numbers), does worse "
        "than one trained whole for the task "
    )
    assert said((44, 55, 82, 96), (85, 82, 95, 98)) == (
        f"{begins}on all four: by 2.0 points on handwritten digits, 13.0 points on animals against vehicles, 27.0 points on how "
        "pictures are turned and 41.0 points on CIFAR-10's ten classes."
    )
    assert said((44, 55, 82, 98), (85, 82, 95, 98.1)).startswith(
        f"{begins}by 13.0 points on animals against vehicles, 27.0 points on how pictures are turned and 41.0 points on CIFAR-10's "
        "ten classes; it does as well as one trained whole for the task, within 2.0 points, on handwritten digits."
    )
    assert said((85, 80), (85, 82.3)).startswith(
        f"{begins.replace(' (digits 160)', '')}by 2.3 points on how pictures are turned; it "
    )


def test_the_table_has_what_is_lost_with_a_minus():
    rows = runs("beyond_tasks", both((44, 55), (85, 82)))
    listed = tasks.table_of(tasks.tasks(rows)).data
    assert [text.split("\u00a0")[0] for text in listed["difference (95 %)"]] == ["−41.0", "−27.0"]
    assert list(listed["as good"]) == ["no", "no"] and list(listed["guessing (%)"]) == ["10.0", "25.0"]


def test_each_task_scatters_by_itself():
    rows = runs("beyond_tasks", both((44, 55, 82, 96), (85, 82, 95, 98)))
    rows = rows.assign(accuracy=rows.accuracy + np.where(rows.variant.str.startswith("digits"), 0.05 * (rows.seed - 1), 0))
    once = rows.assign(network="ResNet-32", model="resnet32", depth=32)[rows.seed == 0]
    found = tasks.tasks(pd.concat([rows, once], ignore_index=True))
    half = found[found.network == "ResNet-32"].set_index("task").half
    assert half["digits"] > 10 and half["rotation"] < 1, "what scatters in 360 digits says nothing of 10,000 pictures"


def test_better_than_everything_is_said_as_it_is_and_guessing_is_no_way():
    rows = runs("beyond_tasks", both((30, 60, 82), (10, 35, 95)))
    found = tasks.tasks(rows)
    said, way = (found.text.replace("\u00a0", " ") for found in (tasks.one_for_all(found, rows), tasks.way(found)))
    assert said.endswith(
        "by 13.0 points on animals against vehicles; it does better than one trained whole for the task by 20.0 points on "
        "CIFAR-10's ten classes and 25.0 points on how pictures are turned."
    )
    assert way.endswith(" goes 62.9 % on animals against vehicles and all of it on how pictures are turned.")
    alone = runs("beyond_tasks", both((30, 60), (10, 20)))
    assert not tasks.way(tasks.tasks(alone))


def test_of_single_runs_it_is_said_what_they_reach_and_no_order():
    rows = runs("beyond_tasks", both((44, 55), (85, 82)), seeds=1)
    said = tasks.one_for_all(tasks.tasks(rows), rows).text.replace("\u00a0", " ")
    assert said.endswith(
        ", reaches 43.8 % and 54.8 % on CIFAR-10's ten classes and how pictures are turned, one trained whole for the task "
        "84.8 % and 81.8 %, one run each."
    )


def test_a_test_recipe_is_not_judged_and_the_place_with_most_tasks_is_shown():
    rows = runs("beyond_tasks", both((44, 55, 82), (85, 82, 95)), recipe="smoke")
    assert tasks.one_for_all(tasks.tasks(rows), rows).verdict == "not judged"
    more = pd.concat([rows.assign(recipe="short"), runs("beyond_tasks", both((50,), (90,)), recipe="paper")], ignore_index=True)
    assert set(tasks.at(tasks.tasks(more)).recipe) == {"short"} and len(tasks.shown(tasks.tasks(more), more)) == 18
    whole = pd.concat([more, more.assign(recipe="paper")], ignore_index=True)
    assert set(tasks.at(tasks.tasks(whole)).recipe) == {"paper"}, "of equally many the longest training"


def test_the_way_from_guessing_is_measured_from_what_guessing_gives():
    found = tasks.tasks(runs("beyond_tasks", both((47.5, 47.5, 80, 97), (85, 70, 100, 97)))).set_index("task")
    assert found.way.round(6).to_dict() == {"ten classes": 50, "rotation": 50, "animals": 50, "digits": 100}
    rows = runs("beyond_tasks", both((47.5, 47.5, 80, 97), (85, 70, 100, 97)))
    assert (
        "50.0\u00a0%" in tasks.way(tasks.tasks(rows)).text
        and "all of it on handwritten digits" in tasks.way(tasks.tasks(rows)).text
    )
    assert "0.6\u00a0% of a whole network's 175,258 numbers" in tasks.size(tasks.tasks(rows), rows).text


def test_what_guessing_gives_is_so(cifar10):
    from bnlib import data

    variants = experiments.experiment("beyond_tasks").variants
    for name, guess in {(fields["dataset"], tasks.TASKS[variant.partition(":")[0]][1]) for variant, fields in variants.items()}:
        labels = data.load(name).test_labels
        assert abs(100 * labels.bincount().max() / len(labels) - guess) < 3
    assert 100 / datasets.CLASSES["cifar10-last5"] == transfer.GUESS


def carry(**of):
    """`carried` runs: of each number of images, such as `n10`, what bn, output, all and bn+output reach at their better rate."""
    names = ("bn", "output", "all", "bn+output")
    return runs("beyond_transfer", {
        f"{images[1:]}: {name}, {rate:g}": mean - less
        for images, means in of.items() for name, mean in zip(names, means, strict=False) for rate, less in ((0.1, 0), (0.01, 3))
    })  # fmt: skip


@pytest.mark.parametrize(
    "of, verdict, where",
    [
        ({"n10": (50, 55, 50, 58), "n1000": (70, 72, 85, 78)}, "yes", "with 10 images a class"),
        ({"n10": (50, 55, 50, 58), "n100": (60, 62, 60, 65), "n1000": (70, 72, 85, 78)}, "yes", "with 10 and 100 images a class"),
        ({"n10": (50, 55, 60, 58), "n1000": (70, 72, 85, 78)}, "no", ""),
        ({"n10": (50, 55, 58, 58.05), "n1000": (70, 72, 78.05, 78)}, "too close", ""),
        ({"n10": (50, 55, 58, 58.05), "n1000": (70, 72, 85, 78)}, "no", "with 1,000 images a class"),
        ({"n10": (50, 55)}, "not judged", ""),
        ({}, "not trained", ""),
    ],
)
def test_the_verdict_on_training_less(of, verdict, where):
    found = transfer.less_pays(transfer.ranking(transfer.carried(carry(**of))))
    assert (found.verdict, found.of) == (verdict, where)


def test_single_runs_and_parts_of_what_is_due_judge_nothing():
    said = lambda rows: transfer.less_pays(transfer.ranking(transfer.carried(rows)))  # noqa: E731
    every = carry(n10=(50, 55, 60, 58))
    once = said(every[every.seed == 0])
    assert once.verdict == "not judged" and once.text.replace("\u00a0", " ").partition("learning rates. ")[2].startswith(
        "With 10 images a class, training everything reaches 59.8 %, γ, β and the output layer 57.8 %, the output layer alone"
    )
    assert "one run each" in once.text
    part = said(every[every.variant != "10: bn, 0.01"])
    assert (part.verdict, part.text) == ("not judged", "7 of the 24 trainings of ResNet\u201114 are there, not enough to compare.")
    assert said(every[every.variant == "10: bn, 0.01"]).text == (
        "1 of the 24 trainings of ResNet\u201114 is there, not enough to compare."
    )


def test_the_better_rate_is_shown_and_the_best_set_comes_first():
    points = transfer.carried(carry(n10=(50, 55, 50, 58), n100=(60, 65, 60, 65.05)))
    assert set(points[points.best].rate) == {0.1} and len(points) == 16 and points.best.sum() == 8
    listed = transfer.table_of(points).data
    assert set(zip(listed["learning rate"], listed["shown"], strict=True)) == {("0.1", "yes"), ("0.01", "")}
    (guess,) = [line for line in transfer.figure(points).axes[0].lines if set(line.get_ydata()) == {20}]
    assert guess.get_linestyle() == "--", "chance among five classes"
    ranked = transfer.ranking(points)
    assert ranked[ranked.images == 10].trainable.tolist()[:2] == ["bn+output", "output"] and ranked.gap.iloc[1] == pytest.approx(3)
    text = transfer.less_pays(ranked).text
    assert (
        "With 10 images a class, training γ, β and the output layer is best: 58.0\u00a0%, 3.0\u00a0points ahead of the output"
        in text
    )
    assert "With 100 images a class, training γ, β and the output layer comes first: 65.0" in text
    assert "; the output layer alone cannot be told from it." in text


def test_a_set_that_does_better_at_the_higher_rate_is_named_with_how_many_images():
    better = carry(n10=(50, 55, 60, 58), n100=(60, 65, 80, 70))
    low = better[better.trainable == "all"].assign(accuracy=lambda rows: rows.accuracy + 0.06 * (rows.variant.str.contains("0.01")))
    own = pd.concat([better[better.trainable != "all"], low], ignore_index=True)
    said = transfer.edge(transfer.carried(own)).text
    each = "γ and β alone, γ, β and the output layer and the output layer alone with 10 and 100 images a class"
    assert said.startswith(f"Learning rate 0.1 does better than 0.01, by more than chance, for {each}. A still")
    some = own[~own.variant.isin(["100: bn, 0.01", "100: bn, 0.1"])]
    assert "with 10 and 100 images a class; for γ and β alone with 10. A still" in transfer.edge(transfer.carried(some)).text
    assert "everything" not in said
    chance = own.assign(accuracy=lambda rows: rows.accuracy.mean() + 0.001 * rows.seed)
    assert not transfer.edge(transfer.carried(chance)), "no rate is better"
    once = own[(own.seed == 0) | ~own.variant.str.contains("10: bn, 0.01", regex=False)]
    assert "(n\u00a0=\u00a01 to 3). A still" in transfer.edge(transfer.carried(once)).text
    assert not transfer.edge(transfer.carried(better[~better.variant.str.contains("0.01")])) and not transfer.edge(
        transfer.carried(better.head(0))
    )


def test_single_runs_of_another_network_scatter_as_replicates_with_as_many_images_do():
    known = carry(n10=(50, 55, 60, 58), n1000=(70, 72, 85, 78))
    known = known.assign(accuracy=known.accuracy + np.where(known.variant.str.startswith("10:"), 0.04, 0.001) * (known.seed - 1))
    once = known[known.seed == 0].assign(network="ResNet-32", model="resnet32", depth=32)
    said = transfer.elsewhere(transfer.carried(pd.concat([known, once], ignore_index=True))).text.replace("\u00a0", " ")
    assert "With 1,000 images a class, training everything is best" in said, "a few hundredths are no chance there"
    assert said.count("(n = 1)") == 2
    assert "With 10 images a class, training everything comes first" in said and "cannot be told from it" in said


def test_two_recipes_of_which_one_lacks_something_are_never_mixed():
    whole = carry(n10=(50, 55, 60, 58), n1000=(70, 72, 85, 78))
    part = whole[~whole.variant.str.contains("1000: .*, 0.01")].assign(recipe="paper", accuracy=0.9)  # one rate of 1,000 images
    points = transfer.carried(pd.concat([whole, part], ignore_index=True))
    ranked = transfer.ranking(points)
    assert set(ranked.recipe) == {"short"} and set(ranked.rates) == {2} and ranked["mean"].max() < 86
    assert transfer.figure(points).axes[0].lines[0].get_ydata().max() < 86
    some = whole[~whole.variant.str.contains("bn.output")].assign(recipe="paper")
    assert set(transfer.ranking(transfer.carried(pd.concat([whole, some], ignore_index=True))).recipe) == {"short"}


def test_what_is_the_same_with_each_number_of_images_is_said_once():
    said = lambda **of: transfer.less_pays(transfer.ranking(transfer.carried(carry(**of)))).text.replace("\u00a0", " ")  # noqa: E731
    where = "ResNet\u201114, trained on five classes, goes on with the other five, each set at the better of two learning rates. "
    assert said(n10=(50, 55, 60, 58), n100=(60, 65, 80, 70)) == (
        f"{where}Training everything is best with 10 and 100 images a class: 60.0 % and 80.0 %, 2.0 and 10.0 points ahead of "
        "γ, β and the output layer."
    )
    assert said(n10=(50, 55, 60, 58), n100=(60, 70, 80, 65)).count("With 1") == 2
    assert said(n10=(50, 55, 60, 58), n100=(60, 65, 80, 79.95)).count("With 1") == 2


def test_what_diverged_is_in_the_table_and_is_never_the_better_one():
    frame = carry(n10=(50, 55, 50, 58))
    gone = frame.variant == "10: all, 0.1"
    points = transfer.carried(frame.assign(status=frame.status.where(~gone, "diverged")))
    best = points[points.best & (points.trainable == "all")]
    assert best.rate.tolist() == [0.01]
    assert "3 diverged" in transfer.table_of(points).to_html()
    transfer.figure(points).canvas.draw()


def test_figures_and_tables_are_right_without_runs_and_with_some():
    for module, name, some, made in (
        (tasks, "beyond_tasks", both((44, 55), (85, 82)), tasks.tasks),
        (transfer, "beyond_transfer", {"10: bn, 0.1": 50, "10: all, 0.1": 40}, transfer.carried),
    ):
        for one in (runs(name, {}), runs(name, some, seeds=1), runs(name, some)):
            drawn = module.figure(made(one), *([one] if module is tasks else []))
            drawn.canvas.draw()
            assert drawn.alt.endswith(".") and module.table_of(made(one)).to_html()
            assert ("Nothing has been run" in drawn.alt) == (not len(one))


def test_what_the_page_says_of_the_recipe_is_what_is_trained():
    text = " ".join((ROOT / "notebooks" / "beyond_tasks.ipynb").read_text().replace('\\n",', "").replace('"', "").split())
    (first, epochs), *others = CARRIED.items()
    said = f"{epochs} epochs of {first} images a class, " + ", ".join(f"{epochs} of {images:,}" for images, epochs in others)
    assert said in text and "for 160 epochs" in text
    digits = [spec for spec in experiments.wanted("beyond_tasks", "short") if spec.dataset == "digits"]
    assert {(spec.settings.epochs, spec.settings.augment) for spec in digits} == {(160, "crop")}


def test_runs_of_several_data_sets_are_found_by_their_experiment(monkeypatch):
    assert set(experiments.experiment("beyond_tasks").datasets) == {"cifar10", "cifar10-rotation", "cifar10-animals", "digits"}
    known = experiments.runs("beyond_tasks")
    assert {"ten classes: bn", "ten classes: all"} <= set(known.variant), "those that other figures show are there already"
    with pytest.raises(ValueError, match="dataset 'svhn': this experiment is about its own, cifar10-last5"):
        experiments.wanted("beyond_transfer", "short", dataset="svhn")
    for name in ("beyond_tasks", "beyond_transfer"):
        assert {spec.settings.epochs for spec in experiments.wanted(name, "smoke")} == {2}, "a test of seconds"
    with pytest.raises(ValueError, match="dataset 'svhn': this experiment is about its own, cifar10, cifar10-rotation"):
        experiments.wanted("beyond_tasks", dataset="svhn")
    wanted = experiments.wanted("beyond_transfer", "short", networks=("resnet14",))
    assert len(wanted) == 24 == len({spec.id for spec in wanted}) and {spec.parent.id for spec in wanted} == {wanted[0].parent.id}
    assert all(wanted[0].parent == spec.parent and spec.train_images % 5 == 0 for spec in wanted)


def test_a_network_that_is_added_is_shown_and_the_answer_stays_with_the_one_that_has_replicates():
    known = runs("beyond_tasks", both((44, 55, 82, 96), (85, 82, 95, 98)))
    added = runs("beyond_tasks", both((60, 70), (90, 88)), seeds=1, network="ResNet-32").assign(depth=32, parameters_bn=2272)
    shallow = runs("beyond_tasks", both((30, 40, 70, 90), (60, 60, 80, 95)), seeds=1, network="ResNet-8").assign(depth=8)
    rows = pd.concat([known, added, shallow], ignore_index=True)
    found = tasks.tasks(rows)
    assert "ResNet\u201114" in tasks.one_for_all(found, rows).text
    other = tasks.elsewhere(found, rows).text
    assert (
        "one frozen ResNet\u20118," in other and "one frozen ResNet\u201132, with γ and β of its own for each task (2,272 " in other
    )
    drawn = tasks.figure(found, rows)
    added_to = drawn.axes[-1]
    assert [text.get_text() for text in added_to.texts if "trained" in text.get_text()] == ["not trained both ways yet"] * 2
    assert [tick.get_text() for tick in drawn.axes[1].get_yticklabels()][-1] == "Handwritten digits\n(160\u00a0epochs)"
    assert [ax.get_title(loc="left").split(":")[0] for ax in drawn.axes] == ["ResNet-8", "ResNet-14", "ResNet-32"]
    assert "ResNet-32: CIFAR-10's ten classes, 60 % and 90 %" in drawn.alt and len(tasks.shown(found, rows)) == len(rows)
    assert not tasks.elsewhere(tasks.tasks(known), known)


def test_a_network_that_is_added_is_carried_over_in_a_panel_of_its_own():
    known = carry(n10=(50, 55, 60, 58), n100=(60, 65, 80, 70))
    added = carry(n10=(52, 57, 62, 60)).query("seed == 0").assign(network="ResNet-32", depth=32)
    points = transfer.carried(pd.concat([known, added], ignore_index=True))
    assert set(transfer.ranking(points).network) == {"ResNet-14"}
    assert transfer.elsewhere(points).text.startswith("ResNet\u201132, trained on five classes, goes on with the other five")
    assert not transfer.elsewhere(transfer.carried(known))
    drawn = transfer.figure(points)
    assert len(drawn.axes) == 2 and "ResNet-32 with 10 images a class: " in drawn.alt
    assert "ResNet-32" in transfer.table_of(points).to_html()
