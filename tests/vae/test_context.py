"""The context model: any latents under any integers round trip, by the format's description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe_vae.entropy.context import COMPILED, REACH, ContextArrays, ContextModel
from codecframe_vae.entropy.rangecoder import TOTAL, CorruptPayloadError


@pytest.fixture(autouse=True, scope="module", params=["compiled", "plain"])
def coder(request: pytest.FixtureRequest) -> Iterator[None]:
    """All tests with the loops that numba compiles, and without them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "compiled":
            pytest.importorskip("numba")
            COMPILED.wait()
        else:
            patch.setattr(ContextModel, "_compiled", None)
        yield


def arrays_of(
    seed: int, channels: int, limits: list[int], shift: int, classes: int = 5, tables: int = 7
) -> ContextArrays:
    """A context model of random integers, whose tables have all symbols that can occur."""
    rng = np.random.default_rng(seed)
    alphabet = 2 * max(limits) + 1
    share = rng.random((tables, alphabet)) ** 6
    frequency = 1 + np.floor(share / share.sum(1, keepdims=True) * (TOTAL - alphabet))
    frequency[:, 0] += TOTAL - frequency.sum(1)
    return ContextArrays(
        limit=np.array(limits, np.uint8),
        weight=rng.integers(-128, 128, (2, channels, channels, 9)).astype(np.int8),
        shift=np.array([shift], np.uint8),
        lut=rng.integers(0, classes, (2, channels, REACH)).astype(np.uint8),
        row=rng.integers(0, tables, (2, channels, classes)).astype(np.uint16),
        frequency=frequency.astype(np.uint16),
    )


def latents_of(
    model: ContextModel, seed: int, n: int, height: int, width: int, scale: float
) -> Any:
    """Latents of which few or all lie at the limits."""
    real = np.random.default_rng(seed).normal(size=(n, model.channels, height, width))
    return model.clip(real * scale)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ContextModel, Any]:
    """A context model and latents, 1 to 4 grids."""
    channels, groups = draw(st.sampled_from([(1, 1), (2, 1), (2, 2), (6, 2), (6, 3), (5, 5)]))
    largest = st.sampled_from([0, 0, 1, 2, 9, 127])
    limits = draw(st.lists(largest, min_size=channels, max_size=channels))
    seed = draw(st.integers(0, 2**32 - 1))
    model = ContextModel(arrays_of(seed, channels, limits, draw(st.integers(0, 12))), groups)
    sizes = [draw(st.integers(1, most)) for most in (4, 6, 6)]
    return model, latents_of(model, seed, *sizes, draw(st.sampled_from([0.0, 0.7, 5.0, 500.0])))


def decoded(model: ContextModel, payload: bytes, height: int, width: int) -> Any:
    """The latents, or none where the payload is corrupt."""
    try:
        return model.decode([payload], height, width)[0]
    except CorruptPayloadError:
        return None


# -- by the description --------------------------------------------------------------------


def by_the_description(
    arrays: ContextArrays, groups: int, payload: bytes, height: int, width: int
) -> Any:
    """Latents of a payload, one by one in Python integers, as the plugin's README describes it."""
    limit, weight, shift, lut, row, frequency = (
        getattr(arrays, name).astype(int).tolist() for name in ContextArrays.names()
    )
    channels = len(limit)
    found: dict[tuple[int, int, int], int] = {}
    value, low, span, bits = int.from_bytes(payload, "big"), 0, 1 << 48, 48
    if 8 * len(payload) < bits:
        value <<= bits - 8 * len(payload)

    def known(channel: int, y: int, x: int) -> int:
        return found.get((channel, y, x), 0)

    for group in range(groups):
        own = range(group * channels // groups, (group + 1) * channels // groups)
        for phase in (0, 1):
            for y in range(height):
                for x in range((y + phase) % 2, width, 2):
                    for channel in filter(limit.__getitem__, own):
                        taps = weight[phase][channel]
                        total = sum(
                            taps[c][3 * (dy + 1) + dx + 1] * known(c, y + dy, x + dx)
                            for c in range(own.start)
                            for dy in (-1, 0, 1)
                            for dx in (-1, 0, 1)
                        )
                        if phase:
                            total += sum(
                                taps[c][3 * (dy + 1) + dx + 1] * known(c, y + dy, x + dx)
                                for c in own
                                for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0))
                            )
                        at = min(max(total >> shift[0], -128), 127) + 128
                        table = frequency[row[phase][channel][lut[phase][channel][at]]]
                        unit = span >> 14
                        here = (
                            value >> 8 * len(payload) - bits if 8 * len(payload) > bits else value
                        )
                        slot, symbol, start = (here - low) // unit, 0, 0
                        while start + table[symbol] <= slot:
                            start += table[symbol]
                            symbol += 1
                        low, span = low + unit * start, unit * table[symbol]
                        found[channel, y, x] = -(symbol + 1 >> 1) if symbol & 1 else symbol >> 1
                        if span < 1 << 32:
                            low, span, bits = low << 16, span << 16, bits + 16
                            if 8 * len(payload) < bits:
                                value <<= min(16, bits - 8 * len(payload))
    grid = [
        [[known(c, y, x) for x in range(width)] for y in range(height)] for c in range(channels)
    ]
    return np.array(grid)


@given(cases())
def test_payloads_are_what_the_description_says(case: tuple[ContextModel, Any]) -> None:
    model, latents = case
    for payload, one in zip(model.encode(latents), latents, strict=True):
        found = by_the_description(model.arrays, model.groups, payload, *one.shape[1:])
        assert np.array_equal(found, one)


# -- round trips ---------------------------------------------------------------------------


@given(cases())
def test_any_latents_round_trip_alone_and_together(case: tuple[ContextModel, Any]) -> None:
    model, latents = case
    shape = latents.shape[2:]
    payloads = model.encode(latents)
    together = model.decode(payloads, *shape)
    assert together.dtype == np.int8
    assert np.array_equal(together, latents)
    for payload, one in zip(payloads, latents, strict=True):
        assert model.encode(one[None]) == [payload]
        assert np.array_equal(decoded(model, payload, *shape), one)
    assert model.encode(latents) == payloads
    again = ContextModel(model.arrays, model.groups)
    assert again.encode(latents) == payloads
    ideal = model.ideal_bytes(latents)
    assert all(len(b) < bound + 1.01 for b, bound in zip(payloads, ideal, strict=True))


def test_the_mean_overhead_is_below_two_bytes() -> None:
    """Less than none is possible: zeros at the end, likely or not, are not sent."""
    for scale in (0.3, 1.0, 4.0):
        model = ContextModel(arrays_of(1, 6, [3, 9, 0, 1, 20, 5], 5), 3)
        latents = latents_of(model, 0, 300, 8, 8, scale)
        sizes = np.array([len(payload) for payload in model.encode(latents)])
        assert (sizes - model.ideal_bytes(latents)).mean() < 2


@given(cases(), st.data())
def test_the_first_latents_alone_round_trip(
    case: tuple[ContextModel, Any], data: st.DataObject
) -> None:
    model, latents = case
    keep = data.draw(st.integers(0, latents[0].size))
    kept = model.keep_first(latents, keep)
    assert np.array_equal(model.decode(model.encode(kept), *kept.shape[2:]), kept)
    assert ((kept == latents) | (kept == 0)).all()
    fewer = model.keep_first(latents, max(0, keep - 1))
    assert (np.count_nonzero(kept != fewer, axis=(1, 2, 3)) <= 1).all()
    assert np.array_equal(model.keep_first(latents, latents[0].size), latents)


@pytest.mark.parametrize("limits", [[127], [0], [1]])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_extremes(limits: list[int], size: tuple[int, int]) -> None:
    model = ContextModel(arrays_of(3, 1, limits, 0), 1)
    most = limits[0]
    for value in {-most, most, 0}:
        latents = np.full((3, 1, *size), value, np.int8)
        payloads = model.encode(latents)
        assert np.array_equal(model.decode(payloads, *size), latents)
        assert np.array_equal(decoded(model, payloads[0], *size), latents[0])
        if not most:
            assert payloads == [b""] * 3


def test_sums_at_the_edge_of_float32_are_exact() -> None:
    """256 channels at their limits, with the largest weights that a model may have."""
    channels = 256
    arrays = arrays_of(4, channels, [56] * channels, 10)
    arrays = replace(arrays, weight=np.full((2, channels, channels, 9), 127, np.int8))
    model = ContextModel(arrays, 2)
    rng = np.random.default_rng(0)
    latents = (56 - (rng.random((2, channels, 3, 3)) < 0.1)).astype(np.int8)
    payloads = model.encode(latents)
    assert np.array_equal(model.decode(payloads, 3, 3), latents)
    assert [model.encode(one[None])[0] for one in latents] == payloads
    with pytest.raises(ValueError, match="not exact"):
        ContextModel(replace(arrays, limit=np.full(channels, 58, np.uint8)), 2)


# -- payloads that nobody wrote ----------------------------------------------------------------


@given(cases(), st.data())
def test_any_bytes_are_latents_or_refused(
    case: tuple[ContextModel, Any], data: st.DataObject
) -> None:
    model, latents = case
    shape = latents.shape[2:]
    whole = model.encode(latents)[0]
    payload = data.draw(
        st.one_of(
            st.binary(max_size=2 * len(whole) + 20),
            st.integers(0, len(whole)).map(lambda length: whole[:length]),
            st.binary(min_size=1, max_size=9).map(lambda more: whole + more),
            st.just(b"\xff" * (len(whole) + 8)),
        )
    )
    alone = decoded(model, payload, *shape)
    if alone is None:
        with pytest.raises(CorruptPayloadError, match="payload 2 of 3"):
            model.decode([whole, payload, whole], *shape)
        return
    assert alone.shape == latents[0].shape
    together = model.decode([whole, payload, whole], *shape)
    assert np.array_equal(together, np.stack([latents[0], alone, latents[0]]))


def test_a_payload_far_too_long_is_refused() -> None:
    model = ContextModel(arrays_of(5, 2, [3, 3], 2), 1)
    for payloads in ([b"\xff" * 1_000_000], [b"", b"\xff" * 1_000_000]):
        with pytest.raises(CorruptPayloadError):
            model.decode(payloads, 2, 2)


# -- integers that make no model -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("limit", lambda a: np.full_like(a, 128)),
        ("limit", lambda a: a.astype(np.int16)),
        ("limit", lambda a: a[:0]),
        ("weight", lambda a: a[:1]),
        ("weight", lambda a: a.astype(np.float32)),
        ("shift", lambda a: a + 25),
        ("shift", lambda a: a[:0]),
        ("lut", lambda a: a[..., :-1]),
        ("lut", lambda a: np.full_like(a, 5)),
        ("row", lambda a: np.full_like(a, 7)),
        ("row", lambda a: a[..., :0]),
        ("frequency", lambda a: a[:, :-1]),
        ("frequency", lambda a: a[0]),
        ("frequency", lambda a: a[:0]),
        ("frequency", lambda a: np.roll(a, 1, 1) * (np.arange(a.shape[1]) > 0)),
    ],
)
def test_integers_that_make_no_model_are_refused(name: str, change: Any) -> None:
    arrays = arrays_of(6, 4, [2, 0, 3, 1], 4)
    ContextModel(arrays, 2)
    with pytest.raises(ValueError, match=r"."):
        ContextModel(replace(arrays, **{name: change(getattr(arrays, name))}), 2)


@pytest.mark.parametrize("groups", [0, -1, 3, 8])
def test_groups_divide_the_channels(groups: int) -> None:
    with pytest.raises(ValueError, match="groups"):
        ContextModel(arrays_of(6, 4, [2, 0, 3, 1], 4), groups)


def test_a_table_that_lacks_a_symbol_is_refused() -> None:
    """The encoder could not send it."""
    arrays = arrays_of(6, 1, [1], 4)
    frequency = arrays.frequency.copy()
    frequency[:, 0] += frequency[:, 2]
    frequency[:, 2] = 0
    with pytest.raises(ValueError, match="lacks a symbol"):
        ContextModel(replace(arrays, frequency=frequency), 1)
