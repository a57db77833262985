"""Pictures inside the page: drawn for wide and for narrow screens, in its colours, with values."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from dropsmith.errors import printable
from dropsmith.report.figures import (
    BETTER,
    FAINT,
    INK,
    NARROW,
    QUIET,
    SERIES,
    WIDE,
    WORSE,
    svg,
)
from dropsmith.report.html import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[float], "Figure | None"]
"""A function that draws a picture of a width in inches; None where there is nothing to draw."""

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_VARIABLES = {
    INK: "ink",
    QUIET: "quiet",
    FAINT: "line",
    "#ffffff": "page",
    BETTER: "better",
    WORSE: "worse",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)},
}
_TIP = "tip:"


def tip(artist: Any, text: str) -> None:
    """Show a text while the pointer is over a part of a picture."""
    artist.set_gid(_TIP + printable(text))


def picture(name: str, draw: Draw, alt: str, caption: str) -> str:
    """A picture inside the page for either width, with words for those who do not see it.

    Args:
        name: of the picture, which no other of the page has.
        draw: draws it.
        alt: its content in words.
        caption: below it.
    """
    figures = {"wide": draw(WIDE), "narrow": draw(NARROW)}
    drawn = [
        inline_svg(figure, f"{name}-{width}", f"picture-{width}", alt)
        for width, figure in figures.items()
        if figure is not None
    ]
    if not drawn:
        return ""
    parts = "\n".join(drawn)
    return f"<figure>\n{parts}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def inline_svg(figure: "Figure", prefix: str, kind: str, alt: str) -> str:
    """A figure as an SVG element of the page, its colours the page's, its ids with a prefix."""
    for short, namespace in (("", _SVG), ("xlink", _LINK)):
        ElementTree.register_namespace(short, namespace)
    root = ElementTree.fromstring(svg(figure))
    for name in ("width", "height"):
        del root.attrib[name]
    root.attrib |= {"class": kind, "role": "img", "aria-label": printable(alt)}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, prefix)
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(element: ElementTree.Element, prefix: str) -> None:
    name = element.attrib.get("id", "")
    if name.startswith(_TIP):
        del element.attrib["id"]
        title = ElementTree.Element(f"{{{_SVG}}}title")
        title.text = name.removeprefix(_TIP)
        element.insert(0, title)
    elif name:
        element.attrib["id"] = f"{prefix}-{name}"
    for key, value in element.attrib.items():
        if key == f"{{{_LINK}}}href" and value.startswith("#"):
            element.attrib[key] = f"#{prefix}-{value[1:]}"
        elif key == "clip-path":
            element.attrib[key] = value.replace("url(#", f"url(#{prefix}-")
        elif key == "style":
            element.attrib[key] = _style(value)


def _style(text: str) -> str:
    """A style with the page's colours and letters."""
    text = re.sub("#[0-9a-f]{6}", lambda match: _variable(match[0]), text)
    return re.sub("font-family: [^;]*", "font-family: system-ui, sans-serif", text)


def _variable(colour: str) -> str:
    return f"var(--{_VARIABLES[colour]})" if colour in _VARIABLES else colour
