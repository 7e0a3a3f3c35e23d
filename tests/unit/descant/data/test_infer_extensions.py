"""Shards whose samples store one kind of input in different ways."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from descant.data.decode import decode_audio
from descant.data.description import Description, Field, describe
from descant.data.infer import infer
from descant.data.reader import SplitReader
from descant.inputs import inputs
from support import write_shard


def clip(tone: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    wave_N = 0.5 * np.sin(np.arange(800) * (tone + 1) / 20)
    soundfile.write(buffer, wave_N, 8000, format=kind.upper())
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 100, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sounds as WAV and FLAC in turn; the validation split has FLAC only."""
    for split, kinds in {"train": ("wav", "flac"), "validation": ("flac",)}.items():
        samples = {
            f"{split}{number}": {kinds[number % len(kinds)]: clip(number, kinds[number % len(kinds)]), "cls": b"1"}
            for number in range(4)
        }
        write_shard(tmp_path / f"{split}-000000.tar", samples)
    return tmp_path


def test_one_field_takes_all_extensions_that_no_sample_has_two_of(folder: Path) -> None:
    description = describe(folder)
    assert description.fields["audio"] == Field("audio", ("flac", "wav"))
    assert Description.from_json(json.loads(json.dumps(description.to_json()))) == description


def test_the_reader_takes_whichever_member_a_sample_has(folder: Path) -> None:
    description = describe(folder)
    input = inputs.build("mel", {"crop_frames": 4}, name="mel", fields=description.fields)
    for split in ("train", "validation"):
        reader = SplitReader(folder, description, split)
        assert input.field.extension is not None
        for sample in range(4):
            member = reader.member(sample, input.field.extension)
            assert member is not None
            wave_N, rate_hz = decode_audio(member)
            expected_N, _ = decode_audio(clip(sample, "flac"))
            assert rate_hz == 8000
            np.testing.assert_allclose(wave_N, expected_N, atol=1e-4)
        assert reader.member(0, ("mp3", "ogg")) is None
        reader.close()


def test_a_sample_with_two_of_a_kind_keeps_them_apart(tmp_path: Path) -> None:
    jpg, png = picture("JPEG"), picture("PNG")
    write_shard(tmp_path / "a.tar", {"k": {"jpg": jpg, "wav": b""}, "l": {"png": png, "flac": b""}})
    assert infer(tmp_path).fields == {
        "audio": Field("audio", ("flac", "wav")),
        "image": Field("image", ("jpg", "png")),
    }
    write_shard(tmp_path / "b.tar", {"m": {"jpg": jpg, "png": png}})
    assert {name: field.extension for name, field in infer(tmp_path).fields.items()} == {
        "audio": ("flac", "wav"),
        "jpg": "jpg",
        "png": "png",
    }


def test_few_bad_labels_do_not_decide_what_a_label_is(tmp_path: Path) -> None:
    sound = [{"smile": number % 2, "age": number / 3, "name": "ab"[number % 2]} for number in range(300)]
    labels = [*sound, {"smile": "yes", "age": float("nan"), "name": 3}]
    samples = {f"{number:04d}": {"json": json.dumps(one).encode()} for number, one in enumerate(labels)}
    write_shard(tmp_path / "train-000000.tar", samples)
    fields = infer(tmp_path).fields
    assert (fields["smile"].kind, fields["smile"].classes) == ("class", ("0", "1"))
    assert (fields["name"].kind, fields["name"].classes) == ("class", ("a", "b"))
    assert fields["age"].kind == "number"
    assert infer(tmp_path).splits["train"].counts["smile"] == [150, 150]
