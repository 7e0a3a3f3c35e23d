"""Which folders and URLs hold data sets."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from descant.data.description import describe
from descant.data.folder import LocalFolder, checked_name, open_folder
from descant.data.reader import SplitReader
from descant.errors import RunError, UserError
from support import write_shard


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCANT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "place",
    ["pipe:cat /etc/passwd", "pipe://cat", "ftp://host/set", "simplecache::s3://bucket/set", "ssh://host/set", "PIPE:x",
     "github://a:b@main/set", "local:///etc", "reference://x"],
)  # fmt: skip
def test_other_urls_are_refused(place: str) -> None:
    with pytest.raises(UserError, match=r"cannot be read: give a folder, or a URL that starts with one of file://, s3"):
        open_folder(place)


@pytest.mark.parametrize("place", ["s3://", "s3:bucket/set", "http://host/set?token=secret", "memory:///set"])
def test_a_url_of_no_folder_is_refused(place: str) -> None:
    with pytest.raises(UserError, match="is no URL of a folder: give one such as") as caught:
        open_folder(place)
    assert "secret" not in str(caught.value)


def test_a_password_in_a_url_is_refused_without_being_repeated() -> None:
    with pytest.raises(UserError, match="holds a user name or password") as caught:
        open_folder("https://me:secret@host/set")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(UserError, match="gs:// needs the package gcsfs.*pip install gcsfs"):
        open_folder("gs://bucket/set")


def test_local_folders_come_as_path_text_or_file_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a set"
    write_shard(folder / "train-000000.tar", {"a": {"txt": b"1"}})
    for place in (folder, str(folder), f"file://{tmp_path}/a%20set"):
        found = open_folder(place)
        assert isinstance(found, LocalFolder) and found.path == folder and not found.is_remote
        assert found.exists() and found.shards() == ["train-000000.tar"] and found.read("dataset.json") is None
    assert open_folder(found) is found
    monkeypatch.chdir(tmp_path)
    Path("odd:set").mkdir()
    assert open_folder("odd:set").exists()
    assert not open_folder("nothing").exists()


@pytest.mark.parametrize("name", ["../train-000000.tar", "/etc/passwd", "..", ".", "", "a\\b.tar", "a\0.tar"])
def test_names_never_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="shards lie beside it, without a folder"):
        checked_name(name)
    with pytest.raises(UserError, match="shards lie beside it"):
        LocalFolder(tmp_path).indexes([name])


def test_a_shard_that_goes_or_changes_during_a_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train-000000.tar"
    write_shard(path, {"a": {"txt": b"1"}})
    reader = SplitReader(tmp_path, describe(tmp_path), "train")
    write_shard(path, {"a": {"txt": b"2"}})
    os.utime(path, (1, 1))
    with pytest.raises(RunError, match="train-000000.tar' changed during the run: put it back"):
        reader.member(0, "txt")
    path.unlink()
    with pytest.raises(RunError, match="train-000000.tar' has gone during the run: put it back"):
        reader.member(0, "txt")


def test_an_empty_folder_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no data set in"):
        describe(tmp_path)
