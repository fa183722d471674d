"""`codecframe tune`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand
from codecframe.core.parallel import share_cores


@click.command("tune", cls=FunctionCommand, function="codecframe.tune")
@click.argument("codec", shell_complete=options.complete_codec)
@options.images_option(required=True)
@options.bytes_option("Bytes to tune for, met on average: 0.8bpp, 1200B, 12kB or 12KiB.")
@options.keep_options
@click.option(
    "--for",
    "encoder",
    default="any",
    show_default=True,
    metavar="ENCODER",
    help="Leave alone what that encoder cannot do: for jpeg pillow or cjpeg. Whole files are then "
    "what counts, unless --accounting says otherwise.",
)
@options.combined(
    options.group_option,
    options.held_out_option,
    options.head_option,
    options.codec_settings_options,
    options.image_set_options,
)
@click.option(
    "--accounting",
    type=click.Choice(["payload", "file"]),
    help="Bytes that count: payloads without constant headers, or whole standard files.  "
    "[default: payload; with --for: file]",
)
@click.option("--trials", default=100, show_default=True, type=click.IntRange(1), help="To try.")
@click.option("--seed", default=0, show_default=True, help="Of the search.")
@click.option(
    "--most-time",
    default=4.0,
    show_default=True,
    help="Settings may take this many times as long to encode as those started from.",
)
@options.output_option("Preset file; default: CODEC.yaml.")
@options.combined(options.force_option, options.json_option)
def command(as_json: bool, **arguments: Any) -> None:
    """Find settings of a codec that suit a head, and write them as a preset.

    Every other image tunes; the rest decides whether what was found is kept, so that on images that
    it has not seen it never loses to the defaults, to the codec's variants of them, nor to the
    presets that come with it. Where images belong together, e.g. frames of one track, keep them so
    with --group, or name those that decide with --held-out. With --keep instead of --budget, the
    preset is at the level of the fewest bytes that surely keeps what must stay right. Stop with
    Ctrl-C at any time; the same command goes on.

    \b
    Examples:
      codecframe tune jpeg --images photos/ --head efficientnet-lite0 --budget 0.8bpp
      codecframe tune webp --images signs/ --labels folders --head signs.onnx --budget 300B
      codecframe tune jpeg --images photos/ --head net.onnx --budget 0.8bpp --for pillow
      codecframe tune jpeg --images photos/ --head net.onnx --keep 98%
      codecframe tune jpeg --images cars/ --group "pattern:track(\\d+)" --head net.onnx -b 0.8bpp
      codecframe encode photo.png --codec jpeg --preset jpeg.yaml
    """
    share_cores()  # before numerical libraries are imported
    name = codecframe.get_codec(arguments["codec"]).name
    arguments["output"] = arguments["output"] or f"{name}.yaml"
    found = codecframe.tune(**arguments, **output.telling(f"tune {name}"))
    output.show(found, as_json=as_json)
