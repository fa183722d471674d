"""`codecframe profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from codecframe.cli import options, output
from codecframe.cli.hints import tell_counterparts, tell_left_out, tell_remarks
from codecframe.core.errors import shown

if TYPE_CHECKING:
    from codecframe.evaluation.profile import ProfileTable, Row


@click.command("profile")
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
@options.combined(options.head_option, options.codecs_option, options.image_set_options)
@click.option(
    "--output",
    "-o",
    "path",
    required=True,
    metavar="FILE",
    help="The profile: one table file. If it exists, the run goes on where it stopped.",
)
@click.option(
    "--rates",
    metavar="BPP,BPP,...",
    help="Mean rates at which to measure, in bits per pixel.  "
    "[default: 0.1,0.2,0.3,0.4,0.6,0.8,1.2]",
)
@click.option(
    "--levels",
    metavar="VALUE,VALUE,...",
    help="Measure with the knob at these values instead, e.g. 10,20,40,80.",
)
@options.combined(
    options.budget_option,
    options.mean_option,
    options.accounting_option,
    options.prepare_option,
    options.engine_options,
    options.force_option,
    options.json_option,
)
def command(
    images: tuple[str, ...],
    head: str,
    codecs: tuple[str, ...],
    labels: str | None,
    where: tuple[str, ...],
    limit: int | None,
    data_root: str | None,
    path: str,
    rates: str | None,
    levels: str | None,
    budget: str | None,
    mean: bool,
    accounting: str,
    prepare: bool,
    engine: str,
    ray_address: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Measure rate and accuracy of codecs for a head over images.

    Real bytes; accuracy against labels or, without any, agreement with the head's own predictions
    on the uncompressed images. With --budget, also the point where the rate controller meets it.
    Stop with Ctrl-C at any time; the same command goes on. Points for rates are the largest knob
    values whose mean over all images is at or under the rate.

    Ends with 1 if images could not be read, or rows of the labels name none.

    \b
    Examples:
      codecframe profile photos/ --head efficientnet-lite0 -o photos.profile
      codecframe profile photos/ --head model.onnx --labels folders -c jpeg -c webp -o p.profile
      codecframe profile cifar10:test --head head.yaml -c jpeg --levels 5,10,20,40 -o c.profile
    """
    from codecframe.core.parallel import share_cores

    share_cores()  # before numerical libraries are imported
    from codecframe.core import registry
    from codecframe.core.outputs import make_way, refuse_inputs
    from codecframe.evaluation.profile import Plan, is_profile, profile_images
    from codecframe.images import open_images
    from codecframe.pipeline.engine import open_engine
    from codecframe.rate import Accounting

    plan = Plan(
        codecs=codecs,
        rates=_numbers(rates, "--rates") if rates is not None else None,
        levels=_numbers(levels, "--levels") if levels is not None else None,
        budget=options.budget_of(budget, mean),
        accounting=Accounting(accounting),
    )
    items = open_images(
        images, labels=labels, where=options.where_of(where), limit=limit, data_root=data_root
    )
    judge = registry.default().head(head)
    unnamed = tell_remarks(items)
    tell_counterparts(codecs, [judge])
    if force:
        refuse_inputs([path], [*(item.path for item in items if item.path), labels or "", head])
        make_way(path, is_profile)
    try:
        table = profile_images(
            path,
            items,
            judge,
            plan,
            prepare=prepare,
            progress=lambda n: output.ProgressBar(n, "profile"),
            engine=open_engine(engine, ray_address),
            head_name=head,
        )
    except KeyboardInterrupt:
        output.say(
            f"codecframe: stopped; {path} keeps what was measured. Run the same command again to "
            "go on"
        )
        raise
    with table:
        left_out = tell_left_out(table.skipped())
        render_profile(table, as_json=as_json)
    output.say(f"\nprofile: {path}")
    return 1 if left_out or unnamed else 0


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) if "." in part else int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{shown(text)} is no list of numbers", param_hint=option
        ) from None


def render_profile(table: ProfileTable, *, as_json: bool) -> None:
    """Print the rate-accuracy table of a profile."""
    rows = sorted(table.rows(), key=lambda row: (row.point.codec, row.payload_bpp))
    if as_json:
        output.print_json({"meta": table.meta, "rows": [row.to_dict() for row in rows]})
        return
    columns = [
        "codec", "settings", ">payload bpp", ">file bpp", f">{table.meta['metric']} %", ">95 %",
        ">agreement %", ">divergence", ">encode µs", ">decode µs", ">n",
    ]  # fmt: skip
    output.print_table(columns, [_cells(row) for row in rows])


def _cells(row: Row) -> list[object]:
    from codecframe.evaluation.report.series import describe

    words, knob = describe(row.point)
    if row.point.mode in ("cap", "link"):
        knob = f"to {row.point.budget} ({row.point.accounting})"
    score = row.agreement if row.score is None else row.score
    low = row.agreement_low if row.score is None else row.score_low
    high = row.agreement_high if row.score is None else row.score_high
    return [
        row.point.codec, f"{words} {knob}".strip(), f"{row.payload_bpp:.3f}", f"{row.file_bpp:.3f}",
        output.percent(score if row.score is not None else None), output.interval(low, high),
        output.percent(row.agreement),
        "" if row.divergence is None else f"{row.divergence:.3f}",
        f"{row.encode_us:.0f}", f"{row.decode_us:.0f}", row.n,
    ]  # fmt: skip
