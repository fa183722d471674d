"""`codecframe report`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("report", cls=FunctionCommand, function="codecframe.report")
@click.argument("profiles", nargs=-1, required=True, metavar="PROFILE...", type=click.Path())
@options.output_option("The HTML page.", required=True)
@options.combined(
    options.budget_option,
    options.keep_options,
    options.sure_option,
    options.limits_options,
    options.mean_option,
    options.accounting_option,
    options.force_option,
)
def command(**arguments: Any) -> None:
    """Make a self-contained HTML page of profiles: plot, table, choice, decoded images.

    Several are shown together: of the same images, one for each of several heads.

    \b
    Examples:
      codecframe report photos.profile -o report.html
      codecframe report photos.profile --budget 0.4bpp --mean -o report.html
      codecframe report photos.profile --keep 98% -o report.html
      codecframe report photos.profile --budget 0.4bpp --device board.json -o report.html
    """
    codecframe.report(**arguments)
    output.say(f"report: {arguments['output']}")
