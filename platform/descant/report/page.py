"""The frame of a report: one HTML file without scripts or outside resources, light or dark as the system is."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1e23; --soft: #5d636e; --line: #dfe2e7; --tint: #f4f6f8;
  --good: #00694b; --bad: #a84300; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171b; --ink: #e8eaed; --soft: #a3a9b3; --line: #33373e;
  --tint: #1e2126; --good: #4cc7a0; --bad: #f0975a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; }
.lead { font-size: 1.2rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
figcaption { margin-top: .3rem; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { caption-side: bottom; text-align: left; padding-top: .5rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: .5rem 0 1rem; } figure svg { display: block; width: 100%; max-width: 800px; height: auto; }
figure img { display: block; max-width: 100%; height: auto; }
details { margin: .6rem 0; } summary { cursor: pointer; }
pre { background: var(--tint); padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; line-height: 1.45;
  border-radius: 4px; }
""".strip()


@dataclass(frozen=True)
class Markup:
    """HTML that is ready to stand in a page: every text in it that came from outside is escaped."""

    html: str


Content = Markup | str


def escaped(content: Content) -> str:
    """Return HTML for markup as it is and for any other text with its special characters escaped."""
    return content.html if isinstance(content, Markup) else html.escape(content)


def element(tag: str, content: Content | Iterable[Content], css: str = "") -> Markup:
    """Return an element around contents; ``css`` is its class."""
    contents = [content] if isinstance(content, Markup | str) else content
    attribute = f' class="{html.escape(css)}"' if css else ""
    return Markup(f"<{tag}{attribute}>" + "".join(map(escaped, contents)) + f"</{tag}>")


def table(
    head: Sequence[str], rows: Iterable[Sequence[Content]], numbers: Iterable[int] = (), note: str = ""
) -> Markup:
    """Return a table whose first column names the rows; the columns counted in ``numbers`` are set as numbers.

    A row of a single cell goes over all columns: it names the rows that follow.
    """
    right = set(numbers)
    heads = [element("th", text, "number" if i in right else "") for i, text in enumerate(head)]
    body = []
    for row in rows:
        cells = [element("td" if i else "th", cell, "number" if i in right else "") for i, cell in enumerate(row)]
        if len(row) == 1:
            cells = [Markup(f'<th colspan="{len(head)}">{escaped(row[0])}</th>')]
        body.append(element("tr", cells))
    caption = [element("caption", note)] if note else []
    parts = [*caption, element("thead", element("tr", heads)), element("tbody", body)]
    return element("div", element("table", parts), "wide")


def figure(drawing: str, caption: str = "") -> Markup:
    """Return a figure around an SVG or image element."""
    return element("figure", [Markup(drawing), *([element("figcaption", caption)] if caption else [])])


def picture(png: bytes, caption: str) -> Markup:
    """Return a figure around a PNG that becomes a part of the page; the caption is read to those who do not see it."""
    data = base64.b64encode(png).decode("ascii")
    image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(caption)}">'
    return figure(image, caption)


def folded(title: str, text: str) -> Markup:
    """Return a preformatted text that opens on a click."""
    return element("details", [element("summary", title), element("pre", text)])


def page(title: str, body: Iterable[Markup]) -> str:
    """Return the whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
        + "\n".join(part.html for part in body)
        + "\n</body>\n</html>\n"
    )
