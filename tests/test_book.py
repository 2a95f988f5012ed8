"""The built book: complete, at home on one host, legible without seeing. `make test` builds it first."""

import functools
import http.server
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
TOC = (ROOT / "_toc.yml").read_text(encoding="utf-8")
PAGES = re.findall(r"^\s*(?:root|- file): (\S+)", TOC, flags=re.M)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FOREIGN = re.compile(r"^(?:https?:)?//")

pytestmark = pytest.mark.skipif(not (HTML / "index.html").exists(), reason="the book has not been built: make book")


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


def test_the_contents_list_every_page():
    assert {"book/introduction", "notebooks/quickstart", "notebooks/fig2_depth"} <= set(PAGES)
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks <= set(PAGES), "a notebook is not in _toc.yml"


@pytest.mark.parametrize("name", PAGES)
def test_page_exists(name):
    assert (HTML / f"{name}.html").is_file()


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_another_host(name):
    loaded = [tag.get("src", "") for tag in page(name).of("script", "img", "iframe", "source", "video", "audio", "embed")]
    loaded += [tag["href"] for tag in page(name).of("link") if tag.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon")]
    assert not [address for address in loaded if FOREIGN.match(address)]
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    assert not re.findall(r"unpkg\.com|jsdelivr|cdnjs|cdn\.mathjax|fonts\.googleapis", text)


def test_style_sheets_load_nothing_from_another_host():
    for sheet in HTML.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), sheet


@pytest.mark.parametrize("name", PAGES)
def test_every_image_has_an_alternative_text(name):
    for image in page(name).of("img"):
        if "logo__image" not in image.get("class", ""):  # the theme's, beside the book's name in words
            alt = image.get("alt", "").strip()
            assert alt and not re.search(r"\.(png|svg)$|^_images", alt), f"{image.get('src')}: alt={alt!r}"


@pytest.mark.parametrize("name", PAGES)
def test_captions_have_no_number_that_could_be_taken_for_the_papers(name):
    assert "caption-number" not in (HTML / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("notebooks/")])
def test_launch_links_point_at_the_notebook_in_the_repository(name):
    links = [tag.get("href", "") for tag in page(name).of("a")]
    for host in ("mybinder.org", "colab.research.google.com"):
        found = [link for link in links if host in link]
        assert found and all(link.endswith(f"{name}.ipynb") for link in found), (host, found)


@pytest.fixture(scope="module")
def served():
    """The book on a local port, and the requests it got."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(HTML))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.skipif(
    CHROMIUM is None, reason="no browser here: sudo apt-get install chromium, or on a Mac brew install --cask chromium"
)
@pytest.mark.parametrize("name", PAGES)
def test_browser_shows_the_page_without_errors_and_asks_no_other_host(name, served, tmp_path):
    netlog = tmp_path / "net.json"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--disable-extensions",
    ]
    done = subprocess.run(
        [
            CHROMIUM,
            *flags,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={netlog}",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=8000",
            "--dump-dom",
            f"http://{served}/{name}.html",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "</html>" in done.stdout
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in messages if re.search(r"error|failed|not defined|blocked", line, re.I)], messages
    # The browser asks its maker's hosts on its own account; the page's requests name the page as their initiator.
    events = [line for line in netlog.read_text(encoding="utf-8").splitlines() if f'"initiator":"http://{served}"' in line]
    asked = {host for line in events for host in re.findall(r'"url":"(?:https?|wss?)://([^/"]+)', line)}
    assert asked == {served}, asked
    assert "<mjx-merror" not in done.stdout
    assert ('class="math' not in done.stdout) or ("<mjx-container" in done.stdout), "formulas have not been set"
