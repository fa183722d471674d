"""What a head sees in an image, as answers say it.

A classifier's answer has as many of the likeliest classes as were asked for. Other tasks say what
`Task.to_json` gives; places in it are in pixels of the image that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codecframe import (
    CodecframeError,
    MismatchError,
    Prediction,
    TaskHead,
    TaskPrediction,
    Top,
    UnknownNameError,
    get_task,
)
from codecframe_serving.protocol import MAX_SAID, printable

CLASSES = "classification"
"""The task whose answers are classes."""
_MOST_WORDS = 200
"""Characters of a line for people."""


def top(prediction: TaskPrediction, most: int) -> list[Top]:
    """A classifier's likeliest classes of one image, likeliest first.

    Raises:
        MismatchError: if it gave something else than scores of classes.
    """
    if not isinstance(prediction, Prediction):
        raise MismatchError("the head gave no scores of classes")
    return prediction.top(most)[0]


def said(head: TaskHead, prediction: TaskPrediction) -> dict[str, Any]:
    """What a head of any task says of one image, as plain data.

    Raises:
        MismatchError: if that is not plain data, or more than an answer may hold.
    """
    (found,) = head.task.to_json(prediction)
    packed(found)
    return found


def packed(found: Mapping[str, Any]) -> str:
    """Plain data as the JSON text of an answer.

    Raises:
        MismatchError: if it is not plain data, or more than an answer may hold.
    """
    try:
        text = json.dumps(found, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MismatchError(f"the head says what is not plain data: {error}") from None
    if len(text) > MAX_SAID:
        raise MismatchError(f"an answer of {len(text):,} bytes is more than {MAX_SAID:,}")
    return text


def printable_data(value: Any) -> Any:
    """Plain data of a stranger, with texts that can be shown in a terminal."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_data(one) for one in value]
    if isinstance(value, dict):
        return {printable(key): printable_data(one) for key, one in value.items()}
    return value


def words(task: str, found: Mapping[str, Any]) -> str:
    """What a head said, in a line; as JSON where its task is not installed here."""
    try:
        line = get_task(task).words(found)
    except UnknownNameError:
        line = json.dumps(found)
    except CodecframeError:
        line = "what its task does not say"
    return printable(line if len(line) <= _MOST_WORDS else line[: _MOST_WORDS - 1] + "…")
