"""The classifier that a codec is made for, and images as it looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import nn

import codecframe
from codecframe import Shape
from codecframe_vae.bottleneck.photos import prepared
from codecframe_vae.training.data import Labelled
from codecframe_vae.training.digests import network_digest

Images = Sequence[codecframe.LabelledImage]

Head = codecframe.ClassifierHead | codecframe.ModelHead[Any]


def origin_of(head: Head, module: nn.Module) -> dict[str, str]:
    """Digest of the head: weights, preprocessing, classes."""
    read = (
        head.options().outputs if isinstance(head, codecframe.ClassifierHead) else head.described()
    )
    said = head.preprocess.to_dict(), list(head.labels), read
    return {"head": network_digest(module, *said)}


def classifier(head: codecframe.TaskHead) -> codecframe.ClassifierHead:
    """The head, if it is a classifier of pixels.

    Raises:
        MismatchError: if it is not.
    """
    if not isinstance(head, codecframe.ClassifierHead) or head.accepts != codecframe.PIXELS:
        raise codecframe.MismatchError(f"head {head.name!r} is not a classifier of pixels")
    return head


def head_of(name: str) -> tuple[Head, Shape]:
    """(the head of that name, the size of its images).

    Raises:
        MismatchError: if it has no model behind pixels, or takes images of any size.
    """
    head = codecframe.get_head(name)
    if not isinstance(head, codecframe.ModelHead):
        return classifier_of(name)
    if head.input_shape is None:
        raise codecframe.MismatchError(f"the preprocess of head {name!r} needs a fixed size")
    return head, head.input_shape


def classifier_of(name: str) -> tuple[codecframe.ClassifierHead, Shape]:
    """(the head of that name, the size of its images).

    Raises:
        MismatchError: if it is not a classifier of pixels, or takes images of any size.
    """
    head = classifier(codecframe.get_head(name))
    if head.input_shape is None:
        raise codecframe.MismatchError(f"the preprocess of head {name!r} needs a crop")
    return head, head.input_shape


def geometry_of(head: Head) -> dict[str, Any]:
    """Fields of `Preprocess` that bring images to the size of the head's."""
    changed = head.preprocess.changed()
    return {name: changed[name] for name in ("resize", "crop", "interpolation") if name in changed}


def spread(images: Images, count: int) -> Images:
    """So many of them, evenly spread."""
    at = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    return [images[i] for i in at]


def seen(images: Images, classes: list[Any], head: codecframe.TaskHead, shape: Shape) -> Labelled:
    """Images as the head looks at them; targets are labels, or without labels what it sees."""
    ready = prepared(images, head, shape)
    if classes:
        targets = [classes[cast("int", image.target)] for image in images]
    else:
        targets = head.pseudo_targets(head.predict(list(ready)))
    return Labelled(ready, np.array(targets, np.int64))


def shares_of(images: Images, classes: list[Any], head: Head) -> npt.NDArray[np.float32]:
    """Labels as shares of the classes, (images, classes); of no classes without labels."""
    if not classes or not isinstance(head, codecframe.ClassifierHead):
        return np.zeros((len(images), 0), np.float32)
    targets = [classes[cast("int", image.target)] for image in images]
    return np.eye(head.classes, dtype=np.float32)[targets]
