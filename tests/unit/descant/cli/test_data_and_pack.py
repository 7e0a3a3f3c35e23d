"""What ``data info`` prints, and the table of formats behind ``pack``."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from descant.cli.formats import FORMATS
from descant.cli.main import _parse, main
from descant.data.description import Description, Field, Split


def test_info_prints_splits_fields_and_counts_by_class_name_in_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {
        "audio": Field("audio", ("flac", "wav"), rate_hz=16_000, seconds=30.0),
        "genre": Field("class", classes=("Folk", "Hip-Hop")),
        "eyes": Field("points", shape=(2, 2)),
    }
    splits = {
        "train": Split(120, ("train-000000.tar", "train-000001.tar"), {"genre": [100, 20]}),
        "validation": Split(9, ("validation-000000.tar",), {"genre": [9, 0]}),
    }
    left_out = [{"key": f"{number:06d}", "reason": "too short"} for number in range(12)]
    Description("music", fields, splits, "0f", {"left_out": left_out}).write(tmp_path)
    assert main(["data", "info", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "music, fingerprint 0f\n"
        "\nsplit\n"
        "  train       120 samples  2 shards\n"
        "  validation  9 samples    1 shard\n"
        "\nfield\n"
        "  audio  audio   flac|wav, 16000 Hz, 30 s\n"
        "  genre  class   2 classes\n"
        "  eyes   points  2x2\n"
        "\ngenre\n"
        "           train  validation\n"
        "  Folk       100           9\n"
        "  Hip-Hop     20           0\n"
        "\nleft out when packing: 12\n"
        "  000000: too short\n"
    )
    assert printed.endswith("  and 2 more, all named in dataset.json\n")


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_a_packer_that_takes_its_options(name: str) -> None:
    pack = getattr(importlib.import_module(f"descant.pack.{name}"), f"pack_{name}")
    given = vars(_parse(["pack", name, "SOURCE", "OUT"]))
    taken = inspect.signature(pack).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        assert set(given) - {"action", "main", "debug"} <= set(taken)
