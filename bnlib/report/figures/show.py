"""A figure in a page: a picture of lines and text with a caption, right on a light page and on a dark one."""

import base64
import hashlib
import html
import io
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree

from matplotlib.figure import Figure

from bnlib.report.figures.style import DARK, PAGE, house_style

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
LEGIBLE = 11  # px: no text of a figure gets smaller; where a page is too narrow for that, the figure scrolls in its box
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
NAME = re.compile(r"(?:ResNet|WRN|VGG)-\d+(?:-\d+(?:[.]\d+)?)?")

# A notebook has no style sheet of the book's: where its page is dark, it says so on its body. One that is not trusted is shown
# without any style and without SVG: then the SVG's box stays hidden, and the PNG is seen. (The book leaves out the PNG.)
_NOTEBOOK = (
    "<style>.bn-figure { margin: 1em 0; } .bn-plain { display: none; } .bn-scroll { display: block !important; overflow-x: auto; } "
    ".bn-figure svg { display: block; width: 100%; height: auto; } "
    ':is(body[data-jp-theme-light="false"], body.vscode-dark) .bn-figure { '
    + " ".join(f"{name}: {dark};" for name, dark in DARK.values())
    + " }</style>"
)


@dataclass
class Shown:
    """A figure with its caption, as notebooks and pages show it: see `show`."""

    figure: Figure | None
    caption: str = ""
    alt: str = ""
    name: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is no data in the figure."""
        return self.figure is None or not any(ax.has_data() for ax in self.figure.axes)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """The figure as HTML; as a PNG at twice the pixels, for where there is no HTML; and what it shows, in words."""
        if self.empty:
            return {"text/html": self._repr_html_(), "text/plain": self._sentence}
        return {"text/html": self._repr_html_(), "image/png": self._png, "text/plain": self.alt or self.caption}

    def _repr_html_(self) -> str:
        if self.empty:
            return f'<p class="bn-nothing">{_text(self._sentence)}</p>'
        alt, name = self.alt or self.caption, f' id="{html.escape(self.name)}"' if self.name else ""
        drawn = f'<div class="bn-scroll" style="display:none">{svg(self.figure, alt)}</div>'
        plain = f'<img class="bn-plain" alt="{html.escape(alt)}" width="600" src="data:image/png;base64,{self._png}">'
        caption = f"\n<figcaption>{_text(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure class="bn-figure"{name}>{_NOTEBOOK}\n{drawn}\n{plain}{caption}\n</figure>'

    @cached_property
    def _png(self) -> str:
        """The PNG in base64."""
        picture = io.BytesIO()
        with house_style():
            self.figure.savefig(picture, format="png", dpi=192)
        return base64.b64encode(picture.getvalue()).decode()

    @property
    def _sentence(self) -> str:
        return self.caption or self.alt or "Nothing has been run yet that could be shown here."


def show(figure: Figure | None, caption: str = "", alt: str = "", name: str = "") -> Shown:
    """The figure with its caption for the page, and for who cannot see it.

    figure: of one of the drawing functions. caption: a sentence or two, plain text. alt: what the figure shows, in words; if it
    is empty, what the drawing function made of its data (`figure.alt`). name: the id of the figure in its page, for links.
    A figure without data, and None, show the caption alone.
    """
    return Shown(figure, caption, alt or getattr(figure, "alt", ""), name)


def svg(figure: Figure, alt: str) -> str:
    """The figure as SVG to stand in a page: text is text, neutral colours are the page's, ids are of no other figure."""
    haloed = [one for one in figure.findobj(lambda artist: hasattr(artist, "get_text")) if one.get_path_effects()]
    effects = [one.get_path_effects() for one in haloed]
    for i, one in enumerate(haloed):  # matplotlib would draw them as outlines of letters; CSS has a halo of its own
        one.set_path_effects(None)
        one.set_gid(f"halo{i}")
    written = io.StringIO()
    with house_style():
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    for one, effect in zip(haloed, effects, strict=True):
        one.set_path_effects(effect)
    root = ElementTree.fromstring(written.getvalue())
    width, height = (float(number) for number in root.get("viewBox").split()[2:])
    used = re.findall(r'(?:url\(|href=")#(\w+)', written.getvalue())
    names = {one: f"\0-{i}" for i, one in enumerate(dict.fromkeys(used))}
    body = "".join(_element(child, names) for child in root)
    often = [style for style, n in Counter(re.findall(r' style="([^"]*)"', body)).items() if n > 1]
    for i, style in enumerate(often):
        body = body.replace(f' style="{style}"', f' class="\0c{i}"')
    # Names of their own, and no selector of two parts: that finds nothing in what <use> copies.
    rules = "".join(f".\0c{i}{{{style}}}" for i, style in enumerate(often))
    key = "b" + hashlib.sha256((rules + body).encode()).hexdigest()[:6]  # of the content: the same at each build
    sizes = [float(size) for size in re.findall(r"font-size:([\d.]+)px", rules + body)]
    least = LEGIBLE * width / min(sizes, default=LEGIBLE)
    shape = f"min-width:{math.ceil(least)}px;max-width:{1.45 * width:.0f}px;--bn-ratio:{width / height:.3f}"
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(alt)}" style="{shape}" '
        f'fill="{_colour("#000000")}" stroke-linejoin="round"><style>{rules}</style>{body}</svg>'
    ).replace("\0", key)


def _element(element: ElementTree.Element, names: dict[str, str]) -> str:
    """An element of matplotlib's SVG, in few words: what says nothing is left out. names: of the ids that are used."""
    tag, attributes = element.tag.removeprefix(SVG), dict(element.attrib)
    if tag in ("metadata", "style"):
        return ""
    style = dict(part.split(": ", 1) for part in attributes.pop("style", "").split("; ") if part)
    if tag == "use":  # its outline is that of the path it uses
        style = {key: value for key, value in style.items() if not key.startswith("stroke")}
    if tag == "path" and style.get("fill") == "none" and "stroke" not in style:
        return ""  # an empty background
    style.pop("font-family", None)  # the page's
    if clip := attributes.pop("clip-path", None):
        style["clip-path"] = re.sub(r"#(\w+)", lambda found: f"#{names[found[1]]}", clip)
    own, href = attributes.pop("id", ""), attributes.pop(HREF, "").removeprefix("#")
    inside = "".join(_element(child, names) for child in element) + html.escape((element.text or "").strip(), quote=False)
    if own.startswith("halo"):
        inside = inside.replace('style="', f'style="paint-order:stroke;stroke:{_colour(PAGE)};stroke-width:2.5;', 1)
    said = {"id": names.get(own), "href": names.get(href) and f"#{names[href]}"}
    for key, value in attributes.items():
        said[key] = _path(value) if key == "d" else re.sub(r"rotate\(-0 [^)]*\)", "", NUMBER.sub(_short, value)).strip()
    said["style"] = ";".join(f"{key}:{_colour(NUMBER.sub(_short, value))}" for key, value in style.items())
    said = "".join(f' {key}="{value}"' for key, value in said.items() if value)
    if tag in ("g", "defs") and (not inside or not said and tag == "g"):
        return inside
    return f"<{tag}{said}>{inside}</{tag}>" if inside else f"<{tag}{said}/>"


def _short(number: re.Match) -> str:
    """A number to a hundredth of a point."""
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _path(d: str) -> str:
    """The commands of a path in few characters: straight lines by how far they go, to a tenth of a point where they are many."""
    steps = [(command, [float(one) for one in numbers.split()]) for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", d)]
    digits = 1 if len(steps) > 40 else 2
    said, last, x, y = [], "", 0.0, 0.0
    for command, numbers in steps:
        numbers = [round(one, digits) for one in numbers]
        if command == "L":
            words = ("" if last == "L" else "l") + _joined(numbers[0] - x, numbers[1] - y, digits=digits, apart=last == "L")
        else:
            words = command + _joined(*numbers, digits=digits)
        if numbers:
            x, y = numbers[-2:]
        said.append(words)
        last = command
    return "".join(said)


def _joined(*numbers: float, digits: int, apart: bool = False) -> str:
    """Numbers of a path, with a space only where they would run into each other."""
    words = [f"{one:.{digits}f}".rstrip("0").rstrip(".") or "0" for one in numbers]
    words = ["0" if one == "-0" else one.replace("0.", ".", 1) if one.startswith(("0.", "-0.")) else one for one in words]
    return "".join(word if word.startswith("-") or (i == 0 and not apart) else f" {word}" for i, word in enumerate(words))


def _colour(value: str) -> str:
    """A colour that is another one where the page is dark as a variable of CSS; any other value as it is."""
    name, _ = DARK.get(value.upper(), (None, None))
    return f"var({name},{value.lower()})" if name else value


def _text(words: str) -> str:
    """Words for HTML; the names of networks do not break over lines."""
    return NAME.sub(r'<span style="white-space:nowrap">\g<0></span>', html.escape(words, quote=False))
