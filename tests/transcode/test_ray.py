"""A Ray cluster makes what this machine makes, also when it loses a worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as PilImage
from toys import picture

from codecframe.core import registry
from codecframe.core.errors import DataError, MismatchError, UnknownNameError
from codecframe.evaluation.profile import Plan, profile_images
from codecframe.images import open_images
from codecframe.pipeline.engine import Ray, open_engine
from codecframe.pipeline.transcode import Work, run_work
from codecframe.rate import Budget

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ray]:
    """A cluster of two workers."""
    support = Path(__file__).parents[1] / "support"
    path = os.pathsep.join([str(support), os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )  # fmt: skip
    yield Ray()
    ray.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(320):
        PilImage.fromarray(picture(i, 40, 40)).save(folder / f"{i:04}.png")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_worker_costs_a_retry(cluster: Ray, photos: Path, tmp_path: Path) -> None:
    work = Work("webp", {"method": 6}, budget="0.8bpp")
    here = run_work([photos], tmp_path / "here", work)
    killed: list[int] = []

    def kill() -> None:
        target = tmp_path / "there"
        while not target.exists() or len(list(target.iterdir())) < 20:
            time.sleep(0.01)
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and _is_busy(process):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))
                return

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    there = run_work([photos], tmp_path / "there", work, engine=cluster)
    killer.join(10)
    assert len(killed) == 1
    assert there.report == here.report
    made = content(tmp_path / "there")
    assert {k: v for k, v in made.items() if not k.startswith(".")} == content(tmp_path / "here")


def _is_busy(process: Path) -> bool:
    """Whether a process is a worker of Ray at a task."""
    try:
        name = (process / "cmdline").read_bytes()
        parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
        return name.startswith(b"ray::_on_one_core") and _descends(int(parent))
    except (OSError, IndexError):
        return False


def _descends(parent: int) -> bool:
    """Whether a raylet of this process's cluster started it."""
    stat = Path(f"/proc/{parent}/stat").read_text().rsplit(")", 1)[1].split()
    return int(stat[1]) == os.getpid()


def test_a_profile_is_the_same(cluster: Ray, photos: Path, tmp_path: Path) -> None:
    plan = Plan(["jpeg", "webp"], levels=[10, 40], budget=Budget.parse("0.8bpp"))
    items = open_images(photos)
    head = registry.default().head("models:reference")
    profiles = []
    for name, engine in (("here", None), ("there", cluster)):
        with profile_images(
            tmp_path / name, items, head, plan, engine=engine, head_name="models:reference"
        ) as table:
            rows = [row.to_dict() for row in table.rows()]
        profiles.append([{k: v for k, v in r.items() if not k.endswith("_us")} for r in rows])
    assert len(profiles[0]) == 6
    assert profiles[0] == profiles[1]


def test_ray_data_maps_batches(cluster: Ray, photos: Path) -> None:
    import numpy as np

    from codecframe.images import read_image
    from codecframe.integrations.raydata import CodecTransform

    files = sorted(photos.iterdir())[:6]
    images = np.stack([read_image(path) for path in files])
    transform = CodecTransform("jpeg:quality=20", sizes="size")
    dataset = ray.data.from_items([{"image": image} for image in images])
    rows = dataset.map_batches(transform, batch_size=4).take_all()
    expected = transform({"image": images})
    assert {row["size"] for row in rows} == set(expected["size"].tolist())
    made = {row["image"].tobytes() for row in rows}
    assert made == {image.tobytes() for image in expected["image"]}


def test_a_link_is_not_met_in_pieces(cluster: Ray, photos: Path, tmp_path: Path) -> None:
    plan = Plan(["jpeg"], budget=Budget.parse("64kbit/s@5fps"))
    head = registry.default().head("models:reference")
    with pytest.raises(MismatchError, match="local engine"):
        profile_images(tmp_path / "p", open_images(photos), head, plan, engine=cluster)


def _fail(task: int) -> int:
    raise DataError("file", f"number {task}")


def _bug(task: int) -> int:
    raise ZeroDivisionError


def test_errors_come_back_as_they_were(cluster: Ray) -> None:
    with pytest.raises(DataError, match="file: number 3") as caught:
        list(cluster.map(_fail, [3]))
    assert caught.value.source == "file"
    with pytest.raises(ZeroDivisionError):
        list(cluster.map(_bug, [1]))


def test_engines_have_names() -> None:
    assert list(open_engine("local").map(str, [1, 2])) == ["1", "2"]
    with pytest.raises(UnknownNameError, match="ray"):
        open_engine("rai")
    with pytest.raises(MismatchError, match="--engine ray"):
        open_engine("local", "somewhere:6379")
