"""One look for all figures: a colour-blind-safe palette, light frames, and SVG that follows a page's colours."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without yellow (too faint on white) and black (unseen on dark pages); blue and orange first
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINES = ("solid", "dashed", "dotted", "dashdot")
INK, FAINT = "#1b1e23", "#8a8f98"  # text; grid and frames, visible on light and dark
WIDTH_IN = 8.0  # 800 pixels at DPI
DPI = 100
STYLE: Any = {  # the keys are matplotlib's
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "text.parse_math": False,  # names of arms and metrics are text, dollar signs too
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and coloured by the page
    "svg.hashsalt": "descant",  # the same figure gives the same file
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style, without a window, whatever the user's matplotlib settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def panels(count: int, columns: int = 2, height_in: float = 2.7) -> tuple[Figure, list[Axes]]:
    """Return a figure of 800 pixels' width and its first ``count`` axes; axes left over are taken out."""
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH_IN, height_in * rows))
    axes = [axis for row in figure.subplots(rows, columns, squeeze=False) for axis in row]
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def colour(position: int) -> str:
    """Return the colour of the position-th line; after the palette's end it starts again (see ``line``)."""
    return PALETTE[position % len(PALETTE)]


def line(position: int) -> str:
    """Return the line style that, together with ``colour``, tells up to 24 lines apart."""
    return LINES[position // len(PALETTE) % len(LINES)]


def epoch_axis(axis: Axes) -> None:
    """Label the horizontal axis as epochs, with whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def wrapped(title: str) -> str:
    """Return a title in lines that fit a panel of half the figure's width."""
    return "\n".join(textwrap.wrap(title, 34, break_long_words=False))


def save(figure: Figure, path: Path) -> Path:
    """Write a figure on white, as SVG or PNG by the path's ending, whole or not at all."""
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with drawing(), whole_file(path) as file:
        figure.savefig(file, format=path.suffix[1:], facecolor="white", metadata=metadata)
    return path


def inline_svg(figure: Figure, prefix: str, title: str) -> str:
    """Return a figure as an SVG element for an HTML page: no background, text in the page's colour.

    ``prefix`` sets its element ids apart from those of the page's other figures; ``title`` is read to those who do not
    see it (already escaped for HTML).
    """
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = svg.replace(INK, "currentColor")
    return re.sub(r"<svg ([^>]*)>", rf'<svg role="img" aria-label="{title}" \1>', svg, count=1)
