"""`codecframe report`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from codecframe.cli import options, output


@click.command("report")
@click.argument("profiles", nargs=-1, required=True, metavar="PROFILE...", type=click.Path())
@click.option("--output", "-o", "path", required=True, metavar="FILE", help="The HTML page.")
@options.combined(
    options.budget_option, options.mean_option, options.accounting_option, options.force_option
)
def command(
    profiles: tuple[str, ...],
    path: str,
    budget: str | None,
    mean: bool,
    accounting: str,
    force: bool,
) -> None:
    """Make a self-contained HTML page of profiles: plot, table, choice, decoded images.

    Several are shown together: of the same images, one for each of several heads.

    \b
    Examples:
      codecframe report photos.profile -o report.html
      codecframe report photos.profile --budget 0.4bpp --mean -o report.html
    """
    from codecframe.core.files import write_whole
    from codecframe.core.outputs import refuse_foreign, refuse_inputs
    from codecframe.evaluation import report
    from codecframe.evaluation.profile import ProfileTable
    from codecframe.evaluation.select import select
    from codecframe.rate import Accounting

    refuse_inputs([path], profiles)
    refuse_foreign(path, report.is_page, force=force)
    with ExitStack() as stack:
        tables = [stack.enter_context(ProfileTable.open(profile)) for profile in profiles]
        found = None
        if budget is not None:
            found = select(tables, options.budget_of(budget, mean), Accounting(accounting))
        write_whole(Path(path), report.html(tables, found))
    output.say(f"report: {path}")
