"""What is installed, what does not work, and why."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

import codecframe
from codecframe.core import image, parallel, registry
from codecframe.core.errors import pip_install
from codecframe.core.registry import PluginInfo
from codecframe.core.tables import Result, Table

if TYPE_CHECKING:
    from codecframe.core.codec import Codec
    from codecframe.core.settings import Settings

_FOR_DEVELOPERS = re.compile(r"""extra *== *['"](dev|docs)['"]""")
_FURTHEST = 40
"""Mean distance in levels between an image and its finest encoding by a codec of pixels."""
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "plugins": [plugin.to_dict() for plugin in self.plugins]}

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
        broken={codec.name: errors for codec in usable if (errors := _faults(codec))},
    )


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


def _from(plugin: PluginInfo) -> str:
    """Where a stranger's plugin is from."""
    stranger = plugin.distribution not in ("", "codecframe")
    return f" ({plugin.distribution} {plugin.version})" if stranger else ""
