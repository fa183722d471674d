"""`codecframe codecs [NAME]`."""

from __future__ import annotations

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("codecs", cls=FunctionCommand, function="codecframe.codecs")
@click.argument("name", required=False, shell_complete=options.complete_codec)
@options.json_option
def command(name: str | None, as_json: bool) -> None:
    """List codecs, or show one with all its settings.

    \b
    Examples:
      codecframe codecs
      codecframe codecs jpeg
      codecframe codecs webp --json
    """
    output.show_listed(codecframe.codecs(name), as_json=as_json)
