"""Whether a wrong preprocessing is found, and a right one left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toys import BrightnessHead, Item

import codecframe
from codecframe.core.preprocess import Preprocess
from codecframe.evaluation.headcheck import HeadCheck, alternatives, check_head
from codecframe_callable import CallableHead

COLOURS = np.array(
    [[0.2, 0.3, 0.7], [0.7, 0.3, 0.2], [0.8, 0.8, 0.7], [0.2, 0.2, 0.1], [0.5, 0.6, 0.4]]
)
"""What the classes look like, RGB, 0..1."""
RIGHT = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def classify(values: np.ndarray) -> np.ndarray:
    """The nearest colour, by the model's own idea of its input: ImageNet's mean and deviation."""
    colours = values.mean(axis=(2, 3)) * RIGHT["std"] + RIGHT["mean"]
    return -80 * ((colours[:, None] - COLOURS) ** 2).sum(axis=2)


def coloured(count: int, *, labelled: bool = True, broken: int = 0) -> list[Any]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        pixels = COLOURS[i % 5] * 255 + rng.normal(0, 12, 3) + rng.normal(0, 5, (12, 16, 3))
        image = pixels.clip(0, 255).astype(np.uint8)
        found.append(Item(f"{i}.png", image, i % 5 if labelled else None, i < broken))
    return found


def checked(preprocess: dict[str, Any], items: list[Any], **options: Any) -> HeadCheck:
    head = CallableHead(classify, preprocess={"resize": [16, 16], **preprocess}, name="colours")
    return check_head(head, items, **options)


WRONG = [
    {},
    {"scale": 1},
    {**RIGHT, "channels": "bgr"},
    {"mean": [0.5], "std": [0.5]},
    {**RIGHT, "scale": 1},
]


@pytest.mark.parametrize("preprocess", WRONG, ids=str)
def test_wrong_preprocessing_is_found_and_the_right_one_recommended(preprocess: Any) -> None:
    found = checked(preprocess, coloured(60))
    assert found.verdict == "implausible"
    assert found.described.accuracy < found.others[0].accuracy
    again = checked(found.recommended, coloured(60))
    assert again.verdict == "plausible" and again.described.accuracy > 0.9
    assert found.yaml().startswith("preprocess:\n")


def test_right_preprocessing_is_left_alone() -> None:
    for labelled in (True, False):
        found = checked(RIGHT, coloured(60, labelled=labelled))
        assert found.verdict == "plausible" and found.recommended is None and found.yaml() == ""
        assert found.labelled == labelled and found.images == 60


@pytest.mark.parametrize("preprocess", WRONG[1:3], ids=str)
def test_without_labels_another_is_no_more_than_better_by_its_predictions(preprocess: Any) -> None:
    found = checked(preprocess, coloured(60, labelled=False))
    assert found.verdict in {"doubtful", "plausible"}
    assert found.described.accuracy is None
    assert "labels would tell" in found.reason
    assert checked({"scale": 1}, coloured(60, labelled=False)).verdict == "doubtful"


def test_few_images_prove_nothing() -> None:
    assert checked(RIGHT, coloured(2)).verdict == "unclear"
    found = checked({"scale": 1}, coloured(10, labelled=False))
    assert found.verdict == "unclear" and found.recommended is None


def test_labels_of_other_classes_are_unclear() -> None:
    shuffled = [Item(one.name, one.image, i * 7 % 5) for i, one in enumerate(coloured(50))]
    moved = [
        Item(one.name, one.image, (one.target + i // 10) % 5) for i, one in enumerate(shuffled)
    ]
    found = checked(RIGHT, moved)
    assert found.verdict == "unclear" and "order of classes" in found.reason


def test_images_are_spread_and_what_cannot_be_read_is_told() -> None:
    found = checked(RIGHT, coloured(50, broken=3), limit=25)
    assert found.images == 23 and len(found.failed) == 2 and "0.png" in found.failed[0]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "images: no image found"),
        (coloured(2, broken=2), "0.png"),
        ([*coloured(2), *coloured(2, labelled=False)], "2 of 4 images have one"),
    ],
)
def test_sets_that_cannot_be_used_are_refused(items: list[Any], message: str) -> None:
    with pytest.raises(codecframe.DataError, match=message):
        checked(RIGHT, items)


def test_heads_without_preprocessing_as_data_are_refused() -> None:
    with pytest.raises(codecframe.MismatchError, match="nothing to check"):
        check_head(BrightnessHead(), coloured(2))
    with pytest.raises(codecframe.MismatchError, match="its own code"):
        check_head(CallableHead(lambda images: np.zeros((len(images), 3))), coloured(2))


def test_alternatives_differ_from_the_description_and_from_each_other() -> None:
    for preprocess in (Preprocess(), Preprocess.of(RIGHT), Preprocess(resize=256, crop=224)):
        tried = [str(made.changed()) for _, made in alternatives(preprocess)]
        assert len(tried) == len(set(tried)) and str(preprocess.changed()) not in tried
    lite = Preprocess(scale=1.0, mean=(127.0,), std=(128.0,))
    assert "-1..1, RGB" not in dict(alternatives(lite)), "it is that already"
    whole = dict(alternatives(Preprocess(dtype="uint8", resize=(8, 8))))
    assert list(whole) == ["BGR", "resized to 9, then cropped", "layout nhwc"]


def test_swapped_channels_keep_their_means() -> None:
    swapped = dict(alternatives(Preprocess.of(RIGHT)))["BGR"]
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    plain = Preprocess.of(RIGHT).batch([image])
    assert np.allclose(swapped.batch([image]), plain[:, ::-1], atol=1e-6)


def test_without_labels_two_classes_are_too_few() -> None:
    head = CallableHead(
        lambda values: values[:, 0].mean((1, 2)) - values[:, 2].mean((1, 2)),
        preprocess={"resize": [16, 16]},
        outputs="logits",
        name="red",
    )
    found = check_head(head, coloured(60, labelled=False))
    assert found.others[0].confidence > found.described.confidence + 0.2
    assert found.verdict == "unclear" and found.recommended is None
