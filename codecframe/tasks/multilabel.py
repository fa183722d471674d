"""Several classes an image, or one of yes and no: scored by mean average precision."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codecframe.core.classification import Prediction
from codecframe.core.errors import DataError, MismatchError, shown
from codecframe.core.image import Shape
from codecframe.core.rows import read_rows
from codecframe.core.task import Classes, Model, Task, Values


class MultiLabel(Task):
    """Any number of classes an image, each with a probability by itself.

    A prediction is a `Prediction` whose scores are logits of the classes; a target is a tuple of
    class indices. Image by image, a score is the F1 of the classes whose probability is 0.5 or
    more; sets are scored by average precision, the mean over classes that have any image.
    """

    name = "multilabel"
    summary = "any number of classes an image, or yes and no"
    metric = "mAP"
    has_records = True
    image_metric = "F1"
    figure_names = ("F1",)

    def score(self, prediction: Prediction, targets: Sequence[Any]) -> Values:
        """F1 of the classes that are seen; 1 where none is, and there is none."""
        seen, true = _seen(prediction), _matrix(prediction, targets)
        both = (seen & true).sum(axis=1)
        total = seen.sum(axis=1) + true.sum(axis=1)
        return np.where(total > 0, 2 * both / np.maximum(total, 1), 1.0)

    def loss(self, prediction: Prediction, targets: Sequence[Any]) -> Values:
        """Binary cross-entropy, the mean over classes, in nats."""
        logits = prediction.scores.astype(np.float64)
        true = _matrix(prediction, targets)
        return np.asarray(np.logaddexp(0, np.where(true, -logits, logits)).mean(axis=1))

    def divergence(self, prediction: Prediction, reference: Prediction) -> Values:
        """Kullback-Leibler divergence of yes and no from the reference's, the mean over classes, in
        nats.
        """
        theirs, ours = (one.scores.astype(np.float64) for one in (reference, prediction))
        p = _sigmoid(theirs)
        yes = p * (np.logaddexp(0, -ours) - np.logaddexp(0, -theirs))
        no = (1 - p) * (np.logaddexp(0, ours) - np.logaddexp(0, theirs))
        return np.asarray((yes + no).mean(axis=1).clip(min=0))

    def pseudo_targets(self, prediction: Prediction) -> list[Any]:
        """The classes that are seen."""
        return [tuple(np.flatnonzero(row).tolist()) for row in _seen(prediction)]

    def confidence(self, prediction: Prediction) -> Values:
        """That of the class of which it is least sure, seen or not."""
        chances = _sigmoid(prediction.scores.astype(np.float64))
        return np.asarray(np.maximum(chances, 1 - chances).min(axis=1))

    # -- over a set -----------------------------------------------------------------------

    def records(self, prediction: Prediction, targets: Sequence[Any]) -> list[Any]:
        """`scores`, logits of all classes, and `truth`, class indices."""
        _matrix(prediction, targets)
        return [
            {"scores": [float(f"{score:.6g}") for score in row.tolist()], "truth": list(target)}
            for row, target in zip(prediction.scores, targets, strict=True)
        ]

    def missed(self, targets: Sequence[Any]) -> list[Any]:
        """No class is seen."""
        return [{"scores": [], "truth": list(target)} for target in targets]

    def set_scores(self, records: Sequence[Any], weights: Values) -> Values:
        """Mean average precision: of each class that has images, the area under the steps of
        precision over recall.
        """
        scores, truth = _of_records(records)
        total, known = np.zeros(len(weights)), np.zeros(len(weights))
        for column in range(truth.shape[1]):
            true = truth[:, column]
            count = weights @ true
            total += np.where(count > 0, _average(scores[:, column], true, weights, count), 0)
            known += count > 0
        return np.asarray(total / np.maximum(known, 1))

    def figures(self, records: Sequence[Any]) -> dict[str, float]:
        """`F1`: of all images' classes together."""
        scores, truth = _of_records(records)
        seen = scores >= 0
        total = seen.sum() + truth.sum()
        return {"F1": float(2 * (seen * truth).sum() / total) if total else 1.0}

    # -- truth ----------------------------------------------------------------------------

    def read_truth(
        self, source: str, where: Mapping[str, str], images: Sequence[str]
    ) -> list[Any] | None:
        """From CSV with columns `file` and `label`, a row for each class of an image; a row without
        a label says that there is none. `folders`: one class an image.
        """
        if source == "folders":
            return None
        found: dict[str, list[str]] = {}
        for place, row in read_rows(source, ["label"], where):
            found.setdefault(place, []).append(row["label"].strip())
        named = (found.get(os.path.abspath(image)) for image in images)
        return [None if one is None else tuple(filter(None, one)) for one in named]

    def target(self, truth: Any, head: Classes, shape: Shape, new: Shape) -> Any:
        """Class indices, rising; of `yes` and `no`, `1` and `0` for a head of one class, too."""
        named = (truth,) if isinstance(truth, (str, int)) else truth
        if not isinstance(named, (tuple, list, set, frozenset, np.ndarray)):
            raise MismatchError(f"the truth of an image is its classes, not {shown(truth)}")
        if len(head.labels) == 1 and len(named) == 1:
            (only,) = named
            if str(only).lower() in _YES_AND_NO:
                return _YES_AND_NO[str(only).lower()]
        indices = {int(head.target_of(one) if isinstance(one, str) else one) for one in named}
        return tuple(sorted(indices))

    # -- for people, files and the link ---------------------------------------------------

    def to_json(self, prediction: Prediction) -> list[dict[str, Any]]:
        """`classes`, those that are seen, likeliest first: `label`, `index`, `probability`."""
        made = []
        for row, seen in zip(prediction.scores, _seen(prediction), strict=True):
            order = [i for i in np.argsort(-row, kind="stable").tolist() if seen[i]]
            chances = [round(chance, 4) for chance in _sigmoid(row.astype(np.float64)).tolist()]
            seen_ones = [
                {"label": prediction.label(i), "index": i, "probability": chances[i]} for i in order
            ]
            made.append({"classes": seen_ones})
        return made

    def target_to_json(self, target: Any) -> Any:
        """`classes` by index."""
        return {"classes": [{"label": str(index), "index": index} for index in target]}

    def words(self, said: Mapping[str, Any]) -> str:
        """`cat 91 %, dog 60 %`."""
        try:
            seen = [f"{one['label']} {100 * one['probability']:.0f} %" for one in said["classes"]]
        except (TypeError, KeyError, ValueError):
            raise DataError(self.name, f"is not what such a head says: {shown(said)}") from None
        return ", ".join(seen) or "nothing"

    def head(self, model: Model, options: Mapping[str, Any]) -> Any:
        """A `MultiLabelHead`."""
        from codecframe.tasks.heads import MultiLabelHead

        return MultiLabelHead.of(model, options)


MULTILABEL = MultiLabel()
_YES_AND_NO: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("1", "yes", "true", "positive"), (0,)),
    **dict.fromkeys(("0", "no", "false", "negative"), ()),
}


def _sigmoid(values: Values) -> Values:
    return np.asarray(np.exp(-np.logaddexp(0, -values)))


def _seen(prediction: Prediction) -> Any:
    """Which classes are seen, (images, classes): probability 0.5 is a logit of 0."""
    return prediction.scores >= 0


def _matrix(prediction: Prediction, targets: Sequence[Any]) -> Any:
    """Targets as `bool`, (images, classes)."""
    found = np.zeros(prediction.scores.shape, bool)
    for row, target in zip(found, targets, strict=True):
        if not isinstance(target, tuple) or any(not 0 <= i < len(row) for i in target):
            raise MismatchError(
                f"the head has classes 0 to {len(row) - 1}; a target is {shown(target)}"
            )
        row[list(target)] = True
    return found


_MOST_CLASSES = 1 << 16


def _of_records(records: Sequence[Any]) -> tuple[Values, Values]:
    """(scores, truth), each (images, classes); what never arrived has scores of -inf."""
    try:
        classes = max((len(one["scores"]) for one in records), default=0)
        classes = max([classes, *(int(i) + 1 for one in records for i in one["truth"])])
        if classes > _MOST_CLASSES:
            raise ValueError
        scores = np.full((len(records), classes), -np.inf)
        truth = np.zeros((len(records), classes))
        for row, one in enumerate(records):
            scores[row, : len(one["scores"])] = one["scores"]
            truth[row, [int(i) for i in one["truth"]]] = 1
    except (TypeError, KeyError, ValueError, IndexError):
        raise DataError("multilabel", "has records of another kind") from None
    return scores, truth


def _average(scores: Values, true: Values, weights: Values, count: Values) -> Values:
    """Average precision of a class in each set: equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    often, ranked = weights[:, order], scores[order]
    found = true[order] * np.isfinite(ranked)
    right, taken = np.cumsum(often * found, axis=1), np.cumsum(often, axis=1)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    right, taken = right[:, ends], taken[:, ends]
    steps = np.diff(right, axis=1, prepend=0) / np.maximum(count, 1)[:, None]
    return np.asarray((steps * right / np.maximum(taken, 1)).sum(axis=1))
