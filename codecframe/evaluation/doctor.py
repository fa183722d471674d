"""What is installed, what does not work, and why."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import codecframe
from codecframe.core import image, parallel, registry
from codecframe.core.errors import pip_install
from codecframe.core.registry import PluginInfo
from codecframe.core.tables import Result, Table
from codecframe.evaluation import checkup

if TYPE_CHECKING:
    from codecframe.core.codec import Codec

_FOR_DEVELOPERS = re.compile(r"""extra *== *['"](dev|docs)['"]""")
_SLOW = 1.0
"""Seconds to load a plugin that are worth a line."""


@dataclass(frozen=True, repr=False)
class Diagnosis(Result):
    """What is installed, and what of it does not work.

    Attributes:
        codecframe, python, platform: versions.
        threads: that work is spread over.
        max_pixels: of an image.
        packages: versions of what codecframe and its extras ask for; None: not installed.
        plugins: all of them, those that failed included.
        unavailable: pip requirements that a codec or a head lacks, by its name.
        broken: what goes wrong with a codec, by its name.

    Examples:
        >>> found = cf.doctor()
        >>> found.broken
        {}
    """

    codecframe: str
    python: str
    platform: str
    threads: int
    max_pixels: int
    packages: Mapping[str, str | None]
    plugins: tuple[PluginInfo, ...]
    unavailable: Mapping[str, Sequence[str]]
    broken: Mapping[str, Sequence[str]]

    @property
    def healthy(self) -> bool:
        """Whether every plugin loads, and every codec works that can."""
        return not self.broken and not any(plugin.errors for plugin in self.plugins)

    def records(self) -> list[dict[str, Any]]:
        """One for each package."""
        return [{"package": name, "version": known} for name, known in self.packages.items()]

    def shown(self) -> list[str | Table]:
        """Versions, then what does not work."""
        rows = [(name, version or "not installed") for name, version in self.packages.items()]
        failed = [plugin for plugin in self.plugins if plugin.errors]
        works = len(self.plugins) - len(failed)
        return [
            f"codecframe {self.codecframe}, Python {self.python}, {self.platform}",
            f"{self.threads} threads, images up to {self.max_pixels:,} pixels\n",
            Table(["package", "version"], rows),
            f"\n{works} plugins work, {len(failed)} failed",
            *(f"  {p.name}{_from(p)}: {'; '.join(p.errors)}" for p in failed),
            *(
                f"  {p.name}{_from(p)} takes {p.seconds:.1f} s to load; "
                "--no-plugins, or CODECFRAME_PLUGINS, does without"
                for p in self.plugins
                if p.seconds > _SLOW
            ),
            *(f"  {name} needs: {pip_install(lacks)}" for name, lacks in self.unavailable.items()),
            *(f"  {name} is broken: {'; '.join(told)}" for name, told in self.broken.items()),
        ]


def doctor() -> Diagnosis:
    """Say what is installed, what does not work, and why.

    Every installed codec encodes and decodes a small image, once with each of its choices.

    Examples:
        >>> cf.doctor().healthy
        True
    """
    default = registry.default()
    plugins = tuple(default.plugins())
    items: list[Any] = [*default.codecs.values(), *default.heads.values()]
    lacking = {item.name: registry.missing(item.requires) for item in items}
    usable = registry.available(default.codecs.values())
    return Diagnosis(
        codecframe=codecframe.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        threads=parallel.cpu_count(),
        max_pixels=image.max_pixels(),
        packages={name: _version(name) for name in _packages()},
        plugins=plugins,
        unavailable={name: missing for name, missing in lacking.items() if missing},
        broken={name: told for name, told in _checked(usable, plugins).items() if told},
    )


def _checked(codecs: Sequence[Codec[Any]], plugins: Sequence[PluginInfo]) -> dict[str, list[str]]:
    """What goes wrong with each codec, by its name.

    Those of installed plugins are tried in a process of their own, which may crash or hang; others
    are known to this process alone.
    """
    installed = {name for plugin in plugins if plugin.distribution for name in plugin.codecs}
    apart = checkup.faults_apart([codec.name for codec in codecs if codec.name in installed])
    return {
        codec.name: apart[codec.name] if codec.name in apart else checkup.faults(codec)
        for codec in codecs
    }


def _packages() -> list[str]:
    """Names of what codecframe and its extras ask for, by its own metadata."""
    names: dict[str, None] = {}
    for requirement in metadata.requires("codecframe") or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name != "codecframe" and not _FOR_DEVELOPERS.search(requirement):
            names[name] = None
    return list(names)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _from(plugin: PluginInfo) -> str:
    """Where a stranger's plugin is from."""
    stranger = plugin.distribution not in ("", "codecframe")
    return f" ({plugin.distribution} {plugin.version})" if stranger else ""
