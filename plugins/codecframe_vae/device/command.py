"""`codecframe export`."""

from __future__ import annotations

from typing import Any

import click

from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand


@click.command("export", cls=FunctionCommand, function="codecframe_vae.export")
@click.argument("model")
@click.option("--device", is_flag=True, help="The encoder, for a device without codecframe.")
@click.option(
    "--output",
    "-o",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="The folder to write.",
)
@options.force_option
@options.json_option
def command(as_json: bool, **arguments: Any) -> None:
    """Write the encoder of a learned codec for a device that has no codecframe.

    The folder has the encoder as ONNX (in 8-bit integers, too, if the model has such a one), the
    integer tables of the entropy coder, a manifest, test vectors, and encoder.py, a reference
    encoder that needs numpy and onnxruntime alone and makes the same bytes.

    \b
    Examples:
      codecframe export mine.safetensors --device -o camera/
      python camera/encoder.py photo.ppm --level 4 > photo.cfv
    """
    from codecframe_vae.device.bundle import export

    made = export(**arguments)
    output.show(made, as_json=as_json)
