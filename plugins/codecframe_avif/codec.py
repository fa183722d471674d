"""The AVIF codec."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np

import codecframe
from codecframe import Image, Shape, to_image
from codecframe.core import isobmff
from codecframe_avif import bitstream, container, encoders
from codecframe_avif.bitstream import SequenceHeader
from codecframe_avif.settings import LOSSLESS, AvifSettings

_PROFILES = {"4:2:0": 0, "4:0:0": 0, "4:4:4": 1, "4:2:2": 2}
# What imagecodecs ignores: rotation, mirroring, cropping. And animations, where it writes past its
# buffer if asked for the first image.
_NEEDS_PILLOW = {b"irot", b"imir", b"clap", b"moov"}


@codecframe.scalable
class AvifCodec(codecframe.Codec[AvifSettings]):
    """AVIF: AV1 still images in a HEIF container.

    Every file has the same container, whichever library encoded it. `strip` leaves the payload of
    the AV1 frame; or the AV1 data, where the sequence header is not the one that settings and size
    determine; or the whole file, where another program wrote it. The three cannot be confused.
    """

    name = "avif"
    extension = ".avif"
    summary = "AV1 still images: best at low rates, slow to encode"
    settings_type = AvifSettings
    presets = Path(__file__).parent / "presets"

    def encode_image(self, image: Image, settings: AvifSettings) -> bytes:
        """Encode into an AVIF file. See `codecframe.Codec.encode`."""
        image = codecframe.check_image(image)
        data = encoders.encode(image, settings)
        try:
            sequence, frame = _sequence_and_frame(data, *_mdat(data))
            promised, promised_bytes = _promised(settings, image.shape[:2])
            if sequence == promised_bytes:
                return container.wrap(promised, _item(sequence, frame))
            header = SequenceHeader.from_bytes(sequence)
            return container.wrap(header, _item(sequence, frame)) + container.UNEXPECTED
        except ValueError:
            return data  # laid out in a way we do not know: a standard file all the same

    def decode(self, data: bytes) -> Image:
        """Decode any AVIF file; of an animation, the first image. See `codecframe.Codec.decode`.

        Greyscale is repeated in three channels, alpha laid over white, depth brought to 8 bits.
        """
        with codecframe.as_data_error(self.name, ValueError):
            properties = isobmff.image_properties(data)
            size = isobmff.declared_size(data, properties)
        codecframe.check_size(*size, self.name)
        with codecframe.as_data_error(self.name):
            if _NEEDS_PILLOW.isdisjoint(box.kind for box in properties):
                pixels = _decode_fast(data)
                if pixels is not None:
                    return pixels
            return _decode_any(data)

    def strip(self, data: bytes) -> bytes:
        """The AV1 frame without its unit header. See the class."""
        try:
            sequence, frame = _sequence_and_frame(data, *_mdat(data))
            header = SequenceHeader.from_bytes(sequence)
        except ValueError:
            return data
        item = _item(sequence, frame)
        file = container.wrap(header, item)
        if data == file and _form(frame) == "frame":
            return frame
        if data == file + container.UNEXPECTED and _form(item) == "item":
            return item
        return data

    def restore(self, payload: bytes, settings: AvifSettings, shape: Shape) -> bytes:
        """Exact inverse of `strip`. See `codecframe.Codec.restore`."""
        form = _form(payload)
        if form == "file":
            return payload
        if form == "item":
            header = SequenceHeader.from_bytes(_sequence_and_frame(payload, 0, len(payload))[0])
            return container.wrap(header, payload) + container.UNEXPECTED
        codecframe.check_size(*shape, self.name)
        header, sequence = _promised(settings, shape)
        return container.wrap(header, _item(sequence, payload))


# -- the parts of the data ----------------------------------------------------------------


def _mdat(data: bytes) -> tuple[int, int]:
    """Where the media data of a file starts and ends."""
    box = isobmff.child(data, isobmff.Box(b"", 0, len(data)), b"mdat")
    return box.start, box.end


def _sequence_and_frame(data: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """Payloads of the two units that make a still image.

    Raises:
        ValueError: if there are others, or they are damaged.
    """
    units = [
        unit
        for unit in bitstream.obus(data, start, end)
        if unit.kind != bitstream.TEMPORAL_DELIMITER
    ]
    if [unit.kind for unit in units] != [bitstream.SEQUENCE_HEADER, bitstream.FRAME]:
        raise ValueError("not the units of a single still image")
    sequence, frame = units
    return data[sequence.start : sequence.end], data[frame.start : frame.end]


def _item(sequence: bytes, frame: bytes) -> bytes:
    """The AV1 data of a file: a sequence header and a frame."""
    return bitstream.obu(bitstream.SEQUENCE_HEADER, sequence) + bitstream.obu(
        bitstream.FRAME, frame
    )


def _form(payload: bytes) -> str:
    """What a payload is: a whole `file`, the AV1 data of an `item`, or the payload of a `frame`."""
    if payload[4:8] == b"ftyp":
        return "file"
    try:
        SequenceHeader.from_bytes(_sequence_and_frame(payload, 0, len(payload))[0])
    except ValueError:
        return "frame"
    return "item"


# -- the sequence header that settings and size promise -----------------------------------


@lru_cache(maxsize=256)
def _promised(settings: AvifSettings, shape: Shape) -> tuple[SequenceHeader, bytes]:
    """The sequence header that the encoders of today write, and its bytes.

    Encoder options or another release of an encoder may give another one, and svt's depends on
    more than this: then the payload keeps it.
    """
    height, width = shape
    is_rav1e = settings.encoder == "rav1e"
    header = SequenceHeader(
        width=width,
        height=height,
        profile=_PROFILES[settings.subsampling],
        level=bitstream.NO_LEVEL if is_rav1e else bitstream.level_of(width, height),
        tools=_tools(settings, min(shape)),
        monochrome=settings.monochrome,
        full_range=settings.value_range == "full",
        separate_uv_delta_q=is_rav1e and not settings.monochrome,
    )
    return header, header.to_bytes()


def _tools(settings: AvifSettings, shorter_side: int) -> int:
    """The coding tools that an encoder allows itself, as in `SequenceHeader.tools`."""
    intra_filter, edge_filter, cdef, restoration = 0b010000, 0b001000, 0b000010, 0b000001
    if settings.encoder == "rav1e":
        filters = cdef | (restoration if settings.speed < 8 else 0)
        return edge_filter | (filters if shorter_side >= 32 else 0)
    allowed = intra_filter | (restoration if settings.speed < 5 else 0)
    allowed |= edge_filter if settings.edge_filter else 0
    return allowed | (cdef if settings.cdef and settings.quality < LOSSLESS else 0)


# -- decoding -----------------------------------------------------------------------------


def _decode_fast(data: bytes) -> Image | None:
    """Decode an ordinary AVIF with imagecodecs; None if it has more than 8 bits a sample."""
    import imagecodecs

    # more threads slow a small image down eightfold; many images are decoded in parallel anyway
    samples = imagecodecs.avif_decode(data, numthreads=1)
    return to_image(samples, "avif") if samples.dtype == np.uint8 else None


def _decode_any(data: bytes) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    encoders.register_plugin()
    factory, _ = Pillow.OPEN[encoders.FORMAT]
    with factory(io.BytesIO(data), "") as picture:
        upright = ImageOps.exif_transpose(picture)
        return to_image(np.array(upright.convert("RGBA")), "avif")
