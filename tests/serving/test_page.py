"""The page at `/`: what a browser shows of a server at work, and what it keeps to itself."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage
from servers import Server, serving
from toys import picture
from websockets.sync.client import ClientConnection

import codecframe
from codecframe_serving.protocol import Frame, Hello

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
CODEC = codecframe.get_codec("jpeg")
SETTINGS = CODEC.settings_type(quality=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("watched"), "--max-fps", 100_000, token="right") as server:
        yield server
        assert server.end() == 0


def views(server: Server, count: int) -> list[dict[str, Any]]:
    """What is told to who watches, after an image was posted."""
    with server.client() as client, client.stream("GET", "/v1/watch") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        found: list[dict[str, Any]] = []
        for line in response.iter_lines():
            if line:
                assert line.startswith("data: ")
                found.append(json.loads(line[6:]))
                if len(found) == 1:
                    assert server.post(png(picture(3, 32, 48))).status_code == 200
            if len(found) == count:
                break
    return found


def png(image: codecframe.Image) -> bytes:
    file = BytesIO()
    PilImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


def send(stream: ClientConnection, count: int) -> None:
    stream.send(Hello("jpeg", {"quality": 60}, shape=(32, 48)).pack())
    for number in range(count):
        image = picture(number, 32, 48)
        payload = CODEC.strip(CODEC.encode(image, SETTINGS))
        stream.send(Frame(number, SETTINGS.level, payload).pack())


def test_views_tell_what_was_answered(server: Server) -> None:
    found = views(server, 8)
    assert {view["head"] for view in found} == {"shades:classify"}
    assert sum(view["images"].get("ok", 0) for view in found) == 1
    (row,) = [row for view in found for row in view["streams"]]
    assert (row["source"], row["codec"], row["images"]) == ("http", "image file", 1)
    (shown,) = [view["picture"] for view in found if view["picture"]]
    assert (shown["height"], shown["width"], len(shown["top"])) == (32, 48, 3)
    assert shown["source"].startswith("data:image/png;base64,")


def test_the_page_is_for_all_but_what_it_shows_is_not(server: Server) -> None:
    with server.client() as client:
        client.headers.pop("authorization")
        page = client.get("/")
        assert page.status_code == 200 and "script-src 'self'" in page.headers[
            "content-security-policy"
        ]  # fmt: skip
        assert client.get("/v1/watch").status_code == 401
        assert client.get("/page.py").status_code == 404


def test_only_so_many_watch_at_a_time(server: Server) -> None:
    with server.client() as client, ExitStack() as watchers:
        read = []  # a reader that is forgotten closes its connection
        for _ in range(8):
            response = watchers.enter_context(client.stream("GET", "/v1/watch"))
            read.append(response.iter_lines())
            next(read[-1])
        with client.stream("GET", "/v1/watch") as response:
            assert response.status_code == 503


def test_a_server_ends_while_it_is_watched(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as server,
        server.client() as client,
        client.stream("GET", "/v1/watch") as response,
    ):
        lines = response.iter_lines()
        next(lines)
        assert server.end() == 0
        assert list(lines)[-1] == ""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_streams_pictures_and_plots(server: Server) -> None:
    playwright_api = pytest.importorskip("playwright.sync_api")
    expect, sync_playwright = playwright_api.expect, playwright_api.sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url)
        expect(page.locator("#state")).to_have_text("not let in")
        page.fill("#token", "wrong")
        page.click("button")
        expect(page.locator("#state")).to_have_text("that is not the token")
        page.fill("#token", "right")
        page.click("button")
        expect(page.locator("#state")).to_have_text("live")
        wrong.clear()  # the browser logged the two refusals
        with server.stream() as stream:
            send(stream, 20)
            row = page.locator("#streams tr", has_text="jpeg")
            expect(row).to_contain_text("60")
            expect(page.locator("#counts")).to_contain_text("20 ok")
            expect(page.locator("#picture")).to_be_visible()
            assert page.evaluate("document.getElementById('picture').naturalWidth") == 48
            expect(page.locator("#top li")).to_have_count(3)
            expect(page.locator("#rates path")).to_have_attribute("d", re.compile("^M.*L"))
        server.post(b"no image")
        expect(page.locator("#counts")).to_contain_text("1 bad")
        assert wrong == []
        browser.close()
