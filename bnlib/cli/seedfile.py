"""A network as its seed: write one to a file, read one from a file."""

import os

import click

from bnlib.cli import options


@click.command(short_help="Write a trained network to a file, as its seed.")
@click.argument("run", metavar="RUN")
@click.argument("file", type=options.File(), metavar="FILE")
@options.one_line
def export(run, file):
    """Write the trained network of the stored run RUN to the new file FILE: as its seed, and what was trained.

    A safetensors file with γ, β, running statistics, spec and digest. The frozen weights are not in it: who loads it draws them.
    """
    from bnlib import store
    from bnlib.store import seedfile

    found = store.load(run)
    path = seedfile.export(found, file)
    whole, _ = seedfile.sizes(found.spec, found.classes)
    if os.path.isabs(place := found.spec.dataset.partition(":")[2]):
        click.echo(f"whoever gets the file can read in it where the pictures lay: {place}")
    click.echo(f"{path}: {path.stat().st_size:,} bytes, {found.accuracy:.2%} test accuracy; all weights would be {whole:,} bytes")


@click.command(short_help="Check such a file, and say what it is.")
@click.argument("file", type=options.File(), metavar="FILE")
@click.option("--accuracy", is_flag=True, help="Also evaluate the network on the test images.")
@options.data
@options.one_line
def load(file, accuracy, data_root):
    """Check FILE, which `bnlib export` wrote: its digest, and that its seed draws the same weights here. Say what it is."""
    from bnlib import data, engine
    from bnlib.store import seedfile

    seed = seedfile.read(file)
    spec, model = seed.spec, seed.model()
    lines = {
        "spec": spec.text,
        "accuracy": f"{seed.accuracy:.2%} on the test images of {spec.dataset} at the end of its training",
        "digest": "right",
        "weights": f"drawn from seed {spec.seed}, the same bits as in the training",
    }
    if accuracy:
        images = data.of(spec, data_root)
        if seed.classes not in (None, images.classes):
            raise ValueError(f"{file}: a network of {seed.classes} classes; {spec.dataset} has {images.classes} here")
        lines["here"] = f"{engine.evaluate(model, images, images=spec.settings.test_images)[0]:.2%} on the same images"
    lines["in Python"] = f"from bnlib.store import seedfile; spec, model = seedfile.load({file!r})"
    click.echo("\n".join(f"{name + ':':<11}{value}" for name, value in lines.items()))
