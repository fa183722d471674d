"""A trained model at run time: images to latents to payloads, and back, by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import Image, Preprocess, Shape, map_threads, require
from codecframe_vae.entropy.context import ContextArrays, ContextModel, check
from codecframe_vae.entropy.walk import I8
from codecframe_vae.runtime.batches import map_alike
from codecframe_vae.runtime.external_weights import PREFIX
from codecframe_vae.runtime.graphs import check_graph
from codecframe_vae.runtime.modelfile import (
    INSTALL,
    INT8_ENCODER,
    INT8_SMALL_ENCODER,
    SMALL_ENCODER,
    Arrays,
    Manifest,
    read_arrays,
    read_manifest,
    write_model,
)
from codecframe_vae.runtime.picture import PictureLayer
from codecframe_vae.runtime.tiles import Tile, filled_up, tiles_of

F32 = npt.NDArray[np.float32]

BATCH = 32
"""Images that a network takes at a time, in each thread, at most."""
_BATCH_PIXELS = 1 << 21
"""Pixels of them, at most, or one image."""


class Model:
    """A model file, read when it is first needed. Thread-safe.

    Args:
        path: the model file.

    Raises:
        DataError: if it is not one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._contexts: dict[int, ContextModel] = {}
        self._sessions: dict[str, Any] = {}

    @cached_property
    def manifest(self) -> Manifest:
        """What the file says of itself."""
        return read_manifest(self.path)

    @cached_property
    def space(self) -> codecframe.LatentSpace:
        """The latents' space, named by the digest of all that they depend on: a model with another
        head has the same.
        """
        said = self.manifest
        return codecframe.LatentSpace(f"vae-{said.space[:12]}", said.channels, said.stride)

    @cached_property
    def arrays(self) -> Arrays:
        """The file's tensors."""
        with self._lock:
            return read_arrays(self.path, self.manifest)

    def check(self) -> None:
        """Look at all that the file holds, as far as that goes without running its networks.

        Raises:
            DataError: if manifest, tables and graphs do not go together.
        """
        manifest = self.manifest
        for level in range(manifest.levels):
            self._context_arrays(level)
        if manifest.pictures:
            self.picture.check()
        for name in self.arrays:
            if not name.endswith(".onnx"):
                continue
            network = name.removesuffix(".onnx")
            try:
                check_graph(self.graph(network), manifest.external_weights.weights.get(network, {}))
            except ValueError as error:
                raise self._broken(f"its {network} {error}") from None

    def _context_arrays(self, level: int) -> ContextArrays:
        """The tables of a level, checked."""
        try:
            arrays = ContextArrays.taken(self.arrays, f"context.{level}.")
            check(arrays, self.manifest.groups)
        except (KeyError, ValueError) as error:
            raise self._broken(f"level {level}: {error}") from None
        if arrays.limit.size != self.manifest.channels:
            raise self._broken(f"level {level} has {arrays.limit.size} channels")
        return arrays

    @cached_property
    def picture(self) -> PictureLayer:
        """The picture layer.

        Raises:
            DataError: if it is not right.
        """
        return PictureLayer(self)

    def context(self, level: int) -> ContextModel:
        """The entropy coder of a level."""
        if level not in self._contexts:
            arrays = self._context_arrays(level)
            self._contexts[level] = ContextModel(arrays, self.manifest.groups)
        return self._contexts[level]

    def graph(self, network: str) -> bytes:
        """The ONNX graph of one of the networks."""
        return self.arrays[f"{network}.onnx"].tobytes()

    def external(self, network: str) -> dict[str, F32]:
        """Weights that one of the graphs leaves out, by the constant's name."""
        wanted = self.manifest.external_weights.weights.get(network, {})
        return {name: self._external[one.key] for name, one in wanted.items()}

    def _session(self, network: str) -> Any:
        if network not in self._sessions:
            weights = self.external(network)
            self._sessions[network] = open_session(self.graph(network), str(self.path), weights)
        return self._sessions[network]

    def run(self, network: str, inputs: dict[str, npt.NDArray[Any]]) -> F32:
        """The output of one of the networks, in one thread."""
        session = self._session(network)
        try:
            output: F32 = session.run(None, inputs)[0]
        except Exception as error:  # onnxruntime raises many kinds
            raise self._broken(f"its {network} does not run: {error}") from None
        return output

    @cached_property
    def _external(self) -> dict[str, F32]:
        return self.manifest.external_weights.load(self.arrays)

    def save(self, path: Path) -> None:
        """Write the model with all its external weights: it runs without the head that has them."""
        weights = {PREFIX + key: weight for key, weight in self._external.items()}
        write_model(path, {**self.arrays, **weights}, self.manifest)

    def _broken(self, reason: str) -> codecframe.DataError:
        return codecframe.DataError(str(self.path), reason)

    # -- encoding -------------------------------------------------------------------------

    @property
    def has_small(self) -> bool:
        """Whether there is a small encoder."""
        return f"{SMALL_ENCODER}.onnx" in self.arrays

    def encoder(self, *, int8: bool, small: bool = False) -> str:
        """The network that encodes: that in 8-bit integers if the model has it.

        Raises:
            SettingsError: if there is no small one.
        """
        exact, fast = (SMALL_ENCODER, INT8_SMALL_ENCODER) if small else ("encoder", INT8_ENCODER)
        if small and not self.has_small:
            expected = f"false: {self.manifest.name} has no small encoder"
            raise codecframe.SettingsError("small", small, expected)
        return fast if int8 and f"{fast}.onnx" in self.arrays else exact

    def analyse(
        self, images: Sequence[Image], *, int8: bool = True, small: bool = False
    ) -> list[F32]:
        """Real latents of each image, `float32`, (C, height, width): one network pass.

        Sides are filled up to multiples of the stride by repeating the last row and column, unless
        the encoder takes images as they are. Large ones pass in tiles, so that memory is bounded.

        Args:
            images: any number, of any sizes.
            int8: in 8-bit integers if the model has such an encoder; latents are close to those of
                `float32`.
            small: by the small encoder.
        """
        stride = self.manifest.stride
        padded = [filled_up(i, stride) if self.manifest.filled else i for i in images]
        tiled = [tiles_of(image.shape[:2]) for image in padded]
        parts = [
            image[tile.rows, tile.columns]
            for image, tiles in zip(padded, tiled, strict=True)
            for tile in tiles
        ]
        network = self.encoder(int8=int8, small=small)
        found = iter(by_shape(parts, lambda batch: self.run(network, {"images": batch})))
        return [
            self._joined([next(found) for _ in tiles], tiles, image.shape[:2])
            for image, tiles in zip(padded, tiled, strict=True)
        ]

    def _joined(self, parts: list[F32], tiles: list[Tile], shape: Shape) -> F32:
        """The latents of an image, of those of its tiles."""
        channels, stride = self.manifest.channels, self.manifest.stride
        for part, tile in zip(parts, tiles, strict=True):
            if part.shape != (channels, *(-(-side // stride) for side in tile.shape)):
                raise self._broken(f"its encoder makes latents of shape {part.shape}")
            if not np.isfinite(part).all():
                raise self._broken("its encoder makes latents that are not finite")
        if len(parts) == 1:
            return parts[0]
        whole = np.empty((channels, *(-(-side // stride) for side in shape)), np.float32)
        for part, tile in zip(parts, tiles, strict=True):
            target, source = tile.kept(stride)
            whole[:, *target] = part[:, *source]
        return whole

    def quantise(self, real: F32, level: int) -> I8:
        """Integer latents at a level of real ones, (C, height, width)."""
        gain = self.arrays["levels.up"][level][:, None, None]
        latents: I8 = self.context(level).clip((real * gain)[None])[0]
        return latents

    # -- decoding -------------------------------------------------------------------------

    def scores(self, latents: Sequence[codecframe.Latents]) -> F32:
        """Logits of the head, (n, classes); of another task all its outputs, see `TaskOutputs`.

        Raises:
            MismatchError: if its classifier takes images of another size.
        """

        def run(some: list[int]) -> F32:
            values, shifts = zip(*(self._real(latents[n], "head") for n in some), strict=True)
            return self.run("head", {"latents": np.stack(values), "shift": np.stack(shifts)})

        for one in latents:
            self._check_size(one)
        rows = map_alike(run, [one.values.shape for one in latents], lambda _: BATCH)
        task = self.manifest.task
        classes = task.width if task.name else len(self.manifest.classes)
        values = np.array(rows, np.float32) if rows else np.zeros((0, classes), np.float32)
        if values.ndim != 2 or (classes and values.shape[1] != classes):
            raise self._broken(f"its head gives scores of {values.shape[1:]}, not ({classes},)")
        if not np.isfinite(values).all():
            raise self._broken("its head gives scores that are not finite")
        return values

    def _check_size(self, latents: codecframe.Latents) -> None:
        sides = self._session("head").get_inputs()[0].shape[2:]
        for side, taken in zip(latents.values.shape[1:], sides, strict=True):
            if isinstance(taken, int) and side != taken:
                height, width = latents.shape
                shape = Preprocess.from_dict(self.manifest.geometry).final_shape
                assert shape is not None  # noqa: S101 - `modelfile` checks that
                raise codecframe.MismatchError(
                    f"the classifier of {self.manifest.name} takes images of {shape[1]} x "
                    f"{shape[0]} pixels, and this is one of {width} x {height}: prepare it for the "
                    "head first"
                )

    def pixels(self, latents: Sequence[codecframe.Latents]) -> list[Image]:
        """Images that the simple decoder makes."""
        return map_threads(self._image, latents)

    def _image(self, latents: codecframe.Latents) -> Image:
        stride = self.manifest.stride
        values, shift = self._real(latents, "decoder")
        filled = (values.shape[1] * stride, values.shape[2] * stride)
        maps = {"latents": (values, stride)}
        return self.rebuilt("decoder", "its decoder", maps, shift, filled, latents.shape)

    def rebuilt(
        self,
        network: str,
        who: str,
        maps: Mapping[str, tuple[F32, int]],
        shift: F32,
        filled: Shape,
        shape: Shape,
    ) -> Image:
        """An image that a network makes; a large one in tiles, so that memory is bounded.

        Args:
            network: its name.
            who: what it is called in errors.
            maps: its inputs by name, (C, rows, columns), and how many pixels are between theirs.
            shift: what the level adds.
            filled: (height, width) of all that it makes.
            shape: (height, width) of the image.
        """
        image = np.empty((*filled, 3), np.uint8)

        def make(tile: Tile) -> None:
            parts = {name: of[:, *tile.seen(stride)][None] for name, (of, stride) in maps.items()}
            made = self.run(network, parts | {"shift": shift[None]})[0]
            if made.shape != (*tile.shape, 3):
                raise self._broken(f"{who} makes images of shape {made.shape}")
            target, source = tile.kept(1)
            if not np.isfinite(made[source]).all():
                raise self._broken(f"{who} makes pixels that are not finite")
            image[target] = np.clip(np.rint(made[source]), 0, 255)

        map_threads(make, tiles_of(filled))
        return np.ascontiguousarray(image[: shape[0], : shape[1]])

    def dequantised(self, latents: npt.NDArray[Any], level: int) -> F32:
        """What networks take for integer latents, `float32`, (C, height, width)."""
        down = self.arrays["levels.down"][level][:, None, None]
        values: F32 = latents.astype(np.float32) * down
        return values

    def arriving(self, real: Sequence[F32] | F32, levels: Sequence[int]) -> F32:
        """What networks take for real latents, (n, C, height, width), each at its level."""
        pairs = zip(real, levels, strict=True)
        return np.stack([self.dequantised(self.quantise(one, n), n) for one, n in pairs])

    def _real(self, latents: codecframe.Latents, network: str) -> tuple[F32, F32]:
        """(dequantised latents, what their level adds in a network)."""
        values = self.dequantised(latents.values, latents.level)
        return values, self.arrays[f"levels.{network}"][latents.level]


def open_session(graph: bytes, source: str, weights: Mapping[str, F32] | None = None) -> Any:
    """An onnxruntime session in one thread: callers run several at once.

    Args:
        graph: ONNX.
        source: where it is from, for messages.
        weights: constants whose values the graph does not hold.

    Raises:
        DataError: if the graph does not run here.
        DependencyError: if onnxruntime is not installed.
    """
    runtime = require("onnxruntime", INSTALL)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if weights:
        values = [
            runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(w)) for w in weights.values()
        ]
        options.add_external_initializers(list(weights), values)
    with codecframe.as_data_error(source, saying="its network does not run here"):
        return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def by_shape(images: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], run: Any) -> list[F32]:
    """`run` over stacks of images of one shape, in all threads; one result an image, in order."""
    return map_alike(
        lambda some: run(np.stack([images[n] for n in some])),
        [image.shape for image in images],
        lambda shape: max(1, min(BATCH, _BATCH_PIXELS // (shape[0] * shape[1]))),
    )
