"""Settings: frozen dataclasses that validate themselves and travel as plain data.

A settings class declares each field once, with its range and help; everything else (dicts, YAML,
`key=value` texts, error messages, help tables) is derived from that declaration:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class ToySettings(Settings):
    ...     quality: int = knob(75, low=1, high=100, help="higher is better and bigger")
    ...     subsampling: str = option("4:2:0", choices=("4:4:4", "4:2:0"), help="chroma")
    >>> settings = ToySettings.parse(["quality=30"])
    >>> settings
    ToySettings(quality=30, subsampling='4:2:0')
    >>> ToySettings.from_dict(settings.to_dict()) == settings
    True
    >>> settings.at_level(0).quality
    1
    >>> ToySettings(quality=400)
    Traceback (most recent call last):
    SettingsError: setting 'quality' is 400: expected an integer from 1 to 100

All plain data that comes from outside is read this way: presets, recipes, head descriptions,
messages. There, a field without a default must be given, and `from_source` names the source of what
is wrong.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from codecframe.core import yamltext
from codecframe.core.errors import DataError, SettingsError, UnknownNameError, shown

MAX_LEVELS = 256
"""A knob has at most this many levels, so that one byte on the link names the level.

Examples:
    >>> cf.get_codec("webp").settings_type.knob().levels <= cf.MAX_LEVELS
    True
"""
_LONGEST_WORD = 60

Number = int | float


class _Missing:
    """Stands for a value that was not given."""

    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


@dataclass(frozen=True)
class Option:
    """Declaration of one settings field."""

    help: str
    low: Number | None = None
    high: Number | None = None
    choices: tuple[Any, ...] | None = None
    ladder: tuple[Number, ...] | None = None
    searched: bool = True
    formerly: str = ""


@dataclass(frozen=True)
class Knob:
    """The rate knob of a settings class.

    Attributes:
        field: name of the settings field.
        ladder: the field's values from fewest bytes to most (in expectation); the index of a value
            is its *level*. Fields may take values between the rungs; rate control uses the rungs.
    """

    field: str
    ladder: tuple[Number, ...]

    @property
    def levels(self) -> int:
        """Number of levels, 2 to 256."""
        return len(self.ladder)

    def nearest_level(self, value: Number) -> int:
        """The level whose value is closest to `value`."""
        return min(range(self.levels), key=lambda level: abs(self.ladder[level] - value))


@dataclass(frozen=True)
class FieldInfo:
    """One settings field as users see it."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def expected(self) -> str:
        """What the field accepts, in words."""
        return _expected(self.type, self.option)


def option(
    default: Any = _MISSING,
    *,
    help: str,
    low: Number | None = None,
    high: Number | None = None,
    choices: Sequence[Any] | None = None,
    searched: bool = True,
    formerly: str = "",
) -> Any:
    """Declare a settings field: its default, inclusive range or choices, and one line of help.

    The range is that of a number, or of a text's length in characters; in a list, of each item.
    A field without a default must be given; its default reads as `missing`.
    `searched=False` keeps `codecframe tune` from trying values: for what never makes a payload
    smaller or an image better. `formerly` is an older name of the field, under which files may
    still have it.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class MySettings(cf.Settings):
        ...     effort: int = cf.option(4, low=0, high=9, help="0 is fastest, 9 smallest")
        >>> MySettings(effort=10)
        Traceback (most recent call last):
        SettingsError: setting 'effort' is 10: expected an integer from 0 to 9
    """
    kept = None if choices is None else tuple(choices)
    return declared(default, Option(help, low, high, kept, searched=searched, formerly=formerly))


def declared(default: Any, option: Option) -> Any:
    """The field of a settings class with that declaration."""
    metadata = {"option": option}
    if default is _MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, dict):  # each instance has its own
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def knob(
    default: Number,
    *,
    help: str,
    low: Number,
    high: Number,
    ladder: Iterable[Number] | None = None,
) -> Any:
    """Declare the rate knob: at most one field of a settings class.

    `ladder` lists its values from fewest bytes to most; an integer knob whose bytes grow with its
    value needs none. A knob whose bytes fall with its value lists them from high to low.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class MySettings(cf.Settings):
        ...     step: int = cf.knob(4, low=1, high=64, ladder=range(64, 0, -1), help="1 is finest")
        >>> MySettings().at_level(0)  # fewest bytes
        MySettings(step=64)
    """
    rungs = tuple(ladder) if ladder is not None else tuple(range(int(low), int(high) + 1))
    if not 2 <= len(rungs) <= MAX_LEVELS:
        raise ValueError(f"a knob needs 2 to {MAX_LEVELS} levels, not {len(rungs)}")
    if not all(low <= rung <= high for rung in rungs):
        raise ValueError(f"a knob's ladder must stay within {low} to {high}")
    return declared(default, Option(help, low, high, None, rungs))


class Settings:
    """Base of all settings. Subclasses are `@dataclass(frozen=True, kw_only=True)`.

    Supported field types: `int`, `float`, `bool`, `str`, `T | None`, `tuple[T, ...]`,
    `tuple[T, T]`, `dict[str, T]`, `Any` and nestings of these. Values are checked and normalised
    (lists become tuples) when an instance is made. A subclass that checks fields against each other
    does so in `__post_init__`, after `super()`'s.

    Examples:
        >>> settings = cf.get_codec("jpeg").settings(quality=30)
        >>> settings.replace(progressive=True).changed()
        {'quality': 30, 'progressive': True}
        >>> settings.level, settings.knob().levels
        (29, 100)
    """

    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        for info in self.fields():
            value = getattr(self, info.name)
            object.__setattr__(self, info.name, _checked(info, value))

    # -- description ----------------------------------------------------------------------

    @classmethod
    @cache
    def fields(cls) -> tuple[FieldInfo, ...]:
        """The fields in declaration order."""
        hints = typing.get_type_hints(cls)
        found = []
        for field in dataclasses.fields(cls):
            declared = field.metadata.get("option")
            if not isinstance(declared, Option):
                raise TypeError(
                    f"{cls.__name__}.{field.name} must be declared with option() or knob()"
                )
            default = field.default
            if default is dataclasses.MISSING:
                make = field.default_factory
                default = _MISSING if make is dataclasses.MISSING else make()
            found.append(FieldInfo(field.name, hints[field.name], default, declared))
        return tuple(found)

    @classmethod
    @cache
    def knob(cls) -> Knob | None:
        """The rate knob, or None for a codec that has none (a lossless one)."""
        knobs = [Knob(i.name, i.option.ladder) for i in cls.fields() if i.option.ladder is not None]
        if len(knobs) > 1:
            raise TypeError(f"{cls.__name__} declares {len(knobs)} knobs; at most one is allowed")
        return knobs[0] if knobs else None

    # -- knob -----------------------------------------------------------------------------

    @classmethod
    def knob_levels(cls) -> int:
        """How many levels the knob has; 1 where there is none."""
        found = cls.knob()
        return 1 if found is None else found.levels

    @property
    def level(self) -> int:
        """The knob level closest to the current value; 0 where there is no knob."""
        found = self.knob()
        return 0 if found is None else found.nearest_level(getattr(self, found.field))

    def at_level(self, level: int) -> Self:
        """These settings with the knob at `level` (0 = fewest bytes).

        Raises:
            SettingsError: if the level does not exist.
        """
        found = self.knob()
        if found is None:
            if level == 0:
                return self
            raise SettingsError("level", level, "0, since this codec has no rate knob")
        if not 0 <= level < found.levels:
            raise SettingsError("level", level, f"an integer from 0 to {found.levels - 1}")
        return self.replace(**{found.field: found.ladder[level]})

    # -- as data --------------------------------------------------------------------------

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated."""
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data (JSON and YAML can hold it)."""
        return {info.name: _plain(getattr(self, info.name)) for info in self.fields()}

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults, and the knob, as plain data."""
        found = self.knob()
        return {
            info.name: _plain(getattr(self, info.name))
            for info in self.fields()
            if getattr(self, info.name) != info.default or (found and info.name == found.field)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain data; fields left out keep their defaults.

        Raises:
            SettingsError: for an unknown name, a field that must be given, or a value that the
                field does not take.
        """
        known = {info.name for info in cls.fields()}
        renamed = {info.option.formerly: info.name for info in cls.fields() if info.option.formerly}
        given: dict[str, Any] = {}
        for name, value in values.items():
            now = renamed.get(name, name)
            if now not in known:
                nearest = str(UnknownNameError("setting", str(name), known)).partition("; ")[2]
                raise SettingsError(str(name), value, f"a known name; {nearest}")
            if now != name and now in values:
                raise SettingsError(name, value, f"a known name; it is called {now!r} now")
            given[now] = value
        required = {info.name: _MISSING for info in cls.fields() if info.default is _MISSING}
        return cls(**required | given)

    @classmethod
    def from_source(cls, values: object, source: str) -> Self:
        """Settings from what a file or a message holds, as plain data.

        Args:
            values: a mapping, as `from_dict` takes it, or anything else, which is refused.
            source: the file or the message, as errors name it.

        Raises:
            DataError: what `from_dict` refuses, with the source.
        """
        if not isinstance(values, Mapping):
            raise DataError(source, f"is {shown(values)}: expected a mapping")
        try:
            return cls.from_dict(values)
        except SettingsError as error:
            raise DataError(source, error.problem) from None

    @classmethod
    def parse(cls, assignments: Iterable[str]) -> Self:
        """Settings from `key=value` texts, as the command line takes them.

        Values of text fields are taken as they are, but for whole numbers where the field takes
        those, too; all others are read as YAML.
        """
        return cls().updated(assignments)

    def updated(self, assignments: Iterable[str]) -> Self:
        """These settings with `key=value` texts applied."""
        types_by_name = {info.name: info.type for info in self.fields()}
        changes: dict[str, Any] = {}
        for text in assignments:
            name, equals, value = text.partition("=")
            if not equals:
                raise SettingsError(text, text, "key=value")
            changes[name] = _read(types_by_name.get(name, str), name, value)
        return self.replace(**changes)

    def __str__(self) -> str:
        return words(self.changed())


def words(values: Mapping[str, Any]) -> str:
    """Settings in one line, for people; of long values, such as tables, a digest."""
    return " ".join(f"{name}={_word(value)}" for name, value in values.items())


# -- types, values, words -----------------------------------------------------------------


def members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return typing.get_args(kind)
    return (kind,)


def _fits(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether `value` is of `kind`, and the normalised value."""
    # integers of more than 64 bits fit no library behind a codec
    whole = isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 64
    for alternative in members(kind):
        if alternative is Any:
            return True, value
        if typing.get_origin(alternative) is tuple:
            inner, *others = typing.get_args(alternative)
            length = None if others == [...] else 1 + len(others)
            if isinstance(value, (list, tuple)) and length in (None, len(value)):
                parts = [_fits(inner, part) for part in value]
                if all(fits for fits, _ in parts):
                    return True, tuple(part for _, part in parts)
        elif typing.get_origin(alternative) is dict:
            inner = typing.get_args(alternative)[1]
            if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
                items = {key: _fits(inner, item) for key, item in value.items()}
                if all(fits for fits, _ in items.values()):
                    return True, {key: item for key, (_, item) in items.items()}
        elif alternative is int:
            if whole:
                return True, int(value)
        elif alternative is float:
            if whole or isinstance(value, float):
                return True, float(value)
        elif isinstance(value, alternative):
            return True, value
    return False, value


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, dict)):
        for part in value if isinstance(value, tuple) else value.values():
            yield from _leaves(part)
    elif value is not None:
        yield value


def _amount(leaf: Any) -> Any:
    """What a range is of: a number, or a text's length."""
    return len(leaf) if isinstance(leaf, str) else leaf


def _checked(info: FieldInfo, value: Any) -> Any:
    fits, value = _fits(info.type, value)
    declared = info.option
    in_range = fits and all(
        (declared.low is None or _amount(leaf) >= declared.low)
        and (declared.high is None or _amount(leaf) <= declared.high)
        and (declared.choices is None or leaf in declared.choices)
        for leaf in _leaves(value)
    )
    if not in_range:  # a NaN fails both comparisons and lands here as well
        raise SettingsError(info.name, value, info.expected)
    return value


_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "none",
    Any: "a value",
}


def _type_words(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        inner, *others = typing.get_args(kind)
        length = "" if others == [...] else f"{1 + len(others)} times "
        return f"a list of {length}({_type_words(inner)})"
    if typing.get_origin(kind) is dict:
        inner = typing.get_args(kind)[1]
        return "a mapping" if inner is Any else f"a mapping to ({_type_words(inner)})"
    alternatives = members(kind)
    if len(alternatives) > 1:
        return " or ".join(_type_words(alternative) for alternative in alternatives)
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _expected(kind: Any, declared: Option) -> str:
    if declared.choices is not None:
        words = "one of " + ", ".join(_choice_words(declared.choices))
        return words + (" or none" if type(None) in members(kind) else "")
    words = _type_words(kind)
    of, unit = ("of", " characters") if "text" in words else ("from", "")
    if declared.low is not None and declared.high is not None:
        return f"{words} {of} {declared.low} to {declared.high}{unit}"
    if declared.low is not None:
        return f"{words} of at least {declared.low}{unit}"
    if declared.high is not None:
        return f"{words} of at most {declared.high}{unit}"
    return words


def _choice_words(choices: Sequence[Any]) -> Iterable[str]:
    """The choices as words; more than three whole numbers in a row as a range."""
    whole = [choice for choice in choices if isinstance(choice, int)]
    is_range = len(whole) > 3 and whole == list(range(whole[0], whole[-1] + 1))
    for choice in choices:
        if not (is_range and choice in whole):
            yield str(choice)
    if is_range:
        yield f"{whole[0]} to {whole[-1]}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if len(text) <= _LONGEST_WORD:
        return text
    return "#" + hashlib.sha256(text.encode()).hexdigest()[:6]


def _read(kind: Any, name: str, text: str) -> Any:
    alternatives = members(kind)
    if str in alternatives:
        if int in alternatives and text.isdecimal() and len(text) < _LONGEST_WORD:
            return int(text)
        return None if text.lower() in ("none", "null") and type(None) in alternatives else text
    if text.lower() == "none":
        return None
    try:
        return yamltext.load(text)
    except ValueError:
        raise SettingsError(name, text, _type_words(kind)) from None
