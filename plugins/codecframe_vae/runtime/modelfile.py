"""Model files: tensors in safetensors, and a manifest as JSON in its header. Nothing is unpickled.

Tensors:
    encoder.onnx, head.onnx, decoder.onnx    uint8: ONNX graphs
    int8_encoder.onnx                        uint8: the encoder in 8-bit integers, may be missing
    levels.up, levels.down                   float32, (levels, C): gains before and after coding
    levels.head, levels.decoder              float32, (levels, width): shifts of first layers
    context.LEVEL.NAME                       integers: the entropy coder, see `ContextArrays`
    external.NAME                            float32: may be left out, see `ExternalWeights`
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Preprocess, require, write_whole
from codecframe.core.files import is_file
from codecframe_vae.entropy.context import ContextArrays
from codecframe_vae.runtime.external_weights import ExternalWeights
from codecframe_vae.settings import LEVELS

FORMAT = "codecframe-vae/1"
INT8_ENCODER = "int8_encoder"
"""A network that a file may have; no part of `_CODING`: its latents are those of the encoder."""
INSTALL = "codecframe[learned]"
NEEDS = {"onnxruntime": INSTALL, "safetensors": INSTALL}
"""Packages that models run with, and what installs them."""
_CODING = ("encoder.", "context.", "levels.up", "levels.down")
"""Names of the tensors that latents depend on."""
_NAMES = (
    *("encoder.onnx", "head.onnx", "decoder.onnx"),
    *("levels.up", "levels.down", "levels.head", "levels.decoder"),
)
"""Names of the tensors that are not a level's alone."""

_MOST_HEADER = 4 << 20
"""Bytes of the header, which holds the manifest and what tensors there are."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Manifest:
    """What a model file says of itself.

    Attributes:
        name: of the model.
        channels: of the latents.
        groups: channel groups of the context model.
        stride: pixels between latents.
        levels: rate levels.
        classes: names of the head's classes.
        geometry: fields of `Preprocess` that bring images to the size of the head's.
        rates: mean bpp of each level on validation images, ideal.
        recipe: how it was made.
        measured: figures on the validation images.
        external_weights: weights that the graphs take from elsewhere.
        filled: whether sides are filled up to multiples of the stride for the encoder.
        space: digest of all that latents depend on.
        digest: digest of all.
    """

    name: str
    channels: int
    groups: int
    stride: int
    levels: int
    classes: tuple[str, ...]
    geometry: dict[str, Any]
    rates: tuple[float, ...]
    recipe: dict[str, Any]
    measured: dict[str, Any]
    external_weights: ExternalWeights = field(default_factory=ExternalWeights)
    filled: bool = True
    space: str = ""
    digest: str = ""


def _is_count(value: Any, most: int = 4096) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_list(value: Any, *kinds: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kinds) for item in value)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_geometry(value: Any) -> bool:
    try:
        shape = Preprocess.from_dict(value).final_shape
    except (codecframe.SettingsError, AttributeError, TypeError):
        return False
    return shape is not None and all(map(_is_count, shape))


def _are_external_weights(value: Any) -> bool:
    try:
        ExternalWeights.from_dict(value)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "channels": lambda value: _is_count(value, 256),
    "groups": lambda value: _is_count(value, 256),
    "stride": lambda value: _is_count(value, 64),
    "levels": lambda value: value == LEVELS,
    "classes": lambda value: _is_list(value, str),
    "geometry": _is_geometry,
    "rates": lambda value: _is_list(value, int, float),
    "recipe": lambda value: isinstance(value, dict),
    "measured": lambda value: isinstance(value, dict),
    "external_weights": _are_external_weights,
    "filled": lambda value: isinstance(value, bool),
    "space": _is_digest,
    "digest": _is_digest,
}
"""What a manifest may say in each field; it comes from strangers, and memory is taken by it."""


def digest(arrays: Mapping[str, npt.NDArray[Any]], prefixes: tuple[str, ...] = ("",)) -> str:
    """SHA-256 over names, types, shapes and contents of the arrays whose names begin so."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        if name.startswith(prefixes):
            array = np.ascontiguousarray(arrays[name])
            found.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
            found.update(array.tobytes())
    return found.hexdigest()


def write_model(path: Path, arrays: Arrays, manifest: Manifest) -> None:
    """Write a model file, whole; the manifest's digests are filled in."""
    save = require("safetensors.numpy", INSTALL).save
    said = asdict(manifest) | {"space": digest(arrays, _CODING), "digest": digest(arrays)}
    text = json.dumps({"format": FORMAT, **said})
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_whole(path, save(contiguous, {"manifest": text}))


def read_manifest(path: Path) -> Manifest:
    """What a model file says of itself; reads no tensor.

    Raises:
        DataError: if it is not a model file.
    """
    safe_open = require("safetensors", INSTALL).safe_open
    _check_header(path)
    try:
        with safe_open(path, "np") as file:
            said = json.loads((file.metadata() or {}).get("manifest", "null"))
    except Exception as error:  # safetensors raises many kinds
        raise codecframe.DataError(str(path), f"is not a model file: {error}") from None
    if not isinstance(said, dict) or said.pop("format", None) != FORMAT:
        raise codecframe.DataError(str(path), f"is not a model file of format {FORMAT}")
    before = said.pop("borrowed", asdict(ExternalWeights()))  # its name before 0.1.0
    for name, value in (("external_weights", before), ("filled", True)):
        said.setdefault(name, value)
    if odd := sorted(set(said) ^ set(_FIELDS)):
        raise codecframe.DataError(str(path), f"its manifest has no or too much {odd[0]!r}")
    for name, is_valid in _FIELDS.items():
        if not is_valid(said[name]):
            raise codecframe.DataError(str(path), f"its manifest has a wrong {name!r}")
    for name in ("classes", "rates"):
        said[name] = tuple(said[name])
    said["external_weights"] = ExternalWeights.from_dict(said["external_weights"])
    return Manifest(**said)


def _check_header(path: Path) -> None:
    """Refuse what is not a regular file, and headers that take memory out of proportion."""
    if not is_file(path):
        raise codecframe.DataError(str(path), "is not a regular file")
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise codecframe.DataError(str(path), error.strerror or error) from None
    if size > _MOST_HEADER:
        raise codecframe.DataError(str(path), f"is not a model file: a header of {size:,} bytes")


def read_arrays(path: Path, manifest: Manifest) -> Arrays:
    """All tensors of a model file.

    Raises:
        DataError: if they are not those that the manifest was written for.
    """
    load = require("safetensors.numpy", INSTALL).load_file
    try:
        arrays: Arrays = load(path)
    except Exception as error:  # safetensors raises many kinds
        raise codecframe.DataError(str(path), f"cannot be read: {error}") from None
    if digest(arrays) != manifest.digest or digest(arrays, _CODING) != manifest.space:
        raise codecframe.DataError(str(path), "is damaged: its digest does not match")
    names = (*_NAMES, *({f"{INT8_ENCODER}.onnx"} & arrays.keys()))
    wrong = [name for name in names if not _is_right(name, arrays.get(name), manifest)]
    if wrong:
        raise codecframe.DataError(str(path), f"has no or a wrong {wrong[0]!r}")
    return arrays


def _is_right(name: str, array: npt.NDArray[Any] | None, manifest: Manifest) -> bool:
    """Whether a tensor has the type and shape that it must have; graphs are checked as they run."""
    if array is None or name.endswith(".onnx"):
        return array is not None and array.dtype == np.uint8
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != manifest.levels:
        return False
    return name not in _CODING or array.shape[1] == manifest.channels


def context_arrays(arrays: Arrays, level: int) -> ContextArrays:
    """The entropy coder of a level.

    Raises:
        KeyError: if a tensor is missing.
    """
    return ContextArrays(**{n: arrays[f"context.{level}.{n}"] for n in ContextArrays.names()})


def store_context(level: int, context: ContextArrays) -> Arrays:
    """The entropy coder of a level, as tensors of a model file."""
    return {f"context.{level}.{name}": value for name, value in vars(context).items()}
