"""`codecframe decode`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import click

from codecframe.cli import options, output
from codecframe.core.errors import CodecframeError, DataError


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
@options.json_option
def command(
    files: tuple[str, ...],
    target: str | None,
    codec: str | None,
    payload: bool,
    shape: str | None,
    assignments: tuple[str, ...],
    level_byte: bool,
    as_json: bool,
) -> int:
    """Turn encoded files back into PNG images.

    \b
    Examples:
      codecframe decode photo.jxl -o photo.png
      codecframe decode out/*.avif -o decoded/
      codecframe decode a.payload --payload --level-byte --codec jpeg --shape 224x224 -o a.png
    """
    if payload and not (codec and shape):
        raise click.UsageError("--payload needs --codec and --shape")
    if target == "-" and len(files) != 1:
        raise click.UsageError("-o - takes one file")
    size = _shape(shape) if shape else None
    rows: list[dict[str, Any]] = []
    failed = 0
    for name in files:
        try:
            data = _read(name)
            found, image = _decode(
                name, data, codec, size if payload else None, assignments, level_byte
            )
            path = _write(name, image, target, several=len(files) > 1)
        except CodecframeError as error:
            failed += 1
            output.say(f"codecframe: {name}: {error}")
            continue
        height, width = image.shape[:2]
        rows.append(
            {"name": name, "codec": found, "output": path, "height": height, "width": width}
        )
    if target != "-":
        if as_json:
            output.print_json({"failed": failed, "images": rows})
        elif rows:
            cells = [
                [r["name"], r["codec"], f"{r['width']}x{r['height']}", r["output"]] for r in rows
            ]
            output.print_table(["file", "codec", ">size", "output"], cells)
    return 1 if failed else 0


def _shape(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not HEIGHTxWIDTH", param_hint="--shape")
    return int(match[1]), int(match[2])


def _read(name: str) -> bytes:
    from codecframe.images.source import read_bounded, read_bytes

    return read_bounded(sys.stdin.buffer, "stdin") if name == "-" else read_bytes(name)


def _decode(
    name: str,
    data: bytes,
    codec: str | None,
    shape: tuple[int, int] | None,
    assignments: tuple[str, ...],
    level_byte: bool,
) -> tuple[str, Any]:
    from codecframe.core import registry
    from codecframe.core.image import check_size
    from codecframe.core.presets import parse_settings
    from codecframe.pipeline.convert import decode_any

    if codec is None:
        found, image = decode_any(name, data)
        return found.name, image
    chosen = registry.default().codec(codec)
    if shape is not None:
        check_size(*shape, source=name)
        settings = parse_settings(chosen, assignments)
        if level_byte:
            if not data:
                raise DataError(name, "is empty")
            settings, data = settings.at_level(data[0]), data[1:]
        data = chosen.restore(data, settings, shape)
    return chosen.name, chosen.decode(data)


def _write(name: str, image: Any, target: str | None, *, several: bool) -> str:
    from PIL import Image as PilImage

    from codecframe.core.files import write_whole

    buffer = io.BytesIO()
    PilImage.fromarray(image).save(buffer, "PNG")
    if target == "-":
        sys.stdout.buffer.write(buffer.getvalue())
        return "-"
    stem = "image" if name == "-" else Path(name).stem
    folder = target is None or several or target.endswith("/") or Path(target).is_dir()
    path = Path(target or ".") / f"{stem}.png" if folder else Path(target or "")
    write_whole(path, buffer.getvalue())
    return str(path)
