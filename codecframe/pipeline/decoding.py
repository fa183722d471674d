"""Decoding: bytes into an image, encoded files into PNG files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import CodecframeError, UsageError
from codecframe.core.image import Image, Shape, check_size, to_png
from codecframe.core.presets import SettingsLike, settings_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table
from codecframe.images.files import names_below
from codecframe.images.source import read_bounded, read_bytes
from codecframe.pipeline.convert import Failed, decode_any
from codecframe.pipeline.target import Target
from codecframe.rate import read_levels


def decode(data: bytes | str | Path, codec: Codec[Any] | str | None = None) -> Image:
    """Decode an encoded image.

    Args:
        data: a file's bytes, or its path.
        codec: a codec or its name; None: what the bytes, or else the path's suffix, say.

    Returns:
        `uint8`, (height, width, 3), RGB; its colours are sRGB where the bytes say the codec.

    Raises:
        DataError: if the file cannot be read, or no installed codec reads it.
        LimitError: if the image is larger than the pixel limit.
        DependencyError: if its codec needs a package that is not installed.

    Examples:
        >>> cf.decode(cf.encode(photo, "webp")).shape
        (48, 64, 3)
    """
    name, content = "data", data
    if isinstance(content, (str, Path)):
        name, content = str(content), read_bytes(content)
    return _decoded(name, bytes(content), codec)[1]


@dataclass(frozen=True)
class DecodedFile:
    """One file that was decoded.

    Attributes:
        name: its path.
        codec: the codec that read it.
        output: path of the PNG file; `-` for stdout.
        height, width: of the image.

    Examples:
        >>> made = cf.decode_files("photo.png", output="again.png").images[0]
        >>> made.codec, made.height, made.width
        ('png', 48, 64)
    """

    name: str
    codec: str
    output: str
    height: int
    width: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, repr=False)
class DecodedFiles(Result):
    """What `decode_files` made.

    Attributes:
        images: those that were decoded, in order.
        failed: those that were left out, and why.

    Examples:
        >>> made = cf.decode_files(["photo.png", "photos/cat/1.png"], output="again/")
        >>> [image.output.replace("\\\\", "/") for image in made.images], made.failed
        (['again/photo.png', 'again/photos/cat/1.png'], ())
    """

    images: tuple[DecodedFile, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"failed": len(self.failed), "images": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """One for each image."""
        return [image.to_dict() for image in self.images]

    def shown(self) -> list[str | Table]:
        """A table of the images."""
        if not self.images:
            return ["no file was decoded"]
        rows = [(i.name, i.codec, f"{i.width}x{i.height}", i.output) for i in self.images]
        return [Table(["file", "codec", ">size", "output"], rows)]


def decode_files(
    files: str | Path | Iterable[str | Path],
    *,
    output: str | Path | None = None,
    codec: Codec[Any] | str | None = None,
    payload: bool = False,
    shape: Shape | None = None,
    settings: SettingsLike = None,
    preset: str | Path | None = None,
    level_byte: bool = False,
    force: bool = False,
    progress: ProgressMaker | None = None,
    tell: Callable[[Failed], None] | None = None,
) -> DecodedFiles:
    """Turn encoded files back into PNG files.

    A file that cannot be read is left out, and told in the result.

    Args:
        files: paths; `-` for stdin.
        output: a PNG file for one input (`-` for stdout), a folder for several; None: the input's
            name with `.png`, in the current folder.
        codec: a codec or its name; None: what each file says.
        payload: the files are payloads, of `codec`, `shape` and the settings.
        shape: (height, width) of the images, for payloads.
        settings: what payloads were made with: an object, a mapping, or `key=value` texts.
        preset: the same as a preset that comes with the codec, or a file.
        level_byte: the payloads begin with a knob level byte, since they were encoded to a budget;
            where the settings want pictures, a byte for the picture's level follows.
        force: files that are there are replaced, even inputs.
        progress: makes a display; told of each file.
        tell: called with what is left out, when it is.

    Raises:
        UsageError: if `payload` lacks codec or shape; if several files are to go to stdout.
        UnknownNameError, SettingsError: for a codec, preset or setting that does not exist.
        MismatchError: if two files would get the same name.
        OutputError: if a file cannot be written, or one with other content is there.

    Examples:
        >>> made = cf.encode_files("photo.png", "jpeg", payload=True, output="photo.payload")
        >>> back = cf.decode_files(
        ...     "photo.payload", payload=True, codec="jpeg", shape=(48, 64), output="again.png"
        ... )
        >>> cf.read_image("again.png").shape
        (48, 64, 3)
    """
    if payload and (codec is None or shape is None):
        raise UsageError("{payload} needs {codec} and {shape}")
    known = registry.default().codec(codec) if isinstance(codec, str) else codec
    form = None
    if payload and known is not None and shape is not None:
        form = _Form(settings_for(known, settings, preset), shape, level_byte)
    paths = [os.fspath(f) for f in ([files] if isinstance(files, (str, Path)) else files)]
    names = names_below(["image" if path == "-" else path for path in paths])
    inputs = dict(zip(names, paths, strict=True))
    target = Target(output, list(inputs), ".png", sources=paths, force=force)
    made: list[DecodedFile] = []
    failed: list[Failed] = []
    with (progress or Silent)(len(inputs)) as display:
        for name, path in inputs.items():
            try:
                found, image = _decoded(path, _read(path), known, form)
            except CodecframeError as error:
                failed.append(Failed(path, error))
                if tell is not None:
                    tell(failed[-1])
            else:
                written = target.write(name, to_png(image))
                made.append(DecodedFile(path, found.name, written, *image.shape[:2]))
            display.advance(1, path)
    return DecodedFiles(tuple(made), tuple(failed))


@dataclass(frozen=True)
class _Form:
    """What a payload does not say itself."""

    settings: Settings
    shape: Shape
    level_byte: bool

    def restored(self, codec: Codec[Any], name: str, payload: bytes) -> bytes:
        """The self-contained encoding."""
        check_size(*self.shape, source=name)
        settings = self.settings
        if self.level_byte:
            settings, payload = read_levels(settings, payload, name)
        return codec.restore(payload, settings, self.shape)


def _decoded(
    name: str, data: bytes, codec: Codec[Any] | str | None, form: _Form | None = None
) -> tuple[Codec[Any], Image]:
    """The codec that reads the data, and the image."""
    if codec is None:
        return decode_any(name, data)
    chosen = registry.default().codec(codec) if isinstance(codec, str) else codec
    return chosen, chosen.decode(data if form is None else form.restored(chosen, name, data))


def _read(path: str) -> bytes:
    return read_bounded(sys.stdin.buffer, "stdin") if path == "-" else read_bytes(path)
