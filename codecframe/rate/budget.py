"""Budgets: how many bytes may be spent, and how they are counted.

>>> Budget.parse("0.8bpp").bytes_for((224, 224))
5017
>>> Budget.parse("12kB", mode="mean")
Budget(amount=12000.0, unit='bytes', mode='mean', fps=None)
>>> str(Budget.parse("256kbit/s@5fps"))
'256kbit/s@5fps'
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, shown
from codecframe.core.image import Shape
from codecframe.core.settings import Settings
from codecframe.rate.keep import Keep
from codecframe.rate.levels import level_bytes

Unit = Literal["bpp", "bytes", "bits/s"]
Mode = Literal["cap", "mean", "link"]


class Accounting(StrEnum):
    """Which bytes count.

    `FILE`: the whole standard file. `PAYLOAD`: the payload alone, plus one byte for the knob level
    where the level varies from image to image, and one for that of a picture layer.

    Examples:
        >>> cf.Accounting("file") is cf.Accounting.FILE
        True
    """

    FILE = "file"
    PAYLOAD = "payload"

    @classmethod
    def _missing_(cls, value: object) -> Accounting | None:
        return cls.PAYLOAD if value == "bare" else None  # its name in files made before 0.1.0

    @classmethod
    def written(cls, *, payload: bool) -> Accounting:
        """The bytes that count where they are written: those of payloads, or of whole files."""
        return cls.PAYLOAD if payload else cls.FILE


def counted_size(
    codec: Codec[Any],
    data: bytes,
    settings: Settings,
    accounting: Accounting,
    *,
    knob_varies: bool = False,
) -> int:
    """Bytes of an encoding under an accounting.

    Args:
        codec: the codec.
        data: the encoding.
        settings: as they were given, whatever levels were chosen for this image.
        accounting: which bytes count.
        knob_varies: whether levels differ from image to image.
    """
    if accounting is Accounting.FILE:
        return len(data)
    return len(codec.strip(data)) + (level_bytes(settings) if knob_varies else 0)


_BYTES = {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "KiB": 1024, "MiB": 1024**2}
_BITS = {"bit": 1.0, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*"
_BPP = re.compile(_NUMBER + r"bpp")
_SIZE = re.compile(_NUMBER + rf"(?P<unit>{'|'.join(_BYTES)})")
_LINK = re.compile(
    _NUMBER + rf"(?P<unit>{'|'.join(_BITS)})/s\s*@\s*(?P<fps>\d+(?:\.\d*)?|\.\d+)\s*fps"
)
_FORMS = "0.8bpp, 1200B, 12kB, 12KiB or 256kbit/s@5fps"


@dataclass(frozen=True)
class Budget:
    """Bytes that may be spent.

    Attributes:
        amount: how much, in `unit`.
        unit: `bpp` (bits per pixel of the encoded image), `bytes` an image, or `bits/s` of a link.
        mode: `cap`: no image may cost more. `mean`: the average over the set or stream so far may
            not. `link`: a link of that bit rate with a send buffer.
        fps: images a second, for links.

    Examples:
        >>> budget = cf.Budget.parse("0.8bpp")
        >>> budget.bytes_for((224, 224))
        5017
        >>> cf.Budget.parse("256kbit/s@5fps").bytes_for((224, 224))
        6400
    """

    amount: float
    unit: Unit
    mode: Mode = "cap"
    fps: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise BudgetError(f"a budget must be positive, not {self.amount:g}")
        if (self.unit == "bits/s") != (self.mode == "link"):
            raise BudgetError("a bit rate goes with mode 'link', and mode 'link' with a bit rate")
        if self.mode == "link" and not (self.fps and math.isfinite(self.fps)):
            raise BudgetError("a link needs a positive number of frames a second")

    @classmethod
    def parse(cls, text: str, mode: Literal["cap", "mean"] = "cap") -> Budget:
        """Read `0.8bpp`, `1200B`, `12kB`, `12KiB` or `256kbit/s@5fps` (k = 1000, Ki = 1024).

        Raises:
            BudgetError: if the text has another form.
        """
        text = text.strip()
        if match := _BPP.fullmatch(text):
            return cls(float(match["number"]), "bpp", mode)
        if match := _SIZE.fullmatch(text):
            return cls(float(match["number"]) * _BYTES[match["unit"]], "bytes", mode)
        if match := _LINK.fullmatch(text):
            bits = float(match["number"]) * _BITS[match["unit"]]
            return cls(bits, "bits/s", "link", float(match["fps"]))
        raise BudgetError(f"cannot read the budget {shown(text)}: write it as {_FORMS}")

    @classmethod
    def of(cls, budget: Budget | Keep | str | None, *, mean: bool = False) -> Budget | None:
        """The budget that is meant by a text, by a budget, or by None, which is none.

        Args:
            budget: as `parse` reads it, or as it is.
            mean: it is for the average over the images, unless it is a link's.

        Raises:
            BudgetError: if the text cannot be read, or what must stay right is given.
        """
        if isinstance(budget, Keep):
            raise BudgetError(
                f"Keep({budget.text!r}) says what must stay right, not what may be spent: `select` "
                "finds a codec and settings for it, and so their bytes"
            )
        if isinstance(budget, str):
            return cls.parse(budget, mode="mean" if mean else "cap")
        if budget is not None and mean and budget.mode == "cap":
            return replace(budget, mode="mean")
        return budget

    def allowance(self, shape: Shape) -> float:
        """Bytes that one image of (height, width) may cost: at most (cap), or on average."""
        if self.unit == "bpp":
            return self.amount * shape[0] * shape[1] / 8
        if self.unit == "bytes":
            return self.amount
        return self.amount / 8 / (self.fps or 1.0)

    def total(self, images: int, pixels: int) -> float:
        """Bytes that so many images, of so many pixels together, may cost together."""
        if self.unit == "bpp":
            return self.amount * pixels / 8
        return self.allowance((1, 1)) * images

    def bytes_for(self, shape: Shape) -> int:
        """The allowance in whole bytes, rounded down."""
        return math.floor(self.allowance(shape) + 1e-9)

    def __str__(self) -> str:
        if self.unit == "bpp":
            return f"{_digits(self.amount)}bpp"
        if self.unit == "bytes":
            return f"{_digits(self.amount)}B"
        unit = next((name for name in reversed(_BITS) if self.amount >= _BITS[name]), "bit")
        rate = _digits(self.amount / _BITS[unit])
        return f"{rate}{unit}/s@{_digits(self.fps or 1.0)}fps"


def _digits(number: float) -> str:
    """A number as `parse` reads it back: no exponent, no digit lost."""
    return format(Decimal(repr(float(number))).normalize(), "f")
