"""Pipeline: a codec under a budget, joined to a head.

pipeline = Pipeline("jpeg", "efficientnet-lite0", budget="0.8bpp")
prediction = pipeline.predict(images)            # through the codec, to the head
packet = pipeline.transmit(image)                # what a camera sends: knob level and payload
prediction = pipeline.classify([packet])         # what the other end makes of it

A cascade has a head on the device, too, which answers what it is sure of; the rest goes through the
codec to the fallback:

cascade = Pipeline("jpeg", "small.onnx", fallback="large.onnx", sure=0.9, budget="0.8bpp")
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.codec import Codec, Fit
from codecframe.core.errors import (
    BudgetError,
    DataError,
    MismatchError,
    SettingsError,
    UsageError,
)
from codecframe.core.head import Batch, TaskHead
from codecframe.core.image import Image, Shape, check_image
from codecframe.core.layers import NONE, LayeredSettings, Layers
from codecframe.core.parallel import chunks
from codecframe.core.presets import parse_spec
from codecframe.core.representation import PIXELS, Representation
from codecframe.core.settings import Settings
from codecframe.pipeline.cascade import SURE, DeviceHead
from codecframe.rate import Accounting, Budget, Keep, StreamController, controller, settled
from codecframe.tasks.scoring import set_score

BATCH = 64
"""Images that a pipeline takes through codec and head at a time.

Examples:
    >>> from codecframe.pipeline import BATCH
    >>> batches = list(cf.chunks(cf.open_images("photos"), BATCH))
"""


def join(codec: Codec[Any], head: TaskHead) -> Representation:
    """The representation in which a codec hands over to a head.

    Raises:
        MismatchError: if the codec emits nothing that the head accepts.

    Examples:
        >>> head = cf.get_head("photo_heads:brightness")
        >>> cf.join(cf.get_codec("webp"), head) == cf.PIXELS
        True
    """
    if head.accepts in codec.emits:
        return head.accepts
    emitted = ", ".join(map(str, codec.emits))
    raise MismatchError(
        f"head {head.name!r} accepts {head.accepts}, but codec {codec.name!r} emits {emitted}"
    )


def counterparts(head: TaskHead) -> list[TaskHead]:
    """Installed heads that take the place of this head of pixels behind learned codecs: they take
    latents and should predict what it predicts (`TaskHead.reference`).

    Examples:
        >>> from codecframe.pipeline import counterparts
        >>> counterparts(cf.get_head("photo_heads:brightness"))  # no learned codec was made for it
        []
    """
    known = registry.available(registry.default().heads.values())
    return [other for other in known if _stands_for(other, head)]


def _stands_for(other: TaskHead, head: TaskHead) -> bool:
    """Whether a head of latents was made for a head of pixels, by the name or the file of that."""
    if not other.reference or other is head:
        return False
    if other.reference in (head.name, head.spec):
        return True
    try:
        return bool(head.spec) and os.path.samefile(other.reference, head.spec)
    except (OSError, ValueError):  # not two files
        return False


def counterpart(codec: Codec[Any], head: TaskHead) -> TaskHead | None:
    """The head that takes a learned codec's latents in place of `head`; None if there is none.

    Examples:
        >>> from codecframe.pipeline import counterpart
        >>> head = cf.get_head("photo_heads:brightness")
        >>> counterpart(cf.get_codec("webp"), head) is None
        True
    """
    return next((other for other in counterparts(head) if other.accepts in codec.emits), None)


def counterpart_remarks(specs: Iterable[str], heads: Sequence[TaskHead]) -> list[str]:
    """Where a head of pixels is to see what a learned codec shows people: which one, if not among
    these, is for its latents. A sentence each.

    Args:
        specs: codecs, as `parse_spec` reads them.
        heads: the heads.
    """
    names = {head.name for head in heads}
    return [
        f"{head.name} sees what {codec.name} shows people; its latents go to the head "
        f"{other.name}, which stands for {head.name}"
        for codec in [parse_spec(spec)[0] for spec in specs]
        for head in heads
        if (other := counterpart(codec, head)) and other.name not in names
    ]


def decode_for(codec: Codec[Any], head: TaskHead, datas: Sequence[bytes]) -> Batch:
    """Decode into what the head accepts: the codec's latents or pixels.

    Examples:
        >>> codec, head = cf.get_codec("webp"), cf.get_head("photo_heads:brightness")
        >>> cf.decode_for(codec, head, [codec.encode(photo)])[0].shape
        (48, 64, 3)
    """
    if join(codec, head) == PIXELS:
        return codec.decode_many(datas)
    return codec.decode_latents_many(datas)


@dataclass(frozen=True)
class Packet:
    """What crosses the link for one image.

    Attributes:
        level: the knob level; one byte on the link where the codec has a knob.
        payload: the encoding without what settings and shape determine; of a codec of layers, the
            task layer.
        shape: (height, width); agreed once a stream, or sent beside the payload.
        picture: the picture layer, which may follow later; None where there is none.
        picture_level: its level; one more byte on the link where it varies.

    Examples:
        >>> pipeline = cf.Pipeline("webp", budget="900B")
        >>> packet = pipeline.transmit(photo)
        >>> 1 + len(packet.payload) <= 900, packet.shape
        (True, (48, 64))
        >>> cf.read_image(pipeline.receive(packet)).shape
        (48, 64, 3)
    """

    level: int
    payload: bytes
    shape: Shape
    picture: bytes | None = None
    picture_level: int = 0

    def __getattr__(self, name: str) -> Any:
        if name == "body":
            raise AttributeError("Packet.body is Packet.payload since codecframe 0.1.0")
        raise AttributeError(f"a Packet has no {name!r}")


@dataclass(frozen=True)
class Evaluation:
    """Rate and score of a pipeline over a set of images.

    Attributes:
        n: images.
        bytes_per_image: mean counted bytes.
        bpp: total counted bits / total pixels.
        accounting: which bytes were counted.
        score: by the measure of the head's task (top-1, mAP), with its 95 % interval `low` to
            `high`.
        encodes_per_image: how often an image was encoded on average to meet the budget.
        travels: the share of the images that was sent; of a cascade, the others were answered on
            the device.

    Examples:
        >>> bright = cf.get_head("photo_heads:brightness")
        >>> found = cf.Pipeline("webp", bright, budget="900B").evaluate([photo, photo], [0, 1])
        >>> found.n, found.score, found.bpp <= 900 * 8 / (48 * 64)
        (2, 0.5, True)
    """

    n: int
    bytes_per_image: float
    bpp: float
    accounting: str
    score: float
    low: float
    high: float
    encodes_per_image: float
    travels: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class _Predicted:
    """What became of some images.

    Attributes:
        prediction: of all of them.
        sizes: counted bytes of each.
        encodes: of all of them together.
        travelled: how many were sent.
    """

    prediction: Any
    sizes: list[int]
    encodes: int
    travelled: int


class Pipeline:
    """A codec, a rate controller and, where something is predicted, a head.

    With `fallback` it is a cascade: `head` is on the device, sees images before they are encoded,
    and answers what it is sure of, which costs no more than the answer. What it is not sure of goes
    through the codec to `fallback`. `sure_from` and `select` say from what confidence on it may.

    Args:
        codec: a codec or its name.
        head: a head, its name, or what `get_head` takes; None for a pipeline that only encodes and
            decodes.
        settings: the codec's settings, or a mapping of some of them; the rest are defaults.
        budget: what may be spent (`0.8bpp`, a `Budget`); None encodes with the settings as given.
            A `Keep` with what was measured takes the lowest level that surely keeps enough.
        accounting: which bytes count, `payload` or `file`.
        prepare: bring images to the geometry the head behind the codec looks at before encoding
            them.
        fallback: the head behind the codec, for what `head` is not sure of.
        sure: from what confidence on `head` answers by itself, 0 to 1; see `TaskHead.confidence`.

    Raises:
        MismatchError: if codec and head do not fit, or the heads of a cascade say other things.
        UsageError: if `fallback` or `sure` lacks the other head, or `budget` is a `Keep` beside it.
        BudgetError: if the budget cannot be read, or no level surely keeps enough.

    Examples:
        >>> pipeline = cf.Pipeline("webp", "photo_heads:brightness", budget="900B")
        >>> pipeline.predict([photo]).scores.shape
        (1, 2)
        >>> cf.Pipeline("webp", settings={"quality": 30}).encode(photo).settings.quality
        30.0
        >>> bright = cf.get_head("photo_heads:brightness")
        >>> cascade = cf.Pipeline("webp", bright, fallback=bright, sure=0.9)
        >>> cascade.evaluate([photo, photo], [1, 1]).travels  # it is sure of both
        0.0
    """

    def __init__(
        self,
        codec: Codec[Any] | str,
        head: TaskHead | str | None = None,
        *,
        settings: Settings | Mapping[str, Any] | None = None,
        budget: Budget | Keep | str | None = None,
        accounting: Accounting | str = Accounting.PAYLOAD,
        prepare: bool = True,
        fallback: TaskHead | str | None = None,
        sure: float | None = None,
    ) -> None:
        self.codec = registry.default().codec(codec) if isinstance(codec, str) else codec
        self.head = registry.default().head(head) if isinstance(head, str) else head
        self.fallback = registry.default().head(fallback) if isinstance(fallback, str) else fallback
        self.device = self._device(sure, budget)
        judge = self.fallback or self.head
        self.representation = PIXELS if judge is None else join(self.codec, judge)
        self.settings, self.budget = settled(self.codec, self.codec.settings(settings), budget)
        self.accounting = Accounting(accounting)
        self.prepare = prepare
        self._controller = controller(self.codec, self.settings, self.budget, self.accounting)

    def _device(self, sure: float | None, budget: Budget | Keep | str | None) -> DeviceHead | None:
        """The head on the device, of a cascade."""
        if self.fallback is None:
            if sure is not None:
                raise UsageError("{sure} needs {fallback}, for what the head is not sure of")
            return None
        if self.head is None:
            raise UsageError("{fallback} needs {head}: it answers what it is sure of")
        if isinstance(budget, Keep):
            raise UsageError("{budget} keeps what it does without {fallback}: `select` finds both")
        device = DeviceHead(self.head, SURE if sure is None else sure, self.codec)
        device.check(self.fallback)
        return device

    # -- the sending end ------------------------------------------------------------------

    def encode(self, image: Image) -> Fit[Any]:
        """Encode one image under the budget.

        Raises:
            BudgetError: if even the smallest encoding does not fit.
        """
        return next(self.encode_many([image]))

    def encode_many(self, images: Iterable[Image]) -> Iterator[Fit[Any]]:
        """Encode images in order under the budget, a few at a time on all cores.

        Raises:
            BudgetError: at the first image that cannot fit.
        """
        for found in self._controller.encode_many(self._ready(image) for image in images):
            if isinstance(found, BudgetError):
                raise found
            yield found

    def transmit(self, image: Image) -> Packet:
        """Encode one image and strip it to what must cross the link. Of a cascade, `device.answers`
        says which images need not.
        """
        found = self.encode(image)
        shape = self._ready(image).shape[:2]
        layers = self.codec.strip_layers(found.data)
        level = found.settings.picture_level if isinstance(found.settings, LayeredSettings) else 0
        return Packet(found.settings.level, layers.task, shape, layers.picture, level or 0)

    # -- the receiving end ----------------------------------------------------------------

    def receive(self, packet: Packet) -> bytes:
        """Restore the self-contained encoding from a packet.

        Raises:
            DataError: if the packet was not made by such a pipeline.
        """
        if not 0 <= packet.level < self.settings.knob_levels():
            raise DataError(self.codec.name, f"no knob level {packet.level}")
        settings = self.settings
        if self._controller.varies:
            settings = settings.at_level(packet.level)
        if isinstance(settings, LayeredSettings):
            level = NONE if packet.picture is None else packet.picture_level
            settings = _with_picture(settings, level, self.codec.name)
        layers = Layers(packet.payload, packet.picture)
        return self.codec.restore_layers(layers, settings, packet.shape)

    def classify(self, packets: Sequence[Packet]) -> Any:
        """Predict from packets, whatever the head's task."""
        return self.predict_encoded([self.receive(packet) for packet in packets])

    def predict_encoded(self, datas: Sequence[bytes]) -> Any:
        """Predict from self-contained encodings."""
        head = self._judge()
        return head.predict(decode_for(self.codec, head, datas))

    def decode(self, datas: Sequence[bytes]) -> list[Image]:
        """Decode self-contained encodings into pixels, whatever the head takes."""
        return self.codec.decode_many(datas)

    # -- both -----------------------------------------------------------------------------

    def predict(self, images: Iterable[Image]) -> Any:
        """Take images through the codec to the head: the prediction of the head's task, a
        `Prediction` of a classifier. Of a cascade, those of both heads, in the images' order.
        """
        parts = [found.prediction for found in self._predicted(images)]
        return _joined(parts) if parts else self._judge().predict([])

    __call__ = predict

    def evaluate(self, images: Iterable[Image], targets: Iterable[Any]) -> Evaluation:
        """Measure rate and score over labelled images; of an image little is kept.

        Args:
            images: the images.
            targets: the truth of each, as the head's task has it: a label, boxes.

        Raises:
            MismatchError: if there are fewer targets than images, or one is not of the head's task.
        """
        total_bytes = total_pixels = encodes = travelled = 0
        scores: list[float] = []
        records: list[Any] = []
        truths: deque[Any] = deque()
        remaining = iter(targets)
        judge = self._judge()

        def counted() -> Iterator[Image]:
            nonlocal total_pixels
            for image in images:
                ready = self._ready(image)
                total_pixels += ready.shape[0] * ready.shape[1]
                for target in islice(remaining, 1):
                    truths.append(judge.truth(target, image.shape[:2], ready.shape[:2]))
                yield ready

        for chunk in self._predicted(counted()):
            if len(truths) < len(chunk.sizes):
                raise MismatchError("there are fewer targets than images")
            wanted = [truths.popleft() for _ in chunk.sizes]
            scores += judge.score(chunk.prediction, wanted).tolist()
            if judge.task.has_records:
                records += judge.task.records(chunk.prediction, wanted)
            total_bytes += sum(chunk.sizes)
            encodes += chunk.encodes
            travelled += chunk.travelled
        n = len(scores)
        found = set_score(judge.task, np.array(scores), records)
        return Evaluation(
            n=n,
            bytes_per_image=total_bytes / max(n, 1),
            bpp=total_bytes * 8 / max(total_pixels, 1),
            accounting=str(self.accounting),
            score=found.value,
            low=found.low,
            high=found.high,
            encodes_per_image=encodes / max(n, 1),
            travels=travelled / max(n, 1),
        )

    def _predicted(self, images: Iterable[Image]) -> Iterator[_Predicted]:
        """What becomes of images, some at a time."""
        if self.device is not None:
            ready = (self._ready(image) for image in images)
            yield from (self._cascaded(self.device, chunk) for chunk in chunks(ready, BATCH))
            return
        for chunk in chunks(self.encode_many(images), BATCH):
            prediction = self.predict_encoded([found.data for found in chunk])
            sizes = [found.size for found in chunk]
            yield _Predicted(prediction, sizes, sum(fit.encodes for fit in chunk), len(chunk))

    def _cascaded(self, device: DeviceHead, images: Sequence[Image]) -> _Predicted:
        """What the head on the device is sure of, and what the fallback makes of the rest."""
        prediction, is_sure = device.answers(images)
        sizes = device.sizes(prediction)
        fits = list(self._rest(images, is_sure, sizes))
        here, there = np.flatnonzero(is_sure).tolist(), np.flatnonzero(~is_sure).tolist()
        for i, found in zip(there, fits, strict=True):
            sizes[i] = found.size
        parts = [prediction.take(here)] if here else []
        if there:
            parts.append(self.predict_encoded([found.data for found in fits]))
        ordered = _joined(parts).take(np.argsort([*here, *there]).tolist())
        return _Predicted(ordered, sizes, sum(found.encodes for found in fits), len(there))

    def _rest(
        self, images: Sequence[Image], is_sure: Iterable[bool], sizes: Sequence[int]
    ) -> Iterator[Fit[Any]]:
        """Encodings of the images that are not answered on the device. A link has carried the
        answers between them, and a mean budget is for all.
        """
        control = self._controller
        if not isinstance(control, StreamController):
            yield from self.encode_many(i for i, s in zip(images, is_sure, strict=True) if not s)
            return
        for image, sure, size in zip(images, is_sure, sizes, strict=True):
            if sure:
                control.skip(image.shape[:2], size)
            else:
                yield control.encode(image)

    def _ready(self, image: Image) -> Image:
        image = check_image(image)
        judge = self.fallback or self.head
        return image if judge is None or not self.prepare else judge.prepare(image)

    def _judge(self) -> TaskHead:
        """The head behind the codec."""
        judge = self.fallback or self.head
        if judge is None:
            raise MismatchError("this pipeline has no head: give it one, to predict")
        return judge


def _joined(parts: Sequence[Any]) -> Any:
    return type(parts[0]).joined(parts)


def _with_picture(settings: LayeredSettings, level: int | str, source: str) -> LayeredSettings:
    """The settings with a picture's level that came over a link."""
    try:
        return settings.replace(picture=level)
    except SettingsError:
        raise DataError(source, f"no level {level} of pictures") from None
