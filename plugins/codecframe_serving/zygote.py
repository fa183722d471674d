"""Imported by the process that decoding processes are forked from: what all of them need, once."""

from PIL import Image as PilImage

from codecframe.core import registry
from codecframe_serving import sandbox

__all__ = ["sandbox"]

PilImage.init()
registry.default()
