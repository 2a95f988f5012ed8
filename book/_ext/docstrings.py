"""The package's docstrings as autodoc can set them.

They say `name: what it is.` in running text, and `Raises X for y.`, for who reads them in an editor. Here these become the
fields of a function's description, and `words in backticks` become code, or a link where they name a public object.
"""

import importlib
import inspect
import re

from sphinx.util.docutils import SphinxDirective

import bnlib

ERRORS = ("bnlib.store.StoreError", "bnlib.data.DataMissing", "bnlib.training.trainer.OutOfTime")


def parameters(thing) -> set[str]:
    """The names that a docstring may explain: the arguments of a function or of a class."""
    try:
        return set(inspect.signature(thing).parameters) - {"self"}
    except (TypeError, ValueError):
        return set()


def fields(text: str, names: set[str]) -> list[str]:
    """A paragraph as lines: what comes before the first field, then one field each."""
    text = re.sub(r"\s+", " ", text).strip()
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    begins = [rf"(?:{known})(?:, (?:{known}))*: "] if known else []
    pieces = re.split(rf"(?:^|(?<=[.;] ))(?={'|'.join([*begins, 'Raises [A-Z]', 'Returns? '])})", text)
    errors = {path.rsplit(".", 1)[1]: f"~{path}" for path in ERRORS}
    lines = []
    for piece in pieces:
        piece = piece.strip()
        explained = known and re.match(rf"((?:{known})(?:, (?:{known}))*): (.*)", piece)
        raised = re.match(r"Raises (\w+),? (.*)", piece)
        if explained:
            lines += [f":param {name}: {explained[2]}" for name in explained[1].split(", ")]
        elif raised:
            lines.append(f":raises {errors.get(raised[1], raised[1])}: {raised[2]}")
        elif piece:
            lines += [piece, ""]
    return lines


def code(line: str) -> str:
    """Words in single backticks as code; as a link if they name a public object of the package."""

    def one(found) -> str:
        name = found[1].removeprefix("bnlib.")
        return f":py:obj:`bnlib.{name}`" if name in bnlib.__all__ else f"``{found[1]}``"

    return re.sub(r"(?<!`)(?<!:)`([^`]+)`(?!`)", one, line)


def read(app, what, name, thing, options, lines):
    """Turn the docstring's lines into reStructuredText, in place."""
    names = parameters(thing) if what in ("function", "method", "class") else set()
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    read = []
    for paragraph in paragraphs:
        read += [*fields(paragraph, names), ""]
    plain = [line for line in read if not line.startswith((":param", ":raises"))]
    lines[:] = [code(line) for line in [*plain, "", *(line for line in read if line not in plain), ""]]


class OneLiners(SphinxDirective):
    """The public functions and classes of a module, each with the first line of its docstring."""

    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        offered = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        things = [getattr(module, name) for name in sorted(offered)]
        things = [thing for thing in things if callable(thing) and thing.__module__.startswith(module.__name__)]
        lines = [f"`{thing.__name__}`\n: {inspect.getdoc(thing).splitlines()[0]}\n" for thing in things]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Connect with autodoc, and register the directive `one-liners`."""
    app.connect("autodoc-process-docstring", read)
    app.add_directive("one-liners", OneLiners)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
