"""`codecframe decode`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("decode", cls=FunctionCommand, function="codecframe.decode_files")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options.output_option(
    "PNG file for one input (- for stdout), folder for several. "
    "Default: the input's name with .png, in the current folder.",
    metavar="PATH",
)
@options.codec_option("Codec; by default the file says.")
@click.option(
    "--payload",
    is_flag=True,
    help="The files are payloads; --codec, --shape and the settings say of what.",
)
@click.option(
    "--shape",
    type=options.shape,
    metavar="HEIGHTxWIDTH",
    help="Image size, for payloads.",
)
@options.codec_settings_options
@click.option(
    "--level-byte",
    is_flag=True,
    help="The payloads begin with a knob level byte (they were encoded to a budget).",
)
@options.overwrite_option
@options.json_option
def command(as_json: bool, **arguments: Any) -> int:
    """Turn encoded files back into PNG images.

    What is made has the file's own name with .png, behind its own suffix where two would be called
    the same; files of several folders keep them.

    \b
    Examples:
      codecframe decode photo.jxl -o photo.png
      codecframe decode out/*.avif -o decoded/
      codecframe decode a.payload --payload --level-byte --codec jpeg --shape 224x224 -o a.png
    """
    progress = output.progress("decode")
    made = codecframe.decode_files(**arguments, progress=progress, tell=output.left_out)
    return output.show_made(made, to=arguments["output"], as_json=as_json)
