"""Whether an installed codec works, also where its library crashes or hangs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import codecframe
from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.settings import Settings

_FURTHEST = 40
"""Mean distance in levels between an image and its finest encoding by a codec of pixels."""
LONGEST = 120.0
"""Seconds that codecs have for all their settings, start-up included."""


def faults(codec: Codec[Any]) -> list[str]:
    """What goes wrong when a codec is used: with its defaults, else with each other choice."""
    return [fault for _, fault in _tried(codec) if fault]


def faults_apart(names: Sequence[str]) -> dict[str, list[str]]:
    """The same for installed codecs, found by a process of its own, which may crash or hang."""
    found: dict[str, list[str]] = {name: [] for name in names}
    left = list(names)
    while left:
        lines, end = _run(left)
        for line in lines:
            if line.get("fault"):
                found[line["codec"]].append(line["fault"])
        if not end:
            break
        last: dict[str, Any] = lines[-1] if lines else {"codec": left[0], "changes": {}}
        found[last["codec"]].append(_named(last["changes"]) + end)
        left = left[left.index(last["codec"]) + 1 :]  # a new process for those after it
    return found


def _run(names: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """The lines that `main` printed in a process of its own, and how that ended if not well."""
    command = [sys.executable, "-P", "-m", __name__, *names]
    try:
        done = subprocess.run(  # noqa: S603 - itself
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST, check=False
        )
        output, code = done.stdout, done.returncode
        end = f"ended its process with exit code {code}" if code else ""
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"took over {LONGEST:.0f} s"
    return [json.loads(line) for line in output.splitlines() if line.startswith(b"{")], end


def main(names: Sequence[str]) -> None:
    """Print, line by line, what is tried with these codecs, then its fault or an empty text."""
    for name in names:
        for changes, fault in _tried(registry.get_codec(name)):
            line = {"codec": name, "changes": changes, "fault": fault}
            sys.stdout.write(json.dumps(line, default=str) + "\n")
            sys.stdout.flush()


def _tried(codec: Codec[Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Settings that are tried: before with None, after with the fault, empty if there is none."""
    knob = codec.settings_type.knob()
    finest = {} if knob is None else {knob.field: knob.ladder[-1]}
    for changes, near in (({}, False), (finest, codec.emits[0] == codecframe.PIXELS)):
        yield changes, None
        fault = _fault(codec, changes, near=near)
        yield changes, fault
        if fault:
            return
    for field in codec.settings_type.fields():
        choices = (False, True) if field.type is bool else field.option.choices or ()
        for choice in choices:
            if choice != field.default:
                changes = {field.name: choice}
                yield changes, None
                yield changes, _fault(codec, changes, alone=False)


def _fault(
    codec: Codec[Any], changes: dict[str, Any], *, near: bool = False, alone: bool = True
) -> str:
    """What goes wrong with these settings, if anything; not `alone`: they may need others, too, or
    a budget.
    """
    try:
        settings = codec.settings_type(**changes)
    except codecframe.SettingsError:
        return ""  # not without other changes
    try:
        _try(codec, settings, near=near)
    except codecframe.DependencyError:
        return ""  # an optional package for some settings
    except Exception as error:  # the libraries raise many kinds
        if isinstance(error, codecframe.SettingsError) and not alone:
            return ""
        return f"{_named(changes)}{type(error).__name__}: {error}"
    return ""


def _named(changes: dict[str, Any]) -> str:
    return "".join(f"{name}={value}: " for name, value in changes.items())


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


if __name__ == "__main__":
    main(sys.argv[1:])
