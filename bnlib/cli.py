"""The command line: `bnlib run | sweep | estimate | bench | data | results`. `python -m bnlib` is the same."""

import functools
import re
import time

import click

from bnlib import __version__


def _one_line(function):
    """Turn the errors a user can mend into one line and exit status 1; Ctrl-C into 130, after the loop has said how to go on."""

    @functools.wraps(function)
    def command(*args, **kwargs):
        from bnlib.data import DataMissing
        from bnlib.store import StoreError

        try:
            return function(*args, **kwargs)
        except (ValueError, StoreError, DataMissing) as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return command


_device = click.option("--device", help="cpu or cuda; by default CUDA if there is one.")
_data = click.option(
    "--data", "data_root", metavar="FOLDER", help="Holds cifar-10-batches-py; else BNLIB_DATA, else ~/.cache/bnlib."
)
_probes = click.option(
    "--probes/--no-probes",
    default=True,
    show_default=True,
    help="Ask the trained network for Figures 6 and 7; unless convolutions are trained, that can be done later.",
)


def _spec_options(command):
    """The fields of RunSpec as an argument and options."""

    def epochs(_context, _parameter, value):
        try:
            return None if value is None else tuple(int(epoch) for epoch in value.split(","))
        except ValueError:
            raise click.BadParameter(f"{value!r}: whole epochs joined by commas, such as 80,120") from None

    options = [
        click.argument("model"),
        click.option("--trainable", default="bn", show_default=True, help="Groups joined by +, or all, none, all-bn."),
        click.option("--recipe", default="paper", show_default=True, help="paper (160 epochs), short (16) or smoke (a test)."),
        click.option("--dataset", default="cifar10", show_default=True, help="cifar10 or digits."),
        click.option("--seed", default=0, show_default=True, help="The replicate."),
        click.option("--weight-init", default="kaiming_normal", show_default=True, help="Convolutions and output layer."),
        click.option("--bn-init", default="uniform", show_default=True, help="γ and β."),
        click.option("--precision", default="bf16", show_default=True, help="bf16 or fp32."),
        click.option("--epochs", type=int, help="Instead of the recipe's; moves its milestones in proportion."),
        click.option("--milestones", callback=epochs, metavar="E,E", help="Epochs at which the learning rate drops."),
        click.option("--lr", type=float, help="Learning rate."),
        click.option("--lr-drop", type=float, help="Factor on the learning rate at each milestone."),
        click.option("--momentum", type=float),
        click.option("--weight-decay", type=float),
        click.option(
            "--decay-bn/--no-decay-bn", default=None, help="Weight decay on γ and β too, or not.  [the recipe's: on them too]"
        ),
        click.option("--optimiser", help="sgd or adam."),
        click.option("--batch-size", type=int),
        click.option("--augment", help="flip+crop, flip, crop or none."),
        _device,
        _data,
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main():
    """Train BatchNorm, and only BatchNorm."""


@main.command()
@_spec_options
@click.option("--replicates", type=click.IntRange(min=1), default=1, help="Also the next seeds, so many in all, trained together.")
@_probes
@_one_line
def run(device, data_root, replicates, probes, **spec):
    """Train MODEL (resnet14, wrn14-4, …), or find it among the stored runs; print what came out.

    Goes on from its last checkpoint if it was interrupted.
    """
    from bnlib import RunSpec, experiments, machine, store, training

    wanted = [RunSpec(**{**spec, "seed": spec["seed"] + i}) for i in range(replicates)]
    missing = experiments.missing(wanted)
    if missing:
        training.train_together(missing, device=device, data_root=data_root, probes=probes)
    for one in wanted:
        result = store.find(one)
        click.echo(
            f"{result.id}: {result.accuracy:.2%} test accuracy, {result.info['status']} "
            f"in {machine.duration(result.info['seconds'])}{'' if one in missing else ' (stored before)'}\n{result.folder}"
        )


class _Duration(click.ParamType):
    name = "time"

    def convert(self, value, parameter, context):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", str(value))
        if match is None:
            self.fail(f"{value!r}: a number with s, m or h is needed, such as 90s, 9m or 2h", parameter, context)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


@main.command()
@click.argument("name")
@click.option("--recipe", default="paper", show_default=True, help="paper (160 epochs), short (16) or smoke (a test).")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Replicates of each; all of seed 0 come first."
)
@click.option("--budget", type=_Duration(), help="Stop within this time, such as 9m; the same command goes on.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings at a time, which share the cores."
)
@_device
@_data
@_probes
@click.option("--list", "only_list", is_flag=True, help="Say what is missing and what it would cost; train nothing.")
@click.option("--no-list", is_flag=True, hidden=True)
@_one_line
def sweep(name, recipe, seeds, budget, jobs, device, data_root, probes, only_list, no_list):
    """Train what the experiment NAME (fig2_depth, ablation_recipe, …) lacks, most valuable first, as long as there is time."""
    from bnlib import experiments
    from bnlib import sweep as sweeping

    started, specs = time.monotonic(), experiments.wanted(name, recipe, seeds)
    missing = experiments.missing(specs)
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
            ("--budget", None if budget is None else f"{budget:.1f}s"),
            ("--device", device),
            ("--data", data_root),
        ):
            words += [option, value] if value else []
        sweeping.side_by_side(jobs, words)
    if not no_list:
        left = experiments.missing(missing)
        click.echo(f"{name}, recipe {recipe}: {len(missing) - len(left)} trained, {len(left)} left")


@main.command()
@_spec_options
@_one_line
def estimate(device, data_root, **spec):
    """Say how long a training would take on this machine, from a few measured steps; train nothing."""
    from bnlib import RunSpec, training

    click.echo(training.estimate(RunSpec(**spec), device=device, data_root=data_root))


@main.command()
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="resnetN or wrn14-W, may be given again.  [resnet14, resnet110]"
)
@click.option("--all", "everything", is_flag=True, help="Every way of taking a step, not only the main ones.")
@click.option("--scaling", is_flag=True, help="Also depths to 866 and widths to 8: half an hour without a GPU.")
@click.option("--rounds", default=3, show_default=True, help="How often the ways take turns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with seconds_per_epoch of BN-only training here.")
@click.option("--save", metavar="FOLDER", help="Also write what was found to FOLDER/<machine>.json.")
@_device
@_data
@_one_line
def bench(models, everything, scaling, rounds, as_json, save, device, data_root):
    """Measure a training step here, beside other ways of taking it: speed, memory, start."""
    import json
    from pathlib import Path

    from bnlib import bench, machine
    from bnlib import data as datasets
    from bnlib.models import architecture

    models = [architecture(name).name for name in models] or ["resnet14", "resnet110"]
    where = machine.device(device)
    datasets.load("cifar10", data_root)
    found, say = {**bench.describe(where), "rows": []}, functools.partial(click.echo, err=True)
    deeper = [architecture(name).name for family in bench.SCALING for name in family] if scaling else []
    for model in dict.fromkeys([*models, *deeper]):
        if model in models:
            rows = bench.compare(model, bench.ways(where) if everything else bench.FEW, where, data_root, rounds=rounds, say=say)
        else:
            rows = bench.compare(model, ["fused bf16", "convolutions bf16"], where, data_root, rounds=1, steps=3, say=say)
        found["rows"] += rows
        if save:
            say(f"{model}: written to {bench.save(found, Path(save))}")
        if not as_json:
            click.echo(f"\n{model}, batch {bench.BATCH}, {found['machine']}\n{bench.table(rows).to_string()}\n")
    ours = {row["model"]: row["epoch_seconds"] for row in found["rows"] if row["way"] == "fused bf16"}
    found["seconds_per_epoch"] = ours[models[0]] if len(models) == 1 else ours
    if as_json:
        click.echo(json.dumps(found, indent=1))


@main.command()
@click.option("--download", is_flag=True, help="Get CIFAR-10 (170 MB) unless it is there and right.")
@_data
@_one_line
def data(download, data_root):
    """Check that CIFAR-10 is there and undamaged; with --download, get it."""
    from bnlib import data as datasets

    if download:
        datasets.download(data_root)
    loaded = datasets.load("cifar10", data_root)
    click.echo(
        f"CIFAR-10 in {datasets.folder(data_root)}: {len(loaded.train_labels):,} training and "
        f"{len(loaded.test_labels):,} test images, every md5 right"
    )


@main.group(invoke_without_command=True)
@click.pass_context
@_one_line
def results(context):
    """List the stored runs; `bnlib results verify` checks them."""
    if context.invoked_subcommand:
        return
    from bnlib import store

    frame = store.results()
    if not len(frame):
        click.echo(f"no runs in {store.results_folder()} or {store.runs_folder()}")
        return
    shown = frame[["id", "accuracy", "status", "seconds", "device"]]
    click.echo(shown.to_string(index=False, formatters={"accuracy": "{:.2%}".format, "seconds": "{:,.0f}".format}))


@results.command()
@click.option("--accuracy", is_flag=True, help="Also draw each network again and evaluate it on the test images.")
@_data
@_one_line
def verify(accuracy, data_root):
    """Check every stored run: files, ids, histories, and that its seed draws the same weights here."""
    from tqdm import tqdm

    from bnlib import data as datasets
    from bnlib import store

    load = functools.cache(lambda name: datasets.load(name, data_root))
    runs, wrong = store.all_runs(), []
    for one in tqdm(runs, unit="run", leave=False):
        wrong += store.verify(one, load(one.spec.dataset) if accuracy else None)
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        raise click.ClickException(f"{len(wrong)} of what {len(runs)} runs say is wrong")
    click.echo(f"{len(runs)} runs, nothing wrong")


@results.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--only", "asked", multiple=True, help="clamping, relu or train; may be given more than once.  [default: all three]")
@_data
@_one_line
def probe(names, asked, data_root):
    """Ask the networks of stored runs what they have not been asked.

    That is: accuracy with small γ set to 0 (clamping, which takes longest), how often ReLUs are off (relu), accuracy on the
    training images as they are (train). Of all runs, or of those named. Their networks are drawn again from the seed, but not
    where convolutions were trained.
    """
    from bnlib import evaluation, spec, store, training

    for name in asked:
        spec.choice("--only", name, evaluation.PROBES)
    asked = asked or evaluation.PROBES
    runs = [store.load(name) for name in names] or store.all_runs()
    missing = [one for one in runs if one.info["status"] == "finished" and not all(map(one.probe, asked))]
    for one in runs if names else ():
        if all(map(one.probe, asked)):
            click.echo(f"{one.id} has its probes already")
    training.ask([one for one in missing if one.spec.dataset == "cifar10" and one.spec.recipe != "smoke"], data_root, asked)
