"""Training of the simple decoder, with encoder, tables and head as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

import codecframe
from codecframe_vae.networks.nets import LinearDecoder, SimpleDecoder, channels_last
from codecframe_vae.settings import LEVELS
from codecframe_vae.training.data import U8, to_tensor
from codecframe_vae.training.export import eval_mode
from codecframe_vae.training.ladder import F32, Ladder, real_latents
from codecframe_vae.training.precision import autocast
from codecframe_vae.training.recipes import LadderRecipe

_RATE = 2e-3
_PIXELS = 256_000
"""Of the images of a step, at most."""
_SQUARES = 30_000
"""That a linear decoder is fitted to, at most."""
_RIDGE = 1e-3


def train_decoder(
    ladder: Ladder,
    encoder: bytes,
    stride: int,
    recipe: LadderRecipe,
    images: U8,
    run: codecframe.TrainingRun,
) -> SimpleDecoder | LinearDecoder:
    """A decoder to pixels for every level: least squares, from latents as they are decoded."""
    torch.manual_seed(recipe.seed)
    latents = real_latents(encoder, images)
    if not recipe.decoder_epochs:
        return _linear(ladder, latents, stride, images)
    height, width = images.shape[1:3]
    decoder = SimpleDecoder(recipe.latents, LEVELS, recipe.decoder_width, stride)
    channels_last(decoder, recipe.device)
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
            wanted = torch.from_numpy(images[index.numpy()]).to(recipe.device).float()
            with autocast(recipe.device):
                made = decoder(z, decoder.shifts[level.to(recipe.device)])[:, :height, :width]
            loss = functional.mse_loss(made / 64, wanted / 64)
            rise, fall = min(1, 20 * (step + 1) / steps), 1 - step / steps
            optimizer.param_groups[0]["lr"] = _RATE * rise * fall
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            peak_to_noise = 10 * np.log10((255 / 64) ** 2 / float(loss.detach()))
            display.advance(1, f"decoder {peak_to_noise:.2f} dB")
    eval_mode(decoder)
    return decoder


def _linear(ladder: Ladder, latents: F32, stride: int, images: U8) -> LinearDecoder:
    """The linear decoder of least squared error at the middle level."""
    level = LEVELS // 2
    up, down = (table[level][:, None, None] for table in (ladder.up, ladder.down))
    decoded = ladder.contexts[level].clip(latents * up).astype(np.float32) * down
    rows, columns = latents.shape[2:]
    missing = [rows * stride - images.shape[1], columns * stride - images.shape[2]]
    padded = np.pad(images, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    squares = functional.pixel_unshuffle(to_tensor(padded).float() / 64 - 2, stride)
    around = functional.unfold(torch.from_numpy(decoded), 3, padding=1).transpose(1, 2)
    given = around.reshape(-1, around.shape[2])
    wanted = squares.flatten(2).transpose(1, 2).reshape(len(given), -1)
    step = max(1, len(given) // _SQUARES)
    given, wanted = given[::step], wanted[::step]
    centre = wanted.mean(0)
    moments = (given.T @ given).double()
    moments.diagonal().add_(_RIDGE * moments.diagonal().mean())
    best = torch.linalg.solve(moments, (given.T @ (wanted - centre)).double()).float()
    decoder = LinearDecoder(latents.shape[1], LEVELS, stride)
    with torch.no_grad():
        decoder.first.weight.copy_(best.T.reshape(decoder.first.weight.shape))
        decoder.shifts.copy_(centre.expand_as(decoder.shifts))
    eval_mode(decoder)
    return decoder
