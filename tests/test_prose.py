"""What README, CONTRIBUTING, the book's pages and its notebooks give to be typed is taken as it stands: commands are parsed, and
the Python of a page is run."""

import re
import shlex

import click
import nbformat
import pytest
import torch
from click.testing import CliRunner
from papermill import inspect_notebook

from bnlib.cli import main
from bnlib.spec import architecture
from bnlib.store import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.M | re.S)
STANDS_FOR = {"MODEL": "resnet14", "NAME": "fig2_depth"}  # what a reader puts in the place of these


def prose(page):
    """What a page says: its text, or the Markdown of a notebook."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in nbformat.read(page, 4).cells if cell.cell_type == "markdown")


def blocks(page):
    """The page's blocks to be typed, as (language, text), in their order."""
    return FENCED.findall(prose(page))


def typed(text):
    """The words of each line of `text` as the shell divides them, up to where its output goes; a backslash goes on with the next.

    What is handed to another shell is divided, too.
    """
    for line in text.replace("\\\n", " ").splitlines():
        found = [part for word in shlex.split(line, comments=True) for part in (shlex.split(word) if " " in word else [word])]
        yield [STANDS_FOR.get(word, word) for word in (found[: found.index(">")] if ">" in found else found)]


def lines(page):
    """What is to be typed on the page, in its blocks and in its sentences: the words of each line."""
    texts = [text for language, text in blocks(page) if language == "bash"]
    texts += [text.replace("\n", " ") for text in re.findall(r"`((?:bnlib|papermill) [^`]+)`", FENCED.sub("", prose(page)))]
    return [words for text in texts for words in typed(text)]


def after(program, words):
    """What follows `program` in `words`, or None if they do not call it."""
    return words[words.index(program) + 1 :] if program in words[:-1] else None


COMMANDS = [(page.name, own) for page in (*PAGES, *NOTEBOOKS) for line in lines(page) if (own := after("bnlib", line))]
EXECUTIONS = [
    (page.name, own)
    for page in (*PAGES, *NOTEBOOKS)
    for line in lines(page)
    if (own := after("papermill", line)) and not own[0].startswith("-")
]


def name(case):
    return case if isinstance(case, str) else " ".join(case)


@pytest.mark.parametrize("page, words", COMMANDS, ids=name)
def test_a_command_of_a_page_is_one_that_there_is(page, words):
    command, words = main, list(words)
    while words and isinstance(command, click.Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command is not main, "no such command"
    if not words:
        return  # named, not given to be typed as it stands
    options = command.make_context(command.name, words).params  # which refuses what there is not
    models = options.get("model") or ()
    for model in (models,) if isinstance(models, str) else models:
        architecture(model)


@pytest.mark.parametrize("page, words", EXECUTIONS, ids=name)
def test_papermill_is_given_notebooks_and_parameters_that_there_are(page, words):
    notebook, out, *options = words
    there = inspect_notebook(str(ROOT / notebook))
    assert out == "out.ipynb" and {"-p", "-y"}.issuperset(options[::3]) and there.keys() >= set(options[1::3])


def test_pages_have_commands():
    assert len(COMMANDS) > 40 and len(EXECUTIONS) > 20


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
        for line in typed(block) if language == "bash" else ():
            if (own := after("bnlib", line)) and own[0] in ("export", "load"):  # the others train, or need a data set
                done = CliRunner().invoke(main, own)
                assert done.exit_code == 0, done.output
    assert not list(runs_folder.glob("*/run.json"))  # what a page reads is stored
