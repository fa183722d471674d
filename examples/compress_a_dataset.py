"""A Hugging Face data set after a codec: what a classifier will see behind a link."""

from __future__ import annotations

from datasets import Dataset, Features, Image

from codecframe.evaluation.demo import installed_photos
from codecframe.integrations.huggingface import Compress

photos = Dataset.from_dict(
    {"image": [str(path) for path in installed_photos()]}, features=Features({"image": Image()})
)
small = photos.map(Compress("webp", budget="0.4bpp"), batched=True)
for row in small:
    width, height = row["image"].size
    print(f"{width}x{height}: {row['bytes']} bytes, {8 * row['bytes'] / width / height:.2f} bpp")
