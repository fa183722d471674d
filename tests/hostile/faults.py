"""What a watch must see: by the number in the file."""

from __future__ import annotations

import ctypes
import os
import random
import time
from pathlib import Path

from codecframe.core.errors import DataError

SEEDS = {random.Random(number).random(): number for number in range(10)}


def number_in(path: Path, rng: random.Random) -> None:
    """Write the number that the generator was made of."""
    path.write_text(str(SEEDS[rng.random()]))


def go_wrong(path: Path) -> None:
    """In the way that the file says."""
    match int(path.read_text()):
        case 0:
            raise DataError("this", "is refused, as it should be")
        case 1:
            raise ZeroDivisionError
        case 2:
            time.sleep(1000)
        case 3:
            os._exit(7)
        case 4:
            bytearray(200 << 20)[::4096] = b"x" * ((200 << 20) // 4096)
        case 5:
            os.write(2, b"a word of a library's")
        case 6:
            ends = time.process_time() + 0.5
            while time.process_time() < ends:
                pass
        case 7:
            for _ in range(9):
                ctypes.pythonapi.Py_DecRef(ctypes.py_object(None))
        case _:
            return
