"""Write the repository's address, `repository: url:` of _config.yml, where it must stand in full; without one, take it out.

That is CITATION.cff, pyproject.toml, and in each notebook the cell that gets the package on Colab, which opens the notebook as it
is in the repository and knows nothing else of it. `make address` calls this; `python book/address.py FOLDER` does it elsewhere.
"""

import json
import re
import sys
from pathlib import Path

import yaml

COLAB = """\
# Colab has neither the package nor its runs: both come from the repository.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("bnlib") is None:
    url = "{url}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", "{branch}", url, "bn-companion"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", "bn-companion", "myst-nb"], check=True)
    sys.path.insert(0, "bn-companion")"""


def citation(text: str, url: str) -> str:
    """CITATION.cff with the repository's address, or without one."""
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.M)
    return re.sub(r"^(license: .*\n)", rf'\g<1>repository-code: "{url}"\n', text, flags=re.M) if url else text


def project(text: str, url: str, branch: str) -> str:
    """pyproject.toml with the project's addresses, or without any."""
    text = re.sub(r"^\[project\.urls\]\n(?:\w.*\n)*\n", "", text, flags=re.M)
    pages = {"Repository": url, "Issues": f"{url}/issues", "Changelog": f"{url}/blob/{branch}/CHANGELOG.md"}
    block = "[project.urls]\n" + "".join(f'{name} = "{page}"\n' for name, page in pages.items()) + "\n"
    return text.replace("[project.optional-dependencies]\n", block + "[project.optional-dependencies]\n") if url else text


def notebook(text: str, url: str, branch: str) -> str:
    """A notebook, as text, with the cell for Colab behind its title, or without one."""
    book = json.loads(text)
    book["cells"] = [cell for cell in book["cells"] if cell["id"] != "colab"]
    if url:
        cell = {"cell_type": "code", "execution_count": None, "id": "colab", "metadata": {"tags": ["remove-cell"]}, "outputs": []}
        book["cells"].insert(1, {**cell, "source": COLAB.format(url=url, branch=branch).splitlines(keepends=True)})
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def write(root: Path) -> None:
    """Bring all files below `root` to the address in its _config.yml."""
    setting = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    url, branch = setting["url"].rstrip("/"), setting["branch"]
    files = {
        root / "CITATION.cff": lambda text: citation(text, url),
        root / "pyproject.toml": lambda text: project(text, url, branch),
        **dict.fromkeys(sorted(root.glob("notebooks/*.ipynb")), lambda text: notebook(text, url, branch)),
    }
    for path, change in files.items():
        before = path.read_text(encoding="utf-8")
        if (after := change(before)) != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(root)}: {url or 'no address'}")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent))
