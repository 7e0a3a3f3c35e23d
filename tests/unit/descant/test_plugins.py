"""Users' files are read once, run once, and run from their text alone on machines that lack them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant.errors import UserError
from descant.plugins import load_plugins, read_plugins
from descant.tasks import tasks

SOURCE = '''
from descant import Classification, register_task

@register_task("{name}")
class Speaker(Classification):
    """Who speaks."""
    label = "speaker"

def fail():
    raise ArithmeticError("in the plugin")
'''


@pytest.fixture(autouse=True)
def clean_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if hasattr(sys.modules[name], "__plugin_source__"):
            del sys.modules[name]


def test_a_file_registers_its_task_after_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "speaker_plugin.py"
    file.write_text(SOURCE.format(name="plugin_speaker"))
    (plugin,) = read_plugins(["speaker_plugin.py"], [tmp_path / "elsewhere", tmp_path])
    file.unlink()
    load_plugins([plugin])
    first = tasks.get("plugin_speaker")
    load_plugins([plugin])
    assert tasks.get("plugin_speaker") is first, "the same source is run once"
    assert sys.modules[first.__module__].Speaker is first
    try:
        sys.modules[first.__module__].fail()
    except ArithmeticError as error:
        assert "raise ArithmeticError" in "".join(traceback.format_exception(error))


def test_a_changed_file_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "changing_plugin.py"
    for number in (1, 2):
        file.write_text(f"NUMBER = {number}\n")
        load_plugins(read_plugins(["changing_plugin.py"], [tmp_path]))
        assert number == sys.modules["changing_plugin"].NUMBER


def test_an_installed_module_is_known_by_its_name() -> None:
    plugins = read_plugins(["descant_tasks.genre"], [Path.cwd()])
    assert plugins == [{"name": "descant_tasks.genre"}]
    load_plugins(plugins)


def test_an_empty_file_is_a_plugin_that_registers_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty_plugin.py").touch()
    load_plugins(read_plugins(["empty_plugin.py"], [tmp_path]))


@pytest.mark.parametrize("name", ["no_such_file.py", "no_such_module", "no.such.module"])
def test_what_does_not_exist_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"there is no plugin .*{name}"):
        read_plugins([name], [tmp_path])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "the plugin 'broken_plugin' does not load: ZeroDivisionError"),
        ("def :", "the plugin 'broken_plugin' does not load: SyntaxError"),
        (SOURCE.format(name="genre"), "the task 'genre' is registered twice"),
    ],
)
def test_what_does_not_run_is_one_sentence_and_leaves_no_module(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "broken_plugin.py").write_text(source)
    with pytest.raises(UserError, match=said):
        load_plugins(read_plugins(["broken_plugin.py"], [tmp_path]))
    assert "broken_plugin" not in sys.modules


def test_a_file_never_takes_the_place_of_an_installed_module(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("MINE = True\n")
    try:
        load_plugins(read_plugins(["json.py"], [tmp_path]))
    except UserError as error:
        assert "json" in str(error)
    finally:
        found, sys.modules["json"] = sys.modules["json"], json
    assert found is json
