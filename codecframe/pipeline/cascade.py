"""A head on the device that answers what it is sure of, before anything crosses a link."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core import registry
from codecframe.core.classification import CLASSIFICATION
from codecframe.core.codec import Codec
from codecframe.core.errors import MismatchError, UsageError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.layers import LayeredSettings
from codecframe.core.representation import PIXELS

BoolArray = npt.NDArray[np.bool_]

SURE = 0.9
"""From what confidence on a head on the device answers, unless it is said."""
CLASS_BYTES = 4
"""Of a classifier's answer on a link: the class, and its probability."""


class DeviceHead:
    """A head on the device, which answers what it is sure of.

    It sees images as they are encoded, before that: those that another head looks at are brought
    to the geometry of that one first. A head of latents sees those that its codec makes at the
    lowest level.

    Args:
        head: a head, its name, or what `get_head` takes.
        sure: from what confidence on it answers by itself, see `TaskHead.confidence`; infinite:
            never.
        codec: what makes the latents that it takes; by default the installed codec that does.

    Raises:
        UsageError: if `sure` is negative or not a number.
        MismatchError: if the head takes latents that no codec makes.

    Examples:
        >>> device = cf.DeviceHead("photo_heads:brightness", sure=0.9)
        >>> seen, sure = device.answers([photo])
        >>> seen.top()[0][0].index, sure.tolist()
        (1, [True])
    """

    def __init__(
        self, head: TaskHead | str, sure: float = SURE, codec: Codec[Any] | None = None
    ) -> None:
        self.head = registry.default().head(head) if isinstance(head, str) else head
        self.sure = float(sure)
        if not self.sure >= 0:
            raise UsageError(f"{{sure}} is a confidence from 0 to 1, not {sure}")
        self._codec = None if self.head.accepts == PIXELS else self._maker(codec)

    def _maker(self, codec: Codec[Any] | None) -> Codec[Any]:
        """The codec whose latents the head takes."""
        known = registry.available(registry.default().codecs.values())
        found: Codec[Any]
        for found in filter(None, [codec, *known]):
            if self.head.accepts in found.emits:
                return found
        raise MismatchError(
            f"head {self.head.name!r} takes {self.head.accepts}, which no installed codec makes"
        )

    def check(self, fallback: TaskHead) -> None:
        """Whether its answers can stand for those of another head.

        Raises:
            MismatchError: if they are of another task, or have other classes.
        """
        ours, theirs = self.head, fallback
        if ours.task.name != theirs.task.name:
            raise MismatchError(
                f"{ours.name} does {ours.task.name}, {theirs.name} does {theirs.task.name}"
            )
        if ours.labels and theirs.labels and tuple(ours.labels) != tuple(theirs.labels):
            raise MismatchError(f"{ours.name} and {theirs.name} have other classes")

    def predict(self, images: Sequence[Image]) -> Any:
        """What the head says of images, sure or not: its task's prediction."""
        codec = self._codec
        if codec is None:
            return self.head.predict(images)
        settings = codec.settings()
        settings = settings.task_alone if isinstance(settings, LayeredSettings) else settings
        settings = settings.at_level(0)
        return self.head.predict(codec.decode_latents_many(codec.encode_many(images, settings)))

    def answers(self, images: Sequence[Image]) -> tuple[Any, BoolArray]:
        """What the head says of images, and of which of them it is sure, (images,)."""
        prediction = self.predict(images)
        return prediction, np.asarray(self.head.confidence(prediction) >= self.sure)

    def sizes(self, prediction: Any) -> list[int]:
        """Bytes of an answer on a link, for each image: `CLASS_BYTES`, or JSON of other tasks."""
        if self.head.task.name == CLASSIFICATION.name:
            return [CLASS_BYTES] * len(prediction)
        said = self.head.task.to_json(prediction)
        return [len(json.dumps(one, separators=(",", ":")).encode()) for one in said]
