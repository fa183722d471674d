"""JPEG as a torch module: what libjpeg would show, at about its size, with gradients that help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codecframe
from codecframe.evaluation.demo import installed_photos
from codecframe.images import read_image
from codecframe.testing import natural_image, psnr
from codecframe_jpeg.settings import JpegSettings

torch = pytest.importorskip("torch")
from codecframe_jpeg import DifferentiableJpeg  # noqa: E402

CODEC = codecframe.get_codec("jpeg")
TABLE = tuple(8 + 3 * (i % 8) + 2 * (i // 8) for i in range(64))


def photo() -> codecframe.Image:
    return np.ascontiguousarray(read_image(str(installed_photos()[0]))[:150, :210])


def tensor(image: codecframe.Image) -> Any:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def image_of(made: Any) -> codecframe.Image:
    return (made[0].permute(1, 2, 0).detach().numpy() * 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    "settings",
    [
        JpegSettings(quality=quality, subsampling=subsampling)
        for quality in (10, 50, 90)
        for subsampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0")
    ]
    + [JpegSettings(quality=50, qtables=(TABLE,)), JpegSettings(quality=40, deadzone=0.2)],
)
def test_is_what_a_decoder_shows_at_about_that_size(settings: JpegSettings) -> None:
    image = photo()
    data = CODEC.encode(image, settings)
    with torch.no_grad():
        made, bits = DifferentiableJpeg(settings).coded(tensor(image))
    assert psnr(image_of(made), CODEC.decode(data)) > 39
    assert float(bits[0]) == pytest.approx(8 * len(CODEC.strip(data)), rel=0.15)


def test_sides_need_be_no_multiples_of_anything() -> None:
    module = DifferentiableJpeg(JpegSettings(quality=60))
    for sides in ((1, 1), (9, 30), (16, 17)):
        image = natural_image(*sides, seed=1)
        assert module(tensor(image)).shape == (1, 3, *sides)


@pytest.mark.parametrize("rounding", ["cubic", "straight"])
def test_gradients_lower_a_loss(rounding: str) -> None:
    """An image is changed until what JPEG leaves of it is closer to another."""
    torch.manual_seed(0)
    module = DifferentiableJpeg(JpegSettings(quality=50), rounding=rounding)
    aim = tensor(natural_image(32, 32, seed=3))
    image = (aim + 0.1 * torch.randn_like(aim)).clamp(0, 1).requires_grad_()
    adam = torch.optim.Adam([image], 0.003)
    losses = []
    for _ in range(80):
        loss = (module(image) - aim).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_learned_steps_trade_fidelity_for_bits_and_a_real_encoder_takes_them() -> None:
    image = photo()
    given = tensor(image)
    module = DifferentiableJpeg(JpegSettings(quality=50), learned=True)
    assert [name for name, _ in module.named_parameters()] == ["log_steps"]
    adam = torch.optim.Adam(module.parameters(), 0.05)
    before = CODEC.encode(image, module.settings())
    for _ in range(30):
        made, bits = module.coded(given)
        loss = (made - given).square().mean() * 1e3 + bits.mean() / 2e3
        adam.zero_grad()
        loss.backward()
        assert torch.isfinite(module.log_steps.grad).all()
        adam.step()
    after = CODEC.encode(image, module.settings())
    assert len(CODEC.strip(after)) < 0.8 * len(CODEC.strip(before))
    made = image_of(module(given))
    assert psnr(made, CODEC.decode(after)) > 39


def test_what_has_no_gradients_is_refused() -> None:
    for settings in (JpegSettings(smoothing=10), JpegSettings(scale=0.5)):
        with pytest.raises(codecframe.SettingsError):
            DifferentiableJpeg(settings)
    with pytest.raises(codecframe.SettingsError, match="rounding"):
        DifferentiableJpeg(rounding="none")
    with pytest.raises(ValueError, match="float images"):
        DifferentiableJpeg()(torch.zeros(3, 8, 8))


def test_state_dict_has_the_steps_only() -> None:
    assert list(DifferentiableJpeg().state_dict()) == ["log_steps"]
