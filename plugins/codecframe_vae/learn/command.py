"""`codecframe learn`."""

from __future__ import annotations

from typing import Any

import click

from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("learn", cls=FunctionCommand, function="codecframe.learn")
@options.head_option
@click.option(
    "--images",
    multiple=True,
    required=True,
    metavar="PATH",
    help="Some hundred images or more, e.g. a folder; repeat for several.",
)
@click.option(
    "--minutes",
    type=options.Finite(0),
    default=10,
    show_default=True,
    help="Minutes of training, in all runs together; 0: the codec in closed form.",
)
@click.option(
    "--device-ms",
    type=options.Finite(0, min_open=True),
    default=5,
    show_default=True,
    help="Milliseconds that the encoder may take for an image, in one thread of this machine.",
)
@options.keep_options
@options.image_set_options
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The model file, NAME.safetensors; log and checkpoints go into NAME.log beside it. "
    "Default: one with the head's name, in the folder CODECFRAME_MODELS, or here.",
)
@options.force_option
@options.json_option
def command(as_json: bool, **arguments: Any) -> None:
    """Make a learned codec for a model that exists, in minutes, without labels.

    The model is cut where its features need fewest bits; what is before the cut is the encoder.
    A codec in closed form is written within a minute; training makes it better. Stop with Ctrl-C at
    any time: the model file is the best so far, and the same command goes on. More minutes go on
    from a run that is done. With --keep, images that neither trained nor chose say at which level
    what must stay right is surely kept.

    \b
    Examples:
      codecframe learn --head model.onnx --images photos/
      codecframe learn --head model.pt2 --images photos/ --minutes 30 -o mine.safetensors
      codecframe learn --head model.onnx --images photos/ --keep 98%
      codecframe select --images photos/ --head model.onnx --budget 0.2bpp
    """

    import codecframe

    learned = codecframe.learn(**arguments, **output.telling("learn"))
    output.show(learned, as_json=as_json)
