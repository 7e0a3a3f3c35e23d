"""Every shipped recipe trains, shrunk to seconds, on data that goes the real way: raw layout, packed, streamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant import load, train
from descant.demo import make_faces, make_music
from descant.pack.fma import pack_fma
from descant.pack.mtfl import pack_mtfl
from descant.recipe import shipped_recipes

SHRUNK = ["run=inline", "trainer.epochs=2", "trainer.batch_size=8", "trainer.loader_workers=0"]
MUSIC = ["inputs.mel.crop_frames=32", "trunk.hidden=[16]"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demo corpus, small."""
    folder = tmp_path_factory.mktemp("data")
    make_music(folder / "raw-music", tracks=40, seconds=6.0, jobs=1)
    make_faces(folder / "raw-faces", train=40, test=20, jobs=1)
    pack_fma(folder / "raw-music", folder / "music", mels=True, jobs=1)
    pack_mtfl(folder / "raw-faces", folder / "faces", jobs=1)
    return {"music": folder / "music", "faces": folder / "faces"}


@pytest.mark.parametrize("recipe", shipped_recipes())
def test_a_shipped_recipe_trains_evaluates_and_comes_back(recipe: str, data: dict[str, Path], tmp_path: Path) -> None:
    faces = recipe.startswith("face")
    overrides = [
        f"data={data['faces' if faces else 'music']}",
        f"run.dir={tmp_path}",
        *SHRUNK,
        *([] if faces else MUSIC),
    ]
    run = train(recipe, overrides)
    summary = run.summary
    assert run.status == summary["status"] == "finished"
    main = summary["main"]
    assert summary["tasks"][main["task"]]["role"] == "main"
    assert summary["data"]["passes"] == pytest.approx(2.0)
    for name in ("recipe.yaml", "environment.json", "metrics.jsonl", "report.html", "tensorboard", "checkpoints"):
        assert (run.folder / name).exists(), name
    again = load(run.folder).evaluate("test")
    for task, found in summary["tasks"].items():
        assert again["tasks"][task] == pytest.approx(found["test"], rel=1e-6)
    assert json.loads((run.folder / "environment.json").read_text())["seed"] == 0


def test_a_run_of_its_resolved_recipe_is_the_same_run(data: dict[str, Path], tmp_path: Path) -> None:
    run = train("genre_reconstruction", [f"data={data['music']}", f"run.dir={tmp_path}", *SHRUNK, *MUSIC])
    again = train(str(run.folder / "recipe.yaml"), ["run.name=again"])
    assert again.folder != run.folder
    assert again.summary["main"] == run.summary["main"]
    assert again.summary["tasks"] == run.summary["tasks"]
