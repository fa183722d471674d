"""Encoding: one image into bytes, files into files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.image import Shape
from codecframe.core.presets import SettingsLike, settings_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings, words
from codecframe.core.tables import Result, Table
from codecframe.images import open_images, read_image
from codecframe.images.read import ImageSource
from codecframe.images.sets import ImageSpecs
from codecframe.pipeline.convert import Encoded, Failed, encode_set, read_set, without_failed
from codecframe.pipeline.pipeline import Pipeline
from codecframe.pipeline.target import Target
from codecframe.rate import Accounting, Budget, Keep, settled, told_levels

PAYLOAD_SUFFIX = ".payload"
"""Of files that hold payloads."""
_SHOWN = 50
"""Images that a person is shown."""


def encode(
    image: ImageSource,
    codec: Codec[Any] | str,
    *,
    budget: Budget | Keep | str | None = None,
    accounting: Accounting | str | None = None,
    preset: str | Path | None = None,
    **settings: Any,
) -> bytes:
    """Encode one image into a standard file, as bytes.

    Args:
        image: a path, a file's bytes, an open file, an image of Pillow's, or an array of `uint8`,
            (height, width, 3), RGB.
        codec: a codec or its name, or a learned codec's model file.
        budget: bytes to spend, `4kB` or `0.8bpp`, or a `Budget`; the codec's knob is set so that
            the encoding meets it. None: the settings as they are. A `Keep` with what was measured:
            the lowest level that surely keeps enough.
        accounting: the bytes that count against the budget: `file`, as by default, or `payload`.
        preset: settings found for a task: one that comes with the codec, or a file.
        settings: the codec's, over those of the preset.

    Raises:
        DataError: if the image cannot be read or is not one.
        LimitError: if it is larger than the pixel limit.
        UnknownNameError: for a codec or preset that does not exist.
        SettingsError: for a setting that the codec does not take.
        BudgetError: if the budget cannot be read, or even the smallest encoding is over it.

    Examples:
        >>> data = cf.encode("photo.png", "webp", quality=40)
        >>> len(cf.encode(photo, "webp", budget="900B")) <= 900
        True
    """
    chosen = registry.default().codec(codec) if isinstance(codec, str) else codec
    pipeline = Pipeline(
        chosen,
        settings=settings_for(chosen, settings, preset),
        budget=budget,
        accounting=accounting or Accounting.FILE,
    )
    return pipeline.encode(read_image(image)).data


@dataclass(frozen=True)
class EncodedFile:
    """One image that was encoded into a file.

    Attributes:
        name: the image's name in its set.
        output: the file's path; `-` for stdout.
        shape: (height, width).
        settings: what it was made with.
        accounting: which bytes were counted.
        bytes: the counted bytes.
        file_bytes: of the self-contained encoding.
        encodes: how often it was encoded to meet the budget.

    Examples:
        >>> made = cf.encode_files("photo.png", "webp", output="photo.webp").images[0]
        >>> made.name, made.shape, made.file_bytes == Path("photo.webp").stat().st_size
        ('photo.png', (48, 64), True)
    """

    name: str
    output: str
    shape: Shape
    settings: Settings
    accounting: str
    bytes: int
    file_bytes: int
    encodes: int

    @property
    def bpp(self) -> float:
        """Counted bits a pixel."""
        return 8 * self.bytes / (self.shape[0] * self.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "output": self.output,
            "height": self.shape[0],
            "width": self.shape[1],
            "settings": self.settings.changed(),
            "accounting": self.accounting,
            "bytes": self.bytes,
            "file_bytes": self.file_bytes,
            "bpp": self.bpp,
            "encodes": self.encodes,
        }


@dataclass(frozen=True, repr=False)
class EncodedFiles(Result):
    """What `encode_files` made.

    Attributes:
        codec: the codec's name.
        accounting: which bytes were counted.
        images: those that were encoded, in order.
        failed: those that were left out, and why.

    Examples:
        >>> made = cf.encode_files("photos", "webp", budget="900B", output="out")
        >>> len(made.images), made.failed, made.bpp < 3
        (3, (), True)
    """

    codec: str
    accounting: str
    images: tuple[EncodedFile, ...]
    failed: tuple[Failed, ...]

    @property
    def bytes(self) -> int:
        """Counted bytes of all images."""
        return sum(image.bytes for image in self.images)

    @property
    def bpp(self) -> float:
        """Counted bits a pixel, over all images."""
        pixels = sum(image.shape[0] * image.shape[1] for image in self.images)
        return 8 * self.bytes / pixels if pixels else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"codec": self.codec, "failed": len(self.failed), "images": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """One for each image."""
        return [image.to_dict() for image in self.images]

    def shown(self) -> list[str | Table]:
        """A table of the images, and what they are together."""
        if not self.images:
            return ["no image was encoded"]
        counted = f"bytes ({self.accounting})"
        rows = [
            (
                image.name,
                f"{image.shape[1]}x{image.shape[0]}",
                words(image.settings.changed()),
                image.bytes,
                f"{image.bpp:.3f}",
                image.output,
            )
            for image in self.images[:_SHOWN]
        ]
        columns = ["image", ">size", "settings", f">{counted}", ">bpp", "output"]
        parts: list[str | Table] = [Table(columns, rows)]
        if (more := len(self.images) - _SHOWN) > 0:
            parts.append(f"... and {more} more")
        if len(self.images) > 1:
            total = f"{len(self.images)} images, {self.bytes:,} {counted}"
            parts.append(f"{total}, {self.bpp:.3f} bpp on average")
        return parts


def encode_files(
    images: ImageSpecs,
    codec: Codec[Any] | str,
    *,
    settings: SettingsLike = None,
    preset: str | Path | None = None,
    budget: Budget | Keep | str | None = None,
    mean: bool = False,
    accounting: Accounting | str | None = None,
    output: str | Path | None = None,
    payload: bool = False,
    force: bool = False,
    progress: ProgressMaker | None = None,
    tell: Callable[[Failed], None] | None = None,
) -> EncodedFiles:
    """Encode images into files, with given settings or to a budget.

    An image that cannot be read, or not be brought under the budget, is left out, and told in the
    result.

    Args:
        images: what `open_images` takes: files, folders, globs, arrays.
        codec: a codec or its name, or a learned codec's model file.
        settings: as an object, a mapping, or `key=value` texts; None for the defaults.
        preset: settings found for a task: one that comes with the codec, or a file.
        budget: bytes to spend, such as `0.8bpp`, `12kB` or `256kbit/s@5fps`; or a `Keep`, as
            `encode` takes it.
        mean: the budget is for the average over the images; without this, for every image.
        accounting: the bytes that count, `payload` or `file`; None: those that are written.
        output: a file for one image (`-` for stdout), a folder for several; None: the image's own
            name with the codec's suffix, in the current folder.
        payload: write payloads instead of standard files; with a budget, one byte before each
            names the knob level.
        force: files that are there are replaced, even inputs.
        progress: makes a display; told of each image.
        tell: called with what is left out, when it is.

    Raises:
        DataError: if something does not exist, or no image is found.
        UnknownNameError, SettingsError, BudgetError: for what does not exist or cannot be read.
        UsageError: if several images are to go to stdout.
        MismatchError: if two images would get the same name.
        OutputError: if a file cannot be written, or one with other content is there.

    Examples:
        >>> made = cf.encode_files("photos", "jpeg", settings={"quality": 30}, output="out")
        >>> [image.name for image in made.images]
        ['cat/1.png', 'cat/2.png', 'dog/1.png']
    """
    chosen = registry.default().codec(codec) if isinstance(codec, str) else codec
    given, limit = settled(chosen, settings_for(chosen, settings, preset), budget, mean=mean)
    counting = Accounting(accounting) if accounting else Accounting.written(payload=payload)
    items = open_images(images)
    target = Target(
        output,
        [item.name for item in items],
        PAYLOAD_SUFFIX if payload else chosen.extension,
        sources=(item.path for item in items if item.path is not None),
        force=force,
    )
    made: list[EncodedFile] = []
    failed: list[Failed] = []
    with (progress or Silent)(len(items)) as display:
        done = encode_set(read_set(items), chosen, given, limit, counting)
        for result in without_failed(done, failed, tell, display):
            data = written(chosen, result, given, payload=payload, budget=limit)
            made.append(_file(result, target.write(result.name, data), counting))
    return EncodedFiles(chosen.name, str(counting), tuple(made), tuple(failed))


def written(
    codec: Codec[Any],
    encoded: Encoded,
    settings: Settings,
    *,
    payload: bool,
    budget: Budget | None,
) -> bytes:
    """What is written of an encoding: the file, or its payload behind the bytes for its levels,
    where a budget made them vary.

    Args:
        codec: the codec.
        encoded: the encoding.
        settings: as they were given.
        payload: the payload is written.
        budget: to which it was encoded.
    """
    if not payload:
        return encoded.data
    data = codec.strip(encoded.data)
    return data if budget is None else told_levels(settings, encoded.settings) + data


def _file(result: Encoded, output: str, accounting: Accounting) -> EncodedFile:
    return EncodedFile(
        result.name,
        output,
        result.shape,
        result.settings,
        str(accounting),
        result.size,
        len(result.data),
        result.encodes,
    )
