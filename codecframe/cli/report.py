"""`codecframe report`."""

from __future__ import annotations

from pathlib import Path

import click

from codecframe.cli import options, output


@click.command("report")
@click.argument("profile", type=click.Path())
@click.option("--output", "-o", "path", required=True, metavar="FILE", help="The HTML page.")
@options.combined(options.budget_option, options.mean_option, options.accounting_option)
def command(profile: str, path: str, budget: str | None, mean: bool, accounting: str) -> None:
    """Make a self-contained HTML page of a profile: plot, table, choice, decoded images.

    \b
    Examples:
      codecframe report photos.profile -o report.html
      codecframe report photos.profile --budget 0.4bpp --mean -o report.html
    """
    from codecframe import report
    from codecframe.paths import write_whole
    from codecframe.profile import ProfileTable
    from codecframe.rate import Accounting
    from codecframe.select import select

    with ProfileTable.open(profile) as table:
        found = None
        if budget is not None:
            found = select(table, options.budget_of(budget, mean), Accounting(accounting))
        write_whole(Path(path), report.html(table, found))
    output.say(f"report: {path}")
