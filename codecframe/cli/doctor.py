"""`codecframe doctor`."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import codecframe
from codecframe.cli import options, output
from codecframe.core import image, parallel, registry
from codecframe.core.errors import pip_install

if TYPE_CHECKING:
    from codecframe.core.codec import Codec
    from codecframe.core.settings import Settings

_FOR_DEVELOPERS = re.compile(r"""extra *== *['"](dev|docs)['"]""")
_FURTHEST = 40
"""Mean distance in levels between an image and its finest encoding by a codec of pixels."""
_SLOW = 1.0
"""Seconds to load a plugin that are worth a line."""


@click.command("doctor")
@options.json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, what does not work, and why.

    Every installed codec encodes and decodes a small image, once with each of its choices. Ends
    with 1 if a plugin failed to load or a codec does not work.

    \b
    Examples:
      codecframe doctor
      codecframe doctor --json
    """
    found = _examine()
    if as_json:
        output.print_json(found)
    else:
        _render(found)
    failed = any(plugin["errors"] for plugin in found["plugins"])
    ctx.exit(1 if failed or found["broken"] else 0)


def _examine() -> dict[str, Any]:
    default = registry.default()
    plugins = [info.to_dict() for info in default.plugins()]
    items: list[Any] = [*default.codecs.values(), *default.heads.values()]
    return {
        "codecframe": codecframe.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": parallel.cpu_count(),
        "max_pixels": image.max_pixels(),
        "packages": {name: _version(name) for name in _packages()},
        "plugins": plugins,
        "unavailable": {
            item.name: missing for item in items if (missing := registry.missing(item.requires))
        },
        "broken": {
            codec.name: errors
            for codec in registry.available(default.codecs.values())
            if (errors := _faults(codec))
        },
    }


def _packages() -> list[str]:
    """Names of what codecframe and its extras ask for, by its own metadata."""
    names: dict[str, None] = {}
    for requirement in metadata.requires("codecframe") or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name != "codecframe" and not _FOR_DEVELOPERS.search(requirement):
            names[name] = None
    return list(names)


def _faults(codec: Codec[Any]) -> list[str]:
    """What goes wrong when a codec is used: with its defaults, else with each other choice."""
    knob = codec.settings_type.knob()
    finest = {} if knob is None else {knob.field: knob.ladder[-1]}
    faults = _fault(codec, {}) or _fault(codec, finest, near=codec.emits[0] == codecframe.PIXELS)
    if faults:
        return faults
    for field in codec.settings_type.fields():
        choices = (False, True) if field.type is bool else field.option.choices or ()
        for choice in choices:
            if choice != field.default:
                faults += _fault(codec, {field.name: choice})
    return faults


def _fault(codec: Codec[Any], changes: dict[str, Any], *, near: bool = False) -> list[str]:
    """What goes wrong with these settings, if anything."""
    try:
        settings = codec.settings_type(**changes)
    except codecframe.SettingsError:
        return []  # not without other changes
    try:
        _try(codec, settings, near=near)
    except codecframe.DependencyError:
        return []  # an optional package for some settings
    except Exception as error:  # the libraries raise many kinds
        told = "".join(f"{name}={value}: " for name, value in changes.items())
        return [f"{told}{type(error).__name__}: {error}"]
    return []


def _try(codec: Codec[Any], settings: Settings, *, near: bool) -> None:
    """Encode and decode a small image; raises whatever goes wrong, also if it is not `near`."""
    rows, columns = np.mgrid[:48, :64]
    pixels = np.stack([96 + rows + columns, 80 + 2 * rows, 160 - columns], axis=-1)
    pixels = pixels.astype(np.uint8)
    data = codec.encode(pixels, settings)
    if codec.restore(codec.strip(data), settings, pixels.shape[:2]) != data:
        raise ValueError("what is stripped is not restored")
    decoded = codec.decode(data)
    if decoded.shape != pixels.shape or decoded.dtype != np.uint8:
        raise ValueError(f"decodes into {decoded.dtype} {decoded.shape}")
    distance = np.abs(decoded.astype(int) - pixels).mean()
    if near and distance > _FURTHEST:
        raise ValueError(f"decoded pixels are {distance:.0f} levels off")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _from(plugin: dict[str, Any]) -> str:
    """Where a stranger's plugin is from."""
    stranger = plugin["distribution"] not in ("", "codecframe")
    return f" ({plugin['distribution']} {plugin['version']})" if stranger else ""


def _render(found: dict[str, Any]) -> None:
    click.echo(
        f"codecframe {found['codecframe']}, Python {found['python']}, {found['platform']}\n"
        f"{found['threads']} threads, images up to {found['max_pixels']:,} pixels\n"
    )
    rows = [[name, version or "not installed"] for name, version in found["packages"].items()]
    output.print_table(["package", "version"], rows)
    failed = [plugin for plugin in found["plugins"] if plugin["errors"]]
    click.echo(f"\n{len(found['plugins']) - len(failed)} plugins work, {len(failed)} failed")
    for plugin in failed:
        click.echo(f"  {plugin['name']}{_from(plugin)}: {'; '.join(plugin['errors'])}")
    for plugin in found["plugins"]:
        if plugin["seconds"] > _SLOW:
            click.echo(
                f"  {plugin['name']}{_from(plugin)} takes {plugin['seconds']:.1f} s to load; "
                "--no-plugins, or CODECFRAME_PLUGINS, does without"
            )
    for name, missing in found["unavailable"].items():
        click.echo(f"  {name} needs: {pip_install(missing)}")
    for name, errors in found["broken"].items():
        click.echo(f"  {name} is broken: {'; '.join(errors)}")
