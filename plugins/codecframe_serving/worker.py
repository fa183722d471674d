"""What the server does with images of many clients: decode them, and one call of the head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from codecframe import (
    PIXELS,
    ClassifierHead,
    Codec,
    CodecframeError,
    DataError,
    Image,
    Latents,
    LatentSpace,
    LimitError,
    MismatchError,
    Prediction,
    Shape,
    TaskHead,
    TaskPrediction,
    check_size,
    cpu_count,
    join,
    layered,
    limit_pixels,
)
from codecframe.core import registry
from codecframe_serving.answers import CLASSES
from codecframe_serving.decoding import Decoder, Job, all_or_each, reduced
from codecframe_serving.sandbox import Confinement, Sandbox, numbered

__all__ = ["Job", "Worker"]

_BATCH_BYTES = 256 << 20
"""Decoded images that `run` holds at a time."""
_LATENT_SHARE = 4
"""A head of latents is given those of images at most so many times as large as its own."""

_PIXEL_BYTES, _LEAST_BYTES = 32, 256 << 20
"""Memory of a decoding process: for each pixel of the largest image, and in any case."""


class Worker:
    """A head and the codecs whose encodings it takes.

    Args:
        head: the head.
        codecs: the codecs; all installed ones that fit the head if left out.
        max_pixels: pixels of an image, at most.
        sandbox: decodes in place of this process.

    Raises:
        MismatchError: if one of `codecs`, or none of the installed, fits the head.
    """

    def __init__(
        self,
        head: TaskHead,
        codecs: Iterable[Codec[Any]] | None = None,
        *,
        max_pixels: int = 1 << 24,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.head = head
        self.task = head.task.name
        """The task's name. Of others than classification images are decoded at their own size, as
        what is said of them has places."""
        self.max_pixels = _bounded(head, max_pixels)
        self.lanes = cpu_count()
        """Calls of `decode` that are useful at a time; one more is kept for quick images."""
        if codecs is None:
            installed = registry.available(registry.default().codecs.values())
            codecs = [codec for codec in installed if head.accepts in codec.emits]
            codecs += _with_pictures(codecs, installed)
        self.codecs: Mapping[str, Codec[Any]] = {codec.name: codec for codec in codecs}
        for codec in self.codecs.values():
            join(codec, head)
        if not self.codecs:
            raise MismatchError(
                f"no installed codec emits {head.accepts}, which head {head.name!r} accepts"
            )
        self._sandbox = sandbox
        prepare = head.prepare if self.task == CLASSES else lambda image: image
        self._decoder = Decoder(head.accepts, prepare, self.max_pixels)

    def sandboxed(self, specs: Mapping[str, str], seconds: float) -> Worker:
        """The same worker, decoding in processes that can be ended.

        Args:
            specs: the name or model file by which each codec is found, by its name.
            seconds: for one image.
        """
        head = self.head
        geometry = None
        if isinstance(head, ClassifierHead) and type(head).prepare is ClassifierHead.prepare:
            geometry = head.preprocess.changed()
        memory = _PIXEL_BYTES * self.max_pixels + _LEAST_BYTES
        confinement = Confinement(specs, head.accepts, geometry, self.max_pixels, seconds, memory)
        return Worker(
            head,
            self.codecs.values(),
            max_pixels=self.max_pixels,
            sandbox=Sandbox(confinement, self.lanes + 1),
        )

    def find(self, name: str, emits: Sequence[str]) -> Codec[Any]:
        """The codec that a client means.

        A learned codec is known by its latent space, which has the model's digest, since each end
        may name the model's file in its own way.

        Raises:
            MismatchError: if the server has none such, or another model of that name.
        """
        if name in self.codecs and _emitted(self.codecs[name]) == list(emits):
            return self.codecs[name]
        learned = [space for space in emits if space != str(PIXELS)]
        for codec in self.codecs.values():
            if learned and learned == [str(r) for r in codec.emits if r != PIXELS]:
                return codec
        found = self.named(name)
        if _emitted(found) != list(emits):
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

    def check(self, shape: Shape) -> None:
        """Refuse an image by its declared (height, width), before anything is done for it.

        Raises:
            LimitError: if it is larger than what is decoded for this head.
        """
        with limit_pixels(self.max_pixels):
            check_size(*shape, source="image")

    def weight(self, job: Job) -> int:
        """Bytes that a job may take in this process while it is decoded."""
        height, width = job.shape or (1, self.max_pixels)
        space = self.head.accepts
        if isinstance(space, LatentSpace):
            rows, columns = -(-height // space.stride), -(-width // space.stride)
            return 4 * space.channels * rows * columns
        if self._sandbox is not None and self._sandbox.final_shape is not None:
            height, width = self._sandbox.final_shape
        return 3 * height * width

    def decode(
        self,
        jobs: Sequence[Job],
        slow: Callable[[int], None] | None = None,
        *,
        apart: bool = False,
    ) -> list[Any]:
        """What the head takes, or what was wrong with it, for each job in order.

        A job that fails does not touch the others. At most `lanes` + 1 calls go on at a time.

        Args:
            jobs: what to decode.
            slow: told the number of each job that took long; then what comes after it in the same
                call may be left undone, with a `LaterError`.
            apart: leave quick images their process.
        """
        taken: list[Any] = [self._refusal(job) for job in jobs]
        good = [index for index, refusal in enumerate(taken) if refusal is None]
        wanted = [jobs[index] for index in good]
        if self._sandbox is None:
            found = self._decoder.decode(wanted)
        else:
            found = self._sandbox.decode(wanted, numbered(slow, good), apart=apart)
        for index, item in zip(good, found, strict=True):
            taken[index] = item
        return taken

    def predict(self, decoded: Sequence[Any]) -> list[TaskPrediction | Exception]:
        """A prediction of one image, or what was wrong, for each item that `decode` gave.

        An item that is an exception stays what it is.
        """
        results: list[Any] = list(decoded)
        good = [index for index, item in enumerate(decoded) if not isinstance(item, Exception)]
        with limit_pixels(self.max_pixels):
            predicted = all_or_each(
                lambda items: _rows(self.head.predict(items), len(items)),
                [decoded[index] for index in good],
                self.head.name,
            )
        for index, prediction in zip(good, predicted, strict=True):
            results[index] = self._blamed(decoded[index], prediction)
        return results

    def run(self, jobs: Sequence[Job]) -> list[TaskPrediction | Exception]:
        """A prediction of one image, or what was wrong with it, for each job in order.

        A job that fails does not touch the others. Decoded is a part at a time where all together
        would take much memory.
        """
        results: list[TaskPrediction | Exception] = []
        for part in self._parts(jobs):
            results += self.predict(self.decode(part))
        return results

    def picture(self, job: Job, side: int) -> tuple[Image, Shape]:
        """The image of a job as its codec rebuilds it, reduced to at most `side`, and the
        (height, width) that it had.

        Raises:
            CodecframeError: if it cannot.
        """
        if self._sandbox is not None:
            return self._sandbox.picture(job, side)
        image = self._decoder.picture(job)
        return reduced(image, side), (image.shape[0], image.shape[1])

    def open(self) -> None:
        """Start what decodes elsewhere.

        Raises:
            MismatchError: if it does not start.
        """
        if self._sandbox is not None:
            self._sandbox.start()

    def close(self) -> None:
        """End what decodes elsewhere."""
        if self._sandbox is not None:
            self._sandbox.close()

    def _refusal(self, job: Job) -> CodecframeError | None:
        """Why a job is not decoded at all."""
        if job.codec is None and self.head.accepts != PIXELS:
            return MismatchError(
                f"head {self.head.name!r} accepts {self.head.accepts}: name the codec"
            )
        try:
            if job.shape is not None:
                self.check(job.shape)
        except (DataError, LimitError) as error:
            return error
        return None

    def _parts(self, jobs: Sequence[Job]) -> Iterable[list[Job]]:
        part: list[Job] = []
        held = 0
        for job in jobs:
            weight = self.weight(job)
            if part and held + weight > _BATCH_BYTES:
                yield part
                part, held = [], 0
            part.append(job)
            held += weight
        if part:
            yield part

    def _blamed(self, item: Any, result: TaskPrediction | Exception) -> TaskPrediction | Exception:
        """Whose fault a failed prediction is: latents of another size are the client's."""
        wanted = self.head.input_shape
        if (
            isinstance(result, Exception)
            and isinstance(item, Latents)
            and wanted is not None
            and tuple(item.shape) != tuple(wanted)
        ):
            return DataError("image", str(result))
        return result


def _emitted(codec: Codec[Any]) -> list[str]:
    return [str(representation) for representation in codec.emits]


def _with_pictures(
    codecs: Sequence[Codec[Any]], installed: Sequence[Codec[Any]]
) -> list[Codec[Any]]:
    """Codecs of latents, each with each codec of pixels behind it."""
    return [
        registry.default().codec(f"{one.name}+{pictures.name}")
        for one in codecs
        if one.emits[0] != PIXELS
        for pictures in installed
        if tuple(pictures.emits) == (PIXELS,) and layered(pictures) is None
    ]


def _bounded(head: TaskHead, max_pixels: int) -> int:
    """Pixels of an image, at most: latents cannot be resized, so what is far from a head's size
    cannot be looked at by it."""
    if head.accepts == PIXELS or head.input_shape is None:
        return max_pixels
    height, width = head.input_shape
    return min(max_pixels, _LATENT_SHARE * height * width)


def _rows(prediction: TaskPrediction, count: int) -> list[TaskPrediction]:
    if len(prediction) != count:
        raise MismatchError(f"the head gave {len(prediction)} predictions for {count} images")
    if isinstance(prediction, Prediction) and not np.isfinite(prediction.scores).all():
        raise MismatchError("the head gave scores that are not finite")
    return [prediction.one(index) for index in range(count)]
