"""`codecframe adapt`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand
from codecframe.core.parallel import share_cores


@click.command("adapt", cls=FunctionCommand, function="codecframe.adapt")
@options.codec_option(
    "Codec with optional settings, e.g. avif, jpeg:optimize=true or jpeg:preset=jpeg.yaml.",
    metavar="SPEC",
    required=True,
)
@options.images_option(required=True)
@options.bytes_option("Bytes to adapt for, met on average: 0.2bpp, 1200B, 12kB or 12KiB.")
@options.rates_option(
    "Mean rates to adapt for, in bits per pixel. One head serves all from the lowest to the "
    "highest.  [default: 0.1,0.2,0.4,0.8]"
)
@options.combined(
    options.group_option,
    options.held_out_option,
    options.head_option,
    options.image_set_options,
    options.accounting_option,
)
@click.option(
    "--minutes",
    default=10.0,
    show_default=True,
    type=options.Finite(0.0),
    help="How long to train; more of them go on from what is there.",
)
@click.option("--seed", default=0, show_default=True, help="Of order, crops and levels.")
@click.option(
    "--and-tune",
    is_flag=True,
    help="Tune the codec's settings for the head, adapt the head to them, and both once more.",
)
@click.option(
    "--trials",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Settings to try each time, with --and-tune.",
)
@options.output_option("The head, .pt2 or .onnx; default: HEAD-CODEC.pt2.")
@options.combined(options.force_option, options.json_option)
def command(as_json: bool, **arguments: Any) -> None:
    """Train a copy of a head so that it says behind a codec what it says of uncompressed images.

    No labels are needed: the head as it is teaches. The new head takes the old one's place wherever
    images come through the codec; the table at the end tells what it gained there on held-out
    images, and what it lost on uncompressed ones. Stop with Ctrl-C at any time: the best head so
    far is written, and the same command goes on.

    \b
    Examples:
      codecframe adapt --head model.pt2 --codec avif --images photos/ --budget 0.2bpp
      codecframe adapt --head efficientnet-lite0 --codec jpeg:optimize=true --images photos/ \\
          --rates 0.2,0.4,0.8 --minutes 30 -o behind-jpeg.onnx
      codecframe adapt --head net.pt2 --codec jpeg --images photos/ --budget 0.8bpp --and-tune
    """
    share_cores()  # before numerical libraries are imported
    made = codecframe.adapt(**arguments, **output.telling("adapt"))
    output.show(made, as_json=as_json)
