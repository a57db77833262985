"""The style of every picture, and its output as SVG text or PNG bytes, the same each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2933"
QUIET = "#7b8794"
FAINT = "#d9dee4"
BLUE = "#0b63a5"
ORANGE = "#c2510a"
BETTER = "#0a5c9c"
WORSE = "#b8480a"
SERIES = (BLUE, ORANGE, "#00795c", "#8f4a87", "#77690a", "#5b6770")
"""The colours of lines side by side, which people who see few colours tell apart, too."""

WIDE, NARROW = 9.2, 3.65
"""Widths of pictures in inches: for a screen of 960 pixels or more, and for a telephone."""

SMALL = 8.5
"""The size of the smallest letters in points, which are 11 pixels on either screen."""

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may have dollars
    "svg.hashsalt": "dropsmith",
}


@contextmanager
def drawing() -> Iterator[None]:
    """The house style for as long as a picture is drawn or written; nothing global stays."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):  # pyright: ignore[reportArgumentType] - its keys are literals
        yield


def blank(width: float, height: float, gap: float = 0.02, gap_below: float = 0.02) -> "Figure":
    """An empty figure of a size in inches, outside of any global list of figures.

    Args:
        width, height: in inches.
        gap: the share of a panel's width that is left between panels.
        gap_below: the same of its height.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(
        figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=gap, hspace=gap_below)
    )


def svg(figure: "Figure") -> str:
    """The picture as SVG, without a date, so that equal records make equal pages."""
    buffer = BytesIO()
    with drawing(), catch_warnings():
        # Names may have letters that the font has not; they are on the page as text.
        filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().decode()


def png(figure: "Figure", dots_per_inch: int = 110) -> bytes:
    """The picture as PNG."""
    buffer = BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return buffer.getvalue()
