"""Packing MTFL's layout: every form of its lines, crops whose landmarks stay on the face, tars read in place."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from descant.data.decode import decode_image
from descant.demo import make_faces
from descant.errors import UserError
from descant.pack.face_crop import crop_face
from descant.pack.mtfl import pack_mtfl
from packing import stock_samples

LABELS = "1 2 2 3"
POINTS_P2 = np.array([[40.0, 40.0], [60.0, 41.0], [50.0, 52.0], [42.0, 65.0], [58.0, 66.0]])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "faces"
    make_faces(folder, seed=1, train=80, test=20, jobs=1)
    return folder


def line(path: str, points_P2: np.ndarray = POINTS_P2, labels: str = LABELS) -> str:
    return f"{path} {' '.join(f'{value:.6f}' for value in points_P2.T.reshape(-1))} {labels}"


def write_corpus(folder: Path, extra: Sequence[str] = (), newline: str = "\r\n", lead: str = " ") -> Path:
    """Write twelve training and two test faces, every pose among them, and more training lines."""
    rng = np.random.default_rng(0)
    names = [f"net/{number:02d}.jpg" for number in range(12)], [f"AFLW/{number}.jpg" for number in range(2)]
    for name in (*names[0], *names[1]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (100, 110, 3), np.uint8)).save(folder / name)
    rows = [line(name.replace("/", "\\"), labels=f"{1 + n % 2} {1 + n % 2} {1 + n % 2} {1 + n % 5}")
            for n, name in enumerate(names[0])]  # fmt: skip
    training = newline.join(lead + row for row in [*rows, *extra]) + newline
    (folder / "training.txt").write_bytes(training.encode("utf-8"))
    (folder / "testing.txt").write_bytes(newline.join(line(name) for name in names[1]).encode())
    return folder


def left_out(description: Any) -> dict[str, str]:
    return {entry["key"]: entry["reason"] for entry in description.provenance["left_out"]}


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tar")}


@pytest.mark.parametrize(("newline", "lead"), [("\r\n", " "), ("\n", ""), ("\r\n", ""), ("\n", "  \t")])
def test_every_form_of_the_lines_is_read(tmp_path: Path, newline: str, lead: str) -> None:
    description = pack_mtfl(write_corpus(tmp_path / "mtfl", [], newline, lead), tmp_path / "out", jobs=1)
    assert not left_out(description)
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 11,
        "validation": 1,
        "test": 2,
    }
    assert list(stock_samples(tmp_path / "out"))[:2] == ["AFLW/0", "AFLW/1"]


def test_codes_become_named_classes(tmp_path: Path) -> None:
    description = pack_mtfl(write_corpus(tmp_path / "mtfl"), tmp_path / "out", jobs=1)
    packed = {key: json.loads(sample["json"]) for key, sample in stock_samples(tmp_path / "out").items()}

    def named(key: str) -> dict[str, str]:
        names = ("gender", "smile", "glasses", "pose")
        return {name: description.fields[name].classes[packed[key][name]] for name in names}

    assert named("net/00") == {"gender": "male", "smile": "yes", "glasses": "yes", "pose": "left profile"}
    assert named("net/03") == {"gender": "female", "smile": "no", "glasses": "no", "pose": "right"}
    assert description.fields["landmarks"].shape == (5, 2)


def test_what_is_wrong_with_a_line_or_picture_is_listed_and_the_rest_packed(tmp_path: Path) -> None:
    same_eyes_P2, nan_P2, far_P2 = POINTS_P2.copy(), POINTS_P2.copy(), POINTS_P2 + 500
    same_eyes_P2[1] = same_eyes_P2[0]
    nan_P2[2, 1] = np.nan
    swapped_P2 = POINTS_P2[[1, 0, 2, 3, 4]]
    extra = [
        "net\\00.jpg 1 2 3", line("net\\99.jpg"), line("net\\01.jpg", same_eyes_P2), line("net\\02.jpg", nan_P2),
        line("net\\03.jpg", labels="1 2 2 6"), line("net\\torn.jpg"), line("net\\text.jpg"),
        line("net\\04.jpg", far_P2), line("..\\secret.jpg"), line("net\\05.jpg", labels="1 2 two 3"),
        line("net\\05.jpg", swapped_P2),
    ]  # fmt: skip
    source = write_corpus(tmp_path / "mtfl", extra)
    torn = (source / "net" / "00.jpg").read_bytes()
    (source / "net" / "torn.jpg").write_bytes(torn[: len(torn) // 2])
    (source / "net" / "text.jpg").write_bytes(b"this is no picture")
    (tmp_path / "secret.jpg").write_bytes(torn)
    description = pack_mtfl(source, tmp_path / "out", jobs=1)
    reasons = left_out(description)
    expected = {
        "net/00": "4 fields, expected are 15 (line 13 of training.txt)", "net/99": "missing", "net/01": "coincide",
        "net/02": "not finite", "net/03": "pose of net/03.jpg is 6", "../secret": "missing", "net/05": "no number",
        "net/torn": "", "net/text": "", "net/04-2": "outside the picture",
        "net/05-2": "eyes are swapped",
    }  # fmt: skip
    assert set(reasons) == set(expected)
    assert {key: reason for key, reason in reasons.items() if expected[key] not in reason} == {}
    assert description.splits["train"].samples + description.splits["validation"].samples >= 11


@pytest.mark.parametrize("how", ["points", "boxes"])
def test_a_face_that_would_be_huge_is_left_out(tmp_path: Path, how: str) -> None:
    source = write_corpus(tmp_path / "mtfl", [line("strip.png", POINTS_P2 * ((400, 5) if how == "points" else 1))])
    Image.fromarray(np.zeros((2000, 30_000) if how == "points" else (100, 110), np.uint8)).save(source / "strip.png")
    options: dict[str, Any] = {"margin": 10.0}
    if how == "boxes":
        boxes = [f"{path.relative_to(source)} 0 0 99 99" for path in source.rglob("*.jpg")]
        (tmp_path / "boxes.txt").write_text("\n".join([*boxes, "strip.png -1e9 0 1e9 100"]))
        options = {"boxes": tmp_path / "boxes.txt"}
    description = pack_mtfl(source, tmp_path / "out", jobs=1, **options)
    reasons = left_out(description)
    assert set(reasons) == {"strip"} and "the face would be a square of" in reasons["strip"]


def test_a_picture_of_two_faces_gives_two_and_a_line_said_twice_one(tmp_path: Path) -> None:
    first = line("net\\00.jpg", labels="1 1 1 1")
    source = write_corpus(tmp_path / "mtfl", [first, line("net\\00.jpg", POINTS_P2 + 3)])
    description = pack_mtfl(source, tmp_path / "out", jobs=1)
    (reason,) = left_out(description).values()
    assert reason.startswith("the same face is listed twice (line ") and "net/00" in left_out(description)
    assert {"net/00", "net/00-2"} <= set(stock_samples(tmp_path / "out"))


def test_keys_have_no_dot_in_their_base_name(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "mtfl", [line("v1.0\\A.B. Müller.jpg".replace(" ", "_"))])
    (source / "v1.0").mkdir()
    (source / "v1.0" / "A.B._Müller.jpg").write_bytes((source / "net" / "00.jpg").read_bytes())
    pack_mtfl(source, tmp_path / "out", jobs=1)
    assert "v1.0/A_B__Müller" in stock_samples(tmp_path / "out")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(40, 200),
    st.integers(40, 200),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(6.0, 60.0),
    st.sampled_from([32, 96, 128]),
)
def test_landmarks_stay_on_the_same_content(
    height: int, width: int, across: float, down: float, scale: float, size: int
) -> None:
    """A picture whose red is its column and whose green is its row tells where each stored pixel came from."""
    rows_HW, columns_HW = np.mgrid[:height, :width]
    picture_HWC = np.stack([columns_HW, rows_HW, np.zeros_like(rows_HW)], -1).astype(np.uint8)
    centre_2 = np.array([across * (width - 1), down * (height - 1)])
    points_P2 = centre_2 + scale * np.array([[-0.5, -0.5], [0.5, -0.4], [0.1, 0.0], [-0.4, 0.5], [0.4, 0.6]])
    face_SSC, moved_P2 = crop_face(picture_HWC, points_P2, size)
    assert face_SSC.shape == (size, size, 3)
    assert ((moved_P2 >= -0.5) & (moved_P2 <= size - 0.5)).all()
    pixels_per_pixel = np.linalg.norm(points_P2[0] - points_P2[1]) / np.linalg.norm(moved_P2[0] - moved_P2[1])
    for (x, y), (given_x, given_y) in zip(moved_P2, points_P2, strict=True):
        if not (3 < given_x < width - 4 and 3 < given_y < height - 4):
            continue  # repeated borders hold their last pixel's column and row
        seen_xy = face_SSC[round(y), round(x), :2].astype(float)
        assert np.abs(seen_xy - (given_x, given_y)).max() <= 0.5 * pixels_per_pixel + 1.6


def test_faces_come_at_one_scale(corpus: Path, tmp_path: Path) -> None:
    pack_mtfl(corpus, tmp_path / "out", size=64, jobs=1)
    spreads = []
    for sample in stock_samples(tmp_path / "out").values():
        points_P2 = np.array(json.loads(sample["json"])["landmarks"])
        assert decode_image(sample["jpg"]).shape == (64, 64, 3)
        spreads.append(np.sqrt(((points_P2 - points_P2.mean(0)) ** 2).sum(1).mean()))
    np.testing.assert_allclose(spreads, 64 / 4.4, rtol=0.03)


def test_discs_drawn_on_the_landmarks_are_under_them_after_the_crop(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "mtfl")
    rng = np.random.default_rng(1)
    rows_HW, columns_HW = np.mgrid[:200, :200]
    lines = []
    for number in range(8):
        points_P2 = (POINTS_P2 - 50) * rng.uniform(1.0, 3.0) + rng.uniform(70, 130, 2)
        pixels_HWC = np.full((200, 200, 3), 60, np.uint8)
        for x, y in points_P2:
            pixels_HWC[(rows_HW - y) ** 2 + (columns_HW - x) ** 2 <= 16] = 250
        Image.fromarray(pixels_HWC).save(source / "AFLW" / f"disc{number}.jpg", quality=95)
        lines.append(line(f"AFLW/disc{number}.jpg", points_P2))
    (source / "testing.txt").write_text("\n".join(lines))
    pack_mtfl(source, tmp_path / "out", jobs=1)
    packed = stock_samples(tmp_path / "out", "test")
    assert len(packed) == 8
    for sample in packed.values():
        face_SSC = decode_image(sample["jpg"])
        for x, y in json.loads(sample["json"])["landmarks"]:
            assert face_SSC[round(y), round(x)].min() > 180


def test_boxes_are_cropped_around_and_faces_without_one_are_named(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "mtfl")
    boxes = tmp_path / "boxes.txt"
    rows = [f"net\\{number:02d}.jpg 30 20 70 80" for number in range(11)] + [
        "AFLW/0.jpg 0 0 9 9",
        "AFLW/0.jpg 10 10 90 90",
    ]
    boxes.write_bytes("\r\n".join(rows).encode())
    description = pack_mtfl(source, tmp_path / "out", size=30, boxes=boxes, jobs=1)
    assert left_out(description) == {
        key: "no box holds the middle of the face's landmarks" for key in ("net/11", "AFLW/1")
    }
    (test,) = stock_samples(tmp_path / "out", "test").values()
    points = np.array(json.loads(test["json"])["landmarks"])
    np.testing.assert_allclose(points, (POINTS_P2 - 10 + 0.5) * 30 / 80 - 0.5, atol=0.3)
    original = decode_image((source / "AFLW" / "0.jpg").read_bytes())[10:90, 10:90].astype(float)
    expected = original.reshape(80, 80, 3).mean((0, 1))
    np.testing.assert_allclose(decode_image(test["jpg"]).mean((0, 1)), expected, atol=4)


@pytest.mark.parametrize("row", ["net/00.jpg 1 2 3", "net/00.jpg 5 5 5 9", "net/00.jpg a b c d", "x 1 2 nan 4"])
def test_a_line_that_is_no_box_is_refused(tmp_path: Path, row: str) -> None:
    boxes = tmp_path / "boxes.txt"
    boxes.write_text(f"net/00.jpg 1 2 3 4\n{row}\n")
    with pytest.raises(UserError, match=r"^boxes\.txt:2 is no box: write the picture's path"):
        pack_mtfl(write_corpus(tmp_path / "mtfl"), tmp_path / "out", boxes=boxes)
    with pytest.raises(UserError, match="cannot be read"):
        pack_mtfl(tmp_path / "mtfl", tmp_path / "out", boxes=tmp_path / "gone.txt")
    with pytest.raises(UserError, match="leave one of them out"):
        pack_mtfl(tmp_path / "mtfl", tmp_path / "out", boxes=boxes, crop="none")


def test_without_crop_pictures_and_landmarks_are_the_source_s_own(corpus: Path, tmp_path: Path) -> None:
    pack_mtfl(corpus, tmp_path / "out", crop="none", jobs=1)
    packed = stock_samples(tmp_path / "out")
    row = (corpus / "testing.txt").read_text().split()
    sample = packed[row[0].removesuffix(".jpg")]
    assert sample["jpg"] == (corpus / row[0]).read_bytes()
    expected_P2 = np.array(row[1:11], float).reshape(2, 5).T
    np.testing.assert_array_equal(json.loads(sample["json"])["landmarks"], expected_P2)
    assert len(packed) == 100


def test_folder_tar_and_gzipped_tar_give_the_same_bytes_for_any_jobs(corpus: Path, tmp_path: Path) -> None:
    tar = tmp_path / "mtfl.tar"
    with tarfile.open(tar, "w") as file:
        file.add(corpus, "./MTFL")
    (tmp_path / "mtfl.tar.gz").write_bytes(gzip.compress(tar.read_bytes()))
    for name, source, jobs in (("a", corpus, 1), ("b", tar, 2), ("c", tmp_path / "mtfl.tar.gz", 1)):
        pack_mtfl(source, tmp_path / name, jobs=jobs)
    assert shards(tmp_path / "a") == shards(tmp_path / "b") == shards(tmp_path / "c")


def test_validation_is_a_seeded_share_of_the_training_file(corpus: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        description = pack_mtfl(corpus, tmp_path / name, seed=seed, validation=0.25, size=16, jobs=1)
        assert description.splits["validation"].samples == 20 and description.splits["test"].samples == 20
    assert shards(tmp_path / "a") == shards(tmp_path / "b") != shards(tmp_path / "c")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 0}, "size is 0"), ({"validation": 1.0}, "validation is 1.0"), ({"margin": -1.0}, "margin is -1.0")],
)
def test_numbers_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pack_mtfl(tmp_path, tmp_path / "out", **options)


def test_sources_that_are_no_mtfl_are_refused(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar").write_text("no tar" * 500)
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(io.BytesIO(b"x" * 10_000).read())[:20])
    for source, message in (
        ("nowhere", "there is no"),
        ("empty", "no training.txt and no testing.txt"),
        ("text.tar", "not a folder, nor a whole tar"),
        ("cut.tar.gz", "does not unzip"),
    ):
        with pytest.raises(UserError, match=message):
            pack_mtfl(tmp_path / source, tmp_path / "out", jobs=1)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def test_real_faces_pack(test_data: Path, tmp_path: Path) -> None:
    """The first lines of both files, with every picture read from the middle of the tar that holds all."""
    source = tmp_path / "mtfl.tar"
    with tarfile.open(test_data / "mtfl.tar") as whole, tarfile.open(source, "w") as part:
        for name in ("training.txt", "testing.txt"):
            text = whole.extractfile(f"MTFL/{name}")
            assert text is not None
            lines = text.read().splitlines(keepends=True)[::30]
            entry = tarfile.TarInfo(f"MTFL/{name}")
            entry.size = len(b"".join(lines))
            part.addfile(entry, io.BytesIO(b"".join(lines)))
            for row in lines:
                member = whole.getmember("MTFL/" + row.split()[0].decode().replace("\\", "/"))
                part.addfile(member, whole.extractfile(member))
    description = pack_mtfl(source, tmp_path / "out", jobs=2)
    assert not left_out(description)
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 301,
        "validation": 33,
        "test": 34,
    }


def test_folders_that_are_links_are_read_and_links_in_a_circle_end(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "mtfl")
    (source / "net").rename(tmp_path / "pictures")
    (source / "net").symlink_to(tmp_path / "pictures")
    (tmp_path / "pictures" / "again").symlink_to(source)
    description = pack_mtfl(source, tmp_path / "out", jobs=1)
    assert not left_out(description)
