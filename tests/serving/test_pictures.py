"""Picture layers on the link: with what the budget leaves, and when the server asks."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from servers import Server, serving

import codecframe
from codecframe.testing import flat_image, natural_image
from codecframe_serving import send
from codecframe_serving.album import Album, Kept, picture_of
from codecframe_serving.asking import Rule
from codecframe_serving.encoder import Choice, Shot
from codecframe_serving.plan import Outcome, Plan
from codecframe_serving.protocol import Answer, Ask, Frame, Hello, Picture, Status, read_text
from codecframe_serving.sender import Sender

SPEC = "vae+webp"
CODEC, SETTINGS = codecframe.parse_spec(f"{SPEC}:level=6")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Item:
    number: int

    @property
    def name(self) -> str:
        return str(self.number)

    def read(self) -> codecframe.Image:
        return photo(self.number)


def photo(number: int) -> codecframe.Image:
    """Of twelve images; those sent by hand have other content than some of the others."""
    if number % 2 or number % 12 < 3:
        return natural_image(32, 32, number % 12)
    shade = number % 12 * 20
    return flat_image(32, 32, (shade, 255 - shade, 90))


@cache
def asked_label() -> str:
    """A class that the head sees in some of the cameras' images, and in none sent by hand."""
    images = [photo(number) for number in range(12)]
    latents = CODEC.decode_latents_many(CODEC.encode_many(images, SETTINGS))
    tops = codecframe.get_head("cifar10-vae").predict(latents).top(1)
    labels = [str(row[0].label) for row in tops]
    return next(label for label in labels[3:] if label not in (*labels[:3], labels[9]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    arguments = ("--max-fps", 10_000, "--ask", f"label = {asked_label()}", "--no-sandbox")
    with serving(folder, *arguments, head="cifar10-vae", codecs=["vae", SPEC]) as server:
        yield server
        assert server.end() == 0


def sent(server: Server, picture: str, count: int = 12, **options: Any) -> list[Outcome]:
    choices = [Choice(CODEC, SETTINGS.replace(picture=picture, **options.pop("settings", {})))]
    outcomes: list[Outcome] = []
    plan = Plan(server.url, choices, give_up=60.0, **options)
    asyncio.run(Sender(plan, outcomes.append).run([Item(number) for number in range(count)]))
    frames = [outcome.name for outcome in outcomes if outcome.layer == "task"]
    assert Counter(frames) == Counter(map(str, range(count)))
    return outcomes


def test_spare_pictures_go_behind_their_frames(server: Server) -> None:
    before = server.metrics()
    budget = codecframe.Budget.parse("200kbit/s@20fps")
    outcomes = sent(server, "spare", budget=budget, fps=20.0, settings={"level": 4})
    pictures = [one for one in outcomes if one.layer == "picture"]
    assert all(one.status == "ok" for one in outcomes)
    assert len(pictures) > 6
    assert {one.level for one in outcomes if one.layer == "task"} <= set(range(5))
    after = server.metrics()
    came = "codecframe_pictures_total ok"
    assert after[came] - before.get(came, 0) == len(pictures)


def test_a_rule_asks_for_pictures(server: Server) -> None:
    outcomes = sent(server, "none", 24, keeps_pictures=1 << 20)
    by_rule = {
        one.name for one in outcomes if one.layer == "task" and one.top[0][1] == asked_label()
    }
    asked = {one.name for one in outcomes if one.layer == "picture" and one.status == "ok"}
    assert asked and asked <= by_rule  # what is asked for after the last answer does not come


def begin(stream: Any, count: int) -> None:
    """A camera by hand sends so many frames, and reads its answers."""
    stream.recv()
    emits = tuple(map(str, CODEC.emits))
    stream.send(Hello(SPEC, {}, emits, shape=(32, 32), pictures=True).pack())
    assert json.loads(stream.recv())["type"] == "ready"
    for number in range(count):
        payload = CODEC.strip(CODEC.encode(photo(number), SETTINGS))
        stream.send(Frame(number, SETTINGS.level, payload).pack())
    answered = 0
    while answered < count:
        message = stream.recv()
        answered += isinstance(message, bytes)


def picture(number: int, level: int = 60) -> Picture:
    image = photo(number)
    layers = CODEC.strip_layers(CODEC.encode(image, SETTINGS, picture=level))
    return Picture(number, level, layers.picture)


def test_a_picture_is_answered_whatever_it_is(server: Server) -> None:
    with server.stream() as stream:
        begin(stream, 2)
        for one, status in [
            (picture(0), Status.OK),
            (picture(0), Status.BAD),  # it has come already
            (picture(7), Status.BAD),  # there is no such frame
            (Picture(1, 254, b"rubbish"), Status.BAD),  # nor such a level
            (Picture(1, 10, b"rubbish"), Status.OK),  # whoever looks at it will see
        ]:
            stream.send(one.pack())
            while isinstance(message := stream.recv(), str):
                pass  # an ask by the rule
            found = Answer.unpack(message)
            assert (found.of_picture, found.sequence, found.status) == (True, one.sequence, status)


def test_get_asks_the_camera(server: Server) -> None:
    with server.stream() as stream, server.client() as client:
        begin(stream, 3)
        with client.stream("GET", "/v1/watch") as response:
            lines = (json.loads(line[6:]) for line in response.iter_lines() if line)
            next(lines)
            payload = CODEC.strip(CODEC.encode(photo(9), SETTINGS))
            stream.send(Frame(9, SETTINGS.level, payload).pack())
            name = next(view["streams"][0]["source"] for view in lines if view["streams"])
        got: list[Any] = []
        wanted = {"stream": name, "sequence": 2}
        asking = threading.Thread(
            target=lambda: got.append(client.get("/v1/picture", params=wanted))
        )
        asking.start()
        while not (isinstance(message := stream.recv(), str) and read_text(message, Ask)):
            pass
        stream.send(picture(2).pack())
        asking.join(30)
        assert got[0].status_code == 200
        seen = np.asarray(PilImage.open(BytesIO(got[0].content)))
        wanted_image = CODEC.decode(CODEC.encode(photo(2), SETTINGS, picture=60))
        assert np.array_equal(seen, wanted_image)
        assert client.get("/v1/picture", params={**wanted, "sequence": 77}).status_code == 404
        assert client.get("/v1/picture", params={"stream": "no", "sequence": 1}).status_code == 404
        assert client.get("/v1/picture").status_code == 404


def test_album_is_bounded_in_bytes() -> None:
    album = Album(20_000)
    for number in range(20):
        shot = Shot(0, 6, b"payload", (32, 32))
        album.keep(number, Kept(str(number), natural_image(32, 32, number), shot))
    assert [number for number in range(20) if album.find(number)] == [14, 15, 16, 17, 18, 19]


@pytest.mark.parametrize("limit", [10.0, 300.0, float("inf")])
def test_asked_pictures_are_of_at_most_what_is_left(limit: float) -> None:
    image = natural_image(32, 32, 1)
    shot = Shot(0, 6, CODEC.strip(CODEC.encode(image, SETTINGS)), (32, 32))
    found = picture_of(Choice(CODEC, SETTINGS), Kept("1", image, shot), limit)
    if limit == 10:
        assert found is None
    else:
        assert found is not None
        level, layer = found
        assert len(layer) <= limit
        both = codecframe.Layers(shot.payload, layer)
        data = CODEC.restore_layers(both, SETTINGS.replace(picture=level), (32, 32))
        assert data == CODEC.encode(image, SETTINGS, picture=level)


@pytest.mark.parametrize("text", ["", "probability > 2", "label", "rain"])
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(codecframe.UsageError, match="ask"):
        Rule.parse(text)


def test_rules() -> None:
    likely = codecframe.Prediction(np.array([[3.0, 0.0]], np.float32), ("cat", "dog"))
    assert Rule.parse("probability < 0.99").applies(likely)
    assert not Rule.parse("probability under 0.6").applies(likely)
    assert Rule.parse("label in cow, cat").applies(likely)
    assert not Rule.parse("label = dog").applies(likely)
    with pytest.raises(codecframe.UsageError, match="cow"):
        Rule.parse("label in cow", ["cat", "dog"])


@pytest.mark.parametrize(
    ("codec", "options", "why"),
    [
        ("webp", {"picture": "asked"}, "picture layer"),
        (SPEC, {"picture": "spare"}, "budget"),
        (f"{SPEC}:picture=3", {}, "never"),
        (SPEC, {"picture": "often"}, "often"),
    ],
)
def test_refuses_pictures_that_cannot_be_sent(
    codec: str, options: dict[str, str], why: str, tmp_path: Any
) -> None:
    with pytest.raises(codecframe.UsageError, match=why):
        send(str(tmp_path), "http://127.0.0.1:1", codec, **options)  # type: ignore[arg-type]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_asks_and_shows_what_comes(server: Server) -> None:
    playwright_api = pytest.importorskip("playwright.sync_api")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url)
        playwright_api.expect(page.locator("#state")).to_have_text("live")
        with server.stream() as stream:
            begin(stream, 1)
            page.click("#ask-picture")
            while not (isinstance(message := stream.recv(), str) and read_text(message, Ask)):
                pass
            stream.send(picture(0).pack())
            shown = page.locator("#album img")
            playwright_api.expect(shown).to_have_count(1)
            assert shown.evaluate("image => image.naturalWidth") == 32
            playwright_api.expect(page.locator("#asked")).to_have_text("")
        assert wrong == []
        browser.close()
