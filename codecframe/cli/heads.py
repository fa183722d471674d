"""`codecframe heads [NAME]` and `codecframe heads check NAME`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import DefaultGroup, FunctionCommand


@click.group("heads", cls=DefaultGroup, default="show", subcommand_metavar="[NAME | check HEAD]")
def command() -> None:
    """List heads, show one with what is assumed of it, or check its preprocessing.

    NAME is a head's name, a model file, head.yaml or module:function; with --json as JSON.

    \b
    Examples:
      codecframe heads
      codecframe heads efficientnet-lite0
      codecframe heads model.onnx --json
      codecframe heads check head.yaml --images photos/ --labels labels.csv
    """


@command.command("show", cls=FunctionCommand, function="codecframe.heads")
@click.argument("name", required=False, shell_complete=options.complete_head)
@options.json_option
def show(name: str | None, as_json: bool) -> None:
    """List heads, or show one: what is meant where no command is named."""
    output.show_listed(codecframe.heads(name), as_json=as_json)
    if name is None and not as_json:
        output.say(
            "\nAlso: any .onnx or .pt2 file, a head.yaml, or a Python function module:function."
        )


@command.command("check", cls=FunctionCommand, function="codecframe.check_head")
@click.argument("head", shell_complete=options.complete_head)
@options.images_option(
    "Images, folders, or a data set such as cifar10:test. Repeat for several.", "-i", required=True
)
@options.image_set_options
@options.json_option
def check(as_json: bool, **arguments: Any) -> int:
    """Say whether a head's preprocessing is plausible.

    The head is tried as described and with the usual alternatives: BGR, other ranges, means and
    deviations, squashed or cropped, channels last. With --labels accuracy decides. Without them it
    is how much predictions say about the images, which is weaker. 100 images are used unless
    --limit says otherwise. Ends with 1 where another preprocessing is better, and shows it as
    YAML for the head's description.

    \b
    Examples:
      codecframe heads check model.onnx --images photos/ --labels labels.csv
      codecframe heads check head.yaml --images photos/ --json
    """
    found = codecframe.check_head(**arguments, progress=output.progress("check"))
    for reason in found.failed:
        output.say(f"codecframe: {reason}")
    output.show(found, as_json=as_json)
    return 1 if found.recommended or found.failed else 0
