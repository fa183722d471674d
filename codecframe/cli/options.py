"""Options that several commands share: called and explained the same everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from codecframe.core.errors import shown

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]


class Finite(click.FloatRange):
    """A number in a range that is a number: neither `nan` nor `inf`."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number", param, ctx)
        return found


def numbers(value: Any) -> list[float]:
    """Numbers between commas: `0.2,0.4`."""
    try:
        return [float(part) if "." in part else int(part) for part in str(value).split(",")]
    except ValueError:
        raise click.BadParameter(f"{shown(value)} is not a list of numbers") from None


def shape(value: Any) -> tuple[int, int]:
    """(height, width), typed as `224x320`."""
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", str(value))
    if match is None:
        raise click.BadParameter(f"{shown(value)} is not HEIGHTxWIDTH")
    return int(match[1]), int(match[2])


def complete_codec(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Codec names, for shell completion."""
    from codecframe.core import registry

    return [name for name in registry.default().codecs if name.startswith(incomplete)]


def complete_head(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Head names, for shell completion."""
    from codecframe.core import registry

    return [name for name in registry.default().heads if name.startswith(incomplete)]


def combined(*decorators: Decorator) -> Callable[[F], F]:
    """Several options as one decorator, in reading order."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

force_option = click.option(
    "--force", is_flag=True, help="Replace files that are there and that codecframe did not make."
)

overwrite_option = click.option(
    "--force", is_flag=True, help="Replace files that are there with other content, even inputs."
)


def codec_option(help: str, *names: str, metavar: str = "NAME", **more: Any) -> Decorator:
    """Which codec, or which several."""
    complete = complete_codec
    return click.option(
        "--codec", "-c", *names, metavar=metavar, shell_complete=complete, help=help, **more
    )


one_codec_option = codec_option("Codec, e.g. jpeg; `codecframe codecs` lists them.", required=True)

codecs_option = codec_option(
    "Codec with optional settings, e.g. webp or jpeg:subsampling=4:4:4,optimize=true. "
    "Repeat for several. Default: all installed lossy codecs that suit the head.",
    "codecs",
    metavar="SPEC",
    multiple=True,
)

codec_settings_options = combined(
    click.option(
        "--preset",
        metavar="NAME|FILE",
        help="Settings found for a task: a preset that comes with the codec, or a file of "
        "`codecframe tune`.",
    ),
    click.option(
        "--set",
        "-s",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A codec setting, over those of the preset; repeat for several. "
        "`codecframe codecs NAME` lists them.",
    ),
)

head_option = click.option(
    "--head",
    "-H",
    required=True,
    metavar="HEAD",
    shell_complete=complete_head,
    help="A head's name, a model file (model.onnx, model.pt2), a description (head.yaml), "
    "or a Python function (package.module:function).",
)


def bytes_option(help: str, *names: str, **more: Any) -> Decorator:
    """A budget."""
    return click.option("--budget", "-b", *names, metavar="BUDGET", help=help, **more)


budget_option = bytes_option("Bytes to spend: 0.8bpp, 1200B, 12kB, 12KiB or 256kbit/s@5fps.")


def images_option(help: str = "Images; repeat for several.", *names: str, **more: Any) -> Decorator:
    """Which images, where they are not the command's argument."""
    return click.option("--images", *names, multiple=True, metavar="PATH", help=help, **more)


def output_option(help: str, metavar: str = "FILE", **more: Any) -> Decorator:
    """Where what is made goes."""
    return click.option("--output", "-o", metavar=metavar, help=help, **more)


def rates_option(help: str) -> Decorator:
    """Rates in bits per pixel."""
    return click.option("--rates", metavar="BPP,BPP,...", type=numbers, help=help)


keep_options = combined(
    click.option(
        "--keep",
        metavar="SHARE",
        help="What must stay right: 98% of the predictions on uncompressed images, or "
        "95%-of-score, the score on these.",
    ),
    click.option(
        "--score", type=Finite(0, 1), metavar="SCORE", help="The score that is needed: 0.85."
    ),
    click.option(
        "--confidence",
        type=Finite(0.5, 1, max_open=True),
        metavar="SHARE",
        help="How sure it must be that it is kept.  [default: 0.95]",
    ),
)

limits_options = combined(
    click.option(
        "--device",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="What the camera can do: a file that `codecframe bench device -o FILE` wrote there.",
    ),
    click.option(
        "--max-encode-ms",
        type=Finite(0, min_open=True),
        metavar="MS",
        help="Milliseconds that encoding an image may take on the device, in one thread; without "
        "one, on the machine that measured.",
    ),
    click.option(
        "--max-memory", metavar="SIZE", help="Memory that encoding may take on the device: 200MB."
    ),
)

fallback_option = click.option(
    "--fallback",
    metavar="HEAD",
    shell_complete=complete_head,
    help="The head behind the codec, which judges. --head is then on the device: it answers what "
    "it is sure of, and the rest is sent.",
)

sure_option = click.option(
    "--sure",
    metavar="CONFIDENCE|auto",
    help="From what confidence on the head on the device answers: 0.9; or, with what must be kept, "
    "`auto`: the one of the fewest bytes.",
)

mean_option = click.option(
    "--mean",
    is_flag=True,
    help="The budget is for the average over the images; without this, for every image.",
)

accounting_option = click.option(
    "--accounting",
    type=click.Choice(["payload", "file"]),
    default="payload",
    show_default=True,
    help="Bytes that count: payloads without constant headers, or whole standard files.",
)

payload_option = click.option(
    "--payload",
    is_flag=True,
    help="Write payloads instead of standard files, and count their bytes; with a budget, one "
    "byte before each names the knob level.",
)

written_option = click.option(
    "--accounting",
    type=click.Choice(["payload", "file"]),
    help="Bytes that count.  [default: those that are written]",
)

prepare_option = click.option(
    "--prepare/--no-prepare",
    default=True,
    show_default=True,
    help="Bring images to the size the head looks at before encoding them.",
)

engine_options = combined(
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where the work runs: on this machine, or on a Ray cluster.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="The Ray cluster. Default: the one that RAY_ADDRESS names, else one is started here.",
    ),
)


def data_root_option(what: str) -> Decorator:
    """The folder with what is read."""
    return click.option(
        "--data-root",
        type=click.Path(file_okay=False),
        envvar="CODECFRAME_DATA",
        help=f"Folder with {what}.  [env: CODECFRAME_DATA]",
    )


image_set_options = combined(
    click.option(
        "--labels",
        metavar="CSV|folders",
        help="Where the truth is: a CSV file with columns file,label, or `folders` if each "
        "class has its folder. Without it, agreement with the uncompressed prediction is measured.",
    ),
    click.option(
        "--where",
        multiple=True,
        callback=lambda _ctx, _param, texts: _where(texts),
        metavar="COLUMN=VALUE",
        help="Only rows of the labels file with that value, e.g. split=eval.",
    ),
    click.option("--limit", type=click.IntRange(1), help="Use at most so many images."),
    data_root_option("the data sets cifar10 and cifar100"),
)

group_option = click.option(
    "--group",
    metavar="HOW",
    help="How to tell images that belong together, and are held out together: `folder`, "
    "`pattern:REGEX` (what it finds in their paths), or `column:NAME` of the labels file.",
)

held_out_option = click.option(
    "--held-out",
    multiple=True,
    metavar="WHICH",
    help="Images that decide, not every other one: files, folders, or the rows of the labels "
    "file with that value. Repeat for several.",
)


def _where(texts: tuple[str, ...]) -> dict[str, str]:
    """The filters that --where describes."""
    found = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{shown(text)} is not COLUMN=VALUE", param_hint="--where")
        found[column] = value
    return found
