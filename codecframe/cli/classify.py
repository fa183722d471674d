"""`codecframe classify`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("classify", cls=FunctionCommand, function="codecframe.classify")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.head_option
@options.codec_option("Codec between image and head; none if left out.")
@options.combined(
    options.codec_settings_options,
    options.budget_option,
    options.mean_option,
    options.accounting_option,
    options.prepare_option,
)
@click.option(
    "--top", type=click.IntRange(1), default=3, show_default=True, help="How many classes to show."
)
@options.json_option
def command(head: str, codec: str | None, as_json: bool, **arguments: Any) -> int:
    """Predict what images show, straight or through a codec.

    A head of another task than classification says what it finds: boxes, maps.

    \b
    Examples:
      codecframe classify photo.jpg --head efficientnet-lite0
      codecframe classify photos/ --head efficientnet-lite0 --codec avif --budget 0.2bpp
      codecframe classify photos/ --head model.onnx --codec jpeg --set quality=20 --json
    """
    from codecframe.pipeline import counterpart_remarks

    judge = codecframe.get_head(head)
    for remark in counterpart_remarks([codec] if codec else [], [judge]):
        output.remark(remark)
    progress = output.progress("classify")
    seen = codecframe.classify(
        head=judge, codec=codec, **arguments, progress=progress, tell=output.left_out
    )
    return output.show_made(seen, as_json=as_json)
