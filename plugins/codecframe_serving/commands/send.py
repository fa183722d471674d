"""`codecframe send`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand

if TYPE_CHECKING:
    from codecframe_serving.plan import Outcome

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("send", cls=FunctionCommand, function="codecframe_serving.send")
@click.argument("source", metavar="SOURCE")
@click.argument("url", metavar="URL")
@click.option(
    "--codec",
    "-c",
    "codecs",
    multiple=True,
    required=True,
    metavar="SPEC",
    shell_complete=options.complete_codec,
    help="Codec with optional settings, e.g. webp or jpeg:preset=FILE. Repeat for several, the "
    "preferred first: where the link is too narrow for one, the next is taken.",
)
@click.option(
    "--budget",
    "-b",
    metavar="RATE",
    help="What the link carries at most, e.g. 256kbit/s or 256kbit/s@5fps. Less is sent where "
    "less comes through. Default: settings stay as they are.",
)
@click.option(
    "--fps",
    type=options.Finite(0, min_open=True),
    help="Images a second. Default: as fast as answers come; 10 with a budget.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Keep the frame rate, and drop what the link cannot carry; otherwise images wait.",
)
@click.option("--loop", is_flag=True, help="Begin anew at the end of SOURCE, for ever.")
@click.option("--limit", type=click.IntRange(1), help="Send at most so many images.")
@click.option("--top", type=click.IntRange(1, 100), default=1, show_default=True,
              help="Classes that are asked for.")  # fmt: skip
@click.option(
    "--head",
    "-H",
    metavar="HEAD",
    shell_complete=options.complete_head,
    help="A head on this device: of what it is sure, no more than its answer is sent.",
)
@click.option(
    "--sure",
    metavar="CONFIDENCE|SHARE",
    help="From what confidence on it answers, e.g. 0.9; or what share of the server's predictions "
    "must be kept, e.g. 98%: images are then sent until it is known what confidence does.",
)
@click.option(
    "--audit",
    metavar="SHARE",
    help="Send this share of the images, e.g. 0.1%, once more without loss, within the budget: the "
    "server compares, and says what compression costs.",
)
@click.option(
    "--keep",
    metavar="SHARE",
    help="What was promised, e.g. 98% of predictions: the server warns once less is kept.",
)
@click.option(
    "--picture",
    type=click.Choice(["never", "spare", "asked"]),
    default="never",
    show_default=True,
    help="When a codec's picture layer is sent, such as that of efficientnet-vae+avif: with what "
    "the budget leaves, or when the server asks.",
)
@click.option("--picture-memory", type=click.IntRange(1), default=64, show_default=True,
              help="MiB of images kept for a server that asks.")  # fmt: skip
@click.option(
    "--token-file",
    type=_FILE,
    help="File with the token that the server wants.  [env: CODECFRAME_TOKEN for the token]",
)
@click.option("--tls-ca", type=_FILE, help="PEM file with the authority of the server's TLS.")
@click.option(
    "--give-up",
    type=options.Finite(0),
    default=60,
    show_default=True,
    help="Seconds without an answer, while one is due, after which sending ends; 0: never.",
)
@click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="CODECFRAME_DATA",
    help="Folder with the data sets cifar10 and cifar100.  [env: CODECFRAME_DATA]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each image.")
def command(url: str, as_json: bool, **arguments: Any) -> int:
    """Send images over a link to a server, and say what it sees.

    SOURCE is a folder, a file, a video, or a video device such as /dev/video0; URL is where
    `codecframe serve` runs. Where the link gets narrow, first the codec's knob is lowered, then
    the next codec is taken, then frames are left out. Every image ends as ok, dropped or failed.

    \b
    Examples:
      codecframe send photos/ http://10.0.0.7:8000 --codec jpeg --budget 256kbit/s
      codecframe send /dev/video0 https://example.org -c vae -c jpeg -b 64kbit/s@10fps --live
      codecframe send photos/ 10.0.0.7:8000 -c webp -b 256kbit/s --audit 1% --keep 98%
      codecframe send /dev/video0 10.0.0.7:8000 -c webp --head small.onnx --sure 98%
      codecframe send clip.mp4 10.0.0.7:8000 -c webp:quality=30 --json > seen.jsonl
    """
    import codecframe_serving
    from codecframe_serving.commands.sendview import View
    from codecframe_serving.sending import sentence

    def tell(outcome: Outcome) -> None:
        view.print(_json_line(outcome) if as_json else _line(outcome))

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # reports, as Ctrl-C does
    view = View(url)
    try:
        sent = codecframe_serving.send(url=url, **arguments, tell=tell, watcher=view)
    finally:
        if view.state is not None:  # however it ends, what became of the images is told
            output.say(sentence(view.state))
    return 1 if sent.failed or sent.pictures_failed else 0


def _json_line(outcome: Outcome) -> str:
    seen = [{"index": i, "label": label, "probability": round(p, 5)} for i, label, p in outcome.top]
    values = {**vars(outcome), "top": seen, "seconds": round(outcome.seconds, 4)}
    if outcome.status != "ok":
        values = {key: values[key] for key in ("name", "status", "reason", "layer")}
    else:
        del values["reason"], values["words"]
        del values["prediction" if outcome.prediction is None else "top"]
        if not outcome.audits:
            del values["audits"]
        for name in ("codec", "level") if outcome.on_device else ("on_device",):
            del values[name]
    if outcome.layer == "task":
        del values["layer"]
    else:
        values.pop("top", None)
    return output.json_text(values)


def _line(outcome: Outcome) -> str:
    name = outcome.name if outcome.layer == "task" else f"{outcome.name}: picture"
    if outcome.status != "ok":
        return f"{name}: {outcome.status}: {outcome.reason}"
    why = "audit, " if outcome.audits else ""
    where = "on the device" if outcome.on_device else f"{outcome.codec} level {outcome.level}"
    how = f"{why}{where}, {outcome.bytes} bytes"
    seen = outcome.seen() if outcome.layer == "task" else "sent"
    return f"{name}: {seen} ({how}, {1000 * outcome.seconds:.0f} ms)"
