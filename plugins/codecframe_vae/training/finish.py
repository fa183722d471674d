"""From trained networks to a model file: tables, then the simple decoder, then what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import codecframe
from codecframe import chunks
from codecframe_vae.codec import VaeCodec
from codecframe_vae.head import LatentHead
from codecframe_vae.networks.nets import LinearDecoder, SimpleDecoder
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.external_weights import ExternalWeights
from codecframe_vae.runtime.model import Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.contexts import fit_context
from codecframe_vae.training.data import U8, Labelled
from codecframe_vae.training.decoder import train_decoder
from codecframe_vae.training.export import decoder_graph, eval_mode
from codecframe_vae.training.external_weights import Externalizer
from codecframe_vae.training.ladder import Coded, Fitting, Ladder, real_latents
from codecframe_vae.training.recipes import LadderRecipe

_REHEARSED = 2
"""Images that are encoded before a training begins."""


@dataclass(frozen=True)
class Networks:
    """What was trained.

    Attributes:
        coded: gains and prior of the latents.
        encoder: ONNX graph, as `export.encoder_graph` describes it.
        head: ONNX graph, as `export.head_graph` describes it.
        shifts: of the head's first layer, (trained levels, width).
        stride: pixels between latents.
        classes: names of the head's classes.
        geometry: fields of `Preprocess` that bring images to the size of the head's.
        external: weights that the model file shall not hold.
        int8_encoder: ONNX graph, as `int8.int8_graph` makes it, if there is one.
        filled: whether the encoder takes only images whose sides are multiples of the stride.
    """

    coded: Coded
    encoder: bytes
    head: bytes
    shifts: Tensor
    stride: int
    classes: Sequence[str]
    geometry: dict[str, Any]
    external: Externalizer = field(default_factory=Externalizer)
    int8_encoder: bytes | None = None
    filled: bool = True

    @property
    def running_encoder(self) -> bytes:
        """The graph that runs unless a user wants the other."""
        return self.int8_encoder or self.encoder


def finish(
    networks: Networks,
    recipe: LadderRecipe,
    run: codecframe.TrainingRun,
    training: Labelled,
    validation: Labelled,
    pictures: U8 | None = None,
) -> None:
    """Fit tables and a simple decoder, and write the model file.

    Args:
        networks: what was trained.
        recipe: as it was trained.
        run: says where to write.
        training: images for tables and, without `pictures`, for the decoder.
        validation: images for the levels' rates and the figures in the file.
        pictures: images for the decoder, `uint8`, (n, height, width, 3).
    """
    arrays, manifest, _ = assembled(networks, recipe, run, training, validation, pictures)
    write_measured(arrays, manifest, run, validation)


def assembled(
    networks: Networks,
    recipe: LadderRecipe,
    run: codecframe.TrainingRun,
    training: Labelled,
    validation: Labelled,
    pictures: U8 | None = None,
) -> tuple[modelfile.Arrays, modelfile.Manifest, Ladder]:
    """(tensors of a model file, its manifest without figures, the levels); arguments as those of
    `finish`.
    """
    encoder = networks.running_encoder
    ladder = Fitting(encoder, networks.coded, recipe, training, validation).ladder(run)
    shown = training.images if pictures is None else pictures
    decoder = train_decoder(ladder, encoder, networks.stride, recipe, shown, run)
    return *_contents(networks, recipe, run, ladder, decoder), ladder


def rehearse(
    networks: Networks, recipe: LadderRecipe, run: codecframe.TrainingRun, images: U8
) -> None:
    """Make a model file of networks that are not trained yet, and use it: what would fail at the
    end of a training fails before it.

    Args:
        images: some, of which a few are encoded.
        others: as those of `finish`.

    Raises:
        CodecframeError: if the networks do not make a codec and a head.
    """
    some = images[:_REHEARSED]
    latents = np.rint(real_latents(networks.running_encoder, some))
    weights = np.zeros((2, recipe.latents, recipe.latents, 9))
    context = fit_context(np.clip(latents, -1, 1).astype(np.int16), weights, recipe.groups)
    ones = np.ones((LEVELS, recipe.latents), np.float32)
    ladder = Ladder([0.0] * LEVELS, [1.0] * LEVELS, [context] * LEVELS, ones, ones)
    decoder = SimpleDecoder(recipe.latents, LEVELS, recipe.decoder_width, networks.stride)
    eval_mode(decoder)
    trial = run.folder / "rehearsal.safetensors"
    try:
        modelfile.write_model(trial, *_contents(networks, recipe, run, ladder, decoder))
        try_out(Model(trial), list(some))
    finally:
        trial.unlink(missing_ok=True)


def try_out(model: Model, images: list[codecframe.Image]) -> None:
    """Take images through codec and head.

    Raises:
        CodecframeError: if they do not do what they should.
    """
    codec, head = VaeCodec(model), LatentHead("rehearsal", model)
    datas = codec.encode_many(images, codec.settings_type())
    for image, back in zip(images, codec.decode_many(datas), strict=True):
        if back.shape != image.shape:
            raise codecframe.MismatchError(f"images of {image.shape} come back as {back.shape}")
    head.predict(codec.decode_latents_many(datas))


def _contents(
    networks: Networks,
    recipe: LadderRecipe,
    run: codecframe.TrainingRun,
    ladder: Ladder,
    decoder: SimpleDecoder | LinearDecoder,
) -> tuple[modelfile.Arrays, modelfile.Manifest]:
    """(tensors, manifest) of a file that is not measured yet."""
    kept, references = {}, {}
    for name, graph in (("encoder", networks.encoder), ("head", networks.head)):
        kept[name], references[name] = networks.external.taken_out(graph)
    kept["decoder"] = decoder_graph(decoder)
    if networks.int8_encoder is not None:
        kept[modelfile.INT8_ENCODER] = networks.int8_encoder
    arrays: modelfile.Arrays = {f"{name}.onnx": as_tensor(graph) for name, graph in kept.items()}
    for level, context in enumerate(ladder.contexts):
        arrays |= context.arrays.stored(f"context.{level}.")
    arrays |= {
        "levels.up": ladder.up,
        "levels.down": ladder.down,
        "levels.head": ladder.between(networks.shifts),
        "levels.decoder": decoder.shifts.detach().numpy(),
    }
    manifest = modelfile.Manifest(
        name=run.name,
        channels=recipe.latents,
        groups=recipe.groups,
        stride=networks.stride,
        levels=LEVELS,
        classes=tuple(networks.classes),
        geometry=networks.geometry,
        rates=tuple(round(rate, 4) for rate in ladder.rates),
        recipe=run.recipe,
        measured={},
        external_weights=ExternalWeights(networks.external.head, references),
        filled=networks.filled,
    )
    return arrays, manifest


def write_measured(
    arrays: modelfile.Arrays,
    manifest: modelfile.Manifest,
    run: codecframe.TrainingRun,
    validation: Labelled,
) -> None:
    """Write the model file, whose manifest says what the file itself does on validation images."""
    draft = run.folder / "draft.safetensors"
    modelfile.write_model(draft, arrays, manifest)
    manifest = replace(manifest, measured=measure(draft, validation))
    modelfile.write_model(run.output, arrays, manifest)
    draft.unlink()


def measure(path: Path, validation: Labelled) -> dict[str, object]:
    """Rate, top-1 and fidelity of a model file at every level, real bytes, by the file alone."""
    from codecframe_vae.training.quality import ms_ssim, psnr

    if not len(validation):
        return {"images": 0, "levels": []}
    model = Model(path)
    real = model.analyse(list(validation.images))
    rows = []
    for level in range(LEVELS):
        context = model.context(level)
        values = [model.quantise(y, level) for y in real]
        parts = [context.encode(np.stack(some)) for some in chunks(values, 500)]
        size = np.mean([len(data) for part in parts for data in part])
        shape = validation.images.shape[1:3]
        latents = [
            codecframe.Latents(model.space, v.astype(np.int32), level, shape) for v in values
        ]
        hits = model.scores(latents).argmax(axis=1) == validation.targets
        some = slice(0, 1000)
        pictures = np.stack(model.pixels(latents[some]))
        rows.append(
            {
                "level": level,
                "bpp": round(float(size) * 8 / validation.pixels, 4),
                "top1": round(float(hits.mean()), 4),
                "psnr": round(psnr(validation.images[some], pictures), 2),
                "ms_ssim": round(ms_ssim(validation.images[some], pictures), 4),
            }
        )
    return {"images": len(validation), "levels": rows}


def as_tensor(graph: bytes) -> U8:
    """A graph as model files hold it."""
    return np.frombuffer(graph, np.uint8)
