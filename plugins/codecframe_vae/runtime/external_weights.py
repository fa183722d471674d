"""Weights that a model file does not hold: they are those of a classifier that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe.core import registry

F32 = npt.NDArray[np.float32]

PREFIX = "external."
"""Of the tensors that hold them in a file that was made to stand alone."""
_PREFIXES = (PREFIX, "borrowed.")  # the second in files of before 0.1.0
_CLOSE = 1e-4
"""Norms may differ by so much, relative: folding of normalisations rounds."""


@dataclass(frozen=True)
class ExternalWeight:
    """One of the classifier's weights.

    Attributes:
        key: its name in the classifier.
        norm: its Euclidean norm, by which others are told from it.
    """

    key: str
    norm: float

    @classmethod
    def of(cls, key: str, weight: F32) -> ExternalWeight:
        """The reference to that weight."""
        return cls(key, float(np.linalg.norm(weight.astype(np.float64))))

    def check(self, weight: F32 | None, head: str) -> F32:
        """The weight, if it is the one that the model was made with.

        Raises:
            MismatchError: if it is not.
        """
        if (
            weight is None
            or abs(ExternalWeight.of(self.key, weight).norm - self.norm) > _CLOSE * self.norm
        ):
            raise codecframe.MismatchError(
                f"head {head!r} has another {self.key!r} than this model was made with"
            )
        return weight


@dataclass(frozen=True)
class ExternalWeights:
    """The weights that a model's networks take from a classifier.

    Attributes:
        head: the head that has the weights; empty: there are none.
        weights: by network, and name of the initializer in its graph.
    """

    head: str = ""
    weights: Mapping[str, Mapping[str, ExternalWeight]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExternalWeights:
        """What `dataclasses.asdict` gave.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: if it is something else.
        """
        weights = {
            str(network): {
                name: ExternalWeight(str(one["key"]), float(one["norm"]))
                for name, one in of.items()
            }
            for network, of in values["weights" if "weights" in values else "loans"].items()
        }
        return cls(str(values["head" if "head" in values else "lender"]), weights)

    def load(self, stored: Mapping[str, Any]) -> dict[str, F32]:
        """The external weights by their keys: those stored in a file, or else the head's.

        Args:
            stored: a model file's tensors.

        Raises:
            MismatchError: if the head does not have them.
            DependencyError: if something that the head needs is not installed.
        """
        own = {k.partition(".")[2]: v for k, v in stored.items() if k.startswith(_PREFIXES)}
        known = own or (weights_of_head(self.head) if self.head else {})
        every = [one for of in self.weights.values() for one in of.values()]
        return {one.key: one.check(known.get(one.key), self.head) for one in every}


def weights_of_head(name: str) -> dict[str, F32]:
    """Weights of a head that is a torch module, by their names there.

    Only heads that plugins bring are asked: a file or a function that a stranger's model names is
    never opened.

    Raises:
        MismatchError: if there is no such head, or it is not a torch module.
    """
    head = registry.default().heads.get(name)
    module = head.torch_model() if isinstance(head, codecframe.ClassifierHead) else None
    state = getattr(module, "state_dict", None)
    if state is None:
        raise codecframe.MismatchError(f"no plugin brings a head {name!r} that is a torch module")
    return {key: np.asarray(value.numpy()) for key, value in state().items()}
