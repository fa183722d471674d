"""`codecframe transcode`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from codecframe.cli import options, output


@click.command("transcode")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("target", metavar="DST")
@options.combined(
    options.one_codec_option,
    options.settings_option,
    options.budget_option,
    options.written_option,
    options.payload_option,
    options.engine_options,
    options.json_option,
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Encode only images whose names fit, e.g. '*.jpg'; others stay as they are. Repeat for "
    "several.",
)
@click.option(
    "--except",
    "leave",
    multiple=True,
    metavar="PATTERN",
    help="Leave images whose names fit as they are, e.g. masks: '*.seg.png'. Repeat for several.",
)
@options.force_option
def command(
    sources: tuple[str, ...],
    target: str,
    codec: str,
    assignments: tuple[str, ...],
    budget: str | None,
    accounting: str | None,
    payload: bool,
    only: tuple[str, ...],
    leave: tuple[str, ...],
    engine: str,
    ray_address: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Take a whole data set through a codec: folders of images, WebDataset shards.

    SRC is a folder, an image, a glob or a tar file (.tar, .tar.gz, .tgz); what is made lies in the
    folder DST under the same names. With a budget, no image costs more: the bytes of the files that
    are written count, headers and all, or with --payload those of the payloads. A run that was
    stopped goes on when it is started again. Every engine makes the same bytes.

    \b
    Examples:
      codecframe transcode photos/ small/ --codec webp --budget 0.5bpp
      codecframe transcode shards/ small/ --codec jpeg --set quality=40 --engine ray
      codecframe transcode shards/ small/ --codec webp --budget 0.5bpp --except '*.seg.png'
    """
    from codecframe.core import registry
    from codecframe.core.presets import parse_settings
    from codecframe.pipeline.engine import open_engine
    from codecframe.pipeline.transcode import Work, transcode

    chosen = registry.default().codec(codec)
    settings = parse_settings(chosen, assignments)
    work = Work(codec, settings.changed(), budget, accounting, payload, only, leave)
    summary = transcode(
        sources,
        target,
        work,
        engine=open_engine(engine, ray_address),
        progress=lambda n: output.ProgressBar(n, f"transcode {codec}"),
        force=force,
    )
    report = summary.report
    for _, reason in [*report.told, *summary.lost]:
        output.say(f"codecframe: left out {reason}")
    if more := report.failures - len(report.told):
        output.say(f"codecframe: and {more:,} more images")
    if as_json:
        found: dict[str, Any] = asdict(report) | {"bpp": report.bpp}
        found |= {"accounting": str(work.counting)}
        found |= {"already": summary.already, "lost": summary.lost}
        output.print_json(found)
    else:
        _say(summary, str(work.counting))
    return 1 if report.failures or summary.lost else 0


def _say(summary: Any, accounting: str) -> None:
    report = summary.report
    already = (
        f" ({summary.already:,} images or shards were made already)" if summary.already else ""
    )
    kept = f"; {report.kept:,} stayed as they are" if report.kept else ""
    click.echo(
        f"{report.images:,} images{already}, {report.read:,} bytes to {report.bytes:,} "
        f"({accounting}), {report.bpp:.3f} bpp{kept}"
    )
