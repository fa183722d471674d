"""The camera's own head: it answers what it is sure of, and then no more than the answer is sent.

From what confidence on is a number, or is found: all images travel at first, and what the server's
head says of them shows how far the camera's own can be trusted (`codecframe.sure_from`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codecframe import (
    BudgetError,
    CodecframeError,
    DeviceHead,
    Image,
    Keep,
    MismatchError,
    Outcomes,
    TaskHead,
    sure_from,
)
from codecframe_serving import answers
from codecframe_serving.answers import CLASSES
from codecframe_serving.protocol import MAX_LABEL, Label, Welcome

ENOUGH = 4
"""So many times the images that are needed, if nothing is lost on any, are compared."""


@dataclass(frozen=True)
class OwnAnswer:
    """What the camera's own head says of an image.

    Attributes:
        top: (class index, probability), likeliest first; empty of other tasks.
        said: what another task says, as the text of a JSON object.
        confidence: how sure the head is, from 0 to 1.
    """

    top: tuple[tuple[int, float], ...]
    said: str
    confidence: float

    def message(self, sequence: int) -> bytes:
        """What is sent in place of the image."""
        return Label(sequence, self.top[:1], self.said).pack()


class OwnHead:
    """The camera's own head.

    Args:
        device: the head, and from what confidence on it answers.
        top: classes of an answer.
        keep: what share of the server's predictions must be kept: the confidence is then found on
            the first images, and that of `device` is not used.
        remark: told what was found.
    """

    def __init__(
        self,
        device: DeviceHead,
        top: int = 1,
        keep: Keep | None = None,
        remark: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._device, self._top, self._keep, self._remark = device, top, keep, remark
        self.sure = device.sure if keep is None else math.inf
        self._needed = 0 if keep is None else ENOUGH * keep.images_needed()
        self._compared: list[tuple[float, float]] = []
        self._failed = False

    @property
    def head(self) -> TaskHead:
        """The head itself."""
        return self._device.head

    @property
    def compares(self) -> bool:
        """Whether images still travel to find out from what confidence on it may answer."""
        return len(self._compared) < self._needed

    def check(self, welcome: Welcome, url: str) -> None:
        """Whether its answers can stand for those of a server's head.

        Raises:
            MismatchError: if the server takes no answers of cameras, or its head says other things.
        """
        if not welcome.cascades:
            raise MismatchError(f"{url}: this server takes no answers of cameras")
        if welcome.task != self.head.task.name:
            raise MismatchError(f"{self.head.name} does {self.head.task.name}, not {welcome.task}")
        if self.head.labels and welcome.labels and tuple(self.head.labels) != welcome.labels:
            raise MismatchError(f"{self.head.name} and {welcome.head} have other classes")
        if self._keep is not None and welcome.task != CLASSES:
            raise MismatchError("answers of classifiers alone are compared: say a confidence, 0.9")

    def look(self, image: Image) -> OwnAnswer | None:
        """What it says of an image, sure or not; None where it fails: the image is then sent."""
        try:
            return self._seen(image)
        except CodecframeError as error:
            if not self._failed:  # once is enough to know
                self._failed = True
                self._remark(f"{self.head.name} fails, and images are sent instead: {error}")
            return None

    def _seen(self, image: Image) -> OwnAnswer:
        prediction = self._device.predict([image])
        confidence = float(self.head.confidence(prediction)[0])
        if self.head.task.name == CLASSES:
            top = answers.top(prediction, self._top)
            return OwnAnswer(tuple((one.index, one.probability) for one in top), "", confidence)
        said = answers.packed(answers.said(self.head, prediction))
        return OwnAnswer((), said, confidence)

    def is_sure(self, answer: OwnAnswer) -> bool:
        """Whether the image need not be sent: an answer that is too long is not."""
        return answer.confidence >= self.sure and len(answer.said) <= MAX_LABEL

    def compare(self, answer: OwnAnswer, theirs: int) -> None:
        """Take in what the server's head says of an image that travelled: its likeliest class."""
        if not self.compares or self._keep is None:
            return
        self._compared.append((answer.confidence, float(answer.top[0][0] == theirs)))
        if not self.compares:
            self._calibrate(self._keep)

    def _calibrate(self, keep: Keep) -> None:
        confidence, agreement = np.array(self._compared).T
        try:
            self.sure = sure_from(confidence, Outcomes(agreement), keep)
        except BudgetError:  # too few images, which were counted to be enough
            self.sure = math.inf
        here = confidence >= self.sure
        if not here.any():
            self._remark(f"{self.head.name} is not sure enough of any image: all are sent")
            return
        kept = np.where(here, agreement, 1.0).mean()
        self._remark(
            f"{self.head.name} answers by itself from a confidence of {self.sure:.6g} on: that is "
            f"{100 * here.mean():.1f} % of {len(here)} images, and {100 * kept:.1f} % of all are "
            f"seen as by the server ({keep.text} kept, {100 * keep.confidence:g} % sure)"
        )
