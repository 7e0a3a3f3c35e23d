"""``descant predict``: files and folders in, readable lines or one JSON list out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from descant import train
from descant.cli.main import main
from descant.cli.predict import readable
from support import image_data_set

PLUGIN = """
from descant import Classification, Landmarks, register_task

@register_task("square_of_a_test")
class Square(Landmarks):
    \"\"\"Two corners of a bright square.\"\"\"
    label = "landmarks"

@register_task("shade_of_a_test")
class Shade(Classification):
    \"\"\"How bright the rest is.\"\"\"
    label = "shade"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on small pictures, in a folder that also holds ``pictures/`` to predict."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "square_tasks_of_a_test.py").write_text(PLUGIN)
    (folder / "square.yaml").write_text(
        f"data: {image_data_set(folder / 'data')}\nplugins: [square_tasks_of_a_test.py]\ntrunk: mlp\n"
        "inputs: {image: {size: 8, grey: true}}\nrun: inline\n"
        "tasks:\n  square_of_a_test: {role: main}\n  shade_of_a_test: {}\n"
    )
    pictures = folder / "pictures"
    pictures.mkdir()
    for name in ("b.png", "a.PNG", "c.jpg"):
        buffer = io.BytesIO()
        Image.fromarray(np.full((24, 24), 90, np.uint8)).save(buffer, "JPEG" if name.endswith("jpg") else "PNG")
        (pictures / name).write_bytes(buffer.getvalue())
    (pictures / "notes.txt").write_text("no picture")
    overrides = [f"run.dir={folder / 'runs'}", "trainer.epochs=1", "trainer.batch_size=8", "trainer.loader_workers=0"]
    return train(str(folder / "square.yaml"), overrides).folder


@pytest.fixture
def pictures(run: Path) -> Path:
    return run.parents[1] / "pictures"


def test_a_folder_is_its_pictures_sorted_a_line_each(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), str(pictures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(pictures / name) for name in ("a.PNG", "b.png", "c.jpg")]
    points = lines[0].partition("square_of_a_test ")[2]
    assert np.asarray(json.loads(points)).shape == (2, 2)


def test_several_tasks_are_a_line_each_below_the_file(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), str(pictures / "b.png"), "--tasks", "all"]) == 0
    file, square, shade = capsys.readouterr().out.splitlines()
    assert file == str(pictures / "b.png")
    assert square.startswith("  square_of_a_test  [[")
    assert shade.startswith("  shade_of_a_test   ") and shade.count("%") == 3


def test_json_is_one_list_and_a_broken_file_is_in_it(
    run: Path, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    assert main(["predict", str(run), str(tmp_path / "broken.png"), str(pictures / "b.png"), "--json"]) == 1
    printed = capsys.readouterr()
    broken, good = json.loads(printed.out)
    assert set(broken) == {"file", "error"}
    assert list(good["tasks"]) == ["square_of_a_test"]
    (line,) = printed.err.splitlines()
    assert line.startswith(f"descant: {tmp_path / 'broken.png'} cannot be read: ")


def test_a_folder_without_pictures_is_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["predict", str(run), str(tmp_path)]) == 2
    assert "holds no file that ends in jpeg, jpg, png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"class": "b", "probability": 0.5, "classes": {"a": 0.2, "b": 0.5, "c": 0.3, "d": 0.0}},
            "b 50.0%, c 30.0%, a 20.0%",
        ),
        ({"points": [[1.234, 5.678]]}, "[[1.2, 5.7]]"),
        ({"male": 0.25, "young": 1.0}, "male 25.0%, young 100.0%"),
        ({"value": [0.123456, 12345.6]}, "0.123456, 12345.6"),
        ({"value": 3.0}, "3"),
        ({"value": [[1.0, 2.0]] * 3}, "3 x 2 values (--json gives them)"),
    ],
)
def test_answers_are_rounded(answer: dict[str, object], text: str) -> None:
    assert readable(answer) == text
