"""What a camera can do: limits on an encoder's time and memory, and what a device was measured at.

The file is the one that `codecframe bench device` writes on that device.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codecframe.core import registry
from codecframe.core.errors import DataError, UsageError, shown
from codecframe.core.files import is_file
from codecframe.core.settings import Settings, option
from codecframe.evaluation.select.answer import Candidate

_MOST_BYTES = 16_000_000
_MEMORY = re.compile(r"(\d+(?:\.\d*)?)\s*(kB|MB|GB|KiB|MiB|GiB)")
_UNITS = {"kB": 1e-3, "MB": 1.0, "GB": 1e3, "KiB": 1.024e-3, "MiB": 1.048576, "GiB": 1073.741824}


@dataclass(frozen=True, kw_only=True)
class _Row(Settings):
    """A row of the file."""

    codec: str = option(low=1, high=200, help="its name")
    settings: str = option("{}", high=4096, help="JSON")
    knob_level: int | None = option(None, low=0, high=255, help="of the knob")
    side: int | None = option(None, low=1, high=65535, help="of the image")
    encode_ms: float | None = option(None, low=0.0, high=1e9, help="milliseconds")
    memory_mb: float | None = option(None, low=0.0, high=1e9, help="megabytes")
    problem: str = option("", high=200, help="why it cannot be used")


class Device:
    """What encoders cost on a device.

    Args:
        path: a file of `codecframe bench device`.

    Raises:
        DataError: if it is none.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._rows: dict[str, list[_Row]] = defaultdict(list)
        for row in _read(self.path):
            self._rows[row.codec].append(row)

    def encode_ms(self, candidate: Candidate, pixels: float) -> float | None:
        """Milliseconds that one encoding of an image takes, in one thread; None where unknown.

        Between measured levels and sizes it is interpolated; settings that were not measured, other
        than knob and scale, count as the codec's defaults.

        Args:
            candidate: codec and settings.
            pixels: of an image.
        """
        given = registry.default().codec(candidate.codec).settings(candidate.settings)
        rows = self._measured(candidate.codec, given)
        scale = float(candidate.settings.get("scale", 1.0))
        return _interpolated(rows, _level(candidate, given), pixels * scale**2) if rows else None

    def memory_mb(self, codec: str) -> float | None:
        """Megabytes of a process that encodes; None where it was not measured."""
        found = [row.memory_mb for row in self._rows.get(codec, ()) if row.memory_mb is not None]
        return max(found, default=None)

    def problem(self, codec: str) -> str:
        """Why the device cannot use a codec; empty where it can."""
        rows = self._rows.get(codec)
        if not rows:
            return f"was not measured on {self.name}"
        return next((f"on {self.name}: {row.problem}" for row in rows if row.problem), "")

    def _measured(self, codec: str, given: Settings) -> list[_Row]:
        """Rows of these settings, which differ from the defaults by more than knob and scale, or
        else of the defaults.
        """
        rows = [row for row in self._rows.get(codec, ()) if row.encode_ms is not None]
        knob = given.knob()
        left_out = {"scale", knob.field if knob else ""}
        changed = {k: v for k, v in given.changed().items() if k not in left_out}
        wanted = json.dumps(changed, sort_keys=True)
        usual = [row for row in rows if row.settings == "{}"]
        return [row for row in rows if row.settings == wanted] or usual


def _level(candidate: Candidate, given: Settings) -> int:
    """The knob's level; the middle one where it varies from image to image."""
    knob = given.knob()
    if knob is None or knob.field in candidate.settings:
        return given.level
    values = [float(text) for text in candidate.knob.partition("=")[2].split("..")]
    return round(
        sum(int(np.abs(np.subtract(knob.ladder, v)).argmin()) for v in values) / len(values)
    )


def _interpolated(rows: list[_Row], level: int, pixels: float) -> float:
    """Linear in the level at each size, then linear in the pixels; never less than nothing."""
    by_side: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row.side and row.encode_ms is not None:
            by_side[row.side].append((row.knob_level or 0, row.encode_ms))
    sizes, times = [], []
    for side in sorted(by_side):
        levels, milliseconds = zip(*sorted(by_side[side]), strict=True)
        sizes.append(float(side * side))
        times.append(float(np.interp(level, levels, milliseconds)))
    if len(sizes) == 1:
        return times[0] * pixels / sizes[0]
    slope = (times[-1] - times[0]) / (sizes[-1] - sizes[0])
    return max(times[0] + slope * (pixels - sizes[0]), times[0] * min(pixels / sizes[0], 1.0))


@dataclass(frozen=True)
class Limits:
    """What an encoder may cost.

    Attributes:
        encode_ms: milliseconds of an image, at most; None for no limit. Without a device, those of
            the machine that measured, on all its cores.
        memory_mb: megabytes of the process that encodes; only known of a device.
        device: where the encoder runs; None for the machine that measured.
    """

    encode_ms: float | None = None
    memory_mb: float | None = None
    device: Device | None = None

    @classmethod
    def asked(
        cls,
        max_encode_ms: float | None = None,
        max_memory: float | str | None = None,
        device: Device | Path | str | None = None,
    ) -> Limits | None:
        """What is meant by the options; None where none is given.

        Raises:
            UsageError: if memory is limited of a device that is not known.
            DataError: if the device's file is none.
        """
        if max_encode_ms is None and max_memory is None and device is None:
            return None
        if max_memory is not None and device is None:
            raise UsageError("{max_memory} needs {device}: `codecframe bench device` measures it")
        where = Device(device) if isinstance(device, (str, Path)) else device
        return cls(max_encode_ms, _megabytes(max_memory), where)

    def allow(self, codec: str) -> bool:
        """Whether a codec may be used at all."""
        return self.device is None or not self.device.problem(codec)

    def on(self, candidate: Candidate, pixels: float) -> Candidate:
        """A candidate with what it costs on the device; where that is too much, it does not fit.

        Args:
            candidate: to be looked at.
            pixels: of an image, on average.
        """
        if self.device is not None and self.allow(candidate.codec):
            candidate = replace(candidate, device_ms=self.device.encode_ms(candidate, pixels))
        why = self.refuse(candidate, pixels)
        return replace(candidate, fits=False, why=why) if why else candidate

    def refuse(self, candidate: Candidate, pixels: float) -> str:
        """Why a candidate costs too much; empty where it does not."""
        device = self.device
        milliseconds, memory, where = candidate.encode_us / 1e3, None, ""
        if device is not None:
            if problem := device.problem(candidate.codec):
                return problem
            milliseconds = device.encode_ms(candidate, pixels) or 0.0
            memory, where = device.memory_mb(candidate.codec), f" on {device.name}"
        if self.encode_ms is not None and milliseconds > self.encode_ms:
            return f"takes {milliseconds:.3g} ms to encode{where}, over {self.encode_ms:g}"
        if self.memory_mb is not None and memory is not None and memory > self.memory_mb:
            return f"takes {memory:.0f} MB{where}, over {self.memory_mb:g}"
        return ""


def _megabytes(given: float | str | None) -> float | None:
    if given is None or isinstance(given, (int, float)):
        return given
    match = _MEMORY.fullmatch(given.strip())
    if match is None:
        raise UsageError(f"cannot read the memory {shown(given)}: write it as 200MB")
    return float(match[1]) * _UNITS[match[2]]


def _read(path: Path) -> list[_Row]:
    if not is_file(path) or path.stat().st_size > _MOST_BYTES:
        raise DataError(str(path), "no such file of `codecframe bench device`")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = found["rows"] if found["recipe"] == "device" else None
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(str(path), "is not a file of `codecframe bench device`")
    known = _Row.__dataclass_fields__
    return [
        _Row.from_source({k: v for k, v in row.items() if k in known}, str(path)) for row in rows
    ]
