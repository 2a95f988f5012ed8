"""Train: one run, what an experiment lacks; and what that would cost."""

import contextlib
import math
import os
import re
import time

import click

from bnlib.cli import options
from bnlib.spec.choices import JOBS, REPLICATES

ENDS = 1.0  # seconds of a budget for Python's own start and end, which no command sees


@click.command(short_help="Train a network, or find it among the stored runs.")
@options.spec_options
@click.option(
    "--replicates", type=options.Whole(*REPLICATES), default=1, help="Also the next seeds, so many in all, trained together."
)
@options.probes
@options.one_line
def run(device, data_root, replicates, probes, **spec):
    """Train MODEL (resnet14, wrn14-4, …), or find it among the stored runs; print what came out.

    Goes on from its last checkpoint if it was interrupted. `torchrun --nproc-per-node N -m bnlib run MODEL` trains it in N
    processes, each a part of every batch.
    """
    from bnlib import RunSpec, experiments, store
    from bnlib.spec import namesake
    from bnlib.store import places
    from bnlib.words import duration

    wanted = [RunSpec(**{**spec, "seed": spec["seed"] + i}) for i in range(replicates)]
    missing = experiments.missing(wanted)
    if missing:
        places.check(missing)  # before PyTorch is there, which takes seconds
        if which := namesake(spec["model"]):
            click.echo(which)
        from bnlib import training

        training.train_together(missing, device=device, data_root=data_root, probes=probes)
    for one in wanted if not int(os.environ.get("RANK", 0)) else ():  # of several processes the first one speaks
        result = store.find(one)
        click.echo(
            f"{result.id}: {result.accuracy:.2%} test accuracy, {result.info['status']} "
            f"in {duration(result.info['seconds'])}{'' if one in missing else ' (stored before)'}\n{result.folder}"
        )


def _resources(_context, _parameter, values) -> dict[str, float]:
    """What `--resources GPU=1` says, as Dask has it."""
    found = {}
    for value in values:
        match = re.fullmatch(r"([A-Za-z][\w-]*)=(\d+(?:\.\d+)?)", value)
        if match is None or not float(match[2]):
            raise click.BadParameter(f"{value!r}: a name and how much of it are needed, such as GPU=1")
        found[match[1]] = float(match[2])
    return found


class _Sweep(click.Command):
    """Its help ends with the names that it takes."""

    def format_epilog(self, context, formatter):  # noqa: D102  click's own
        with formatter.section("NAME is one of"):
            formatter.write_text(", ".join(options.Experiment().choices))


@click.command(cls=_Sweep, short_help="Train what an experiment lacks.")
@click.argument("name", type=options.Experiment(), metavar="NAME")
@options.recipe_of
@options.dataset_of
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="Only this network, its own or another; may be given again."
)
@click.option(
    "--seeds", type=options.Whole(*REPLICATES), default=1, show_default=True, help="Replicates of each; all of seed 0 come first."
)
@click.option("--budget", type=options.Duration(), help="Stop within this time, such as 9m; the same command goes on.")
@click.option("--jobs", type=options.Whole(*JOBS), default=1, show_default=True, help="Trainings at a time, which share the cores.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Train on the workers of this Dask scheduler instead of here.")
@click.option(
    "--resources", multiple=True, metavar="NAME=N", callback=_resources, help="What a training takes of a worker's, such as GPU=1."
)
@options.device
@options.data
@options.probes
@click.option("--list", "only_list", is_flag=True, help="Say what is missing and what it would cost; train nothing.")
@click.option("--no-list", is_flag=True, hidden=True)
@options.one_line
def sweep(name, recipe, dataset, models, seeds, budget, jobs, scheduler, resources, device, data_root, probes, only_list, no_list):
    """Train what the experiment NAME lacks, most valuable first, as long as there is time."""
    started = time.monotonic()  # the list, and all that is imported for it, is part of the budget
    from bnlib import experiments
    from bnlib.store import places
    from bnlib.words import duration

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("torchrun's processes train one network together: use bnlib run; a sweep takes --jobs or --scheduler")
    if jobs > 1 and scheduler:
        raise ValueError(
            f"--jobs {jobs} is for trainings here; how many a scheduler's workers take, its workers decide: leave it out"
        )
    if resources and not scheduler:
        raise ValueError("--resources says which workers of a scheduler to use: it needs --scheduler")
    specs = experiments.wanted(name, recipe, seeds, dataset, models)
    recipe = recipe or experiments.experiment(name).recipes[0]
    missing = experiments.missing(specs)
    if missing and not only_list:
        places.check([])  # before PyTorch is there, and what they cost has been measured
    with contextlib.ExitStack() as stack:
        executor, failed = None, None
        if scheduler and missing:
            from bnlib.training import cluster

            executor = stack.enter_context(cluster.connected(scheduler, resources))
        from bnlib.training import costs, executors, parents
        from bnlib.training import sweep as sweeping

        specs = parents.possible(specs)
        missing = experiments.missing(specs)

        settings = {"device": device, "data_root": data_root and os.path.abspath(os.path.expanduser(data_root)), "probes": probes}
        expected = None
        if not no_list:
            if executor is not None:
                expected = executors.price(executor, missing, settings)
            else:
                until = None if budget is None or only_list else started + budget
                expected = costs.costs(missing, until=until, **settings)
            click.echo("\n".join(costs.plan(specs, expected)))
        if only_list or not missing:
            return
        left = None if budget is None else max(0.0, budget - (time.monotonic() - started) - ENDS)
        try:
            if jobs == 1:
                sweeping.sweep(missing, budget=left, executor=executor, expected=expected, **settings)
            else:
                words = [name, "--recipe", recipe, "--seeds", str(seeds), "--probes" if probes else "--no-probes"]
                words += [word for model in models for word in ("--model", model)]
                for option, value in (
                    ("--dataset", dataset),
                    ("--budget", None if left is None else f"{left:.1f}s"),
                    ("--device", device),
                    ("--data", data_root),
                ):
                    words += [option, value] if value else []
                sweeping.side_by_side(jobs, words)
        except sweeping.Failed as error:  # with what it did not keep from being trained
            failed = error
        if not no_list:
            still = experiments.missing(missing)
            click.echo(f"{name}, recipe {recipe}: {len(missing) - len(still)} trained, {len(still)} left")
            known = [cost.epoch for cost in (expected or {}).values() if math.isfinite(cost.epoch)]
            nothing = left is not None and len(still) == len(missing)
            if nothing and not expected:
                click.echo("in that time not even an epoch could be measured; give more")
            elif nothing and known and left < min(known):
                there = f"{duration(left)} of {duration(budget)} were left for training"
                click.echo(f"{there}: too little for an epoch, of which the shortest known takes about {duration(min(known))}")
        if failed:
            raise failed


@click.command(short_help="Say how long a training would take here.")
@options.spec_options
@options.one_line
def estimate(device, data_root, **spec):
    """Say how long a training would take on this machine, from a few measured steps; train nothing."""
    from bnlib import RunSpec, training

    click.echo(training.estimate(RunSpec(**spec), device=device, data_root=data_root))
