"""The book's frame: its links to the repository, what is mended in the pages, which pages are read again."""

import re

from bs4 import BeautifulSoup

# Left exactly as it is: other languages than HTML, and text that is set as it stands.
FOREIGN = re.compile(r"<(script|style|svg|pre|textarea)\b.*?</\1>", re.S)
# Not the text that one reads: code, formulas, tags.
NOT_PROSE = re.compile(r"<(code|select)\b.*?</\1>|<(span|div)\b[^>]*\bclass=\"math\b.*?</\2>|<[^>]*>", re.S)
PROSE = (
    (re.compile(r"\b(?:ResNet|WRN|VGG|CIFAR)-[\dNW]+(?:-[\dW]+)?\b"), r'<span class="name">\g<0></span>'),  # on one line
    (re.compile(r"(?<![\w−–-])-(?=\d)"), "−"),
    (re.compile(r"(?<=\d) (?=[%±])|(?<=±) (?=\d)"), "\u00a0"),
    (re.compile(r"\bn = (?=\d)"), "n\u00a0=\u00a0"),
)
# What the tools write that a screen reader cannot use, and what it can.
MARKUP = (
    (re.compile(r"<th(\b[^>]*)>(?:\s|&nbsp;|&#160;|<p>\s*</p>)*</th>"), r"<td\1></td>"),  # a header of nothing
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),  # it hides the text: Show code cell source
    (re.compile(r'<img class="bn-plain"[^>]*>'), ""),  # the PNG that a figure carries for notebooks shown without its SVG
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),  # deprecated, and not what a list consists of
)

TABLE = re.compile(r"<table\b.*?</table>", re.S)
# 48.3, −0.7 (± 2.4), 1,120, 85 %, 3e-05, 12 ms, 2.1×
NUMBER = re.compile(r"[<>≤≥≈]?\s?[+−-]?\d[\d,.]*(?:e[+−-]?\d+)?\s?(?:%|×|[mµ]?s|[MG]i?B)?(?:\s\(?±\s.*)?")


def align(table: str) -> str:
    """The HTML of a table whose columns of numbers, headings and all, have the class `number`."""
    soup = BeautifulSoup(table, "html.parser")
    columns: dict[int, list] = {}
    for row in soup.find_all("tr"):
        place = 0
        for cell in row.find_all(["td", "th"]):
            columns.setdefault(place, []).append(cell)
            place += int(cell.get("colspan", 1))
    for cells in columns.values():
        texts = [cell.get_text().strip() for cell in cells if cell.find_parent("thead") is None]
        if any(texts) and all(NUMBER.fullmatch(text) for text in texts if text not in ("", "–", "—")):
            for cell in cells:
                cell["class"] = [*cell.get("class", []), "number"]
    return str(soup)


def mend(body: str) -> str:
    """The HTML of a page with names that do not break, true minus signs, aligned numbers, and markup for a screen reader."""
    foreign: list[str] = []

    def put_by(found) -> str:
        foreign.append(found[0])
        return f"\ue000{len(foreign) - 1}\ue001"  # characters that no text has

    def prose(text: str) -> str:
        for pattern, better in PROSE:
            text = pattern.sub(better, text)
        return text

    body = FOREIGN.sub(put_by, body)
    for pattern, better in MARKUP:
        body = pattern.sub(better, body)
    body = TABLE.sub(lambda table: align(table[0]), body)
    parts, end = [], 0
    for skipped in NOT_PROSE.finditer(body):
        parts += [prose(body[end : skipped.start()]), skipped[0]]
        end = skipped.end()
    body = "".join(parts) + prose(body[end:])
    return re.sub("\ue000(\\d+)\ue001", lambda place: foreign[int(place[1])], body)


def mend_page(app, pagename, templatename, context, doctree):
    """Mend the page, and leave out scripts that no page uses.

    sphinx-thebe adds one twice, an error in the browser, and a foreign address. The state of widgets, which papermill keeps with a
    notebook, is twice the explorer that the page has as HTML.
    """

    def used(script) -> bool:
        said = f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', '')}".lower()
        return "thebe" not in said and "widget-state+json" not in said

    context["script_files"] = [script for script in context.get("script_files", []) if used(script)]
    if "body" in context:
        context["body"] = mend(context["body"])


def link_repository(app, config):
    """With an address in `repository: url:` of _config.yml, buttons and links that lead there; without one, none."""
    options = config.html_theme_options
    address = options.get("repository_url")
    options.update(dict.fromkeys(("use_repository_button", "use_issues_button", "use_source_button"), bool(address)))
    if not address:
        options.pop("launch_buttons", None)
    config.myst_substitutions["repository"] = f"[the repository]({address})" if address else "the repository"
    config.myst_substitutions["launch"] = "; the buttons at the top of its page start it on Binder or Colab" if address else ""


def read_again(app, env, added, changed, removed):
    """Pages that Sphinx does not know to be out of date.

    The first page always is: only when it writes a page does Sphinx copy a changed style sheet. So is the status, which is of
    this build, and what the package computes for a page.
    """
    return [app.config.root_doc, *(name for name in ["book/status", "book/rely"] if name in env.found_docs)]


def setup(app):
    """Register all of them with Sphinx."""
    app.connect("config-inited", link_repository, priority=100)  # before the theme and MyST look
    app.connect("html-page-context", mend_page, priority=900)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
