"""``descant new task``: what it writes trains, passes its own test, and reads the data set that it was written for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from descant import train
from descant.cli.main import main
from descant.data.description import Field
from descant.demo.samples import make_samples

SHRUNK = ["run=inline", "trainer.steps=2", "trainer.batch_size=4", "trainer.loader_workers=0"]
FACES = {
    "image": Field("image", "png"),
    "landmarks": Field("points", shape=(5, 2)),
    "hat": Field("class", classes=("none", 'a "hat"')),
    "age": Field("number"),
}
CHOSEN = {"hat": "Classification", "age": "Regression", "landmarks": "Landmarks"}


def test_what_is_written_passes_its_own_tests_and_what_comes_next_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "task", "hidden_parts"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "next:",
        "  python -m pytest test_hidden_parts.py",
        "  descant train hidden_parts.yaml",
        "  descant compare hidden_parts.yaml --arms tasks.hidden_parts.weight=0,0.1 --seeds 3",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        "hidden_parts.py",
        "hidden_parts.yaml",
        "test_hidden_parts.py",
    }
    make_samples(Path("faces"), FACES)
    assert main(["new", "task", "headgear", "--data", "faces", "--label", "hat"]) == 0
    text = Path("test_headgear.py").read_text()
    assert all(f'"{field}"' in text for field in ("image", "landmarks", "hat")) and '"age"' not in text
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.parametrize("label", CHOSEN)
def test_the_kind_is_what_the_label_asks_for_and_the_recipe_trains_on_the_data_set(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_samples(Path("faces"), FACES)
    name = f"my_{label}"
    assert main(["new", "task", name, "--data", "faces", "--out", "own", "--label", label]) == 0
    module = Path("own", f"{name}.py").read_text()
    assert f"({CHOSEN[label]}):" in module and len(module.splitlines()) <= 15
    run = train(f"own/{name}.yaml", SHRUNK)
    assert run.summary["tasks"][name]["role"] == "auxiliary"
    assert run.summary["main"]["task"] == "face_landmarks"


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"table": Field("array", "npy", shape=(6,)), "price": Field("number")}, "price"),
        ({"table": Field("array", "npy", shape=(6,)), "price": Field("number")}, None),
        ({"left": Field("image", "png"), "right": Field("image", "jpg")}, None),
        ({"sound": Field("audio", "wav", rate_hz=8000), "bird": Field("class", classes=("owl", "lark"))}, "bird"),
    ],
    ids=["table", "table without labels", "two images", "sound"],
)
def test_without_a_recipe_that_fits_the_task_stands_alone(
    fields: dict[str, Field], label: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_samples(Path("data"), fields)
    asked = ["--label", label] if label is not None else []
    name = "_".join(["lonely", *fields, *asked[1:]])  # names stay registered in this process
    assert main(["new", "task", name, "--data", "data", *asked]) == 0
    summary = train(f"{name}.yaml", SHRUNK).summary
    assert summary["main"]["task"] == name and list(summary["tasks"]) == [name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["two words"], "cannot be the name of a task"),
        (["class"], "cannot be the name of a task"),
        (["genre"], "is the name of a task already"),
        (["demo"], "is the name of a shipped recipe already"),
        (["json"], "is the name of a Python module already"),
        (["fresh", "--label", "hat"], "give the data set too"),
        (["fresh", "--data", "nowhere"], "nowhere"),
        (["fresh", "--data", "faces", "--label", "hut"], "did you mean 'hat'?"),
        (["fresh", "--data", "faces", "--label", "image"], "has no label 'image'"),
        (["fresh", "--out", "faces/dataset.json"], "nothing can be written"),
        (["there"], "is there already"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_samples(Path("faces"), FACES)
    Path("test_there.py").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", "task", *words]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1 and said in printed[0]
    assert sorted(tmp_path.rglob("*")) == before
