"""Taking sets of image files through codecs and heads, in order and in constant memory.

An image that cannot be read, or not be brought under the budget, is yielded as `Failed` and does
not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from codecframe.core import registry
from codecframe.core.codec import Codec, Fit
from codecframe.core.errors import BudgetError, CodecframeError, DataError, DependencyError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image, Shape
from codecframe.core.parallel import chunks
from codecframe.core.progress import Progress
from codecframe.core.settings import Settings
from codecframe.images import ImageItem
from codecframe.images.bycodec import codecs_for, in_srgb
from codecframe.pipeline import decode_for, join
from codecframe.rate import Accounting, Budget, controller

N = TypeVar("N", "Read", "Encoded", "Classified")
_CHUNK = 32


@dataclass(frozen=True)
class Failed:
    """An input that could not be read, or an image that could not be brought under the budget.

    Examples:
        >>> made = cf.encode_files("photos", "webp", budget="9B", output="out")
        >>> made.failed[0].name
        'cat/1.png'
    """

    name: str
    error: CodecframeError

    def __str__(self) -> str:
        message = str(self.error)
        source = self.error.source if isinstance(self.error, DataError) else ""
        named = message.startswith(self.name) or source.endswith(self.name)  # as a path
        return message if named else f"{self.name}: {message}"


@dataclass(frozen=True)
class Read:
    """One image of a set."""

    name: str
    image: Image


@dataclass(frozen=True)
class Encoded:
    """One encoded image.

    Attributes:
        name: the image's name in its set.
        shape: (height, width).
        data: the self-contained encoding.
        settings: what it was made with.
        size: counted bytes.
        encodes: how often it was encoded to meet the budget.
    """

    name: str
    shape: Shape
    data: bytes
    settings: Settings
    size: int
    encodes: int

    @property
    def bpp(self) -> float:
        """Counted bits a pixel."""
        return 8 * self.size / (self.shape[0] * self.shape[1])


@dataclass(frozen=True)
class Classified:
    """A head's prediction for one image; `encoded` is None where it saw the image itself."""

    name: str
    prediction: Any
    encoded: Encoded | None


def read_set(items: Iterable[ImageItem], head: TaskHead | None = None) -> Iterator[Read | Failed]:
    """Read images in order; brought to the geometry `head` looks at, if one is given."""
    for item in items:
        try:
            image = item.read()
            yield Read(item.name, image if head is None else head.prepare(image))
        except CodecframeError as error:
            yield Failed(item.name, error)


def without_failed(
    results: Iterable[N | Failed],
    failed: list[Failed],
    tell: Callable[[Failed], None] | None,
    display: Progress,
) -> Iterator[N]:
    """The results other than `Failed`, in order.

    Args:
        results: of a set of images.
        failed: those that are `Failed` are added to it.
        tell: called with them as they come.
        display: told of all, when they were dealt with.
    """
    for result in results:
        if not isinstance(result, Failed):
            yield result
        else:
            failed.append(result)
            if tell is not None:
                tell(result)
        display.advance(1, result.name)


def encode_set(
    images: Iterable[Read | Failed],
    codec: Codec[Any],
    settings: Settings,
    budget: Budget | None = None,
    accounting: Accounting = Accounting.PAYLOAD,
) -> Iterator[Encoded | Failed]:
    """Encode images in order, with the settings as they are or to a budget."""
    rate = controller(codec, settings, budget, accounting)
    for chunk in chunks(images, _CHUNK):
        fits = rate.encode_many([item.image for item in chunk if isinstance(item, Read)])
        for item in chunk:
            yield item if isinstance(item, Failed) else _encoded(item, next(fits))


def classify_set(
    images: Iterable[Read | Failed],
    head: TaskHead,
    codec: Codec[Any] | None = None,
    settings: Settings | None = None,
    budget: Budget | None = None,
    accounting: Accounting = Accounting.PAYLOAD,
) -> Iterator[Classified | Failed]:
    """Predict for images in order, straight or through a codec.

    Raises:
        MismatchError: if the codec emits nothing that the head accepts.
    """
    items: Iterable[Read | Encoded | Failed] = images
    if codec is not None:
        join(codec, head)
        settings = settings or codec.settings_type()
        items = encode_set(images, codec, settings, budget, accounting)
    for chunk in chunks(items, _CHUNK):
        good = [item for item in chunk if not isinstance(item, Failed)]
        predictions = iter(_predict(head, codec, good))
        for item in chunk:
            if isinstance(item, Failed):
                yield item
            else:
                encoded = item if isinstance(item, Encoded) else None
                yield Classified(item.name, next(predictions), encoded)


def _predict(head: TaskHead, codec: Codec[Any] | None, items: list[Read | Encoded]) -> list[Any]:
    """One single-image prediction for every item."""
    if not items:
        return []
    images = [item.image for item in items if isinstance(item, Read)]
    datas = [item.data for item in items if isinstance(item, Encoded)]
    prediction = head.predict(images if codec is None else decode_for(codec, head, datas))
    return [prediction.one(i) for i in range(len(items))]


def _encoded(item: Read, fit: Fit[Any] | BudgetError) -> Encoded | Failed:
    if isinstance(fit, BudgetError):
        return Failed(item.name, fit)
    shape = item.image.shape[:2]
    return Encoded(item.name, shape, fit.data, fit.settings, fit.size, fit.encodes)


def decode_any(name: str, data: bytes) -> tuple[Codec[Any], Image]:
    """Decode a file with the codec that its content names, else its suffix, else the first that
    reads it. Colours are brought to sRGB.

    Raises:
        DataError: if no installed codec reads it.
        DependencyError: if the codec that would needs a package that is not installed.
        LimitError: if the image is larger than the pixel limit.
    """
    candidates = codecs_for(data, PurePosixPath(name).suffix)
    usable = registry.available(candidates)
    if not usable and candidates:
        missing = next(iter(candidates[0].requires.items()))
        raise DependencyError(*missing)
    first_error: DataError | None = None
    for codec in usable:
        try:
            return codec, in_srgb(codec, data)
        except DataError as error:
            first_error = first_error or error
    if first_error is not None and len({codec.extension for codec in usable}) == 1:
        raise first_error
    raise DataError(name, f"none of the codecs reads it ({', '.join(c.name for c in usable)})")
