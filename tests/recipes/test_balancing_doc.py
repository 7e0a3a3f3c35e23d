"""docs/balancing.md names every balancer with its options, and its own method trains."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from descant import train
from descant.balance import balancers
from descant.recipe import BALANCE_KEYS
from support import mel_data_set

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "balancing.md").read_text(encoding="utf-8")


def test_every_balancer_has_a_row_with_its_options() -> None:
    rows = {name: row for row in PAGE.splitlines() for name in re.findall(r"^\| `(\w+)` \|", row)}
    shipped = {name: cls for name, cls in balancers.items() if cls.__module__.startswith("descant.")}
    assert set(rows) == set(shipped) | {"name", *BALANCE_KEYS}
    for name, cls in shipped.items():
        options = [option for option in inspect.signature(cls).parameters if option != "tasks"]
        assert [option for option in options if f"`{option}`" not in rows[name]] == [], name


def test_the_method_of_the_page_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    Path("my_balancer.py").write_text(block, encoding="utf-8")
    data = mel_data_set(tmp_path / "data", train=16, validation=8, test=8)
    settings = [f"data={data}", "run=inline", "plugins=[my_balancer.py]", "balance=even_lengths", "trainer.epochs=1"]
    settings += ["inputs.mel.crop_frames=16", "trainer.batch_size=8", "trainer.log_steps=1"]
    run = train("genre_reconstruction", settings)
    rows = (run.folder / "metrics.jsonl").read_text()
    assert run.status == "finished" and '"metric": "balance"' in rows and '"metric": "conflict_share"' in rows
