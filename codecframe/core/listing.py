"""What is installed, as lists that people read: codecs, heads, plugins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, overload

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import UnknownNameError, pip_install
from codecframe.core.head import TaskHead
from codecframe.core.presets import preset_names
from codecframe.core.registry import PluginInfo
from codecframe.core.tables import Result, Table


class Listed(Protocol):
    """One thing of a list."""

    def brief(self) -> dict[str, Any]:
        """What a list says of it, as plain data."""
        ...

    def row(self) -> Sequence[object]:
        """The same as cells of a table."""
        ...


T = TypeVar("T", bound=Listed)


@dataclass(frozen=True, repr=False)
class Listing(Result, Sequence[T], Generic[T]):
    """Things of one kind, such as all codecs: a sequence of them.

    Attributes:
        kind: what they are, in the plural.
        items: the things.
        columns: of the table that shows them.

    Examples:
        >>> found = cf.codecs()
        >>> "webp" in [info.name for info in found], found.kind
        (True, 'codecs')
    """

    kind: str
    items: tuple[T, ...]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: a list under the name of the kind."""
        return {self.kind: self.records()}

    def records(self) -> list[dict[str, Any]]:
        """One for each thing."""
        return [item.brief() for item in self.items]

    def shown(self) -> list[str | Table]:
        """A table."""
        return [Table(self.columns, [item.row() for item in self.items])]


def installed_by(requirements: Sequence[str]) -> str:
    """The command that installs what is missing; empty where nothing is."""
    return pip_install(requirements) if requirements else ""


# -- codecs ---------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class CodecInfo(Result):
    """A codec and its settings.

    Attributes:
        name, summary: of the codec.
        extension: file name suffix of encodings, with its dot.
        emits: what decoding yields; latents first where there are any.
        knob: the setting that a budget sets; None where there is none.
        levels: of the knob.
        presets: names of the presets that come with it.
        missing: pip requirements of packages that it needs and that are not installed.
        settings: of each its `name`, `default`, what it is `expected` to be, whether it is the
            `knob`, and `help`.

    Examples:
        >>> cf.codecs("webp").knob
        'quality'
    """

    name: str
    summary: str
    extension: str
    emits: tuple[str, ...]
    knob: str | None
    levels: int
    presets: tuple[str, ...]
    missing: tuple[str, ...]
    settings: tuple[dict[str, Any], ...] = field(default=())

    @classmethod
    def of(cls, codec: Codec[Any]) -> CodecInfo:
        """What there is to say of a codec."""
        knob = codec.settings_type.knob()
        defaults = codec.settings_type().to_dict()
        settings = tuple(
            {
                "name": info.name,
                "default": defaults[info.name],
                "expected": info.expected,
                "knob": info.option.ladder is not None,
                "help": info.option.help,
            }
            for info in codec.settings_type.fields()
        )
        return cls(
            codec.name,
            codec.summary,
            codec.extension,
            tuple(str(representation) for representation in codec.emits),
            knob.field if knob else None,
            codec.settings_type.knob_levels(),
            tuple(preset_names(codec)),
            tuple(registry.missing(codec.requires)),
            settings,
        )

    def brief(self) -> dict[str, Any]:
        """All but the settings, as plain data."""
        return {key: value for key, value in self.to_dict().items() if key != "settings"}

    def row(self) -> list[object]:
        """Cells of a table."""
        note = installed_by(self.missing)
        return [self.name, self.knob or "none", self.emits[0], self.summary, note]

    def records(self) -> list[dict[str, Any]]:
        """One for each setting."""
        return list(self.settings)

    def shown(self) -> list[str | Table]:
        """A table of the settings."""
        rows = [
            [
                f"{item['name']} *" if item["knob"] else item["name"],
                "none" if item["default"] is None else item["default"],
                item["expected"],
                item["help"],
            ]
            for item in self.settings
        ]
        columns = ["setting", "default", "takes", "what it does"]
        parts: list[str | Table] = [f"{self.name}: {self.summary}\n", Table(columns, rows)]
        if self.knob:
            parts.append("\n* the rate knob: a budget sets it")
        if self.presets:
            parts.append(f"\npresets (--preset NAME): {', '.join(self.presets)}")
        return parts


@overload
def codecs(name: None = None) -> Listing[CodecInfo]: ...
@overload
def codecs(name: str) -> CodecInfo: ...
def codecs(name: str | None = None) -> Listing[CodecInfo] | CodecInfo:
    """List codecs, or show one with all its settings.

    Args:
        name: a codec's name, or a learned codec's model file; None for all that are installed.

    Raises:
        UnknownNameError: if there is no such codec.

    Examples:
        >>> cf.codecs("jpeg").levels
        100
        >>> len(cf.codecs()) > 5
        True
    """
    if name is not None:
        return CodecInfo.of(registry.default().codec(name))
    found = tuple(map(CodecInfo.of, registry.default().codecs.values()))
    return Listing("codecs", found, ("codec", "rate knob", "emits", "what it is", ""))


# -- heads ----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class HeadInfo(Result):
    """A head and what is assumed of it.

    Attributes:
        name, summary: of the head.
        accepts: the representation that it takes.
        classes: how many names of classes it has.
        input: (height, width) that images are brought to; None: any size.
        metric: what it is scored by.
        missing: pip requirements of packages that it needs and that are not installed.
        labels: names of its classes.
        details: what the head says besides, as plain data; empty in a list.

    Examples:
        >>> cf.heads("photo_heads:brightness").accepts
        'pixels'
    """

    name: str
    summary: str
    accepts: str
    classes: int
    input: tuple[int, int] | None
    metric: str
    missing: tuple[str, ...]
    labels: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, head: TaskHead, *, whole: bool = False) -> HeadInfo:
        """What there is to say of a head; `whole`, what it says besides, which may open a file."""
        return cls(
            head.name,
            head.summary,
            str(head.accepts),
            len(head.labels),
            head.input_shape,
            head.metric,
            tuple(registry.missing(head.requires)),
            tuple(head.labels),
            head.details() if whole else {},
        )

    def brief(self) -> dict[str, Any]:
        """All but labels and details, as plain data."""
        found = super().to_dict()
        return {key: value for key, value in found.items() if key not in ("labels", "details")}

    def row(self) -> list[object]:
        """Cells of a table."""
        note = installed_by(self.missing)
        return [self.name, self.accepts, self.classes, self.summary, note]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.brief(), **self.details, "labels": list(self.labels)}

    def shown(self) -> list[str | Table]:
        """A line or several for each fact."""
        parts: list[str | Table] = []
        for key, value in {**self.brief(), **self.details}.items():
            lines = [_text(one) for one in value] if isinstance(value, list) else [_text(value)]
            if key == "input":
                lines = [f"{value[0]}x{value[1]} (height x width)" if value else "any size"]
            parts += [f"{'' if i else key:12} {line}" for i, line in enumerate(lines)]
        return parts


def _text(value: Any) -> str:
    """Plain data in a line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


@overload
def heads(name: None = None) -> Listing[HeadInfo]: ...
@overload
def heads(name: str) -> HeadInfo: ...
def heads(name: str | None = None) -> Listing[HeadInfo] | HeadInfo:
    """List heads, or show one with what is assumed of it.

    Args:
        name: a head's name, a model file, a description, or `module:function`; None for all that
            are installed.

    Raises:
        UnknownNameError: if there is no such head.
        DataError: if a file cannot be read.

    Examples:
        >>> cf.heads("photo_heads:brightness").name
        'photo_heads:brightness'
        >>> names = [info.name for info in cf.heads()]
    """
    if name is not None:
        return HeadInfo.of(registry.default().head(name), whole=True)
    found = tuple(map(HeadInfo.of, registry.default().heads.values()))
    return Listing("heads", found, ("head", "accepts", ">classes", "what it is", ""))


# -- plugins --------------------------------------------------------------------------------


def plugins(name: str | None = None) -> Listing[PluginInfo]:
    """List plugins and what they bring; a broken one with its error.

    Args:
        name: of one plugin; None for all.

    Raises:
        UnknownNameError: if there is no such plugin.

    Examples:
        >>> cf.plugins("webp")[0].codecs
        ['webp', 'webp-lossless']
    """
    found = {info.name: info for info in registry.default().plugins()}
    if name is not None:
        if name not in found:
            raise UnknownNameError("plugin", name, found)
        found = {name: found[name]}
    columns = ("plugin", "from", "codecs", "heads", "errors")
    return Listing("plugins", tuple(found.values()), columns)
