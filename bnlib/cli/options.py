"""What the commands share: the options of a spec, of where and on what to train, and errors in one line."""

import contextlib
import functools
import os
import re
import signal
import sys
import time

import click

from bnlib.spec import RECIPES
from bnlib.spec.choices import (
    AUGMENTATIONS,
    BN_INITS,
    DATASETS,
    DEVICES,
    NORMALISATIONS,
    OPTIMISERS,
    PRECISIONS,
    WEIGHT_INITS,
)
from bnlib.words import Mendable, nearest, whole


class Stopped(KeyboardInterrupt):
    """Told to end by a signal, whose number it has."""


class Main(click.Group):
    """The command `bnlib`: speaks on every terminal, and ends when it is told to.

    The first Ctrl-C, or SIGTERM, lets a training say how to go on from its last checkpoint; the second Ctrl-C ends at once.
    """

    def main(self, *args, **kwargs):  # noqa: D102  click's own
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError):  # a terminal without γ or × shows a ? there
                stream.reconfigure(errors="replace")
        before = {}
        with contextlib.suppress(ValueError):  # only a process's main thread has signals
            before = {number: signal.signal(number, self._told) for number in (signal.SIGINT, signal.SIGTERM)}
        self.ending = False
        try:
            return super().main(*args, **kwargs)
        finally:
            if not self.ending:  # else a second Ctrl-C might come while Python takes PyTorch apart
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _told(self, number, _frame):
        if not self.ending:
            self.ending = True
            raise Stopped(number)
        if number == signal.SIGINT:
            os._exit(128 + number)  # nothing is lost: what is on disk is whole at every moment


def one_line(function):
    """Turn the errors a user can mend into one line and exit status 1; Ctrl-C into 130, after the loop has said how to go on."""

    @functools.wraps(function)
    def command(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (ValueError, Mendable) as error:
            if isinstance(error, ValueError) and int(os.environ.get("RANK", 0)):
                time.sleep(2)  # of torchrun's processes, which all find the same, the first one says it before it is ended
                raise SystemExit(1) from None
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:  # whoever reads what is said has had enough: click ends without a word
            raise
        except OSError as error:
            raise click.ClickException(": ".join(filter(None, (error.filename, error.strerror or str(error))))) from None
        except RuntimeError as error:
            if "home directory" not in str(error):  # what pathlib says of a ~
                raise
            raise click.ClickException(
                "there is no home folder for a ~: set HOME, or BNLIB_DATA and BNLIB_RUNS to the full paths of folders"
            ) from None
        except KeyboardInterrupt as told:
            raise SystemExit(128 + (told.args[0] if isinstance(told, Stopped) else signal.SIGINT)) from None

    return command


class Choice(click.Choice):
    """One of a closed set of values; a mistake is told the nearest."""

    def convert(self, value, parameter, context):  # noqa: D102  click's own
        try:
            return super().convert(value, parameter, context)
        except click.BadParameter as error:
            raise click.BadParameter(error.message.rstrip(".") + nearest(value, self.choices), context, parameter) from None


class Experiment(Choice):
    """The name of an experiment. The list is read when it is needed: what it comes with takes longer than `bnlib --help`."""

    def __init__(self):
        super().__init__(())

    @property
    def choices(self):
        """The names."""
        from bnlib.experiments import EXPERIMENTS

        return tuple(EXPERIMENTS)

    @choices.setter
    def choices(self, _):
        pass


_RECIPES = "paper: 160 epochs, short: 16, smoke: 2, a test; imagenet: 90; blog: 50, blog-short: 3."
DATASETS_HELP = f"{', '.join(DATASETS)}, or imagefolder:PATH, a folder with train/ and val/."
device = click.option("--device", type=Choice(DEVICES), help="By default CUDA if there is one.")
recipe = click.option(
    "--recipe",
    type=Choice(list(RECIPES)),
    default="paper",
    show_default=True,
    help=_RECIPES,
)
# Of an experiment, which has its own.
recipe_of = click.option("--recipe", type=Choice(list(RECIPES)), help=f"By default the experiment's first. {_RECIPES}")
dataset_of = click.option("--dataset", metavar="NAME", help=f"Instead of the experiment's own: {DATASETS_HELP}")
data = click.option(
    "--data", "data_root", metavar="FOLDER", help="Holds cifar-10-batches-py; else BNLIB_DATA, else ~/.cache/bnlib."
)
probes = click.option(
    "--probes/--no-probes",
    default=True,
    show_default=True,
    help="Ask the trained network for Figures 6 and 7 and on the training images; unless convolutions are trained, that can be "
    "done later.",
)


class Whole(click.ParamType):
    """A whole number from `least` to `most`; a mistake is told the nearest."""

    name = "integer"

    def __init__(self, least: int, most: int):
        self.least, self.most = least, most

    def convert(self, value, parameter, context):  # noqa: D102  click's own
        try:
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,20}", str(value).strip()) else value
            return whole("", number, self.least, self.most)
        except ValueError as error:
            self.fail(str(error).strip(), parameter, context)


class File(click.ParamType):
    """The path of a file, as it is given."""

    name = "file"

    def convert(self, value, parameter, context):  # noqa: D102  click's own
        return value if value.strip() else self.fail(f"{value!r}: the path of a file is needed", parameter, context)


class Folder(click.ParamType):
    """A folder to write to, which need not be there yet; one in which nothing can be written is refused, and none is made."""

    name = "folder"

    def convert(self, value, parameter, context):  # noqa: D102  click's own
        from bnlib.store import places

        try:
            folder = places.expanded(value)
        except Mendable as error:
            self.fail(str(error), parameter, context)
        if why := places.unwritable(folder):
            self.fail(f"{value!r} cannot be written: {why}", parameter, context)
        return folder


class Duration(click.ParamType):
    """A time such as 90s, 9m or 2h, in seconds."""

    name = "time"

    def convert(self, value, parameter, context):  # noqa: D102  click's own
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", str(value))
        if match is None:
            self.fail(f"{value!r}: a number with s, m or h is needed, such as 90s, 9m or 2h", parameter, context)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def spec_options(command):
    """The fields of RunSpec as an argument and options."""

    def epochs(_context, _parameter, value):
        try:
            return None if value is None else tuple(int(epoch) for epoch in value.split(","))
        except ValueError:
            raise click.BadParameter(f"{value!r}: whole epochs joined by commas, such as 80,120") from None

    options = [
        click.argument("model"),
        click.option(
            "--trainable", default="bn", show_default=True, help="Groups joined by +, or all, none, all-bn; norm of other norms."
        ),
        click.option("--then", metavar="GROUPS", help="What learns instead, after --switch epochs."),
        click.option("--switch", type=int, metavar="EPOCHS", help="After so many epochs the groups of --then learn."),
        recipe,
        click.option("--dataset", default="cifar10", show_default=True, metavar="NAME", help=DATASETS_HELP),
        click.option("--seed", default=0, show_default=True, help="The replicate."),
        click.option("--weight-init", type=Choice(WEIGHT_INITS), default="kaiming_normal", show_default=True, help="All but γ, β."),
        click.option("--bn-init", type=Choice(BN_INITS), default="uniform", show_default=True, help="γ and β."),
        click.option(
            "--norm",
            type=Choice(list(NORMALISATIONS)),
            default="batch",
            show_default=True,
            help="In BatchNorm's place; resnetN, wrnN-W.",
        ),
        click.option("--precision", type=Choice(PRECISIONS), default="bf16", show_default=True),
        click.option("--epochs", type=int, help="Instead of the recipe's; moves its milestones and its warm-up in proportion."),
        click.option("--milestones", callback=epochs, metavar="E,E", help="Epochs at which the learning rate drops."),
        click.option("--lr", type=float, help="Learning rate."),
        click.option("--warmup", type=int, help="Epochs over which the learning rate rises from 0."),
        click.option("--lr-drop", type=float, help="Factor on the learning rate at each milestone."),
        click.option("--momentum", type=float),
        click.option("--weight-decay", type=float),
        click.option(
            "--decay-bn/--no-decay-bn", default=None, help="Weight decay on γ and β too, or not.  [the recipe's: on them too]"
        ),
        click.option("--optimiser", type=Choice(OPTIMISERS)),
        click.option("--batch-size", type=int),
        click.option("--sync-bn", is_flag=True, help="Statistics over all processes, where several train (torchrun)."),
        click.option("--augment", type=Choice(AUGMENTATIONS)),
        click.option("--train-images", type=int, help="Train on so many images: the first, or spread over a folder."),
        click.option(
            "--pretrained",
            type=Choice(DATASETS),
            metavar="NAME",
            help="Begin from the same network, all of it trained on this data set before; that is trained first if it is missing.",
        ),
        click.option("--size", type=int, help="Side of the pictures that the network sees, of an imagefolder."),
        device,
        data,
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)
