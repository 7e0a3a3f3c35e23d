"""``report.html`` of a run: one file that can be sent by mail."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant.files import write_text
from descant.report.files import as_yaml
from descant.report.numbers import DASH, counted, duration, number, whole
from descant.report.page import Markup, element, figure, folded, page, picture, table
from descant.report.run_folder import RunRecord, read_run

REPORT = "report.html"
CHANCE_NOTE = (
    "Chance is what always answering the same reaches: for an accuracy the share of the commonest class of the "
    "training split, over attributes the commoner answer to each in what was evaluated last; for a balanced accuracy "
    "one over the number of classes."
)


def write_run_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder from the files in it, and return its path.

    Raises:
        UserError: the folder is no run, or one of its files is not what the run contract says.
    """
    run = read_run(folder)
    path = folder / REPORT
    write_text(path, page(f"Run {folder.name}", _run_body(run)))
    return path


def _run_body(run: RunRecord) -> list[Markup]:
    body = [element("h1", f"Run {run.folder.name}"), _headline(run), _run_facts(run)]
    body += [element("h2", "Results"), _results(run), element("h2", "Curves"), *_curves(run)]
    body += [*_details(run), *_pictures(run)]
    body += [element("h2", "Data"), _data(run), element("h2", "How it was made")]
    body.append(folded("Recipe", as_yaml(run.recipe)))
    body.append(folded("Environment", json.dumps(run.environment, indent=2, ensure_ascii=False)))
    return body


def _curves(run: RunRecord) -> list[Markup]:
    from descant.report.drawing import inline_svg
    from descant.report.run_figures import course_figure, stopping_figure, task_figures

    body: list[Markup] = []
    for position, (task, drawn) in enumerate(task_figures(run).items()):
        known = [str(run.tasks[task].get("role", "")), _weight(run, task)]
        told = ", ".join(filter(None, known))
        body.append(element("h3", f"{task} ({told})" if told else task))
        body.append(figure(inline_svg(drawn, f"task{position}", html.escape(f"curves of {task}"))))
    if body:
        body.append(element("p", "The dashed line marks the best epoch: its checkpoint gives the results.", "soft"))
    stopping = stopping_figure(run)
    if stopping is not None:
        svg = inline_svg(stopping, "stopping", "when each task trained, and what stop rules went by")
        body += [element("h3", "When tasks stopped"), figure(svg)]
    course = course_figure(run)
    if course is not None:
        caption = "Means per epoch. Speed and waiting are of training alone, without the evaluations."
        svg = inline_svg(course, "course", "learning rate, speed and waiting for data")
        body += [element("h3", "How the training went"), figure(svg, caption)]
    return body


def _details(run: RunRecord) -> list[Markup]:
    """Show what the tasks' metrics are made of."""
    from descant.report.detail_figures import MOST_BARS, detail_figures, detail_split, left_out
    from descant.report.drawing import inline_svg

    body: list[Markup] = []
    for position, (task, drawn) in enumerate(detail_figures(run).items()):
        svg = inline_svg(drawn, f"detail{position}", html.escape(f"what the metrics of {task} are made of"))
        body += [element("h3", task), figure(svg)]
    for task, count in left_out(run).items():
        body.append(
            element(
                "p", f"{task} would have {count} bars, more than {MOST_BARS}: details.json holds the numbers.", "soft"
            )
        )
    if not body:
        return []
    split = detail_split(run)
    about = f"On the {split} split, by the best checkpoint. A dashed line is the metric itself."
    return [element("h2", "What the metrics are made of"), *body, element("p", about, "soft")]


def _weight(run: RunRecord, task: str) -> str:
    """Tell the weight of a task's loss where it stayed the same; a figure tells it where it did not."""
    weights = set(run.curve("train", task, "weight").values())
    return f"weight {whole(weights.pop())}" if len(weights) == 1 else ""


def _pictures(run: RunRecord) -> list[Markup]:
    """Show the latest picture of each task that gives its input back."""
    body: list[Markup] = []
    for task in run.tasks:
        path = run.folder / "pictures" / f"{task}.png"
        if path.is_file():
            caption = f"{task}, a row per sample: the input left, its reconstruction right, at the latest evaluation."
            body.append(picture(path.read_bytes(), caption))
    return [element("h2", "Pictures"), *body] if body else []


def _headline(run: RunRecord) -> Markup:
    main = run.summary.get("main") or {}
    task, metric = run.main
    if run.summary.get("error"):
        return element("p", [f"This run {run.status}: ", element("span", str(run.summary["error"]), "bad")], "lead")
    if main.get("value") is None:
        return element("p", f"This run is {run.status}; it has no value of its main metric yet.", "lead")
    value = element("strong", number(float(main["value"])))
    start = f"{task} reached {metric} "
    return element("p", [start, value, f" on validation at epoch {whole(main.get('epoch'))}."], "lead")


def _run_facts(run: RunRecord) -> Markup:
    resumed = int(run.summary.get("resumed") or 0)
    facts = [
        run.status,
        f"seed {run.seed}",
        duration(run.summary.get("wall_s")),
        f"{number(run.summary.get('throughput_samples_s'))} samples/s",
    ]
    facts += [f"resumed {counted(resumed, 'time')}"] if resumed else []
    facts += [f"{counted(run.broken_lines, 'unreadable line')} in metrics.jsonl"] if run.broken_lines else []
    counts = "Time and samples/s count training with its evaluations, without the start-up."
    return element("p", [" · ".join(facts), Markup("<br>"), counts], "soft")


def _results(run: RunRecord) -> Markup:
    rows: list[list[str]] = []
    for task, described in run.tasks.items():
        best, test = described.get("best") or {}, described.get("test") or {}
        chances = described.get("chance") or {}
        for metric in dict.fromkeys([*best, *test]):
            numbers = [number(values.get(metric)) for values in (best, test, chances)]
            rows.append([task, str(described.get("role", "")), metric, *numbers, _stopped(described)])
    head = ["task", "role", "metric", "validation", "test", "chance", "stopped"]
    dropped = [column for column in (5, 6) if not any(row[column].strip(DASH) for row in rows)]
    kept = [column for column in range(len(head)) if column not in dropped]
    numbers_at = range(3, 6 - (5 in dropped))
    note = "" if 5 in dropped else CHANCE_NOTE
    return table([head[i] for i in kept], [[row[i] for i in kept] for row in rows], numbers_at, note)


def _stopped(described: Mapping[str, Any]) -> str:
    stopped = described.get("stopped")
    return f"epoch {whole(stopped.get('epoch'))}: {stopped.get('rule')}" if stopped else ""


def _data(run: RunRecord) -> Markup:
    data = run.summary.get("data") or {}
    rows = [["data set", str(run.recipe.get("data", ""))]]
    names = {"consumed": "samples consumed", "passes": "passes over the data", "quarantined": "samples quarantined"}
    rows += [[label, whole(data[key]) if isinstance(data[key], int | float) else json.dumps(data[key])]
             for key, label in names.items() if key in data]  # fmt: skip
    waits = run.curve("train", None, "data_wait_share")
    if waits:
        rows.append(["share of time waiting for data", number(sum(waits.values()) / len(waits))])
    return table(["", ""], rows)
