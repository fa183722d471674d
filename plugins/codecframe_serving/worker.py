"""What the server does with images of many clients: decode them, and one call of the head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from codecframe import (
    PIXELS,
    Codec,
    CodecframeError,
    Image,
    MismatchError,
    PluginError,
    Prediction,
    Settings,
    Shape,
    TaskHead,
    check_size,
    decode_for,
    join,
    limit_pixels,
    read_image,
)
from codecframe.core import registry

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


class Worker:
    """A head and the codecs whose encodings it takes.

    Args:
        head: the head.
        codecs: the codecs; all installed ones that fit the head if left out.
        max_pixels: pixels of an image, at most.

    Raises:
        MismatchError: if one of `codecs`, or none of the installed, fits the head.
    """

    def __init__(
        self,
        head: TaskHead,
        codecs: Iterable[Codec[Any]] | None = None,
        *,
        max_pixels: int = 1 << 24,
    ) -> None:
        self.head = head
        self.max_pixels = max_pixels
        if codecs is None:
            installed = registry.available(registry.default().codecs.values())
            codecs = [codec for codec in installed if head.accepts in codec.emits]
        self.codecs: Mapping[str, Codec[Any]] = {codec.name: codec for codec in codecs}
        for codec in self.codecs.values():
            join(codec, head)
        if not self.codecs:
            raise MismatchError(
                f"no installed codec emits {head.accepts}, which head {head.name!r} accepts"
            )

    def find(self, name: str, emits: Sequence[str]) -> Codec[Any]:
        """The codec that a client means.

        A learned codec is known by its latent space, which has the model's digest, since each end
        may name the model's file in its own way.

        Raises:
            MismatchError: if the server has none such, or another model of that name.
        """
        learned = [space for space in emits if space != str(PIXELS)]
        for codec in self.codecs.values():
            if learned and learned == [str(r) for r in codec.emits if r != PIXELS]:
                return codec
        found = self.named(name)
        if [str(representation) for representation in found.emits] != list(emits):
            raise MismatchError(f"this server has another model for codec {name!r}")
        return found

    def named(self, name: str) -> Codec[Any]:
        """The codec of that name.

        Raises:
            MismatchError: if the server has none such.
        """
        found = self.codecs.get(name)
        if found is None:
            known = ", ".join(self.codecs)
            raise MismatchError(f"this server decodes {known}, but not {name!r}")
        return found

    def run(self, jobs: Sequence[Job]) -> list[Prediction | Exception]:
        """A prediction of one image, or what was wrong with it, for each job in order.

        A job that fails does not touch the others.
        """
        with limit_pixels(self.max_pixels):
            decoded = self._decode(jobs)
            good = [index for index, item in enumerate(decoded) if not isinstance(item, Exception)]
            predicted = _all_or_each(
                lambda items: _rows(self.head.predict(items), len(items)),
                [decoded[index] for index in good],
                self.head.name,
            )
        results: list[Prediction | Exception] = list(decoded)
        for index, prediction in zip(good, predicted, strict=True):
            results[index] = prediction
        return results

    def picture(self, job: Job) -> Image:
        """The image of a job, as its codec rebuilds it.

        Raises:
            CodecframeError: if it cannot.
        """
        with limit_pixels(self.max_pixels):
            return job.codec.decode(job.restored()) if job.codec else read_image(job.data)

    def _decode(self, jobs: Sequence[Job]) -> list[Any]:
        """What the head takes, or an exception, for each job; jobs of one codec side by side."""
        groups: dict[Codec[Any] | None, list[int]] = defaultdict(list)
        for index, job in enumerate(jobs):
            groups[job.codec].append(index)
        decoded: list[Any] = [None] * len(jobs)
        for codec, indices in groups.items():
            found = _all_or_each(
                self._decoder(codec),
                [jobs[index] for index in indices],
                codec.name if codec else "image",
            )
            for index, item in zip(indices, found, strict=True):
                decoded[index] = item
        return decoded

    def _decoder(self, codec: Codec[Any] | None) -> Callable[[Sequence[Job]], Sequence[Any]]:
        if codec is None:
            return lambda jobs: [self._read(job.data) for job in jobs]
        return lambda jobs: decode_for(codec, self.head, [job.restored() for job in jobs])

    def _read(self, data: bytes) -> Any:
        if self.head.accepts != PIXELS:
            raise MismatchError(
                f"head {self.head.name!r} accepts {self.head.accepts}: name the codec"
            )
        return self.head.prepare(read_image(data))


def _rows(prediction: Prediction, count: int) -> list[Prediction]:
    if len(prediction) != count:
        raise MismatchError(f"the head gave {len(prediction)} predictions for {count} images")
    return [prediction.one(index) for index in range(count)]


def _all_or_each(
    function: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T], source: str
) -> Sequence[R | Exception]:
    """`function(items)`; where that fails, of each item by itself, so that only bad ones fail."""
    if not items:
        return []
    try:
        return function(items)
    except Exception as error:  # untrusted data, strangers' codecs and models
        if len(items) == 1:
            return [error if isinstance(error, CodecframeError) else PluginError(source, error)]
    return [_all_or_each(function, [item], source)[0] for item in items]
