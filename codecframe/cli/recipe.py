"""`codecframe recipe`."""

from __future__ import annotations

import click

from codecframe.cli import options, output


@click.command("recipe")
@click.argument("recipe", type=click.Path())
@click.option(
    "--results",
    default="recipes/results",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the table (JSON) and the plot (SVG, PNG).",
)
@click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="CODECFRAME_DATA",
    help="Folder with the recipe's data.  [env: CODECFRAME_DATA]",
)
@options.force_option
def command(recipe: str, results: str, data_root: str | None, force: bool) -> None:
    """Run a recipe file: reproduce a published table and its plot.

    Stop with Ctrl-C at any time; the same command goes on.

    \b
    Examples:
      codecframe recipe recipes/imagenet-sample.yaml --data-root data/
    """
    from codecframe.training.tables import run_recipe

    path = run_recipe(
        recipe,
        results,
        data_root,
        progress=lambda total: output.ProgressBar(total, "recipe"),
        force=force,
    )
    output.say(f"results: {path}")
