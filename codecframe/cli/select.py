"""`codecframe select`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codecframe.cli import options, output
from codecframe.cli.hints import tell_counterparts, tell_left_out, tell_remarks

if TYPE_CHECKING:
    from codecframe.evaluation.select import Candidate, Selection


@click.command("select")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...", type=click.Path())
@click.option(
    "--images",
    multiple=True,
    metavar="PATH",
    help="Images to measure on, instead of a saved profile; repeat for several.",
)
@click.option(
    "--head",
    "-H",
    "heads",
    multiple=True,
    metavar="HEAD",
    shell_complete=options.complete_head,
    help="The head to measure with, with --images. Repeat for several: each with the codecs that "
    "it can be joined to.",
)
@click.option(
    "--budget",
    "-b",
    required=True,
    metavar="BUDGET",
    help="Bytes to spend: 0.8bpp, 1200B, 12kB, 12KiB or 256kbit/s@5fps.",
)
@options.combined(
    options.mean_option,
    options.accounting_option,
    options.codecs_option,
    options.image_set_options,
    options.prepare_option,
)
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    help="Keep what was measured as a profile; those of further heads lie beside it.",
)
@options.json_option
def command(
    profiles: tuple[str, ...],
    images: tuple[str, ...],
    heads: tuple[str, ...],
    budget: str,
    mean: bool,
    accounting: str,
    codecs: tuple[str, ...],
    labels: str | None,
    where: tuple[str, ...],
    limit: int | None,
    data_root: str | None,
    prepare: bool,
    path: str | None,
    as_json: bool,
) -> int:
    """Choose codec and settings for a budget, from profiles or straight from images.

    Straight from images, all installed lossy codecs are tried, at full and at half resolution and
    with presets that come with them and were made for the head, unless some are named. Learned
    codecs are tried with heads of their own that stand for it.

    Several profiles, or heads, are compared on the same images: without labels, heads must agree
    with the same one on uncompressed images.

    The highest score wins. A codec within two points and within the noise of it wins instead where
    its encoder takes at most half the time. Rates that differ by more than 5 % are not compared as
    if they were one.

    Ends with 1 if nothing meets the budget, and says what would; also if images could not be read,
    or rows of the labels name none.

    \b
    Examples:
      codecframe select photos.profile --budget 0.4bpp
      codecframe select --images photos/ --head efficientnet-lite0 --budget 0.8bpp
      codecframe select --images photos/ --head head.yaml --labels folders --budget 2kB --json
      codecframe select --images cifar10:test --head cifar10 --head cifar10-vae --budget 0.4bpp
    """
    if bool(profiles) == bool(images):
        raise click.UsageError("give either a PROFILE or --images")
    if images and not heads:
        raise click.UsageError("--images needs --head")
    from codecframe.evaluation.profile import ProfileTable
    from codecframe.evaluation.select import select, select_on_images
    from codecframe.rate import Accounting

    asked, counting = options.budget_of(budget, mean), Accounting(accounting)
    unnamed = 0
    with ExitStack() as stack:
        if profiles:
            tables = [stack.enter_context(ProfileTable.open(profile)) for profile in profiles]
            found = select(tables, asked, counting, codecs or None)
        else:
            from codecframe.core import registry
            from codecframe.images import open_images

            items = open_images(
                images, labels=labels, where=options.where_of(where), limit=limit,
                data_root=data_root,
            )  # fmt: skip
            unnamed = tell_remarks(items)
            judges = [registry.default().head(head) for head in heads]
            tell_counterparts(codecs, judges)
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="codecframe-"))
            found = select_on_images(
                path or Path(scratch) / "select.profile",
                items,
                judges,
                asked,
                counting,
                codecs,
                prepare=prepare,
                progress=lambda total: output.ProgressBar(total, "select"),
            )
    left_out = tell_left_out(found.left_out)
    if as_json:
        output.print_json(found.to_dict())
    else:
        render_selection(found)
    for reason in found.failed.values():
        output.say(f"codecframe: left out: {reason}")
    return 0 if found.winner and not (left_out or unnamed) else 1


def render_selection(found: Selection) -> None:
    """Print the choice and why the others lost."""
    how = {"cap": "for every image", "mean": "on average", "link": "over the link"}[found.mode]
    several = len(found.heads) > 1
    title = f"{found.budget} {how}, {found.accounting} bytes, {found.images} images"
    if found.winner is None:
        click.echo(f"Nothing meets {title}.")
        if found.would_fit:
            click.echo(f"Closest: {found.would_fit}.\n")
    else:
        behind = f" for the head {found.winner.head}" if several else ""
        click.echo(f"{found.winner.label}{behind}\n")
    columns = [
        "", "codec", *["head"] * several, f">{found.measure} %", ">95 %",
        f">bytes ({found.accounting})", ">bpp", ">encode µs", ">decode µs", "why",
    ]  # fmt: skip
    rows = [
        _cells(candidate, first=candidate is found.winner, several=several)
        for candidate in found.candidates
    ]
    output.print_table(columns, rows, title=title if found.winner else "")
    for note in found.notes:
        click.echo(f"\nNote: {note}.")


def _cells(candidate: Candidate, *, first: bool, several: bool) -> list[object]:
    return [
        ">" if first else "",
        candidate.label,
        *[candidate.head] * several,
        output.percent(candidate.score),
        output.interval(candidate.low, candidate.high),
        f"{candidate.bytes_per_image:.0f}",
        f"{candidate.bpp:.3f}",
        f"{candidate.encode_us:.0f}",
        f"{candidate.decode_us:.0f}",
        candidate.why,
    ]
