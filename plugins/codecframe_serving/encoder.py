"""The camera's encoder: it follows the link's rate, and gives up things in a stated order.

Where a link gets narrow, first the rate controller lowers the knob. Where even the lowest level
does not fit, the next codec of the list is taken; after the last, every second frame is left out,
then three of four, and so on. Each of these is a stage. After a while in which all fitted, the
stage before is tried again; where that proves too early, the next try comes twice as late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codecframe import (
    Accounting,
    Budget,
    BudgetError,
    Codec,
    Image,
    LayeredSettings,
    Settings,
    StreamController,
)
from codecframe_serving.protocol import Frame

_OVERHEAD = 13
"""Bytes of a message beside the payload and its knob byte: of the frame, of WebSocket."""
_PAYBACK = 0.25
"""The share of the link that pays for what was sent besides frames."""
_PATIENCE = 4.0
_MOST_PATIENCE = 64.0
"""Seconds without trouble until the stage before is tried."""
_BUFFER_SECONDS = 0.5
"""Traffic that may be saved up for a costly frame."""


@dataclass(frozen=True)
class Choice:
    """A codec with its settings.

    Attributes:
        codec: the codec.
        settings: of frames.
        asked: the level of pictures that are asked for; None: what the budget leaves.
    """

    codec: Codec[Any]
    settings: Settings
    asked: int | None = None


@dataclass(frozen=True)
class Shot:
    """An encoded frame.

    Attributes:
        choice: index of the codec among the choices.
        level: knob level.
        payload: the encoding without what settings and shape determine.
        shape: (height, width).
        picture: the picture layer; None where there is none.
        picture_level: its level.
    """

    choice: int
    level: int
    payload: bytes
    shape: tuple[int, int]
    picture: bytes | None = None
    picture_level: int = 0

    def message(self, sequence: int) -> bytes:
        """What is sent."""
        return Frame(sequence, self.level, self.payload, self.shape).pack()


class Encoder:
    """Encodes frames one after the other.

    Args:
        choices: codecs with settings, the preferred first.
        budget: the link's; None encodes with the settings as they are.
        sparsest: at most so many frames are left out for one that is sent, plus one.
    """

    def __init__(
        self, choices: Sequence[Choice], budget: Budget | None, *, sparsest: int = 16
    ) -> None:
        self._choices = choices
        self._budget = budget
        strides = [1 << power for power in range(1, sparsest.bit_length())]
        last = len(choices) - 1
        self._stages = [(index, 1) for index in range(len(choices))] + [(last, s) for s in strides]
        self._stage = 0
        self._patience = _PATIENCE
        self._changed = 0.0
        self._trying = False
        self._debt = 0.0
        self.tries = 0
        """How often a stage before was tried again."""
        self._controllers = (
            None if budget is None else [_controller(choice, budget) for choice in choices]
        )

    @property
    def stride(self) -> int:
        """One of so many frames is sent."""
        return self._stages[self._stage][1]

    @property
    def owes(self) -> bool:
        """Whether what was sent besides frames is not paid for yet."""
        return self._debt > 0

    def spend(self, size: int) -> None:
        """Bytes of a message were sent besides frames: those that follow pay for them."""
        if self._budget is not None:
            self._debt += size + _OVERHEAD

    def encode(self, image: Image, rate: float, now: float) -> Shot:
        """Encode the next frame for a link that carries `rate` bits a second.

        Raises:
            BudgetError: if it fits at no stage; says how small it gets at the last.
        """
        self._try_better(now)
        while True:
            try:
                return self._encode(image, rate)
            except BudgetError:
                if not self._worse(now):
                    raise

    def _encode(self, image: Image, rate: float) -> Shot:
        index, stride = self._stages[self._stage]
        choice = self._choices[index]
        if self._controllers is None or self._budget is None:
            data, settings = choice.codec.encode(image, choice.settings), choice.settings
        else:
            fps = (self._budget.fps or 1.0) / stride
            paid = self._pay(rate / 8 / fps)
            messages = 2 if has_pictures(choice) else 1
            bits = max(rate - 8 * (messages * _OVERHEAD + paid) * fps, 1.0)
            self._controllers[index].follow(Budget(bits, "bits/s", "link", fps))
            found = self._controllers[index].encode(image)
            data, settings = found.data, found.settings
        shape = image.shape[0], image.shape[1]
        layers = choice.codec.strip_layers(data)
        picture = settings.picture_level if isinstance(settings, LayeredSettings) else None
        return Shot(index, settings.level, layers.task, shape, layers.picture, picture or 0)

    def _pay(self, allowance: float) -> float:
        """Of a frame's allowance, what goes for what was sent besides frames."""
        paid = min(_PAYBACK * allowance, self._debt)
        self._debt -= paid
        return paid

    def skip(self, image: Image, size: int, rate: float) -> None:
        """A message of `size` bytes is sent in place of the next frame; see `encode`."""
        if self._controllers is None or self._budget is None:
            return
        index, stride = self._stages[self._stage]
        paid = self._pay(rate / 8 / (self._budget.fps or 1.0) * stride)
        self._controllers[index].skip(image.shape[:2], size + _OVERHEAD + paid)

    def spare(self, index: int) -> float:
        """Bytes that the budget leaves at this moment, on top of the next frame's allowance, for
        one of the codecs; infinite without a budget.
        """
        return float("inf") if self._controllers is None else self._controllers[index].saved

    def spend_saved(self, index: int, size: int) -> None:
        """Bytes of a message were sent besides frames that were saved up before."""
        if self._controllers is not None:
            self._controllers[index].spend(size)

    def _try_better(self, now: float) -> None:
        if self._stage and now - self._changed >= self._patience:
            self._stage -= 1
            self._changed, self._trying = now, True
            self.tries += 1

    def _worse(self, now: float) -> bool:
        """Go to the next stage; returns whether there is one."""
        if self._stage + 1 == len(self._stages):
            return False
        early = self._trying and now - self._changed < self._patience
        self._patience = min(self._patience * 2, _MOST_PATIENCE) if early else _PATIENCE
        self._stage += 1
        self._changed, self._trying = now, False
        return True


def has_pictures(choice: Choice) -> bool:
    """Whether frames of a codec have picture layers."""
    settings = choice.settings
    return isinstance(settings, LayeredSettings) and settings.task_alone != settings


def _controller(choice: Choice, budget: Budget) -> StreamController:
    depth = budget.amount / 8 * _BUFFER_SECONDS
    return StreamController(choice.codec, choice.settings, budget, Accounting.PAYLOAD, depth=depth)
