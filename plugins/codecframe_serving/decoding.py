"""Decoding for a head: of many clients, side by side, each failing alone."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from PIL import Image as PilImage

from codecframe import (
    PIXELS,
    Codec,
    CodecframeError,
    DataError,
    Image,
    LimitError,
    PluginError,
    Representation,
    Settings,
    Shape,
    check_image,
    check_size,
    limit_pixels,
    read_image,
)
from codecframe.core import registry

_POSTED = "image.posted"
"""A name with a suffix that no codec has: none is tried for it."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """One image to classify.

    Attributes:
        data: a payload where `shape` is given, else self-contained data of `codec`; an image file
            of any kind where there is no codec.
        codec: the codec.
        settings: what the payload was made with.
        shape: (height, width) of the payload's image.
    """

    data: bytes
    codec: Codec[Any] | None = None
    settings: Settings | None = None
    shape: Shape | None = None

    def restored(self) -> bytes:
        """The self-contained data.

        Raises:
            DataError: if there can be no such payload.
            LimitError: if the image is larger than the pixel limit.
        """
        if self.codec is None or self.settings is None or self.shape is None:
            return self.data
        check_size(*self.shape, source=self.codec.name)
        return self.codec.restore(self.data, self.settings, self.shape)

    def checked(self, decoded: T, shape: Sequence[int]) -> T:
        """What was decoded, if it has the (height, width) that was said, and memory reckoned for.

        Raises:
            DataError: if it has another.
        """
        if self.shape is not None and tuple(shape[:2]) != tuple(self.shape):
            said, found = ("x".join(map(str, one[:2][::-1])) for one in (self.shape, shape))
            raise DataError("image", f"is {found}, not {said} as was said")
        return decoded


class Decoder:
    """Decodes into what a head accepts.

    Args:
        accepts: what the head accepts.
        prepare: brings images to what the head looks at, so that no more of them is kept.
        max_pixels: pixels of an image, at most.
    """

    def __init__(
        self, accepts: Representation, prepare: Callable[[Image], Image], max_pixels: int
    ) -> None:
        self._accepts = accepts
        self._prepare = prepare
        self._max_pixels = max_pixels

    def decode(self, jobs: Sequence[Job]) -> list[Any]:
        """What the head takes, or an exception, for each job; jobs of one codec side by side."""
        decoded: list[Any] = [None] * len(jobs)
        for codec, indices in by_codec(jobs):
            found = self.decode_alike(codec, [jobs[index] for index in indices])
            for index, item in zip(indices, found, strict=True):
                decoded[index] = item
        return decoded

    def decode_alike(self, codec: Codec[Any] | None, jobs: Sequence[Job]) -> Sequence[Any]:
        """The same for jobs of one codec."""
        with limit_pixels(self._max_pixels):
            return all_or_each(self._function(codec), jobs, codec.name if codec else "image")

    def _function(self, codec: Codec[Any] | None) -> Callable[[Sequence[Job]], Sequence[Any]]:
        if codec is None:
            return lambda jobs: [self._prepare(read_file(job.data)) for job in jobs]
        is_image = self._accepts == PIXELS
        decode: Callable[..., Sequence[Any]] = (
            codec.decode_many if is_image else codec.decode_latents_many
        )

        def decoded(jobs: Sequence[Job]) -> Sequence[Any]:
            found = decode([job.restored() for job in jobs])
            checked = [job.checked(one, one.shape) for job, one in zip(jobs, found, strict=True)]
            return [self._prepare(one) for one in checked] if is_image else checked

        return decoded

    def picture(self, job: Job) -> Image:
        """The image of a job, as its codec rebuilds it.

        Raises:
            CodecframeError: if it cannot.
        """
        with limit_pixels(self._max_pixels):
            return job.codec.decode(job.restored()) if job.codec else read_file(job.data)


def read_file(data: bytes) -> Image:
    """An image file of any kind: what `read_image` knows by itself, or a codec of pixels decodes.

    Learned codecs are not tried: what is not an image shall not load their models.

    Raises:
        DataError: if it cannot be read or is not an image.
        LimitError: if it is larger than the pixel limit.
    """
    try:
        return read_image(data, _POSTED)
    except DataError as error:
        reason = str(error).removeprefix(f"{_POSTED}: ")
    for codec in registry.available(registry.default().codecs.values()):
        if tuple(codec.emits) == (PIXELS,):
            with contextlib.suppress(DataError):
                return check_image(codec.decode(data))
    raise DataError("image", reason)


def by_codec(jobs: Sequence[Job]) -> Iterator[tuple[Codec[Any] | None, list[int]]]:
    """Each codec of the jobs, and the places of those that are its."""
    groups: dict[Codec[Any] | None, list[int]] = defaultdict(list)
    for index, job in enumerate(jobs):
        groups[job.codec].append(index)
    yield from groups.items()


def all_or_each(
    function: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T], source: str
) -> Sequence[R | Exception]:
    """`function(items)`; where that fails, of each item by itself, so that only bad ones fail."""
    if not items:
        return []
    try:
        return function(items)
    except Exception as error:  # untrusted data, strangers' codecs and models
        if len(items) == 1:
            return [_named(error, source)]
    return [all_or_each(function, [item], source)[0] for item in items]


def _named(error: Exception, source: str) -> CodecframeError:
    if isinstance(error, CodecframeError):
        return error
    if isinstance(error, MemoryError):
        return LimitError(f"{source}: takes more memory than there is for an image")
    return PluginError(source, error)


GREY = np.full((32, 32, 3), 128, np.uint8)
"""An image of our own, to try with what others go through later."""


def file_of(image: Image, kind: str = "PNG") -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, kind)
    return file.getvalue()


def reduced(image: Image, side: int) -> Image:
    """The image with no side over `side`."""
    picture = PilImage.fromarray(image)
    picture.thumbnail((side, side))
    return np.asarray(picture)
