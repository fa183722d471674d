"""Retraining a head after tuning: it sees better what the codec leaves; stored as measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import BrightnessHead, ToyCodec, items

import codecframe
from codecframe.rate import Budget
from codecframe.tuning import Tuning, tune

torch = pytest.importorskip("torch")
pytest.importorskip("optuna")
from codecframe_torch import TorchHead  # noqa: E402

BUDGET = Budget.parse("6bpp", mode="mean")


class Shades(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Ten classes of brightness, sharply told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.centres = torch.nn.Parameter(torch.linspace(0, 0.9, 10))

    def forward(self, images: Any) -> Any:
        return -300 * (images.mean((1, 2, 3))[:, None] - self.centres) ** 2


class DarkCodec(ToyCodec):
    """Takes a little brightness away."""

    name = "dark"

    def encode_image(self, image: codecframe.Image, settings: Any) -> bytes:
        return super().encode_image((image * 0.97).astype(np.uint8), settings)


def tuned(folder: Path, head: codecframe.TaskHead, *, labelled: bool) -> Tuning:
    return tune(
        DarkCodec(), head, items(96, labelled=labelled), BUDGET,
        trials=2, measured=folder / "trials", retrain_to=folder / "new.yaml",
    )  # fmt: skip


def shades() -> TorchHead:
    return TorchHead(Shades(), labels=[str(i) for i in range(10)])


@pytest.mark.parametrize("labelled", [True, False])
def test_a_retrained_head_loses_less(tmp_path: Path, *, labelled: bool) -> None:
    head = shades()
    before = head.predict([item.read() for item in items(4)]).scores
    found = tuned(tmp_path, head, labelled=labelled)
    scored = found.preset.scored["retrained"]
    assert scored["images"] == 48
    assert scored["retrained"]["loss"] < scored["before"]["loss"]
    assert found.retrained == tmp_path / "new.yaml"
    new = codecframe.get_head(str(found.retrained))
    assert new.labels == head.labels
    after = new.predict([item.read() for item in items(4)]).scores
    assert not np.array_equal(before, after)
    # the head that was given is as it was
    assert np.array_equal(head.predict([item.read() for item in items(4)]).scores, before)


def test_other_heads_are_refused_before_anything_is_tuned(tmp_path: Path) -> None:
    with pytest.raises(codecframe.MismatchError, match="no torch module"):
        tuned(tmp_path, BrightnessHead(), labelled=True)
    assert not (tmp_path / "trials").exists()


def test_a_module_that_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    class Odd(Shades):
        def forward(self, images: Any) -> Any:
            if float(images.mean()) > 2:
                return images
            return super().forward(images)

    with pytest.raises(codecframe.MismatchError, match="cannot be exported"):
        tuned(tmp_path, TorchHead(Odd(), name="odd"), labelled=True)
    assert not (tmp_path / "new.yaml").exists()
