"""Circles, squares and triangles drawn faintly over photographs, and a small detector of them."""

from codecframe.evaluation.shapes.files import DETECTOR, write_scenes
from codecframe.evaluation.shapes.scenes import CLASSES, SIDE, Scene, cropped, draw_scene

__all__ = ["CLASSES", "DETECTOR", "SIDE", "Scene", "cropped", "draw_scene", "write_scenes"]
