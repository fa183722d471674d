"""Range coding with integer tables: one message at a time (Python integers), or many side by side.

Both paths write and read the same bytes. A message is a known number of symbols, each coded with a
table of integer frequencies (Martin, "Range encoding", 1979; carries are added to digits that are
out already). A payload is the shortest byte string within the final interval, read with zeros past
its end, so that a message costs a third of a byte more than its tables say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

PRECISION = 14
TOTAL = 1 << PRECISION
"""What the frequencies of a table sum to."""
MOST_TABLES = 4096
"""Tables of a coder."""

_DIGIT = 16
_FULL = 48
"""Bits of the interval's start; its width stays above 2 ** (_FULL - _DIGIT)."""
FULL = 1 << _FULL
"""Width of the interval at the start."""
TAIL = _FULL // 8
"""Bytes after the digits, at most."""
_NARROW = 1 << (_FULL - _DIGIT)
_LOW_BITS = _NARROW - 1

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I64 = npt.NDArray[np.int64]


class CorruptPayloadError(ValueError):
    """No encoder writes these bytes for any message under these tables."""


def check_frequencies(frequency: U16) -> None:
    """Whether they make `Tables`.

    Raises:
        ValueError: if not.
    """
    if frequency.ndim != 2 or not 1 <= frequency.shape[1] <= 256:
        raise ValueError("frequency tables have 1 to 256 symbols")
    if len(frequency) > MOST_TABLES:  # each takes TOTAL bytes of memory
        raise ValueError(f"there are {len(frequency)} frequency tables, over {MOST_TABLES}")
    if (frequency.sum(axis=1, dtype=np.int64) != TOTAL).any():
        raise ValueError(f"the frequencies of a table sum to {TOTAL}")


class Tables:
    """Frequency tables.

    Args:
        frequency: `uint16`, (tables, alphabet), each row summing to `TOTAL`; 0 where a symbol
            cannot occur.

    Raises:
        ValueError: if a row sums to something else, the alphabet is not 1 to 256 symbols, or there
            are more than `MOST_TABLES` tables.
    """

    def __init__(self, frequency: U16) -> None:
        check_frequencies(frequency)
        self.width = frequency.shape[1]
        wide = frequency.astype(np.int64)
        self.frequency: I64 = wide.ravel()
        self.start: I64 = (np.cumsum(wide, axis=1) - wide).ravel()
        symbols = np.tile(np.arange(self.width, dtype=np.uint8), len(frequency))
        self.symbol: U8 = np.repeat(symbols, self.frequency)

    @cached_property
    def listed(self) -> list[int]:
        """Frequencies as Python has them fastest."""
        frequencies: list[int] = self.frequency.tolist()
        return frequencies

    @cached_property
    def bits(self) -> npt.NDArray[np.float64]:
        """What each symbol costs, in bits, (tables * alphabet,); infinite where it cannot occur."""
        with np.errstate(divide="ignore"):
            return np.asarray(PRECISION - np.log2(self.frequency.astype(np.float64)))


def _longest(places: int) -> int:
    """No message of so many symbols takes more bytes."""
    return (places * PRECISION) // 8 + 8


# -- one message: loops that run as they are, on lists, or compiled, on arrays (see `compiled`) ----


def encode_run(
    starts: Any, frequencies: Any, digits: Any, low: int, width: int, used: int
) -> tuple[int, int, int]:
    """Narrow the interval by more symbols; (low, width, digits used) after them.

    `digits` has room for one a symbol. A digit may be 17 bits long: its carry is still to be added.
    """
    for start, frequency in zip(starts, frequencies):  # noqa: B905 - as numba has it
        width >>= PRECISION
        low += width * start
        width *= frequency
        if width < _NARROW:
            digits[used] = low >> (_FULL - _DIGIT)
            used += 1
            low = (low & _LOW_BITS) << _DIGIT
            width <<= _DIGIT
    return low, width, used


def finish_run(digits: Any, low: int, width: int, used: int, payload: Any) -> int:
    """Write the shortest payload within the interval, at most 2 * used + TAIL bytes; its length."""
    tail = low
    for zeros in range(8, _FULL + 1, 8):
        rounded = (low + (1 << zeros) - 1) & -(1 << zeros)
        if rounded < low + width:
            tail = rounded
    for place in range(_FULL // 8):
        payload[2 * used + place] = (tail >> (_FULL - 8 - 8 * place)) & 0xFF
    carry = tail >> _FULL
    for place in range(used - 1, -1, -1):
        digit = digits[place] + carry
        carry = digit >> _DIGIT
        payload[2 * place] = (digit >> 8) & 0xFF
        payload[2 * place + 1] = digit & 0xFF
    length = 2 * used + _FULL // 8
    while length and not payload[length - 1]:
        length -= 1
    return length


def first_state(words: Any) -> tuple[int, int, int]:
    """(offset, width, words read) at the start of a payload."""
    return words[0] << 2 * _DIGIT | words[1] << _DIGIT | words[2], 1 << _FULL, _FULL // _DIGIT


def decode_run(
    row: Any,
    alphabet: int,
    frequencies: Any,
    words: Any,
    offset: int,
    width: int,
    read: int,
    decoded: Any,
) -> tuple[int, int, int]:
    """Decode a symbol with each table of `row`; (offset, width, words read) after them.

    The words read are -1 where the payload leaves the tables.
    """
    for place in range(len(row)):
        width >>= PRECISION
        if offset >= width << PRECISION:
            return offset, width, -1
        first = at = row[place] * alphabet
        low, high = 0, width * frequencies[at]
        while high <= offset:  # likely symbols come first
            at += 1
            low, high = high, high + width * frequencies[at]
        offset -= low
        width = high - low
        if width < _NARROW:
            width <<= _DIGIT
            offset <<= _DIGIT
            if read < len(words):
                offset |= words[read]
            read += 1
        decoded[place] = at - first
    return offset, width, read


def decodable(payload: bytes, places: int) -> bytes:
    """A payload of so many symbols, with the zeros that are read past its end.

    Raises:
        CorruptPayloadError: if it is longer than any, or ends in a zero.
    """
    if len(payload) > _longest(places) or payload.endswith(b"\0"):
        raise CorruptPayloadError("no such payload")
    return payload + bytes(_FULL // 8 + len(payload) % 2)


def check_end(payload: bytes, read: int) -> None:
    """Check that a message, for which so many words were read, ends where its payload does.

    Raises:
        CorruptPayloadError: if it left the tables, or the payload goes on.
    """
    if read < 0 or len(payload) > 2 * read:
        raise CorruptPayloadError("the payload leaves the tables or goes on after its message")


class OneEncoder:
    """Encodes one message piece by piece."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._digits: list[int] = []
        self._low, self._width = 0, FULL

    def encode(self, row: I64, symbol: I64) -> None:
        """The next symbols; `row` (their tables) and `symbol` are (places,), in coding order."""
        tables = self._tables
        at = row * tables.width + symbol
        starts, frequencies = tables.start[at].tolist(), tables.frequency[at].tolist()
        digits = [0] * len(at)
        self._low, self._width, used = encode_run(
            starts, frequencies, digits, self._low, self._width, 0
        )
        self._digits += digits[:used]

    def finish(self) -> bytes:
        """The payload."""
        used = len(self._digits)
        payload = bytearray(2 * used + TAIL)
        return bytes(payload[: finish_run(self._digits, self._low, self._width, used, payload)])


class OneDecoder:
    """Decodes one message piece by piece: the tables of a piece may depend on earlier pieces.

    Raises:
        CorruptPayloadError: if `payload` is longer than any message of so many `places`.
    """

    def __init__(self, tables: Tables, payload: bytes, places: int) -> None:
        self._tables = tables
        self._body = payload
        words = np.frombuffer(decodable(payload, places), ">u2").tolist()
        self._words = words
        self._state = first_state(words)

    def decode(self, row: list[int]) -> list[int]:
        """The symbols of the next places, whose tables `row` lists."""
        decoded = [0] * len(row)
        tables = self._tables
        self._state = decode_run(
            row, tables.width, tables.listed, self._words, *self._state, decoded
        )
        if self._state[2] < 0:
            raise CorruptPayloadError("the payload leaves the tables")
        return decoded

    def finish(self) -> None:
        """Check that the message ends where the payload does.

        Raises:
            CorruptPayloadError: if the payload goes on.
        """
        check_end(self._body, self._state[2])


def encode_many(tables: Tables, row: I64, symbol: I64) -> list[bytes]:
    """The payloads of several messages; `row` and `symbol` are (places, messages)."""
    places, count = symbol.shape
    at = row * tables.width + symbol
    starts, frequencies = tables.start[at], tables.frequency[at]
    low = np.zeros(count, np.int64)
    width = np.full(count, 1 << _FULL, np.int64)
    digits = np.zeros((count, places + 1), np.int64)  # the first takes a carry, which never comes
    used = np.zeros(count, np.int64)
    for start, frequency in zip(starts, frequencies, strict=True):
        width >>= PRECISION
        low += width * start
        width *= frequency
        narrow = np.flatnonzero(width < _NARROW)
        if len(narrow):
            value = low[narrow]
            used[narrow] += 1
            digits[narrow, used[narrow]] = value >> (_FULL - _DIGIT)  # a carry makes it 17 bits
            low[narrow] = (value & _LOW_BITS) << _DIGIT
            width[narrow] <<= _DIGIT
    tail = _shortest_tails(low, width)
    longest = int(used.max(initial=0))
    digits = digits[:, : longest + 1]
    digits[np.arange(count), used] += tail >> _FULL
    for column in range(longest, 0, -1):
        digits[:, column - 1] += digits[:, column] >> _DIGIT
    heads = digits[:, 1:].astype(">u2")  # modulo 2 ** 16: carries have moved on
    tails = (tail & ((1 << _FULL) - 1)).astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:]
    return [
        (head[:length].tobytes() + end.tobytes()).rstrip(b"\0")
        for head, length, end in zip(heads, used.tolist(), tails, strict=True)
    ]


def _shortest_tails(low: I64, width: I64) -> I64:
    """The number in each [low, low + width) that ends in the most zero bytes."""
    tail = low.copy()
    for zeros in range(8, _FULL + 1, 8):
        unit = 1 << zeros
        candidate = (low + (unit - 1)) & -unit
        tail = np.where(candidate < low + width, candidate, tail)
    return tail


class ManyDecoder:
    """Decodes several messages side by side, place by place."""

    def __init__(self, tables: Tables, payloads: Sequence[bytes], places: int) -> None:
        self._tables = tables
        limit = _longest(places)
        self._bad = np.array([len(b) > limit or b.endswith(b"\0") for b in payloads], bool)
        self._lengths = np.array([len(b) for b in payloads], np.int64)
        size = (min(int(self._lengths.max(initial=0)), limit) + 1) // 2 * 2 + _FULL // 8 + 2
        joined = b"".join(payload[:limit].ljust(size, b"\0") for payload in payloads)
        words = np.frombuffer(joined, ">u2").reshape(len(payloads), -1).astype(np.int64)
        self._offset: I64 = words[:, 0] << 2 * _DIGIT | words[:, 1] << _DIGIT | words[:, 2]
        self._words = words.ravel()
        self._next = np.arange(len(payloads)) * words.shape[1] + _FULL // _DIGIT
        self._last = np.arange(1, len(payloads) + 1) * words.shape[1] - 1  # always a zero
        self._read = np.zeros(len(payloads), np.int64)
        self._width = np.full(len(payloads), 1 << _FULL, np.int64)

    def decode(self, row: I64) -> U8:
        """Symbols, `uint8`, (places, messages), of the next places; `row` is of that shape."""
        tables, offset, width = self._tables, self._offset, self._width
        decoded = np.empty(row.shape, np.uint8)
        first_slot, first_symbol = row << PRECISION, row * tables.width
        for place in range(len(row)):
            width >>= PRECISION
            # exact: both are integers below 2 ** 48 and the quotient is below 2 ** 15
            slot = (offset / width).astype(np.int64)
            np.minimum(slot, TOTAL - 1, out=slot)
            symbol = tables.symbol.take(first_slot[place] + slot)
            at = first_symbol[place] + symbol
            offset -= width * tables.start.take(at)
            width *= tables.frequency.take(at)
            narrow = np.flatnonzero(width < _NARROW)
            if len(narrow):
                self._refill(narrow)
            decoded[place] = symbol
        return decoded

    def _refill(self, narrow: npt.NDArray[np.intp]) -> None:
        outside = self._offset[narrow] >= self._width[narrow]
        self._bad[narrow] |= outside
        kept = np.where(outside, 0, self._offset[narrow])
        self._offset[narrow] = kept << _DIGIT | self._words[self._next[narrow]]
        self._width[narrow] <<= _DIGIT
        self._next[narrow] = np.minimum(self._next[narrow] + 1, self._last[narrow])
        self._read[narrow] += 1

    def finish(self) -> npt.NDArray[np.bool_]:
        """Which payloads are corrupt, (messages,)."""
        late = self._lengths > 2 * self._read + _FULL // 8
        return np.asarray(self._bad | late | (self._offset >= self._width))


def ideal_bits(tables: Tables, row: I64, symbol: I64) -> Any:
    """What the tables say each message costs, in bits, (messages,); shapes as in `encode_many`."""
    return tables.bits[row * tables.width + symbol].sum(axis=0)
