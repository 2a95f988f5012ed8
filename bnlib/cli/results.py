"""The stored runs: list, verify and ask them, and clean up."""

import functools
import re
import shlex

import click

from bnlib.cli import options
from bnlib.spec.choices import DATASETS, PROBES
from bnlib.words import Mendable


@click.group(invoke_without_command=True, short_help="List the stored runs; verify, ask, clean up.")
@click.pass_context
@options.one_line
def results(context):
    """List the stored runs, and the trainings that are not through; `verify` checks runs, `probe` asks them."""
    if context.invoked_subcommand:
        return
    from bnlib import store

    frame, going = store.results(), store.unfinished()
    if len(frame):
        other = {run.id: _besides(run.spec.text) for run in store.all_runs()}  # what tells runs of one name apart
        shown = frame[["id", "accuracy", "status", "seconds", "device"]].assign(besides=frame.id.map(other))
        click.echo(shown.to_string(index=False, formatters={"accuracy": "{:.2%}".format, "seconds": "{:,.0f}".format}))
    else:
        click.echo(_nothing())
    if len(going):
        click.echo(f"\nnot through, in {store.runs_folder()}:")
        lines = [_line(row) for row in going.itertuples()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _besides(text: str) -> str:
    """Of a spec's text what its run's id does not say."""
    fields = re.split(r" (?=\w+=)", text)
    return " ".join(
        one for one in fields if one.partition("=")[0] not in ("model", "trainable", "then", "recipe", "seed", "dataset")
    )


def _nothing() -> str:
    """That there are no runs, and where none are."""
    from bnlib.store import places

    return f"no runs in {' or '.join(map(str, places.searched()))}"


def _line(row) -> tuple[str, ...]:
    """What there is to say of a training that is not through: id, epoch, accuracy, when it was saved, and who is at it."""
    import pandas as pd

    from bnlib.words import duration

    epoch = "" if pd.isna(row.epoch) else f"epoch {row.epoch}" + ("" if pd.isna(row.epochs) else f" of {row.epochs}")
    accuracy = "" if pd.isna(row.accuracy) else f"test {row.accuracy:.2%}"
    age = max(0.0, (pd.Timestamp.now("UTC") - row.written).total_seconds()) if not pd.isna(row.written) else None
    saved = "nothing saved yet" if age is None else f"saved {duration(age)} ago"
    state = "a process is at it" if row.busy else "no process is at it"
    return row.id, epoch, accuracy, saved, f"{state}; {row.fault}" if row.fault else state


@results.command(short_help="Check every stored run.")
@click.option("--accuracy", is_flag=True, help="Also draw each network again and evaluate it on the test images.")
@options.data
@options.one_line
def verify(accuracy, data_root):
    """Check every stored run: its files by their digests, what they say, and that its seed draws the same weights here."""
    from tqdm import tqdm

    from bnlib import data as datasets
    from bnlib import store
    from bnlib.store import verification

    load = functools.cache(lambda name, size: datasets.load(name, data_root, size))
    runs, wrong, unseen, orphans = [store.Run(path) for path in store.folders()], [], [], 0
    if not runs:
        raise click.ClickException(f"{_nothing()}: nothing is verified")
    broken = store.unreadable() if accuracy else {}
    for one in tqdm(runs, unit="run", leave=False):
        images = None
        if accuracy and one.folder not in broken:
            try:
                images = load(one.spec.dataset, one.spec.settings.size)
            except (ValueError, Mendable) as error:
                if one.spec.dataset in DATASETS:
                    raise
                unseen.append(f"{one.id}: not evaluated, as its pictures are not here ({error})")
        found = verification.verify(one, images)
        wrong += found
        orphans += not found and bool(verification.unseen(one))
    for line in wrong:
        click.echo(line, err=True)
    for line in unseen:
        click.echo(line, err=True)
    if wrong:
        raise click.ClickException(f"{len(wrong)} of what {len(runs)} runs say is wrong")
    click.echo(f"{len(runs)} runs, nothing wrong")
    if orphans:
        click.echo(f"where {orphans} of them began is not checked: the network is not here, or was trained again since")


@results.command(short_help="Say what killed processes left behind; remove it.")
@click.option("--yes", is_flag=True, help="Remove it.")
@options.one_line
def clean(yes):
    """Say what killed processes left behind, and with --yes remove it.

    That is: files that were not stored to their end, checkpoints of runs that are stored, locks that nobody holds. What belongs to
    a training that goes on, or that could go on, stays.
    """
    from bnlib.store import cleaning

    found = cleaning.clean() if yes else cleaning.leftovers()
    for path, what in found.items():
        click.echo(f"{shlex.quote(str(path))}: {what}")
    if not found:
        click.echo("nothing is left over")
    else:
        click.echo(f"{len(found)} removed" if yes else f"{len(found)} left over; `bnlib results clean --yes` removes them")


@results.command(short_help="Ask trained networks what the figures show.")
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option(
    "--only", "asked", type=options.Choice(PROBES), multiple=True, help="May be given more than once.  [default: all four]"
)
@options.device
@options.data
@options.one_line
def probe(names, asked, device, data_root):
    """Ask the networks of stored runs what they have not been asked.

    That is: accuracy with small γ set to 0 (clamping, which takes longest), how often ReLUs are off (relu), accuracy on the
    training images as they are (train), kept at 32, 16 and 8 bits (quantised). Of all runs, or of those named. Their networks are
    drawn again from the seed, but not where convolutions were trained.
    """
    from bnlib import store, training

    asked = asked or PROBES
    runs = [store.load(name) for name in names] or store.all_runs()
    can = [one for one in runs if names or one.spec.redrawn]
    why = {one.id: _not_asked(one, asked) for one in can}
    for one in can if names else ():
        if why[one.id]:
            click.echo(f"{one.id}: {why[one.id]}")
    due = [one for one in can if not why[one.id]]
    if not due and not names:
        click.echo(f"nothing to ask; stored: {len(runs)}" if runs else _nothing())
    training.ask(due, device=device, data_root=data_root, names=asked)


def _not_asked(run, names) -> str:
    """Why the network of a run is not asked the probes `names`, in a few words; empty if it is."""
    asked = [name for name in names if name in run.spec.probes]
    if run.info["status"] != "finished":
        return "it diverged; nothing is asked of it"
    if run.spec.dataset != "cifar10" or run.spec.recipe == "smoke":
        return "only networks trained on CIFAR-10, and not as a test, are asked"
    if not asked:
        return f"its network can't be asked {' or '.join(names)}, but {', '.join(run.spec.probes)}"
    return "has its probes already" if all(map(run.probe, asked)) else ""
