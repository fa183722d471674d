"""`codecframe demo`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("demo", cls=FunctionCommand, function="codecframe.demo")
@click.argument(
    "task", default="classification", type=click.Choice(["classification", "detection"])
)
@options.output_option(
    "Folder for the pictures, the report and the profile.", metavar="DIRECTORY",
    default="demo-output", show_default=True, type=click.Path(file_okay=False),
)  # fmt: skip
@options.bytes_option(
    "Bytes to spend on each photograph; repeat for several.", "budgets",
    multiple=True, default=("0.2bpp", "0.8bpp"), show_default=True,
)  # fmt: skip
@options.combined(options.force_option, options.json_option)
def command(as_json: bool, **arguments: Any) -> None:
    """Select a codec for real photographs: JPEG, WebP, AVIF, JPEG XL or the learned codec, where
    `codecframe[learned]` is installed.

    The photographs are those that scikit-image, scikit-learn and matplotlib ship; nothing is
    downloaded. EfficientNet-Lite0 classifies them. Behind the learned codec it is the head that was
    trained to stand for it, from latents; the standard codecs' classifier is as it was published.

    For `detection`, circles, squares and triangles are drawn faintly over the photographs, and a
    small detector looks for them behind the standard codecs.

    \b
    Examples:
      codecframe demo
      codecframe demo detection
      codecframe demo --budget 0.4bpp --output out/ --json
    """
    found = codecframe.demo(**arguments, progress=output.progress("measure"))
    output.show(found, as_json=as_json)
