"""Tiles of large images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe_vae.runtime.tiles import HALO, SIDE, tiles_of

SIDES = st.integers(1, 3 * SIDE // 64).map(lambda count: 64 * count)


@given(SIDES, SIDES, st.sampled_from([4, 8, 32]))
def test_what_is_kept_of_tiles_is_the_whole_once(height: int, width: int, stride: int) -> None:
    seen = np.zeros((height // stride, width // stride), int)
    own = np.arange(height * width // stride**2).reshape(seen.shape)
    whole = np.full_like(own, -1)
    for tile in tiles_of((height, width)):
        target, source = tile.kept(stride)
        whole[target] = own[tile.seen(stride)][source]
        seen[target] += 1
    assert (seen == 1).all()
    assert np.array_equal(whole, own)


@given(SIDES, SIDES)
def test_tiles_are_bounded_and_see_around_themselves(height: int, width: int) -> None:
    for tile in tiles_of((height, width)):
        for seen, kept, side in (
            (tile.rows, tile.kept_rows, height),
            (tile.columns, tile.kept_columns, width),
        ):
            assert seen.stop - seen.start <= SIDE + 2 * HALO
            assert seen.start <= max(kept.start - HALO, 0)
            assert seen.stop >= min(kept.stop + HALO, side)


@pytest.mark.parametrize("shape", [(1, 1), (SIDE, SIDE)])
def test_what_is_not_large_is_one_tile(shape: tuple[int, int]) -> None:
    (tile,) = tiles_of(shape)
    assert tile.shape == shape
