"""Damaged encodings, made from a seed: what a lossy link, a full disk or an attacker hands over."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

FOREIGN = {
    "nothing": b"",
    "one byte": b"\x00",
    "text": b"this is not an image, and never was\n" * 8,
    "zeros": bytes(300),
    "ones": b"\xff" * 300,
    "markup": b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 4,
    "program": b"\x7fELF\x02\x01\x01" + bytes(range(256)),
}
"""Byte strings that are not an image in any format, by what they are."""


def truncated(data: bytes, cuts: int = 48) -> Iterator[bytes]:
    """Proper prefixes of `data`: every length near both ends, and lengths spread in between."""
    spread = np.linspace(0, len(data) - 1, cuts).astype(int).tolist()
    ends = [*range(12), *range(len(data) - 4, len(data))]
    for length in sorted({length for length in spread + ends if 0 <= length < len(data)}):
        yield data[:length]


def flipped(data: bytes, seed: int, count: int = 96) -> Iterator[bytes]:
    """Copies of `data` with one to four bytes changed; half of them near the start."""
    rng = np.random.default_rng(seed)
    for number in range(count if data else 0):
        copy = bytearray(data)
        span = len(data) if number % 2 else min(len(data), 64)
        for position in rng.integers(0, span, rng.integers(1, 5)):
            copy[position] ^= rng.integers(1, 256)
        yield bytes(copy)


def spliced(data: bytes, seed: int, count: int = 32) -> Iterator[bytes]:
    """The start of `data`, continued by random bytes."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        start = int(rng.integers(0, len(data) + 1))
        yield data[:start] + rng.bytes(int(rng.integers(0, 200)))


def garbage(seed: int, count: int = 32) -> Iterator[bytes]:
    """Random bytes of lengths 1 to 300."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.bytes(int(rng.integers(1, 301)))
