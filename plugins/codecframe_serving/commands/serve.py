"""`codecframe serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from codecframe.cli import options
from codecframe.cli.groups import FunctionCommand

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("serve", cls=FunctionCommand, function="codecframe_serving.serve")
@options.head_option
@click.option(
    "--codec",
    "-c",
    "codecs",
    multiple=True,
    metavar="NAME|FILE",
    shell_complete=options.complete_codec,
    help="Codec to decode for; repeat for several. Default: all installed ones that fit the head.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0: any."
)
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="Port; 0 chooses a free one.")  # fmt: skip
@click.option(
    "--token-file",
    type=_FILE,
    help="File with the token that clients must bring.  [env: CODECFRAME_TOKEN for the token]",
)
@click.option("--no-token", is_flag=True, help="Let anyone in who reaches --host.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which clients may call the server, besides localhost, --host and IP addresses; "
    "repeat for several.",
)
@click.option("--tls-cert", type=_FILE, help="PEM file with the TLS certificate chain.")
@click.option("--tls-key", type=_FILE, help="PEM file with its private key.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True,
              help="Images of one call of the head, at most.")  # fmt: skip
@click.option("--delay", type=options.Finite(0, 10_000), default=2, show_default=True,
              help="Milliseconds that an image waits for others.")  # fmt: skip
@click.option("--queue", type=click.IntRange(1), default=512, show_default=True,
              help="Images that may wait; more are refused.")  # fmt: skip
@click.option("--max-message", type=click.IntRange(64), default=8 << 20, show_default=True,
              help="Bytes of an image or a message, at most.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(1), default=1 << 24, show_default=True,
              help="Pixels of an image, at most.")  # fmt: skip
@click.option("--max-clients", type=click.IntRange(1), default=256, show_default=True,
              help="Streams and requests at a time, at most.")  # fmt: skip
@click.option("--max-per-address", type=click.IntRange(1),
              help="The same of one address. Default: half of them, or 16.")  # fmt: skip
@click.option("--max-memory", type=click.IntRange(1), default=1024, show_default=True,
              help="MiB for images under way, besides decoding processes.")  # fmt: skip
@click.option("--idle", type=options.Finite(0, min_open=True), default=60, show_default=True,
              help="Seconds without a message after which a stream is closed.")  # fmt: skip
@click.option(
    "--sandbox/--no-sandbox",
    default=None,
    help="Decode in processes of their own, with limits on memory, time and files. "
    "Default: where the system has such limits.",
)
@click.option("--decode-timeout", type=options.Finite(0, min_open=True), default=5,
              show_default=True,
              help="Seconds after which decoding an image is ended, in the sandbox.")  # fmt: skip
@click.option("--max-fps", type=options.Finite(0, min_open=True), default=120, show_default=True,
              help="Frames a second of a stream, or requests of an address, at most.")  # fmt: skip
@click.option("--grace", type=options.Finite(0), default=30, show_default=True,
              help="Seconds to answer what is under way when the server is ended.")  # fmt: skip
@click.option(
    "--ask",
    multiple=True,
    metavar="RULE",
    help="Ask cameras for the picture of a frame, where they send pictures when asked: "
    "'probability < 0.6', or 'label in cat, dog'; repeat for several.",
)
@options.engine_options
@click.option("--replicas", type=click.IntRange(1), default=2, show_default=True,
              help="Workers on a Ray cluster.")  # fmt: skip
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Lines for people, or JSON lines, on stderr.")  # fmt: skip
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]),
              default="info", show_default=True, help="The least that is logged.")  # fmt: skip
def command(head: str, **arguments: Any) -> None:
    """Classify for cameras and others: HTTP requests and WebSocket streams, in batches.

    Ctrl-C or SIGTERM ends it, when everything that has come was answered.

    \b
    Examples:
      codecframe serve --head efficientnet-lite0
      codecframe serve --head model.onnx --codec jpeg --host 0.0.0.0 --token-file token
      curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/predict?top=3
    """
    import codecframe_serving

    def ready(url: str) -> None:
        click.echo(f"serving {head} at {url}")

    codecframe_serving.serve(head, **arguments, ready=ready)
