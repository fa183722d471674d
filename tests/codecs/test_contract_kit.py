"""The contract kit accepts a sound codec and head, and catches each kind of breakage."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from toys import BrightnessHead, ToyCodec, ToySettings

import codecframe
from codecframe.testing import CodecContract, HeadContract

SLACK = 0.1  # coarse steps that divide 256 give the toy codec more symbols than finer ones
CAUGHT = (AssertionError, ValueError, pytest.fail.Exception, codecframe.PluginError)


class TestToy(CodecContract):
    codec = ToyCodec()
    slack = SLACK
    settings_samples = (ToySettings(effort=1), ToySettings(effort=0))


class TestBrightness(HeadContract):
    head = BrightnessHead()


class Shouting(ToyCodec):
    name = "Toy!"


class Silent(ToyCodec):
    summary = ""


class Sideways(ToyCodec):
    def decode(self, data: bytes) -> codecframe.Image:
        return np.ascontiguousarray(super().decode(data).transpose(1, 0, 2))


class Floating(ToyCodec):
    def decode(self, data: bytes) -> Any:
        return super().decode(data).astype(np.float32)


class Mutable(ToyCodec):
    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> Any:
        return bytearray(super().encode_image(image, settings))


class Backwards(ToyCodec):
    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        return super().encode_image(image, settings.replace(strength=256 - settings.strength))


class Moody(ToyCodec):
    mood = itertools.count()

    def encode_image(self, image: codecframe.Image, settings: ToySettings) -> bytes:
        return super().encode_image(image, settings.replace(effort=next(self.mood) % 2))


class Shuffling(ToyCodec):
    def encode_images(
        self, images: Iterable[codecframe.Image], settings: ToySettings
    ) -> list[bytes]:
        return super().encode_images(images, settings)[::-1]


class Padding(ToyCodec):
    def strip(self, data: bytes) -> bytes:
        return data + b"padding"

    def restore(self, payload: bytes, settings: ToySettings, shape: codecframe.Shape) -> bytes:
        return payload[: -len(b"padding")]


class Forgetful(ToyCodec):
    def strip(self, data: bytes) -> bytes:
        return super().strip(data)[:-1]


class Fragile(ToyCodec):
    def restore(self, payload: bytes, settings: ToySettings, shape: codecframe.Shape) -> bytes:
        if len(payload) < 8:
            raise ValueError("too short")
        return super().restore(payload, settings, shape)


class Leaky(ToyCodec):
    def decode(self, data: bytes) -> codecframe.Image:
        if data[:4] != b"TOY1":
            raise ValueError("not mine")
        return super().decode(data)


class Trusting(ToyCodec):
    def decode(self, data: bytes) -> codecframe.Image:
        try:
            return super().decode(data)
        except codecframe.DataError:
            return np.zeros((1, 1, 3), np.uint8)


class Unlimited(ToyCodec):
    def decode(self, data: bytes) -> codecframe.Image:
        with codecframe.limit_pixels(10**9):
            return super().decode(data)


class Late(Unlimited):
    def decode(self, data: bytes) -> codecframe.Image:
        image = super().decode(data)
        codecframe.check_size(*image.shape[:2], self.name)
        return image


def contract(kind: type[ToyCodec]) -> CodecContract:
    class Contract(CodecContract):
        codec = kind()
        slack = SLACK

    return Contract()


SETTINGS, SHAPE = ToySettings(), (16, 9)
BREAKAGES: list[tuple[type[ToyCodec], Callable[[CodecContract], None]]] = [
    (Shouting, lambda kit: kit.test_describes_itself()),
    (Silent, lambda kit: kit.test_describes_itself()),
    (Sideways, lambda kit: kit.test_round_trip(SETTINGS, SHAPE)),
    (Floating, lambda kit: kit.test_round_trip(SETTINGS, SHAPE)),
    (Mutable, lambda kit: kit.test_round_trip(SETTINGS, SHAPE)),
    (Backwards, lambda kit: kit.test_fidelity_grows_with_level(SETTINGS)),
    (Backwards, lambda kit: kit.test_knob_is_monotone()),
    (Moody, lambda kit: kit.test_same_on_every_call_and_thread(SETTINGS)),
    (Shuffling, lambda kit: kit.test_many_is_a_loop(2)),
    (Padding, lambda kit: kit.test_payload_restores_exactly(SETTINGS, SHAPE)),
    (Forgetful, lambda kit: kit.test_payload_restores_exactly(SETTINGS, SHAPE)),
    (Fragile, lambda kit: kit.test_survives_damaged_payloads(SETTINGS)),
    (Leaky, lambda kit: kit.test_refuses_foreign_data("text")),
    (Leaky, lambda kit: kit.test_survives_damaged_data(SETTINGS)),
    (Trusting, lambda kit: kit.test_refuses_foreign_data("text")),
    (Trusting, lambda kit: kit.test_refuses_truncated_data(SETTINGS)),
    (Unlimited, lambda kit: kit.test_keeps_the_pixel_limit(SETTINGS)),
    (Late, lambda kit: kit.test_checks_the_limit_before_decoding()),
]


@pytest.mark.parametrize(("kind", "check"), BREAKAGES, ids=lambda item: item.__name__)
def test_catches(kind: type[ToyCodec], check: Callable[[CodecContract], None]) -> None:
    check(contract(ToyCodec))
    with pytest.raises(CAUGHT):
        check(contract(kind))


class Restless(BrightnessHead):
    seen = itertools.count()

    def predict(self, batch: Any) -> codecframe.Prediction:
        prediction = super().predict(batch)
        return codecframe.Prediction(prediction.scores + next(self.seen), prediction.labels)


class Greedy(BrightnessHead):
    """Normalises over the batch."""

    def predict(self, batch: Any) -> codecframe.Prediction:
        prediction = super().predict(batch)
        scores = prediction.scores - prediction.scores.mean() if len(batch) else prediction.scores
        return codecframe.Prediction(scores, prediction.labels)


class Shrinking(BrightnessHead):
    def prepare(self, image: codecframe.Image) -> codecframe.Image:
        return image[: max(1, len(image) // 2)].copy()


class Mislabelled(BrightnessHead):
    def target_of(self, label: str) -> Any:
        return 0


class OneColumn(BrightnessHead):
    labels = ()

    def predict(self, batch: Any) -> codecframe.Prediction:
        return codecframe.Prediction(super().predict(batch).scores[:, :1])


class Spelt(BrightnessHead):
    labels: Any = "shades of grey"


class Talkative(BrightnessHead):
    def details(self) -> dict[str, Any]:
        return {"labels": np.arange(3)}


class Odds(codecframe.ClassifierHead):
    """Gives probabilities, and insists that they are logits."""

    def __init__(self) -> None:
        super().__init__("odds", outputs="logits")

    def run(self, values: Any) -> Any:
        shade = values.mean(axis=(1, 2, 3)).reshape(-1, 1)
        return np.concatenate([shade, 1 - shade], axis=1)


def head_contract(kind: type[BrightnessHead]) -> HeadContract:
    class Contract(HeadContract):
        head = kind()

    return Contract()


HEAD_BREAKAGES: list[tuple[type[BrightnessHead], Callable[[HeadContract], None]]] = [
    (Restless, lambda kit: kit.test_predicts_the_same_again()),
    (Greedy, lambda kit: kit.test_batch_size_changes_nothing(2)),
    (Shrinking, lambda kit: kit.test_prepares_once()),
    (Shrinking, lambda kit: kit.test_prepares_what_it_is_given()),
    (Mislabelled, lambda kit: kit.test_knows_its_labels()),
    (OneColumn, lambda kit: kit.test_has_classes_to_choose_from()),
    (Spelt, lambda kit: kit.test_its_labels_are_names()),
    (Talkative, lambda kit: kit.test_its_details_are_plain_data()),
]


@pytest.mark.parametrize(("kind", "check"), HEAD_BREAKAGES, ids=lambda item: item.__name__)
def test_catches_in_heads(
    kind: type[BrightnessHead], check: Callable[[HeadContract], None]
) -> None:
    check(head_contract(BrightnessHead))
    with pytest.raises(CAUGHT):
        check(head_contract(kind))


def test_catches_probabilities_that_are_taken_for_logits() -> None:
    class Contract(HeadContract):
        head = Odds()

    Contract().test_predicts_the_same_again()
    with pytest.raises(CAUGHT):
        Contract().test_says_what_its_outputs_are()
