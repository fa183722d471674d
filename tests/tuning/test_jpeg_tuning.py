"""JPEG tuned for a head that looks at one frequency only: its coefficient must get the bits."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
from PIL import Image as PilImage

import codecframe
from codecframe.core.head import Batch
from codecframe.images import ImageItem
from codecframe.rate import Accounting, Budget
from codecframe.testing import natural_image
from codecframe.tuning import Objective, tune
from codecframe.tuning.search import searchable
from codecframe_jpeg.allocation import STEPS, Coefficients, Curves, Tally, allocate
from codecframe_jpeg.coefficients import gradients, pattern, transformed
from codecframe_jpeg.settings import JpegSettings
from codecframe_jpeg.tables import ZIGZAG
from codecframe_jpeg.tuning import Tuner

torch = pytest.importorskip("torch")

BUDGET = Budget(1.0, "bpp", "mean")
PLACE = 5 * 8 + 3
"""What the head looks at: the fifth vertical and third horizontal frequency of luma."""
WAVE = pattern((32, 32), 0x22, 0, ZIGZAG.index(PLACE))[0]


class WaveHead(codecframe.TaskHead):
    """Tells the sign of one frequency; knows nothing of derivatives."""

    name = "wave"
    labels = ("valley", "hill")

    def predict(self, batch: Batch) -> codecframe.Prediction:
        score = np.array([float((image * WAVE).mean()) for image in batch], np.float32)
        return codecframe.Prediction(np.stack([-score, score], 1), self.labels)


class WaveModule(torch.nn.Module):
    """The same, as a module."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        wave = torch.from_numpy(WAVE).permute(2, 0, 1)
        score = (255 * values * wave).mean((1, 2, 3))
        return torch.stack([-score, score], 1)


def module_head() -> codecframe.TaskHead:
    from codecframe_torch.head import TorchHead

    return TorchHead(WaveModule(), labels=WaveHead.labels)


@cache
def images(count: int) -> list[ImageItem]:
    found = []
    for seed in range(count):
        sign = 1 if seed // 2 % 2 else -1
        picture = np.clip(natural_image(32, 32, seed=seed) * 0.8 + 20 + sign * 40 * WAVE, 0, 255)
        found.append(ImageItem(f"{seed}", int(sign > 0), picture.astype(np.uint8).copy))
    return found


@pytest.mark.parametrize("head", [WaveHead, module_head])
def test_tables_at_a_lower_resolution(head: Callable[[], codecframe.TaskHead]) -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [item.read() for item in images(24)]
    targets = [item.target for item in images(24)]
    objective = Objective(head(), pictures, targets, BUDGET, Accounting.PAYLOAD)
    base = jpeg.settings_type(scale=0.75)
    scores = list(jpeg.tune(base, objective, trials=3, seed=0, slowest=1e9))
    assert {score.settings.scale for score in scores} == {0.75}
    assert min(score.loss for score in scores[1:]) < scores[0].loss


def test_with_tables_of_its_own_full_resolution_is_tried_again() -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [item.read() for item in images(24)]
    targets = [item.target for item in images(24)]
    objective = Objective(module_head(), pictures, targets, BUDGET, Accounting.PAYLOAD)
    base = jpeg.settings_type(scale=0.5, subsampling="4:4:4")
    scores = list(jpeg.tune(base, objective, trials=6, seed=0, slowest=1e9))
    assert min(scores, key=lambda score: score.loss).settings.scale == 1.0
    assert {score.settings.subsampling for score in scores} == {"4:4:4", "4:2:0"}


def test_where_time_is_short_only_quantisation_tables_are_made() -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [item.read() for item in images(24)]
    targets = [item.target for item in images(24)]
    objective = Objective(module_head(), pictures, targets, BUDGET, Accounting.PAYLOAD)
    scores = list(jpeg.tune(jpeg.settings_type(), objective, trials=8, seed=0, slowest=0.0))
    assert all(s.settings.huffman is None and not s.settings.deadzone for s in scores)
    assert min(score.loss for score in scores[1:]) < scores[0].loss


@pytest.mark.parametrize("encoder", ["pillow", "cjpeg"])
def test_for_other_encoders_tables_alone_are_made(encoder: str) -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [item.read() for item in images(24)]
    targets = [item.target for item in images(24)]
    objective = Objective(module_head(), pictures, targets, BUDGET, Accounting.PAYLOAD)
    scores = list(
        jpeg.tune(
            jpeg.settings_type(), objective, trials=6, seed=0, slowest=1e9,
            lacking=jpeg.encoders[encoder],
        )
    )  # fmt: skip
    assert all(jpeg.adapted(s.settings, encoder) == s.settings for s in scores)
    assert min(score.loss for score in scores[1:]) < scores[0].loss


def test_arithmetic_coding_stays_where_it_was_asked_for() -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [item.read() for item in images(24)]
    targets = [item.target for item in images(24)]
    objective = Objective(WaveHead(), pictures, targets, BUDGET, Accounting.PAYLOAD)
    base = jpeg.settings_type(arithmetic=True)
    scores = list(jpeg.tune(base, objective, trials=9, seed=0, slowest=1e9))
    assert all(score.settings.arithmetic and not score.settings.huffman for score in scores)
    assert min(score.loss for score in scores[1:]) < scores[0].loss


@pytest.mark.parametrize("head", [WaveHead, module_head])
def test_the_coefficient_that_counts_gets_the_finest_step(
    head: Callable[[], codecframe.TaskHead],
) -> None:
    jpeg = codecframe.get_codec("jpeg")
    # without labels: what is lost can only do harm, while with them it may help by chance
    unlabelled = [replace(item, target=None) for item in images(48)]
    found = tune(
        jpeg, head(), unlabelled, BUDGET, Accounting.PAYLOAD,
        base=jpeg.settings_type(), trials=8, most_time=1e9,
    )  # fmt: skip
    assert found.improved
    held = found.preset.scored["held-out"]
    assert held["tuned"]["loss"] < 0.8 * held["default"]["loss"]
    settings = jpeg.settings_type.from_dict(found.preset.settings)
    luma = settings.scaled_tables[0]
    assert luma[PLACE] < np.median(luma) / 4
    image = images(48)[1].read()
    data = jpeg.encode(image, settings)
    with PilImage.open(io.BytesIO(data)) as plain:
        assert np.abs(np.asarray(plain, int) - jpeg.decode(data)).max() <= 2


def test_gradients_are_derivatives() -> None:
    """Through a head's preprocessing, against differences."""
    from codecframe_torch.head import TorchHead

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(784, 5)
    )
    head = TorchHead(
        module, preprocess={"channels": "bgr", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.1, 0.3]}
    )
    picture = natural_image(16, 16, seed=3)
    targets = np.eye(5, dtype=np.float32)[[2]]
    found = head.pixel_gradients([picture], targets)
    assert found is not None
    (slope,) = found
    assert slope.shape == picture.shape

    def loss(values: np.ndarray) -> float:
        return float(head.loss(head.predict([values]), [2])[0])

    rng = np.random.default_rng(0)
    for y, x, c in rng.integers(0, (16, 16, 3), (20, 3)):
        up, down = picture.copy(), picture.copy()
        up[y, x, c], down[y, x, c] = min(255, picture[y, x, c] + 2), max(0, picture[y, x, c] - 2)
        step = int(up[y, x, c]) - int(down[y, x, c])
        assert (loss(up) - loss(down)) / step == pytest.approx(slope[y, x, c], rel=0.1, abs=2e-4)


def test_a_head_of_numpy_has_no_gradients() -> None:
    picture = natural_image(32, 32)
    assert WaveHead().pixel_gradients([picture], np.ones((1, 2), np.float32)) is None
    labelled = Objective(WaveHead(), [picture], [1], BUDGET, Accounting.PAYLOAD)
    assert labelled.gradients([picture]) is None


@pytest.mark.parametrize("sampling", [0x11, 0x21, 0x22])
def test_coefficient_gradients_are_the_adjoint_of_decoding(sampling: int) -> None:
    """<gradient, pattern of a coefficient> is the derivative with respect to it."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(1, 24, 40, 3)).astype(np.float32)
    found = gradients(pixels, sampling)
    for table, place in ((0, 0), (0, 17), (1, 3), (1, 63)):
        wave, _ = pattern((24, 40), sampling, table, place)
        slopes = [found[0]] if table == 0 else found[1:]
        by_blocks = sum(float((_signs(s.shape[1:3]) * s[0, ..., place]).sum()) for s in slopes)
        assert by_blocks == pytest.approx(float((pixels[0] * wave).sum()), rel=1e-3, abs=1e-3)


def _signs(shape: tuple[int, int]) -> np.ndarray:
    return 1 - 2 * (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 2)


def tabulated(coefficients: Coefficients) -> Curves:
    tally = Tally(deadzone=0.0)
    tally.add(coefficients)
    return tally.curves()


def test_allocation_spends_what_it_may_and_where_it_counts() -> None:
    rng = np.random.default_rng(0)
    values = rng.laplace(0, 40, (4000, 64)).astype(np.float32)
    fisher = np.ones((4000, 64), np.float32)
    fisher[:, 10] = 100
    curves = [tabulated(Coefficients(values, fisher, 10))]
    bits = []
    for wanted in (20_000, 60_000, 100_000):
        (table,) = allocate(curves, wanted)
        steps = np.array(table)[ZIGZAG]
        at = np.abs(STEPS[None] - steps[:, None]).argmin(axis=1)
        bits.append(float(curves[0].bits[np.arange(64), at].sum()))
        assert steps[10] < 0.4 * np.median(np.delete(steps, 10))
    assert bits == pytest.approx([20_000, 60_000, 100_000], rel=0.1)


def test_bits_are_about_those_of_real_files() -> None:
    jpeg = codecframe.get_codec("jpeg")
    pictures = [natural_image(64, 64, seed=i) for i in range(12)]
    settings = jpeg.settings_type(quality=40, optimize=True)
    stack = np.stack(pictures)
    luma, *chroma = (c.reshape(-1, 64) for c in transformed(stack, settings.layout.sampling))
    parts = (luma, np.concatenate(chroma))
    about = 0.0
    for table, values in zip(settings.scaled_tables, parts, strict=True):
        curves = tabulated(Coefficients(values, np.ones_like(values), 12))
        steps = np.array(table)[ZIGZAG]
        at = np.abs(STEPS[None] - steps[:, None]).argmin(axis=1)
        about += float(curves.bits[np.arange(64), at].sum())
    real = np.mean([8 * len(jpeg.encode(p, settings)) for p in pictures]) - 8 * 330  # headers
    assert about == pytest.approx(real, rel=0.3)


def test_whatever_the_search_sets_goes_together() -> None:
    ends = {
        field.name: field.option.choices or (field.option.low, field.option.high)
        for field in searchable(JpegSettings)
    }
    assert {"subsampling", "scale"} <= set(ends)
    for values in product(*ends.values()):
        JpegSettings(**dict(zip(ends, values, strict=True)))


def test_a_head_without_derivatives_is_tried_once_for_a_resolution() -> None:
    looked = []

    class Counting(WaveHead):
        def predict(self, batch: Batch) -> codecframe.Prediction:
            looked.append(len(batch))
            return super().predict(batch)

    def looks(trials: int) -> int:
        shown = [item.read() for item in images(16)]
        targets = [item.target for item in images(16)]
        objective = Objective(Counting(), shown, targets, BUDGET, Accounting.PAYLOAD)
        looked.clear()
        jpeg = codecframe.get_codec("jpeg")
        list(islice(Tuner(jpeg, objective).scores(JpegSettings()), trials))
        return len(looked)

    first, after = looks(2), looks(7)
    assert first > 256  # both signs of 128 coefficients
    assert after - first < 256
