"""Links into the repository: a run to its folder, a commit to its page, if the repository has an address; plain text if not.

The address is one setting, `repository: url:` in _config.yml, empty as long as it is not known where the repository will live.
"""

import re
from urllib.parse import quote

from markupsafe import Markup, escape

from bnlib import store


def repository() -> tuple[str, str]:
    """The repository's address and branch as `_config.yml` has them; the address is "" if there is none."""
    settings = store.ROOT / "_config.yml"
    text = settings.read_text(encoding="utf-8") if settings.exists() else ""
    block = re.search(r"^repository:\n((?: .*\n)+)", text, flags=re.M)
    found = dict(re.findall(r"^ +(\w+): *[\"']?([^\"'\s#]*)", block[1] if block else "", flags=re.M))
    return found.get("url", "").rstrip("/"), found.get("branch", "main")


def run(name: str) -> Markup:
    """The run's name as HTML, linked to its folder in the repository; plain if it is not one of the committed runs."""
    address, branch = repository()
    committed = (store.results_folder() / name / "run.json").exists()
    return _link(name, f"{address}/tree/{branch}/results/{quote(name)}" if address and committed else "")


def commit(sha: str) -> Markup:
    """A commit's first eight digits as HTML, linked to the commit; plain if it is no commit's name, such as `unknown`."""
    address, _ = repository()
    return _link(sha[:8], f"{address}/commit/{sha}" if address and re.fullmatch(r"[0-9a-f]{40}", sha) else "")


def _link(text: str, to: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(to, text) if to else escape(text)
