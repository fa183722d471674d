"""The quantisation and Huffman tables of the standard (ITU-T T.81, annex K), and scaling."""

from __future__ import annotations

from collections.abc import Sequence

# fmt: off
LUMA = (
     16,  11,  10,  16,  24,  40,  51,  61,
     12,  12,  14,  19,  26,  58,  60,  55,
     14,  13,  16,  24,  40,  57,  69,  56,
     14,  17,  22,  29,  51,  87,  80,  62,
     18,  22,  37,  56,  68, 109, 103,  77,
     24,  35,  55,  64,  81, 104, 113,  92,
     49,  64,  78,  87, 103, 121, 120, 101,
     72,  92,  95,  98, 112, 100, 103,  99,
)
"""Standard quantisation table for luma, row by row: what quality 50 means."""

CHROMA = (
     17,  18,  24,  47,  99,  99,  99,  99,
     18,  21,  26,  66,  99,  99,  99,  99,
     24,  26,  56,  99,  99,  99,  99,  99,
     47,  66,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,
)
"""Standard quantisation table for chroma, row by row: what quality 50 means."""

HUFFMAN = {
    0x00: bytes.fromhex(
        "00010501010101010100000000000000"
        "000102030405060708090a0b"
    ),
    0x10: bytes.fromhex(
        "0002010303020403050504040000017d"
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a16"
        "1718191a25262728292a3435363738393a434445464748494a535455565758595a63646566676869"
        "6a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
        "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
        "f9fa"
    ),
    0x01: bytes.fromhex(
        "00030101010101010101010000000000"
        "000102030405060708090a0b"
    ),
    0x11: bytes.fromhex(
        "00020102040403040705040400010277"
        "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434"
        "e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768"
        "696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
        "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
        "f9fa"
    ),
}
"""Standard Huffman tables by class (high digit: 0 DC, 1 AC) and number: counts, then symbols."""
# fmt: on

ZIGZAG = sorted(
    range(64),
    key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8),
)
"""Places row by row, in the order of files."""


def scaled(table: Sequence[int], quality: int) -> list[int]:
    """A quantisation table at a quality from 1 to 100.

    The scaling of the Independent JPEG Group: quality 50 leaves the table as it is, and no step
    leaves the range 1 to 255 of baseline files.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((step * percent + 50) // 100, 1), 255) for step in table]


def zigzag(table: Sequence[int]) -> bytes:
    """A quantisation table in the order of files."""
    return bytes(table[i] for i in ZIGZAG)
