"""`codecframe demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from codecframe.cli import options, output

if TYPE_CHECKING:
    from codecframe.evaluation.demo import Demo, Photo


@click.command("demo")
@click.option(
    "--output", "-o", "folder", default="demo-output", show_default=True,
    type=click.Path(file_okay=False), help="Folder for the pictures, the report and the profile.",
)  # fmt: skip
@click.option(
    "--budget", "-b", "budgets", multiple=True, default=("0.2bpp", "0.8bpp"), show_default=True,
    metavar="BUDGET", help="Bytes to spend on each photograph; repeat for several.",
)  # fmt: skip
@options.combined(options.force_option, options.json_option)
def command(folder: str, budgets: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Select a codec and classify real photographs through JPEG, WebP, AVIF, JPEG XL and the
    learned codec, where `codecframe[learned]` is installed.

    The photographs are those that scikit-image, scikit-learn and matplotlib ship; the classifier
    is EfficientNet-Lite0. Behind the learned codec it is the head that was trained to stand for it,
    from latents; the standard codecs' classifier is as it was published. Nothing is downloaded.

    \b
    Examples:
      codecframe demo
      codecframe demo --budget 0.4bpp --output out/ --json
    """
    from codecframe.evaluation.demo import run_demo

    found = run_demo(
        folder,
        budgets=budgets,
        progress=lambda total: output.ProgressBar(total, "measure"),
        force=force,
    )
    if as_json:
        output.print_json(found.to_dict())
        return
    for budget in found.budgets:
        _render(found, budget)
    click.echo(f"contact sheet: {found.contact_sheet}\nreport: {found.report}")


def _render(found: Demo, budget: str) -> None:
    """One table a budget: a row for each photograph, a column for each codec."""
    columns = ["photograph", "uncompressed", *found.codecs, "changes least"]
    rows = [_cells(photo, budget) for photo in found.photos]
    title = f"{budget} a photograph, {found.accounting} bytes: what {found.head} sees"
    output.print_table(columns, rows, title=title)
    click.echo(_heads(found))
    chosen = found.selections[budget]
    answer = chosen.winner.label if chosen.winner else f"nothing fits; {chosen.would_fit}"
    click.echo(f"select: {answer}\n")


def _heads(found: Demo) -> str:
    """What the marks mean, and which codecs hand latents to which other head."""
    others = {o.codec: o.head for o in found.photos[0].outcomes if o.head != found.head}
    through = [f"{codec}: its latents go to the head {head}" for codec, head in others.items()]
    return "; ".join(["=, !: as for the uncompressed photograph, or not", *through])


def _cells(photo: Photo, budget: str) -> list[object]:
    cells: list[object] = [photo.name, f"{photo.label} {output.percent(photo.probability)} %"]
    for outcome in photo.outcomes:
        if outcome.budget != budget:
            continue
        if outcome.label is None:
            cells.append("does not fit")
        else:
            mark = "=" if outcome.agrees else "!"
            seen = f"{outcome.label} {output.percent(outcome.probability)} %"
            cells.append(f"{mark} {seen}, {outcome.size} B")
    return [*cells, photo.winners[budget] or "none"]
