"""What every head must do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import codecframe
from codecframe.core.head import Batch, TaskHead
from codecframe.core.registry import fault_of
from codecframe.testing.images import natural_image

_SIZES = ((40, 56), (64, 64), (33, 47), (1, 1), (7, 90), (128, 31))


class HeadContract:
    """Subclass it, name the subclass `Test...`, set `head`; pytest finds the tests.

    Attributes:
        head: the head under test.
        tolerance: by how much scores may change with the batch size, relative to the largest; of
            tasks without scores of classes: what the divergence of both predictions may be.

    Examples:
        >>> from codecframe.testing import HeadContract
        >>> class TestMyHead(HeadContract):
        ...     head = cf.get_head("photo_heads:brightness")
    """

    head: ClassVar[TaskHead]
    tolerance: ClassVar[float] = 1e-4

    def samples(self) -> Batch:
        """Six inputs: images of different sizes. A head that takes latents overrides it."""
        return [natural_image(*size, seed=seed) for seed, size in enumerate(_SIZES)]

    # -- description ----------------------------------------------------------------------

    def test_registry_takes_it(self) -> None:
        """The registry finds no fault with name, summary and `requires`."""
        fault = fault_of(self.head, codecframe.TaskHead)
        assert not fault, f"the registry refuses a head {fault}"

    def test_describes_itself(self) -> None:
        """It has a name, a representation, and a size it can state."""
        assert self.head.name
        assert "\n" not in self.head.summary
        assert isinstance(self.head.accepts, codecframe.Representation)
        assert all(isinstance(label, str) for label in self.head.labels)
        shape = self.head.input_shape
        assert shape is None or (len(shape) == 2 and min(shape) > 0)

    def test_its_details_are_plain_data(self) -> None:
        """What `codecframe heads NAME` shows goes into JSON as it is."""
        details = self.head.details()
        try:
            assert json.loads(json.dumps(details)) == details
        except TypeError as error:
            pytest.fail(str(error))

    def test_its_labels_are_names(self) -> None:
        """Labels are a sequence of names, not a text of letters, and none is empty."""
        labels: Any = self.head.labels
        assert not isinstance(labels, str)
        assert all(label.strip() for label in labels)

    # -- predictions ----------------------------------------------------------------------

    def test_predicts_for_each_input(self) -> None:
        """A prediction is of as many images as there are inputs, and the task can say it."""
        prediction = self.head.predict(self.samples())
        assert isinstance(prediction, codecframe.TaskPrediction)
        assert len(prediction) == len(self.samples())
        said = self.head.task.to_json(prediction)
        assert json.loads(json.dumps(said, allow_nan=False)) == said

    def test_predicts_a_score_for_each_class(self) -> None:
        """Scores of classes are finite `float32`, one row an input, one column a label."""
        prediction = self._of_classes(self.samples())
        assert prediction.scores.dtype == np.float32
        assert np.isfinite(prediction.scores).all()
        if self.head.labels:
            assert prediction.labels == tuple(self.head.labels)
            assert prediction.scores.shape == (len(prediction), len(self.head.labels))

    def test_predicts_the_same_again(self) -> None:
        """A second call gives the same, scores bit for bit."""
        self._same(self.head.predict(self.samples()), self.head.predict(self.samples()))

    def _of_classes(self, samples: Batch) -> codecframe.Prediction:
        """The prediction, where it is scores of classes."""
        prediction = self.head.predict(samples)
        if not isinstance(prediction, codecframe.Prediction):
            pytest.skip("this head does not give scores of classes")
        return prediction

    def _same(self, some: Any, other: Any) -> None:
        if isinstance(some, codecframe.Prediction):
            assert np.array_equal(some.scores, other.scores)
        else:
            assert self.head.task.to_json(some) == self.head.task.to_json(other)

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_batch_size_changes_nothing(self, size: int) -> None:
        """Batches of any size give the same, up to `tolerance`."""
        samples = self.samples()
        whole = self.head.predict(samples)
        parts = [
            self.head.predict(samples[start : start + size])
            for start in range(0, len(samples), size)
        ]
        joined = type(whole).joined(parts)
        if isinstance(whole, codecframe.Prediction):
            allowed = self.tolerance * float(np.abs(whole.scores).max())
            assert np.abs(joined.scores - whole.scores).max() <= allowed
        else:
            assert self.head.divergence(joined, whole).max() <= self.tolerance

    def test_takes_an_empty_batch(self) -> None:
        """No inputs give a prediction of none; scores have as many columns as ever."""
        empty, full = self.head.predict([]), self.head.predict(self.samples()[:1])
        assert len(empty) == 0
        if isinstance(full, codecframe.Prediction):
            assert empty.scores.shape[1:] == full.scores.shape[1:]
            assert empty.scores.dtype == np.float32

    def test_has_classes_to_choose_from(self) -> None:
        """A classification has two columns at least: of one alone, every image is the same class.

        A model that gives one number an image, a logit or a sigmoid, tells two classes apart.
        """
        scores = self._of_classes(self.samples()).scores
        if self.head.metric == "top-1" and scores.ndim == 2:
            assert scores.shape[1] >= 2

    def test_its_probabilities_are_probabilities(self) -> None:
        """They are 0 to 1, sum to 1, and the likeliest class is the one that is counted.

        What `top` shows may be a sigmoid for each class, and then does not sum to 1.
        """
        prediction = self._of_classes(self.samples())
        if self.head.metric != "top-1" or prediction.scores.ndim != 2:
            pytest.skip("this head is not a classifier")
        assert np.allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-4)
        shown = [row[0] for row in prediction.top(1)]
        assert all(0 <= top.probability <= 1 for top in shown)
        assert [top.index for top in shown] == prediction.scores.argmax(axis=1).tolist()

    # -- outputs --------------------------------------------------------------------------

    def test_says_what_its_outputs_are(self) -> None:
        """A classifier's scores are made of what its model gives as it says: logits and the like.

        Probabilities, which are 0 or more and sum to 1, are never taken for logits.
        """
        head = self.head
        if not isinstance(head, codecframe.ClassifierHead):
            pytest.skip("this head does not share what classifiers share")
        scores = head.predict(self.samples()).scores
        assert head.outputs in {"logits", "probabilities", "log-probabilities", "sigmoid"}
        if head.outputs == "logits":
            sums = scores.sum(axis=1, dtype=np.float64)
            assert scores.min() < 0 or np.abs(sums - 1).max() > 1e-6

    # -- images ---------------------------------------------------------------------------

    def images(self) -> Sequence[codecframe.Image]:
        """The samples, where the head takes images."""
        if self.head.accepts != codecframe.PIXELS:
            pytest.skip("this head takes no images")
        return [np.asarray(sample) for sample in self.samples()]

    def test_prepares_once(self) -> None:
        """A prepared image is an image, of the stated size, and preparing it changes nothing."""
        for image in self.images():
            prepared = codecframe.check_image(self.head.prepare(image))
            if self.head.input_shape is not None:
                assert prepared.shape[:2] == self.head.input_shape
            assert np.array_equal(self.head.prepare(prepared), prepared)

    def test_prepares_what_it_is_given(self) -> None:
        """A prepared image and the original are taken for the same, whatever places are said."""
        images = self.images()
        prepared = [self.head.prepare(image) for image in images]
        some, other = self.head.predict(prepared), self.head.predict(images)
        if all(one.shape == image.shape for one, image in zip(prepared, images, strict=True)):
            self._same(some, other)
        elif isinstance(some, codecframe.Prediction):
            assert np.array_equal(some.scores, other.scores)

    # -- scores ---------------------------------------------------------------------------

    def test_knows_its_labels(self) -> None:
        """A class name gives a class of that name; an unknown one is refused."""
        labels = self.head.labels
        for label in labels:
            if not label.isdecimal():
                assert labels[self.head.target_of(label)] == label
        with pytest.raises(codecframe.MismatchError):
            self.head.target_of("no such class, by any name")

    def test_agrees_with_itself(self) -> None:
        """Against its own prediction a head scores 1 and diverges by 0."""
        prediction = self.head.predict(self.samples())
        targets: list[Any] = self.head.pseudo_targets(prediction)
        assert np.array_equal(self.head.score(prediction, targets), np.ones(len(prediction)))
        assert np.allclose(self.head.divergence(prediction, prediction), 0, atol=1e-6)
