"""Weights that a model file does not hold: they are those of a classifier that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import codecframe
from codecframe import registry

F32 = npt.NDArray[np.float32]

PREFIX = "borrowed."
"""Of the tensors that hold them in a file which was made to stand alone."""
_CLOSE = 1e-4
"""Norms may differ by so much, relative: folding of normalisations rounds."""


@dataclass(frozen=True)
class Loan:
    """One of the classifier's weights.

    Attributes:
        key: its name in the classifier.
        norm: its Euclidean norm, by which others are told from it.
    """

    key: str
    norm: float

    @classmethod
    def of(cls, key: str, weight: F32) -> Loan:
        """A loan of that weight."""
        return cls(key, float(np.linalg.norm(weight.astype(np.float64))))

    def check(self, weight: F32 | None, lender: str) -> F32:
        """The weight, if it is what was lent.

        Raises:
            MismatchError: if it is not.
        """
        if weight is None or abs(Loan.of(self.key, weight).norm - self.norm) > _CLOSE * self.norm:
            raise codecframe.MismatchError(
                f"head {lender!r} has another {self.key!r} than this model was made with"
            )
        return weight


@dataclass(frozen=True)
class Borrowed:
    """What a model's networks borrow.

    Attributes:
        lender: the head that has the weights; none: nothing is borrowed.
        loans: by network, and name of the initializer in its graph.
    """

    lender: str = ""
    loans: Mapping[str, Mapping[str, Loan]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Borrowed:
        """What `dataclasses.asdict` gave.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: if it is something else.
        """
        loans = {
            str(network): {
                name: Loan(str(one["key"]), float(one["norm"])) for name, one in of.items()
            }
            for network, of in values["loans"].items()
        }
        return cls(str(values["lender"]), loans)

    def weights(self, stored: Mapping[str, Any]) -> dict[str, F32]:
        """The borrowed weights by their keys: those stored in a file, or else the lender's.

        Args:
            stored: a model file's tensors.

        Raises:
            MismatchError: if the lender does not have them.
            DependencyError: if something that the lender needs is not installed.
        """
        own = {k.removeprefix(PREFIX): v for k, v in stored.items() if k.startswith(PREFIX)}
        known = own or (lender_weights(self.lender) if self.lender else {})
        every = [loan for of in self.loans.values() for loan in of.values()]
        return {loan.key: loan.check(known.get(loan.key), self.lender) for loan in every}


def lender_weights(name: str) -> dict[str, F32]:
    """Weights of a head that is a torch module, by their names there.

    Only heads that plugins bring can lend: a file or a function that a stranger's model names is
    never opened.

    Raises:
        MismatchError: if there is no such head, or it is no torch module.
    """
    head = registry.default().heads.get(name)
    module = head.torch_model() if isinstance(head, codecframe.ClassifierHead) else None
    state = getattr(module, "state_dict", None)
    if state is None:
        raise codecframe.MismatchError(f"no plugin brings a head {name!r} that is a torch module")
    return {key: np.asarray(value.numpy()) for key, value in state().items()}
