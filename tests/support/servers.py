"""`codecframe serve` as a real process, for tests."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

HEAD = '''
import pathlib, time
import numpy as np

def classify(images):
    """Ten shades of brightness; while there is a file `hold`, nothing is said."""
    while pathlib.Path("hold").exists():
        time.sleep(0.01)
    if any((image == 66).all() for image in images):
        raise ValueError("sixty-six")
    means = np.array([[image.mean()] for image in images], dtype=np.float32)
    return -((means - np.arange(10) * 25.6) / 8) ** 2
'''
"""A head that tests hold and let go, and that fails on an image of 66 all over."""


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    folder: Path
    url: str
    token: str | None
    authority: Path | None

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def post(self, content: object, **parameters: object) -> httpx.Response:
        """Post an image to be predicted."""
        with self.client() as client:
            return client.post("/v1/predict", content=content, params=parameters)

    def client(self) -> httpx.Client:
        """An HTTP client with the token."""
        trusted = ssl.create_default_context(cafile=self.authority)
        return httpx.Client(
            base_url=self.url, headers=self._headers, verify=trusted, trust_env=False, timeout=60
        )

    def stream(self, **options: object) -> ClientConnection:
        """A stream with the token; its welcome is not read yet."""
        address = self.url.replace("http", "ws", 1) + "/v1/stream"
        headers = options.pop("additional_headers", self._headers)
        return connect(address, additional_headers=headers, proxy=None, close_timeout=5, **options)

    def metrics(self) -> dict[str, float]:
        """What was counted, by name and labels: `codecframe_images_total http ok`."""
        with self.client() as client:
            text = client.get("/metrics").raise_for_status().text
        return {
            " ".join(
                [sample.name, *(v for _, v in sorted(sample.labels.items(), reverse=True))]
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @contextmanager
    def held(self) -> Iterator[None]:
        """The head says nothing inside the `with` block."""
        hold = self.folder / "hold"
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def log(self) -> str:
        """What the server has logged."""
        return (self.folder / "log").read_text()


@contextmanager
def serving(
    folder: Path,
    *arguments: object,
    token: str | None = None,
    authority: Path | None = None,
    head: str = "shades:classify",
    codecs: Sequence[str] = ("jpeg", "png"),
) -> Iterator[Server]:
    """A server with the head above and the codecs png and jpeg, on a port of its own choice."""
    (folder / "shades.py").write_text(HEAD)
    (folder / "hold").unlink(missing_ok=True)
    command = [
        Path(sys.executable).with_name("codecframe"), "serve", "--head", head,
        *(word for codec in codecs for word in ("--codec", codec)),
        "--port", "0", *map(str, arguments),
    ]  # fmt: skip
    environment = {**os.environ, **({"CODECFRAME_TOKEN": token} if token else {})}
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith(f"serving {head} at "), (folder / "log").read_text()
            yield Server(process, folder, said.split()[-1], token, authority)
        finally:
            process.kill()
    assert "Traceback" not in (folder / "log").read_text()
