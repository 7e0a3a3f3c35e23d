"""``descant export``: a trained run as a file that another Python without Descant reads."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from descant import train
from descant.cli.main import main
from descant.trained import Trained, load
from support import image_data_set, mel_data_set

pytestmark = pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch's, of its own reading
PLUGIN = """
from descant import Classification, Landmarks, register_task

@register_task("corners_of_a_test")
class Corners(Landmarks):
    \"\"\"Two corners of a bright square.\"\"\"
    label = "landmarks"
    point_names = ("left", "right")

@register_task("brightness_of_a_test")
class Brightness(Classification):
    \"\"\"How bright the rest is.\"\"\"
    label = "shade"
"""
ALONE = """
import sys
sys.modules.update(dict.fromkeys(("descant", "descant_tasks")))  # to import them fails, as where they are not installed
import json, torch
extra = {"descant.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
given = torch.load(sys.argv[2])
torch.save({"answers": program(given), "about": json.loads(extra["descant.json"])}, sys.argv[3])
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on small pictures: points, and classes that some samples lack."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "corner_tasks_of_a_test.py").write_text(PLUGIN)
    (folder / "corners.yaml").write_text(
        f"data: {image_data_set(folder / 'data')}\nplugins: [corner_tasks_of_a_test.py]\ntrunk: lenet\n"
        "inputs: {image: {size: 20, grey: true}}\nrun: inline\nsharing: soft\n"
        "tasks:\n  corners_of_a_test: {role: main}\n  brightness_of_a_test: {}\n  rotation: {}\n"
    )
    return train(str(folder / "corners.yaml"), _short(folder)).folder


@pytest.fixture(scope="module")
def mels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on stored mels: a recurrent trunk, several crops, an auxiliary that gives the input back."""
    folder = tmp_path_factory.mktemp("mels")
    mel_data_set(folder / "data", bands=16)
    small = ["inputs.mel={crop_frames: 32, bands: 16, views: 2}", "trunk.hidden=[8]", "run=inline"]
    return train("genre_reconstruction", [f"data={folder / 'data'}", *small, *_short(folder)]).folder


def _short(folder: Path) -> list[str]:
    return [f"run.dir={folder / 'runs'}", "trainer.epochs=1", "trainer.batch_size=8", "trainer.loader_workers=0"]


def eager(trained: Trained, task: str, ready: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return trained.experiment.tasks[task].predict(trained.model.cpu()(ready, [task])[task])


def test_another_python_without_descant_gives_the_same_numbers(pictures: Path, tmp_path: Path) -> None:
    assert main(["export", str(pictures), str(tmp_path / "corners.pt2")]) == 0
    pixels = torch.randint(0, 256, (5, 20, 20, 1), dtype=torch.uint8)
    torch.save({"image": pixels}, tmp_path / "given.pt")
    files = [str(tmp_path / name) for name in ("corners.pt2", "given.pt", "found.pt")]
    subprocess.run([sys.executable, "-I", "-c", ALONE, *files], check=True, cwd=tmp_path)
    found = torch.load(tmp_path / "found.pt")
    trained = load(pictures)
    ready = {"image": trained.experiment.inputs["image"].finish({"value": pixels})}
    assert set(found["answers"]) == {"corners_of_a_test"}
    assert torch.equal(found["answers"]["corners_of_a_test"], eager(trained, "corners_of_a_test", ready))
    assert [path.name for path in tmp_path.glob(".*")] == [], "nothing half-written stays"

    about = found["about"]
    assert about["recipe"] == "corners" and about["step"] == trained.step
    assert about["inputs"]["image"]["shape"] == ["batch", 20, 20, 1]
    assert about["inputs"]["image"]["dtype"] == "uint8"
    assert about["inputs"]["image"]["done_inside"] == {"divided_by": 255, "mean": 0.5, "std": 0.25}
    points = about["outputs"]["corners_of_a_test"]
    assert (points["role"], points["kind"], points["points"]) == ("main", "points", ["left", "right"])
    assert points["shape"] == ["batch", 2, 2] and "longer side" in points["unit"]


def test_a_picture_is_answered_as_predict_does(pictures: Path, tmp_path: Path) -> None:
    assert main(["export", str(pictures), str(tmp_path / "both.pt2"), "--tasks", "all"]) == 0
    program = torch.export.load(tmp_path / "both.pt2").module()
    drawn = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "PNG")
    found = program({"image": torch.from_numpy(drawn)[None, :, :, None]})
    names = ["corners_of_a_test", "brightness_of_a_test"]
    assert list(found) == names, "a task with a view of its own is left out"
    answers = load(pictures).predict({"image": buffer.getvalue()}, names)
    assert np.allclose(found["corners_of_a_test"][0] * 20, answers["corners_of_a_test"]["points"], atol=2e-3)
    shades = list(answers["brightness_of_a_test"]["classes"].values())
    assert np.allclose(found["brightness_of_a_test"][0], shades, atol=2e-6)


def test_what_other_tasks_use_is_not_in_the_file(pictures: Path, tmp_path: Path) -> None:
    assert main(["export", str(pictures), str(tmp_path / "one.pt2"), "--takes", "trunk"]) == 0
    traced = torch.export.load(tmp_path / "one.pt2")
    trained = load(pictures)
    own = trained.model.sharing.get_submodule("trunks.corners_of_a_test")
    kept = sum(p.numel() for module in (own, trained.model.heads["corners_of_a_test"]) for p in module.parameters())
    assert sum(tensor.numel() for tensor in traced.state_dict.values()) == kept
    ready = {"image": torch.randn(3, 1, 20, 20)}
    answer = traced.module()(ready)["corners_of_a_test"]
    assert torch.equal(answer, eager(trained, "corners_of_a_test", ready))


def test_recurrent_layers_on_stored_mels(mels: Path, tmp_path: Path) -> None:
    extra = {"descant.json": ""}
    assert main(["export", str(mels), str(tmp_path / "genre.pt2"), "--tasks", "genre,reconstruction"]) == 0
    program = torch.export.load(tmp_path / "genre.pt2", extra_files=extra).module()
    trained = load(mels)
    for batch in (1, 4):
        ready = {"mel": torch.randn(batch, 32, 16)}
        found = program(ready)
        for task in ("genre", "reconstruction"):
            assert torch.equal(found[task], eager(trained, task, ready))
    about = json.loads(extra["descant.json"])
    assert about["inputs"]["mel"]["mel"]["rate_hz"] == 16000
    assert about["outputs"]["genre"]["classes"] == list(trained.experiment.tasks["genre"].class_names)  # type: ignore[attr-defined]
    assert about["outputs"]["reconstruction"]["role"] == "auxiliary"


def test_onnx_gives_nearly_the_same(mels: Path, tmp_path: Path) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    assert main(["export", str(mels), str(tmp_path / "genre.onnx")]) == 0
    session = runtime.InferenceSession(tmp_path / "genre.onnx")
    trained = load(mels)
    for batch in (1, 5):
        ready = {"mel": torch.randn(batch, 32, 16)}
        (found,) = session.run(["genre"], {"mel": ready["mel"].numpy()})
        assert np.allclose(found, eager(trained, "genre", ready), atol=1e-5)
    properties = {entry.key: entry.value for entry in onnx.load(tmp_path / "genre.onnx").metadata_props}
    assert json.loads(properties["descant.json"])["outputs"]["genre"]["kind"] == "class probabilities"
    assert [path.name for path in tmp_path.iterdir()] == ["genre.onnx"]


def test_onnx_without_its_packages_is_one_sentence(
    mels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["export", str(mels), str(tmp_path / "genre.onnx")]) == 2
    assert "pip install 'descant[onnx]'" in capsys.readouterr().err


def test_a_file_is_replaced_on_request_alone(mels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "genre.pt2"
    out.write_text("mine")
    assert main(["export", str(mels), str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err and out.read_text() == "mine"
    assert main(["export", str(mels), str(out), "--overwrite"]) == 0
    takes, gives = capsys.readouterr().out.splitlines()[1:]
    assert takes == "  takes mel: float32 (batch, 32, 16), log-mel frames"
    assert gives == "  gives genre: float32 (batch, 8), class probabilities"
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{run}", "{folder}/genre.pth"], "ends in neither .pt2 nor .onnx"),
        (["{run}", "{folder}/nowhere/genre.pt2"], "there is no folder"),
        (["{folder}", "{folder}/genre.pt2"], "there is no run at"),
        (["{run}", "{folder}/genre.pt2", "--tasks", "gender"], "the run has no task 'gender'"),
        (["{pictures}", "{folder}/genre.pt2", "--tasks", "rotation"], "'rotation' learns from a view of its own"),
        (["{run}", "{folder}/genre.pt2", "--takes", "mp3"], "invalid choice"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    mels: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    given = [word.format(run=mels, pictures=pictures, folder=tmp_path) for word in words]
    assert main(["export", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert list(tmp_path.iterdir()) == []
