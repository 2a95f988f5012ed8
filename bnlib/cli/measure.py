"""Look at this machine: how fast a step is, and whether the data set is there."""

import functools

import click

from bnlib.cli import options
from bnlib.spec.choices import JOBS, SIZES


@click.command(short_help="Measure a training step on this machine.")
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="resnetN or wrn14-W, may be given again.  [resnet14, resnet110]"
)
@click.option("--all", "everything", is_flag=True, help="Every way of taking a step, not only the main ones.")
@click.option("--scaling", is_flag=True, help="Also depths to 866 and widths to 8: half an hour without a GPU.")
@click.option("--rounds", type=options.Whole(1, 1000), help="How often the ways take turns.  [3]")
@click.option(
    "--exchange",
    type=options.Whole(2, JOBS[1]),
    metavar="N",
    help="Instead: what N processes exchange in a step, and how long it takes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with seconds_per_epoch of BN-only training here.")
@click.option("--save", type=options.Folder(), metavar="FOLDER", help="Also write what was found to FOLDER/<machine>.json.")
@options.device
@options.data
@options.one_line
def bench(models, everything, scaling, rounds, exchange, as_json, save, device, data_root):
    """Measure a training step here, beside other ways of taking it: speed, memory, start."""
    import json

    from bnlib import bench, machine
    from bnlib import data as datasets
    from bnlib.spec import architecture

    unsaved = []

    def keep(found, what=""):
        """Write what was found, once it has been shown: a full disk loses no measurement."""
        try:
            click.echo(f"{what}written to {bench.save(found, save)}", err=True)
        except OSError as error:
            unsaved.append(f"nothing could be written to {save} ({error.strerror}); what was measured is above")

    where = machine.device(device)
    if save:
        bench.kept(machine.device_name(where), save)  # if that cannot be read, it is better known now
    if exchange:
        given = {"--all": everything, "--scaling": scaling, "--rounds": rounds, "--data": data_root}
        if besides := [name for name, value in given.items() if value]:
            raise ValueError(f"--exchange measures what processes exchange, and nothing else: leave out {', '.join(besides)}")
        found = {**bench.describe(where), "rows": []}
        found["exchange"] = bench.exchange.measure(models or bench.exchange.MODELS, exchange, where.type)
        click.echo(
            json.dumps(found["exchange"], indent=1) if as_json else bench.exchanged(found["exchange"]).to_string(index=False)
        )
        if save:
            keep(found)
        if unsaved:
            raise click.ClickException(unsaved[0])
        return
    models = [architecture(name).name for name in models] or ["resnet14", "resnet110"]
    if flat := [name for name in models if architecture(name).family != "resnet"]:
        raise ValueError(f"model {flat[0]!r}: the fused step, which is measured here, is for resnetN and wrn14-W")
    datasets.load("cifar10", data_root)
    found, say = {**bench.describe(where), "rows": []}, functools.partial(click.echo, err=True)
    deeper = [architecture(name).name for family in bench.SCALING for name in family] if scaling else []
    for model in dict.fromkeys([*models, *deeper]):
        if model in models:
            rows = bench.compare(
                model, bench.ways(where) if everything else bench.FEW, where, data_root, rounds=rounds or 3, say=say
            )
        else:
            rows = bench.compare(model, ["fused bf16", "convolutions bf16"], where, data_root, rounds=1, steps=3, say=say)
        found["rows"] += rows
        if not as_json:
            click.echo(f"\n{model}, batch {bench.BATCH}, {found['machine']}\n{bench.table(rows).to_string()}\n")
        if save:
            keep(found, f"{model}: ")
    ours = {row["model"]: row["epoch_seconds"] for row in found["rows"] if row["way"] == "fused bf16"}
    found["seconds_per_epoch"] = ours[models[0]] if len(models) == 1 else ours
    if as_json:
        click.echo(json.dumps(found, indent=1))
    if unsaved:
        raise click.ClickException(unsaved[-1])


@click.command(short_help="Check that a data set is there, or get it.")
@click.option("--dataset", default="cifar10", show_default=True, metavar="NAME", help=options.DATASETS_HELP)
@click.option("--size", type=options.Whole(*SIZES), help="Side that the pictures of an imagefolder are decoded to.  [224]")
@click.option("--download", is_flag=True, help="Get it unless it is there and right: CIFAR-10 170 MB, CIFAR-100 169, SVHN 246.")
@options.data
@options.one_line
def data(dataset, size, download, data_root):
    """Check that a data set is there and undamaged, or a folder of pictures as it should be; with --download, get it."""
    from bnlib import data as datasets
    from bnlib import spec
    from bnlib.data import tasks
    from bnlib.data.published import SETS

    dataset = spec.datasets.dataset(dataset)
    files = tasks.SOURCE if dataset in tasks.TASKS else dataset
    if download:
        if files not in SETS:
            raise ValueError(f"dataset {dataset!r} is not downloaded; those that are: {', '.join(SETS)}")
        datasets.download(data_root, files)
    own = dataset.startswith(spec.datasets.FOLDER)
    if size and not own:
        raise ValueError(f"--size {size}: the pictures of {dataset} are {spec.datasets.SIDE}×{spec.datasets.SIDE}; leave it out")
    size = (size or 224) if own else spec.datasets.SIDE
    loaded = datasets.load(dataset, data_root, size)
    counts = f"{loaded.train_count:,} training and {loaded.test_count:,} test images"
    if own:
        count = loaded.crew.count
        click.echo(f"{loaded.name}: {loaded.classes} classes, {counts}; {len(loaded.unreadable)} known to be unreadable")
        click.echo(
            f"decoded here to {size}×{size}: {loaded.rate():,.0f} pictures a second, by "
            f"{f'{count} process' + 'es' * (count > 1) if count else 'the training itself'} (BNLIB_WORKERS sets how many)"
        )
    elif files in SETS:
        made = f"; made of them, {dataset}: {loaded.classes} classes" if dataset != files else ""
        click.echo(f"{SETS[files].title} in {datasets.folder(data_root)}: {counts}, every md5 right{made}")
        if dataset == tasks.SOURCE:
            click.echo(f"of the same files, by --dataset: {', '.join(tasks.TASKS)}")
    else:
        click.echo(f"{dataset}: {counts}, from scikit-learn")
