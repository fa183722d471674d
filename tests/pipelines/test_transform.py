"""`CodecTransform` in torch pipelines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.testing import natural_image

torch = pytest.importorskip("torch")
from codecframe.integrations.torch import CodecTransform  # noqa: E402

JPEG = codecframe.get_codec("jpeg")
IMAGE = natural_image(40, 56, seed=1)


def after_jpeg(image: codecframe.Image, **settings: Any) -> codecframe.Image:
    return JPEG.decode(JPEG.encode(image, JPEG.settings_type(**settings)))


def test_every_kind_of_image_comes_back_as_it_is() -> None:
    transform = CodecTransform("jpeg:quality=30,subsampling=4:4:4")
    wanted = after_jpeg(IMAGE, quality=30, subsampling="4:4:4")
    tensor = torch.from_numpy(IMAGE).permute(2, 0, 1)
    assert np.array_equal(transform(IMAGE), wanted)
    picture = transform(PilImage.fromarray(IMAGE))
    assert isinstance(picture, PilImage.Image) and np.array_equal(np.asarray(picture), wanted)
    made = transform(tensor)
    assert made.dtype == torch.uint8 and np.array_equal(made.permute(1, 2, 0), wanted)
    for kind in (torch.float32, torch.float64):
        made = transform(tensor.to(kind) / 255)
        assert made.dtype == kind
        assert np.allclose(made.permute(1, 2, 0) * 255, wanted, atol=1e-3)
    batch = transform(torch.stack([tensor, tensor.flip(2)]))
    assert batch.shape == (2, 3, 40, 56) and np.array_equal(batch[0], made.mul(255).round())
    assert len(transform.sizes) == 2
    grey = PilImage.fromarray(IMAGE).convert("L")
    assert transform(grey).mode == "RGB"


def test_a_budget_is_kept_for_every_image() -> None:
    transform = CodecTransform(["jpeg", "webp"], budget="1.2bpp")
    for seed in range(12):
        transform(natural_image(64, 64, seed=seed))
        assert transform.sizes[0] is not None and transform.sizes[0] <= 1.2 * 64 * 64 / 8


def test_rates_are_drawn_between_two_budgets() -> None:
    torch.manual_seed(0)
    transform = CodecTransform(budget=("200B", "1600B"))
    image = natural_image(96, 96, seed=2)
    sizes = [transform(image) is not None and transform.sizes[0] for _ in range(60)]
    assert 120 < min(sizes) < 300 and 1100 < max(sizes) <= 1600
    assert 400 < float(np.median(sizes)) < 760  # evenly over the logarithm


def test_the_knob_is_drawn_between_two_values() -> None:
    torch.manual_seed(0)
    transform = CodecTransform(knob=(10, 80))
    sizes = [transform(IMAGE) is not None and transform.sizes[0] for _ in range(40)]
    ends = [len(JPEG.strip(JPEG.encode(IMAGE, JPEG.settings_type(quality=q)))) for q in (10, 80)]
    assert ends[0] <= min(sizes) < max(sizes) <= ends[1]
    assert len(set(sizes)) > 10


def test_some_images_are_left_as_they_are() -> None:
    torch.manual_seed(0)
    transform = CodecTransform("jpeg:quality=20", p=0.3)
    same = sum(np.array_equal(transform(IMAGE), IMAGE) for _ in range(200))
    assert 110 < same < 170
    assert CodecTransform(p=0)(IMAGE) is not None


def test_torchs_seed_repeats_draws() -> None:
    transform = CodecTransform(["jpeg", "webp"], knob=(5, 60))

    def drawn(seed: int) -> list[Any]:
        torch.manual_seed(seed)
        return [transform(IMAGE) for _ in range(6)]

    assert all(np.array_equal(a, b) for a, b in zip(drawn(3), drawn(3), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(drawn(3), drawn(4), strict=True))


class Pictures(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.transform(IMAGE).copy())


def test_workers_of_a_loader_draw_for_themselves() -> None:
    loader = torch.utils.data.DataLoader(
        Pictures(CodecTransform(knob=(5, 90))), batch_size=4, num_workers=2
    )
    images = torch.cat(list(loader))
    assert len({image.numpy().tobytes() for image in images}) > 5


def test_it_is_pickled_without_its_codecs() -> None:
    transform = CodecTransform(["jpeg", "png"], budget="20kB")
    transform(IMAGE)
    again = pickle.loads(pickle.dumps(transform))
    assert again(IMAGE).shape == IMAGE.shape
    assert "jpeg" in repr(again) and "20kB" in repr(again)


@pytest.mark.parametrize(
    "arguments",
    [
        {"codecs": "jpag"},
        {"codecs": []},
        {"codecs": "jpeg:quality=900"},
        {"budget": "5lightyears"},
        {"budget": "9kbit/s@5fps"},
        {"budget": "1bpp", "knob": (1, 2)},
        {"codecs": "png", "knob": (1, 2)},
        {"knob": (1, 200)},
        {"p": 2.0},
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(codecframe.CodecframeError):
        CodecTransform(**arguments)


def test_what_is_no_image_is_refused() -> None:
    transform = CodecTransform()
    for wrong in ("x", torch.zeros(1, 8, 8), torch.zeros(3, 8, 8, dtype=torch.int32)):
        with pytest.raises(TypeError):
            transform(wrong)
    with pytest.raises(codecframe.DataError):
        transform(np.zeros((8, 8), np.uint8))
    with pytest.raises(codecframe.BudgetError):
        CodecTransform(budget="3B")(IMAGE)
