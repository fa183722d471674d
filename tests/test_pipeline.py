from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from toys import BrightnessHead, ToyCodec, ToySettings, picture, toy_registry

from codecframe import BudgetError, DataError, LatentSpace, MismatchError
from codecframe.pipeline import Packet, Pipeline

IMAGES = [picture(seed) for seed in range(20)]
HEAD = BrightnessHead()
TARGETS = HEAD.predict(IMAGES).scores.argmax(axis=1).tolist()


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


@pytest.mark.parametrize("budget", [None, "4bpp"])
def test_both_ends_of_a_link_see_what_the_pipeline_sees(budget: str | None) -> None:
    sender = Pipeline("toy", "brightness", budget=budget)
    packets = [sender.transmit(image) for image in IMAGES]
    receiver = Pipeline("toy", "brightness", budget=budget)
    datas = [receiver.receive(packet) for packet in packets]
    seen = HEAD.predict([ToyCodec().decode(data) for data in datas]).scores
    assert np.array_equal(receiver.classify(packets).scores, seen)
    if budget is None:
        assert np.array_equal(sender.predict(IMAGES).scores, seen)
    for packet, image in zip(packets, IMAGES, strict=True):
        data = receiver.receive(packet)
        assert ToyCodec().decode(data).shape == image.shape
        if budget:
            assert len(packet.payload) + 1 <= 48 * 40 * 4 / 8


def test_evaluation_counts_real_bytes_and_scores() -> None:
    found = Pipeline("toy", HEAD, settings={"strength": 250}).evaluate(IMAGES, TARGETS)
    codec, settings = ToyCodec(), ToySettings(strength=250)
    sizes = [len(codec.strip(codec.encode(image, settings))) for image in IMAGES]
    assert found.n == 20
    assert found.bytes_per_image == pytest.approx(np.mean(sizes))
    assert found.bpp == pytest.approx(8 * np.mean(sizes) / (48 * 40))
    assert found.low <= found.score <= found.high
    assert found.to_dict()["accounting"] == "payload"
    with pytest.raises(MismatchError, match="fewer targets"):
        Pipeline("toy", HEAD).evaluate(IMAGES, TARGETS[:-1])


def test_a_head_that_does_not_match_is_refused_with_both_sides_named() -> None:
    class Latent(BrightnessHead):
        name = "latent"
        accepts = LatentSpace("vae-1", 8, 4)

    with pytest.raises(MismatchError, match=r"'latent' accepts vae-1.*'toy' emits pixels"):
        Pipeline("toy", Latent())


def test_settings_of_another_codec_and_bad_packets_are_refused() -> None:
    pipeline = Pipeline("toy", HEAD, budget="4bpp")
    with pytest.raises(DataError, match="level"):
        pipeline.receive(Packet(255, b"", (48, 40)))
    with pytest.raises(DataError):
        pipeline.classify([Packet(3, b"garbage", (48, 40))])
    with pytest.raises(BudgetError, match="smallest"):
        Pipeline("toy", HEAD, budget="4B").predict(IMAGES)
    with pytest.raises(DataError, match="uint8"):
        pipeline.encode(np.zeros((4, 4), np.uint8))


def test_no_images_give_an_empty_prediction() -> None:
    assert len(Pipeline("toy", HEAD).predict([])) == 0
