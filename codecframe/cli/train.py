"""`codecframe train`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand
from codecframe.core.parallel import share_cores


@click.command("train", cls=FunctionCommand, function="codecframe.train")
@click.argument("recipe", type=click.Path())
@click.option(
    "--models",
    "-o",
    default="models",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the model file; log and checkpoints go into NAME.log beside it.",
)
@options.data_root_option("the recipe's images")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Override one of the settings."
)
@options.force_option
def command(**arguments: Any) -> None:
    """Train a model as a recipe file says.

    Stop with Ctrl-C at any time; the same command goes on from the last checkpoint.

    \b
    Examples:
      codecframe train recipes/cifar10-vae.yaml --data-root data/
      codecframe train signs.yaml --set epochs=5 -o trial/
    """
    share_cores()  # before torch is imported
    made = codecframe.train(**arguments, **output.telling("train"))
    output.say(f"model: {made.path}")
