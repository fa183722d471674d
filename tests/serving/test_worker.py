"""Jobs of many clients in one call: what is bad fails alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import toys
from PIL import Image as PilImage

import codecframe
from codecframe.core.classification import Prediction
from codecframe.core.errors import DataError, LimitError, MismatchError, PluginError, SettingsError
from codecframe.core.representation import PIXELS, Latents, LatentSpace
from codecframe_serving.limits import Limits
from codecframe_serving.protocol import Frame, Hello, Ready, Refused
from codecframe_serving.session import Session, welcome
from codecframe_serving.worker import Job, Worker

CODEC = toys.ToyCodec()
HEAD = toys.BrightnessHead()
IMAGES = [toys.picture(seed) for seed in range(4)]
SETTINGS = toys.ToySettings(strength=200)


def job(image: np.ndarray) -> Job:
    payload = CODEC.strip(CODEC.encode(image, SETTINGS))
    return Job(payload, CODEC, SETTINGS, image.shape[:2])


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


def worker(max_pixels: int = 1 << 20) -> Worker:
    return Worker(HEAD, [CODEC], max_pixels=max_pixels)


def test_payloads_data_and_files_are_classified_together() -> None:
    jobs = [
        job(IMAGES[0]),
        Job(CODEC.encode(IMAGES[1], SETTINGS), CODEC),
        Job(png(IMAGES[2])),
    ]
    seen = [CODEC.decode(CODEC.encode(image, SETTINGS)) for image in IMAGES[:2]] + [IMAGES[2]]
    found = worker().run(jobs)
    scores = np.concatenate([one.scores for one in found if isinstance(one, Prediction)])
    assert np.array_equal(scores, HEAD.predict(seen).scores)


def test_bad_jobs_fail_alone() -> None:
    good = job(IMAGES[0])
    bad = [
        Job(b"rubbish", CODEC, SETTINGS, (48, 40)),
        Job(b"rubbish"),
        Job(b"", CODEC),
        Job(good.data, CODEC, SETTINGS, (60_000, 60_000)),
    ]
    found = worker().run([good, *bad, good])
    assert [type(result) for result in found] == [
        Prediction, DataError, DataError, DataError, LimitError, Prediction
    ]  # fmt: skip


def test_a_head_that_fails_on_one_image_still_predicts_for_the_others() -> None:
    class Picky(toys.BrightnessHead):
        def predict(self, batch: Any) -> Prediction:
            if any(image.shape[0] == 8 for image in batch):
                raise ZeroDivisionError("eight")
            return super().predict(batch)

    found = Worker(Picky(), [CODEC]).run([job(IMAGES[0]), job(toys.picture(0, 8, 8))])
    assert isinstance(found[0], Prediction)
    assert isinstance(found[1], PluginError) and "eight" in str(found[1])


def test_a_payload_is_of_the_shape_that_was_said() -> None:
    jpeg = codecframe.get_codec("jpeg")
    whole = jpeg.encode(IMAGES[0], progressive=True)  # a payload that brings its own header
    (found,) = Worker(HEAD, [jpeg]).run([Job(whole, jpeg, jpeg.settings_type(), (8, 8))])
    assert isinstance(found, DataError) and "as was said" in str(found)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_no_prediction(score: float) -> None:
    class Broken(toys.BrightnessHead):
        def predict(self, batch: Any) -> Prediction:
            found = super().predict(batch)
            heights = np.array([image.shape[0] for image in batch])
            found.scores[heights == 8, 3] = score
            return found

    found = Worker(Broken(), [CODEC]).run([job(IMAGES[0]), job(toys.picture(0, 8, 8))])
    assert isinstance(found[0], Prediction)
    assert isinstance(found[1], MismatchError) and "not finite" in str(found[1])


def test_nothing_is_larger_than_the_pixel_limit() -> None:
    found = worker(max_pixels=1000).run([job(IMAGES[0]), Job(png(IMAGES[0])), job(IMAGES[0][:9])])
    assert [type(result) for result in found] == [LimitError, LimitError, Prediction]


SPACE = LatentSpace("toy-latents", channels=3, stride=1)


class LatentCodec(toys.ToyCodec):
    """A toy codec whose pixels are its latents."""

    emits = (SPACE, PIXELS)

    def decode_latents(self, data: bytes) -> Latents:
        image = self.decode(data)
        return Latents(SPACE, image.transpose(2, 0, 1).astype(np.int32), 0, image.shape[:2])


class LatentHead(toys.BrightnessHead):
    """Takes latents of 8x8 images, and fails as models do on others."""

    accepts = SPACE
    input_shape = (8, 8)

    def predict(self, batch: Any) -> Prediction:
        if any(latents.shape != (8, 8) for latents in batch):
            raise MismatchError("takes 8x8")
        return super().predict([latents.values for latents in batch])


def test_latents_of_a_wrong_size_are_the_clients_fault() -> None:
    codec = LatentCodec()
    images = [toys.picture(0, 8, 8), toys.picture(1, 10, 9), toys.picture(2, 40, 40)]
    datas = [codec.encode(image, SETTINGS) for image in images]
    jobs = [
        Job(codec.strip(data), codec, SETTINGS, image.shape[:2])
        for data, image in zip(datas, images, strict=True)
    ]
    made = Worker(LatentHead(), [codec], max_pixels=1 << 20)
    assert made.max_pixels == 4 * 8 * 8  # what is far from the head's size is not decoded at all
    found = made.run([*jobs, *(Job(data, codec) for data in datas)])
    assert [type(result) for result in found] == [Prediction, DataError, LimitError] * 2


def test_a_codec_must_fit_the_head_and_be_the_clients() -> None:
    found = worker().find("toy", ["pixels"])
    assert found is CODEC
    with pytest.raises(MismatchError, match="decodes toy, but not 'jpeg'"):
        worker().find("jpeg", ["pixels"])
    with pytest.raises(MismatchError, match="another model"):
        worker().find("toy", ["latents-of-1234", "pixels"])


def test_a_session_takes_frames_after_its_hello() -> None:
    session = Session(worker())
    frame = Frame(7, 199, job(IMAGES[0]).data)
    with pytest.raises(DataError, match="no hello"):
        session.job(frame)
    assert session.hello(Hello("toy", {"effort": 9}, shape=(48, 40), top=3).pack()) == Ready()
    found = session.job(frame)
    assert found.settings == toys.ToySettings(strength=200, effort=9) and found.shape == (48, 40)
    prediction = worker().run([found])[0]
    assert isinstance(prediction, Prediction)
    answer = session.answer(7, prediction, 0.25)
    assert answer.sequence == 7
    assert [index for index, _ in answer.top] == [e.index for e in prediction.top(3)[0]]
    with pytest.raises(SettingsError, match="level"):
        session.job(Frame(8, 255, b""))


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (Hello("jpeg"), "not 'jpeg'"),
        (Hello("toy", {"speed": 1}), "a known name"),
        (Hello("toy", {"effort": 99}), "from 0 to 9"),
        (Hello("toy", head="other"), "has head 'brightness'"),
    ],
)
def test_a_hello_that_cannot_be_kept_is_refused(hello: Hello, reason: str) -> None:
    session = Session(worker())
    session.hello(Hello("toy", shape=(48, 40)).pack())
    found = session.hello(hello.pack())
    assert isinstance(found, Refused) and reason in found.reason
    with pytest.raises(DataError, match="no hello"):
        session.job(Frame(0, 0, b""))


def test_the_welcome_says_what_is_taken() -> None:
    found = welcome(worker(), Limits())
    assert (found.head, found.codecs, found.preprocess) == ("brightness", ("toy",), None)
    assert found.labels == HEAD.labels
