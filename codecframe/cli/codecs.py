"""`codecframe codecs [NAME]`."""

from __future__ import annotations

from typing import Any

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import pip_install
from codecframe.core.presets import preset_names


@click.command("codecs")
@click.argument("name", required=False, shell_complete=options.complete_codec)
@options.json_option
def command(name: str | None, as_json: bool) -> None:
    """List codecs, or show one with all its settings.

    \b
    Examples:
      codecframe codecs
      codecframe codecs jpeg
      codecframe codecs webp --json
    """
    if name is not None:
        _show(registry.default().codec(name), as_json)
        return
    found = list(registry.default().codecs.values())
    if as_json:
        output.print_json([_brief(codec) for codec in found])
        return
    rows = []
    for codec in found:
        brief = _brief(codec)
        note = pip_install(brief["missing"]) if brief["missing"] else ""
        rows.append(
            [brief["name"], brief["knob"] or "none", brief["emits"][0], brief["summary"], note]
        )
    output.print_table(["codec", "rate knob", "emits", "what it is", ""], rows)


def _brief(codec: Codec[Any]) -> dict[str, Any]:
    knob = codec.settings_type.knob()
    return {
        "name": codec.name,
        "summary": codec.summary,
        "extension": codec.extension,
        "emits": [str(representation) for representation in codec.emits],
        "knob": knob.field if knob else None,
        "levels": knob.levels if knob else 1,
        "presets": preset_names(codec),
        "missing": registry.missing(codec.requires),
    }


def _show(codec: Codec[Any], as_json: bool) -> None:
    settings = [
        {
            "name": info.name,
            "default": codec.settings_type().to_dict()[info.name],
            "expected": info.expected,
            "knob": info.option.ladder is not None,
            "help": info.option.help,
        }
        for info in codec.settings_type.fields()
    ]
    if as_json:
        output.print_json({**_brief(codec), "settings": settings})
        return
    click.echo(f"{codec.name}: {codec.summary}\n")
    rows = [
        [
            f"{item['name']} *" if item["knob"] else item["name"],
            "none" if item["default"] is None else item["default"],
            item["expected"],
            item["help"],
        ]
        for item in settings
    ]
    output.print_table(["setting", "default", "takes", "what it does"], rows)
    if any(item["knob"] for item in settings):
        click.echo("\n* the rate knob: a budget sets it")
    if presets := preset_names(codec):
        click.echo(f"\npresets (--set preset=NAME): {', '.join(presets)}")
