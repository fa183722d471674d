"""Model files: tensors in safetensors, and a manifest as JSON in its header. Nothing is unpickled.

Tensors:
    encoder.onnx, head.onnx, decoder.onnx    uint8: ONNX graphs
    int8_encoder.onnx                        uint8: the encoder in 8-bit integers, may be missing
    small_encoder.onnx                       uint8: a smaller and faster encoder, may be missing
    int8_small_encoder.onnx                  uint8: the same in 8-bit integers
    levels.up, levels.down                   float32, (levels, C): gains before and after coding
    levels.head, levels.decoder              float32, (levels, width): shifts of first layers
    context.LEVEL.NAME                       integers: the entropy coder, see `ContextArrays`
    external.NAME                            float32: may be left out, see `ExternalWeights`

Those of a picture layer, where there is one (see `PictureLayer`), C components of a block:
    picture.forward, picture.offset          float32, (C, 192), (C,): forward @ block - offset
    picture.steps                            float32, (pictures,): of quantisation
    picture.groups                           int32, (1,): channel groups
    picture.weight                           int8: see `MagnitudeModel`
    picture.LEVEL.NAME                       integers: see `MagnitudeArrays`
    picture.shifts                           float32, (pictures, width): of its first layer
    picture_decoder.onnx                     uint8: latents and components to pixels
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Preprocess, option, require, write_whole
from codecframe.core.files import open_regular
from codecframe_vae.runtime.external_weights import ExternalWeights
from codecframe_vae.settings import LEVELS, PICTURES

FORMAT = "codecframe-vae/1"
INT8_ENCODER = "int8_encoder"
SMALL_ENCODER, INT8_SMALL_ENCODER = "small_encoder", "int8_small_encoder"
"""Networks that a file may have; no part of `_CODING`: their latents are close to the encoder's."""
_OTHER_ENCODERS = (INT8_ENCODER, SMALL_ENCODER, INT8_SMALL_ENCODER)
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

_MOST_SIDE = 4096
_MOST_NUMBERS = 1 << 24
"""That a head gives for an image."""
_MOST_HEADER = 4 << 20
"""Bytes of the header, which holds the manifest and what tensors there are."""

_LONGEST_NAME = 100
Arrays = dict[str, npt.NDArray[Any]]


_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class TaskOutputs:
    """What the head's numbers are, where they are not scores of classes.

    Attributes:
        name: the task; empty: classification.
        options: as `Task.head` takes them, without labels.
        shapes: of the model's outputs for an image, by name, in order.
    """

    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Numbers of an image."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def split(self, rows: Any) -> dict[str, Any]:
        """The outputs by name, of rows (images, width): views of an array or a tensor."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            found[name] = rows[:, start:stop].reshape(len(rows), *shape)
            start = stop
        return found

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> TaskOutputs:
        """Of plain data, which may be a stranger's.

        Raises:
            ValueError: if it is not of that form; or an error of a missing or wrong key.
        """
        shapes = {str(name): tuple(map(int, shape)) for name, shape in said["shapes"].items()}
        made = cls(str(said["name"]), dict(said["options"]), shapes)
        if (
            any(min(shape, default=1) < 1 for shape in shapes.values())
            or made.width > _MOST_NUMBERS
        ):
            raise ValueError("shapes")
        return made


@dataclass(frozen=True, kw_only=True)
class Manifest(codecframe.Settings):
    """What a model file says of itself; it comes from strangers, and memory is taken by it."""

    name: str = option(help="of the model")
    channels: int = option(low=1, high=256, help="of the latents")
    groups: int = option(low=1, high=256, help="channel groups of the context model")
    stride: int = option(low=1, high=64, help="pixels between latents")
    levels: int = option(choices=(LEVELS,), help="rate levels")
    classes: tuple[str, ...] = option(help="names of the head's classes")
    geometry: dict[str, Any] = option(
        help="fields of `Preprocess` that bring images to the size of the head's"
    )
    rates: tuple[float, ...] = option(help="mean bpp of each level on validation images, ideal")
    recipe: dict[str, Any] = option(help="how it was made")
    measured: dict[str, Any] = option(help="figures on the validation images")
    external_weights: ExternalWeights = option(
        ExternalWeights(), help="weights that the graphs take from elsewhere"
    )
    filled: bool = option(
        True, help="whether sides are filled up to multiples of the stride for the encoder"
    )
    task: TaskOutputs = option(TaskOutputs(), help="what the head's numbers are; empty: scores")
    pictures: int = option(
        0, choices=(0, PICTURES), help="levels of the picture layer; 0: there is none"
    )
    small: dict[str, Any] = option({}, help="how its small encoder was made; empty: there is none")
    space: str = option("", help="digest of all that latents depend on")
    digest: str = option("", help="digest of all")

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = Preprocess.from_dict(self.geometry).final_shape
        if shape is None or max(shape) > _MOST_SIDE:
            expected = f"a size of at most {_MOST_SIDE} pixels a side"
            raise codecframe.SettingsError("geometry", self.geometry, expected)


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
    problem = codecframe.as_data_error(path, saying="is not a model file")
    with problem, safe_open(path, "np") as file:
        said = json.loads((file.metadata() or {}).get("manifest", "null"))
    if not isinstance(said, dict) or said.pop("format", None) != FORMAT:
        raise codecframe.DataError(str(path), f"is not a model file of format {FORMAT}")
    weights = said.pop("borrowed", said.get("external_weights"))  # its name before 0.1.0
    try:
        said["external_weights"] = (
            ExternalWeights() if weights is None else ExternalWeights.from_dict(weights)
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise codecframe.DataError(str(path), "has wrong 'external_weights'") from None
    try:
        said["task"] = TaskOutputs.from_dict(said["task"]) if said.get("task") else TaskOutputs()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise codecframe.DataError(str(path), "has a wrong 'task'") from None
    manifest = Manifest.from_source(said, str(path))
    if not (0 < len(manifest.name) <= _LONGEST_NAME and manifest.name.isprintable()):
        raise codecframe.DataError(str(path), "has a name that is empty, too long or not printable")
    for digest_of in (manifest.space, manifest.digest):
        if not _DIGEST.fullmatch(digest_of):
            raise codecframe.DataError(str(path), f"has a wrong digest, {digest_of!r:.80}")
    return manifest


def _check_header(path: Path) -> None:
    """Refuse what is not a regular file, and headers that take memory out of proportion."""
    with open_regular(path) as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _MOST_HEADER:
        raise codecframe.DataError(str(path), f"is not a model file: a header of {size:,} bytes")


def read_arrays(path: Path, manifest: Manifest) -> Arrays:
    """All tensors of a model file.

    Raises:
        DataError: if they are not those that the manifest was written for.
    """
    load = require("safetensors.numpy", INSTALL).load_file
    with codecframe.as_data_error(path, saying="cannot be read"):
        arrays: Arrays = load(path)
    if digest(arrays) != manifest.digest or digest(arrays, _CODING) != manifest.space:
        raise codecframe.DataError(str(path), "is damaged: its digest does not match")
    names = (*_NAMES, *({f"{name}.onnx" for name in _OTHER_ENCODERS} & arrays.keys()))
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
    is_finite = bool(np.isfinite(array).all())
    return is_finite and (name not in _CODING or array.shape[1] == manifest.channels)
