"""Decoders that hang, crash, eat and write: each costs its own image, and the server goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server, serving

from codecframe_serving import confine
from codecframe_serving.protocol import Answer, Frame, Hello, Ready, Status, Welcome, read_text

CODEC = '''
import os, signal, sys
from dataclasses import dataclass
import numpy as np
import codecframe

@dataclass(frozen=True, kw_only=True)
class EvilSettings(codecframe.Settings):
    """None."""

class EvilCodec(codecframe.Codec[EvilSettings]):
    name = "evil"
    extension = ".evil"
    summary = "does as it is told"
    settings_type = EvilSettings

    def encode_image(self, image, settings):
        return b"good"

    def decode(self, data):
        if data == b"hang":
            while True:
                pass
        if data == b"abort":
            os.abort()
        if data == b"exit":
            sys.exit(3)
        if data == b"leave":
            os._exit(0)
        if data == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"eat":
            return np.ones((40_000, 40_000, 3), np.uint8)
        if data == b"large":
            return np.zeros((5000, 5000, 3), np.uint8)
        if data == b"flat":
            return np.zeros((5, 5), np.uint8)
        if data == b"nothing":
            return None
        if data == b"write":
            with open("written", "wb") as file:
                file.write(b"x")
        if data == b"talk":
            print("talk" * 1000, file=sys.stderr)
        if data == b"recurse":
            return self.decode(data)
        return np.full((32, 48, 3), 128, np.uint8)

class Plugin:
    @codecframe.hookimpl
    def codecframe_codecs(self):
        return [EvilCodec()]

plugin = Plugin()
'''
ENDED = [b"hang", b"abort", b"leave", b"kill"]
FAILED = [b"eat", b"large", b"flat", b"nothing", b"write", b"recurse", b"exit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where programs find the plugin."""
    if not confine.can_confine():
        pytest.skip("this system has no limits for a process")
    folder = tmp_path_factory.mktemp("evil")
    (folder / "evil.py").write_text(CODEC)
    (folder / "evil-1.dist-info").mkdir()
    (folder / "evil-1.dist-info" / "METADATA").write_text("Name: evil\nVersion: 1\n")
    (folder / "evil-1.dist-info" / "entry_points.txt").write_text(
        "[codecframe]\nevil = evil:plugin\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(
        folder, "--decode-timeout", 2, "--max-pixels", 10_000, codecs=["evil", "jpeg"]
    ) as server:
        yield server
        assert server.end() == 0


@pytest.mark.parametrize("data", ENDED + FAILED)
def test_what_a_decoder_does_costs_its_own_image(server: Server, data: bytes) -> None:
    found = server.post(data, codec="evil")
    assert found.status_code in (400, 413, 500), found.text
    if data in ENDED:
        assert found.status_code == 400 and "decoding" in found.json()["error"]
    good = server.post(b"good", codec="evil")
    assert (good.status_code, good.json().get("top", [{}])[0].get("index")) == (200, 5)
    assert (
        not (server.folder / "written").exists() or not (server.folder / "written").stat().st_size
    )


def test_what_libraries_write_to_stderr_is_not_in_the_log(server: Server) -> None:
    assert server.post(b"talk", codec="evil").status_code == 200
    assert "talktalk" not in server.log


def test_honest_frames_beside_bad_ones_of_a_batch_are_answered(server: Server) -> None:
    sent = [b"good", b"abort", b"good", b"hang", b"good", b"leave", b"flat", b"good"] * 2
    with server.stream() as stream:
        read_text(str(stream.recv(60)), Welcome)
        stream.send(Hello("evil", shape=(32, 48)).pack())
        read_text(str(stream.recv(60)), Ready)
        for number, data in enumerate(sent):
            stream.send(Frame(number, 0, data).pack())
        answers = [Answer.unpack(stream.recv(120, decode=False)) for _ in sent]
    statuses = {answer.sequence: answer.status for answer in answers}
    assert [n for n, status in sorted(statuses.items()) if status is Status.OK] == [
        number for number, data in enumerate(sent) if data == b"good"
    ]
    assert {answer.reason != "" for answer in answers if answer.status is not Status.OK} == {True}


def test_quick_images_have_a_process_that_others_are_kept_from(folder: Path) -> None:
    program = """
import threading
import codecframe
from codecframe_serving.decoding import Job
from codecframe_serving.sandbox import Confinement, Sandbox

codec = codecframe.get_codec("evil")
hang, good = (Job(data, codec, codec.settings_type(), (32, 48)) for data in (b"hang", b"good"))
sandbox = Sandbox(Confinement({"evil": "evil"}, seconds=60), 3)
sandbox.start()
apart = [threading.Thread(target=sandbox.decode, args=[[hang]], kwargs={"apart": True})
         for _ in range(3)]
for thread in apart:
    thread.start()
(image,) = sandbox.decode([good])
print(image.shape, sum(thread.is_alive() for thread in apart), flush=True)
sandbox.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, text=True, capture_output=True, check=False
    )
    assert done.stdout == "(32, 48, 3) 3\n", done.stderr


def test_without_a_sandbox_codecs_decode_in_the_server_itself(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-sandbox") as server:
        assert server.post(b"no image", codec="jpeg").status_code == 400
        assert server.end() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep this limit")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("bytearray(4 << 30)", "MemoryError"),
        ("open('file', 'wb').write(b'x' * 99_999)", "OSError"),
        ("[open('/dev/null') for _ in range(100)]", "OSError"),
        ("np.ones((1 << 29,))", "MemoryError"),
    ],
)
def test_limits_hold_and_can_be_lifted(tmp_path: Path, code: str, said: str) -> None:
    program = f"""
import numpy as np
from codecframe_serving import confine
confine.confine(64 << 20)
try:
    {code}
except Exception as error:
    print(type(error).__mro__)
confine.release()
with open("lifted", "wb") as file:
    file.write(b"x")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, text=True, capture_output=True, check=True
    )
    assert said in done.stdout
    assert (tmp_path / "lifted").stat().st_size == 1
