"""`codecframe train`."""

from __future__ import annotations

import click

from codecframe.cli import options, output


@click.command("train")
@click.argument("recipe", type=click.Path())
@click.option(
    "--models",
    "-o",
    default="models",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for the model file; log and checkpoints go into NAME.log beside it.",
)
@click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="CODECFRAME_DATA",
    help="Folder with the recipe's images.  [env: CODECFRAME_DATA]",
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Override one of the settings."
)
@options.force_option
def command(
    recipe: str, models: str, data_root: str | None, changes: tuple[str, ...], force: bool
) -> None:
    """Train a model as a recipe file says.

    Stop with Ctrl-C at any time; the same command goes on from the last checkpoint.

    \b
    Examples:
      codecframe train recipes/cifar10-vae.yaml --data-root data/
      codecframe train signs.yaml --set epochs=5 -o trial/
    """
    from codecframe.core.parallel import share_cores

    share_cores()  # before torch is imported
    from codecframe.training import run_training

    path = run_training(
        recipe,
        models,
        data_root,
        changes=changes,
        force=force,
        progress=lambda total: output.ProgressBar(total, "train"),
        warn=lambda text: output.say(f"codecframe: {text}"),
    )
    output.say(f"model: {path}")
