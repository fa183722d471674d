"""`codecframe presets [PRESET]`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("presets", cls=FunctionCommand, function="codecframe.presets")
@click.argument("preset", required=False)
@click.option("--export", metavar="FORMAT", help="Print the settings for other software.")
@options.images_option(
    "Measure the export on these images, and set its quality so that it meets the budget."
)
@click.option("--head", "-H", metavar="HEAD", help="The head to measure with.")
@options.bytes_option("Bytes of a file, on average.  [default: the preset's]")
@options.combined(options.image_set_options, options.json_option)
def command(as_json: bool, **arguments: Any) -> None:
    """List the presets that come with codecs, or show one: CODEC:NAME, or a file.

    With --export the settings are printed as other encoders take them; those of JPEG as c, cjpeg or
    pillow. What an export costs and scores is in its comments, as `tune` measured it; with
    --images and --head it is measured now.

    \b
    Examples:
      codecframe presets
      codecframe presets jpeg:cifar10
      codecframe presets jpeg.yaml --export cjpeg > tables.txt
      codecframe presets jpeg:imagenet --export pillow --images photos/ --head efficientnet-lite0
    """
    found = codecframe.presets(**arguments)
    if isinstance(found, codecframe.PresetExport):
        for note in found.notes:
            output.say(f"codecframe: {note}")
        click.echo(found.text, nl=False)
    else:
        output.show_listed(found, as_json=as_json)
