from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import codecframe
from codecframe.images import CifarSet, download_cifar, open_images
from codecframe.images.cifar import KINDS, class_names

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (25, 32, 32, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 25)


def records(chosen: slice, *, coarse: bool = False) -> bytes:
    """The official records of some of the images."""
    rows = []
    for image, label in zip(IMAGES[chosen], LABELS[chosen], strict=True):
        labels = bytes([19, label]) if coarse else bytes([label])
        rows.append(labels + image.transpose(2, 0, 1).tobytes())
    return b"".join(rows)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """CIFAR-10 and CIFAR-100 with 25 images."""
    ten, hundred = (tmp_path / KINDS[name].folder for name in ("cifar10", "cifar100"))
    ten.mkdir()
    hundred.mkdir()
    for i in range(5):
        (ten / f"data_batch_{i + 1}.bin").write_bytes(records(slice(5 * i, 5 * i + 5)))
    (ten / "test_batch.bin").write_bytes(records(slice(0, 3)))
    (ten / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    for part in ("train", "test"):
        (hundred / f"{part}.bin").write_bytes(records(slice(0, 4), coarse=True))
    return tmp_path


def test_images_and_classes_come_in_the_official_order(root: Path) -> None:
    items = open_images(["cifar10:train"], data_root=root)
    assert len(items) == 25
    for i in (0, 4, 5, 24, -1):
        assert np.array_equal(items[i].read(), IMAGES[i])
        assert items[i].target == LABELS[i]
    assert items[7].name == "cifar10-train/00007" == items[5:][2].name


def test_the_last_of_two_labels_is_the_fine_class(root: Path) -> None:
    items = open_images(["cifar100:test"], data_root=root)
    assert [item.target for item in items] == LABELS[:4].tolist()
    assert np.array_equal(items[3].read(), IMAGES[3])


def test_several_parts_make_one_set(root: Path) -> None:
    items = open_images(["cifar10:test", "cifar10:train"], data_root=root, limit=14)
    assert len(items) == 14 and len({item.name for item in items}) == 14


def test_as_arrays(root: Path) -> None:
    whole = CifarSet.open("cifar10", "train", root=root)
    assert np.array_equal(whole.images, IMAGES)
    assert np.array_equal(whole.targets, LABELS)
    assert np.array_equal(whole[20:2:-3].images, IMAGES[20:2:-3])
    assert len(CifarSet.open("cifar10", "train", root=root, limit=7)) == 7


def test_the_folder_itself_its_parent_or_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (root, root / KINDS["cifar10"].folder):
        assert len(open_images(["cifar10:test"], data_root=place)) == 3
    monkeypatch.setenv("CODECFRAME_DATA", str(root))
    assert len(open_images(["cifar10:test"])) == 3
    assert class_names("cifar10") == ["airplane", "automobile"]


def test_what_is_missing_or_damaged_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(codecframe.DataError, match="download_cifar"):
        open_images(["cifar10:test"], data_root=tmp_path / "elsewhere")
    with pytest.raises(codecframe.UnknownNameError, match="did you mean 'cifar10:test'"):
        open_images(["cifar10:tset"], data_root=root)
    batch = root / KINDS["cifar10"].folder / "test_batch.bin"
    for content in (records(slice(0, 2))[:-1], b""):
        batch.write_bytes(content)
        with pytest.raises(codecframe.DataError, match=r"test_batch\.bin.*multiple of 3073"):
            open_images(["cifar10:test"], data_root=root)
    with pytest.raises(codecframe.DataError, match="there are none"):
        open_images(["cifar10:train"], data_root=root, labels="folders")


@pytest.mark.skipif(
    not (Path(os.environ.get("CODECFRAME_DATA", "")) / "cifar10" / "unpack.py").is_file(),
    reason="CODECFRAME_DATA has no packed CIFAR-10",
)
def test_the_real_test_images(tmp_path: Path) -> None:
    path = Path(os.environ["CODECFRAME_DATA"]) / "cifar10" / "unpack.py"
    spec = importlib.util.spec_from_file_location("unpack", path)
    assert spec is not None and spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    images, labels = unpack.load(path.parent / "test.webps")
    folder = tmp_path / KINDS["cifar10"].folder
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(unpack.batch(images, labels))
    found = CifarSet.open("cifar10", "test", root=tmp_path)
    assert np.array_equal(found.images, images) and np.array_equal(found.targets, labels)
    assert np.array_equal(found[9_999].read(), images[9_999])


# -- download -----------------------------------------------------------------------------


def archive(path: Path, members: dict[str, bytes], *, link: str | None = None) -> str:
    """Write a tar.gz; returns its md5."""
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            opened.addfile(info)
    return hashlib.md5(path.read_bytes()).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


TEST = f"{KINDS['cifar10'].folder}/test_batch.bin"


def test_download_checks_unpacks_and_does_so_once(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    md5 = archive(folder / "c.tar.gz", {TEST: records(slice(0, 3))})
    target = tmp_path / "data"
    made = download_cifar("cifar10", target, url=f"{address}/c.tar.gz", md5=md5)
    assert made == target / KINDS["cifar10"].folder
    assert len(open_images(["cifar10:test"], data_root=target)) == 3
    (folder / "c.tar.gz").unlink()
    assert download_cifar("cifar10", target, url=f"{address}/c.tar.gz") == made
    assert list(target.iterdir()) == [made]


def test_a_failed_download_leaves_nothing(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    good = archive(folder / "good", {TEST: b""})
    bad = {
        "absent": (None, "404"),
        "good": (None, f"has md5 {good}, not {KINDS['cifar10'].md5}"),
        "other": (archive(folder / "other", {"x/y": b""}), "holds no folder"),
        "outside": (archive(folder / "outside", {"../evil": b"x"}), "cannot|unpacked"),
        "linked": (archive(folder / "linked", {TEST: b""}, link="passwd"), "unpacked"),
    }
    (folder / "noise").write_bytes(b"\x1f\x8b nothing")
    bad["noise"] = (hashlib.md5(b"\x1f\x8b nothing").hexdigest(), "unpacked")
    target = tmp_path / "data"
    for name, (md5, message) in bad.items():
        with pytest.raises(codecframe.DataError, match=message):
            download_cifar("cifar10", target, url=f"{address}/{name}", md5=md5)
        assert list(target.iterdir()) == []
    assert not (tmp_path / "evil").exists()
    monkeypatch.setattr("codecframe.images.download._MOST_BYTES", 10)
    with pytest.raises(codecframe.DataError, match="over 10 bytes"):
        download_cifar("cifar10", target, url=f"{address}/good", md5=good)


def test_addresses_and_folders_that_will_not_do(tmp_path: Path) -> None:
    for url in ("file:///etc/passwd", "ftp://x/y", "cifar"):
        with pytest.raises(codecframe.DataError, match="http"):
            download_cifar("cifar10", tmp_path, url=url)
    with pytest.raises(codecframe.DataError, match=r"127\.0\.0\.1"):
        download_cifar("cifar10", tmp_path, url="http://127.0.0.1:1/x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(codecframe.CodecframeError, match="cannot write"):
        download_cifar("cifar10", tmp_path / "file")
