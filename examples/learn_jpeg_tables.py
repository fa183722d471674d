"""Quantisation tables that suit a classifier, by gradients through JPEG.

The steps of both tables are parameters: they are made as coarse as the classifier allows. What
comes out are settings for a real encoder. `codecframe tune jpeg` does this job with more care.
"""

from __future__ import annotations

import numpy as np
import torch

import codecframe
from codecframe import Budget, fit_mean, read_image
from codecframe.evaluation.demo import installed_photos
from codecframe_jpeg import DifferentiableJpeg

SIDE, LAMBDA = 224, 2e-6
"""Pixels of a side, and what a bit costs, in nats of the classifier's divergence."""

head = codecframe.get_head("efficientnet-lite0")
assert isinstance(head, codecframe.ClassifierHead)
model = head.torch_model()
assert model is not None
factor, offset = (torch.from_numpy(v)[:, None, None] for v in head.preprocess.normalisation)


def log_probabilities(images: torch.Tensor) -> torch.Tensor:
    """What the classifier says of images from 0 to 1."""
    scores: torch.Tensor = head.log_probabilities(model(images * 255 * factor - offset))
    return scores


def measured(settings: codecframe.Settings) -> tuple[float, float]:
    """(mean bytes, mean divergence) of real encodes."""
    jpeg = codecframe.get_codec("jpeg")
    datas = jpeg.encode_many(photos, settings)
    said, wanted = head.predict(jpeg.decode_many(datas)), head.predict(photos)
    size = np.mean([len(jpeg.strip(data)) for data in datas])
    return float(size), float(head.divergence(said, wanted).mean())


photos = [head.prepare(read_image(str(path))) for path in installed_photos()]
images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255
with torch.no_grad():
    aim = log_probabilities(images)
jpeg = DifferentiableJpeg(codecframe.get_codec("jpeg").settings_type(quality=20), learned=True)
adam = torch.optim.Adam(jpeg.parameters(), 0.06)
for _ in range(12):
    decoded, bits = jpeg.coded(images)
    said = log_probabilities(decoded)
    divergence = (aim.exp() * (aim - said)).sum(1)
    loss = (divergence + LAMBDA * bits).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
learned = jpeg.settings()
size, divergence = measured(learned)
print(f"learned tables: {size:.0f} bytes, divergence {divergence:.3f}")
codec = codecframe.get_codec("jpeg")
usual = fit_mean(codec, codec.settings_type(), photos, Budget(size * 1.02, "bytes", "mean"))
size, divergence = measured(usual)
print(f"standard tables: {size:.0f} bytes, divergence {divergence:.3f}")
