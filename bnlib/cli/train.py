"""Train: one run, what an experiment lacks; and what that would cost."""

import os
import time

import click

from bnlib.cli import options
from bnlib.spec.choices import REPLICATES


@click.command()
@options.spec_options
@click.option(
    "--replicates", type=click.IntRange(*REPLICATES), default=1, help="Also the next seeds, so many in all, trained together."
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


class _Sweep(click.Command):
    """Its help ends with the names that it takes."""

    def format_epilog(self, context, formatter):  # noqa: D102  click's own
        with formatter.section("NAME is one of"):
            formatter.write_text(", ".join(options.Experiment().choices))


@click.command(cls=_Sweep)
@click.argument("name", type=options.Experiment(), metavar="NAME")
@options.recipe_of
@options.dataset_of
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Replicates of each; all of seed 0 come first."
)
@click.option("--budget", type=options.Duration(), help="Stop within this time, such as 9m; the same command goes on.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at a time, which share the cores."
)
@options.device
@options.data
@options.probes
@click.option("--list", "only_list", is_flag=True, help="Say what is missing and what it would cost; train nothing.")
@click.option("--no-list", is_flag=True, hidden=True)
@options.one_line
def sweep(name, recipe, dataset, seeds, budget, jobs, device, data_root, probes, only_list, no_list):
    """Train what the experiment NAME lacks, most valuable first, as long as there is time."""
    from bnlib import experiments
    from bnlib.store import places

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("torchrun's processes train one network together: use bnlib run; a sweep takes --jobs or --scheduler")
    started, specs = time.monotonic(), experiments.wanted(name, recipe, seeds, dataset)
    recipe = recipe or experiments.experiment(name).recipes[0]
    missing = experiments.missing(specs)
    if missing and not only_list:
        places.check([])  # before PyTorch is there, and what they cost has been measured
    from bnlib.training import sweep as sweeping

    if not no_list:
        click.echo("\n".join(sweeping.plan(specs, device=device, data_root=data_root)))
    if only_list or not missing:
        return
    if budget is not None:
        budget = max(0.0, budget - (time.monotonic() - started))  # of which the list above has taken its part
    if jobs == 1:
        sweeping.sweep(missing, budget=budget, device=device, data_root=data_root, probes=probes)
    else:
        words = [name, "--recipe", recipe, "--seeds", str(seeds), "--probes" if probes else "--no-probes"]
        for option, value in (
            ("--dataset", dataset),
            ("--budget", None if budget is None else f"{budget:.1f}s"),
            ("--device", device),
            ("--data", data_root),
        ):
            words += [option, value] if value else []
        sweeping.side_by_side(jobs, words)
    if not no_list:
        left = experiments.missing(missing)
        click.echo(f"{name}, recipe {recipe}: {len(missing) - len(left)} trained, {len(left)} left")


@click.command()
@options.spec_options
@options.one_line
def estimate(device, data_root, **spec):
    """Say how long a training would take on this machine, from a few measured steps; train nothing."""
    from bnlib import RunSpec, training

    click.echo(training.estimate(RunSpec(**spec), device=device, data_root=data_root))
