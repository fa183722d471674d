"""What strangers send to a server, and what they keep it from: nothing."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image as PilImage
from servers import Server, serving
from toys import picture
from websockets.exceptions import ConnectionClosed, InvalidStatus

import codecframe
from codecframe_serving.protocol import (
    IDLE,
    Answer,
    Frame,
    Hello,
    Ready,
    Status,
    Welcome,
    read_text,
)

CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=60)
IMAGE = picture(1, 32, 48)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a token: whatever is refused is refused for another reason."""
    with serving(
        tmp_path_factory.mktemp("server"), "--max-fps", 100_000, "--allow-host", "Known.Example",
        "--max-clients", 40, "--max-per-address", 20, "--max-message", 100_000,
    ) as server:  # fmt: skip
        yield server
        assert server.post(png(IMAGE)).status_code == 200
        assert server.end() == 0


def png(image: codecframe.Image) -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


def address(server: Server) -> tuple[str, int]:
    host, _, port = server.url.rpartition("//")[2].rpartition(":")
    return host, int(port)


# -- names and other sites ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:80", True),
        ("10.1.2.3:8000", True),
        ("known.example", True),
        ("KNOWN.example.:99", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("known.example@evil.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_a_name_that_may_be_anybodys_is_not_served(
    server: Server, host: str, allowed: bool
) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    with server.client() as client:
        posted = client.post("/v1/predict", content=png(IMAGE), headers=headers)
        assert posted.status_code == (200 if allowed else 403)
        assert client.get("/metrics", headers={"Host": host}).status_code == posted.status_code
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
        if not allowed:
            assert client.get("/v1/watch", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "http://evil.example"},
        {"Origin": "\\\\"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused_and_take_no_place(
    server: Server, headers: dict[str, str]
) -> None:
    with server.client() as client:
        for _ in range(9):  # more than may watch
            assert client.get("/v1/watch", headers=headers).status_code == 403
        assert client.post("/v1/predict", headers=headers).status_code == 403
        with client.stream("GET", "/v1/watch") as watched:
            assert watched.status_code == 200


def test_one_address_cannot_take_all_places_of_watchers(server: Server) -> None:
    with ExitStack() as stack:
        codes = []
        for _ in range(5):
            client = stack.enter_context(server.client())
            codes.append(stack.enter_context(client.stream("GET", "/v1/watch")).status_code)
    assert codes == [200] * 4 + [503]


# -- places -------------------------------------------------------------------------------


def test_silent_connections_keep_nobody_out(server: Server) -> None:
    """More than the server has places: each new one takes that of an older silent one."""
    with ExitStack() as stack:
        for number in range(150):
            silent = stack.enter_context(socket.create_connection(address(server), 10))
            if number % 2:
                silent.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        with server.client() as client:
            assert client.get("/healthz").text == "ok"
            assert client.get("/metrics").status_code == 200
        assert server.post(png(IMAGE)).status_code == 200


def test_streams_of_one_address_leave_places_for_others(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            read_text(str(stack.enter_context(server.stream()).recv(60)), Welcome)
        found = server.post(png(IMAGE))
        assert (found.status_code, found.headers["retry-after"]) == (503, "1")
        assert "of this address" in found.json()["error"]
        with pytest.raises(InvalidStatus, match="503"), server.stream():
            pass
        with server.client() as client:
            assert client.get("/healthz").text == "ok"
        assert server.metrics()["codecframe_clients"] == 20


def test_a_stream_that_says_nothing_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path, "--idle", 0.2) as server, server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        with server.held():  # who waits for an answer is not idle
            stream.send(Hello("jpeg", {"quality": 60}, shape=(32, 48)).pack())
            read_text(str(stream.recv(60)), Ready)
            stream.send(Frame(1, SETTINGS.level, CODEC.strip(CODEC.encode(IMAGE, SETTINGS))).pack())
            with pytest.raises(TimeoutError):
                stream.recv(0.6)
        assert Answer.unpack(stream.recv(60, decode=False)).status is Status.OK
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == IDLE


# -- messages -----------------------------------------------------------------------------


def test_text_that_is_no_text_closes_the_stream_and_is_a_line_in_the_log(server: Server) -> None:
    with server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        with stream.protocol_mutex:
            stream.protocol.send_text(b"\xff\xfe")
            stream.send_data()
        with pytest.raises(ConnectionClosed):
            stream.recv(60)
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "hello",
    [
        json.dumps({"type": "hello", "version": 1, "codec": "jpeg", "emits": ["x"] * 10_000}),
        json.dumps({"type": "hello", "version": 1, "codec": "j" * 16_000}),
        "[" * 15_000,
        '{"type":"hello","version":1,"codec":"jpeg","settings":{"quality":' + "9" * 9000 + "}}",
    ],
    ids=["long list", "long name", "deep", "long number"],
)
def test_hellos_that_cost_much_are_refused(server: Server, hello: str) -> None:
    with server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        stream.send(hello)
        answer = json.loads(stream.recv(60))
        assert answer["type"] == "refused" and len(answer["reason"]) <= 1000


# -- images -------------------------------------------------------------------------------


def test_memory_is_bounded_for_all_images_together(tmp_path: Path) -> None:
    """What is under way is counted as it comes: what has no room is told so."""
    with serving(tmp_path, "--max-memory", 1) as server:
        half = b"x" * 400_000
        with server.held(), ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(address(server), 10))
            head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * len(half)}\r\n"
            connection.sendall(head.replace("Host: x", "Host: localhost").encode() + b"\r\n" + half)
            found = server.post(half)
            while found.status_code != 503:  # the other one is still being read
                found = server.post(half)
            assert "memory" in found.json()["error"]
        assert server.post(png(IMAGE)).status_code in (200, 503)


def test_empty_payloads_of_great_images_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with serving(tmp_path, "--max-memory", 64, head="cifar10-vae", codecs=["vae"]) as server:
        payloads = {"codec": "vae", "level": 0}
        for side in (65, 4096, 65535):
            found = server.post(b"", height=side, width=side, **payloads)
            assert found.status_code == 413, found.text
        assert server.post(b"", height=32, width=32, **payloads).status_code == 200
        with server.stream() as stream:
            assert read_text(str(stream.recv(60)), Welcome).max_pixels == 64 * 64
            codec = codecframe.get_codec("vae")
            stream.send(Hello("vae", emits=tuple(map(str, codec.emits))).pack())
            read_text(str(stream.recv(60)), Ready)
            stream.send(Frame(1, 0, b"", (4096, 4096)).pack())
            answer = Answer.unpack(stream.recv(60, decode=False))
            assert answer.status is Status.BAD and "pixels" in answer.reason


# -- all at once --------------------------------------------------------------------------


def test_honest_frames_beside_rubbish_are_all_answered(server: Server) -> None:
    """Honest frames beside rubbish of all kinds: each is answered, with a reason where refused."""
    rubbish = [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"\xff\xd8\xff", np.zeros(99).tobytes()]
    codes: list[int] = []

    def send(number: int) -> None:
        codes.append(server.post(rubbish[number % len(rubbish)]).status_code)

    threads = [threading.Thread(target=send, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    with server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        stream.send(Hello("jpeg", {"quality": 60}, shape=(32, 48)).pack())
        read_text(str(stream.recv(60)), Ready)
        payload = CODEC.strip(CODEC.encode(IMAGE, SETTINGS))
        for number in range(20):
            stream.send(Frame(number, SETTINGS.level, payload).pack())
        answers = [Answer.unpack(stream.recv(60, decode=False)) for _ in range(20)]
    for thread in threads:
        thread.join(60)
    assert {answer.status for answer in answers} == {Status.OK}
    assert len(codes) == 16 and set(codes) <= {400, 503}
    assert httpx.get(f"{server.url}/healthz", trust_env=False).text == "ok"
