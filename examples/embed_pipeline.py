"""codecframe inside a program: a camera and a server with a thin link between them.

The camera sends a level byte and a payload for each frame; the server rebuilds the file and
classifies it. Both ends make their pipeline from the same description, which travels once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator

from codecframe import Image, Packet, Pipeline, read_image
from codecframe.evaluation.demo import installed_photos

DESCRIPTION = json.dumps(
    {
        "codec": "webp",
        "head": "efficientnet-lite0",
        "settings": {"method": 4},
        "budget": "64kbit/s@4fps",
    }
)
HEADER = struct.Struct(">BHHH")
"""Level, height, width, length of the payload."""


def camera(frames: Iterable[Image], description: str) -> Iterator[bytes]:
    """Messages for frames; at most what the link and its send buffer carry."""
    pipeline = Pipeline(**json.loads(description))
    for frame in frames:
        packet = pipeline.transmit(frame)
        yield HEADER.pack(packet.level, *packet.shape, len(packet.payload)) + packet.payload


def server(messages: Iterable[bytes], description: str) -> Iterator[tuple[int, str, float]]:
    """(bytes, label, probability) of each message."""
    pipeline = Pipeline(**json.loads(description))
    for message in messages:
        level, height, width, length = HEADER.unpack_from(message)
        payload = message[HEADER.size : HEADER.size + length]
        top = pipeline.classify([Packet(level, payload, (height, width))]).top(1)[0][0]
        yield len(message), top.label, top.probability


def main() -> None:
    """Send the photographs that installed packages ship."""
    photos = installed_photos()
    messages = camera((read_image(photo) for photo in photos), DESCRIPTION)
    for photo, (size, label, probability) in zip(
        photos, server(messages, DESCRIPTION), strict=True
    ):
        print(f"{photo.name:20} {size:5} bytes  {label} ({probability:.0%})")


if __name__ == "__main__":
    main()
