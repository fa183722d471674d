"""`Compress` in Hugging Face datasets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.integrations.huggingface import Compress
from codecframe.testing import natural_image

IMAGES = [natural_image(40, 48, seed=i) for i in range(6)]


def pictures() -> list[Any]:
    return [PilImage.fromarray(image) for image in IMAGES]


def test_images_come_out_as_of_the_codec_with_their_sizes() -> None:
    jpeg = codecframe.get_codec("jpeg")
    settings = jpeg.settings_type(quality=25)
    made = Compress("jpeg:quality=25")({"image": pictures()})
    for image, result, size in zip(IMAGES, made["image"], made["bytes"], strict=True):
        data = jpeg.encode(image, settings)
        assert np.array_equal(np.asarray(result), jpeg.decode(data))
        assert size == len(jpeg.strip(data))


def test_entries_may_be_encoded_or_arrays(tmp_path: Path) -> None:
    file = io.BytesIO()
    pictures()[0].save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    entries = [
        IMAGES[0],
        IMAGES[0].tolist(),
        {"bytes": file.getvalue(), "path": None},
        {"bytes": None, "path": str(tmp_path / "a.png")},
    ]
    made = Compress("png", sizes="")({"image": entries})
    assert list(made) == ["image"]
    assert all(np.array_equal(np.asarray(image), IMAGES[0]) for image in made["image"])


def test_draws_depend_on_seed_and_image_and_not_on_batches() -> None:
    function = Compress(("jpeg", "webp"), knob=(5, 90))
    whole = function({"image": pictures()})["bytes"]
    parts = [function({"image": [picture]})["bytes"][0] for picture in pictures()]
    assert whole == parts
    assert whole != Compress(("jpeg", "webp"), knob=(5, 90), seed=1)({"image": pictures()})["bytes"]


def test_what_is_no_image_is_refused() -> None:
    for wrong in ("x", 7, {"bytes": None, "path": None}, {"bytes": b"rubbish"}):
        with pytest.raises(codecframe.DataError):
            Compress()({"image": [wrong]})


def test_none_stays_none() -> None:
    made = Compress("png")({"image": [None, *pictures()[:1]]})
    assert made["image"][0] is None and made["bytes"][0] is None
    assert np.array_equal(np.asarray(made["image"][1]), IMAGES[0])


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(codecframe.DataError, match=r"no column 'image'; it has photo, label"):
        Compress()({"photo": pictures(), "label": [0] * 6})


@pytest.mark.parametrize(
    "entry",
    [PilImage.fromarray(IMAGES[0]), IMAGES[0], IMAGES[0].tolist(), None],
    ids=["pillow", "array", "lists", "none"],
)
def test_one_example_gives_one_result(entry: Any) -> None:
    made = Compress("png")({"image": entry, "label": 3})
    if entry is None:
        assert made == {"image": None, "bytes": None}
    else:
        assert np.array_equal(np.asarray(made["image"]), IMAGES[0]) and made["bytes"] > 0


@pytest.mark.parametrize(
    "array",
    [
        np.full((8, 8, 3), 0.5, np.float32),
        np.full((8, 8, 3), 40000, np.uint16),
        np.full((8, 8, 3), -100, np.int16),
        np.full((8, 8, 3), 300.0),
        np.full((8, 8, 3), True),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_are_never_cast(array: Any) -> None:
    for entry in (array, array.tolist()):
        with pytest.raises(codecframe.DataError, match="expected a uint8 array"):
            Compress("png")({"image": [entry]})


def test_a_dataset_is_mapped_one_by_one(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image()})
    stored = datasets.Dataset.from_dict({"image": [*pictures()[:2], None]}, features=features)
    made = stored.map(Compress("png"), batched=False)
    assert np.array_equal(np.asarray(made[1]["image"]), IMAGES[1])
    assert made[2]["image"] is None


def test_a_dataset_is_mapped_and_its_result_is_cached(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"image": pictures(), "label": list(range(6))}
    stored = datasets.Dataset.from_dict(columns, features=features)
    stored.save_to_disk(tmp_path / "stored")
    loaded = datasets.load_from_disk(tmp_path / "stored")
    function = Compress("webp", budget="1bpp")
    made = loaded.map(function, batched=True, batch_size=4)
    assert list(made["label"]) == columns["label"]
    assert max(made["bytes"]) <= 40 * 48 / 8
    assert made[0]["image"].size == (48, 40)
    again = loaded.map(Compress("webp", budget="1bpp"), batched=True, batch_size=4)
    assert again._fingerprint == made._fingerprint
    other = loaded.map(Compress("webp", budget="2bpp"), batched=True, batch_size=4)
    assert other._fingerprint != made._fingerprint
