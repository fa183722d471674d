"""A link that audits itself: frames that also come without loss say what compression costs."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import serving
from toys import BrightnessHead, picture

import codecframe
from codecframe import Budget, UsageError
from codecframe_serving.audit import Audit, Pairs
from codecframe_serving.encoder import Choice, Encoder
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.sender import Sender
from codecframe_serving.sending import send

PROMISED = 0.98
HEAD = BrightnessHead()


def run(rng: np.random.Generator, frames: int, drift_at: int | None) -> int | None:
    """Audited frames after which there was a warning; 0.5 % are lost, and 15 % after the drift."""
    audit = Audit(HEAD)
    for frame in range(frames):
        lost = 0.15 if drift_at is not None and frame >= drift_at else 0.005
        audit.add(float(rng.random() >= lost), PROMISED)
        if audit.has_drifted:
            return frame
    return None


def test_a_drift_is_noticed_within_200_audited_frames() -> None:
    for seed in range(20):
        warned = run(np.random.default_rng(seed), 700, 500)
        assert warned is not None and 500 <= warned < 700


def test_without_a_drift_there_is_no_warning() -> None:
    assert [run(np.random.default_rng(seed), 1000, None) for seed in range(20)] == [None] * 20


def test_the_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(HEAD)
    logger = logging.getLogger("codecframe_serving")
    logger.addHandler(caplog.handler)
    try:
        for _ in range(50):
            audit.add(0.0, PROMISED)
    finally:
        logger.removeHandler(caplog.handler)
    (record,) = {id(record): record for record in caplog.records}.values()
    assert record.message == "compression costs more than was promised"
    state = audit.state()
    assert state is not None and state["drift"] and state["estimate"] == 0.0
    assert (state["frames"], state["promised"]) == (50, PROMISED)


def test_predictions_of_a_pair_come_in_any_order() -> None:
    seen, lossless = (HEAD.predict([picture(seed)]) for seed in (0, 1))
    for order in ((False, True), (True, False)):
        pairs, found = Pairs(), []
        for audits in order:
            prediction = lossless if audits else seen
            found.append(pairs.add_lossless(8, prediction) if audits else pairs.add(7, prediction))
        assert found[0] is None and found[1] is not None
        assert found[1][0] is seen and found[1][1] is lossless


def test_what_audits_cost_is_paid_by_the_frames_that_follow() -> None:
    webp = codecframe.get_codec("webp")
    budget = Budget.parse("80kbit/s@10fps")
    encoder = Encoder([Choice(webp, webp.settings())], budget)
    images = [picture(seed, 96, 96) for seed in range(40)]
    sizes = [len(encoder.encode(images[0], budget.amount, 0.0).payload)]
    encoder.spend(3000)
    assert encoder.owes
    sizes += [len(encoder.encode(image, budget.amount, 0.0).payload) for image in images[1:]]
    assert not encoder.owes
    assert sum(sizes) + 3000 <= 40 * budget.amount / 8 / 10 + 0.5 * budget.amount / 8


class _Item:
    def __init__(self, number: int) -> None:
        self.name, self._number = str(number), number

    def read(self) -> codecframe.Image:
        return picture(self._number % 16, 32, 48)


def test_a_server_says_what_compression_costs(tmp_path: Path) -> None:
    webp = codecframe.get_codec("jpeg")
    outcomes: list[Outcome] = []
    with serving(tmp_path, "--max-fps", 10_000, "--codec", "jpeg", "--codec", "png") as server:
        plan = Plan(
            server.url,
            [Choice(webp, webp.settings(quality=60))],
            audit=1.0,
            promised=0.5,
            give_up=60.0,
        )
        asyncio.run(Sender(plan, outcomes.append).run([_Item(n) for n in range(20)]))
        figures = server.metrics()
    audits = [outcome for outcome in outcomes if outcome.audits]
    assert len(outcomes) == 40 and len(audits) == 20
    assert all(outcome.status == "ok" for outcome in outcomes)
    assert {outcome.codec for outcome in audits} == {"png"}
    assert figures["codecframe_audit_frames"] == 20
    assert figures["codecframe_audit_promised"] == 0.5
    assert 0.5 < figures["codecframe_audit_estimate"] <= 1
    assert figures["codecframe_audit_drift"] == 0


@pytest.mark.parametrize(
    "given", [{"audit": "2"}, {"audit": "x%"}, {"keep": "98%"}, {"audit": "1%", "keep": "score=1"}]
)
def test_what_cannot_be_audited(given: dict[str, Any]) -> None:
    with pytest.raises(codecframe.CodecframeError) as error:
        send("nowhere", "http://127.0.0.1:9", "jpeg", **given)
    assert isinstance(error.value, (UsageError, codecframe.BudgetError))
    assert json.dumps(str(error.value))
