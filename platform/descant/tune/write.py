"""The files of a study: study.json, trials.csv, best.yaml, figures and report.html."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from descant.files import write_text
from descant.recipe.compose import set_key
from descant.report.drawing import save
from descant.report.files import as_yaml
from descant.run.folder import RunFolder
from descant.tune.figures import study_figures
from descant.tune.report import write_study_report
from descant.tune.results import Result, Results
from descant.tune.study import Study

BEST, TRIALS = "best.yaml", "trials.csv"


def write_results(study: Study, found: Results, status: str) -> Path:
    """Write all files of a study and return the report's path."""
    study.write(status, found.plain())
    write_text(study.folder / TRIALS, _csv(found))
    write_best(study, found)
    figures = study_figures(found)
    for name, figure in figures.items():
        save(figure, study.folder / f"{name}.png")
        save(figure, study.folder / f"{name}.svg")
    return write_study_report(study.folder, found, figures)


def write_best(study: Study, found: Results) -> None:
    """Write ``best.yaml``, the best trial's recipe, which trains as it is; of a population its values over time."""
    best = found.best
    if best is None:
        return
    recipe = RunFolder(best.folder).read_recipe()
    for key, value in _scheduled(best).items():
        set_key(recipe, key, value)
    recipe["name"] = f"{study.folder.name}-best"
    recipe["run"] = {**study.plan.base.run.plain, "name": None}
    if (best.folder / "plugins").is_dir():
        shutil.copytree(best.folder / "plugins", study.folder / "plugins", dirs_exist_ok=True)
    said = ", ".join(f"{each.name} {best.value(each):.6g}" for each in found.plan.objectives)
    head = f"# Trial {best.number} of the study {study.folder.name}, its best: {said} on validation"
    write_text(study.folder / BEST, f"{head}\n{as_yaml(recipe)}")


def _scheduled(best: Result) -> Mapping[str, Any]:
    """Return the values of a model that was trained with several, one after the other."""
    steps = {change["epochs"]: change["params"] for change in best.lineage}  # of one epoch the last
    if len(steps) < 2:
        return {}
    found = {}
    for key in best.params:
        values = [params[key] for params in steps.values()]
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        takes_schedule = key == "optimizer.lr" or key.endswith((".weight", ".gradient"))
        if numbers and takes_schedule and len(set(values)) > 1:
            found[key] = {"schedule": "piecewise", "epochs": list(steps), "values": values}
    return found


def _csv(found: Results) -> str:
    """Return the table of all trials, the best first, with every metric of the best epoch."""
    keys = found.plan.settings.space.keys
    metrics = sorted({name for trial in found.trials for name in trial.values})
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["trial", "status", "epochs", "best_epoch", *keys, *metrics, "errors"])
    for trial in found.trials:
        params = [_cell(trial.params[key]) for key in keys]
        values = [trial.values.get(name, "") for name in metrics]
        row: Sequence[Any] = [trial.number, trial.status, trial.epochs, trial.best_epoch or "", *params, *values]
        table.writerow([*row, "; ".join(trial.errors)])
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict, bool)) or value is None else value
