"""What a camera gives up as its link gets narrow, in which order, and that it comes back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import toys

import codecframe
from codecframe import BudgetError
from codecframe.rate import Budget
from codecframe_serving.encoder import Choice, Encoder, Shot


class FineCodec(toys.ToyCodec):
    """A toy codec whose smallest encodings are large."""

    name = "fine"

    def encode_image(self, image: codecframe.Image, settings: toys.ToySettings) -> bytes:
        return super().encode_image(image, replace(settings, strength=max(settings.strength, 200)))


FINE = Choice(FineCodec(), toys.ToySettings())
TOY = Choice(toys.ToyCodec(), toys.ToySettings())
BUDGET = Budget.parse("200kbit/s@10fps")
WIDE = 200e3


def smallest(choice: Choice) -> int:
    data = choice.codec.encode(toys.picture(0), choice.settings.at_level(0))
    return len(choice.codec.strip(data))


def rate_of(size: float) -> float:
    """Bits a second that carry a payload of that many bytes in every frame."""
    return (size + 1 + 13) * 8 * 10


def encoded(encoder: Encoder, rate: float, start: float, frames: int = 20) -> Shot:
    """The last of some frames from `start` on, ten a second."""
    for number in range(frames):
        shot = encoder.encode(toys.picture(0), rate, start + number / 10)
    return shot


def test_first_the_knob_then_the_codec_then_the_frame_rate() -> None:
    encoder = Encoder([FINE, TOY], BUDGET, sparsest=4)
    wide, narrow = encoded(encoder, WIDE, 0), encoded(encoder, WIDE / 2, 2)
    assert wide.choice == narrow.choice == 0
    assert narrow.level < wide.level and len(narrow.payload) < len(wide.payload)
    assert encoded(encoder, rate_of(0.5 * smallest(FINE)), 4).choice == 1
    assert encoder.stride == 1
    encoded(encoder, rate_of(0.6 * smallest(TOY)), 6)
    assert encoder.stride == 2
    with pytest.raises(BudgetError):
        encoded(encoder, rate_of(-10), 8)
    assert encoder.stride == 4


def test_what_was_given_up_comes_back_stage_by_stage() -> None:
    encoder = Encoder([FINE, TOY], BUDGET, sparsest=4)
    with pytest.raises(BudgetError):
        encoded(encoder, 100.0, 0)
    seen = []
    for tick in range(400):
        shot = encoded(encoder, WIDE, tick / 10, 1)
        if (stage := (shot.choice, encoder.stride)) not in seen:
            seen.append(stage)
    assert seen == [(1, 4), (1, 2), (1, 1), (0, 1)]


def test_what_proves_too_early_is_tried_again_later() -> None:
    encoder = Encoder([FINE, TOY], BUDGET)
    tries: list[float] = []
    for tick in range(1000):
        encoded(encoder, rate_of(0.5 * smallest(FINE)), tick / 10, 1)
        if encoder.tries > len(tries):
            tries.append(tick / 10)
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert len(gaps) >= 3
    assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps))


def test_without_a_budget_settings_stay_as_they_are() -> None:
    shot = Encoder([TOY], None).encode(toys.picture(1), 1.0, 0.0)
    assert shot.level == TOY.settings.level
    restored = toys.ToyCodec().restore(shot.payload, TOY.settings, shot.shape)
    assert restored == toys.ToyCodec().encode(toys.picture(1), TOY.settings)
