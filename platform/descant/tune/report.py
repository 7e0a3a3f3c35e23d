"""``report.html`` of a study: one file that can be sent by mail."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from descant.files import write_text
from descant.report.drawing import inline_svg
from descant.report.files import as_yaml
from descant.report.html import REPORT
from descant.report.page import Content, Markup, element, figure, folded, page, table
from descant.tune.results import Results
from descant.tune.sentences import CAUTION, cells, findings, heads, shown, statuses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "importance": ("What mattered", "Of each key alone, the adjusted share of the variance of the trials' ranks that "
                   "it explains: 0 is chance. What keys do only together is not seen."),
    "values": ("Values that were tried", "A dot for each trial; a cross where it was stopped early."),
    "front": ("The front of the tasks", "Each dot is a trial at its best epoch by the main task; no other one beats "
              "those on the front in all of the metrics."),
    "courses": ("Courses", "Each line is a trial; the strong one is the best."),
    "weights": ("Values over time", "What each trial trained with; a jump is where it took over another one's "
                "checkpoint. The wide grey line is the history of the best model, through all trials it went."),
}  # fmt: skip


def write_study_report(folder: Path, found: Results, figures: dict[str, Figure]) -> Path:
    """Write ``report.html`` into a study's folder and return its path."""
    path = folder / REPORT
    title = f"Study {folder.name}"
    write_text(path, page(title, _body(found, title, figures)))
    return path


def _body(found: Results, title: str, figures: dict[str, Figure]) -> list[Markup]:
    settings = found.plan.settings
    facts = f"{statuses(found)} · search {settings.search.name} · scheduler {settings.scheduler_name}"
    body = [element("h1", title), *(element("p", text, "lead") for text in findings(found)[:1])]
    body += [element("p", text) for text in findings(found)[1:]]
    body += [element("p", facts, "soft"), element("p", CAUTION, "soft")]
    body += [element("h2", "Trials"), _table(found)]
    for name, drawn in figures.items():
        heading, caption = TITLES[name]
        body += [element("h2", heading), figure(inline_svg(drawn, name, html.escape(heading)), caption)]
    failed = [[str(trial.number), text] for trial in found.trials for text in trial.errors]
    if failed:
        body += [element("h2", "Failures"), table(["trial", "why"], failed)]
    body.append(element("h2", "How it was made"))
    body.append(folded("Search space", as_yaml(settings.space.plain())))
    body.append(folded("Recipe without the values of a trial", as_yaml(found.plan.base.plain)))
    return body


def _table(found: Results) -> Markup:
    rows: list[list[Content]] = [[*cells(found, trial)] for trial in found.trials]
    note = "On the validation split, at each trial's best epoch by the main task, whose checkpoint it has kept."
    note += " A star: on the front of the tasks." if found.front else ""
    return table(heads(found), rows, range(2, 3 + len(shown(found))), note)
