from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from toys import BrightnessHead, Item, ToyCodec, items, toy_registry

from codecframe import DataError, MismatchError
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.rate import Accounting, Budget

HEAD = BrightnessHead()


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


def rows_of(path: Path) -> list[tuple]:
    with ProfileTable.open(path) as table:
        return [
            (r.point.key, r.n, r.file_bytes, r.payload_bytes, r.score, r.agreement, r.divergence)
            for r in table.rows()
        ]


def test_rows_hold_real_bytes_and_scores(tmp_path: Path) -> None:
    images = items(20, labelled=True)
    plan = Plan(codecs=["toy"], levels=[60, 200])
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        rows = {row.point.settings["strength"]: row for row in table.rows()}
    codec = ToyCodec()
    for strength, row in rows.items():
        chosen = codec.settings_type(strength=strength)
        datas = [codec.encode(item.image, chosen) for item in images]
        assert row.n == 20
        assert row.file_bytes == pytest.approx(np.mean([len(data) for data in datas]))
        assert row.payload_bytes == pytest.approx(row.file_bytes - 9)
        assert row.payload_bpp == pytest.approx(row.payload_bytes * 8 / (48 * 40))
        hits = HEAD.score(
            HEAD.predict([codec.decode(d) for d in datas]), [i.target for i in images]
        )
        assert row.score == pytest.approx(hits.mean())
        assert row.score_low <= row.score <= row.score_high
        # labels were the head's own predictions, so both measures are one
        assert row.agreement == pytest.approx(row.score)
    assert rows[200].divergence < rows[60].divergence


def test_without_labels_agreement_is_measured(tmp_path: Path) -> None:
    plan = Plan(codecs=["toy"], levels=[200])
    with profile_images(tmp_path / "p", items(5), HEAD, plan) as table:
        (row,) = table.rows()
    assert row.score is None and row.agreement is not None


def test_rates_become_levels_with_mean_rates_under_them(tmp_path: Path) -> None:
    plan = Plan(codecs=["toy"], rates=[2, 4, 8])
    with profile_images(tmp_path / "p", items(20), HEAD, plan) as table:
        found = sorted(row.payload_bpp for row in table.rows())
    assert len(found) == 3
    for rate, bpp in zip([2, 4, 8], found, strict=True):
        assert 0.7 * rate <= bpp <= rate


@pytest.mark.parametrize(("told", "least"), [(1, 0), (4, 1)], ids=["searching", "measuring"])
def test_an_interrupted_run_goes_on_and_ends_as_an_uninterrupted_one(
    tmp_path: Path, told: int, least: int
) -> None:
    images = items(30, labelled=True)
    plan = Plan(codecs=["toy", "bland"], levels=[50, 150], budget=Budget.parse("4bpp", mode="mean"))

    class Stop:
        """Progress displays whose user presses Ctrl-C when told of so many pieces of work."""

        left = told

        def __init__(self, total: int) -> None: ...

        def __enter__(self) -> Stop:
            return self

        def __exit__(self, *_: object) -> None: ...

        def advance(self, count: int, note: str) -> None:
            Stop.left -= count > 0
            if not Stop.left:
                raise KeyboardInterrupt

        skip = advance

    with pytest.raises(KeyboardInterrupt):
        profile_images(tmp_path / "stopped", images, HEAD, plan, progress=Stop)
    assert least <= len(rows_of(tmp_path / "stopped")) < 6
    profile_images(tmp_path / "stopped", images, HEAD, plan).close()
    profile_images(tmp_path / "whole", images, HEAD, plan).close()
    assert rows_of(tmp_path / "stopped") == rows_of(tmp_path / "whole")


def test_a_finished_run_measures_nothing_again(tmp_path: Path) -> None:
    images = items(8)
    plan = Plan(codecs=["toy"], levels=[50])
    profile_images(tmp_path / "p", images, HEAD, plan).close()

    class Deaf(BrightnessHead):
        def predict(self, batch: object) -> NoReturn:
            raise AssertionError("nothing was left to predict")

    profile_images(tmp_path / "p", images, Deaf(), plan).close()


@pytest.mark.parametrize("plan", [
    Plan(codecs=["toy"], rates=[2.0, 4.0]),
    Plan(codecs=["toy"], budget=Budget(3.0, "bpp", "mean")),
])  # fmt: skip
def test_levels_that_an_earlier_run_found_are_not_searched_again(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = items(8)
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        found = table.points()

    def encode_many(*_: object) -> None:
        raise AssertionError("nothing was left to encode")

    monkeypatch.setattr(ToyCodec, "encode_many", encode_many)
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        assert table.points() == found
    other = replace(plan, accounting=Accounting.FILE)
    with pytest.raises(AssertionError, match="nothing was left"):
        profile_images(tmp_path / "p", images, HEAD, other)


def test_a_mean_and_a_cap_of_the_same_rate_are_searched_apart(tmp_path: Path) -> None:
    images = items(8)
    for mode in ("cap", "mean"):
        plan = Plan(codecs=["toy"], budget=Budget(3.0, "bpp", mode))
        profile_images(tmp_path / "p", images, HEAD, plan).close()
    with ProfileTable.open(tmp_path / "p") as table:
        assert [point.mode for point in table.points().values()] == ["cap", "mean"]


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    images: list[Item] = items(6)
    images[2] = replace(images[2], broken=True)
    plan = Plan(codecs=["toy"], levels=[50])
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        assert table.rows()[0].n == 5
        assert table.skipped() == [("2.png", "2.png: cannot be read")]
    broken = [replace(item, broken=True) for item in images]
    with pytest.raises(DataError, match="none of the 6"):
        profile_images(tmp_path / "q", broken, HEAD, plan)


def test_an_image_that_cannot_meet_a_cap_counts_as_lost(tmp_path: Path) -> None:
    images = items(6, labelled=True)
    noise = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    images[3] = replace(images[3], image=noise)
    sizes = [len(ToyCodec().encode(i.image, ToyCodec.settings_type(strength=1))) for i in images]
    plan = Plan(codecs=["toy"], budget=Budget(max(sizes) - 20, "bytes"))
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        (row,) = table.rows()
        (point,) = table.points()
        sizes_seen = table.per_image(point, Accounting.PAYLOAD).size
    assert row.n == 6 and row.unfit == 1
    assert np.isnan(sizes_seen[3])


def test_a_profile_of_something_else_is_refused(tmp_path: Path) -> None:
    plan = Plan(codecs=["toy"], levels=[50])
    profile_images(tmp_path / "p", items(4), HEAD, plan).close()
    with pytest.raises(MismatchError, match="images"):
        profile_images(tmp_path / "p", items(5), HEAD, plan)


@pytest.mark.parametrize(
    "content", [b"", b"not a database" * 100, b"SQLite format 3\0" + b"x" * 500]
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(DataError):
        ProfileTable.open(path)
    with pytest.raises(DataError, match="no such"):
        ProfileTable.open(tmp_path / "absent")
