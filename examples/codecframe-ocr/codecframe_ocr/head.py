"""RapidOCR: text is found, turned upright and read by three small models."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import Any, ClassVar

import codecframe
from codecframe import Image
from codecframe_ocr.task import TEXT, Line, Readings

_SETTINGS = {
    "det_limit_type": "max",  # images are not enlarged: that takes seconds and finds little more
    "det_limit_side_len": 960,
    "intra_op_num_threads": 1,
    "inter_op_num_threads": 1,
}


class RapidOcrHead(codecframe.TaskHead):
    """Chinese and English text; images of any size, read at 960 pixels a side at most."""

    name = "rapidocr"
    summary = "reads text, Chinese and English (RapidOCR)"
    task = TEXT
    requires: ClassVar[dict[str, str]] = {"rapidocr_onnxruntime": "codecframe-ocr[rapidocr]"}

    def __init__(self) -> None:
        self._lock = Lock()  # the engine keeps settings of a call in itself

    @cached_property
    def _engine(self) -> Any:
        from rapidocr_onnxruntime import RapidOCR

        return RapidOCR(**_SETTINGS)

    def predict(self, batch: Any) -> Readings:
        """The lines of each image."""
        with self._lock:
            return Readings(tuple(self._read(image) for image in batch))

    def _read(self, image: Image) -> tuple[Line, ...]:
        found, _ = self._engine(image[:, :, ::-1])  # it takes BGR
        return tuple(
            Line(text, float(score), tuple((float(x), float(y)) for x, y in corners))
            for corners, text, score in found or ()
        )
