"""Points for mean rates hold on the whole set, whatever a sample of it would say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import BrightnessHead, Item, ToyCodec, ToySettings, picture, toy_registry

from codecframe.core.image import Image
from codecframe.core.settings import Settings
from codecframe.evaluation.profile import Plan, profile_images, sample
from codecframe.rate import Accounting, Budget, MeanSearch, SetSize, set_size

HEAD = BrightnessHead()
CODEC = ToyCodec()
RATES = [1.0, 2.0, 4.0]


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


def noisy(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (48, 40, 3), dtype=np.uint8)


def plain(seed: int) -> Image:
    return np.full((48, 40, 3), seed % 256, np.uint8)


def of(*kinds: Callable[[int], Image]) -> list[Item]:
    """150 images whose kinds take turns, so that a sample by steps sees some kinds alone."""
    return [Item(f"{i}.png", kinds[i % len(kinds)](i)) for i in range(150)]


SETS = {
    "alike": of(picture),
    "a sample that is cheaper": of(picture, picture, picture, noisy, noisy),
    "a sample that is dearer": of(picture, plain, plain),
    "sorted": sorted(of(picture, noisy), key=lambda item: int(item.name[:-4]) % 2),
}


def mean_rate(images: list[Item], strength: int) -> float:
    """Bits a pixel over all readable images."""
    read = [item.image for item in images if not item.broken]
    total = set_size(CODEC, read, Accounting.PAYLOAD, ToySettings(strength=strength))
    return 8 * total.bytes / total.pixels


@pytest.mark.parametrize("name", SETS)
def test_the_mean_over_all_images_is_at_or_under_the_rate(tmp_path: Path, name: str) -> None:
    images = SETS[name]
    plan = Plan(codecs=["toy"], rates=RATES)
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        rows = sorted(table.rows(), key=lambda row: row.payload_bpp)
    assert len(rows) == len(RATES)
    for rate, row in zip(RATES, rows, strict=True):
        strength = row.point.settings["strength"]
        assert row.n == len(images)
        assert row.payload_bpp == pytest.approx(mean_rate(images, strength))
        assert row.payload_bpp <= rate < mean_rate(images, strength + 1)


def test_rates_and_a_mean_budget_find_the_same_point(tmp_path: Path) -> None:
    images = SETS["a sample that is cheaper"]
    plan = Plan(["toy"], rates=[4.0], budget=Budget(4.0, "bpp", "mean"))
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        assert len({point.settings["strength"] for point in table.points().values()}) == 1


def test_a_guided_search_goes_over_all_images_once_or_twice_for_a_rate() -> None:
    images = [picture(i) for i in range(150)]
    passes = 0

    def size_of(chosen: Settings) -> SetSize:
        nonlocal passes
        passes += 1
        return set_size(CODEC, images, Accounting.PAYLOAD, chosen)

    guide = MeanSearch(CODEC, ToySettings(), images[::3])
    search = MeanSearch(CODEC, ToySettings(), (), guide=guide, size_of=size_of)
    for rate in RATES:
        search.fit(Budget(rate, "bpp", "mean"))
    assert passes <= 3 * len(RATES)


def test_a_search_that_was_stopped_goes_on_at_the_span_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [Item(f"{i}.png", picture(i, 16, 16)) for i in range(1100)]  # three spans
    plan = Plan(["toy"], budget=Budget(4.0, "bpp", "mean"))
    encode_many = ToyCodec.encode_many
    encoded, most = 0, 100_000

    def counted(codec: ToyCodec, images: Iterable[Image], settings: ToySettings) -> list[bytes]:
        nonlocal encoded
        some = list(images)
        encoded += len(some)
        if encoded > most:
            raise KeyboardInterrupt
        return encode_many(codec, some, settings)

    monkeypatch.setattr(ToyCodec, "encode_many", counted)
    profile_images(tmp_path / "whole", images, HEAD, plan).close()
    whole, encoded, most = encoded, 0, encoded - len(images) - 300  # searching in a second span
    with pytest.raises(KeyboardInterrupt):
        profile_images(tmp_path / "stopped", images, HEAD, plan)
    encoded, most = 0, 100_000
    with profile_images(tmp_path / "stopped", images, HEAD, plan) as table:
        assert table.rows()[0].n == len(images)
    assert encoded <= whole - 512


@pytest.mark.parametrize(("count", "most"), [(1, 64), (64, 64), (65, 64), (127, 64), (150, 7)])
def test_a_sample_reaches_to_the_end_of_the_set(count: int, most: int) -> None:
    images = [Item(f"{i}.png", plain(i)) for i in range(count)]
    chosen = [int(item.name[:-4]) for item in sample(images, most)]
    assert len(chosen) == len(set(chosen)) == min(count, most)
    gaps = np.diff([-1, *chosen, count])
    assert gaps.max() - 1 <= -(-count // most)


def test_unreadable_images_do_not_mislead_a_search(tmp_path: Path) -> None:
    images = [replace(item, broken=i % 2 == 0) for i, item in enumerate(SETS["alike"])]
    plan = Plan(["toy"], rates=[4.0])
    with profile_images(tmp_path / "p", images, HEAD, plan) as table:
        (row,) = table.rows()
    assert row.n == 75
    assert row.payload_bpp <= 4.0 < mean_rate(images, row.point.settings["strength"] + 1)
