"""The image of a cluster's nodes, as far as it can be judged without building it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKERFILE = REPOSITORY / "cluster" / "manifests" / "Dockerfile"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, its words) with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def problems(text: str, repository: Path) -> list[str]:
    """Return what is wrong with a Dockerfile, one line each."""
    steps = instructions(text)
    found = [f"{source} is not there" for source in copied(steps) if not (repository / source).exists()]
    found += [f"{base} has no version" for kind, base in steps if kind == "FROM" and not re.search(r":\S", base)]
    found += [f"{base} names a registry" for kind, base in steps if kind == "FROM" and "/" in base]
    for kind, words in steps:
        if kind == "RUN" and "pip install" in words and "--constraint constraints.txt" not in words:
            found.append("pip installs what constraints.txt does not name")
        if kind in ("ENV", "ARG") and re.search(r"(?i)token=\S|password|secret", words.replace("MODE=token", "")):
            found.append("a secret would be in the image")
    users = [words for kind, words in steps if kind == "USER"]
    if not users or users[-1] in ("0", "root"):
        found.append("its processes are root's")
    return found


def copied(steps: list[tuple[str, str]]) -> list[str]:
    """Return what is copied into the image."""
    return [source for kind, words in steps if kind in ("COPY", "ADD") for source in words.split()[:-1]]


def test_the_dockerfile_is_sound() -> None:
    assert problems(DOCKERFILE.read_text(), REPOSITORY) == []


def test_everything_that_builds_the_wheel_is_copied() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    (packages,) = re.findall(r"^packages = (\[.*\])$", project, re.MULTILINE)
    (readme,) = re.findall(r'^readme = "(.*)"$', project, re.MULTILINE)
    needed = {"pyproject.toml", "constraints.txt", readme, "LICENSE"}
    needed |= {package.split("/")[0] for package in json.loads(packages)}
    assert needed == set(copied(instructions(DOCKERFILE.read_text())))


def test_its_python_is_one_that_is_tried() -> None:
    (version,) = re.findall(r"^ARG PYTHON=(3\.\d+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert f"python_full_version >= '{version}'" in (REPOSITORY / "constraints.txt").read_text()


@pytest.mark.parametrize(
    ("line", "by", "says"),
    [
        ("USER 1000", "", "root's"),
        ("USER 1000", "USER root", "root's"),
        ("COPY platform platform", "COPY platforms platform", "platforms is not there"),
        ("--constraint constraints.txt ", "", "does not name"),
        (":${PYTHON}-slim", "", "has no version"),
        ("RAY_AUTH_MODE=token", "RAY_AUTH_TOKEN=abc", "a secret"),
    ],
)
def test_each_fault_is_found(line: str, by: str, says: str) -> None:
    text = DOCKERFILE.read_text()
    assert line in text
    assert any(says in problem for problem in problems(text.replace(line, by), REPOSITORY))
