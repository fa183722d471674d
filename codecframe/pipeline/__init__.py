"""A codec under a budget, joined to a head: one image, many files, whole data sets."""

from codecframe.pipeline.cascade import DeviceHead
from codecframe.pipeline.pipeline import (
    BATCH,
    Evaluation,
    Packet,
    Pipeline,
    counterpart,
    counterpart_remarks,
    counterparts,
    decode_for,
    join,
)

__all__ = [
    "BATCH",
    "DeviceHead",
    "Evaluation",
    "Packet",
    "Pipeline",
    "counterpart",
    "counterpart_remarks",
    "counterparts",
    "decode_for",
    "join",
]
