"""The range coder: any message round trips, together or alone, close to its ideal length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe_vae.entropy.rangecoder import (
    MOST_TABLES,
    TOTAL,
    CorruptPayloadError,
    Decoder,
    Tables,
    encode,
    ideal_bits,
)


def tables_of(rng: np.random.Generator, count: int, alphabet: int, peak: float) -> Tables:
    """Random tables, some symbols of which cannot occur; the higher `peak`, the more skewed."""
    share = rng.random((count, alphabet)) ** peak
    share[rng.random(share.shape) < 0.2] = 0
    share[np.arange(count), rng.integers(0, alphabet, count)] += 0.1
    frequency = np.floor(share / share.sum(1, keepdims=True) * TOTAL).astype(np.int64)
    frequency[np.arange(count), frequency.argmax(1)] += TOTAL - frequency.sum(1)
    return Tables(frequency.astype(np.uint16))


def messages_of(
    rng: np.random.Generator, tables: Tables, places: int, count: int, *, likely: bool
) -> tuple[Any, Any]:
    """(rows, symbols), (places, count): as often as the tables say, or all symbols alike."""
    frequency = tables.frequency.reshape(-1, tables.width)
    row = rng.integers(0, len(frequency), (places, count))
    weight = frequency if likely else (frequency > 0).astype(np.int64)
    ends = weight.cumsum(1)
    drawn = (rng.random(row.shape) * ends[row, -1]).astype(np.int64)
    symbol = (drawn[..., None] >= ends[row]).sum(-1)
    return row, symbol


@st.composite
def messages(draw: st.DrawFn) -> tuple[Tables, Any, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tables = tables_of(
        rng,
        draw(st.integers(1, 5)),
        draw(st.sampled_from([1, 2, 3, 17, 255, 256])),
        draw(st.sampled_from([0.0, 1.0, 20.0])),
    )
    places, count = draw(st.integers(0, 60)), draw(st.integers(1, 5))
    return tables, *messages_of(rng, tables, places, count, likely=draw(st.booleans()))


def decoded(tables: Tables, payloads: list[bytes], row: Any, pieces: int = 1) -> Any:
    """The symbols, (places, messages)."""
    decoder = Decoder(tables, payloads, len(row))
    parts = [decoder.decode(part) for part in np.array_split(row, pieces)]
    decoder.finish()
    return np.concatenate(parts)


def decoded_alone(tables: Tables, payload: bytes, row: Any, pieces: int = 1) -> list[int] | None:
    """The symbols, or none where the payload is corrupt."""
    try:
        found: list[int] = decoded(tables, [payload], row[:, None], pieces)[:, 0].tolist()
    except CorruptPayloadError:
        return None
    return found


def encode_one(tables: Tables, row: Any, symbol: Any) -> bytes:
    (payload,) = encode(tables, row[:, None], symbol[:, None])
    return payload


@given(messages(), st.integers(1, 4))
def test_any_message_round_trips(message: tuple[Tables, Any, Any], pieces: int) -> None:
    tables, row, symbol = message
    payloads = encode(tables, row, symbol)
    assert payloads == [encode_one(tables, r, s) for r, s in zip(row.T, symbol.T, strict=True)]
    for payload, rows, symbols in zip(payloads, row.T, symbol.T, strict=True):
        assert decoded_alone(tables, payload, rows, pieces) == symbols.tolist()
    assert np.array_equal(decoded(tables, payloads, row, pieces), symbol)


@given(messages())
def test_a_payload_is_the_shortest_and_hardly_longer_than_ideal(
    message: tuple[Tables, Any, Any],
) -> None:
    tables, row, symbol = message
    bits = ideal_bits(tables, row, symbol)
    for n, payload in enumerate(encode(tables, row, symbol)):
        assert len(payload) < bits[n] / 8 + 1.01
        for length in range(len(payload)):
            assert decoded_alone(tables, payload[:length], row[:, n]) != symbol[:, n].tolist()


def test_the_mean_overhead_is_below_half_a_byte() -> None:
    rng = np.random.default_rng(0)
    for peak in (0.0, 2.0, 20.0):
        tables = tables_of(rng, 8, 31, peak)
        row, symbol = messages_of(rng, tables, 200, 1000, likely=True)
        sizes = np.array([len(payload) for payload in encode(tables, row, symbol)])
        overhead = sizes - ideal_bits(tables, row, symbol) / 8
        assert 0 < overhead.mean() < 0.5


@st.composite
def damaged(draw: st.DrawFn, payload: bytes) -> bytes:
    """Cut, gone on, with a byte changed, something else, or whole."""
    kind = draw(st.sampled_from(["cut", "more", "changed", "any", "whole"]))
    if kind == "cut":
        return payload[: draw(st.integers(0, len(payload)))]
    if kind == "more":
        return payload + draw(st.binary(min_size=1, max_size=40))
    if kind == "changed" and payload:
        at = draw(st.integers(0, len(payload) - 1))
        return payload[:at] + bytes([payload[at] ^ draw(st.integers(1, 255))]) + payload[at + 1 :]
    return draw(st.binary(max_size=300)) if kind == "any" else payload


@given(messages(), st.data())
def test_any_bytes_are_a_message_or_refused_alone_and_together(
    message: tuple[Tables, Any, Any], data: st.DataObject
) -> None:
    tables, row, symbol = message
    payloads = [data.draw(damaged(payload)) for payload in encode(tables, row, symbol)]
    each = [decoded_alone(tables, payload, row[:, n]) for n, payload in enumerate(payloads)]
    for n, alone in enumerate(each):
        if alone is not None:  # symbols that cannot occur are never found
            assert np.isfinite(ideal_bits(tables, row[:, n], np.array(alone, np.int64)))
    if None in each:
        corrupt = "|".join(str(n + 1) for n, alone in enumerate(each) if alone is None)
        with pytest.raises(CorruptPayloadError, match=f"payload ({corrupt}) of {len(each)} "):
            decoded(tables, payloads, row)
    else:
        assert decoded(tables, payloads, row).T.tolist() == each


@given(messages(), st.binary(min_size=9, max_size=40))
def test_a_payload_that_goes_on_is_refused(message: tuple[Tables, Any, Any], more: bytes) -> None:
    tables, row, symbol = message
    payload = encode_one(tables, row[:, 0], symbol[:, 0])
    assert decoded_alone(tables, payload + more, row[:, 0]) is None
    assert decoded_alone(tables, payload + b"\0", row[:, 0]) is None


def test_a_huge_payload_is_refused_at_once() -> None:
    """Before memory is taken for it as often as there are messages."""
    tables = Tables(np.array([[TOTAL // 2, TOTAL // 2]], np.uint16))
    huge = b"\xff" * 10_000_000
    with pytest.raises(CorruptPayloadError, match="payload 2 of 2"):
        Decoder(tables, [b"", huge], 3)


def test_certain_symbols_cost_nothing_and_impossible_ones_everything() -> None:
    tables = Tables(np.array([[0, TOTAL, 0]], np.uint16))
    row, symbol = np.zeros((5000, 1), np.int64), np.ones((5000, 1), np.int64)
    assert encode(tables, row, symbol) == [b""]
    assert decoded_alone(tables, b"", row[:, 0]) == [1] * 5000
    assert ideal_bits(tables, row, symbol).tolist() == [0]
    assert ideal_bits(tables, row, 0 * symbol).tolist() == [np.inf]


def test_the_rarest_symbols_all_the_way() -> None:
    """The longest message there is, and carries through all of its digits."""
    frequency = np.array([[TOTAL - 1, 1], [1, TOTAL - 1]], np.uint16)
    tables = Tables(frequency)
    for table, rare in ((0, 1), (1, 0)):
        row = np.full((400, 3), table)
        symbol = np.full((400, 3), rare)
        symbol[-1, 1] = symbol[0, 2] = 1 - rare
        payloads = encode(tables, row, symbol)
        assert payloads == [encode_one(tables, r, s) for r, s in zip(row.T, symbol.T, strict=True)]
        assert np.array_equal(decoded(tables, payloads, row), symbol)
        assert len(payloads[0]) <= 400 * 14 / 8 + 1


@pytest.mark.parametrize(
    "frequency",
    [
        np.full((1, 2), TOTAL, np.uint16),
        np.array([[TOTAL - 1]], np.uint16),
        np.zeros((1, 4), np.uint16),
        np.zeros((1, 0), np.uint16),
        np.full((1, 257), 1, np.uint16),
        np.full(16, TOTAL // 16, np.uint16),
        np.full((MOST_TABLES + 1, 1), TOTAL, np.uint16),
    ],
)
def test_tables_that_are_none_are_refused(frequency: Any) -> None:
    with pytest.raises(ValueError, match=r"frequenc"):
        Tables(frequency)
