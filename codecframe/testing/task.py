"""What every task must do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import codecframe
from codecframe.core.registry import fault_of
from codecframe.core.task import Task, TaskPrediction, Values
from codecframe.testing.images import natural_image

_HOSTILE: Sequence[Any] = (None, True, -1, 1e300, float("nan"), "", "x" * 500, [], [[]], {}, [None])


class TaskContract:
    """Subclass it, name the subclass `Test...`, set `task`; say a prediction and its truths.

    Attributes:
        task: the task under test.

    Examples:
        >>> from codecframe.testing import TaskContract
        >>> class TestClassification(TaskContract):
        ...     task = cf.get_task("classification")
        ...
        ...     def prediction(self):
        ...         return cf.Prediction(np.eye(3, dtype=np.float32), ("a", "b", "c"))
        ...
        ...     def truths(self):
        ...         return [0, 1, 1]
    """

    task: ClassVar[Task]

    def prediction(self) -> TaskPrediction:
        """A prediction of three images or more, which are not all alike."""
        raise NotImplementedError

    def truths(self) -> Sequence[Any]:
        """A target for each of them, of which some are missed, wholly or in part."""
        raise NotImplementedError

    # -- description ----------------------------------------------------------------------

    def test_registry_takes_it(self) -> None:
        """The registry finds no fault with name, summary and `requires`; it has a metric."""
        fault = fault_of(self.task, codecframe.Task)
        assert not fault, f"the registry refuses a task {fault}"
        assert self.task.metric

    # -- predictions ----------------------------------------------------------------------

    def test_predictions_come_apart_and_together(self) -> None:
        """`take` and `joined` choose images and put them together in their order."""
        whole = self.prediction()
        said = self.task.to_json(whole)
        assert len(whole) == len(said) == len(self.truths()) >= 3
        backwards = list(reversed(range(len(whole))))
        assert self.task.to_json(whole.take(backwards)) == said[::-1]
        assert self.task.to_json(whole.one(1)) == said[1:2]
        assert len(whole.take([])) == 0
        parts = [whole.take([0]), whole.take(range(1, len(whole)))]
        assert self.task.to_json(type(whole).joined(parts)) == said

    # -- image by image -------------------------------------------------------------------

    def _checked(self, values: Values, low: float, high: float) -> Values:
        """A number for each image, within bounds; a score may be NaN."""
        assert isinstance(values, np.ndarray) and values.shape == (len(self.prediction()),)
        assert values.dtype.kind == "f"
        known = values[~np.isnan(values)]
        assert ((known >= low) & (known <= high)).all()
        return values

    def test_scores_each_image(self) -> None:
        """Scores are 0 to 1; 1 against the prediction's own pseudo-targets."""
        prediction = self.prediction()
        self._checked(self.task.score(prediction, self.truths()), 0, 1)
        own = self.task.score(prediction, self.task.pseudo_targets(prediction))
        assert np.array_equal(self._checked(own, 0, 1), np.ones(len(prediction)))

    def test_diverges_from_what_is_different(self) -> None:
        """By 0 from itself, never by less, and by more from other images' predictions."""
        prediction = self.prediction()
        same = self._checked(self.task.divergence(prediction, prediction), 0, np.inf)
        assert np.allclose(same, 0, atol=1e-6)
        moved = prediction.take(np.roll(np.arange(len(prediction)), 1).tolist())
        assert self._checked(self.task.divergence(moved, prediction), 0, np.inf).max() > 1e-6

    def test_is_as_sure_of_an_image_alone(self) -> None:
        """Confidence, where the task knows any, is from 0 to 1, and the image's own."""
        prediction = self.prediction()
        try:
            sure = self._checked(self.task.confidence(prediction), 0, 1)
        except codecframe.MismatchError:
            pytest.skip("predictions do not say how sure they are")
        alone = [float(self.task.confidence(prediction.one(i))[0]) for i in range(len(sure))]
        assert np.allclose(alone, sure)

    def test_loses_least_where_it_is_right(self) -> None:
        """A loss is 0 or more, and for its own pseudo-targets at most that for other images'."""
        prediction = self.prediction()
        own = self.task.pseudo_targets(prediction)
        right = self._checked(self.task.loss(prediction, own), 0, np.inf)
        wrong = self._checked(self.task.loss(prediction, [*own[1:], own[0]]), 0, np.inf)
        assert right.mean() <= wrong.mean()

    def test_refuses_targets_of_another_kind(self) -> None:
        """What is no target of the task is a `MismatchError`."""
        prediction = self.prediction()
        with pytest.raises(codecframe.MismatchError):
            self.task.score(prediction, [object()] * len(prediction))

    # -- over a set -----------------------------------------------------------------------

    def _records(self) -> list[Any]:
        if not self.task.has_records:
            pytest.skip("a set is scored by the mean")
        found = self.task.records(self.prediction(), self.truths())
        assert len(found) == len(self.truths())
        return found

    def test_records_are_plain_data(self) -> None:
        """Records, also of what never arrived, go into JSON and mean the same afterwards."""
        some = [*self._records(), *self.task.missed(self.truths())]
        again = json.loads(json.dumps(some, allow_nan=False))
        once = np.ones((1, len(some)))
        assert np.array_equal(
            self.task.set_scores(again, once), self.task.set_scores(some, once), equal_nan=True
        )

    def test_sets_are_scored_by_weights(self) -> None:
        """Scores of sets are 0 to 1, a number a set; only the shares of images count."""
        found = self._records()
        weights = np.array([np.ones(len(found)), np.full(len(found), 3.0)])
        weights = np.concatenate([weights, np.eye(len(found))])
        scores = self.task.set_scores(found, weights)
        assert scores.shape == (len(weights),)
        assert ((scores >= 0) & (scores <= 1)).all()
        assert scores[0] == pytest.approx(scores[1])

    def test_nothing_scores_less_when_it_arrives(self) -> None:
        """A set of which nothing arrived scores no more than what was predicted."""
        found = self._records()
        once = np.ones((1, len(found)))
        missed = self.task.set_scores(self.task.missed(self.truths()), once)
        assert missed[0] <= self.task.set_scores(found, once)[0]

    def test_figures_are_named_numbers(self) -> None:
        """Further figures are numbers by name."""
        figures = self.task.figures(self._records())
        assert all(isinstance(k, str) and isinstance(v, float) for k, v in figures.items())

    def test_refuses_records_of_a_stranger(self) -> None:
        """Records that are none of the task's are a `DataError`."""
        self._records()
        with pytest.raises(codecframe.DataError):
            self.task.set_scores([{"no": "record"}], np.ones((1, 1)))

    # -- for people, files and the link ---------------------------------------------------

    def test_says_plain_data(self) -> None:
        """`to_json` and `target_to_json` go into JSON; what is said has a line of words."""
        prediction = self.prediction()
        said = self.task.to_json(prediction)
        assert json.loads(json.dumps(said, allow_nan=False)) == said
        for target in self.truths():
            json.dumps(self.task.target_to_json(target), allow_nan=False)
        for one in said:
            words = self.task.words(one)
            assert words and "\n" not in words

    def test_draws_on_a_picture(self) -> None:
        """A drawn picture has the size of the picture, which stays as it was."""
        image = natural_image(40, 56)
        before = image.copy()
        for said, target in zip(self.task.to_json(self.prediction()), self.truths(), strict=True):
            for truth in (None, self.task.target_to_json(target)):
                drawn = codecframe.check_image(self.task.draw(image, said, truth))
                assert drawn.shape == image.shape
        assert np.array_equal(image, before)

    def test_survives_what_a_stranger_says(self) -> None:
        """Damaged plain data is a `DataError`, or is drawn and said as far as it makes sense."""
        image = natural_image(40, 56)
        for said in self.task.to_json(self.prediction())[:3]:
            for damaged in _damaged(json.loads(json.dumps(said))):
                for use in (self.task.words, lambda one: self.task.draw(image, one)):
                    try:
                        use(damaged)
                    except codecframe.CodecframeError:
                        continue


def _damaged(said: Any) -> list[Any]:
    """Copies of plain data, each with one value replaced or left out."""
    made: list[Any] = []
    places = said.keys() if isinstance(said, dict) else range(min(len(said), 3))
    for place in list(places):
        for other in _HOSTILE:
            made.append(_with(said, place, other))
        if isinstance(said[place], (dict, list)):
            made += [_with(said, place, inner) for inner in _damaged(said[place])]
    if isinstance(said, dict):
        made += [{k: v for k, v in said.items() if k != left} for left in said]
    return made


def _with(said: Any, place: Any, value: Any) -> Any:
    copied = said.copy()
    copied[place] = value
    return copied
