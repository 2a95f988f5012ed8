"""What README, CONTRIBUTING and the book's pages give to be typed is taken as it stands: commands are parsed, Python is run."""

import re
import shlex

import click
import pytest
import torch
from click.testing import CliRunner

from bnlib.cli import main
from bnlib.spec import architecture
from bnlib.store import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]


def blocks(page):
    """The page's blocks to be typed, as (language, text), in their order."""
    return re.findall(r"^```(bash|python)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(block):
    """The words that follow `bnlib` in each line, also under torchrun; a backslash goes on with the next."""
    lines = [shlex.split(line, comments=True) for line in block.replace("\\\n", " ").splitlines()]
    return [words[words.index("bnlib") + 1 :] for words in lines if "bnlib" in words]


COMMANDS = [
    (page.name, words) for page in PAGES for language, block in blocks(page) if language == "bash" for words in commands(block)
]


@pytest.mark.parametrize("page, words", COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS])
def test_a_command_of_a_page_is_one_that_there_is(page, words):
    command, words = main, list(words)
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command is not main, "no such command"
    options = command.make_context(command.name, words).params  # which refuses what there is not
    models = options.get("model") or ()
    for model in (models,) if isinstance(models, str) else models:
        architecture(model)


def test_pages_have_commands():
    assert len(COMMANDS) > 25


def few(seed):
    """Eight images of five classes, in batches of four, as a reader's DataLoader gives them."""
    make = torch.Generator().manual_seed(seed)
    images, labels = torch.randn(8, 3, 64, 64, generator=make), torch.arange(8) % 5
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=4)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")], ids=lambda page: page.name
)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch, runs_folder):
    monkeypatch.chdir(tmp_path)  # where the files go that a page writes
    names = {"train_loader": few(0), "test_loader": few(1)}  # what a reader brings
    for language, block in blocks(page):
        if language == "python":
            exec(block, names)
        for words in commands(block) if language == "bash" else ():
            if words[0] in ("export", "load"):  # the others train, or need a data set
                done = CliRunner().invoke(main, words)
                assert done.exit_code == 0, done.output
    assert not list(runs_folder.glob("*/run.json"))  # what a page reads is stored
