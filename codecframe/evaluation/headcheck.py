"""Whether a head's preprocessing is plausible: accuracy as described, and with the usual others.

Nothing in a model file says how its input was made, and wrong preprocessing costs accuracy without
any error. Where images have labels, the right one shows in the accuracy. Without them it shows,
more weakly, in how much the predictions say about the images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codecframe.core import registry, yamltext
from codecframe.core.classification import Prediction
from codecframe.core.errors import CodecframeError, DataError, MismatchError
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.parallel import chunks
from codecframe.core.preprocess import Preprocess
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.statistics import mcnemar, paired_difference, wilson
from codecframe.core.tables import Result, Table, interval, percent
from codecframe.images import ImageItem, open_images
from codecframe.images.sets import ImageSpecs
from codecframe.tasks.classification import ClassifierHead

NORMALISATIONS: Mapping[str, Mapping[str, Any]] = {
    "0..1": {},
    "-1..1": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    "ImageNet mean and std": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "CLIP mean and std": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
    },
    "CIFAR-10 mean and std": {
        "mean": [0.4914, 0.4822, 0.4465],
        "std": [0.247, 0.2435, 0.2616],
    },
    "0..255": {"scale": 1.0},
    "0..255 less ImageNet mean": {"scale": 1.0, "mean": [123.675, 116.28, 103.53]},
}
"""The usual ways from pixels to a model's input, RGB; fields of `Preprocess`."""

_DESCRIBED = "as described"
_CHUNK = 16
"""Images that are held at a time."""

_ENOUGH = 100
"""Images that are tried, where nothing else is said."""
_FEW = 20
"""Fewer images without labels tell nothing."""
_FEW_CLASSES = 4
"""Of fewer any threshold makes varied and sure predictions, right or wrong."""

SURE = 0.05
"""An alternative is better where chance would do that well less often, over all alternatives."""


@dataclass(frozen=True)
class Tried:
    """What a head makes of the images behind one preprocessing.

    Attributes:
        name: how it differs from the description; `as described` for that itself.
        preprocess: the fields that differ from their defaults.
        accuracy: share of images that are right, 0 to 1; None without labels.
        low, high: its 95 % interval; None without labels.
        information: what a prediction says about its image, in bits: how far it is from the mean
            prediction (Kullback-Leibler), on average. It is low for predictions that are unsure,
            and for those that are the same for all images.
        confidence: mean of the largest probability, 0 to 1.
    """

    name: str
    preprocess: dict[str, Any]
    information: float
    confidence: float
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None

    def row(self, *, labelled: bool) -> list[str]:
        """Cells of a table."""
        known = [percent(self.accuracy), interval(self.low, self.high)] if labelled else []
        return [self.name, *known, f"{self.information:.2f}", percent(self.confidence)]


@dataclass(frozen=True, repr=False)
class HeadCheck(Result):
    """What `check_head` found.

    Attributes:
        head: the head's name.
        images: how many images were tried.
        failed: what could not be read, with the reason.
        labelled: whether accuracy was measured.
        described: the head as it is described.
        others: the usual alternatives, best first.
        verdict: `plausible`, `implausible` (another is better, surely), `doubtful` (without labels:
            another says more about the images), or `unclear`.
        reason: the verdict in a sentence.
        recommended: fields of `preprocess` to write into the description; None to leave it.

    Examples:
        >>> found = cf.check_head("model.onnx", "photos")  # doctest: +SKIP
        >>> found.verdict  # doctest: +SKIP
        'plausible'
    """

    head: str
    images: int
    failed: tuple[str, ...]
    labelled: bool
    described: Tried
    others: tuple[Tried, ...]
    verdict: str
    reason: str
    recommended: dict[str, Any] | None

    def yaml(self) -> str:
        """The recommendation as part of a head description; empty if there is none."""
        return yamltext.dump({"preprocess": self.recommended}) if self.recommended else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "yaml": self.yaml()}

    def records(self) -> list[dict[str, Any]]:
        """One for each preprocessing."""
        return [asdict(one) for one in (self.described, *self.others)]

    def shown(self) -> list[str | Table]:
        """The verdict, a table of what was tried, and what is better in the description."""
        measured = [">accuracy %", ">95 %"] if self.labelled else []
        columns = ["preprocessing", *measured, ">bits", ">confidence %"]
        rows = [one.row(labelled=self.labelled) for one in (self.described, *self.others)]
        title = f"{self.head}, {self.images} images"
        parts: list[str | Table] = [f"{self.verdict}: {self.reason}\n", Table(columns, rows, title)]
        if self.recommended:
            parts.append(f"\nBetter in the head's description:\n\n{self.yaml().rstrip()}")
        return parts


def check_head(
    head: TaskHead | str,
    images: ImageSpecs,
    *,
    labels: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    progress: ProgressMaker | None = None,
) -> HeadCheck:
    """Compare a head as described with the usual alternatives to its preprocessing.

    Tried are BGR for RGB, the usual ranges, means and standard deviations, squashed for cropped
    images, and channels last. What the model refuses is left out. Memory is for a few images at a
    time.

    Args:
        head: a `ClassifierHead` whose preprocessing is data, its name, or its file.
        images: what `open_images` takes, with labels or without; a hundred tell wrong from right.
        labels: a CSV file with columns `file` and `label`, or `folders`; None: what the images say.
        where: only rows of the labels file whose columns have these values.
        limit: at most so many images, evenly spread; None: 100.
        data_root: folder with the data sets `cifar10` and `cifar100`; `CODECFRAME_DATA` by default.
        progress: makes a display; told of each image and preprocessing.

    Raises:
        UnknownNameError: if there is no such head.
        MismatchError: if the head has no such preprocessing, or a label is not one of its classes.
        DataError: if no image can be read, or some have a label and others have none.

    Examples:
        >>> cf.check_head("model.onnx", "photos", labels="folders")  # doctest: +SKIP
    """
    if isinstance(head, str):
        head = registry.default().head(head)
    if not isinstance(head, ClassifierHead):
        raise MismatchError(
            f"head {head.name!r} has no preprocessing that is data: nothing to check"
        )
    chosen = open_images(
        images, labels=labels, where=where, limit=limit or _ENOUGH, data_root=data_root
    )
    tries = {_DESCRIBED: head.preprocess, **dict(alternatives(head.preprocess))}
    judges = {name: head.with_preprocess(made) for name, made in tries.items()}
    seen = _Seen(head, judges)
    with (progress or Silent)(len(chosen) * len(judges)) as display:
        for chunk in chunks(chosen, _CHUNK):
            seen.add(chunk, display)
    found = seen.outcomes()
    described, *others = found
    others.sort(key=lambda one: (one.tried.accuracy or 0.0, one.tried.information), reverse=True)
    verdict, reason, better = _judged(described, others, seen.targets)
    return HeadCheck(
        head.name,
        seen.count,
        tuple(seen.failed),
        bool(seen.targets),
        described.tried,
        tuple(one.tried for one in others),
        verdict,
        reason,
        better.tried.preprocess if better else None,
    )


# -- what is tried --------------------------------------------------------------------------


def alternatives(described: Preprocess) -> Iterator[tuple[str, Preprocess]]:
    """(name, preprocessing) of what is usual besides `described`, none twice."""
    seen = [_key(described)]
    for name, made in _variants(described):
        if (key := _key(made)) not in seen:
            seen.append(key)
            yield name, made


def _variants(described: Preprocess) -> Iterator[tuple[str, Preprocess]]:
    yield "BGR" if described.channels == "rgb" else "RGB", _swapped(described)
    if described.dtype == "float32":
        for name, fields in NORMALISATIONS.items():
            rgb = _with(described, channels="rgb", **{**_PLAIN, **fields})
            yield f"{name}, RGB", rgb
            yield f"{name}, BGR", _swapped(rgb)
    yield from _geometries(described)
    other = "nhwc" if described.layout == "nchw" else "nchw"
    yield f"layout {other}", _with(described, layout=other)


_PLAIN = {"scale": 1 / 255, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def _geometries(described: Preprocess) -> Iterator[tuple[str, Preprocess]]:
    """Squashed to the model's size for cut from the middle, and the other way round."""
    if described.final_shape is None:
        return
    height, width = described.final_shape
    if described.crop is not None:
        yield "squashed, not cropped", _with(described, resize=[height, width], crop=None)
    else:
        short = round(min(height, width) * 256 / 224)
        cut = _with(described, resize=short, crop=[height, width])
        yield f"resized to {short}, then cropped", cut


def _swapped(described: Preprocess) -> Preprocess:
    """Red and blue the other way round; each colour keeps its mean and its deviation."""
    return _with(
        described,
        channels="bgr" if described.channels == "rgb" else "rgb",
        mean=list(described.mean)[::-1],
        std=list(described.std)[::-1],
    )


def _with(described: Preprocess, **fields: Any) -> Preprocess:
    return Preprocess.from_dict({**described.changed(), **fields})


def _key(preprocess: Preprocess) -> tuple[Any, ...]:
    """What tells two apart: numbers by what they do, so that 127/128 of 0..255 is -1..1."""
    factor, offset = preprocess.normalisation
    numbers = [*np.round(factor * 255, 1).tolist(), *np.round(offset, 1).tolist()]
    same = [] if preprocess.dtype == "uint8" else numbers
    words = (preprocess.channels, preprocess.layout, preprocess.interpolation)
    return (*words, str(preprocess.resize), str(preprocess.crop), *same)


# -- measuring ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Outcome:
    """One preprocessing, with what is compared of it: a number an image."""

    tried: Tried
    values: npt.NDArray[np.float64]
    classes: int
    variety: float
    """Entropy of how often each class is the likeliest, in bits: no scale of the scores matters."""


class _Seen:
    """Predictions behind each preprocessing, as images come in."""

    def __init__(self, head: ClassifierHead, judges: Mapping[str, ClassifierHead]) -> None:
        self._head = head
        self._judges = dict(judges)
        self._parts: dict[str, list[Prediction]] = {name: [] for name in judges}
        self.targets: list[Any] = []
        self.failed: list[str] = []
        self.count = 0

    def add(self, items: Sequence[ImageItem], display: Any) -> None:
        """Read images and predict; a preprocessing that the model refuses is dropped."""
        images = list(self._read(items))
        self.count += len(images)
        for name, judge in list(self._judges.items()):
            try:
                if images:
                    self._parts[name].append(judge.predict(images))
            except CodecframeError:
                if name == _DESCRIBED:
                    raise
                del self._judges[name]
            display.advance(len(items), name)

    def _read(self, items: Sequence[ImageItem]) -> Iterator[Image]:
        for item in items:
            try:
                image = item.read()
            except CodecframeError as error:
                text = str(error)
                self.failed.append(text if text.startswith(item.name) else f"{item.name}: {text}")
                continue
            if (target := item.target) is not None:
                known = self._head.target_of(target) if isinstance(target, str) else target
                self.targets.append(known)
            yield image

    def outcomes(self) -> list[_Outcome]:
        """Of every preprocessing that the model took, as described first.

        Raises:
            DataError: if no image could be read, or some have a label and others have none.
        """
        if not self.count:
            raise DataError("images", f"none can be read; {'; '.join(self.failed[:1])}")
        if len(self.targets) not in {0, self.count}:
            raise DataError("labels", f"{len(self.targets)} of {self.count} images have one")
        return [self._outcome(name, judge) for name, judge in self._judges.items()]

    def _outcome(self, name: str, judge: ClassifierHead) -> _Outcome:
        parts = self._parts[name]
        prediction = Prediction.joined(parts)
        chances = prediction.probabilities.astype(np.float64)
        surprise = np.log2((chances + 1e-12) / (chances.mean(axis=0) + 1e-12))
        information = (chances * surprise).sum(axis=1)
        shares = np.bincount(chances.argmax(axis=1)) / len(chances)
        variety = float(-(shares * np.log2(shares + 1e-12)).sum())
        sure = float(chances.max(axis=1).mean())
        values, known = information, {}
        if self.targets:
            values = self._head.score(prediction, self.targets)
            accuracy = float(values.mean())
            known = dict(zip(("low", "high"), wilson(accuracy, len(values)), strict=True))
            known["accuracy"] = accuracy
        changed = judge.preprocess.changed()
        tried = Tried(name, changed, float(information.mean()), sure, **known)
        return _Outcome(tried, values, chances.shape[1], variety)


# -- the verdict ----------------------------------------------------------------------------


def _judged(
    described: _Outcome, others: Sequence[_Outcome], targets: Sequence[Any]
) -> tuple[str, str, _Outcome | None]:
    """(verdict, reason, what is better or None)."""
    if not others:
        return "unclear", "the model takes no other preprocessing to compare with", None
    if targets:
        return _by_accuracy(described, others, targets)
    return _by_information(described, others)


def _by_accuracy(
    described: _Outcome, others: Sequence[_Outcome], targets: Sequence[Any]
) -> tuple[str, str, _Outcome | None]:
    best = others[0]
    ours, theirs = described.tried.accuracy or 0.0, best.tried.accuracy or 0.0
    chance = mcnemar(best.values, described.values) * len(others)
    if theirs > ours and chance < SURE:
        gain = f"{100 * (theirs - ours):.1f} points"
        reason = f"{best.tried.name} is {gain} more accurate, which is more than chance explains"
        return "implausible", reason, best
    common = Counter(targets).most_common(1)[0][1] / len(targets)
    if (described.tried.low or 0.0) <= common:
        return (
            "unclear",
            f"neither it nor another is surely better than naming the commonest class "
            f"({100 * common:.1f} %): look at labels and the order of classes, or take more images",
            None,
        )
    return "plausible", "no usual alternative is surely better", None


def _by_information(
    described: _Outcome, others: Sequence[_Outcome]
) -> tuple[str, str, _Outcome | None]:
    count = len(described.values)
    if count < _FEW:
        return "unclear", f"{count} images without labels are too few to tell: take a hundred", None
    if described.classes < _FEW_CLASSES:
        few = f"{described.classes} classes are too few to tell; labels would tell"
        return "unclear", few, None
    # a wider range alone makes a model surer of the same classes: those must be more varied too
    varied = [one for one in others if one.variety > described.variety + 0.05]
    best = varied[0] if varied else described
    mean, low, _ = paired_difference(best.values, described.values)
    if low > 0:
        reason = f"predictions with {best.tried.name} say {mean:.2f} bits more about an image"
        return "doubtful", f"{reason}; labels would tell", best
    return (
        "plausible",
        "predictions with no usual alternative say surely more about the images; labels would tell",
        None,
    )
