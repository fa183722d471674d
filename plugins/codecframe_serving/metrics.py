"""What a server counts, for Prometheus. Clients choose no label, so their number is bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from codecframe_serving.protocol import Status

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus's text format; older releases of its client have no name for it."""
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


_AUDIT = {
    "frames": "Frames that also came without loss.",
    "estimate": "Share of the last of them on which the head says the same.",
    "low": "The lower end of its 95 % interval.",
    "high": "The upper end of its 95 % interval.",
    "promised": "The share that was promised; not a number where none was.",
    "drift": "1 once less is kept than was promised, for sure.",
}


def _figure(audit: Callable[[], dict[str, Any] | None], key: str) -> float:
    """One of the audit's figures; not a number where there is none, and no frames before any."""
    found = (audit() or {"frames": 0, "drift": False}).get(key)
    return math.nan if found is None else float(found)


class Metrics:
    """Counters of one server.

    Args:
        waiting: says how many images wait for their batch.
        clients: says how many clients are served.
        audit: what the frames say that also came without loss, as `Audit.state` does.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        clients: Callable[[], int],
        audit: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self._images = counter(
            "codecframe_images",
            "Images that came, by what became of them.",
            ("transport", "status"),
        )
        self._bytes = counter(
            "codecframe_payload_bytes",
            "Bytes of images that came, by codec; `file` for those without one.",
            ("codec",),
        )
        self._seconds = histogram(
            "codecframe_answer_seconds",
            "From an image's arrival to its prediction.",
            ("transport",),
            buckets=_SECONDS,
        )
        self._batches = histogram(
            "codecframe_batch_images", "Images of one call of the head.", buckets=_BATCHES
        )
        self._labels = counter(
            "codecframe_device_answers",
            "Answers of cameras' own heads, whose images are not sent, by what became of them.",
            ("status",),
        )
        self._label_bytes = counter("codecframe_device_answer_bytes", "Bytes of these.")
        self._pictures = counter(
            "codecframe_pictures", "Picture layers that came, by what became of them.", ("status",)
        )
        self._picture_bytes = counter("codecframe_picture_bytes", "Bytes of picture layers.")
        self._asked = counter("codecframe_pictures_asked", "Pictures that cameras were asked for.")
        self._refused = counter("codecframe_refused", "Clients not let in.", ("reason",))
        self._gauge("codecframe_waiting_images", "Images that wait for their batch.", waiting)
        self._gauge("codecframe_clients", "Streams and requests that are served.", clients)
        for key, help_ in _AUDIT.items():
            self._gauge(f"codecframe_audit_{key}", help_, partial(_figure, audit, key))
        ProcessCollector(registry=self._registry)

    def _gauge(self, name: str, help: str, value: Callable[[], float]) -> None:
        Gauge(name, help, registry=self._registry).set_function(value)

    def came(self, codec: str | None, size: int) -> None:
        """An image of `size` bytes came; `codec` is the server's own name of it."""
        self._bytes.labels(codec or "file").inc(size)

    def answered(self, transport: str, status: Status, seconds: float) -> None:
        """An image was answered, by `stream` or `http`."""
        self._images.labels(transport, status.name.lower()).inc()
        if status is Status.OK:
            self._seconds.labels(transport).observe(seconds)

    def labelled(self, status: Status, size: int) -> None:
        """A camera answered by itself, in a message of `size` bytes."""
        self._labels.labels(status.name.lower()).inc()
        self._label_bytes.inc(size)

    def called(self, images: int) -> None:
        """The head was called with so many images."""
        self._batches.observe(images)

    def asked(self) -> None:
        """A camera was asked for a picture."""
        self._asked.inc()

    def picture(self, status: str, size: int) -> None:
        """A picture layer of `size` bytes came, or what was asked for is not kept any more."""
        self._pictures.labels(status).inc()
        self._picture_bytes.inc(size)

    def refused(self, reason: str) -> None:
        """A client was not let in."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)
