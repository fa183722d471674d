"""Where a camera's images come from: files, a video, a video device."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codecframe import DataError, Image, as_data_error, check_size, open_images, require
from codecframe_serving.framequeue import Item

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mkv", ".mov", ".avi", ".webm", ".ogv", ".ts", ".h264", ".y4m"}
)
_DEVICE = "/dev/video"
_EXTRA = "codecframe[video]"


@dataclass(frozen=True)
class Frame:
    """A frame of a video."""

    name: str
    image: Image

    def read(self) -> Image:
        """The image."""
        return self.image


def open_source(
    spec: str, *, loop: bool = False, limit: int | None = None, data_root: str | None = None
) -> Iterable[Item]:
    """Images of a source, read as they are asked for.

    Args:
        spec: a video file, a video device such as `/dev/video0`, or images as `open_images` takes
            them.
        loop: begin anew at the end, for ever.
        limit: images, at most.
        data_root: folder of downloaded sets.

    Raises:
        DataError: if it cannot be opened.
        DependencyError: if it is a video and PyAV is not installed.
    """
    source: Iterable[Item]
    if spec.startswith(_DEVICE) or Path(spec).suffix.lower() in VIDEOS:
        require("av", _EXTRA)
        if not spec.startswith(_DEVICE) and Path(spec).exists() and not Path(spec).is_file():
            raise DataError(spec, "is not a regular file")
        source = _Video(spec)
    else:
        source = open_images(spec, data_root=data_root)
    if loop:
        source = _again(source)
    return itertools.islice(source, limit)


def _again(source: Iterable[Item]) -> Iterator[Item]:
    """The source's images, round and round, told apart by the round."""
    for number in itertools.count(1):
        taken = 0
        for item in source:
            taken += 1
            yield _Renamed(f"{item.name}#{number}", item) if number > 1 else item
        if not taken:
            return


@dataclass(frozen=True)
class _Renamed:
    name: str
    item: Item

    def read(self) -> Image:
        return self.item.read()


class _Video:
    """The frames of a video file or device, decoded as they are asked for."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Item]:
        av: Any = require("av", _EXTRA)
        device = self._path.startswith(_DEVICE)
        with as_data_error(self._path, av.FFmpegError, OSError, saying="cannot be played"):
            options = {} if device else {"protocol_whitelist": "file"}  # no playlist reaches out
            with av.open(
                self._path, format="v4l2" if device else None, options=options
            ) as container:
                if not container.streams.video:
                    raise DataError(self._path, "has no video")
                stream = container.streams.video[0]
                check_size(stream.height, stream.width, self._path)
                stream.thread_type = "NONE" if device else "AUTO"  # a camera's frames at once
                for number, frame in enumerate(container.decode(stream)):
                    check_size(frame.height, frame.width, self._path)
                    # the turn that the display matrix asks for, in degrees anticlockwise
                    turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
                    image = np.ascontiguousarray(turned)
                    yield Frame(f"{Path(self._path).name}#{number}", image)
