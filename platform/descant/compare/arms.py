"""The plan of a comparison: which runs there are, by arm and seed, and which of them are still to be made."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from descant.errors import UserError

OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""
LONGEST_NAME = 100  # characters of a run's name: file systems allow 255, and a log's name has a suffix
SET_BY_COMPARE = ("seed", "run.name", "run.dir")
RECIPE = "recipe"  # the key of --arms that chooses between recipes


@dataclass(frozen=True)
class Arm:
    """One way to run: overrides, ``key=value``, of a recipe of its own or the one that is given; named by them."""

    overrides: tuple[str, ...]
    recipe: str | None = None

    @property
    def name(self) -> str:
        return " ".join([Path(self.recipe).stem, *self.overrides] if self.recipe else self.overrides)


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan: ``overrides`` holds everything but where the run is written."""

    name: str
    arm: str
    seed: int
    recipe: str
    overrides: tuple[str, ...]


def parse_arms(given: Sequence[str]) -> list[Arm]:
    """Return the arms of ``KEY=V1,V2[,V3]`` values; several keys make the product, the last key varying fastest.

    The key ``recipe`` chooses between recipes, every other one is overridden.
    Commas inside brackets or quotes belong to a value. The first arm is the baseline.

    Raises:
        UserError: no key or value, fewer than two arms, the same arm or key twice, or a key that compare sets itself.
    """
    choices: list[list[str]] = []
    keys: list[str] = []
    for text in given:
        key, equals, values = text.partition("=")
        if not equals or not key.strip() or not values.strip():
            raise UserError(f"--arms {text!r} must be KEY=V1,V2: for example tasks.reconstruction.weight=0,10")
        keys.append(checked_key(key.strip()))
        choices.append([f"{key.strip()}={value}" for value in split_values(values)])
    if len(set(keys)) < len(keys):
        raise UserError(f"--arms names a key twice ({', '.join(keys)}): give all values of a key in one --arms")
    arms = [_arm(words) for words in itertools.product(*choices)]
    if len({arm.name for arm in arms}) < len(arms):
        raise UserError(f"--arms {' '.join(given)!r} has the same arm twice: take one of them out")
    if len(arms) < 2:
        raise UserError(f"--arms {' '.join(given)!r} makes {len(arms)} arm: give at least two values, KEY=V1,V2")
    return arms


def _arm(words: Sequence[str]) -> Arm:
    chosen = [word for word in words if word.startswith(f"{RECIPE}=")]
    recipe = chosen[0].partition("=")[2] if chosen else None
    return Arm(tuple(word for word in words if word not in chosen), recipe)


def split_values(text: str) -> list[str]:
    """Split at the commas that are outside brackets and quotes: ``[64,64],[128]`` has two values."""
    values, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character in OPENING:
            depth += 1
        elif character in CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            values.append(text[start:position].strip())
            start = position + 1
    values.append(text[start:].strip())
    if depth or quote or not all(values):
        raise UserError(f"the values {text!r} have an open bracket or quote or an empty value: write V1,V2")
    return values


def checked_key(key: str) -> str:
    """Return an override's key, refusing those that compare sets for each run itself."""
    if key.lstrip("+") in SET_BY_COMPARE:
        raise UserError(f"{key!r} is set by compare itself: choose seeds by --seeds, the folder by --dir and --name")
    return key


def plan(arms: Sequence[Arm], seeds: int, overrides: Sequence[str], recipe: str) -> list[PlannedRun]:
    """Return the runs, seed by seed, so that an interrupted comparison already has pairs.

    An arm without a recipe of its own runs ``recipe``. Every run gets ``overrides``, then its arm's, then its seed;
    runs are ``run=inline`` unless ``overrides`` say other.
    """
    if seeds < 1:
        raise UserError(f"--seeds {seeds} is too few: give 1 or more (5 or more for a verdict worth having)")
    keys = {checked_key(override.partition("=")[0]) for override in overrides}
    shared = tuple(overrides) if "run" in keys else ("run=inline", *overrides)
    for key in sorted(keys & {override.partition("=")[0] for arm in arms for override in arm.overrides}):
        raise UserError(f"{key!r} is both in --arms and an override of every run: take it out of one of them")
    runs = [
        PlannedRun(
            name=run_name(arm.name, seed),
            arm=arm.name,
            seed=seed,
            recipe=arm.recipe or recipe,
            overrides=(*shared, *arm.overrides, f"seed={seed}"),
        )
        for seed in range(seeds)
        for arm in arms
    ]
    assert len({run.name for run in runs}) == len(runs), "two runs share a folder"
    return runs


def run_name(arm: str, seed: int) -> str:
    """Return a folder's name for an arm and a seed: ``weight=0`` with seed 3 is ``weight-0.seed-3``.

    A name that had to lose characters carries a digest of the arm, so that two arms never share a folder.
    """
    plain = arm.replace("=", "-").replace(" ", "_")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:LONGEST_NAME]
    if safe != plain:
        safe += "." + hashlib.sha256(arm.encode()).hexdigest()[:8]
    return f"{safe}.seed-{seed}"


def quoted(value: str) -> str:
    """Return a value as an override can carry it: quoted where it has characters of the override grammar."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", value):
        return value
    return "'" + value.replace("'", "\\'") + "'"
