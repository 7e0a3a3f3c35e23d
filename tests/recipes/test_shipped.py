"""Every shipped recipe trains, shrunk to seconds, on data that goes the real way: raw layout, packed, streamed."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from descant import load, train
from descant.demo import make_faces, make_music
from descant.pack.cifar100 import pack_cifar100
from descant.pack.fma import pack_fma
from descant.pack.idx import pack_idx
from descant.pack.mtfl import pack_mtfl
from descant.recipe import shipped_recipes
from descant.recipe.compose import compose

SHRUNK = ["run=inline", "trainer.epochs=2", "trainer.batch_size=8", "trainer.loader_workers=0"]
MUSIC = ["inputs.mel.crop_frames=32", "trunk.hidden=[16]"]
FINE, SIDE = 6, 32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small data sets in the places of those that the recipes name."""
    folder = tmp_path_factory.mktemp("data")
    make_music(folder / "raw-music", tracks=40, seconds=6.0, jobs=1)
    make_faces(folder / "raw-faces", train=40, test=20, jobs=1)
    write_cifar(folder / "raw-cifar")
    write_fashion(folder / "raw-fashion")
    pack_fma(folder / "raw-music", folder / "music", mels=True, jobs=1)
    pack_mtfl(folder / "raw-faces", folder / "faces", jobs=1)
    pack_cifar100(folder / "raw-cifar", folder / "cifar", jobs=1)
    pack_idx(folder / "raw-fashion", folder / "fashion", pairs=True, jobs=1)
    return {
        "data/fma": folder / "music",
        "data/demo/music": folder / "music",
        "data/mtfl": folder / "faces",
        "data/cifar100": folder / "cifar",
        "data/multi-fashion": folder / "fashion",
    }


def write_cifar(folder: Path) -> None:
    """Write CIFAR-100's binary layout with few classes, of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train.bin", 48), ("test.bin", 12)):
        bytes_NB = rng.integers(0, 256, (count, 2 + 3 * SIDE**2), np.uint8)
        bytes_NB[:, 1] = np.arange(count) % FINE
        bytes_NB[:, 0] = bytes_NB[:, 1] // 3
        (folder / name).write_bytes(bytes_NB.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(f"fine_{number}" for number in range(FINE)))
    (folder / "coarse_label_names.txt").write_text("animal\nplant")


def write_fashion(folder: Path) -> None:
    """Write the idx layout, pictures of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train", 24), ("t10k", 12)):
        images_NHW = rng.integers(0, 256, (count, 28, 28), np.uint8)
        for part, values in (("images-idx3", images_NHW), ("labels-idx1", np.arange(count, dtype=np.uint8) % 3)):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (folder / f"{name}-{part}-ubyte").write_bytes(head + values.tobytes())


@pytest.mark.parametrize("recipe", shipped_recipes())
def test_a_shipped_recipe_trains_evaluates_and_comes_back(recipe: str, data: dict[str, Path], tmp_path: Path) -> None:
    place = compose(recipe)["data"]
    overrides = [f"data={data[place]}", f"run.dir={tmp_path}", *SHRUNK]
    overrides += {"music": MUSIC, "cifar": ["inputs.image.size=32"]}.get(data[place].name, [])
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
    run = train("genre_reconstruction", [f"data={data['data/fma']}", f"run.dir={tmp_path}", *SHRUNK, *MUSIC])
    again = train(str(run.folder / "recipe.yaml"), ["run.name=again"])
    assert again.folder != run.folder
    assert again.summary["main"] == run.summary["main"]
    assert again.summary["tasks"] == run.summary["tasks"]
