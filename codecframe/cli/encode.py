"""`codecframe encode`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("encode", cls=FunctionCommand, function="codecframe.encode_files")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.combined(
    options.one_codec_option,
    options.codec_settings_options,
    options.budget_option,
    options.mean_option,
    options.written_option,
)
@options.output_option(
    "File for one image (- for stdout), folder for several. "
    "Default: the image's own name with the codec's suffix, in the current folder.",
    metavar="PATH",
)
@options.payload_option
@options.overwrite_option
@options.json_option
def command(as_json: bool, **arguments: Any) -> int:
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
    progress = output.progress(f"encode {arguments['codec']}")
    made = codecframe.encode_files(**arguments, progress=progress, tell=output.left_out)
    return output.show_made(made, to=arguments["output"], as_json=as_json)
