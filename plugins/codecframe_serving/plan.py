"""What a camera is told to do, and what it tells of each image."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from codecframe import Budget, DataError, DeviceHead, Keep, as_data_error
from codecframe_serving.encoder import Choice, has_pictures

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PATH = "/v1/stream"


@dataclass(frozen=True)
class Plan:
    """How images are sent.

    Attributes:
        url: of the server: http, https, ws or wss.
        choices: codecs with settings, the preferred first.
        budget: the link's, at most; None sends with the settings as they are.
        fps: images a second; None sends as fast as answers come.
        live: keep the frame rate and drop what the link cannot carry; otherwise images wait.
        token: what the server wants.
        top: classes of an answer.
        give_up: seconds without an answer, while one is due, after which sending ends; None tries
            for ever.
        tls: whom to trust; None for the system's choice.
        audit: the share of frames that is sent once more without loss, for the server to compare.
        promised: the share of them on which the head says the same, at least; None for no promise.
        keeps_pictures: bytes of images that are kept for a server that asks for their pictures; 0
            where it must not ask.
        device: the camera's own head, which answers what it is sure of; None: all images are sent.
        kept: the share of the server's predictions that must be kept: from what confidence on the
            own head answers is then found on the first images.
    """

    url: str
    choices: Sequence[Choice]
    budget: Budget | None = None
    fps: float | None = None
    live: bool = False
    token: str | None = None
    top: int = 1
    give_up: float | None = None
    tls: ssl.SSLContext | None = None
    audit: float = 0.0
    promised: float | None = None
    keeps_pictures: int = 0
    device: DeviceHead | None = None
    kept: Keep | None = None

    @property
    def wants_pictures(self) -> bool:
        """Whether picture layers may be sent."""
        return self.keeps_pictures > 0 or any(map(has_pictures, self.choices))

    @property
    def address(self) -> str:
        """The stream's WebSocket address.

        Raises:
            DataError: if the URL is none of a server.
        """
        # a port over 65535, a bracket that is not closed
        with as_data_error(self.url, ValueError, saying="is not an address"):
            parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
            port, host = parts.port, parts.hostname
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host or port == 0:
            raise DataError(self.url, "is not an address such as http://127.0.0.1:8000")
        path = parts.path if parts.path.strip("/") else _PATH
        return urlunsplit((scheme, parts.netloc, path, "", ""))


@dataclass(frozen=True)
class Outcome:
    """What became of an image, or of its picture layer.

    Attributes:
        name: the image's name.
        status: `ok`; `dropped` by the camera; `failed`, which sending again would not change.
        reason: why there is no prediction.
        top: (class index, label, probability), likeliest first.
        codec: the codec that it was sent with.
        level: the knob level.
        bytes: of the message that was sent.
        seconds: from sending to the answer.
        audits: whether it is an image that was sent once more, without loss.
        on_device: whether the camera's own head answered, and the image was not sent.
        layer: `task`; `picture` where it is about the picture layer, which has no prediction.
        prediction: in place of `top`, what a head of another task than classification says.
        words: the same in a line.
    """

    name: str
    status: str
    reason: str = ""
    top: tuple[tuple[int, str, float], ...] = ()
    codec: str = ""
    level: int = 0
    bytes: int = 0
    seconds: float = 0.0
    audits: bool = False
    on_device: bool = False
    layer: str = "task"
    prediction: Mapping[str, Any] | None = None
    words: str = ""

    def seen(self) -> str:
        """What the head saw, in a line."""
        classes = ", ".join(f"{label} {100 * p:.0f} %" for _, label, p in self.top)
        return self.words if self.prediction is not None else classes


@dataclass
class State:
    """What a live view shows. Pictures are counted apart from the images whose layers they are; of
    `ok`, so many were answered on the device.
    """

    connected: bool = False
    connections: int = 0
    rate: float = 0.0
    stride: int = 1
    flying: int = 0
    ok: int = 0
    failed: int = 0
    dropped: int = 0
    on_device: int = 0
    pictures_ok: int = 0
    pictures_failed: int = 0
    pictures_dropped: int = 0
    last: Outcome | None = None
