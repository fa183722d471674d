"""Training of the simple decoder, with encoder, tables and head as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

import codecframe
from codecframe_vae.networks.nets import SimpleDecoder
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.export import eval_mode
from codecframe_vae.training.ladder import Ladder, real_latents
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.recipes import CodedRecipe

_RATE = 2e-3
_PIXELS = 256_000
"""Of the images of a step, at most."""


def train_decoder(
    ladder: Ladder,
    encoder: bytes,
    stride: int,
    recipe: CodedRecipe,
    images: U8,
    run: codecframe.TrainingRun,
) -> SimpleDecoder:
    """A decoder to pixels for every level: least squares, from latents as they are decoded."""
    torch.manual_seed(recipe.seed)
    latents = real_latents(encoder, images)
    height, width = images.shape[1:3]
    decoder = SimpleDecoder(recipe.latents, LEVELS, recipe.decoder_width, stride)
    decoder.to(recipe.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    real = torch.from_numpy(latents)
    up, down = torch.from_numpy(ladder.up), torch.from_numpy(ladder.down)
    limits = [context.arrays.limit.astype(np.float32) for context in ladder.contexts]
    limit = torch.from_numpy(np.stack(limits))
    optimizer = torch.optim.Adam(decoder.parameters(), _RATE, betas=(0.9, 0.98))
    size = min(max(_PIXELS // (height * width), 1), len(images))
    steps = recipe.decoder_epochs * (len(images) // size)
    with run.progress(steps) as display:
        for step in range(steps):
            index = torch.randint(0, len(images), (size,))
            level = torch.randint(0, LEVELS, (size,))
            bound = limit[level][:, :, None, None]
            q = (real[index] * up[level][:, :, None, None]).round().clamp(-bound, bound)
            z = (q * down[level][:, :, None, None]).to(recipe.device)
            wanted = to_tensor(images[index.numpy()]).to(recipe.device).float()
            with autocast(recipe.device):
                made = decoder(z, decoder.shifts[level.to(recipe.device)])[:, :, :height, :width]
            loss = functional.mse_loss(made / 64, wanted / 64)
            rise, fall = min(1, 20 * (step + 1) / steps), 1 - step / steps
            optimizer.param_groups[0]["lr"] = _RATE * rise * fall
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            peak_to_noise = 10 * np.log10((255 / 64) ** 2 / float(loss.detach()))
            display.advance(1, f"decoder {peak_to_noise:.2f} dB")
    eval_mode(decoder)
    return decoder
