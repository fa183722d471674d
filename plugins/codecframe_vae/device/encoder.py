"""Reference encoder of a learned codec: needs Python, numpy and onnxruntime, and nothing else.

It makes the same bytes as codecframe, and is written to be ported: plain integers, and loops where
order matters. The page "The payload of a learned codec" of codecframe's documentation defines the
format; vectors.json has payloads to test a port with.

    python encoder.py photo.ppm > photo.cfv
    python encoder.py photo.ppm --level 4 > photo.cfv
    python encoder.py photo.ppm --bytes 2000 > photo.cfv
    python encoder.py photo.ppm --small > photo.cfv      (where there is a small encoder)

Images are as the classifier wants them: `geometry` in manifest.json says how large.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

Array = npt.NDArray[Any]
Level = dict[str, Array]
TYPES = {"uint8": "u1", "int8": "i1", "uint16": "<u2", "float32": "<f4"}


class Encoder:
    """An encoder in a folder that `codecframe export --device` wrote."""

    def __init__(self, folder: str | Path = ".", int8: bool = True, small: bool = False) -> None:
        folder = Path(folder)
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        tables = (folder / self.manifest["tables"]).read_bytes()
        self.levels = [read_level(tables, level) for level in self.manifest["levels"]]
        networks = self.manifest["encoders"]
        size = "small " if small else ""
        exact = networks[f"{size}float32"]
        name = networks.get(f"{size}int8", exact) if int8 else exact
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / name), options, providers=["CPUExecutionProvider"]
        )

    def encode(self, image: Array, level: int) -> bytes:
        """The encoding of an image, uint8, (height, width, 3), at a level."""
        latents = self.quantise(self.analyse(image), level)
        return self.header(image, level) + self.payload(latents, level)

    def encode_within(self, image: Array, limit: int) -> bytes:
        """The encoding at the highest level that is at most `limit` bytes long.

        Sizes grow with levels: the search halves the levels that are left, and begins where the
        mean rate of a level promises so many bytes. Where the lowest level is too large, latents
        are left out from the end of the coding order.
        """
        room = limit - len(self.header(image, 0))
        if room < 0:
            raise ValueError("the header alone is longer")
        real = self.analyse(image)
        pixels = image.shape[0] * image.shape[1]
        rates = self.manifest["rates"]
        low, high, found, wanted = -1, len(rates), None, 8 * room / pixels
        while high - low > 1:
            guess = sum(rate <= wanted for rate in rates) - 1
            level = min(max(guess, low + 1), high - 1)
            payload = self.payload(self.quantise(real, level), level)
            if len(payload) <= room:
                low, found = level, payload
            else:
                high = level
            wanted = rates[level] * room / max(len(payload), 1)
        if found is None:
            found = self.cut_off(self.quantise(real, 0), room)
        return self.header(image, max(low, 0)) + found

    def cut_off(self, latents: Array, room: int) -> bytes:
        """The payload at level 0 of as many latents, first in coding order, as fit."""
        order = list(coding_order(self.manifest["groups"], self.levels[0], latents.shape))
        low, high, found = 0, latents.size, b""
        while high - low > 1:
            middle = (low + high) // 2
            kept = np.zeros_like(latents)
            for _, place in order[:middle]:
                kept[place] = latents[place]
            payload = self.payload(kept, 0)
            if len(payload) <= room:
                low, found = middle, payload
            else:
                high = middle
        return found

    def header(self, image: Array, level: int) -> bytes:
        """15 bytes: what a payload needs to be decoded by itself."""
        space = bytes.fromhex(self.manifest["space"][:12])
        return struct.pack(">4s6sBHH", b"cfv1", space, level, image.shape[0], image.shape[1])

    # -- latents --------------------------------------------------------------------------

    def analyse(self, image: Array) -> Array:
        """What the network makes of an image: float32, (channels, rows, columns)."""
        stride = self.manifest["stride"]
        if self.manifest["filled"]:  # repeat the last row and column up to whole squares
            below, right = -image.shape[0] % stride, -image.shape[1] % stride
            image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        height, width = image.shape[:2]
        rows, columns = -(-height // stride), -(-width // stride)
        whole = np.empty((self.manifest["channels"], rows, columns), np.float32)
        for top, first_row, last_row, bottom in self.spans(height):
            for left, first_column, last_column, right in self.spans(width):
                part = image[None, top:bottom, left:right]
                made = self.session.run(None, {"images": part})[0][0]
                y, x = first_row // stride, first_column // stride
                end_y, end_x = -(-last_row // stride), -(-last_column // stride)
                own_y, own_x = top // stride, left // stride
                whole[:, y:end_y, x:end_x] = made[
                    :, y - own_y : end_y - own_y, x - own_x : end_x - own_x
                ]
        return whole

    def spans(self, side: int) -> list[tuple[int, int, int, int]]:
        """Large images pass in tiles that overlap: (first seen, first kept, end kept, end seen)."""
        tile, halo = self.manifest["tile"], self.manifest["halo"]
        if side <= tile + 2 * halo:
            return [(0, 0, side, side)]
        return [
            (max(at - halo, 0), at, min(at + tile, side), min(at + tile + halo, side))
            for at in range(0, side, tile)
        ]

    def quantise(self, real: Array, level: int) -> Array:
        """Integers, int8, (channels, rows, columns): times a gain, rounded (halves to the even
        neighbour), within the channel's limit.
        """
        tables = self.levels[level]
        limit = tables["limit"].astype(np.float32)[:, None, None]
        scaled = np.rint(real * tables["up"][:, None, None])
        latents: Array = np.clip(scaled, -limit, limit).astype(np.int8)
        return latents

    # -- bytes ----------------------------------------------------------------------------

    def payload(self, latents: Array, level: int) -> bytes:
        """Latents, entropy-coded."""
        tables = self.levels[level]
        weight = tables["weight"].astype(np.int32)
        frequency = tables["frequency"].astype(np.int64)
        start = np.cumsum(frequency, axis=1) - frequency
        per = self.manifest["channels"] // self.manifest["groups"]
        padded = np.pad(latents.astype(np.int32), ((0, 0), (1, 1), (1, 1)))
        coder = RangeCoder()
        for phase, (channel, y, x) in coding_order(self.manifest["groups"], tables, latents.shape):
            first = channel // per * per  # the first channel of the group
            around = padded[:, y : y + 3, x : x + 3].reshape(len(latents), 9)
            predicted = int((weight[phase, channel, :first] * around[:first]).sum())
            if phase == 1:  # the four neighbours at the sides in the own group are coded already
                own = weight[1, channel, first : first + per, 1::2]
                predicted += int((own * around[first : first + per, 1::2]).sum())
            at = min(max(predicted >> int(tables["shift"][0]), -128), 127) + 128
            row = tables["row"][phase, channel, tables["lut"][phase, channel, at]]
            value = int(latents[channel, y, x])
            symbol = -2 * value - 1 if value < 0 else 2 * value
            coder.encode(int(start[row, symbol]), int(frequency[row, symbol]))
        return coder.finish()


def coding_order(
    groups: int, tables: Level, shape: tuple[int, ...]
) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """(phase, (channel, y, x)) of each latent that is sent, in order: groups of channels; in each
    the even squares of a checkerboard, then the odd ones; row by row; the group's channels.
    """
    channels, rows, columns = shape
    per = channels // groups
    for first in range(0, channels, per):
        sent = [c for c in range(first, first + per) if tables["limit"][c]]
        for phase in (0, 1):
            for y in range(rows):
                for x in range((y + phase) % 2, columns, 2):
                    for channel in sent:
                        yield phase, (channel, y, x)


class RangeCoder:
    """Narrows an interval of 48 bits; 16 bits are written whenever it is narrower than 32."""

    def __init__(self) -> None:
        self.low, self.width = 0, 1 << 48
        self.digits: list[int] = []

    def encode(self, start: int, frequency: int) -> None:
        """One symbol. Frequencies of a table sum to 2 ** 14, those of earlier symbols to start."""
        self.width >>= 14
        self.low += self.width * start
        self.width *= frequency
        if self.width < 1 << 32:
            self.digits.append(self.low >> 32)  # up to 17 bits: its carry is added at the end
            self.low = (self.low & 0xFFFFFFFF) << 16
            self.width <<= 16

    def finish(self) -> bytes:
        """The shortest bytes within the interval, when zeros are read past their end."""
        tail = self.low
        for zeros in range(8, 49, 8):
            rounded = (self.low + (1 << zeros) - 1) >> zeros << zeros
            if rounded < self.low + self.width:
                tail = rounded
        carry = tail >> 48
        end = (tail & (1 << 48) - 1).to_bytes(6, "big")
        begin = []
        for digit in reversed(self.digits):
            carry, written = divmod(digit + carry, 1 << 16)
            begin.append(written.to_bytes(2, "big"))
        return (b"".join(reversed(begin)) + end).rstrip(b"\0")


def read_level(tables: bytes, level: dict[str, Any]) -> Level:
    """The arrays of a level, by name: `manifest.json` has types, shapes and offsets."""
    arrays = {}
    for name, said in level.items():
        kind, count = np.dtype(TYPES[said["type"]]), int(np.prod(said["shape"]))
        flat = np.frombuffer(tables, kind, count, said["offset"])
        arrays[name] = flat.reshape(said["shape"])
    return arrays


def read_ppm(path: str) -> Array:
    """A binary PPM (P6) of 8 bits: uint8, (height, width, 3)."""
    data = Path(path).read_bytes()
    fields: list[bytes] = []
    at = 0
    while len(fields) < 4:
        end = at
        while not data[end : end + 1].isspace():
            end += 1
        if data[at : at + 1] == b"#":
            end = data.index(b"\n", at)
        elif end > at:
            fields.append(data[at:end])
        at = end + 1
    if fields[0] != b"P6" or fields[3] != b"255":
        raise SystemExit(f"{path} is not a binary PPM of 8 bits")
    width, height = int(fields[1]), int(fields[2])
    return np.frombuffer(data, np.uint8, height * width * 3, at).reshape(height, width, 3)


def main(arguments: list[str]) -> None:
    """The command line."""
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit(__doc__)
    encoder = Encoder(
        Path(__file__).parent, int8="--float" not in arguments, small="--small" in arguments
    )
    image = read_ppm(arguments[0])
    if "--bytes" in arguments:
        limit = int(arguments[arguments.index("--bytes") + 1])
        data = encoder.encode_within(image, limit)
    else:
        level = int(arguments[arguments.index("--level") + 1]) if "--level" in arguments else 10
        data = encoder.encode(image, level)
    sys.stdout.buffer.write(data)


if __name__ == "__main__":
    main(sys.argv[1:])
