from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PilImage
from toys import picture

import codecframe
from codecframe.images import FileSet, ImageSet, open_images


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """cat/0.png, cat/1.PNG, dog/deep/2.jpg, 3.png, and what is not an image."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    for seed, name in enumerate(["cat/0.png", "cat/1.PNG", "dog/deep/2.jpg", "3.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(picture(seed, 8, 10 + seed)).save(path)
    for name in ("notes.txt", ".hidden.png", "cat/Thumbs.db", ".cache/9.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")
    return folder


def names(items: ImageSet) -> list[str]:
    return [item.name for item in items]


NAMES = ["3.png", "cat/0.png", "cat/1.PNG", "dog/deep/2.jpg"]


def test_a_folder_is_searched_through_in_order(photos: Path) -> None:
    for spec in (photos, "photos", "photos/", str(photos) + "/"):
        items = open_images([spec])
        assert names(items) == NAMES
        assert items[1].target is None
        assert np.array_equal(items[1].read(), picture(0, 8, 10))
    assert names(open_images(photos)) == NAMES


def test_nothing_is_opened_before_it_is_read(photos: Path) -> None:
    items = open_images([photos])
    (photos / "3.png").write_bytes(b"")
    (photos / "cat" / "0.png").unlink()
    assert len(items) == 4
    for item in items[:2]:
        with pytest.raises(codecframe.DataError, match=item.name):
            item.read()


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["photos/cat/0.png"], ["0.png"]),
        (["photos/3.png", "photos/cat/0.png"], ["3.png", "cat/0.png"]),
        (["photos/dog", "photos/cat"], ["dog/deep/2.jpg", "cat/0.png", "cat/1.PNG"]),
        (["photos/cat", "photos"], ["cat/0.png", "cat/1.PNG", "3.png", "dog/deep/2.jpg"]),
        (["photos/*/*"], ["cat/0.png", "cat/1.PNG", "dog/deep/2.jpg"]),
        (["photos/**/*.jpg"], ["2.jpg"]),
        (["photos/notes.txt"], ["notes.txt"]),
    ],
)
def test_names_tell_images_apart(photos: Path, specs: list[str], expected: list[str]) -> None:
    assert names(open_images(specs)) == expected


def test_links_to_folders_are_followed_but_never_round_in_circles(photos: Path) -> None:
    (photos / "cat" / "up").symlink_to(photos)
    (photos / "more").symlink_to(photos / "dog")
    assert names(open_images([photos])) == [*NAMES, "more/deep/2.jpg"]


def test_what_is_not_there_is_said(photos: Path) -> None:
    (photos / "empty").mkdir()
    for spec, message in (
        ("photos/absent.png", "absent.png: no such file"),
        ("photos/*.gif", r"\*.gif: no such file"),
        ("photos/empty", "no image found"),
        ("photos/*.txt", "no image found"),
    ):
        with pytest.raises(codecframe.DataError, match=message):
            open_images([spec])
    with pytest.raises(codecframe.DataError, match="no image found"):
        open_images([])


def test_folders_as_classes(photos: Path) -> None:
    targets = {item.name: item.target for item in open_images([photos], labels="folders")}
    assert targets == dict(zip(NAMES, ["photos", "cat", "cat", "deep"], strict=True))
    (photos / "cat").rename(photos / "7")
    assert open_images(["photos/7/*.png"], labels="folders")[0].target == 7


CSV = """\ufefffile,label,split
3.png,5,tune
cat/0.png, cat ,eval
dog/deep/2.jpg,dog,eval
x.png,1,eval
"""


def test_labels_from_a_csv_file(photos: Path) -> None:
    path = photos / "labels.csv"
    path.write_text(CSV, encoding="utf-8")
    items = open_images(["photos"], labels="photos/labels.csv")
    assert [(item.name, item.target) for item in items] == [
        ("3.png", 5), ("cat/0.png", "cat"), ("dog/deep/2.jpg", "dog"),
    ]  # fmt: skip
    some = open_images([photos], labels=path, where={"split": "eval"})
    assert [item.target for item in some] == ["cat", "dog"]
    assert names(open_images(["photos/cat"], labels=path)) == ["0.png"]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (CSV, {"fold": "1"}, "no column fold"),
        (CSV, {"split": "test"}, "does not name any of the 4 images in any row"),
        ("file,label\n0.png,1\n", {}, r"does not name any of the 4 images.*photos/0\.png"),
        ("path,label\n", {}, "no column file"),
        ("", {}, "no column file, label"),
        ("file,label\n\0,1\n", {}, r"labels\.csv"),
        ("file,label\n3.png\n", {}, None),
    ],
)
def test_wrong_labels_files(photos: Path, text: str, where: dict, message: str | None) -> None:
    path = photos / "labels.csv"
    path.write_text(text, encoding="utf-8")
    if message is None:
        assert open_images([photos], labels=path, where=where)[0].target == ""
        return
    with pytest.raises(codecframe.DataError, match=message):
        open_images([photos], labels=path, where=where)


def test_labels_that_cannot_be_read_or_filtered(photos: Path) -> None:
    (photos / "binary.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    for labels in ("binary.csv", "absent.csv"):
        with pytest.raises(codecframe.DataError, match=labels):
            open_images([photos], labels=photos / labels)
    for labels in (None, "folders"):
        with pytest.raises(codecframe.DataError, match="split"):
            open_images([photos], labels=labels, where={"split": "eval"})


def test_a_limit_spreads_over_the_set() -> None:
    items = ImageSet([FileSet("a", [f"{i}.png" for i in range(10)])])
    assert names(items.spread(4)) == ["0.png", "2.png", "5.png", "7.png"]
    assert items.spread(10) is items and len(items.spread(11)) == 10


def test_a_set_is_a_sequence() -> None:
    items = ImageSet(
        [FileSet("a", ["0", "1", "2"], [7, 8, 9]), FileSet("b", []), FileSet("c", ["3"])]
    )
    assert names(items) == ["0", "1", "2", "3"]
    assert items[-1].name == "3" and items[2].target == 9
    assert names(items[1:]) == ["1", "2", "3"] and names(items[::-2]) == ["3", "1"]
    assert FileSet("a", ["0", "1"], [7, 8])[1:][0].target == 8
    with pytest.raises(IndexError):
        items[4]


def test_stdin_is_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    PilImage.fromarray(picture(0, 5, 6)).save(buffer, "PNG")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(buffer.getvalue())))
    items = open_images(["-"])
    assert names(items) == ["stdin"]
    for _ in range(2):
        assert np.array_equal(items[0].read(), picture(0, 5, 6))


def test_a_folder_that_may_not_be_listed_is_said(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("codecframe.images.files.os.scandir", refuse)
    with pytest.raises(codecframe.DataError, match="photos: Permission denied"):
        open_images(["photos"])
