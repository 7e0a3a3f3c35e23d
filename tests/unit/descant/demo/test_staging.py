"""Folders that appear whole or not at all, and work spread over processes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from descant.demo.staging import run_all, staged_folder
from descant.errors import UserError


def write_number(folder: Path, number: int) -> None:
    if number == 13:
        raise ArithmeticError("thirteen")
    (folder / str(number)).write_text(str(number))


def test_folder_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "corpus"
    with staged_folder(target) as staging:
        (staging / "file").write_text("text")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["file"]
    assert [path.name for path in target.parent.iterdir()] == ["corpus"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_is_raised_and_leaves_nothing(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(ArithmeticError, match="thirteen"), staged_folder(tmp_path / "corpus") as staging:
        run_all(partial(write_number, staging), range(40), jobs, None)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "corpus") as staging:
        run_all(partial(write_number, staging), range(12), 2, interrupt)
    assert not list(tmp_path.iterdir())


def test_every_item_is_done_once(tmp_path: Path) -> None:
    run_all(partial(write_number, tmp_path), range(13), 2, None)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(13))


def test_a_folder_with_files_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"), staged_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with staged_folder(tmp_path / "empty") as staging:
        (staging / "file").touch()
    assert (tmp_path / "empty" / "file").exists()
