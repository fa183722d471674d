"""Fitting of a picture layer behind a learned codec: encoder, tables, head and payloads stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import codecframe
from codecframe_vae.codec import VaeCodec
from codecframe_vae.entropy.walk import F32
from codecframe_vae.networks.nets import channels_last
from codecframe_vae.picture.network import PictureDecoder
from codecframe_vae.picture.recipe import PictureRecipe
from codecframe_vae.picture.tables import fit_level, fit_weights
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.model import Model
from codecframe_vae.runtime.picture import NETWORK, PREFIX, SIDE, blocks_of, quantised
from codecframe_vae.settings import LEVELS, PICTURES
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import I64, U8
from codecframe_vae.training.export import MAPS, eval_mode, exported, packed
from codecframe_vae.training.finish import as_tensor
from codecframe_vae.training.optim import Optimizers, Part
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.timed import train_for

_FITTED = 320_000
"""Blocks that the transform is fitted to, and whose components are counted for tables, at most."""
_MOMENTS = 128_000
"""Blocks that weights of contexts and the linear decoder are fitted to, at most."""
_MIDDLE = 5
"""Level whose components the weights of all are fitted to, among 16."""
_SHOWN = 500
"""Held-out images that choose the weights."""
_LINEAR_RATE = 0.1
"""Learning rate of the linear part, relative."""
_LEAST_ERROR = 2.0
"""Added to squared errors: nobody sees less."""


class Transform:
    """The Karhunen-Loeve transform of blocks of images, whose sides are multiples of a block's.

    Attributes:
        forward: (channels, 3 * 64), orthonormal.
        offset: what the mean block is transformed to, (channels,).
        steps: of quantisation, of each level, (levels,).
    """

    def __init__(self, images: U8, recipe: PictureRecipe) -> None:
        flat = np.moveaxis(blocks_of(images), 1, 0).reshape(3 * SIDE * SIDE, -1)
        values = flat.astype(np.float64)
        _, vectors = np.linalg.eigh(np.cov(values))
        forward = vectors.T[::-1][: recipe.channels]
        self.forward: F32 = forward.astype(np.float32)
        self.offset: F32 = (forward @ values.mean(1)).astype(np.float32)
        steps = recipe.coarsest * 2 ** (-np.arange(PICTURES) / recipe.octave)
        self.steps: F32 = steps.astype(np.float32)

    def __call__(self, images: U8) -> F32:
        """Components, (n, channels, rows, columns)."""
        blocks = blocks_of(images).astype(np.float32)
        found = np.einsum("kc,nchw->nkhw", self.forward, blocks, optimize=True)
        return np.asarray(found - self.offset[:, None, None], np.float32)


def train_picture(recipe: PictureRecipe, run: codecframe.TrainingRun) -> None:
    """Fit a picture layer as `recipe` says, and write the codec's model file with it.

    Raises:
        MismatchError: if the codec is not one of this plugin's.
    """
    codec = codecframe.get_codec(recipe.codec)
    if not isinstance(codec, VaeCodec):
        raise codecframe.MismatchError(f"codec {recipe.codec!r} has no latents of a model file")
    model = codec.model
    stride = model.manifest.stride
    training, held = datasets.load(run, recipe.held_out, max(SIDE, stride), needs_labels=False)
    torch.manual_seed(recipe.seed)
    fitted = _some(training.images, _FITTED)
    transform = Transform(fitted, recipe)
    arrays = _coders(transform, fitted, recipe, run)
    decoder = PictureDecoder(
        model.manifest.channels, stride, recipe.channels, PICTURES, recipe.width, recipe.blocks
    )
    some = _some(training.images, _MOMENTS)
    step = transform.steps[_MIDDLE]
    start = torch.from_numpy(quantised(transform(some), step) * step)
    decoder.start_from(start, torch.from_numpy(blocks_of(some)))
    if recipe.minutes:
        channels_last(decoder, "cpu")
        task = DecoderTask(decoder, model, transform, training.images, held.images, recipe)
        facts = {"codec": model.manifest.space, "settings": recipe.replace(minutes=0.0).to_dict()}
        train_for(recipe.minutes, task, Optimizers(task.parts()), run, facts)
    eval_mode(decoder)
    arrays |= {
        PREFIX + "forward": transform.forward,
        PREFIX + "offset": transform.offset,
        PREFIX + "steps": transform.steps,
        PREFIX + "groups": np.array([recipe.groups], np.int32),
        PREFIX + "shifts": decoder.shifts.detach().numpy(),
        f"{NETWORK}.onnx": as_tensor(_graph(decoder, model.manifest.channels, stride)),
    }
    manifest = replace(model.manifest, pictures=PICTURES)
    modelfile.write_model(run.output, {**model.arrays, **arrays}, manifest)


def _some(images: U8, blocks: int) -> U8:
    """The first images, of so many blocks at most."""
    height, width = images.shape[1:3]
    return images[: max(1, blocks * SIDE**2 // (height * width))]


def _coders(
    transform: Transform, images: U8, recipe: PictureRecipe, run: codecframe.TrainingRun
) -> modelfile.Arrays:
    """The entropy coders of all levels, as tensors."""
    components = transform(images)
    some = components[: len(_some(images, _MOMENTS))]
    middle = quantised(some, transform.steps[_MIDDLE]).clip(-127, 127).astype(np.int8)
    weight = fit_weights(middle, recipe.groups)
    arrays: modelfile.Arrays = {PREFIX + "weight": weight}
    with run.progress(PICTURES) as display:
        for level, step in enumerate(transform.steps):
            whole = quantised(components, step).clip(-32767, 32767).astype(np.int16)
            coder = fit_level(weight, whole, recipe.groups)
            arrays |= coder.arrays.stored(f"{PREFIX}{level}.")
            display.advance(1, f"tables of picture {level}")
    return arrays


class DecoderTask:
    """The decoder's training, as `train_for` takes it: each image of a batch at levels of its own.

    The loss is the logarithm of an image's squared error, so that a decibel weighs the same in all.
    """

    def __init__(
        self,
        decoder: PictureDecoder,
        model: Model,
        transform: Transform,
        images: U8,
        held: U8,
        recipe: PictureRecipe,
    ) -> None:
        self.weights: Mapping[str, Tensor] = dict(decoder.named_parameters())
        self._decoder, self._model, self._transform = decoder, model, transform
        self._images, self._recipe = images, recipe
        self._real = np.stack(model.analyse(list(images)))
        self._rng = np.random.default_rng(recipe.seed)
        self._held = held[:_SHOWN]
        self._held_real = np.stack(model.analyse(list(self._held)))

    def parts(self) -> list[Part]:
        """The linear part, which is good already, and all else."""
        linear: list[Tensor] = list(self._decoder.linear.parameters())
        known = {id(one) for one in linear}
        others: list[Tensor] = [one for one in self._decoder.parameters() if id(one) not in known]
        rate = self._recipe.adam_rate
        return [Part("linear", linear, rate * _LINEAR_RATE), Part("others", others, rate)]

    def step(self, number: int, progress: float) -> Tensor:
        """The loss of a batch."""
        del number, progress
        index = self._rng.integers(0, len(self._images), self._recipe.batch)
        tasks, pictures = (self._rng.integers(0, count, len(index)) for count in (LEVELS, PICTURES))
        errors = self._errors(self._images[index], self._real[index], tasks, pictures)
        return (errors + _LEAST_ERROR).log().mean()

    def _errors(self, images: U8, real: F32, tasks: I64, pictures: I64) -> Tensor:
        """Mean squared error of each image's picture, each at its levels."""
        latents = self._model.arriving(real, tasks.tolist())
        step = self._transform.steps[pictures][:, None, None, None]
        sent = quantised(self._transform(images), step) * step
        with autocast("cpu"):
            made = self._decoder(
                torch.from_numpy(latents),
                torch.from_numpy(sent.astype(np.float32)),
                self._decoder.shifts[torch.from_numpy(pictures)],
            )
        errors: Tensor = (made - torch.from_numpy(images).float()).square().mean((1, 2, 3))
        return errors

    @torch.inference_mode()
    def validate(self) -> tuple[float, str]:
        """(mean logarithm of the squared error, what is reached in dB)."""
        pictures = np.arange(len(self._held)) % PICTURES
        tasks = np.arange(len(self._held)) // PICTURES % LEVELS
        errors = self._errors(self._held, self._held_real, tasks, pictures)
        found = float(errors.clamp_min(1e-6).log10().mean())
        return found, f"{10 * (2 * np.log10(255) - found):.2f} dB"


def _graph(decoder: PictureDecoder, latents: int, stride: int) -> bytes:
    """`latents`, `picture` and `shift` to `images`, float32, (n, height, width, 3), 0..255."""
    side = 4 * max(SIDE, stride)
    channels = decoder.linear.in_channels
    given = {
        "latents": torch.zeros(2, latents, side // stride, 2 * side // stride),
        "picture": torch.zeros(2, channels, side // SIDE, 2 * side // SIDE),
        "shift": decoder.shifts.detach()[[0, 0]],
    }
    return packed(exported(decoder, given, "images", MAPS | {"picture": (2, 3)}))
