"""The JPEG codec."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

import codecframe
from codecframe import Image, Shape, chunks, map_threads, to_image
from codecframe.core.bounds import check_scans
from codecframe_jpeg import layout
from codecframe_jpeg.coefficients import quantised
from codecframe_jpeg.header import read_header
from codecframe_jpeg.scan import coded, symbols_of
from codecframe_jpeg.settings import OWN, SUBSAMPLINGS, JpegSettings

if TYPE_CHECKING:
    from PIL import Image as PilImage

    from codecframe import Objective, Score

_MAX_SIDE = 65500  # libjpeg's
_COMMENT = b"\xff\xfe\x00\x0eother layout"
_CMYK = 4
_AT_ONCE = 1 << 20
"""Samples that are encoded at a time, in each thread, where many images are."""
_SMALL = 48 * 48
"""Pixels of an image for which starting libjpeg takes longer than encoding, at most."""
_SHORT = 1 << 16
"""Pixels that are encoded before a file of the system's is made, at most."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

_roomy = threading.Lock()


@codecframe.scalable
class JpegCodec(codecframe.Codec[JpegSettings]):
    """JPEG, by libjpeg-turbo.

    `strip` leaves the entropy-coded data, and the Huffman tables where they were made for the
    image. A file that is laid out in another way is its own payload: it starts with FF D8, and no
    other payload does.
    """

    name = "jpeg"
    extension = ".jpg"
    summary = "JPEG: read by everything, and by far the fastest"
    settings_type = JpegSettings
    presets = Path(__file__).parent / "presets"
    encoders: ClassVar[Mapping[str, frozenset[str]]] = {
        "cjpeg": frozenset(("huffman", "deadzone", "scale")),
        "pillow": frozenset(OWN),
    }

    def encode_image(self, image: Image, settings: JpegSettings) -> bytes:
        """Encode into a JFIF file. See `codecframe.Codec.encode`.

        Raises:
            DataError: if a side is longer than 65,500 pixels.
        """
        import imagecodecs

        self._check(image)
        shape = image.shape[:2]
        if settings.own:
            return _encode_own([image], settings)[0]
        if settings.fast is None:
            data = _encode_any(image, settings)
        else:  # several times as fast for small images
            data = bytes(imagecodecs.jpeg8_encode(image, **settings.fast))
        if not _laid_out_as_promised(data, settings, shape):
            return layout.SOI + _COMMENT + data[2:]  # so that it cannot be taken for ours
        return data

    def encode_images(self, images: Iterable[Image], settings: JpegSettings) -> list[bytes]:
        """On all cores; small images of a size, or with the plugin's own encoder, many at once."""
        everything = list(images)

        def encode(some: list[Image]) -> list[bytes]:
            for image in some:  # in threads: while one checks, others encode
                self._check(image)
            if settings.own:
                return _encode_own(some, settings)
            if len(some) > 1:
                return _encode_stacked(some, settings)
            return [self.encode(image, settings) for image in some]

        work: list[list[Image]] = []
        for _, group in groupby(everything, lambda image: getattr(image, "shape", None)):
            run = list(group)
            self._check(run[0])
            work += chunks(run, _at_once(run[0].shape, settings))
        return [data for some in map_threads(encode, work) for data in some]

    def _check(self, image: Image) -> None:
        codecframe.check_image(image, self.name)
        if max(image.shape[:2]) > _MAX_SIDE:
            raise codecframe.DataError(self.name, f"a side is longer than {_MAX_SIDE} pixels")

    def decode(self, data: bytes) -> Image:
        """Decode any JPEG file. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, CMYK converted, depth brought to 8 bits. EXIF
        orientation is not applied.
        """
        import imagecodecs

        with codecframe.as_data_error(self.name, ValueError):
            header = read_header(data)
        codecframe.check_size(*header.shape, self.name)
        # decoders silently fill in what is cut off
        if not data.endswith(layout.EOI) and data.find(layout.EOI, header.position) < 0:
            raise codecframe.DataError(self.name, "cut short: it has no end marker")
        if not header.one_scan:
            check_scans(data, self.name)
        with codecframe.as_data_error(self.name):
            if header.components == _CMYK:
                return _decode_any(data)
            samples = imagecodecs.jpeg8_decode(data)
        if header.components == 3 and header.bits == 8:
            return samples
        return to_image(samples, self.name, bits=header.bits)

    def adapted(self, settings: JpegSettings, encoder: str) -> JpegSettings:
        """With Huffman tables for each image where those that both ends know stay behind; images
        are brought to another resolution before they reach the encoder.
        """
        made = super().adapted(settings, encoder).replace(scale=settings.scale)
        return made if made == settings or made.arithmetic else made.replace(optimize=True)

    def exports(self, settings: JpegSettings, notes: Sequence[str] = ()) -> dict[str, str]:
        """For libjpeg's `cjpeg`, for Pillow, and as C arrays."""
        from codecframe_jpeg.exports import FORMATS

        return {name: write(settings, notes) for name, write in FORMATS.items()}

    def tune(
        self,
        base: JpegSettings,
        objective: Objective,
        *,
        trials: int,
        seed: int,
        slowest: float,
        lacking: Collection[str] = (),
    ) -> Iterator[Score]:
        """Quantisation and Huffman tables and rounding made for a head. See `SelfTuning`."""
        from codecframe_jpeg.tuning import Tuner

        del seed  # nothing is random
        return islice(Tuner(self, objective, slowest, lacking).scores(base), trials)

    def variants(self, base: JpegSettings) -> Iterator[JpegSettings]:
        """Chroma resolutions, each with Huffman tables as they are and with ones made for each
        image; progressive scans. See `codecframe.tuning.Variable`.
        """
        standard = {"huffman": None, "arithmetic": False, "deadzone": 0.0}
        codings: list[dict[str, Any]] = [{}, standard, standard | {"optimize": True}]
        changes = [{"subsampling": s} | coding for s in SUBSAMPLINGS for coding in codings]
        changes.append(standard | {"progressive": True})
        for change in changes:
            with contextlib.suppress(codecframe.SettingsError):
                yield base.replace(**change)

    def strip(self, data: bytes) -> bytes:
        """The data of the scans. See the class."""
        try:
            return layout.split(data)[2]
        except ValueError:
            return data

    def restore(self, payload: bytes, settings: JpegSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        if payload.startswith(layout.SOI):
            return payload
        # also of sides that no header can hold
        with codecframe.as_data_error(self.name, ValueError, struct.error):
            return layout.join(settings.layout, shape, payload)


def _laid_out_as_promised(data: bytes, settings: JpegSettings, shape: Shape) -> bool:
    """Whether `restore` can rebuild the file from its payload."""
    promised = settings.layout
    if not promised.own_huffman:
        return data.startswith(layout.up_to_data(promised, shape))
    try:
        return layout.split(data)[:2] == (promised, shape)
    except ValueError:
        return False


def _at_once(shape: tuple[int, ...], settings: JpegSettings) -> int:
    """How many images of a shape are encoded together."""
    height, width, channels = shape
    most = max(1, _AT_ONCE // (height * width * channels))
    if settings.own:
        return most
    rows = 8 * (settings.layout.sampling & 15)
    stackable = settings.plain and height * width <= _SMALL and height % rows == 0
    return min(most, _MAX_SIDE // height) if stackable else 1


def _encode_stacked(images: Sequence[Image], settings: JpegSettings) -> list[bytes]:
    """Encode images of one size as a single tall one that restarts with each.

    A restart resets the coder, so the bits between two restarts are those of the image's own file.
    """
    height, width = shape = images[0].shape[:2]
    rows, columns = 8 * (settings.layout.sampling & 15), 8 * (settings.layout.sampling >> 4)
    restart = height // rows * -(-width // columns)
    tall = _encode_any(np.concatenate(images), settings.replace(restart=restart))
    before = layout.up_to_data(settings.layout, shape)
    return [before + payload + layout.EOI for payload in _RESTART.split(layout.split(tall)[2])]


def _encode_own(images: Sequence[Image], settings: JpegSettings) -> list[bytes]:
    """Encode images of one size with the plugin's own encoder."""
    blocks = quantised(np.stack(images), settings)
    if settings.arithmetic:
        from codecframe_jpeg import arithmetic  # brings numba, where it is installed

        payloads = arithmetic.coded(blocks)
    else:
        payloads = coded(symbols_of(blocks), settings.code_tables)
    shape = images[0].shape[:2]
    return [layout.join(settings.layout, shape, payload) for payload in payloads]


def _encode_any(image: Image, settings: JpegSettings) -> bytes:
    """Encode with Pillow, which supports all settings."""
    from PIL import Image as PilImage
    from PIL import ImageFile

    picture = PilImage.fromarray(image)
    grey = settings.subsampling == "4:0:0"
    if grey:
        picture = picture.convert("L")
    options = {
        "qtables": settings.scaled_tables,
        "subsampling": -1 if grey else settings.subsampling,
        "optimize": settings.optimize,
        "progressive": settings.progressive,
        "smooth": settings.smoothing,
        "restart_marker_blocks": settings.restart,
    }
    try:
        return _saved(picture, options)
    except OSError:
        # libjpeg wants room for all of an optimised file at once, and Pillow's guess was too low
        with _roomy:
            usual, ImageFile.MAXBLOCK = ImageFile.MAXBLOCK, 16 * picture.width * picture.height
            try:
                return _saved(picture, options)
            finally:
                ImageFile.MAXBLOCK = usual


def _saved(picture: PilImage.Image, options: dict[str, Any]) -> bytes:
    """A JPEG file. Pillow releases the interpreter's lock while it writes to a real file, so that
    other threads run; making such a file takes as long as encoding a small image.
    """
    is_large = picture.width * picture.height > _SHORT
    with _memory_file() if is_large else io.BytesIO() as file:
        picture.save(file, "JPEG", **options)
        file.seek(0)
        return bytes(file.read())


def _memory_file() -> IO[bytes]:
    """An in-memory file of the operating system, where it has them."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("codecframe"), "w+b")
    return io.BytesIO()


def _decode_any(data: bytes) -> Image:
    """Decode with Pillow, which knows how CMYK is meant."""
    from PIL import Image as PilImage

    with PilImage.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        return np.array(picture.convert("RGB"))
