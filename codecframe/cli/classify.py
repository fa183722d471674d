"""`codecframe classify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.cli.hints import tell_counterparts

if TYPE_CHECKING:
    from codecframe.pipeline.convert import Classified


@click.command("classify")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.head_option
@click.option(
    "--codec",
    "-c",
    metavar="NAME",
    shell_complete=options.complete_codec,
    help="Codec between image and head; none if left out.",
)
@options.combined(
    options.settings_option,
    options.budget_option,
    options.mean_option,
    options.accounting_option,
    options.prepare_option,
)
@click.option(
    "--top", type=click.IntRange(1), default=3, show_default=True, help="How many classes to show."
)
@options.json_option
def command(
    images: tuple[str, ...],
    head: str,
    codec: str | None,
    assignments: tuple[str, ...],
    budget: str | None,
    mean: bool,
    accounting: str,
    prepare: bool,
    top: int,
    as_json: bool,
) -> int:
    """Predict what images show, straight or through a codec.

    \b
    Examples:
      codecframe classify photo.jpg --head efficientnet-lite0
      codecframe classify photos/ --head efficientnet-lite0 --codec avif --budget 0.2bpp
      codecframe classify photos/ --head model.onnx --codec jpeg --set quality=20 --json
    """
    if codec is None and (assignments or budget is not None):
        raise click.UsageError("--set and --budget need --codec")
    from codecframe.core import registry
    from codecframe.core.presets import parse_settings
    from codecframe.images import open_images
    from codecframe.pipeline.convert import classify_set, read_set, without_failed
    from codecframe.rate import Accounting

    judge = registry.default().head(head)
    chosen = registry.default().codec(codec) if codec else None
    settings = parse_settings(chosen, assignments) if chosen else None
    if codec:
        tell_counterparts([codec], [judge])
    limit = options.budget_of(budget, mean)
    items = open_images(images)
    rows: list[dict[str, Any]] = []
    with output.ProgressBar(len(items), "classify") as bar:
        left_out = output.LeftOut(bar)
        ready = read_set(items, judge if prepare else None)
        seen = classify_set(ready, judge, chosen, settings, limit, Accounting(accounting))
        for result in without_failed(seen, left_out):
            rows.append(_row(result, top))
            bar.advance(1)
    if as_json:
        found = {"head": judge.name, "codec": codec, "failed": left_out.count, "images": rows}
        output.print_json(found | ({"accounting": accounting} if codec else {}))
    elif rows:
        _render(rows, accounting if codec else None)
    return left_out.code


def _row(result: Classified, top: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": result.name,
        "top": [vars(t) for t in result.prediction.top(top)[0]],
    }
    if result.encoded is not None:
        row["bytes"] = result.encoded.size
        row["bpp"] = result.encoded.bpp
        row["settings"] = result.encoded.settings.changed()
    return row


def _render(rows: list[dict[str, Any]], accounting: str | None) -> None:
    """Print what the head sees; with the bytes of each image where it went through a codec."""
    sizes = [f">bytes ({accounting})", ">bpp"] if accounting else []
    columns = ["image", *sizes, "what the head sees"]
    cells = []
    for row in rows:
        seen = ", ".join(f"{t['label']} {output.percent(t['probability'])} %" for t in row["top"])
        spent = [row["bytes"], f"{row['bpp']:.3f}"] if accounting else []
        cells.append([row["name"], *spent, seen])
    output.print_table(columns, cells)
