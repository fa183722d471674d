"""`codecframe recipe`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("recipe", cls=FunctionCommand, function="codecframe.recipe")
@click.argument("recipe", type=click.Path())
@click.option(
    "--results",
    default="recipes/results",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the table (JSON) and the plot (SVG, PNG).",
)
@options.data_root_option("the recipe's data")
@options.force_option
def command(**arguments: Any) -> None:
    """Run a recipe file: reproduce a published table and its plot.

    Stop with Ctrl-C at any time; the same command goes on.

    \b
    Examples:
      codecframe recipe recipes/imagenet-sample.yaml --data-root data/
    """
    made = codecframe.recipe(**arguments, progress=output.progress("recipe"))
    output.say(f"results: {made.path}")
