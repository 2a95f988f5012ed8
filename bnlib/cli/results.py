"""The stored runs: list, verify and ask them."""

import functools

import click

from bnlib.cli import options
from bnlib.spec.choices import PROBES


@click.group(invoke_without_command=True)
@click.pass_context
@options.one_line
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
@options.data
@options.one_line
def verify(accuracy, data_root):
    """Check every stored run: files, ids, histories, and that its seed draws the same weights here."""
    from tqdm import tqdm

    from bnlib import data as datasets
    from bnlib import store
    from bnlib.store import verification

    load = functools.cache(lambda name: datasets.load(name, data_root))
    runs, wrong = store.all_runs(), []
    for one in tqdm(runs, unit="run", leave=False):
        wrong += verification.verify(one, load(one.spec.dataset) if accuracy else None)
    for line in wrong:
        click.echo(line, err=True)
    if wrong:
        raise click.ClickException(f"{len(wrong)} of what {len(runs)} runs say is wrong")
    click.echo(f"{len(runs)} runs, nothing wrong")


@results.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option(
    "--only", "asked", type=options.Choice(PROBES), multiple=True, help="May be given more than once.  [default: all three]"
)
@options.device
@options.data
@options.one_line
def probe(names, asked, device, data_root):
    """Ask the networks of stored runs what they have not been asked.

    That is: accuracy with small γ set to 0 (clamping, which takes longest), how often ReLUs are off (relu), accuracy on the
    training images as they are (train). Of all runs, or of those named. Their networks are drawn again from the seed, but not
    where convolutions were trained.
    """
    from bnlib import store, training

    asked = asked or PROBES
    runs = [store.load(name) for name in names] or store.all_runs()
    can = [one for one in runs if names or one.spec.redrawn]
    missing = [one for one in can if one.info["status"] == "finished" and not all(map(one.probe, asked))]
    for one in runs if names else ():
        if all(map(one.probe, asked)):
            click.echo(f"{one.id} has its probes already")
    due = [one for one in missing if one.spec.dataset == "cifar10" and one.spec.recipe != "smoke"]
    training.ask(due, device=device, data_root=data_root, names=asked)
