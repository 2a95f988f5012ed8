"""The package as a house: every room says what lives in it, and imports only from rooms that come before it on the road."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import jedi
import pytest
from patience import PATIENCE

import bnlib

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "bnlib"
MODULES = sorted(path for path in HOUSE.rglob("*.py") if path.parent != HOUSE or not path.name.startswith("__"))
FOLDERS = sorted(path.parent for path in HOUSE.glob("**/*.py") if path.name == "__init__.py" and path.parent != HOUSE)
# A room imports from rooms before it, and from itself.
ROAD = [
    "words",
    "spec",
    "seeds",
    "machine",
    "processes",
    "models",
    "freezing",
    "pruning",
    "data",
    "engine",
    "store",
    "training",
    "experiments",
] + [
    "report",
    "bench",
    "cli",
]
NEVER = {"report": {"engine", "training"}, "bench": {"report", "experiments"}}  # although they come before


def room(module: str) -> str:
    """The room of a module such as `bnlib.engine.step`; of a public name of the package, such as `bnlib.RunSpec`, its home's."""
    name = module.split(".")[1]
    return bnlib._HOME.get(name, name).split(".")[0]


def imports(text: str, rooms=tuple(ROAD)) -> set[str]:
    """The rooms that a module imports from, wherever in it: inside of functions, too."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "bnlib":
            found += [f"bnlib.{alias.name}" for alias in node.names if alias.name != "__version__"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bnlib."):
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("bnlib.")]
        assert not isinstance(node, ast.ImportFrom) or not node.level, "imports are absolute"
    return {room(module) for module in found}


def wrong(own: str, others: set[str]) -> set[str]:
    """Those of the rooms `others` that the room `own` must not import from."""
    before = set(ROAD[: ROAD.index(own) + 1])
    return (others - before) | (others & NEVER.get(own, set()))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_a_room_imports_only_from_rooms_before_it(path):
    own = path.relative_to(HOUSE).parts[0].removesuffix(".py")
    assert own in ROAD, f"{own} is new: it has no place on the road yet"
    assert not wrong(own, imports(path.read_text(encoding="utf-8")))


def test_an_import_that_runs_back_is_found():
    assert imports("def f():\n    from bnlib import RunSpec, experiments\n    import bnlib.report.paper") == {
        "spec",
        "experiments",
        "report",
    }
    assert wrong("store", {"spec", "engine", "store"}) == set() and wrong("store", {"training"}) == {"training"}
    assert wrong("report", {"store", "experiments", "training"}) == {"training"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(HOUSE).as_posix())
def test_every_room_says_what_lives_there_and_where_the_rest_does(folder):
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    first = said.split("\n\n")[0]
    elsewhere = set(re.findall(r"`(\w+)`", first)) - {folder.name}
    assert elsewhere, f"where lives what does not live here? {said}"
    assert elsewhere <= {*ROAD, *(path.name for path in FOLDERS)}, "names a room that is not there"


def test_every_folder_is_in_the_package_and_on_the_road():
    listed = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), flags=re.M | re.S)[1]
    names = {".".join(("bnlib", *path.relative_to(HOUSE).parts)) for path in FOLDERS} | {"bnlib"}
    assert set(re.findall(r'"([^"]+)"', listed)) == names
    assert {path.relative_to(HOUSE).parts[0].removesuffix(".py") for path in MODULES} == set(ROAD)


def test_the_readme_shows_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where things are")[1]
    assert {name.removesuffix(".py") for name in re.findall(r"`(\w+)(?:\.py|/)`", text)} >= set(ROAD)


WITHOUT_PYTORCH = """
import sys
class Refused:
    def find_spec(name, *_):
        assert name.split(".")[0] != "torch", "PyTorch is imported"
sys.meta_path.insert(0, Refused)
import click.testing
import bnlib, bnlib.cli, bnlib.experiments
assert len(bnlib.results())
bnlib.experiments.cost = lambda *_: (0.0, "")  # what a training would cost is a question to PyTorch
listed = click.testing.CliRunner().invoke(bnlib.cli.main, ["results"])
assert listed.exit_code == 0 and "resnet14_bn_paper_seed0" in listed.output, listed.output
assert click.testing.CliRunner().invoke(bnlib.cli.main, ["sweep", "--help"]).exit_code == 0
sys.path.insert(0, "tests")
import test_notebooks
for path in test_notebooks.OF_RUNS:
    if path.stem not in ("claims", "front", "clusters", "beyond_pruning"):  # which draw networks, ask for costs, and time networks
        test_notebooks.cells(path)
"""


def test_listing_runs_and_pages_of_stored_runs_need_no_pytorch():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYTORCH], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_editor_completes_the_public_names_and_shows_their_signatures():
    offered = {name.name for name in jedi.Script("import bnlib\nbnlib.").complete(2, 6)}
    assert set(bnlib.__all__) <= offered
    assert {name: jedi.Script(f"import bnlib\nbnlib.{name}(").get_signatures()[0].params[0].name for name in ("freeze", "run")} == {
        "freeze": "model",
        "run": "spec",
    }
    assert (HOUSE / "py.typed").exists()


def test_lazy_names_are_those_that_a_type_checker_sees():
    block = next(node for node in ast.parse((HOUSE / "__init__.py").read_text()).body if isinstance(node, ast.If))
    seen = {alias.name: node.module.removeprefix("bnlib.") for node in block.body for alias in node.names}
    assert seen == bnlib._HOME and sorted(seen) == bnlib.__all__
    assert all(getattr(bnlib, name) is not None for name in bnlib.__all__)
