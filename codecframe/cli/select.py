"""`codecframe select`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("select", cls=FunctionCommand, function="codecframe.select")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...", type=click.Path())
@options.images_option("Images to measure on, instead of a saved profile; repeat for several.")
@click.option(
    "--head",
    "-H",
    "head",
    multiple=True,
    metavar="HEAD",
    shell_complete=options.complete_head,
    help="The head to measure with, with --images. Repeat for several: each with the codecs that "
    "it can be joined to.",
)
@options.combined(
    options.fallback_option,
    options.sure_option,
    options.budget_option,
    options.keep_options,
    options.limits_options,
    options.mean_option,
    options.accounting_option,
    options.codecs_option,
    options.image_set_options,
    options.prepare_option,
)
@options.output_option("Keep what was measured as a profile; those of further heads lie beside it.")
@options.json_option
def command(as_json: bool, **arguments: Any) -> int:
    """Choose codec and settings for a budget, or for what must stay right.

    From profiles, or straight from images.

    Straight from images, all installed lossy codecs are tried, at full and at half resolution and
    with presets that come with them and were made for the head, unless some are named. Learned
    codecs are tried with heads of their own that stand for it.

    Several profiles, or heads, are compared on the same images: without labels, heads must agree
    with the same one on uncompressed images.

    The highest score wins. A codec within two points and within the noise of it wins instead where
    its encoder takes at most half the time. Rates that differ by more than 5 % are not compared as
    if they were one.

    With --keep or --score the fewest bytes win that keep it, with a confidence that holds however
    few the images are. Straight from images, one in four says where to look; the others decide.

    With --fallback, or profiles that were measured with it, --sure counts a cascade: what the head
    on the device is sure of costs no more than its answer, and the rest is sent.

    Ends with 1 if nothing meets the budget, and says what would; also if images could not be read,
    or rows of the labels name none.

    \b
    Examples:
      codecframe select photos.profile --budget 0.4bpp
      codecframe select --images photos/ --head efficientnet-lite0 --budget 0.8bpp
      codecframe select --images photos/ --head efficientnet-lite0 --keep 98%
      codecframe select photos.profile --budget 0.4bpp --device board.json --max-encode-ms 5
      codecframe select --images photos/ --head small.onnx --fallback large.onnx --keep 98%
      codecframe select --images photos/ --head head.yaml --labels folders --budget 2kB --json
      codecframe select --images cifar10:test --head cifar10 --head cifar10-vae --budget 0.4bpp
    """
    found = codecframe.select(**arguments, **output.telling("select"))
    left_out = output.tell_left_out(found.left_out)
    output.show(found, as_json=as_json)
    for reason in found.failed.values():
        output.say(f"codecframe: left out: {reason}")
    return 0 if found.winner and not (left_out or found.remarks) else 1
