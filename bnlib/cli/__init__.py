"""The command line: options, and errors in one line. What the commands do lives in `training`, `store` and `bench`.

`bnlib run | sweep | estimate | bench | data | results | verify | export | load`; `python -m bnlib` is the same.
"""

import click

from bnlib import __version__
from bnlib.cli import measure, options, results, seedfile, train


@click.group(cls=options.Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main():
    """Train BatchNorm, and only BatchNorm."""


for _room in (
    (train.run, train.sweep, train.estimate),
    (measure.bench, measure.data),
    (results.results, results.verify),
    (seedfile.export, seedfile.load),
):
    for _command in _room:
        main.add_command(_command)
