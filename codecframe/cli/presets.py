"""`codecframe presets [PRESET]`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.errors import UnknownNameError
from codecframe.core.presets import Preset, preset_names, preset_path

if TYPE_CHECKING:
    from codecframe.core.codec import Codec
    from codecframe.core.settings import Settings
    from codecframe.images import ImageItem


@click.command("presets")
@click.argument("preset", required=False)
@click.option("--export", metavar="FORMAT", help="Print the settings for other software.")
@click.option(
    "--images",
    multiple=True,
    metavar="PATH",
    help="Measure the export on these images, and set its quality so that it meets the budget.",
)
@click.option("--head", "-H", metavar="HEAD", help="The head to measure with.")
@click.option(
    "--budget", "-b", metavar="BUDGET", help="Bytes of a file, on average.  [default: the preset's]"
)
@options.combined(options.image_set_options, options.json_option)
def command(
    preset: str | None,
    export: str | None,
    images: tuple[str, ...],
    head: str | None,
    budget: str | None,
    labels: str | None,
    where: tuple[str, ...],
    limit: int | None,
    data_root: str | None,
    as_json: bool,
) -> None:
    """List the presets that come with codecs, or show one: CODEC:NAME, or a file.

    With --export the settings are printed as other encoders take them; those of JPEG as c, cjpeg or
    pillow. What an export costs and scores is in its comments, as `tune` measured it; with
    --images and --head it is measured now.

    \b
    Examples:
      codecframe presets
      codecframe presets jpeg:cifar10
      codecframe presets jpeg.yaml --export cjpeg > tables.txt
      codecframe presets jpeg:imagenet --export pillow --images photos/ --head efficientnet-lite0
    """
    if preset is None:
        if export:
            raise click.UsageError("--export needs a preset")
        _list(as_json)
        return
    if images and not (export and head):
        raise click.UsageError("--images measures an export: --export and --head say which")
    found = Preset.read(_path(preset))
    if export is not None:
        figures = found.scored.get("exports", {}).get(export)
        if images and head:
            from codecframe.images import open_images

            items = open_images(
                images,
                labels=labels,
                where=options.where_of(where),
                limit=limit,
                data_root=data_root,
            )
            figures = _measured(found, export, items, head, budget)
        click.echo(_exported(found, export, figures), nl=False)
    elif as_json:
        output.print_json(vars(found))
    else:
        _show(found)


def _path(text: str) -> Path:
    codec, _, name = text.partition(":")
    if name and codec in registry.default().codecs:
        return preset_path(registry.default().codec(codec), name)
    return Path(text)


def _list(as_json: bool) -> None:
    found = []
    for codec in registry.default().codecs.values():
        for name in preset_names(codec):
            preset = Preset.read(preset_path(codec, name))
            found.append({"preset": f"{codec.name}:{name}", **vars(preset)})
    if as_json:
        output.print_json(found)
        return
    rows = [[one["preset"], *_gain(one["scored"])] for one in found]
    output.print_table(["preset", "budget", ">points gained", ">95 %"], rows)


def _gain(scored: Any) -> tuple[str, str, str]:
    if "held-out" not in scored:
        return "", "", ""
    mean, low, high = (100 * value for value in scored["held-out"]["difference"])
    return str(scored["budget"]), f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}"


def _show(preset: Preset) -> None:
    click.echo(f"codec: {preset.codec}")
    for title, values in (("made", preset.made), ("settings", preset.settings)):
        click.echo(f"{title}:")
        for name, value in values.items():
            click.echo(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")
    budget, points, spread = _gain(preset.scored)
    if budget:
        click.echo(f"scored: {points} points on held-out images at {budget} (95 %: {spread})")


def _measured(
    preset: Preset, encoder: str, items: Sequence[ImageItem], head: str, budget: str | None
) -> dict[str, Any]:
    """What the export costs and scores on images."""
    from codecframe.rate import Accounting
    from codecframe.tuning import Objective, check_encoder, measure_export, read_images

    codec = registry.default().codec(preset.codec)
    check_encoder(codec, encoder)
    text = budget or preset.scored.get("budget")
    if not text:
        raise click.UsageError("the preset says no budget: --budget does")
    judge = registry.default().head(head)
    images, targets = read_images(judge, items)
    allowed = options.budget_of(str(text), mean=True)
    objective = Objective(judge, images, targets, allowed, Accounting.FILE)
    settings = codec.settings_type.from_dict(preset.settings)
    return measure_export(codec, settings, encoder, objective)


def _exported(preset: Preset, kind: str, figures: dict[str, Any] | None) -> str:
    """The settings as another encoder takes them; what they cost there is also told on stderr."""
    codec = registry.default().codec(preset.codec)
    settings = codec.settings_type.from_dict(preset.settings)
    if kind not in codec.encoders:
        exports = codec.exports(settings)
        if kind not in exports:
            raise UnknownNameError(f"{codec.name} export", kind, exports)
        return exports[kind]
    from codecframe.tuning import in_words

    if figures:
        settings, notes = (
            codec.settings_type.from_dict(figures["settings"]),
            in_words(kind, figures),
        )
    else:
        notes = _unmeasured(codec, settings, kind, preset.scored)
        settings = codec.adapted(settings, kind)
    for note in notes:
        output.say(f"codecframe: {note}")
    return codec.exports(settings, notes)[kind]


def _unmeasured(codec: Codec[Any], settings: Settings, kind: str, scored: Any) -> list[str]:
    """That the export may cost more than the preset, if it may."""
    from codecframe.tuning import left_behind, without

    lost = left_behind(codec, settings, kind)
    budget = scored.get("budget")
    if not lost and (budget is None or scored.get("accounting") == "file"):
        return []
    beside = f" than the preset's {budget}" if budget else ""
    said = f"not measured: files may cost more{beside}; measure with --images and --head"
    return [*without(kind, lost), said]
