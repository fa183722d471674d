"""`codecframe decode`."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.errors import CodecframeError, DataError, shown

if TYPE_CHECKING:
    from codecframe.core.codec import Codec
    from codecframe.core.image import Image
    from codecframe.pipeline.convert import Failed


@click.command("decode")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--output",
    "-o",
    "target",
    metavar="PATH",
    help="PNG file for one input (- for stdout), folder for several. "
    "Default: the input's name with .png, in the current folder.",
)
@click.option(
    "--codec",
    "-c",
    metavar="NAME",
    shell_complete=options.complete_codec,
    help="Codec; by default the file says.",
)
@click.option(
    "--payload",
    is_flag=True,
    help="The files are payloads; --codec, --shape and the settings say of what.",
)
@click.option("--shape", metavar="HEIGHTxWIDTH", help="Image size, for payloads.")
@options.settings_option
@click.option(
    "--level-byte",
    is_flag=True,
    help="The payloads begin with a knob level byte (they were encoded to a budget).",
)
@options.overwrite_option
@options.json_option
def command(
    files: tuple[str, ...],
    target: str | None,
    codec: str | None,
    payload: bool,
    shape: str | None,
    assignments: tuple[str, ...],
    level_byte: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Turn encoded files back into PNG images.

    What is made has the file's own name with .png, behind its own suffix where two would be called
    the same; files of several folders keep them.

    \b
    Examples:
      codecframe decode photo.jxl -o photo.png
      codecframe decode out/*.avif -o decoded/
      codecframe decode a.payload --payload --level-byte --codec jpeg --shape 224x224 -o a.png
    """
    if payload and not (codec and shape):
        raise click.UsageError("--payload needs --codec and --shape")
    from codecframe.cli.target import Target
    from codecframe.images.files import names_below
    from codecframe.pipeline.convert import without_failed

    size = _shape(shape) if shape else None
    sources = dict(zip(names_below([_named(file) for file in files]), files, strict=True))
    writer = Target(target, list(sources), ".png", sources=files, force=force)
    rows: list[dict[str, Any]] = []
    left_out = output.LeftOut()
    decode = partial(_decode, codec, size if payload else None, assignments, level_byte)
    for done in without_failed((decode(*source) for source in sources.items()), left_out):
        path = writer.write(done.name, _png(done.image))
        height, width = done.image.shape[:2]
        rows.append(
            {
                "name": sources[done.name],
                "codec": done.codec,
                "output": path,
                "height": height,
                "width": width,
            }
        )
    if not writer.to_stdout:
        if as_json:
            output.print_json({"failed": left_out.count, "images": rows})
        elif rows:
            cells = [
                [r["name"], r["codec"], f"{r['width']}x{r['height']}", r["output"]] for r in rows
            ]
            output.print_table(["file", "codec", ">size", "output"], cells)
    return left_out.code


@dataclass(frozen=True)
class _Decoded:
    """An image, by its file's name below the folder of all, and the codec that made it."""

    name: str
    codec: str
    image: Image


def _named(file: str) -> str:
    return "image" if file == "-" else file


def _shape(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise click.BadParameter(f"{shown(text)} is not HEIGHTxWIDTH", param_hint="--shape")
    return int(match[1]), int(match[2])


def _read(name: str) -> bytes:
    from codecframe.images.source import read_bounded, read_bytes

    return read_bounded(sys.stdin.buffer, "stdin") if name == "-" else read_bytes(name)


def _decode(
    codec: str | None,
    shape: tuple[int, int] | None,
    assignments: tuple[str, ...],
    level_byte: bool,
    name: str,
    file: str,
) -> _Decoded | Failed:
    from codecframe.pipeline.convert import Failed

    try:
        data = _read(file)
        if codec is None:
            from codecframe.pipeline.convert import decode_any

            found, image = decode_any(file, data)
        else:
            found = registry.default().codec(codec)
            if shape is not None:
                data = _restored(found, file, data, shape, assignments, level_byte)
            image = found.decode(data)
    except CodecframeError as error:
        return Failed(file, error)
    return _Decoded(name, found.name, image)


def _restored(
    codec: Codec[Any],
    file: str,
    data: bytes,
    shape: tuple[int, int],
    assignments: tuple[str, ...],
    level_byte: bool,
) -> bytes:
    """A payload as a whole encoding."""
    from codecframe.core.image import check_size
    from codecframe.core.presets import parse_settings

    check_size(*shape, source=file)
    settings = parse_settings(codec, assignments)
    if level_byte:
        if not data:
            raise DataError(file, "is empty")
        settings, data = settings.at_level(data[0]), data[1:]
    return codec.restore(data, settings, shape)


def _png(image: Image) -> bytes:
    from PIL import Image as PilImage

    buffer = io.BytesIO()
    PilImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
