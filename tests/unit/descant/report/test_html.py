from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from descant.compare import compare_runs
from descant.compare.report import write_comparison_report
from descant.report import write_run_report
from unit.descant.compare.stand_in import genre_recipe, write_run

VOID = {"meta", "br", "img"}
EVIL = "<script>alert('x')</script>&\"$x$"


class Checker(HTMLParser):
    """Collects tags, ids and addresses, and checks that every element is closed where it must be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.addresses += [value or ""] if name in ("href", "src", "xlink:href") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(path: Path) -> tuple[str, Checker]:
    text = path.read_text(encoding="utf-8")
    page = Checker(text)
    assert len(page.ids) == len(set(page.ids))
    outside = [address for address in page.addresses if not address.startswith("data:image/png;base64,")]
    assert all(address.startswith("#") and address[1:] in page.ids for address in outside)
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(r"@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    return text, page


def test_a_run_s_report_tells_what_the_run_folder_holds(tmp_path: Path) -> None:
    text, _ = check(write_run_report(write_run(tmp_path / "music", genre_recipe(10.0, seed=1))))
    assert "genre reached accuracy <strong>0.5" in text and "samples quarantined" in text
    assert ">0.125<" in text and "&quot;torch&quot;: &quot;2.11&quot;" in text
    assert text.count("<svg") == 3 and "currentColor" in text
    assert [path.name for path in (tmp_path / "music").glob(".*")] == []


def test_the_latest_pictures_are_a_part_of_the_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "music", genre_recipe(10.0))
    (folder / "pictures").mkdir()
    buffer = io.BytesIO()
    Image.new("L", (8, 4)).save(buffer, "png")
    (folder / "pictures" / "reconstruction.png").write_bytes(buffer.getvalue())
    text, page = check(write_run_report(folder))
    data = next(address for address in page.addresses if address.startswith("data:"))
    assert base64.b64decode(data.partition(",")[2]) == buffer.getvalue()
    assert "reconstruction, a row per sample: the input left, its reconstruction right" in text


def test_numbers_say_what_they_count(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "music", genre_recipe(10.0))
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "resumed": 1}))
    text, _ = check(write_run_report(folder))
    assert "share of the commonest class of the training split" in text
    assert "count training with its evaluations, without the start-up" in text
    assert "resumed 1 time<" in text and "reconstruction (auxiliary, weight 10)" in text


def test_all_that_comes_from_files_is_escaped(tmp_path: Path) -> None:
    recipe = genre_recipe(10.0)
    folder = write_run(tmp_path / "a <b>&", recipe)
    for name in ("summary.json", "metrics.jsonl"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace('"genre"', json.dumps(EVIL)).replace('"accuracy"', json.dumps(EVIL)))
    (folder / "environment.json").write_text(json.dumps({EVIL: EVIL}))
    (folder / "recipe.yaml").write_text(json.dumps({**recipe, "data": EVIL}))
    text, _ = check(write_run_report(folder))
    assert "alert" in text and "<b>" not in text
    other = write_run(tmp_path / "b", genre_recipe(0.0))
    text, _ = check(write_comparison_report(compare_runs({EVIL: {0: folder}, f"{EVIL}=2": {0: other}}), tmp_path))
    assert "alert" in text


@pytest.mark.parametrize("files", [("recipe.yaml", "metrics.jsonl"), ("recipe.yaml", "summary.json")])
def test_a_run_that_is_not_all_there_has_a_report_too(tmp_path: Path, files: tuple[str, ...]) -> None:
    folder = write_run(tmp_path / "r", genre_recipe(epochs=2), status="interrupted")
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    check(write_run_report(folder))


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", genre_recipe(epochs=2), status="failed")
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "error": "the loss of <genre> became NaN"}))
    text, _ = check(write_run_report(folder))
    assert "the loss of &lt;genre&gt; became NaN" in text


def test_a_comparison_s_report_tells_the_verdict(tmp_path: Path) -> None:
    arms = {f"w={w}": {s: write_run(tmp_path / f"{w}-{s}", genre_recipe(w, s)) for s in range(4)} for w in (0, 10, 1)}
    arms["w=1"][9] = tmp_path / "never"
    text, _ = check(write_comparison_report(compare_runs(arms), tmp_path, "A study"))
    assert "w=10: better, +0.0" in text and "Runs that are missing" in text and "not run" in text
    assert text.count("<svg") == 2


def test_one_seed_still_makes_a_report(tmp_path: Path) -> None:
    arms = {f"w={w}": {0: write_run(tmp_path / f"{w}", genre_recipe(w, epochs=1))} for w in (0, 10)}
    text, _ = check(write_comparison_report(compare_runs(arms), tmp_path))
    assert "too few seeds" in text
