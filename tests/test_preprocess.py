from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from toys import picture

import codecframe
from codecframe.core.preprocess import IMAGENET, INTERPOLATIONS, Preprocess


def usual(image: np.ndarray, resize: int, crop: int, method: PilImage.Resampling) -> np.ndarray:
    """Resize the short side, cut from the centre: ImageNet evaluation, one step after the other."""
    height, width = image.shape[:2]
    short = min(height, width)
    size = (int(resize * width / short), int(resize * height / short))
    resized = PilImage.fromarray(image).resize(size, method)
    left, top = (round((side - crop) / 2.0) for side in resized.size)
    return np.asarray(resized.crop((left, top, left + crop, top + crop)))


@pytest.mark.parametrize("name", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(90, 120), (121, 64), (64, 64), (40, 201)])
def test_resize_and_crop_as_imagenet_evaluation_does(name: str, shape: tuple[int, int]) -> None:
    image = picture(1, *shape)
    found = Preprocess(resize=64, crop=48, interpolation=name).geometry(image)
    expected = usual(image, 64, 48, PilImage.Resampling[name.upper()])
    assert np.array_equal(found, expected)


def test_values_are_scaled_then_normalised_for_each_channel() -> None:
    images = [picture(seed, 224, 224) for seed in range(3)]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((np.stack(images) / 255 - mean) / std).transpose(0, 3, 1, 2)
    found = IMAGENET.batch(images)
    assert found.dtype == np.float32 and found.flags["C_CONTIGUOUS"]
    assert np.allclose(found, expected, atol=1e-6)


def test_layout_and_channel_order() -> None:
    image = picture(2, 8, 6)
    planar = Preprocess(scale=1).batch([image])
    assert planar.shape == (1, 3, 8, 6)
    assert np.array_equal(planar[0].transpose(1, 2, 0), image)
    turned = Preprocess(scale=1, layout="nhwc", channels="bgr").batch([image])
    assert np.array_equal(turned[0], image[:, :, ::-1])


def test_normalisation_follows_the_channel_order() -> None:
    image = np.dstack([np.full((4, 4), value, np.uint8) for value in (10, 20, 30)])
    found = Preprocess(scale=1, mean=(30, 20, 10), channels="bgr", layout="nhwc").batch([image])
    assert not found.any()


def test_uint8_passes_pixels_on() -> None:
    image = picture(3, 5, 7)
    found = Preprocess(dtype="uint8", layout="nhwc", mean=(9.0,)).batch([image])
    assert found.dtype == np.uint8 and np.array_equal(found[0], image)


def test_images_smaller_than_the_crop_have_their_edges_repeated() -> None:
    image = picture(4, 2, 3)
    found = Preprocess(crop=(6, 3)).geometry(image)
    assert found.shape == (6, 3, 3)
    assert np.array_equal(found[2:4], image)
    assert (found[:2] == image[0]).all() and (found[4:] == image[1]).all()


def test_a_long_thin_image_takes_no_more_memory_than_the_crop_needs() -> None:
    image = np.zeros((1, 60_000, 3), np.uint8)
    image[:, 29_990:30_010] = 200
    with codecframe.limit_pixels(4_000_000):
        found = Preprocess(resize=256, crop=224).geometry(image)
    assert found.shape == (224, 224, 3) and found.mean() == 200


def test_enlarging_beyond_the_pixel_limit_is_refused() -> None:
    with codecframe.limit_pixels(10_000), pytest.raises(codecframe.LimitError, match="limit"):
        Preprocess(resize=101).geometry(picture(5, 50, 50))


def test_images_of_different_sizes_make_no_batch() -> None:
    with pytest.raises(codecframe.MismatchError, match="2 sizes"):
        Preprocess().batch([picture(0, 8, 8), picture(1, 8, 9)])


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    resize=st.none() | st.integers(1, 80) | st.tuples(st.integers(1, 80), st.integers(1, 80)),
    crop=st.none() | st.integers(1, 80) | st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_geometry_is_idempotent_and_keeps_its_word(
    height: int, width: int, resize: Any, crop: Any
) -> None:
    preprocess = Preprocess(resize=resize, crop=crop)
    once = preprocess.geometry(picture(height, height, width))
    assert codecframe.check_image(once) is not None
    assert preprocess.final_shape in (None, once.shape[:2])
    assert np.array_equal(preprocess.geometry(once), once)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"resize": 0}, "resize"),
        ({"resize": [1, 2, 3]}, "resize"),
        ({"crop": "big"}, "crop"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"mean": [1, 2]}, "mean"),
        ({"mean": ["red", 0, 0]}, "mean"),
        ({"std": [1, 0, 1]}, "std"),
        ({"std": [float("nan")]}, "std"),
        ({"layout": "chw"}, "layout"),
        ({"dtype": "float64"}, "dtype"),
        ({"size": 224}, "size"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], field: str) -> None:
    with pytest.raises(codecframe.SettingsError, match=field):
        Preprocess.of(values)


def test_round_trip_through_plain_data() -> None:
    assert Preprocess.of(IMAGENET.to_dict()) == IMAGENET
    assert Preprocess.of(None) == Preprocess()
    assert Preprocess.of(IMAGENET) is IMAGENET


def test_a_model_completes_what_the_user_left_out() -> None:
    found = Preprocess.for_input(None, (32, 48), layout="nhwc")
    assert found.final_shape == (32, 48) and found.layout == "nhwc"
    found = Preprocess.for_input({"resize": 256}, (224, 224))
    assert (found.resize, found.crop) == (256, (224, 224))
    assert Preprocess.for_input(IMAGENET, None) == IMAGENET
    with pytest.raises(codecframe.MismatchError, match=r"224x224.*32x32"):
        Preprocess.for_input(IMAGENET, (32, 32))
