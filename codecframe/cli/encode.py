"""`codecframe encode`."""

from __future__ import annotations

from dataclasses import dataclass
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
@options.overwrite_option
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
    force: bool,
    as_json: bool,
) -> int:
    """Encode images with given settings or to a budget.

    IMAGE is a file, a folder, a glob, or - for stdin. What is made has the image's own name with
    the codec's suffix, behind its own suffix where two would be called the same. The bytes of the
    files that are written count against the budget, headers and all; with --payload, those of the
    payloads.

    \b
    Examples:
      codecframe encode photo.png --codec jpeg --set quality=30 -o photo.jpg
      codecframe encode photos/ --codec webp --budget 12kB -o out/
      codecframe encode photos/ --codec avif --budget 0.8bpp --mean --json -o out/
      cat photo.png | codecframe encode - --codec jpegxl --budget 0.5bpp -o - > photo.jxl
    """
    from codecframe.cli.target import Target
    from codecframe.core import registry
    from codecframe.core.presets import parse_settings
    from codecframe.images import open_images
    from codecframe.pipeline.convert import encode_set, read_set, without_failed
    from codecframe.rate import Accounting

    chosen = registry.default().codec(codec)
    settings = parse_settings(chosen, assignments)
    limit = options.budget_of(budget, mean)
    counting = Accounting(accounting) if accounting else Accounting.written(payload=payload)
    items = open_images(images)
    writer = Target(
        target,
        [item.name for item in items],
        ".payload" if payload else chosen.extension,
        sources=(item.path for item in items if item.path is not None),
        force=force,
    )
    rows: list[dict[str, Any]] = []
    total = _Total()
    with output.ProgressBar(len(items), f"encode {chosen.name}") as bar:
        left_out = output.LeftOut(bar)
        done = encode_set(read_set(items), chosen, settings, limit, counting)
        for result in without_failed(done, left_out):
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
        output.print_json({"codec": chosen.name, "failed": left_out.count, "images": rows})
    elif not writer.to_stdout:
        _render(rows, total, counting)
    return left_out.code


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
