"""`codecframe profile`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand
from codecframe.core.parallel import share_cores


@click.command("profile", cls=FunctionCommand, function="codecframe.profile")
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
@options.combined(
    options.head_option, options.fallback_option, options.codecs_option, options.image_set_options
)
@options.output_option(
    "The profile: one table file. If it exists, the run goes on where it stopped.", required=True
)
@options.rates_option(
    "Mean rates at which to measure, in bits per pixel.  [default: 0.1,0.2,0.3,0.4,0.6,0.8,1.2]"
)
@click.option(
    "--levels",
    metavar="VALUE,VALUE,...",
    type=options.numbers,
    help="Measure with the knob at these values instead, e.g. 10,20,40,80.",
)
@options.combined(
    options.budget_option,
    options.keep_options,
    options.mean_option,
    options.accounting_option,
    options.prepare_option,
    options.engine_options,
    options.force_option,
    options.json_option,
)
def command(as_json: bool, **arguments: Any) -> int:
    """Measure rate and accuracy of codecs for a head over images.

    Real bytes; accuracy against labels or, without any, agreement with the head's own predictions
    on the uncompressed images. With --budget, also the point where the rate controller meets it;
    with --keep, each codec around the fewest bytes that keep what must stay right.
    Stop with Ctrl-C at any time; the same command goes on. Points for rates are the largest knob
    values whose mean over all images is at or under the rate.

    Ends with 1 if images could not be read, or rows of the labels name none.

    \b
    Examples:
      codecframe profile photos/ --head efficientnet-lite0 -o photos.profile
      codecframe profile photos/ --head model.onnx --labels folders -c jpeg -c webp -o p.profile
      codecframe profile photos/ --head small.onnx --fallback large.onnx -o cascade.profile
      codecframe profile photos/ --head model.onnx --keep 98% -o photos.profile
      codecframe profile cifar10:test --head head.yaml -c jpeg --levels 5,10,20,40 -o c.profile
    """
    share_cores()  # before numerical libraries are imported
    path = arguments["output"]
    try:
        made = codecframe.profile(**arguments, **output.telling("profile"))
    except KeyboardInterrupt:
        output.say(
            f"codecframe: stopped; {path} keeps what was measured. Run the same command again to "
            "go on"
        )
        raise
    left_out = output.tell_left_out(made.left_out)
    output.show(made, as_json=as_json)
    output.say(f"\nprofile: {path}")
    return 1 if left_out or made.remarks else 0
