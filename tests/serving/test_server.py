"""The server as a real process: what clients of every kind get from it, and what they cannot do."""

from __future__ import annotations

import json
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as PilImage
from servers import Server, serving
from toys import picture
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

import codecframe
from codecframe_serving.protocol import (
    Answer,
    Frame,
    Hello,
    Ready,
    Refused,
    Status,
    Welcome,
    read_text,
)

CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=60)
IMAGES = [picture(seed, 32, 48) for seed in range(8)]
PARAMETERS = {"codec": "jpeg", "set": "quality=60", "height": 32, "width": 48}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as it was."""
    with serving(
        tmp_path_factory.mktemp("server"), "--max-message", 20_000, "--max-pixels", 10_000,
        "--max-fps", 100_000, "--log", "json", token="right",
    ) as server:  # fmt: skip
        yield server
        assert server.end() == 0


def payload(image: codecframe.Image) -> bytes:
    return CODEC.strip(CODEC.encode(image, SETTINGS))


def png(image: codecframe.Image) -> bytes:
    file = BytesIO()
    PilImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


def shades(images: list[codecframe.Image]) -> codecframe.Prediction:
    """What the server's head says of images, in this process."""
    means = np.array([[image.mean()] for image in images], dtype=np.float32)
    scores = -(((means - np.arange(10) * 25.6) / 8) ** 2)
    return codecframe.Prediction(scores.astype(np.float32))


def expected(image: codecframe.Image, top: int = 1) -> list[dict[str, Any]]:
    seen = CODEC.decode(CODEC.encode(image, SETTINGS))
    return [
        {"index": t.index, "label": t.label, "probability": pytest.approx(t.probability, rel=1e-5)}
        for t in shades([seen]).top(top)[0]
    ]


@contextmanager
def opened(server: Server, hello: Hello | None = None) -> Iterator[ClientConnection]:
    """A stream on which the hello was taken."""
    with server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        stream.send((hello or Hello("jpeg", {"quality": 60}, shape=(32, 48), top=2)).pack())
        assert read_text(str(stream.recv(60)), Ready, Refused) == Ready()
        yield stream


def ask(stream: ClientConnection, images: list[codecframe.Image]) -> dict[int, Answer]:
    """Send images as frames 0, 1, 2...; the answers by number."""
    level = SETTINGS.level
    for number, image in enumerate(images):
        stream.send(Frame(number, level, payload(image)).pack())
    answers = [answer(stream) for _ in images]
    return {found.sequence: found for found in answers}


def answer(stream: ClientConnection) -> Answer:
    message = stream.recv(60)
    assert isinstance(message, bytes)
    return Answer.unpack(message)


# -- predictions --------------------------------------------------------------------------


def test_a_posted_payload_gets_the_prediction_of_this_process(server: Server) -> None:
    for image in IMAGES[:3]:
        found = server.post(payload(image), top=3, **PARAMETERS)
        assert found.status_code == 200, found.text
        assert found.json()["top"] == expected(image, 3)
        assert found.json()["head"] == "shades:classify"


def test_the_knob_may_be_a_level(server: Server) -> None:
    parameters = {**PARAMETERS, "level": SETTINGS.level}
    del parameters["set"]
    assert server.post(payload(IMAGES[0]), **parameters).json()["top"] == expected(IMAGES[0])


def test_image_files_and_data_are_taken_too(server: Server) -> None:
    assert server.post(CODEC.encode(IMAGES[1], SETTINGS)).json()["top"] == expected(IMAGES[1])
    data = CODEC.encode(IMAGES[1], SETTINGS)
    assert server.post(data, codec="jpeg").json()["top"] == expected(IMAGES[1])
    seen = server.post(png(IMAGES[2])).json()["top"][0]["index"]
    assert seen == shades([IMAGES[2]]).top()[0][0].index


def test_a_stream_gets_the_predictions_of_this_process(server: Server) -> None:
    with opened(server) as stream:
        answers = ask(stream, IMAGES)
    for number, image in enumerate(IMAGES):
        wanted = expected(image, 2)
        assert answers[number].status is Status.OK
        assert [index for index, _ in answers[number].top] == [t["index"] for t in wanted]
        for (_, probability), entry in zip(answers[number].top, wanted, strict=True):
            assert probability == pytest.approx(entry["probability"].expected, abs=1e-4)


def test_many_clients_share_calls(server: Server) -> None:
    before = server.metrics()
    with ThreadPoolExecutor(12) as threads, server.held():
        first = threads.submit(server.post, payload(IMAGES[0]), **PARAMETERS)
        waits = server.metrics  # while the head is held, what comes waits
        others = [threads.submit(server.post, payload(i), **PARAMETERS) for i in IMAGES]
        while waits()["codecframe_clients"] < 9:
            time.sleep(0.01)
        time.sleep(0.05)
        (server.folder / "hold").unlink()
        found = [other.result().json()["top"] for other in others]
        assert first.result().status_code == 200
        (server.folder / "hold").touch()
    assert found == [expected(image) for image in IMAGES]
    after = server.metrics()
    count, total = "codecframe_batch_images_count", "codecframe_batch_images_sum"
    assert after[total] - before[total] == 9
    assert after[count] - before[count] < 9


# -- what is wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "x"}])
def test_without_the_token_there_is_no_answer(server: Server, header: dict[str, str]) -> None:
    with httpx.Client(base_url=server.url, headers=header, trust_env=False) as client:
        posted = client.post("/v1/predict", content=png(IMAGES[0]))
        assert (posted.status_code, posted.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status_code == 401
        assert client.get("/healthz").text == "ok"
    with pytest.raises(InvalidStatus, match="401"), server.stream(additional_headers=header):
        pass


def test_pages_of_other_sites_are_not_served(server: Server) -> None:
    elsewhere = "https://elsewhere.example"
    with pytest.raises(InvalidStatus, match="403"), server.stream(origin=elsewhere):
        pass
    with server.stream(origin=server.url) as stream:
        assert read_text(str(stream.recv(60)), Welcome).codecs == ("jpeg", "png")


@pytest.mark.parametrize(
    ("content", "parameters", "status", "said"),
    [
        (b"x" * 20_001, {}, 413, "20,000 bytes"),
        (iter([b"x" * 15_000, b"x" * 15_000]), {}, 413, "20,000 bytes"),
        (png(np.zeros((101, 100, 3), np.uint8)), {}, 413, "10,100 pixels"),
        (b"", {**PARAMETERS, "height": 60_000, "width": 60_000}, 413, "pixels"),
        (b"rubbish", {}, 400, "not an image"),
        (b"rubbish", {"codec": "jpeg"}, 400, "jpeg"),
        (b"rubbish", {**PARAMETERS, "codec": "png", "set": []}, 400, "png"),
        (b"", {"codec": "jpag"}, 400, "not 'jpag'"),
        (b"", {**PARAMETERS, "set": "speed=9"}, 400, "speed"),
        (b"", {**PARAMETERS, "set": "quality=900"}, 400, "quality"),
        (b"", {**PARAMETERS, "set": "preset=/etc/passwd"}, 400, "preset"),
        (b"", {**PARAMETERS, "level": 255}, 400, "level"),
        (b"", {**PARAMETERS, "level": "9" * 5000}, 400, "level"),
        (b"", {"codec": "jpeg", "height": 3}, 400, "both"),
        (b"", {"codec": "jpeg", "set": "quality=3"}, 400, "height"),
        (b"", {"height": 3}, 400, "codec"),
        (b"", {"size": 3}, 400, "size"),
        (b"", {"top": 0}, 400, "top"),
    ],
)
def test_bad_requests_are_told_why(
    server: Server, content: Any, parameters: dict[str, object], status: int, said: str
) -> None:
    found = server.post(content, **parameters)
    assert found.status_code == status, found.text
    assert said in found.json()["error"]


def test_where_the_head_fails_that_is_said_and_logged(server: Server) -> None:
    found = server.post(png(np.full((8, 8, 3), 66, np.uint8)))
    assert found.status_code == 500 and "sixty-six" in found.json()["error"]
    assert [event for event in events(server) if event["event"] == "prediction failed"]
    assert server.post(png(IMAGES[0])).status_code == 200


def test_bad_frames_are_answered_and_the_stream_goes_on(server: Server) -> None:
    with opened(server, Hello("png", shape=(32, 48))) as stream:
        stream.send(Frame(5, 0, b"rubbish").pack())
        assert answer(stream).status is Status.BAD
    with opened(server) as stream:
        stream.send(Frame(6, 255, payload(IMAGES[0])).pack())
        assert (found := answer(stream)).status is Status.BAD and "level" in found.reason
        stream.send(Frame(7, SETTINGS.level, b"", (60_000, 60_000)).pack())
        assert (found := answer(stream)).status is Status.BAD and "pixels" in found.reason
        assert ask(stream, IMAGES[:1])[0].status is Status.OK
        stream.send(Hello("jpeg", {"quality": 900}).pack())
        assert "quality" in read_text(str(stream.recv(60)), Refused).reason
        stream.send(Frame(8, 1, b"").pack())
        assert "no hello" in answer(stream).reason


def test_too_large_a_message_closes_the_stream(server: Server) -> None:
    with opened(server) as stream:
        stream.send(bytes(20_001))
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_no_message_stops_the_server(server: Server) -> None:
    """Garbage of many kinds, over streams and raw sockets; then it still predicts."""
    chance = random.Random(7)
    hello = Hello("jpeg", {"quality": 60}, shape=(32, 48)).pack()
    good = Frame(1, SETTINGS.level, payload(IMAGES[0])).pack()
    sent = 0
    while sent < 2000:
        with server.stream() as stream:
            stream.recv(60)
            reader = threading.Thread(target=exhaust, args=[stream])
            reader.start()
            try:
                for _ in range(200):
                    stream.send(garbage(chance, hello, good))
                    sent += 1
            except ConnectionClosed:
                sent += 1
            stream.close()
            reader.join(60)
            assert not reader.is_alive()
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(50):
        with socket.create_connection((host, int(port)), 10) as raw:
            raw.sendall(chance.randbytes(chance.randrange(1, 300)))
    with opened(server) as stream:
        assert ask(stream, IMAGES[:2])[1].status is Status.OK


def garbage(chance: random.Random, hello: str, good: bytes) -> str | bytes:
    """A message with something wrong; some are only cut, some have a byte changed."""
    kind = chance.randrange(6)
    if kind == 0:
        return hello
    if kind == 1:
        cut = chance.randrange(len(hello))
        return hello[:cut] + chance.choice(["", "}", "9" * 500, "\0"]) + hello[cut:]
    if kind == 2:
        return json.dumps({**json.loads(hello), "settings": {"quality": chance.choice([[], {}])}})
    if kind == 3:
        return good[:5] + chance.randbytes(chance.randrange(400))
    changed = bytearray(good)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed) if kind == 4 else bytes(changed[: chance.randrange(3, len(changed))])


def exhaust(stream: ClientConnection) -> None:
    try:
        for _ in stream:
            pass
    except ConnectionClosed:
        pass


# -- counting and logging -----------------------------------------------------------------


def test_what_is_done_is_counted(server: Server) -> None:
    while server.metrics()["codecframe_clients"]:  # streams of other tests are just being closed
        time.sleep(0.01)
    before = server.metrics()
    server.post(payload(IMAGES[0]), **PARAMETERS)
    server.post(b"rubbish")
    with opened(server) as stream:
        ask(stream, IMAGES[:3])
    with pytest.raises(InvalidStatus), server.stream(additional_headers={}):
        pass
    after = server.metrics()

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("codecframe_images_total http ok") == 1
    assert more("codecframe_images_total http bad") == 1
    assert more("codecframe_images_total stream ok") == 3
    assert more("codecframe_refused_total token") == 1
    sizes = [len(payload(image)) for image in [IMAGES[0], *IMAGES[:3]]]
    assert more("codecframe_payload_bytes_total jpeg") == sum(sizes)
    assert more("codecframe_payload_bytes_total file") == len(b"rubbish")


def test_what_happens_is_logged_as_json_lines(server: Server) -> None:
    with opened(server) as stream:
        ask(stream, IMAGES[:2])
    while not (closed := [e for e in events(server) if e.get("ok") == 2]):
        time.sleep(0.01)
    assert closed[0]["event"] == "stream closed" and closed[0]["client"] == "127.0.0.1"
    assert events(server)[0]["event"] == "serving"
    assert "right" not in server.log


def events(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.splitlines()]


# -- limits -------------------------------------------------------------------------------


def test_clients_and_their_rate_are_limited(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-clients", 2, "--max-fps", 0.001) as server:
        with opened(server, Hello("png", shape=(8, 8))) as stream, server.stream():
            found = server.post(png(IMAGES[0]))
            assert (found.status_code, found.headers["retry-after"]) == (503, "1")
            with pytest.raises(InvalidStatus, match="503"), server.stream():
                pass
            stream.send(Frame(1, 0, b"").pack())
            assert answer(stream).status is Status.TOO_FAST
            stream.send(Hello("png").pack())
            with pytest.raises(ConnectionClosed):
                stream.recv(60)
        codes = [server.post(png(IMAGES[0])).status_code for _ in range(2)]
        while codes[0] == 503:  # the streams are just being closed
            codes = [server.post(png(IMAGES[0])).status_code for _ in range(2)]
        assert codes == [200, 429]


def test_more_than_may_wait_are_told_that_the_server_is_busy(tmp_path: Path) -> None:
    with serving(tmp_path, "--batch", 1, "--queue", 2) as server, opened(server) as stream:
        with server.held():
            for number in range(8):
                stream.send(Frame(number, SETTINGS.level, payload(IMAGES[0])).pack())
            found = [answer(stream).status for _ in range(5)]
            assert set(found) == {Status.BUSY}
        found += [answer(stream).status for _ in range(3)]
        assert found.count(Status.OK) >= 2  # one at the head, perhaps, and two that wait


# -- the end ------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_its_end_all_that_came_is_answered(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server, opened(server) as stream, ThreadPoolExecutor(1) as thread:
        with server.held():
            posted = thread.submit(server.post, payload(IMAGES[3]), **PARAMETERS)
            for sequence in range(4):
                stream.send(Frame(sequence, SETTINGS.level, payload(IMAGES[sequence])).pack())
            while server.metrics()["codecframe_payload_bytes_total jpeg"] < sum(
                len(payload(image)) for image in [IMAGES[3], *IMAGES[:4]]
            ):
                time.sleep(0.01)
            server.process.send_signal(number)
            while "ending" not in server.log:
                time.sleep(0.01)
            assert server.post(b"").status_code == 503
        assert {answer(stream).status for _ in range(4)} == {Status.OK}
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
        assert posted.result().json()["top"] == expected(IMAGES[3])
        assert server.process.wait(60) == 0


def test_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate")
    arguments = ["--tls-cert", certificate, "--tls-key", key]
    with serving(tmp_path, *arguments, token="t", authority=certificate) as server:
        assert server.url.startswith("https://")
        assert server.post(payload(IMAGES[0]), **PARAMETERS).json()["top"] == expected(IMAGES[0])
        context = ssl.create_default_context(cafile=certificate)
        with server.stream(ssl=context) as stream:
            assert read_text(str(stream.recv(60)), Welcome).head == "shades:classify"
