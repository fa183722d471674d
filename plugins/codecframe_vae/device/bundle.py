"""A learned codec's encoder as a folder of plain files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import write_whole
from codecframe.core.files import is_file, read_text, reported
from codecframe_vae.codec import VaeCodec
from codecframe_vae.entropy.context import ContextArrays
from codecframe_vae.runtime.graphs import with_constants
from codecframe_vae.runtime.model import Model
from codecframe_vae.runtime.modelfile import INT8_ENCODER, INT8_SMALL_ENCODER, SMALL_ENCODER
from codecframe_vae.runtime.tiles import HALO, SIDE

FORMAT = "codecframe-device/1"
_MANIFEST, _TABLES, _PROGRAM, _VECTORS = "manifest.json", "tables.bin", "encoder.py", "vectors.json"
_NETWORKS = {
    "float32": ("encoder", "encoder.onnx"),
    "int8": (INT8_ENCODER, "encoder-int8.onnx"),
    "small float32": (SMALL_ENCODER, "encoder-small.onnx"),
    "small int8": (INT8_SMALL_ENCODER, "encoder-small-int8.onnx"),
}
_TRIED = (0, 9, 17)
"""Levels of the test vectors."""
_GRID = (3, 5)
"""Rows and columns of their latents."""


@dataclass(frozen=True, repr=False)
class Bundle(codecframe.Result):
    """What `export` wrote.

    Attributes:
        folder: where.
        files: names and sizes in bytes.
        encoders: the kinds of encoder: `float32`, and, where the model has them, `int8`,
            `small float32` and `small int8`.
    """

    folder: Path
    files: dict[str, int]
    encoders: tuple[str, ...]

    def shown(self) -> list[str | codecframe.Table]:
        """The folder and its files."""
        lines = [f"{self.folder}: encoder in {' and '.join(self.encoders)}"]
        lines += [f"  {name}: {size:,} bytes" for name, size in self.files.items()]
        return ["\n".join(lines)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"folder": str(self.folder), "files": self.files, "encoders": list(self.encoders)}


def export(
    model: str | Path, output: str | Path, *, device: bool = False, force: bool = False
) -> Bundle:
    """Write a learned codec's encoder as a folder that needs no codecframe: networks as ONNX, the
    integer tables, a manifest, test vectors, and a reference encoder of one file, `encoder.py`,
    which makes the same bytes.

    Args:
        model: a model file, or the name of a learned codec.
        output: the folder; it is made.
        device: must be true: there is no other kind of export of a model.
        force: replace files that codecframe did not make.

    Raises:
        UsageError: if `device` is false.
        MismatchError: if it is not a learned codec.
        DataError: if the model file is damaged.
        OutputError: if the folder holds something else, or cannot be written.
        DependencyError: if the package onnx is missing and some of the encoder's weights are those
            of a classifier.
    """
    if not device:
        raise codecframe.UsageError("{model} is exported for a device alone: {device}")
    codec = codecframe.get_codec(str(model))
    if not isinstance(codec, VaeCodec):
        raise codecframe.MismatchError(f"codec {codec.name!r} is not a learned one")
    folder = Path(output)
    _refuse_foreign(folder, force)
    files = _files(codec.model)
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)
    kinds = tuple(kind for kind, (_, file) in _NETWORKS.items() if file in files)
    return Bundle(folder, {name: len(data) for name, data in files.items()}, kinds)


def _refuse_foreign(folder: Path, force: bool) -> None:
    """Raise `OutputError` if a folder holds what this has not written."""
    path = folder / _MANIFEST
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        said = json.loads(read_text(path)) if is_file(path) else None
    except (ValueError, codecframe.CodecframeError):
        said = None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise codecframe.OutputError(
            str(folder), "holds files of something else; choose another folder, or --force"
        )


def _files(model: Model) -> dict[str, bytes]:
    """All files of a bundle by name; the manifest is last."""
    found = {}
    for network, file in _NETWORKS.values():
        if f"{network}.onnx" in model.arrays:
            found[file] = _whole_graph(model, network)
    levels, found[_TABLES] = _tables(model)
    found[_PROGRAM] = resources.files("codecframe_vae.device").joinpath(_PROGRAM).read_bytes()
    found[_VECTORS] = _json({"vectors": [_vector(model, level) for level in _TRIED]})
    said = model.manifest
    found[_MANIFEST] = _json(
        {
            "format": FORMAT,
            "model": said.name,
            "space": said.space,
            "channels": said.channels,
            "groups": said.groups,
            "stride": said.stride,
            "filled": said.filled,
            "tile": SIDE,
            "halo": HALO,
            "geometry": said.geometry,
            "rates": list(said.rates),
            "encoders": {kind: file for kind, (_, file) in _NETWORKS.items() if file in found},
            "tables": _TABLES,
            "levels": levels,
        }
    )
    return found


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _tables(model: Model) -> tuple[list[dict[str, Any]], bytes]:
    """(type, shape and offset of each level's arrays by name; the arrays, little-endian)."""
    levels, data = [], bytearray()
    for level in range(model.manifest.levels):
        arrays: Mapping[str, npt.NDArray[Any]] = {
            "up": model.arrays["levels.up"][level],
            **vars(ContextArrays.taken(model.arrays, f"context.{level}.")),
        }
        said = {}
        for name, array in arrays.items():
            data += bytes(-len(data) % 4)
            said[name] = {
                "type": array.dtype.name,
                "shape": list(array.shape),
                "offset": len(data),
            }
            data += array.astype(array.dtype.newbyteorder("<")).tobytes()
        levels.append(said)
    return levels, bytes(data)


def _vector(model: Model, level: int) -> dict[str, Any]:
    """Latents, drawn within the limits, and their payload."""
    rng = np.random.default_rng(level)
    shape = (model.manifest.channels, *_GRID)
    latents = model.context(level).clip(rng.normal(0, 1.5, (1, *shape)))
    payload = model.context(level).encode(latents)[0]
    return {"level": level, "latents": latents[0].tolist(), "payload": payload.hex()}


def _whole_graph(model: Model, network: str) -> bytes:
    """A network as ONNX with all its weights."""
    graph, weights = model.graph(network), model.external(network)
    return with_constants(graph, weights) if weights else graph
