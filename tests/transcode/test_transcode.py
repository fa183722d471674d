"""Data sets through a codec: what is made, what is kept, what is said of what cannot be read."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from files import member
from PIL import Image as PilImage
from toys import picture

import codecframe
from codecframe.core.errors import BudgetError, DataError, MismatchError, SettingsError
from codecframe.images import read_image
from codecframe.pipeline.transcode import Work, run_work

T = TypeVar("T")
R = TypeVar("R")
WORK = Work("webp", {"quality": 30})


class Elsewhere:
    """An engine that pickles, shuffles, and does each task twice, as after a lost worker."""

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        import pickle

        shuffled = list(tasks)
        random.Random(0).shuffle(shuffled)
        for task in shuffled:
            there, work = pickle.loads(pickle.dumps((task, function)))
            work(there)
            yield pickle.loads(pickle.dumps(work(there)))


def write(path: Path, image: codecframe.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(image).save(path)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "transcode.json"
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(150):
        write(tmp_path / "photos" / f"class-{i % 3}" / f"{i}.png", picture(i, 24, 32))
    return tmp_path / "photos"


def shard(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as made:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1_700_000_000
            made.addfile(entry, io.BytesIO(data))


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as read:
        return {entry.name: member(read, entry) for entry in read}


def png(seed: int) -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(picture(seed, 24, 32)).save(file, "PNG")
    return file.getvalue()


def test_a_folder_keeps_its_names_and_every_image_is_as_the_codec_makes_it(
    photos: Path, tmp_path: Path
) -> None:
    summary = run_work([photos], tmp_path / "small", WORK)
    assert (summary.report.images, summary.already, summary.lost) == (150, 0, [])
    made = content(tmp_path / "small")
    assert set(made) == {f"class-{i % 3}/{i}.webp" for i in range(150)}
    codec = codecframe.get_codec("webp")
    settings = codec.settings_type(quality=30)
    assert made["class-1/7.webp"] == codec.encode(read_image(photos / "class-1/7.png"), settings)
    assert summary.report.bytes == sum(map(len, made.values()))
    assert summary.report.pixels == 150 * 24 * 32


@pytest.mark.parametrize(
    ("codec", "accounting", "rate"),
    [
        ("jpeg", "payload", 1.2),
        ("jpeg", "file", 8.0),
        ("webp", None, 2.0),
        ("webp", "payload", 2.0),
    ],
)
def test_no_image_is_over_its_budget(
    photos: Path, tmp_path: Path, codec: str, accounting: str | None, rate: float
) -> None:
    work = Work(codec, budget=f"{rate}bpp", accounting=accounting)
    run_work([photos], tmp_path / "small", work)
    strip = codecframe.get_codec(codec).strip
    made = content(tmp_path / "small").values()
    counted = [len(strip(data) if accounting == "payload" else data) for data in made]
    sizes = [8 * size / 24 / 32 for size in counted]
    assert 0.8 * rate < np.mean(sizes) <= max(sizes) <= rate


@pytest.mark.parametrize("budget", [None, "0.9bpp"])
def test_every_engine_makes_the_same_bytes(
    photos: Path, tmp_path: Path, budget: str | None
) -> None:
    shard(photos / "s.tar", {f"{i:03}.png": png(i) for i in range(70)})
    work = Work("jpeg", budget=budget, accounting="payload")
    here = run_work([photos], tmp_path / "here", work)
    there = run_work([photos], tmp_path / "there", work, engine=Elsewhere())
    assert content(tmp_path / "here") == content(tmp_path / "there")
    assert here.report == there.report


def test_a_run_that_was_stopped_goes_on(photos: Path, tmp_path: Path) -> None:
    class Stopped(Elsewhere):
        def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
            yield function(next(iter(tasks)))
            raise KeyboardInterrupt

    target = tmp_path / "small"
    with pytest.raises(KeyboardInterrupt):
        run_work([photos], target, WORK, engine=Stopped())
    assert len(content(target)) == 64
    summary = run_work([photos], target, WORK)
    assert (summary.already, summary.report.images) == (64, 86)
    run_work([photos], tmp_path / "at once", WORK)
    assert content(target) == content(tmp_path / "at once")


def test_a_folder_made_otherwise_is_left_alone(photos: Path, tmp_path: Path) -> None:
    run_work([photos], tmp_path / "small", WORK)
    with pytest.raises(MismatchError, match="other settings"):
        run_work([photos], tmp_path / "small", Work("webp", {"quality": 31}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(MismatchError, match="something else"):
        run_work([photos], tmp_path / "mine", WORK)
    with pytest.raises(MismatchError, match="lies in"):
        run_work([photos], photos / "small", WORK)


def test_files_that_differ_by_suffix_only_stay_apart(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        write(tmp_path / "photos" / name, picture(len(name), 16, 16))
    run_work([tmp_path / "photos"], tmp_path / "small", WORK)
    assert set(content(tmp_path / "small")) == {"a.png.webp", "a.bmp.webp", "b.webp"}


def test_what_cannot_be_read_is_told_and_stops_nothing(photos: Path, tmp_path: Path) -> None:
    (photos / "class-0" / "broken.png").write_bytes(b"\x89PNG nothing")
    summary = run_work([photos], tmp_path / "small", WORK)
    assert (summary.report.images, summary.report.failures) == (150, 1)
    ((name, reason),) = summary.report.told
    assert name == "class-0/broken.png" and "broken.png" in reason


def test_a_shard_keeps_samples_and_all_that_is_no_image(tmp_path: Path) -> None:
    source = {}
    for i in range(40):
        source |= {f"a/{i:03}.png": png(i), f"a/{i:03}.cls": str(i).encode()}
    source |= {"b/9.left.png": png(1), "b/9.right.png": png(2), "b/9.json": b'{"x": 1}'}
    shard(tmp_path / "set" / "train" / "0.tar", source)
    summary = run_work([tmp_path / "set"], tmp_path / "small", WORK)
    assert summary.report.images == 42
    made = members(tmp_path / "small" / "train" / "0.tar")
    assert list(made) == [name.replace(".png", ".webp") for name in source]
    assert made["a/007.cls"] == b"7" and made["b/9.json"] == b'{"x": 1}'
    codec = codecframe.get_codec("webp")
    expected = codec.encode(picture(7, 24, 32), codec.settings_type(quality=30))
    assert made["a/007.webp"] == expected


def test_boxes_go_through_untouched(tmp_path: Path) -> None:
    boxes = [{"bbox": [4, 2, 16, 12], "category_id": 1}]
    source = {}
    for i in range(3):
        source |= {f"{i}.png": png(i), f"{i}.json": json.dumps(boxes).encode()}
    shard(tmp_path / "0.tar", source)
    for i in range(3):
        write(tmp_path / "set" / "images" / f"{i}.png", picture(i, 24, 32))
        (tmp_path / "set" / f"{i}.txt").write_text("0 0.375 0.33333334 0.5 0.5\n")
    work = Work("jpeg", {"quality": 30})
    run_work([tmp_path / "0.tar"], tmp_path / "small", work)
    run_work([tmp_path / "set" / "images"], tmp_path / "fewer", work)
    made = members(tmp_path / "small" / "0.tar")
    assert {name: data for name, data in made.items() if name.endswith(".json")} == {
        name: data for name, data in source.items() if name.endswith(".json")
    }
    assert read_image(made["0.jpg"], "0.jpg").shape == (24, 32, 3)  # where the boxes are
    opened = [
        codecframe.images.open_images([folder], labels=tmp_path / "set", task="detection")
        for folder in (tmp_path / "set" / "images", tmp_path / "fewer")
    ]
    for before, after in zip(*opened, strict=True):
        assert before.read().shape == after.read().shape
        ours, theirs = (item.target.boxes.corners for item in (after, before))
        assert np.array_equal(ours, theirs) and len(ours) == 1


def test_webdataset_reads_what_is_made(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shard(tmp_path / "0.tar", {"x.png": png(3), "x.cls": b"5"})
    run_work([tmp_path / "0.tar"], tmp_path / "small", WORK)
    path = str(tmp_path / "small" / "0.tar")
    ((image, label),) = webdataset.WebDataset(path, shardshuffle=False).decode("rgb8").to_tuple(
        "webp", "cls"
    )  # fmt: skip
    assert image.shape == (24, 32, 3) and label == 5


def test_a_sample_with_a_broken_image_is_left_out_as_a_whole(tmp_path: Path) -> None:
    source = {"1.png": png(1), "1.cls": b"1", "2.png": b"no image", "2.cls": b"2", "3.cls": b"3"}
    shard(tmp_path / "0.tar", source)
    summary = run_work([tmp_path / "0.tar"], tmp_path / "small", WORK)
    assert list(members(tmp_path / "small" / "0.tar")) == ["1.webp", "1.cls", "3.cls"]
    assert summary.report.failures == 1 and summary.report.told[0][0] == "0.tar/2.png"


def test_a_damaged_shard_does_not_stop_the_others_and_leaves_nothing(tmp_path: Path) -> None:
    shard(tmp_path / "set" / "good.tar", {"1.png": png(1)})
    shard(tmp_path / "set" / "cut.tar", {f"{i}.png": png(i) for i in range(9)})
    cut = (tmp_path / "set" / "cut.tar").read_bytes()
    (tmp_path / "set" / "cut.tar").write_bytes(cut[:7000])
    (tmp_path / "set" / "none.tar").write_bytes(b"nothing of the kind" * 100)
    summary = run_work([tmp_path / "set"], tmp_path / "small", WORK)
    assert [name for name, _ in summary.lost] == ["cut.tar", "none.tar"]
    assert set(content(tmp_path / "small")) == {"good.tar"}


def test_links_out_of_a_shard_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "0.tar").touch()
    with tarfile.open(tmp_path / "0.tar", "w") as made:
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    summary = run_work([tmp_path / "0.tar"], tmp_path / "small", WORK)
    assert members(tmp_path / "small" / "0.tar") == {} and summary.report.images == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"codec": "jpeg", "settings": {"quality": 101}}, SettingsError),
        ({"codec": "jpeg", "budget": "256kbit/s@5fps"}, BudgetError),
        ({"codec": "jpeg", "accounting": "free"}, ValueError),
    ],
)
def test_work_that_cannot_be_done_is_refused_at_once(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Work(**arguments)


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image and no shard"):
        run_work([tmp_path / "empty"], tmp_path / "small", WORK)
    assert not (tmp_path / "small").exists()


def test_the_record_says_what_was_done(photos: Path, tmp_path: Path) -> None:
    run_work([photos], tmp_path / "small", Work("jpeg", budget="0.9bpp", payload=True))
    record = json.loads((tmp_path / "small" / "transcode.json").read_text())
    assert record["codec"] == "jpeg" and record["budget"] == "0.9bpp"
    assert record["accounting"] == "payload", "what was written"
    packet = (tmp_path / "small" / "class-0" / "0.payload").read_bytes()
    codec = codecframe.get_codec("jpeg")
    settings = codec.settings_type().at_level(packet[0])
    assert codec.decode(codec.restore(packet[1:], settings, (24, 32))).shape == (24, 32, 3)
