"""`codecframe plugins [NAME]`."""

from __future__ import annotations

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.errors import UnknownNameError


@click.command("plugins")
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
    found = {info.name: info for info in registry.default().plugins()}
    if name is not None:
        if name not in found:
            raise UnknownNameError("plugin", name, found)
        found = {name: found[name]}
    if as_json:
        output.print_json([info.to_dict() for info in found.values()])
        return
    rows = [
        [
            info.name,
            f"{info.distribution} {info.version}".strip(),
            ", ".join(info.codecs),
            ", ".join(info.heads),
            "; ".join(info.errors),
        ]
        for info in found.values()
    ]
    output.print_table(["plugin", "from", "codecs", "heads", "errors"], rows)
