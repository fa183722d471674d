"""`codecframe plugins [NAME]`."""

from __future__ import annotations

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("plugins", cls=FunctionCommand, function="codecframe.plugins")
@click.argument("name", required=False)
@options.json_option
def command(name: str | None, as_json: bool) -> None:
    """List plugins and what they bring; a broken one with its error.

    \b
    Examples:
      codecframe plugins
      codecframe plugins jpeg --json
      CODECFRAME_PLUGINS=jpeg,webp codecframe plugins
    """
    output.show_listed(codecframe.plugins(name), as_json=as_json)
