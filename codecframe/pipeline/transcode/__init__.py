"""Whole data sets through a codec: folders of images and WebDataset shards, part by part.

    summary = transcode("photos/", "small/", "webp", budget="0.5bpp")

A data set is cut into parts, always the same ones; what becomes of a part depends on nothing else,
so that every engine makes the same bytes.
"""

from codecframe.pipeline.transcode.run import TranscodeSummary, run_work, transcode
from codecframe.pipeline.transcode.work import Report, Work

__all__ = ["Report", "TranscodeSummary", "Work", "run_work", "transcode"]
