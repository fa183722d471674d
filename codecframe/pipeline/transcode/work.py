"""The work on one part of a data set, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError
from codecframe.core.settings import Settings
from codecframe.pipeline.convert import Encoded, Failed, Read, encode_set
from codecframe.pipeline.encoding import PAYLOAD_SUFFIX, written
from codecframe.rate import Accounting, Budget

_TOLD = 100
"""Failures of a part that are told one by one."""


@dataclass(frozen=True)
class Work:
    """What `codecframe.transcode` is told of codec, budget and images, as plain data that pickles.

    Raises:
        UnknownNameError, SettingsError, BudgetError: if arguments name what does not exist.
    """

    codec: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    budget: str | None = None
    accounting: str | None = None
    payload: bool = False
    only: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.accounting is None:
            written = Accounting.written(payload=self.payload)
            object.__setattr__(self, "accounting", str(written))
        _ = self.parsed, self.counting
        if self.allowed is not None and self.allowed.mode != "cap":
            raise BudgetError(f"{self.allowed} is not a budget of an image: say 0.8bpp or 12kB")

    @cached_property
    def opened(self) -> Codec[Any]:
        """The codec."""
        return registry.default().codec(self.codec)

    @cached_property
    def parsed(self) -> Settings:
        """The settings."""
        settings: Settings = self.opened.settings_type.from_dict(self.settings)
        return settings

    @cached_property
    def allowed(self) -> Budget | None:
        """The budget."""
        return None if self.budget is None else Budget.parse(self.budget)

    @property
    def counting(self) -> Accounting:
        """The bytes that count."""
        return Accounting(self.accounting or "")

    @property
    def suffix(self) -> str:
        """Of the files that are made."""
        return PAYLOAD_SUFFIX if self.payload else self.opened.extension

    def takes(self, name: str) -> bool:
        """Whether the image of that name is encoded, and does not stay as it is."""
        return (not self.only or _fits(name, self.only)) and not _fits(name, self.leave)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was opened."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def encode(self, images: Iterable[Read | Failed]) -> Iterator[Encoded | Failed]:
        """Encode images in order, reading only a few ahead."""
        return encode_set(images, self.opened, self.parsed, self.allowed, self.counting)

    def content(self, encoded: Encoded) -> bytes:
        """What is written of an image."""
        return written(self.opened, encoded, self.parsed, payload=self.payload, budget=self.allowed)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is for that name."""
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name if "/" in each else last, each) for each in patterns)


@dataclass
class Report:
    """The outcome of a part, or of all parts.

    Attributes:
        images: that were encoded.
        pixels: of them.
        bytes: that count, of them.
        read: bytes of their sources.
        kept: images that stayed as they are.
        failures: how many images could not be read or not be brought under the budget.
        told: (name, reason) of the first of them.
    """

    images: int = 0
    pixels: int = 0
    bytes: int = 0
    read: int = 0
    kept: int = 0
    failures: int = 0
    told: list[tuple[str, str]] = field(default_factory=list)

    @property
    def bpp(self) -> float:
        """Counted bits a pixel."""
        return 8 * self.bytes / max(self.pixels, 1)

    def note(self, done: Encoded | Failed, read: int) -> None:
        """Count one image, of a source of `read` bytes."""
        if isinstance(done, Failed):
            self.failures += 1
            self.told = [*self.told, (done.name, str(done))][:_TOLD]
            return
        self.images += 1
        self.pixels += done.shape[0] * done.shape[1]
        self.bytes += done.size
        self.read += read

    def add(self, other: Report) -> None:
        """Count what was counted elsewhere."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)
        self.told = self.told[:_TOLD]
