"""ICC profiles for colours that a file describes by numbers: for JPEG XL, HEIC and AVIF.

For codec plugins: what `Codec.icc_profile` gives back where a file holds no profile itself.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
"""x and y of a colour in CIE 1931."""

D65: Point = (0.3127, 0.3290)
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_DCI: Point = (0.314, 0.351)
_C: Point = (0.310, 0.316)

PRIMARIES: dict[int, tuple[tuple[Point, Point, Point], Point]] = {
    1: (SRGB, D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: (_P3, _DCI),
    12: (_P3, D65),
}
"""Primaries and white point by their number in ITU-T H.273."""

LINEAR, SRGB_CURVE = 8, 13
_CURVES: dict[int, float] = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""Gamma by the number of a transfer function in H.273."""
_VIDEO_CURVES = {1, 6, 14, 15}

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@lru_cache(maxsize=16)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of RGB by the numbers of H.273, as HEIC and AVIF have them.

    What is not said (2) is sRGB's. The curves of television are taken for sRGB's, as viewers do:
    encoders name them by default.

    Returns:
        An ICC profile; None where it is sRGB.

    Raises:
        ValueError: for numbers of no known meaning, and for high dynamic range.

    Examples:
        >>> from codecframe.core.colour import cicp_profile
        >>> cicp_profile(1, 13) is None  # sRGB
        True
        >>> cicp_profile(12, 13)[36:40]  # Display P3: the signature of an ICC profile
        b'acsp'
    """
    primaries = 1 if primaries in (0, 2) else primaries
    transfer = SRGB_CURVE if transfer in _VIDEO_CURVES | {0, 2} else transfer
    if primaries not in PRIMARIES:
        raise ValueError(f"has colours of an unknown kind (primaries {primaries})")
    if (primaries, transfer) == (1, SRGB_CURVE):
        return None
    return rgb_profile(*PRIMARIES[primaries], transfer)


@lru_cache(maxsize=16)
def rgb_profile(
    primaries: tuple[Point, Point, Point], white: Point, transfer: float, *, is_gamma: bool = False
) -> bytes:
    """The profile of RGB with these primaries.

    Args:
        primaries: of red, green and blue.
        white: the white point.
        transfer: number of a transfer function in H.273; the exponent where `is_gamma`.
        is_gamma: whether `transfer` is an exponent.

    Raises:
        ValueError: for primaries or transfer functions that a profile cannot tell.

    Examples:
        >>> from codecframe.core.colour import D65, SRGB, rgb_profile
        >>> rgb_profile(SRGB, D65, 2.2, is_gamma=True)[16:20]
        b'RGB '
    """
    columns = _to_d50(primaries, white)
    curve = _curve(transfer, is_gamma)
    tags = {b"wtpt": _xyz(_D50)}
    for name, column in zip(b"rgb", columns.T, strict=True):
        tags[bytes([name]) + b"XYZ"] = _xyz(column)
        tags[bytes([name]) + b"TRC"] = curve
    return _profile(b"RGB ", tags)


def grey_profile(transfer: float, *, is_gamma: bool = False) -> bytes:
    """The profile of greyscale with a transfer function; arguments as of `rgb_profile`.

    Raises:
        ValueError: for transfer functions that a profile cannot tell.

    Examples:
        >>> from codecframe.core.colour import SRGB_CURVE, grey_profile
        >>> grey_profile(SRGB_CURVE)[16:20]
        b'GRAY'
    """
    return _profile(b"GRAY", {b"wtpt": _xyz(_D50), b"kTRC": _curve(transfer, is_gamma)})


def _to_d50(primaries: tuple[Point, Point, Point], white: Point) -> npt.NDArray[np.float64]:
    """XYZ of the primaries, one a column, under the white of profiles."""
    if any(y == 0 for _, y in (*primaries, white)):
        raise ValueError("has impossible primaries")
    points = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    target = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    try:
        columns = points * np.linalg.solve(points, target)
        gains = _BRADFORD @ np.array(_D50) / (_BRADFORD @ target)
        adapted = np.linalg.solve(_BRADFORD, gains[:, None] * (_BRADFORD @ columns))
    except np.linalg.LinAlgError:
        raise ValueError("has impossible primaries") from None
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 16:
        raise ValueError("has impossible primaries")
    return np.asarray(adapted)


def _curve(transfer: float, is_gamma: bool) -> bytes:
    """The transfer function as 4096 samples."""
    values = np.linspace(0, 1, 4096)
    if is_gamma or transfer in _CURVES:
        linear = values ** (transfer if is_gamma else _CURVES[int(transfer)])
    elif transfer == SRGB_CURVE:
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    elif transfer in _VIDEO_CURVES:
        linear = np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))
    else:
        raise ValueError(f"has colours of high dynamic range, or of transfer function {transfer:g}")
    samples = np.round(linear * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + samples


def _xyz(values: npt.ArrayLike) -> bytes:
    numbers = np.round(np.asarray(values, np.float64) * 65536).astype(">i4")
    return b"XYZ " + bytes(4) + numbers.tobytes()


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2.1, of a display."""
    text = b"codecframe\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"cprt": b"text" + bytes(4) + b"CC0\0", **tags}
    table, payload = [struct.pack(">I", len(tags))], b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table.append(name + struct.pack(">II", start + len(payload), len(content)))
        payload += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s28x", start + len(payload), 0x02100000, b"mntr", space,
                         b"XYZ ", b"acsp")  # fmt: skip
    header += _xyz(_D50)[8:] + bytes(48)
    return header + b"".join(table) + payload
