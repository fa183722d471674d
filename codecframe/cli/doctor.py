"""`codecframe doctor`."""

from __future__ import annotations

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("doctor", cls=FunctionCommand, function="codecframe.doctor")
@options.json_option
def command(as_json: bool) -> int:
    """Say what is installed, what does not work, and why.

    Every installed codec encodes and decodes a small image, once with each of its choices. Ends
    with 1 if a plugin failed to load or a codec does not work.

    \b
    Examples:
      codecframe doctor
      codecframe doctor --json
    """
    found = codecframe.doctor()
    output.show(found, as_json=as_json)
    return 0 if found.healthy else 1
