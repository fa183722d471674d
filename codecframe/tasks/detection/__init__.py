"""Detection: boxes in images, found by heads and known from files."""

from codecframe.tasks.detection.boxes import Boxes, Detections
from codecframe.tasks.detection.task import DETECTION, Detection

__all__ = ["DETECTION", "Boxes", "Detection", "Detections"]
