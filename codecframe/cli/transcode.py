"""`codecframe transcode`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("transcode", cls=FunctionCommand, function="codecframe.transcode")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("target", metavar="DST")
@options.combined(
    options.one_codec_option,
    options.codec_settings_options,
    options.budget_option,
    options.written_option,
    options.payload_option,
    options.engine_options,
    options.json_option,
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Encode only images whose names fit, e.g. '*.jpg'; others stay as they are. Repeat for "
    "several.",
)
@click.option(
    "--except",
    "leave",
    multiple=True,
    metavar="PATTERN",
    help="Leave images whose names fit as they are, e.g. masks: '*.seg.png'. Repeat for several.",
)
@options.force_option
def command(as_json: bool, **arguments: Any) -> int:
    """Take a whole data set through a codec: folders of images, WebDataset shards.

    SRC is a folder, an image, a glob or a tar file (.tar, .tar.gz, .tgz); what is made lies in the
    folder DST under the same names. With a budget, no image costs more: the bytes of the files that
    are written count, headers and all, or with --payload those of the payloads. A run that was
    stopped goes on when it is started again. Every engine makes the same bytes.

    \b
    Examples:
      codecframe transcode photos/ small/ --codec webp --budget 0.5bpp
      codecframe transcode shards/ small/ --codec jpeg --set quality=40 --engine ray
      codecframe transcode shards/ small/ --codec webp --budget 0.5bpp --except '*.seg.png'
    """
    progress = output.progress(f"transcode {arguments['codec']}")
    summary = codecframe.transcode(**arguments, progress=progress)
    report = summary.report
    for _, reason in [*report.told, *summary.lost]:
        output.say(f"codecframe: left out {reason}")
    if more := report.failures - len(report.told):
        output.say(f"codecframe: and {more:,} more images")
    output.show(summary, as_json=as_json)
    return 1 if report.failures or summary.lost else 0
