"""Training of a learned codec: networks, then tables, then the simple decoder, then its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import codecframe
from codecframe_vae import modelfile
from codecframe_vae.model import Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import Batches, Labelled
from codecframe_vae.training.decoder import train_decoder
from codecframe_vae.training.export import decoder_graph, encoder_graph, eval_mode, head_graph
from codecframe_vae.training.joint import JointModel, JointTask
from codecframe_vae.training.ladder import Ladder, fit_ladder
from codecframe_vae.training.loop import train
from codecframe_vae.training.recipes import STRIDE, VaeRecipe
from codecframe_vae.training.teacher import Teacher


def train_codec(recipe: VaeRecipe, run: codecframe.TrainingRun) -> None:
    """Train a codec as `recipe` says, and write its model file."""
    training, validation = datasets.split(datasets.load(run.images, STRIDE), recipe.held_out)
    model = _joint(recipe, run, training, validation)
    eval_mode(model)
    arrays: modelfile.Arrays = {
        "encoder.onnx": _bytes(encoder_graph(model.encoder)),
        "head.onnx": _bytes(head_graph(model.head)),
    }
    ladder = fit_ladder(arrays["encoder.onnx"].tobytes(), model, recipe, training, validation, run)
    for level, context in enumerate(ladder.contexts):
        arrays |= modelfile.store_context(level, context.arrays)
    arrays |= {"levels.up": ladder.up, "levels.down": ladder.down}
    arrays["levels.head"] = ladder.between(model.head.shifts)
    decoder = train_decoder(ladder, arrays["encoder.onnx"].tobytes(), recipe, training, run)
    arrays["levels.decoder"] = decoder.shifts.detach().numpy()
    arrays["decoder.onnx"] = _bytes(decoder_graph(decoder))
    manifest = _manifest(recipe, run, training, ladder)
    draft = run.folder / "draft.safetensors"
    modelfile.write_model(draft, arrays, manifest)
    manifest = replace(manifest, measured=measure(draft, validation))
    modelfile.write_model(run.output, arrays, manifest)
    draft.unlink()


def _joint(
    recipe: VaeRecipe, run: codecframe.TrainingRun, training: Labelled, validation: Labelled
) -> JointModel:
    """Encoder, gains, prior and head, trained."""
    torch.manual_seed(recipe.seed)
    model = JointModel(recipe.widths(len(run.classes), len(recipe.rates)), recipe.groups)
    model.encoder.start_from(datasets.to_tensor(training.images[:2000]))
    model.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = JointTask(model, recipe, validation, Teacher(recipe, run))
    batches = Batches(training, len(run.classes), recipe)
    train(task, batches, recipe, run)
    return model


def _manifest(
    recipe: VaeRecipe, run: codecframe.TrainingRun, training: Labelled, ladder: Ladder
) -> modelfile.Manifest:
    height, width = training.images.shape[1:3]
    return modelfile.Manifest(
        name=run.name,
        channels=recipe.latents,
        groups=recipe.groups,
        stride=STRIDE,
        levels=LEVELS,
        classes=run.classes,
        size=(height, width),
        rates=tuple(round(rate, 4) for rate in ladder.rates),
        recipe=run.recipe,
        measured={},
    )


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


def _bytes(graph: bytes) -> datasets.U8:
    return np.frombuffer(graph, np.uint8)
