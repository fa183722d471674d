"""Training of a small encoder for a learned codec: tables, head, decoders and payloads stay.

It learns the latents of the codec's own encoder. What it misses is measured in quantisation steps:
an error far below one costs nothing, and the logarithm lets a decibel weigh the same at all levels.
In the last epochs the head judges, too: what it minds is learned better than the rest. Latents that
cost more bits than those of the codec's own encoder are held back: the tables know only its kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import codecframe
from codecframe_vae.networks import stored
from codecframe_vae.networks.nets import Encoder, Head, channels_last
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.model import Model
from codecframe_vae.settings import LEVELS
from codecframe_vae.training import data as datasets
from codecframe_vae.training.data import U8, Batches, Labelled, to_tensor
from codecframe_vae.training.export import encoder_graph, eval_mode
from codecframe_vae.training.finish import as_tensor
from codecframe_vae.training.head import learned
from codecframe_vae.training.int8 import int8_graph
from codecframe_vae.training.loop import Task, train
from codecframe_vae.training.optim import Part, network_parts
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.prior import Prior
from codecframe_vae.training.quality import AT_ONCE, top1
from codecframe_vae.training.recipes import SmallEncoderRecipe
from codecframe_vae.training.teacher import Teacher

_ROUNDING = 1 / 12
"""Mean squared error of rounding, in steps."""
_FITTED = 4000
"""Images that say what latents cost."""
_STEPS, _AT_A_STEP, _RATE = 400, 100, 0.02
"""Steps in which that is learned, images of each, learning rate."""
_LEAST_BITS = 16.0
"""Of an image: shares of fewer are not looked at."""
_SHOWN = (0, LEVELS // 2, LEVELS - 1)
"""Levels whose errors are shown after each epoch."""


def train_encoder(recipe: SmallEncoderRecipe, run: codecframe.TrainingRun) -> None:
    """Train an encoder as `recipe` says, and write the codec's model file with it.

    Raises:
        MismatchError: if the codec is not one of this plugin's, its networks have other sizes, or
            its head other classes than the images.
    """
    codec = learned(recipe.codec)
    if run.classes != codec.manifest.classes:
        raise codecframe.MismatchError(
            f"the head of codec {recipe.codec!r} knows {len(codec.manifest.classes)} classes, and "
            f"the images have {len(run.classes)}, or others"
        )
    training, validation = datasets.load(run, recipe.held_out, codec.manifest.stride)
    torch.manual_seed(recipe.seed)
    encoder = Encoder(recipe.widths(len(run.classes), LEVELS))
    encoder.start_from(to_tensor(training.images[:2000]))
    channels_last(encoder, recipe.device)
    task = EncoderTask(encoder, codec, recipe, validation, Teacher(recipe, run))
    task.learn_costs(training.images[:_FITTED])
    train(task, Batches(training, len(run.classes), recipe), recipe, run)
    eval_mode(encoder)
    graph = encoder_graph(encoder)
    arrays = codec.arrays | {
        f"{modelfile.SMALL_ENCODER}.onnx": as_tensor(graph),
        f"{modelfile.INT8_SMALL_ENCODER}.onnx": as_tensor(int8_graph(graph, training.images)),
    }
    modelfile.write_model(run.output, arrays, replace(codec.manifest, small=run.recipe))


class EncoderTask(Task):
    """Every image of a batch is learned at a level of its own."""

    def __init__(
        self,
        encoder: Encoder,
        codec: Model,
        settings: SmallEncoderRecipe,
        validation: Labelled,
        teacher: Teacher,
    ) -> None:
        self.model: Encoder = encoder
        self._codec = codec
        self._settings = settings
        self._teacher = teacher
        self._drawn = torch.tensor(settings.levels or range(LEVELS))
        self._prior = Prior(settings.latents, LEVELS, codec.manifest.groups).to(settings.device)
        if codec.manifest.channels != settings.latents:
            raise codecframe.MismatchError(
                f"codec {settings.codec!r} has {codec.manifest.channels} channels of latents, not "
                f"{settings.latents}"
            )
        arrays, device = codec.arrays, settings.device
        self._up, self._down, self._shifts = (
            torch.from_numpy(arrays[f"levels.{name}"]).to(device) for name in ("up", "down", "head")
        )
        self._head = channels_last(self._frozen_head(), device)
        self._seen = to_tensor(validation.images).to(device)
        self._targets = torch.from_numpy(validation.targets)
        self._known = [self._wanted(some) for some in self._seen.split(AT_ONCE)]

    def learn_costs(self, images: U8) -> None:
        """Fit the prior to what the codec's own encoder makes of images."""
        real = self._wanted(to_tensor(images).to(self._settings.device))
        optimizer = torch.optim.Adam(self._prior.parameters(), _RATE)
        for step in range(_STEPS):
            some = torch.randint(len(real), (_AT_A_STEP,), device=real.device)
            level = self._levels(len(some)).to(real.device)
            bits = self._prior.bits((real[some] * self._up_at(level)).round(), level)
            (bits.mean() / real[0].numel()).backward()
            optimizer.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS)
            optimizer.step()
            optimizer.zero_grad()
        self._prior.requires_grad_(False)

    def _levels(self, count: int) -> Tensor:
        """Levels to train at, (count,)."""
        return self._drawn[torch.randint(len(self._drawn), (count,))]

    def _up_at(self, level: Tensor) -> Tensor:
        """Steps in a unit of the latents, of each image, (n, C, 1, 1)."""
        return self._up[level][:, :, None, None]

    def _frozen_head(self) -> Head:
        """The codec's head, which lets gradients through and does not learn.

        Raises:
            MismatchError: if it is of other sizes, or of another kind.
        """
        codec, settings = self._codec, self._settings
        classes = len(codec.manifest.classes)
        wrong = codecframe.MismatchError(f"codec {settings.codec!r} has a head of another kind")
        try:
            widths = settings.head_widths(settings.latents, classes, LEVELS)
            head = stored.head(codec.graph("head"), widths)
        except (ValueError, KeyError, RuntimeError):
            raise wrong from None
        latents, shift = torch.randn(4, settings.latents, 8, 8), self._shifts[:1].cpu()
        inputs = {"latents": latents.numpy(), "shift": shift.expand(4, -1).numpy()}
        with torch.inference_mode():
            found = head(latents, shift).numpy()
        if not np.allclose(found, codec.run("head", inputs), atol=0.01 * np.abs(found).max()):
            raise wrong
        return head

    def origin(self) -> dict[str, str]:
        """Codec and teacher."""
        return {"codec": self._codec.manifest.digest, **self._teacher.origin()}

    def parts(self) -> list[Part]:
        """Kernels, and all else."""
        return network_parts(self.model, self._settings, 0.0)

    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean over the batch."""
        level = self._levels(len(images)).to(images.device)
        wanted, up = self._wanted(images), self._up_at(level)
        with autocast(self._settings.device):
            found = self.model(images)
        scaled = found * up
        rounded = scaled + (scaled.round() - scaled).detach()
        error = self._error((found - wanted) * up)
        most = self._prior.bits((wanted * up).round(), level).clamp(min=_LEAST_BITS)
        share = self._prior.bits(rounded, level) / most
        figures = {"error": float(error.detach().mean()), "bits": float(share.detach().mean())}
        error = error + self._settings.costs * (share - 1).relu()
        if progress < 1 - self._settings.judged:
            return error.mean(), figures
        with autocast(self._settings.device):
            logits = self._head(rounded * self._down[level][:, :, None, None], self._shifts[level])
        judged = self._teacher.loss(logits, images, targets)
        hits = (logits.argmax(1) == targets.argmax(1)).float()
        figures |= {"judged": float(judged.detach().mean()), "top1": 100 * float(hits.mean())}
        return (error + self._settings.weight * judged).mean(), figures

    def _wanted(self, images: Tensor) -> Tensor:
        """The latents of the codec's own encoder, (n, C, height, width)."""
        seen: U8 = images.permute(0, 2, 3, 1).cpu().numpy()
        return torch.from_numpy(np.stack(self._codec.analyse(list(seen)))).to(images.device)

    @staticmethod
    def _error(missed: Tensor) -> Tensor:
        """Of each image, (n,), for what is missed, in steps, (n, C, height, width)."""
        return (missed.square().mean((1, 2, 3)) + _ROUNDING).log()

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Error and top-1 in per cent at some levels; nothing without images."""
        if not len(self._targets):
            return {}
        self.model.eval()
        found = [self.model(some) for some in self._seen.split(AT_ONCE)]
        figures = {}
        for level in _SHOWN:
            up, down = (table[level][:, None, None] for table in (self._up, self._down))
            missed = [(f - w) * up for f, w in zip(found, self._known, strict=True)]
            errors = torch.cat([self._error(some) for some in missed])
            figures[f"val error at level {level}"] = float(errors.mean())
            with autocast(self._settings.device):
                shift = self._shifts[[level]]
                logits = (self._head((some * up).round() * down, shift) for some in found)
                figures[f"val top1 at level {level}"] = top1(logits, self._targets.numpy())
        return figures
