"""Small repairs to the book's build."""

from pathlib import Path


def drop_unused(app, pagename, templatename, context, doctree):
    """Leave out scripts that no page uses.

    sphinx-thebe adds one twice, an error in the browser, and a foreign address. The state of widgets, which papermill keeps with a
    notebook, is twice the explorer that the page has as HTML.
    """

    def used(script) -> bool:
        said = f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', '')}".lower()
        return "thebe" not in said and "widget-state+json" not in said

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


def setup(app):
    """Register them with Sphinx."""
    app.connect("html-page-context", drop_unused, priority=900)
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
