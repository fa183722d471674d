"""Presets: settings of a codec that were found for a task, with how they were found.

    codec: jpeg
    settings: {subsampling: 4:4:4, deadzone: 0.2}
    made: {head: cifar10, command: codecframe tune jpeg ..., seed: 0}
    scored: {...}

A preset is named wherever settings are given, as if it were one: `--set preset=cifar10`,
`jpeg:preset=mine.yaml,quality=30`. Presets of a codec's plugin are known by name, others by path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from codecframe.core import registry, yamltext
from codecframe.core.codec import Codec
from codecframe.core.errors import DataError, MismatchError, UnknownNameError, UsageError, shown
from codecframe.core.files import read_mapping, write_whole
from codecframe.core.layers import varied
from codecframe.core.settings import Settings, option, words

S = TypeVar("S", bound=Settings)
_KEY = "preset"
_SUFFIX = ".yaml"
_SUFFIXES = (_SUFFIX, ".yml")


@dataclass(frozen=True)
class Preset(Settings):
    """A preset file.

    Attributes:
        codec: the codec's name.
        settings: the settings that differ from its defaults, as plain data.
        made: how it was found; `head` is the one that it was found for.
        scored: what it scored, and the defaults beside it.

    Examples:
        >>> cf.Preset("jpeg", {"quality": 30}).write("mine.yaml")
        >>> cf.Preset.read("mine.yaml").settings
        {'quality': 30}
    """

    codec: str = option(help="the codec's name")
    settings: dict[str, Any] = option(help="what differs from its defaults, as plain data")
    made: dict[str, Any] = option({}, help="how it was found; `head`: the one it was found for")
    scored: dict[str, Any] = option({}, help="what it scored, and the defaults beside it")

    @classmethod
    def read(cls, path: Path | str) -> Preset:
        """Read a preset file.

        Raises:
            DataError: if it cannot be read or is not a preset.
        """
        return cls.from_source(read_mapping(path), str(path))

    def write(self, path: Path | str) -> None:
        """Write a preset file, whole."""
        write_whole(path, yamltext.dump(self.to_dict()))


def is_tuned(path: Path) -> bool:
    """Whether a file is a preset that says by which command it was made, as a tuning's do."""
    try:
        return "command" in Preset.read(path).made
    except DataError:
        return False


def preset_names(codec: Codec[Any]) -> list[str]:
    """Names of the presets that come with a codec."""
    if codec.presets is None:
        return []
    return sorted(path.stem for path in codec.presets.glob(f"*{_SUFFIX}"))


def presets_for(codec: Codec[S], head: str) -> list[S]:
    """The settings of the presets that come with a codec and were made for a head.

    Raises:
        DataError: if one of them cannot be read.
        SettingsError: if the codec does not take its settings.
    """
    found = [Preset.read(preset_path(codec, name)) for name in preset_names(codec)]
    made = [preset.settings for preset in found if preset.made.get("head") == head]
    return [codec.settings_type.from_dict(settings) for settings in made]


def preset_path(codec: Codec[Any], name: str) -> Path:
    """The file of a preset: one that comes with the codec, or a file.

    Raises:
        UnknownNameError: if no preset has that name.
    """
    if name in preset_names(codec) and codec.presets is not None:
        return codec.presets / f"{name}{_SUFFIX}"
    if name.endswith(_SUFFIXES):
        return Path(name)
    raise UnknownNameError(f"{codec.name} preset", name, preset_names(codec))


def find_preset(codec: Codec[S], name: str) -> S:
    """The settings of a preset: one that comes with the codec, or a file.

    Raises:
        UnknownNameError: if no preset has that name.
        DataError: if the file cannot be read.
        MismatchError: if it is for another codec.
        SettingsError: if the codec does not take its settings.
    """
    path = preset_path(codec, name)
    found = Preset.read(path)
    if found.codec != codec.name:
        raise MismatchError(f"{path} is a preset of {shown(found.codec)}, not of {codec.name}")
    return codec.settings_type.from_dict(found.settings)


SettingsLike = Settings | Mapping[str, Any] | Iterable[str] | None
"""Settings as users give them: an object, a mapping, `key=value` texts, or None for defaults."""


def settings_for(
    codec: Codec[S], settings: SettingsLike = None, preset: str | Path | None = None
) -> S:
    """The settings of a codec that are meant: over those of a preset, where one is named.

    Raises:
        SettingsError: for a name or value that the codec does not take.
        UnknownNameError: for a preset that does not exist.
        DataError: if the preset's file cannot be read.
        MismatchError: for settings or a preset of another codec.
        UsageError: for settings as an object beside a preset: they would replace it whole.
    """
    if isinstance(settings, Settings):
        if preset is not None:
            raise UsageError("{preset} is of no use where {settings} are complete")
        return codec.settings(settings)
    if settings is None or isinstance(settings, Mapping):
        if preset is None:
            return codec.settings(settings)
        return find_preset(codec, str(preset)).replace(**(settings or {}))
    texts = [settings] if isinstance(settings, str) else list(settings)
    return parse_settings(codec, texts if preset is None else [f"{_KEY}={preset}", *texts])


def parse_settings(codec: Codec[S], assignments: Iterable[str]) -> S:
    """Settings from `key=value` texts; `preset=NAME` sets what the others then change.

    Raises:
        SettingsError: for a name or value that the codec does not take.
        UnknownNameError: for a preset that does not exist.
    """
    settings, others = codec.settings_type(), []
    for text in assignments:
        key, _, value = text.partition("=")
        if key == _KEY:
            settings = find_preset(codec, value)
        else:
            others.append(text)
    return settings.updated(others)


def parse_spec(spec: str) -> tuple[Codec[Any], Settings]:
    """Codec and settings of `jpeg`, `jpeg:subsampling=4:4:4,optimize=true` or `jpeg:preset=NAME`.

    Raises:
        UnknownNameError: if there is no such codec or preset.
        SettingsError: if a setting is not the codec's.

    Examples:
        >>> codec, settings = cf.parse_spec("jpeg:quality=30,subsampling=4:4:4")
        >>> codec.name, settings.quality, settings.subsampling
        ('jpeg', 30, '4:4:4')
    """
    name, _, assignments = spec.partition(":")
    codec = registry.default().codec(name.strip())
    return codec, parse_settings(codec, _texts(assignments))


def own_words(spec: str) -> str:
    """The settings of a spec in one line, if it names a preset file: by the file's name, without
    folder and suffix. Empty otherwise.
    """
    texts = _texts(spec.partition(":")[2])
    files = [text for text in texts if text.startswith(f"{_KEY}=") and text.endswith(_SUFFIXES)]
    named = {text: f"{_KEY}={Path(text.partition('=')[2]).stem}" for text in files}
    return " ".join(named.get(text, text) for text in texts) if files else ""


def _texts(assignments: str) -> list[str]:
    """`key=value,key=value` apart; a list's brackets hold it together."""
    return re.split(r",(?=\w+=)(?![^\[]*\])", assignments) if assignments else []


def shortest(codec: Codec[Any], settings: Settings) -> dict[str, Any]:
    """What differs from the codec's defaults, and the knob, as plain data.

    Settings of a preset that comes with the codec are told by its name.
    """
    knob = settings.knob()
    lowest = settings.at_level(0)
    for name in preset_names(codec):
        if find_preset(codec, name).at_level(0) == lowest:
            value = {knob.field: getattr(settings, knob.field)} if knob else {}
            return {_KEY: name, **value}
    return settings.changed()


def describe(codec: Codec[Any], settings: Settings) -> str:
    """`shortest` without what a budget sets last, in one line: for tables and plots."""
    found = shortest(codec, settings)
    if knob := varied(settings):
        found.pop(knob.field)
    return words(found)
