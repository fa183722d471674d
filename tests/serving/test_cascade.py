"""A camera with a head of its own: what it is sure of is not sent, and is accounted for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from servers import Server, serving
from toys import picture

import codecframe
from codecframe import Budget, DeviceHead, Keep, UsageError
from codecframe_serving.encoder import Choice, Encoder
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.protocol import Answer, Hello, Label, Status
from codecframe_serving.sender import Sender
from codecframe_serving.sending import send

JPEG = codecframe.get_codec("jpeg")
CHOICE = Choice(JPEG, JPEG.settings(quality=60))


class OwnShades(codecframe.TaskHead):
    """Sees what the server's head sees, by few pixels."""

    name = "own"

    def predict(self, batch: Any) -> codecframe.Prediction:
        means = np.array([[image[::5, ::5].mean()] for image in batch], dtype=np.float32)
        return codecframe.Prediction(-(((means - np.arange(10) * 25.6) / 8) ** 2))


class _Item:
    def __init__(self, number: int) -> None:
        self.name, self._number = str(number), number

    def read(self) -> codecframe.Image:
        return picture(self._number % 40, 32, 48)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--max-fps", 10_000) as server:
        yield server


def sent(server: Server, count: int, **options: Any) -> tuple[list[Outcome], Sender, list[str]]:
    outcomes: list[Outcome] = []
    remarks: list[str] = []
    plan = Plan(server.url, [CHOICE], give_up=60.0, **options)
    sender = Sender(plan, outcomes.append, remarks.append)
    asyncio.run(sender.run([_Item(number) for number in range(count)]))
    return outcomes, sender, remarks


def test_what_it_is_sure_of_is_answered_on_the_device(server: Server) -> None:
    before = server.metrics()
    outcomes, sender, _ = sent(server, 40, device=DeviceHead(OwnShades(), 0.95), top=2)
    after = server.metrics()
    assert Counter(outcome.name for outcome in outcomes) == Counter(map(str, range(40)))
    own = OwnShades()
    for outcome in outcomes:
        prediction = own.predict([_Item(int(outcome.name)).read()])
        assert outcome.status == "ok" and len(outcome.top) == 2
        assert outcome.on_device == bool(own.confidence(prediction)[0] >= 0.95)
        if outcome.on_device:
            assert outcome.bytes == 5 + 4 and outcome.codec == ""
            assert outcome.top[0][0] == prediction.top()[0][0].index
    here = sum(outcome.on_device for outcome in outcomes)
    assert 5 < here < 35 and sender.state.on_device == here and sender.state.ok == 40
    counted = {name: after[name] - before.get(name, 0) for name in after}
    assert counted["codecframe_device_answers_total ok"] == here
    assert counted["codecframe_device_answer_bytes_total"] == 9 * here
    assert counted["codecframe_images_total stream ok"] == 40 - here


def test_confidence_is_found_on_the_first_images(server: Server) -> None:
    keep = Keep("80%")
    outcomes, _, remarks = sent(
        server, 160, device=DeviceHead(OwnShades(), float("inf")), kept=keep
    )
    first = 4 * keep.images_needed()
    assert not any(one.on_device for one in outcomes if int(one.name) < first)
    assert any(one.on_device for one in outcomes)
    (remark,) = remarks
    assert "own answers by itself from a confidence of" in remark and f"{first} images" in remark


def test_an_audit_looks_at_what_was_answered_on_the_device(server: Server) -> None:
    before = server.metrics()["codecframe_audit_frames"]
    outcomes, _, _ = sent(server, 20, device=DeviceHead(OwnShades(), 0.0), audit=1.0)
    assert Counter(one.on_device for one in outcomes) == {True: 20, False: 20}
    assert all(one.audits for one in outcomes if not one.on_device)
    assert server.metrics()["codecframe_audit_frames"] == before + 20


def test_who_watches_sees_where_it_was_answered(server: Server) -> None:
    with server.client() as client, client.stream("GET", "/v1/watch") as response:
        lines = (json.loads(line[6:]) for line in response.iter_lines() if line)
        next(lines)
        with server.stream() as stream:
            stream.recv()
            stream.send(Hello("jpeg", {"quality": 60}, shape=(32, 48)).pack())
            stream.send(Label(7, ((3, 0.75),)).pack())
            stream.recv()
            answer = Answer.unpack(stream.recv())
            assert (answer.sequence, answer.status, answer.top) == (7, Status.OK, ())
            rows = [row for view in (next(lines) for _ in range(3)) for row in view["streams"]]
    (row,) = rows
    assert (row["images"], row["on_device"], row["codec"]) == (1, 1, "on the device")
    assert (row["label"], row["bytes"]) == ("3", 9) and abs(row["probability"] - 0.75) < 1e-4


def test_a_label_of_another_task_is_refused(server: Server) -> None:
    with server.stream() as stream:
        stream.recv()
        stream.send(Label(1, said='{"boxes":[]}').pack())
        answer = Answer.unpack(stream.recv())
        assert answer.status is Status.BAD and "classification" in answer.reason


def test_a_head_that_fails_lets_images_travel(server: Server) -> None:
    class Broken(OwnShades):
        def predict(self, batch: Any) -> codecframe.Prediction:
            raise codecframe.MismatchError("is broken")

    outcomes, _, remarks = sent(server, 6, device=DeviceHead(Broken(), 0.5))
    assert [one.status for one in outcomes] == ["ok"] * 6
    assert not any(one.on_device for one in outcomes)
    assert len(remarks) == 1 and "is broken" in remarks[0]


def test_a_head_of_other_things_is_refused(server: Server) -> None:
    class Vectors(OwnShades):
        task = codecframe.get_task("embedding")

    with pytest.raises(codecframe.MismatchError, match="does embedding"):
        sent(server, 1, device=DeviceHead(Vectors(), 0.5))


def test_a_link_carries_more_of_what_travels() -> None:
    budget = Budget.parse("40kbit/s@10fps")
    images = [picture(seed, 96, 96) for seed in range(30)]
    alone, between = Encoder([CHOICE], budget), Encoder([CHOICE], budget)
    sizes: dict[str, list[int]] = {"alone": [], "between": []}
    for i, image in enumerate(images):
        sizes["alone"].append(len(alone.encode(image, budget.amount, 0.0).payload))
        if i % 3:
            between.skip(image, 9, budget.amount)
        else:
            sizes["between"].append(len(between.encode(image, budget.amount, 0.0).payload))
    assert np.mean(sizes["between"]) > 1.1 * np.mean(sizes["alone"])
    assert sum(sizes["between"]) <= 3.5 * budget.amount / 8  # 3 s, and what may be saved up


@pytest.mark.parametrize(
    "given", [{"sure": 0.9}, {"head": OwnShades()}, {"head": OwnShades(), "sure": "often"},
              {"head": OwnShades(), "sure": 1.5}],
)  # fmt: skip
def test_what_does_not_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        send("nowhere", "http://127.0.0.1:9", "jpeg", **given)
