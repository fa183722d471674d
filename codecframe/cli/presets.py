"""`codecframe presets [PRESET]`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.errors import UnknownNameError
from codecframe.core.presets import Preset, preset_names, preset_path


@click.command("presets")
@click.argument("preset", required=False)
@click.option("--export", metavar="FORMAT", help="Print the settings for other software.")
@options.json_option
def command(preset: str | None, export: str | None, as_json: bool) -> None:
    """List the presets that come with codecs, or show one: CODEC:NAME, or a file.

    With --export the settings are printed as other encoders take them; those of JPEG as c, cjpeg or
    pillow.

    \b
    Examples:
      codecframe presets
      codecframe presets jpeg:cifar10
      codecframe presets jpeg.yaml --export cjpeg > tables.txt
    """
    if preset is None:
        if export:
            raise click.UsageError("--export needs a preset")
        _list(as_json)
        return
    found = Preset.read(_path(preset))
    if export is not None:
        click.echo(_exported(found, export), nl=False)
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


def _exported(preset: Preset, kind: str) -> str:
    codec = registry.default().codec(preset.codec)
    exports = codec.exports(codec.settings_type.from_dict(preset.settings))
    if kind not in exports:
        raise UnknownNameError(f"{codec.name} export", kind, exports)
    return exports[kind]
