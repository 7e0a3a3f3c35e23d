"""What a study came to, in sentences and in the rows of its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from descant.report.numbers import counted, number
from descant.tune.results import Result, Results
from descant.values import written

CAUTION = (
    "Values are of the validation split, of which the best trial is the luckiest too: to know how good it is, train "
    "best.yaml with other seeds, and look at its test split."
)


def findings(found: Results) -> list[str]:
    """Return sentences about the best trial, the front, what mattered, and what went wrong."""
    told = []
    best = found.best
    if best is None:
        told.append("No trial has come to a result.")
    else:
        values = ", ".join(f"{each.name} {number(best.value(each))}" for each in found.plan.objectives)
        told.append(
            f"Best is trial {best.number} with {values} after epoch {best.best_epoch}: {settings(best.params)}."
        )
    if found.front:
        names = " and ".join(each.name for each in found.plan.front_of)
        told.append(f"No trial beats {', '.join(map(str, found.front))} in {names} together: the Pareto front.")
    for name, shares in found.importance.items():
        most = [f"{key} {share:.0%}" for key, share in shares.items() if share >= 0.05]
        what = ", ".join(most) if most else "no key by itself"
        told.append(f"What made {name} differ between trials: {what}.")
    swaps = sum(len(trial.changes) - 1 for trial in found.trials if trial.changes)
    if found.plan.settings.scheduler.is_population:
        told.append(f"Checkpoints were taken over {counted(swaps, 'time')}.")
    return told + failures(found)


def failures(found: Results) -> list[str]:
    """Return a sentence about trials that failed, and one about failures that a second try has mended."""
    told = []
    if found.failed:
        why: dict[str, list[str]] = {}
        for trial in found.failed:
            why.setdefault(trial.errors[-1] if trial.errors else "no reason given", []).append(str(trial.number))
        first = [*why.items()][:3]
        which = "; ".join(f"trial{'s' * (len(of) > 1)} {', '.join(of)}: {error}" for error, of in first)
        more = f"; and {len(why) - 3} more reasons" if len(why) > 3 else ""
        raised = found.plan.settings.retries + 1
        told.append(
            f"{len(found.failed)} of {counted(len(found.trials), 'trial')} failed and do not count ({which}{more}): "
            f"the same command with tune.retries={raised} tries them again."
        )
    mended = [trial for trial in found.trials if trial.errors and trial.status != "failed"]
    if mended:
        told.append(f"Tried again after failures: {', '.join(f'trial {trial.number}' for trial in mended)}.")
    return told


def statuses(found: Results) -> str:
    """Return how many trials ended how: ``12 finished, 7 stopped early``."""
    words = {"stopped": "stopped early", "waiting": "to go on", "running": "to go on"}
    counts = Counter(words.get(trial.status, trial.status) for trial in found.trials)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def heads(found: Results) -> list[str]:
    """Return the heads of the table."""
    metrics = [each.name for each in shown(found)]
    return ["trial", "status", "epochs", *metrics, *found.plan.settings.space.keys]


def cells(found: Results, trial: Result) -> list[str]:
    """Return a trial's row of the table; on the front its number has a star."""
    star = "*" if trial.number in found.front else ""
    metrics = [number(trial.values.get(each.name)) for each in shown(found)]
    params = [value_text(trial.params[key]) for key in found.plan.settings.space.keys]
    return [f"{trial.number}{star}", trial.status, str(trial.epochs), *metrics, *params]


def shown(found: Results) -> list[Any]:
    """Return the metrics of the table: what is searched, then the tasks' first ones."""
    return list(dict.fromkeys([*found.plan.objectives, *found.plan.front_of]))


def settings(params: Mapping[str, Any]) -> str:
    """Return a trial's values as overrides: ``tasks.smile.weight=0.31``."""
    return ", ".join(f"{key}={value_text(value)}" for key, value in params.items())


def value_text(value: Any) -> str:
    """Return one value, a number with as many digits as tell something."""
    return f"{value:.4g}" if isinstance(value, float) else written(value)
