"""`codecframe encode`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.core.settings import words

if TYPE_CHECKING:
    from codecframe.pipeline.convert import Encoded


@click.command("encode")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.combined(
    options.one_codec_option,
    options.settings_option,
    options.budget_option,
    options.mean_option,
    options.written_option,
)
@click.option(
    "--output",
    "-o",
    "target",
    metavar="PATH",
    help="File for one image (- for stdout), folder for several. "
    "Default: the image's own name with the codec's suffix, in the current folder.",
)
@options.payload_option
@options.json_option
def command(
    images: tuple[str, ...],
    codec: str,
    assignments: tuple[str, ...],
    budget: str | None,
    mean: bool,
    accounting: str | None,
    target: str | None,
    payload: bool,
    as_json: bool,
) -> int:
    """Encode images with given settings or to a budget.

    IMAGE is a file, a folder, a glob, or - for stdin. The bytes of the files that are written count
    against the budget, headers and all; with --payload, those of the payloads.

    \b
    Examples:
      codecframe encode photo.png --codec jpeg --set quality=30 -o photo.jpg
      codecframe encode photos/ --codec webp --budget 12kB -o out/
      codecframe encode photos/ --codec avif --budget 0.8bpp --mean --json -o out/
      cat photo.png | codecframe encode - --codec jpegxl --budget 0.5bpp -o - > photo.jxl
    """
    from codecframe.core import registry
    from codecframe.core.presets import parse_settings
    from codecframe.images import open_images
    from codecframe.pipeline.convert import Failed, encode_set, read_set
    from codecframe.rate import Accounting

    chosen = registry.default().codec(codec)
    settings = parse_settings(chosen, assignments)
    limit = options.budget_of(budget, mean)
    counting = Accounting(accounting) if accounting else Accounting.written(payload=payload)
    items = open_images(images)
    writer = _Writer(target, len(items), ".payload" if payload else chosen.extension)
    rows: list[dict[str, Any]] = []
    total = _Total()
    failed = 0
    with output.ProgressBar(len(items), f"encode {chosen.name}") as bar:
        for result in encode_set(read_set(items), chosen, settings, limit, counting):
            if isinstance(result, Failed):
                failed += 1
                output.say(f"codecframe: {result}")
            else:
                data = result.data
                if payload:
                    data = chosen.strip(data)
                    if limit is not None and settings.knob():
                        data = bytes([result.settings.level]) + data
                path = writer.write(result.name, data)
                total.add(result)
                if as_json or len(rows) < _SHOWN:  # memory does not grow with the set
                    rows.append(_row(result, path, counting))
            bar.advance(1, result.name)
    if as_json and not writer.to_stdout:
        output.print_json({"codec": chosen.name, "failed": failed, "images": rows})
    elif not writer.to_stdout:
        _render(rows, total, counting)
    return 1 if failed else 0


def _row(result: Any, path: str, accounting: str) -> dict[str, Any]:
    height, width = result.shape
    return {
        "name": result.name,
        "output": path,
        "height": height,
        "width": width,
        "settings": result.settings.changed(),
        "accounting": accounting,
        "bytes": result.size,
        "file_bytes": len(result.data),
        "bpp": result.bpp,
        "encodes": result.encodes,
    }


_SHOWN = 50


@dataclass
class _Total:
    """What all encodings are together."""

    images: int = 0
    pixels: int = 0
    bytes: int = 0

    def add(self, encoded: Encoded) -> None:
        """Count one more."""
        self.images += 1
        self.pixels += encoded.shape[0] * encoded.shape[1]
        self.bytes += encoded.size


def _render(rows: list[dict[str, Any]], total: _Total, accounting: str) -> None:
    shown = [
        [
            row["name"],
            f"{row['width']}x{row['height']}",
            words(row["settings"]),
            row["bytes"],
            f"{row['bpp']:.3f}",
            row["output"],
        ]
        for row in rows
    ]
    if not rows:
        return
    columns = ["image", ">size", "settings", f">bytes ({accounting})", ">bpp", "output"]
    output.print_table(columns, shown)
    if total.images > len(rows):
        click.echo(f"... and {total.images - len(rows)} more")
    if total.images > 1:
        bpp = 8 * total.bytes / total.pixels
        click.echo(
            f"{total.images} images, {total.bytes:,} bytes ({accounting}), {bpp:.3f} bpp on average"
        )


class _Writer:
    """Where encodings go: stdout, one file, or files in a folder."""

    def __init__(self, target: str | None, count: int, suffix: str) -> None:
        self.to_stdout = target == "-"
        if self.to_stdout and count != 1:
            raise click.UsageError("-o - takes one image")
        self._suffix = suffix
        self._written: set[str] = set()
        is_folder = target is None or count > 1 or target.endswith("/") or Path(target).is_dir()
        self._folder = Path(target or ".") if is_folder else None
        self._file = None if is_folder or self.to_stdout else Path(target or "")

    def write(self, name: str, data: bytes) -> str:
        """Write one encoding whole or not at all; returns where it went."""
        from codecframe.core.files import write_whole

        if self.to_stdout:
            sys.stdout.buffer.write(data)
            return "-"
        path = self._file or self._path_for(name)
        write_whole(path, data)
        return str(path)

    def _path_for(self, name: str) -> Path:
        relative = PurePosixPath(name)
        parts = [part for part in relative.parts if part not in ("/", "..", ".")]
        path = (self._folder or Path()).joinpath(*parts)
        chosen = path.with_suffix(self._suffix)
        if str(chosen) in self._written:  # a.png and a.jpg in one folder
            chosen = path.with_name(path.name + self._suffix)
        self._written.add(str(chosen))
        return chosen
