"""Segmentation: a class for every pixel, scored by mean intersection over union."""

from __future__ import annotations

import base64
import binascii
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from codecframe.core.errors import CodecframeError, DataError, MismatchError, shown
from codecframe.core.files import named_like, open_regular
from codecframe.core.image import Image, Shape, check_size, to_png
from codecframe.core.task import Classes, Model, PerImage, Task, Values
from codecframe.tasks.drawing import draw_classes

ClassMap = npt.NDArray[np.uint8]
IGNORED = 255
"""In a truth: pixels that do not count."""


@dataclass(frozen=True)
class ClassMaps(PerImage[ClassMap]):
    """The class of every pixel, for each image of a batch.

    Attributes:
        images: `uint8`, (height, width) of the image: class indices, below 255.
        labels: class names, or empty.

    Examples:
        >>> seen = cf.ClassMaps((np.uint8([[0, 0], [0, 1]]),), ("road", "car"))
        >>> cf.get_task("segmentation").to_json(seen)[0]["classes"][1]["share"]
        0.25
    """

    labels: tuple[str, ...] = ()

    def label(self, index: int) -> str:
        """Name of a class, or its number where it has none."""
        return self.labels[index] if index < len(self.labels) else str(index)


@dataclass(frozen=True)
class MaskFile:
    """A file that holds an image's truth; it is read when it is needed."""

    path: str

    def read(self) -> ClassMap:
        """Its class indices.

        Raises:
            DataError: if it is not a PNG of 8 bits, of one channel or with a palette.
        """
        with open_regular(self.path) as file:
            return _read_png(file, self.path)


class Segmentation(Task):
    """A class for every pixel.

    A target is a map of classes, `uint8`, in which 255 does not count. Image by image, a score is
    the mean intersection over union of the classes in the image or its prediction; sets are scored
    by mIoU: that of each class over the pixels of all images, the mean over classes.
    """

    name = "segmentation"
    summary = "a class for every pixel"
    metric = "mIoU"
    has_records = True
    image_metric = "IoU"

    def score(self, prediction: ClassMaps, targets: Sequence[Any]) -> Values:
        """Mean intersection over union; 1 where nothing counts."""
        pairs = zip(prediction.images, targets, strict=True)
        return np.array([_mean_of(_counts(one, target)) for one, target in pairs], np.float64)

    def divergence(self, prediction: ClassMaps, reference: ClassMaps) -> Values:
        """The share of pixels whose class differs."""
        pairs = zip(prediction.images, reference.images, strict=True)
        return np.array([float((one != other).mean()) for one, other in pairs], np.float64)

    def pseudo_targets(self, prediction: ClassMaps) -> list[Any]:
        """The maps themselves."""
        return list(prediction.images)

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: ClassMaps, targets: Sequence[Any]) -> list[Any]:
        """Of each class in the image or its prediction: pixels that are right, in the truth, and in
        the prediction.
        """
        pairs = zip(prediction.images, targets, strict=True)
        return [
            {str(index): counts for index, counts in _counts(one, target).items()}
            for one, target in pairs
        ]

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """All pixels of the truth are wrong."""
        found = []
        for target in targets:
            classes, counts = np.unique(target[target != IGNORED], return_counts=True)
            found.append(
                {str(k): [0, int(n), 0] for k, n in zip(classes.tolist(), counts, strict=True)}
            )
        return found

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """Intersection over union of each class that a set has or predicts, the mean."""
        right, union = _of_records(records)
        rights, unions = weights @ right, weights @ union
        shares = rights / np.maximum(unions, 1)
        known = (unions > 0).sum(axis=1)
        return np.asarray(np.where(known, shares.sum(axis=1) / np.maximum(known, 1), 1.0))

    # -- truth ----------------------------------------------------------------------------

    def read_truth(
        self, source: str, where: Mapping[str, str], images: Sequence[str]
    ) -> list[Any] | None:
        """From a folder of PNG files with the images' names: gray or palette values are class
        indices, 255 does not count. Images without one are left out.
        """
        if not os.path.isdir(source) or where:
            raise DataError(source, "is not a folder of masks (PNG, a class index a pixel)")
        paths = (named_like(image, source, ".png") for image in images)
        return [MaskFile(path) if path else None for path in paths]

    def target(self, truth: Any, head: Classes, shape: Shape, new: Shape) -> Any:
        """A map of classes of the size that is predicted; each pixel takes the nearest."""
        classes = truth.read() if isinstance(truth, MaskFile) else truth
        if not isinstance(classes, np.ndarray) or classes.ndim != 2 or classes.dtype != np.uint8:
            raise MismatchError(
                f"the truth of a segmentation is `uint8`, (height, width), not {shown(truth)}"
            )
        if classes.shape != tuple(shape):
            raise MismatchError(
                f"an image of {shape[1]}x{shape[0]} has a mask of "
                f"{classes.shape[1]}x{classes.shape[0]}"
            )
        inside = classes[classes != IGNORED]
        if head.labels and inside.size and inside.max() >= len(head.labels):
            raise MismatchError(
                f"head {head.name!r} has {len(head.labels)} classes; a mask has {inside.max()}"
            )
        return resized_map(classes, new)

    # -- for people, files and the link ---------------------------------------------------

    def to_json(self, prediction: ClassMaps) -> list[dict[str, Any]]:
        """`classes`, largest first (`label`, `index`, `share` of the pixels), and `mask`: a PNG of
        class indices as base64.
        """
        return [_said(one, prediction.labels) for one in prediction.images]

    def target_to_json(self, target: Any) -> Any:
        """As `to_json`; classes by index."""
        return _said(target, ())

    def words(self, said: Mapping[str, Any]) -> str:
        """`road 62 %, car 8 %`: the largest."""
        try:
            shares = [(str(one["label"]), float(one["share"])) for one in said["classes"][:3]]
        except (TypeError, KeyError, ValueError):
            raise DataError(self.name, f"is not what such a head says: {shown(said)}") from None
        return ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares) or "nothing"

    def draw(self, image: Image, said: Mapping[str, Any], truth: Any = None) -> Image:
        """The image under the classes' colours; in the lower half those of the truth."""
        drawn = _drawn(image, said)
        if truth is not None:
            middle = image.shape[0] // 2
            drawn = np.concatenate([drawn[:middle], _drawn(image, truth, said)[middle:]])
        return drawn

    def head(self, model: Model, options: Mapping[str, Any]) -> Any:
        """A `SegmentationHead`."""
        from codecframe.tasks.heads import SegmentationHead

        return SegmentationHead.of(model, options)


SEGMENTATION = Segmentation()


def resized_map(classes: ClassMap, shape: Shape) -> ClassMap:
    """A map of classes at another size, (height, width): each pixel takes the nearest."""
    if classes.shape == tuple(shape):
        return classes
    picture = PilImage.fromarray(classes)
    return np.asarray(picture.resize((shape[1], shape[0]), PilImage.Resampling.NEAREST))


def _counts(found: ClassMap, truth: ClassMap) -> dict[int, list[int]]:
    """By class: pixels that are right, in the truth, in the prediction."""
    if not isinstance(truth, np.ndarray):
        raise MismatchError(f"the truth of a segmentation is a map, not {shown(truth)}")
    if found.shape != truth.shape:
        raise MismatchError(f"a mask of {truth.shape} for a prediction of {found.shape}")
    valid = truth != IGNORED
    ours, theirs = found[valid], truth[valid]
    columns = (
        np.bincount(values, minlength=256) for values in (ours[ours == theirs], theirs, ours)
    )
    rows = np.stack(list(columns), axis=1)
    return {int(k): rows[k].tolist() for k in np.flatnonzero(rows.any(axis=1))}


def _mean_of(counts: Mapping[int, Sequence[int]]) -> float:
    shares = [right / (truth + found - right) for right, truth, found in counts.values()]
    return float(np.mean(shares)) if shares else 1.0


def _of_records(records: Sequence[Any]) -> tuple[Values, Values]:
    """(pixels that are right, pixels of the truth or the prediction), each (images, classes)."""
    table = np.zeros((len(records), 256, 3))
    try:
        for row, one in zip(table, records, strict=True):
            for index, counts in one.items():
                row[int(index)] = counts
    except (TypeError, ValueError, AttributeError, IndexError):
        raise DataError("segmentation", "has records of another kind") from None
    right, truth, found = table.transpose(2, 0, 1)
    return right, truth + found - right


def _read_png(file: Any, source: str) -> ClassMap:
    try:
        with PilImage.open(file, formats=["PNG"]) as picture:
            check_size(picture.height, picture.width, source)
            if picture.mode not in ("L", "P"):
                raise DataError(source, f"is of mode {picture.mode}, not class indices of 8 bits")
            return np.array(picture, np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(source, f"is not a PNG that can be read: {error}") from None


def _said(classes: ClassMap, labels: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(classes.reshape(-1), minlength=256)
    order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k] and k != IGNORED]
    shares = [
        {
            "label": labels[k] if k < len(labels) else str(k),
            "index": k,
            "share": round(int(counts[k]) / classes.size, 4),
        }
        for k in order
    ]
    return {"classes": shares, "mask": base64.b64encode(to_png(classes)).decode()}


def _drawn(image: Image, said: Mapping[str, Any], named: Mapping[str, Any] | None = None) -> Image:
    """The image under a map of classes in plain data, which may be a stranger's."""
    try:
        data = base64.b64decode(said["mask"])
        classes = _read_png(io.BytesIO(data), "segmentation")
        listed = [*said["classes"], *(named or {}).get("classes", ())]
        names = {int(one["index"]): str(one["label"]) for one in listed}
    except CodecframeError:
        raise
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise DataError("segmentation", f"is not what such a head says: {shown(said)}") from None
    known = [names.get(index, str(index)) for index in range(256)]
    return draw_classes(image, resized_map(classes, image.shape[:2]), known, IGNORED)
