"""Answers of other tasks than classification: said by the task, bounded at both ends, drawn."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from starlette.testclient import TestClient
from toys import BrightnessHead

import codecframe as cf
from codecframe_serving import answers
from codecframe_serving.app import make_app
from codecframe_serving.dashboard import Answered, Watch
from codecframe_serving.limits import Limits
from codecframe_serving.ownhead import OwnHead
from codecframe_serving.protocol import (
    MAX_SAID,
    Answer,
    Frame,
    Hello,
    Label,
    Ready,
    Refused,
    Status,
    Welcome,
    read_object,
    read_text,
)
from codecframe_serving.service import Service
from codecframe_serving.session import Session, welcome
from codecframe_serving.worker import Job, Worker

PNG = cf.get_codec("png")


class BrightestHead(cf.TaskHead):
    """Finds what is bright, looking at 32x32 pixels."""

    name = "brightest"
    task = cf.get_task("detection")
    labels = ("lamp",)
    input_shape = (32, 32)

    def prepare(self, image: cf.Image) -> cf.Image:
        return np.asarray(PilImage.fromarray(image).resize((32, 32), 0))

    def predict(self, batch: Any) -> cf.Detections:
        found = []
        for image in batch:
            y, x = np.nonzero(image.max(axis=2) > 200)
            corners = [[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else []
            found.append(cf.Boxes(corners, [0] * len(corners), [0.9] * len(corners)))
        return cf.Detections(tuple(found), self.labels)


class TalkativeTask(type(cf.get_task("detection"))):  # type: ignore[misc]
    def to_json(self, prediction: Any) -> list[dict[str, Any]]:
        return [{"boxes": [], "more": "x" * MAX_SAID} for _ in range(len(prediction))]


class TalkativeHead(BrightestHead):
    task = TalkativeTask()


def lamp() -> cf.Image:
    image = np.full((64, 96, 3), 40, np.uint8)
    image[10:30, 50:80] = 255
    return image


def job() -> Job:
    payload = PNG.strip(PNG.encode(lamp()))
    return Job(payload, PNG, PNG.settings_type(), (64, 96))


def session(head: cf.TaskHead | None = None) -> tuple[Session, Worker]:
    worker = Worker(head or BrightestHead(), [PNG])
    return Session(worker), worker


BOX = {"box": [50.0, 10.0, 80.0, 30.0], "label": "lamp", "index": 0, "score": 0.9}


def test_boxes_cross_the_link_in_pixels_of_the_image() -> None:
    stream, worker = session()
    said = read_text(welcome(worker, Limits()).pack(), Welcome)
    assert (said.task, said.preprocess) == ("detection", None)
    assert stream.hello(Hello("png", says=True, shape=(64, 96)).pack()) == Ready()
    frame = stream.job(Frame(3, 0, job().data))
    (prediction,) = worker.run([frame])
    assert not isinstance(prediction, Exception)
    answer = Answer.unpack(stream.answer(3, prediction, 0.01).pack())
    assert (answer.sequence, answer.status, answer.top) == (3, Status.OK, ())
    found = read_object(answer.said)
    assert found == {"boxes": [BOX]}
    assert answers.words("detection", found) == "lamp"


def test_a_camera_of_its_own_head_answers_with_boxes() -> None:
    stream, worker = session()
    device = cf.DeviceHead(BrightestHead(), sure=0.8)
    own = OwnHead(device)
    own.check(welcome(worker, Limits()), "server")
    answer = own.look(lamp())
    assert answer is not None and own.is_sure(answer) and answer.confidence == pytest.approx(0.9)
    label = Label.unpack(answer.message(3))
    stream.check_label(label)
    assert read_object(label.said) == {"boxes": [BOX]}
    for other in (Label(1, ((0, 1.0),)), Label(1, said='{"no":"boxes"}')):
        with pytest.raises(cf.DataError):
            stream.check_label(other)
    with pytest.raises(cf.MismatchError, match="classifiers alone"):
        OwnHead(device, keep=cf.Keep("90%")).check(welcome(worker, Limits()), "server")
    both = {"head": BrightestHead(), "fallback": BrightestHead()}
    pipeline = cf.Pipeline("png", **both, sure=0.8, prepare=False)
    found = pipeline.evaluate([lamp(), lamp()], [cf.Boxes([[50, 10, 80, 30]], [0])] * 2)
    assert (found.travels, found.score) == (0.0, 1.0)
    assert found.bytes_per_image == len(label.said)


class FixedHead(cf.TaskHead):
    """Says the same of every image."""

    name = "fixed"

    def __init__(self, task: str, made: Callable[[int], cf.TaskPrediction]) -> None:
        self.task, self._made = cf.get_task(task), made

    def predict(self, batch: Any) -> cf.TaskPrediction:
        return self._made(len(batch))


ROAD = np.repeat(np.uint8([0, 0, 1, 0]), 16)[:, None].repeat(96, 1)


@pytest.mark.parametrize(
    ("task", "made", "line"),
    [
        (
            "segmentation",
            lambda n: cf.ClassMaps((ROAD,) * n, ("road", "car")),
            "road 75 %, car 25 %",
        ),
        ("embedding", lambda n: cf.Embeddings(np.float32([[0.5, -2, 1e-9]] * n)), "3 dimensions"),
        (
            "multilabel",
            lambda n: cf.Prediction(np.float32([[2, -3, 1]] * n), ("day", "night", "rain")),
            "day 88 %, rain 73 %",
        ),
    ],
)
def test_answers_of_every_task_cross_the_link_as_they_were_said(
    task: str, made: Callable[[int], cf.TaskPrediction], line: str
) -> None:
    head = FixedHead(task, made)
    stream, worker = session(head)
    assert read_text(welcome(worker, Limits()).pack(), Welcome).task == task
    assert stream.hello(Hello("png", says=True, shape=(64, 96)).pack()) == Ready()
    (prediction,) = worker.run([stream.job(Frame(0, 0, job().data))])
    assert not isinstance(prediction, Exception)
    answer = Answer.unpack(stream.answer(0, prediction, 0.01).pack())
    found = read_object(answer.said)
    assert [found] == head.task.to_json(made(1))
    assert answers.words(task, found) == line
    assert head.task.draw(lamp(), found).shape == lamp().shape


def test_clients_of_classifiers_are_served_as_before_and_told_of_other_tasks() -> None:
    old = json.loads(Hello("png", shape=(64, 96)).pack())
    del old["says"]
    refused = session()[0].hello(json.dumps(old))
    assert isinstance(refused, Refused) and "does detection" in refused.reason
    stream, worker = session(BrightnessHead())
    assert stream.hello(json.dumps(old)) == Ready()
    (prediction,) = worker.run([stream.job(Frame(0, 0, job().data))])
    assert not isinstance(prediction, Exception)
    answer = Answer.unpack(stream.answer(0, prediction, 0.01).pack())
    assert len(answer.top) == 1 and not answer.said


def test_a_server_that_says_no_task_classifies() -> None:
    said = json.loads(welcome(session(BrightnessHead())[1], Limits()).pack())
    del said["task"]
    assert read_text(json.dumps(said), Welcome).task == "classification"


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"[]",
        b"{",
        b'{"boxes":NaN}',
        b"\xff{}",
        b'{"a":' * 100_000,
        b'{"a":"' + b"x" * MAX_SAID + b'"}',
    ],
)
def test_answers_of_a_stranger_are_bounded(rest: bytes) -> None:
    head = Answer(1, Status.OK, said="{}").pack()[:-2]
    with pytest.raises(cf.DataError):
        Answer.unpack(head + rest)


def test_what_is_said_can_be_shown() -> None:
    found = answers.printable_data({"text": ["a\x1b[2Jb", 1, None], "b\x9b": 0.5})
    assert found == {"text": ["a�[2Jb", 1, None], "b�": 0.5}
    assert answers.words("no-such-task", {"text": "EXIT"}) == '{"text": "EXIT"}'
    assert "does not say" in answers.words("detection", {"boxes": 3})


def test_a_head_that_says_too_much_fails_alone() -> None:
    stream, worker = session(TalkativeHead())
    (prediction,) = worker.run([job()])
    assert not isinstance(prediction, Exception)
    with pytest.raises(cf.MismatchError, match="more than"):
        stream.answer(0, prediction, 0.0)


def test_a_posted_image_is_answered_with_what_the_task_says() -> None:
    file = io.BytesIO()
    PilImage.fromarray(lamp()).save(file, "PNG")
    app = make_app(Service(Worker(BrightestHead(), [PNG])))
    with TestClient(app, base_url="http://localhost") as client:
        found = client.post("/v1/predict", content=file.getvalue()).json()
    assert (found["head"], found["task"]) == ("brightest", "detection")
    assert found["prediction"] == {"boxes": [BOX]}


def test_the_page_shows_what_is_drawn() -> None:
    _, worker = session()
    (prediction,) = worker.run([job()])
    assert not isinstance(prediction, Exception)

    async def looked() -> list[dict[str, Any]]:
        watch, ended = Watch(worker.picture, dict, worker.head), asyncio.Event()
        views = watch.views("here", ended)
        first = await anext(views)
        watch.add(Answered("stream 1", "there", job(), Status.OK, 0.01, prediction))
        second = await anext(views)
        await views.aclose()  # type: ignore[attr-defined]
        return [first, second]

    _, view = asyncio.run(looked())
    assert view["picture"]["words"] == view["streams"][0]["label"] == "lamp"
    assert "top" not in view["picture"] and view["picture"]["width"] == 96
    assert view["picture"]["source"].startswith("data:image/jpeg")
