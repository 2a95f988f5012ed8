"""The built book: complete, at home on one host or on none, legible on a phone, in the dark, and without seeing.

`make test` builds it first. One browser visits every page.
"""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml
from patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
TOC = (ROOT / "_toc.yml").read_text(encoding="utf-8")
PAGES = re.findall(r"^\s*(?:root|- file): (\S+)", TOC, flags=re.M)
FOREIGN = re.compile(r"^(?:https?:)?//")
ADDRESS = "https://github.com/example/bn-companion"  # of the small books that are built with one

sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]
import address  # noqa: E402
import companion  # noqa: E402

built = pytest.mark.skipif(not (HTML / "index.html").exists(), reason="the book has not been built: make book")
every_page = pytest.mark.parametrize("name", PAGES)


class Page(HTMLParser):
    """A page's tags, as (name, attributes) pairs in order."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *names):
        return [attributes for name, attributes in self.tags if name in names]


@functools.cache
def page(name: str) -> Page:
    return Page(HTML / f"{name}.html")


@built
def test_the_first_page_is_that_of_the_contents_and_no_page_has_lost_its_source():
    root = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["root"]
    assert f'url={root}.html"' in (HTML / "index.html").read_text(encoding="utf-8")
    left = {path.relative_to(HTML).with_suffix("").as_posix() for path in HTML.glob("[bn]o*/*.html")}
    assert left <= set(PAGES)


def test_the_contents_list_every_page():
    assert {"notebooks/quickstart", "notebooks/fig2_depth"} <= set(PAGES)
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks <= set(PAGES), "a notebook is not in _toc.yml"
    prose = {f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")}
    assert prose <= set(PAGES), "a page is not in _toc.yml"


@built
@every_page
def test_page_exists(name):
    assert (HTML / f"{name}.html").is_file()


@built
def test_style_sheets_load_nothing_from_another_host():
    for sheet in HTML.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), sheet


@built
@every_page
def test_page_loads_nothing_from_another_host(name):
    loaded = [tag.get("src", "") for tag in page(name).of("script", "img", "iframe", "source", "video", "audio", "embed")]
    loaded += [tag["href"] for tag in page(name).of("link") if tag.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon")]
    assert not [address for address in loaded if FOREIGN.match(address)]
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    assert not re.findall(r"unpkg\.com|jsdelivr|cdnjs|cdn\.mathjax|fonts\.googleapis", text)


@built
@every_page
def test_page_is_light(name):
    """Its HTML, its pictures and what is ours of scripts and style sheets are under 300 KB; the theme's icon script is gone."""
    own = {path.name for path in (ROOT / "book" / "_static").rglob("*")}
    addresses = [tag.get("src", tag.get("href", "")) for tag in page(name).of("script", "img", "link")]
    files = {(HTML / name).parent / address.split("?")[0] for address in addresses if address and not address.startswith("data:")}
    ours = {path.resolve() for path in files if path.is_file() and (path.parent.name == "_images" or path.name in own)}
    weight = sum(path.stat().st_size for path in {HTML / f"{name}.html", *ours})
    assert weight < 300_000, f"{weight / 1000:.0f} KB"
    assert not [address for address in addresses if "fontawesome" in address and ".js" in address]


@built
def test_every_image_has_an_alternative_text():
    images = [(name, image) for name in PAGES for image in page(name).of("img")]
    ours = [(name, image) for name, image in images if "logo__image" not in image.get("class", "")]  # else the theme's, of the logo
    assert len(ours) > 2, "else this asks nothing"
    for name, image in ours:
        alt = image.get("alt", "").strip()
        assert alt and not re.search(r"\.(png|svg)$|^_images", alt), f"{name}, {image.get('src')}: alt={alt!r}"


@built
@every_page
def test_captions_have_no_number_that_could_be_taken_for_the_papers(name):
    assert "caption-number" not in (HTML / f"{name}.html").read_text(encoding="utf-8")


# What is mended in a page's HTML.


def test_names_do_not_break_and_minus_signs_are_true_in_prose_alone():
    others = '<script>t = "<table><tr><th></th></tr><tr><td>-1</td></tr></table>"</script>'
    others += '<pre>ResNet-14 -1</pre><code>-p 1 -2</code><span class="math">\\(-1\\)</span><svg><text>ResNet-14 -1</text></svg>'
    prose = '<p title="ResNet-14 -1">ResNet-14 and WRN-14-2: -0.7 ± 2.4 % (n = 3), CIFAR-10, 1e-4, all-bn</p>'
    first, second = ('<span class="name">ResNet-14</span>', '<span class="name">WRN-14-2</span>')
    set_, numbers = '<span class="name">CIFAR-10</span>', "−0.7\u00a0±\u00a02.4\u00a0% (n\u00a0=\u00a03)"
    better = f'<p title="ResNet-14 -1">{first} and {second}: {numbers}, {set_}, 1e-4, all-bn</p>'
    assert companion.mend(prose + others) == better + others


def test_columns_of_numbers_are_marked_with_their_heading_and_an_empty_heading_is_a_cell():
    head = "<tr><th></th><th>set</th><th>ours</th><th>difference</th><th>mixed</th></tr>"
    rows = "<tr><th>1</th><td>bn</td><td>1,120</td><td>-0.7 ± 2.4</td><td>3</td></tr>"
    rows += "<tr><th>2</th><td>all</td><td>3.5<span>\u00a0± 1.6</span></td><td></td><td>not run</td></tr>"
    mended = companion.mend(f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>")
    number = ' class="number"'
    for row, tags in zip(re.findall("<tr>.*?</tr>", mended), (["td", *["th"] * 4], *[["th", *["td"] * 4]] * 2), strict=True):
        assert re.findall(r"<(t[hd])([^>]*)>", row) == list(zip(tags, (number, "", number, number, ""), strict=True))


def test_a_table_of_results_has_true_minus_signs_and_room_for_what_has_no_spread():
    import pandas as pd

    from bnlib.report import analysis

    frame = pd.DataFrame({"id": ["all-bn-1", "x"], "ours": ["47.6\u00a0±\u00a01.6", "58.5"], "change": [-0.75, 2.0], "n": [3, 1]})
    shown = analysis.table(frame, {"change": "{:+.1f}"}).data
    assert shown.id.tolist() == ["all-bn-1", "x"] and shown.change.tolist() == ["−0.8", "+2.0"] and shown.n.tolist() == ["3", "1"]
    assert shown.ours.tolist() == ["47.6\u00a0±\u00a01.6", '58.5<span style="visibility: hidden">\u00a0±\u00a01.6</span>']
    assert analysis.table(frame[:0]).data.columns.tolist() == ["nothing trained yet"]


# The pages in a browser.

# axe's rules that a page may break, each with the reason.
ALLOWED: dict[str, str] = {}

SETTLED = """
const done = arguments[arguments.length - 1];
const formulas = window.MathJax && MathJax.startup && MathJax.startup.promise ? MathJax.startup.promise : Promise.resolve();
formulas.then(() => document.fonts.ready).then(() => setTimeout(done, 50));
"""
# Names such as ResNet-14 that stand on two lines; those in code and in folded cells have no lines.
BROKEN = r"""
const walker = document.createTreeWalker(document.querySelector("article.bd-article"), NodeFilter.SHOW_TEXT), broken = [];
for (let node; (node = walker.nextNode()); ) {
  if (node.parentElement.closest("pre, code, svg, script, style")) continue;
  for (const found of node.data.matchAll(/\b(ResNet|WRN|VGG)-\d[\d-]*/g)) {
    const range = document.createRange();
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length);
    if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) broken.push(found[0]);
  }
}
return broken;
"""


@pytest.fixture(scope="module")
def served():
    """The book on a local port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(HTML))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def visit(browser, base: str, name: str) -> None:
    """Open a page, and wait until its scripts have run and its formulas are set. It asks its own host alone, and has no error."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(f"{base}/{name}.html")
    browser.execute_async_script(SETTLED)
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "ERROR")]
    assert not errors
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome")]  # the browser's own empty tab
    asked += [event["params"]["url"] for event in events if event["method"] == "Network.webSocketCreated"]
    assert asked and not [url for url in asked if not url.startswith((base, "data:", "blob:"))]


def violations(browser, **options) -> list[str]:
    """What axe finds wrong with the page; options: axe's."""
    from axe_core_python.selenium import Axe

    browser.execute_script("document.head.insertAdjacentHTML('beforeend', '<style>* { transition: none !important; }</style>')")
    found = Axe().run(browser, options={"resultTypes": ["violations"], **options})["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found if one["id"] not in ALLOWED for node in one["nodes"]]


def shade(browser, theme: str) -> None:
    """Light or dark at once: half-way through a transition of the theme's, no colour is what it will be."""
    still = "document.head.insertAdjacentHTML('beforeend', '<style>* { transition: none !important }</style>');"
    browser.execute_script(
        still + "document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0]", theme
    )


@built
@every_page
def test_a_served_page_has_no_errors_asks_no_other_host_and_is_accessible(name, served, browser):
    visit(browser, served, name)
    math = "return [document.querySelectorAll('.math').length, document.querySelectorAll('mjx-container').length]"
    formulas, typeset = browser.execute_script(math)
    assert bool(formulas) == bool(typeset) and "<mjx-merror" not in browser.page_source
    assert not browser.execute_script(BROKEN)
    shade(browser, "light")
    assert not violations(browser)
    shade(browser, "dark")  # which changes colours alone
    assert not violations(browser, runOnly=["color-contrast"])


@built
@every_page
def test_a_page_opened_from_a_folder_has_no_errors_and_asks_no_host(name, browser):
    visit(browser, f"file://{HTML}", name)
    assert not [icon for icon in icons(browser) if not icon["drawn"]]


def icons(browser) -> list[dict]:
    """The icons that can be seen, and whether each has a glyph of the icon font, and that font."""
    return browser.execute_script(
        """return [...document.querySelectorAll("i[class*=fa-], span[class*=fa-]")].filter(icon => icon.offsetWidth).map(icon => {
          const style = getComputedStyle(icon, "::before");
          const font = `${style.fontWeight} 16px ${style.fontFamily}`;
          return {icon: icon.className, drawn: !["none", "normal", '""'].includes(style.content) && document.fonts.check(font)};
        })"""
    )


@built
def test_the_icons_of_a_page_are_there(served, browser):
    visit(browser, served, "notebooks/fig2_depth")
    found = icons(browser)
    assert {"fa-download", "fa-expand", "fa-bars"} <= {word for icon in found for word in icon["icon"].split()}
    assert all(icon["drawn"] for icon in found), found


@built
@every_page
def test_no_page_says_nan_or_has_how_often_in_brackets_of_its_own_behind_others(name):
    text = re.sub(r"<(script|style|pre).*?</\1>|<[^>]*>", " ", (HTML / f"{name}.html").read_text(encoding="utf-8"), flags=re.S)
    how = re.I if name.startswith("notebooks/") else 0  # where the package is described it may say NaN
    assert not re.findall(r".{40}(?<![\w/+-])nan(?![\w/+-]).{40}", text, flags=re.S | how)
    assert not re.findall(r".{40}\)\s+\(n\s=\s\d[^)]*\)", text, flags=re.S)


@built
@every_page
def test_on_a_phone_nothing_is_wider_than_the_page_and_names_stay_whole(name, browser):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    visit(browser, f"file://{HTML}", name)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert not browser.execute_script(BROKEN)


# The repository's address: one setting, empty or not.


def with_address(text: str, url: str) -> str:
    """_config.yml with the address `url`, and no notebook run."""
    text = re.sub(r"(?m)^(repository:\n  url:).*$", rf'\1 "{url}"', text)
    return re.sub(r"execute_notebooks: \w+", 'execute_notebooks: "off"', text)


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """Builds a book of a page, a notebook and the references, with the repository's address or without; gives its HTML's folder."""

    @functools.cache
    def build(url: str) -> Path:
        folder = tmp_path_factory.mktemp("book")
        for name in ("book/_ext", "book/_static", "book/_templates"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("book/references.bib", "book/references.md", "CITATION.cff", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "notebooks").mkdir()
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell("# A notebook", id="c00"), nbformat.v4.new_code_cell("1 + 1", id="c01")],
            metadata=nbformat.read(ROOT / "notebooks" / "fig2_depth.ipynb", 4).metadata,
        )
        nbformat.write(notebook, folder / "notebooks" / "one.ipynb")
        first = "# First\n\nRun it from the root of {{ repository }}{{ launch }}.\n"
        (folder / "book" / "first.md").write_text(first, encoding="utf-8")
        contents = "format: jb-book\nroot: book/first\nchapters:\n  - file: notebooks/one\n  - file: book/references\n"
        (folder / "_toc.yml").write_text(contents, encoding="utf-8")
        (folder / "_config.yml").write_text(with_address((ROOT / "_config.yml").read_text(encoding="utf-8"), url), encoding="utf-8")
        address.write(folder)
        start = "from jupyter_book.cli.main import main; main()"
        command = [sys.executable, "-c", start, "build", str(folder), "--path-output", str(folder), "-q"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "_build" / "html"

    return build


def links(html: Path) -> list[str]:
    return [tag.get("href", "") for tag in Page(html).of("a")]


def test_without_an_address_no_link_leads_to_a_repository(small_book):
    html = small_book("")
    for name in ("book/first", "notebooks/one", "book/references"):
        ours = [
            link for link in links(html / f"{name}.html") if re.search(r"mybinder|colab|/issues/new|/blob/main|bn-companion", link)
        ]
        assert not ours, name
    assert "from the root of the repository." in (html / "book" / "first.html").read_text(encoding="utf-8")
    folder = html.parents[1]
    assert "repository-code" not in yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))
    assert "\n[project.urls]" not in (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert "colab" not in [cell["id"] for cell in nbformat.read(folder / "notebooks" / "one.ipynb", 4).cells]


def test_with_an_address_every_link_to_the_repository_appears(small_book):
    html = small_book(ADDRESS)
    found = links(html / "notebooks" / "one.html")
    assert "https://mybinder.org/v2/gh/example/bn-companion/main?urlpath=lab/tree/notebooks/one.ipynb" in found
    assert "https://colab.research.google.com/github/example/bn-companion/blob/main/notebooks/one.ipynb" in found
    for name, source in {"notebooks/one": "notebooks/one.ipynb", "book/first": "book/first.md"}.items():
        found = links(html / f"{name}.html")
        assert {ADDRESS, f"{ADDRESS}/blob/main/{source}?plain=1"} <= set(found)
        assert [link for link in found if link.startswith(f"{ADDRESS}/issues/new")]
    first = (html / "book" / "first.html").read_text(encoding="utf-8")
    assert f'href="{ADDRESS}">the repository</a>; the buttons at the top of its page start it on Binder or Colab.' in first
    assert "git clone" not in (html / "notebooks" / "one.html").read_text(encoding="utf-8"), "Colab's cell is not for readers"
    folder = html.parents[1]
    assert yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))["repository-code"] == ADDRESS
    assert f'\n[project.urls]\nRepository = "{ADDRESS}"\n' in (folder / "pyproject.toml").read_text(encoding="utf-8")


def test_on_colab_a_notebook_gets_the_package_and_elsewhere_it_does_nothing(small_book, monkeypatch):
    import importlib.util

    notebook = nbformat.read(small_book(ADDRESS).parents[1] / "notebooks" / "one.ipynb", 4)
    (place, cell), *more = [(i, cell) for i, cell in enumerate(notebook.cells) if cell["id"] == "colab"]
    assert place == 1 and not more and cell.metadata.tags == ["remove-cell"]
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(cell.source, {})
    assert not commands, "the package is there"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(cell.source, {})
    clone, install = commands
    assert clone[:2] == ["git", "clone"] and clone[-2:] == [ADDRESS, "bn-companion"] and "main" in clone
    assert install[:4] == [sys.executable, "-m", "pip", "install"] and "bn-companion" in install
    assert sys.path[0] == "bn-companion"


def test_the_address_is_written_everywhere_and_taken_out_again(tmp_path):
    names = ("CITATION.cff", "pyproject.toml", "notebooks")
    for name in names:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    files = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.suffix != ".pyc"}
    (tmp_path / "_config.yml").write_text(text, encoding="utf-8")
    address.write(tmp_path)
    assert all(path.read_bytes() == before for path, before in files.items()), "make address has not been run since the last change"
    kept = yaml.safe_load(text)["repository"]["url"]
    for url in ("https://github.com/one/two", "", "https://github.com/three/four", kept):
        (tmp_path / "_config.yml").write_text(with_address(text, url), encoding="utf-8")
        address.write(tmp_path)
        assert all((url in path.read_text(encoding="utf-8")) for path in files)
    assert all(path.read_bytes() == before for path, before in files.items())


def test_runs_and_commits_link_into_the_repository_if_it_has_an_address(monkeypatch):
    from bnlib import store
    from bnlib.report import links

    committed = next(path.parent.name for path in sorted(store.results_folder().glob("*+*/run.json")))
    sha = "0123456789abcdef0123456789abcdef01234567"
    setting = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    assert links.repository() == (setting["url"], setting["branch"])
    monkeypatch.setattr(links, "repository", lambda: ("", "main"))
    assert links.run(committed) == committed and links.commit(sha) == "01234567"
    monkeypatch.setattr(links, "repository", lambda: (ADDRESS, "main"))
    there = f"{ADDRESS}/tree/main/results/{committed.replace('+', '%2B')}"
    assert links.run(committed) == f'<a href="{there}">{committed}</a>'
    assert links.run("resnet14_of_ones_own") == "resnet14_of_ones_own", "not in the repository"
    assert links.commit(sha) == f'<a href="{ADDRESS}/commit/{sha}">01234567</a>' and links.commit("unknown") == "unknown"


# The pages for who goes on.


@built
def test_the_page_on_the_package_has_every_public_name():
    import bnlib

    text = (HTML / "book" / "api.html").read_text(encoding="utf-8")
    assert not [name for name in bnlib.__all__ if f'id="bnlib.{name}"' not in text]
    assert ":param" not in text and ":raises" not in text and "`" not in re.sub(r"<[^>]+>", "", text.split("<article")[1])


def test_docstrings_become_fields_and_links():
    import docstrings

    def sample(model, seed=0, **more):
        """No use."""

    lines = [
        "Build it, see `bnlib.freeze`.",
        "",
        "model: `resnetN`, of",
        "course. seed, more: whole numbers. Raises StoreError if not: so.",
    ]
    docstrings.read(None, "function", "sample", sample, {}, lines)
    assert [line for line in lines if line] == [
        "Build it, see :py:obj:`bnlib.freeze`.",
        ":param model: ``resnetN``, of course.",
        ":param seed: whole numbers.",
        ":param more: whole numbers.",
        ":raises ~bnlib.store.StoreError: if not: so.",
    ]


@built
def test_the_status_page_has_this_build(browser):
    import importlib.metadata

    from bnlib import experiments, store

    visit(browser, f"file://{HTML}", "book/status")
    cells = "[...table.rows].map(row => [...row.cells].map(cell => cell.innerText))"
    tables = browser.execute_script(f"return [...document.querySelectorAll('article table')].map(table => {cells})")
    runs, versions, notebooks = tables
    assert len(runs) == len(experiments.EXPERIMENTS) + 1 and len(notebooks) == len(list((ROOT / "notebooks").glob("*.ipynb"))) + 1
    assert [int(row[1]) for row in runs[1:]] == [len(experiments.wanted(name)) for name in experiments.EXPERIMENTS]
    facts = dict(versions[1:])
    assert facts["torch"] == importlib.metadata.version("torch") and re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", facts["built"])
    assert all(float(row[1]) > 0 for row in notebooks[1:])
    said = browser.execute_script("return document.querySelector('article').innerText")
    assert re.search(r"(\d+) runs are stored", said) and len(store.results())


def test_the_workflow_tests_the_oldest_python_that_the_package_takes_and_newer_ones():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert versions[0] == oldest and {"3.11", "3.13"} <= set(versions)


def test_the_citation_names_the_version_of_the_package():
    import bnlib

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert cited["version"] == bnlib.__version__ == re.search(r"^## (\d+\.\d+\.\d+)", changes, flags=re.M)[1]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(cited["date-released"]))
