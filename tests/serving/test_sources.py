"""Where a camera's images come from."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from codecframe_serving.sources import open_source

MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""Degrees clockwise -> the first two columns of the display matrix in an MP4 file."""


def film(path: Path, clockwise: int) -> None:
    """A film that is red above and blue below, to be shown turned."""
    av = pytest.importorskip("av")
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :, 0] = image[32:, :, 2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in MATRICES[clockwise])
    struct.pack_into(">6i", data, at, a, b, 0, c, d, 0)
    path.write_bytes(data)


@pytest.mark.parametrize("clockwise", MATRICES)
def test_films_are_turned_as_players_show_them(clockwise: int, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", clockwise)
    image = next(iter(open_source(str(tmp_path / "a.mp4")))).read()
    upright = np.rot90(image, clockwise // 90)  # anticlockwise, back to how it is stored
    assert upright.shape == (64, 96, 3) and image.flags["C_CONTIGUOUS"]
    assert (upright[8, 48] > (180, -1, -1)).all() and upright[8, 48, 2] < 80
    assert (upright[56, 48] > (-1, -1, 180)).all() and upright[56, 48, 0] < 80
