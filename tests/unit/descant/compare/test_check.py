"""Arms are checked before any run starts, and what their runs are made from must stay the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from descant.cli.main import main
from descant.compare.arms import parse_arms, plan
from descant.compare.check import check_arms
from descant.compare.study import Study
from descant.errors import UserError
from support import mel_data_set

PLUGIN = """
from descant import Classification, register_task

@register_task("pitch_of_a_test")
class Pitch(Classification):
    \"\"\"The genre under another name.\"\"\"
    label = "genre"
"""
SMALL = ("data=data", "inputs.mel.crop_frames=10", "trunk.hidden=[4]", "trainer.batch_size=8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    mel_data_set(tmp_path / "data", train=16, validation=8, test=8, frames=20)
    (tmp_path / "mine.yaml").write_text("defaults: [genre, _self_]\n")
    return tmp_path


def opened(folder: Path, *overrides: str, arms: str = "optimizer.lr=0.1,0.2") -> list[str]:
    """Check the arms of a recipe of the user's own, open the study, and return the names of the runs to be made."""
    runs = plan(parse_arms([arms]), 2, [*SMALL, *overrides], "mine.yaml")
    study = Study(folder / "study", tuple(runs), check_arms(runs))
    return [run.name for run in study.open()]


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        ("tasks.genre.weigth=1,2", "the task 'genre' has no option 'weigth': did you mean 'weight'?"),
        ("tasks.genre.weight=1,-1", "tasks.genre.weight goes below zero"),
        ("trunk=mlp,mpl", "there is no trunk 'mpl'"),
        ("run=inline,outline", "there is no runner 'outline'"),
        ("data=data,dota", "there is no data set at"),
    ],
)
def test_a_wrong_arm_is_refused_before_anything_runs(
    here: Path, capsys: pytest.CaptureFixture[str], arms: str, sentence: str
) -> None:
    before = sorted(here.iterdir())
    small = [word for word in SMALL if not arms.startswith(word.partition("=")[0] + "=") and "hidden" not in word]
    assert main(["compare", "genre", "--arms", arms, "--seeds", "2", *small]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"descant: {sentence}") and error.count("descant: ") == 1
    assert sorted(here.iterdir()) == before


def test_a_study_goes_on_when_nothing_changed_but_words_that_decide_nothing(here: Path) -> None:
    assert len(opened(here)) == 4
    (here / "mine.yaml").write_text("# the same\ndefaults: [genre, _self_]\ntrainer: {log_steps: 3}\n")
    assert len(opened(here)) == 4


def test_a_changed_recipe_is_refused_with_the_key_that_changed(here: Path) -> None:
    opened(here)
    (here / "mine.yaml").write_text("defaults: [genre, _self_]\ntrainer: {epochs: 3}\n")
    with pytest.raises(UserError, match=r"made before the recipe changed \(trainer.epochs: \d+ → 3\): put it back"):
        opened(here)


def test_a_changed_plugin_is_refused_by_name(here: Path) -> None:
    plugin = here / "pitch_tasks_of_a_test.py"
    plugin.write_text(PLUGIN)
    words = ("plugins=[pitch_tasks_of_a_test.py]", "tasks.pitch_of_a_test.weight=0.1")
    opened(here, *words)
    plugin.write_text(PLUGIN + "# changed\n")
    with pytest.raises(UserError, match="before the plugin 'pitch_tasks_of_a_test' changed: put it back as it was, or"):
        opened(here, *words)


def test_a_changed_data_set_is_refused_and_one_that_only_moved_is_not(here: Path) -> None:
    opened(here)
    shutil.move(here / "data", here / "moved")
    (here / "data").symlink_to(here / "moved")
    assert len(opened(here)) == 4
    mel_data_set(here / "moved", train=24, validation=8, test=8, frames=20)
    with pytest.raises(UserError, match=r"before the data set changed \(fingerprint \w+ → \w+\)"):
        opened(here)


def test_arms_may_have_plugins_that_one_process_could_not_load_together(here: Path) -> None:
    for name in ("one_of_a_test", "two_of_a_test"):
        (here / f"{name}.py").write_text(PLUGIN.replace("pitch_of_a_test", "same_name_of_a_test"))
    arms = "plugins=[one_of_a_test.py],[two_of_a_test.py]"
    assert len(opened(here, "tasks.same_name_of_a_test.weight=0.1", arms=arms)) == 4


def test_each_arm_may_have_a_recipe_of_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.yaml").write_text("defaults: [genre, _self_]\noptimizer: {lr: 0.1}\n")
    small = [*SMALL, "trainer.epochs=1"]
    bases = check_arms(plan(parse_arms(["recipe=mine.yaml,other.yaml"]), 1, small, "mine.yaml"))
    assert {name: basis.recipe["optimizer"]["lr"] for name, basis in bases.items()} == {"mine": 0.001, "other": 0.1}
    assert main(["compare", "--arms", "recipe=mine.yaml,another.yaml", *small]) == 2
    assert "another.yaml" in capsys.readouterr().err


def test_without_a_recipe_there_is_nothing_to_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--arms", "optimizer.lr=0.1,0.2"]) == 2
    assert "there is no recipe to run" in capsys.readouterr().err
    assert main(["compare"]) == 2
    assert "nothing to compare" in capsys.readouterr().err
