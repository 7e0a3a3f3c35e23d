"""A recipe file runs no code of others; what the environment gives it is written nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from descant.errors import UserError
from descant.recipe import compose
from descant.recipe.trust import check_own

PLUGIN = "from descant import Classification\n"
START = "defaults: [genre, _self_]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder with a plugin; the command runs in another one."""
    (tmp_path / "here").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a_plugin_of_theirs.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "theirs"


def recipe(folder: Path, text: str) -> str:
    path = folder / "theirs.yaml"
    path.write_text(START + text)
    return str(path)


@pytest.mark.parametrize("plugin", ["a_plugin_of_theirs.py", "a_plugin_of_theirs", "descant_tasks.genre", "none.py"])
def test_files_beside_the_recipe_and_registered_packages_need_no_word(folder: Path, plugin: str) -> None:
    assert compose(recipe(folder, f"plugins: [{plugin}]"))["plugins"] == [plugin]


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ("antigravity", "package that registers nothing"),
        ("os.path", "package that registers nothing"),
        ("../theirs/a_plugin_of_theirs.py", "lies neither with it nor where you are"),
        ("/etc/a_plugin.py", "lies neither with it nor where you are"),
    ],
)
def test_other_code_needs_the_users_word(folder: Path, plugin: str, said: str) -> None:
    given = recipe(folder, f"plugins: [{plugin}]")
    with pytest.raises(UserError, match=f"{said}.*say trust=true$"):
        compose(given)
    assert compose(given, ["trust=true"])["plugins"] == [plugin]
    assert compose(given, ["plugins=[another_one]"])["plugins"] == ["another_one"], "named by the command itself"


def test_a_recipe_does_not_vouch_for_itself(folder: Path) -> None:
    with pytest.raises(UserError, match="only the command may"):
        compose(recipe(folder, "trust: true\nplugins: [antigravity]"))
    with pytest.raises(UserError, match="trust is 'yes'"):
        compose("genre", ["trust='yes'"])


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("trunk", "trunk: {_target_: os.system, command: touch harm}"),
        ("tasks.genre", "tasks: {genre: {_target_: os.system}}"),
        ("data.0", "data: [{_target_: os.system}]"),
    ],
)
@pytest.mark.parametrize("word", [[], ["trust=true"]])
def test_dotted_names_of_hydra_are_refused(folder: Path, where: str, text: str, word: list[str]) -> None:
    with pytest.raises(UserError, match=rf"has {where}\._target_: recipes name classes by registered names alone"):
        compose(recipe(folder, text), word)


def test_dotted_names_are_refused_of_the_command_too() -> None:
    with pytest.raises(UserError, match=r"has trunk\._target_"):
        compose("genre", ["trunk._target_=os.system"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_needs_the_users_word(folder: Path) -> None:
    mine, theirs = recipe(folder, "plugins: [a_plugin_of_theirs.py]"), folder / "a_plugin_of_theirs.py"
    os.chown(theirs, 12345, 12345)
    with pytest.raises(UserError, match=r"of another user \(number 12345\): read it, and if you trust it"):
        compose(mine)
    with pytest.raises(UserError, match="is code that belongs to another user"):
        check_own(theirs)
    os.chown(theirs, 0, 0)
    os.chown(mine, 12345, 12345)
    with pytest.raises(UserError, match="belongs to another user"):
        compose(mine)
    compose(mine, ["trust=true"])
    secret = Path(recipe(folder, "data_help: ${oc.env:HOME}"))
    os.chown(secret, 12345, 12345)
    with pytest.raises(UserError, match="variables of your environment"):
        compose(str(secret))
    plain = Path(recipe(folder, "seed: 3"))
    assert compose(str(plain))["seed"] == 3, "settings alone run nothing"
