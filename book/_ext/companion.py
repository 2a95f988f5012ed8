"""Small repairs to the book's build."""

import re
from pathlib import Path


def drop_thebe(app, pagename, templatename, context, doctree):
    """Leave out sphinx-thebe, which we do not use: it adds a script twice, an error in the browser, and a foreign address."""

    def used(script) -> bool:
        return "thebe" not in f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', '')}".lower()

    context["script_files"] = [script for script in context.get("script_files", []) if used(script)]


def read_again(app, env, added, changed, removed):
    """Pages that Sphinx does not know to be out of date.

    The first page always is: only when it writes a page does Sphinx copy a changed style sheet. Where a notebook has
    changed, so are the pages that show its numbers.
    """
    again = [app.config.root_doc]
    if any(name.startswith("notebooks/") for name in added | changed):
        pages = {name: Path(env.doc2path(name)) for name in env.found_docs if name.startswith("book/")}
        again += [name for name, path in pages.items() if "{glue:" in path.read_text(encoding="utf-8")]
    return again


def drop_plain(app, pagename, templatename, context, doctree):
    """Leave out the PNG that a figure carries for notebooks that are shown without its SVG."""
    context["body"] = re.sub(r'<img class="bn-plain"[^>]*>', "", context.get("body", ""))


def setup(app):
    """Register them with Sphinx."""
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", drop_plain)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
