"""From trained networks to a model file: tables, then the simple decoder, then what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import codecframe
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.external_weights import ExternalWeights
from codecframe_vae.runtime.model import Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.data import U8, Labelled
from codecframe_vae.training.decoder import train_decoder
from codecframe_vae.training.export import decoder_graph
from codecframe_vae.training.external_weights import Externalizer
from codecframe_vae.training.ladder import Coded, fit_ladder
from codecframe_vae.training.recipes import CodedRecipe


@dataclass(frozen=True)
class Networks:
    """What was trained.

    Attributes:
        coded: gains and prior of the latents.
        encoder: ONNX graph, as `export.encoder_graph` describes it.
        head: ONNX graph, as `export.head_graph` describes it.
        shifts: of the head's first layer, (trained levels, width).
        external: weights that the model file shall not hold.
        int8_encoder: ONNX graph, as `int8.int8_graph` makes it, if there is one.
    """

    coded: Coded
    encoder: bytes
    head: bytes
    shifts: Tensor
    external: Externalizer = field(default_factory=Externalizer)
    int8_encoder: bytes | None = None


def finish(
    networks: Networks,
    recipe: CodedRecipe,
    run: codecframe.TrainingRun,
    training: Labelled,
    validation: Labelled,
    classes: Sequence[str],
    geometry: dict[str, Any],
    pictures: U8 | None = None,
) -> None:
    """Fit tables and a simple decoder, and write the model file.

    Args:
        networks: what was trained.
        recipe: as it was trained.
        run: says where to write.
        training: images for tables and, without `pictures`, for the decoder.
        validation: images for the levels' rates and the figures in the file.
        classes: names of the head's classes.
        geometry: fields of `Preprocess` that bring images to the size of these.
        pictures: images for the decoder, `uint8`, (n, height, width, 3).
    """
    arrays: modelfile.Arrays = {}
    references = {}
    for name, graph in (("encoder", networks.encoder), ("head", networks.head)):
        kept, references[name] = networks.external.taken_out(graph)
        arrays[f"{name}.onnx"] = as_tensor(kept)
    if networks.int8_encoder is not None:
        arrays[f"{modelfile.INT8_ENCODER}.onnx"] = as_tensor(networks.int8_encoder)
    encoder = networks.int8_encoder or networks.encoder  # as it runs unless a user wants the other
    ladder = fit_ladder(encoder, networks.coded, recipe, training, validation, run)
    for level, context in enumerate(ladder.contexts):
        arrays |= modelfile.store_context(level, context.arrays)
    arrays |= {"levels.up": ladder.up, "levels.down": ladder.down}
    arrays["levels.head"] = ladder.between(networks.shifts)
    shown = training.images if pictures is None else pictures
    decoder = train_decoder(ladder, encoder, recipe, shown, run)
    arrays["levels.decoder"] = decoder.shifts.detach().numpy()
    arrays["decoder.onnx"] = as_tensor(decoder_graph(decoder))
    manifest = modelfile.Manifest(
        name=run.name,
        channels=recipe.latents,
        groups=recipe.groups,
        stride=decoder.stride,
        levels=LEVELS,
        classes=tuple(classes),
        geometry=geometry,
        rates=tuple(round(rate, 4) for rate in ladder.rates),
        recipe=run.recipe,
        measured={},
        external_weights=ExternalWeights(networks.external.head, references),
    )
    write_measured(arrays, manifest, run, validation)


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
        values = np.stack([model.quantise(y, level) for y in real])
        size = np.mean(
            [
                len(b)
                for at in range(0, len(values), 500)
                for b in context.encode(values[at : at + 500])
            ]
        )
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
