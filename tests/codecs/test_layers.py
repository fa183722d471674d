"""Codecs of two layers: the contract kit for them, budgets, pipelines, and payloads."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toys import BlocksCodec, BlocksHead, TwoLayerCodec, TwoLayerSettings, toy_registry

import codecframe
from codecframe.core.joined import join_codecs
from codecframe.evaluation.profile.table import ProfileTable
from codecframe.testing import LayeredContract, natural_image

CAUGHT = (AssertionError, ValueError, pytest.fail.Exception, codecframe.PluginError)
SHAPE = (15, 17)


class TestTwoLayers(LayeredContract):
    codec = TwoLayerCodec()
    shapes = ((1, 1), (15, 17), (33, 65))


class TestJoined(LayeredContract):
    codec = join_codecs(BlocksCodec(), codecframe.get_codec("webp"))
    shapes = ((1, 1), (33, 65))
    min_picture_psnr = 30.0


class Meddling(TwoLayerCodec):
    """The picture changes the latents."""

    def decode_latents(self, data: bytes) -> codecframe.Latents:
        found = super().decode_latents(data)
        return replace(found, values=found.values + data[5])


class Greedy(TwoLayerCodec):
    """The picture takes from the task layer."""

    def picture_encoder(
        self, image: codecframe.Image, data: bytes, settings: TwoLayerSettings
    ) -> Callable[[int], bytes]:
        poorer = self.encode_image(image, TwoLayerSettings(level=0))
        return super().picture_encoder(image, poorer, settings)


class Stubborn(TwoLayerCodec):
    """Every picture is the same."""

    def picture_encoder(
        self, image: codecframe.Image, data: bytes, settings: TwoLayerSettings
    ) -> Callable[[int], bytes]:
        encode = super().picture_encoder(image, data, settings)
        return lambda level: encode(0)


class Fused(TwoLayerCodec):
    """Its layers cannot be told apart."""

    def strip_layers(self, data: bytes) -> codecframe.Layers:
        return codecframe.Layers(super().strip_layers(data).packed())


class Forgetful(TwoLayerCodec):
    """The picture's level is lost."""

    def restore_layers(
        self, layers: codecframe.Layers, settings: TwoLayerSettings, shape: codecframe.Shape
    ) -> bytes:
        return super().restore_layers(layers, settings.task_alone, shape)


class Brittle(TwoLayerCodec):
    """A damaged picture is a crash."""

    def decode(self, data: bytes) -> codecframe.Image:
        try:
            return super().decode(data)
        except codecframe.DataError as error:
            raise ValueError from error


class Moody(TwoLayerCodec):
    """The second picture is another than the first."""

    def picture_encoder(
        self, image: codecframe.Image, data: bytes, settings: TwoLayerSettings
    ) -> Callable[[int], bytes]:
        encode, seen = super().picture_encoder(image, data, settings), list[int]()

        def moody(level: int) -> bytes:
            seen.append(level)
            return encode(level if len(seen) < 2 else 0)

        return moody


def contract(kind: type[TwoLayerCodec]) -> LayeredContract:
    class Contract(LayeredContract):
        codec = kind()

    return Contract()


BREAKAGES: list[tuple[type[TwoLayerCodec], Callable[[LayeredContract], None]]] = [
    (Meddling, lambda kit: kit.test_task_layer_is_the_same(SHAPE)),
    (Meddling, lambda kit: kit.test_survives_damaged_pictures()),
    (Greedy, lambda kit: kit.test_task_layer_is_the_same(SHAPE)),
    (Stubborn, lambda kit: kit.test_pictures_get_better()),
    (Fused, lambda kit: kit.test_task_layer_is_the_same(SHAPE)),
    (Forgetful, lambda kit: kit.test_layers_restore_exactly(SHAPE)),
    (Brittle, lambda kit: kit.test_survives_damaged_pictures()),
    (Moody, lambda kit: kit.test_encoder_of_pictures_is_encode()),
]


@pytest.mark.parametrize(("kind", "check"), BREAKAGES, ids=lambda item: item.__name__)
def test_kit_catches(kind: type[TwoLayerCodec], check: Callable[[LayeredContract], None]) -> None:
    check(contract(TwoLayerCodec))
    with pytest.raises(CAUGHT):
        check(contract(kind))


CODEC = TwoLayerCodec()
IMAGE = natural_image(48, 64)


def test_settings_say_how_much_picture() -> None:
    assert CODEC.settings(picture=5).picture_level == 5
    assert TwoLayerSettings.parse(["picture=3"]).picture == 3
    assert TwoLayerSettings.parse(["picture=spare"]).picture == "spare"
    with pytest.raises(codecframe.SettingsError, match="one of none, spare, 0 to 5"):
        TwoLayerSettings.parse(["picture=6"])


@pytest.mark.parametrize("payload", [b"", b"\xff" * 9, b"\x80\x00", b"\x05abc"])
def test_refuses_a_length_that_cannot_be(payload: bytes) -> None:
    with pytest.raises(codecframe.DataError):
        codecframe.Layers.unpacked(payload, "x")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_layers_are_told_apart(size: int) -> None:
    layers = codecframe.Layers(b"t" * size, b"p")
    assert codecframe.Layers.unpacked(layers.packed(), "x") == layers


@pytest.mark.parametrize("mode", ["cap", "mean"])
def test_budgets_are_for_the_sum(mode: Any) -> None:
    budget = codecframe.Budget.parse("1500B", mode)
    control = codecframe.controller(CODEC, CODEC.settings(picture="spare"), budget)
    total, pictures = 0, 0
    for number, found in enumerate(
        control.encode_many([natural_image(48, 64, s) for s in range(9)])
    ):
        assert isinstance(found, codecframe.Fit)
        total += found.size
        assert found.size == len(CODEC.strip(found.data)) + 2
        assert total <= 1500 * (number + 1)
        pictures += isinstance(found.settings.picture, int)
    assert pictures > 5


def test_a_narrow_budget_lowers_the_knob_and_sends_no_picture() -> None:
    smallest = len(CODEC.strip(CODEC.encode(IMAGE, level=0))) + 2
    found, _ = codecframe.fit(CODEC, IMAGE, CODEC.settings(picture="spare"), smallest + 2)
    assert found.size <= smallest + 2
    assert (found.settings.level, found.settings.picture) == (0, "none")


def test_a_level_is_the_highest_under_a_budget() -> None:
    found, _ = codecframe.fit(CODEC, IMAGE, CODEC.settings(picture=2), 100_000)
    assert (found.settings.level, found.settings.picture) == (4, 2)


def test_one_level_of_pictures_for_a_set() -> None:
    images = [natural_image(48, 64, seed) for seed in range(4)]
    budget = codecframe.Budget.parse("1500B", "mean")
    settings = codecframe.fit_mean(CODEC, CODEC.settings(picture="spare"), images, budget)
    mean = np.mean([len(CODEC.strip(CODEC.encode(image, settings))) for image in images])
    assert isinstance(settings.picture, int)
    assert settings.level == 4
    assert mean <= 1500


@pytest.mark.parametrize("budget", [None, "1500B", "40B"])
@pytest.mark.parametrize("picture", ["none", 2, "spare"])
def test_packets_bring_the_layers_apart(budget: str | None, picture: Any) -> None:
    if budget is None and picture == "spare":
        pytest.skip("nothing says what is spare")
    pipeline = codecframe.Pipeline(CODEC, settings={"picture": picture}, budget=budget)
    packet = pipeline.transmit(IMAGE)
    assert pipeline.receive(packet) == pipeline.encode(IMAGE).data
    alone = replace(packet, picture=None)
    one, two = (CODEC.decode_latents(pipeline.receive(p)) for p in (packet, alone))
    assert np.array_equal(one.values, two.values)


def test_payload_files_tell_their_levels(tmp_path: Any) -> None:
    made = codecframe.encode_files(
        [IMAGE], CODEC, settings={"picture": "spare"}, budget="1500B", payload=True,
        output=tmp_path / "a.payload",
    )  # fmt: skip
    assert (tmp_path / "a.payload").stat().st_size == made.images[0].bytes <= 1500
    codecframe.decode_files(
        tmp_path / "a.payload", payload=True, codec=CODEC, shape=(48, 64), level_byte=True,
        settings={"picture": "spare"}, output=tmp_path / "a.png",
    )  # fmt: skip
    wanted = CODEC.decode(CODEC.encode(IMAGE, made.images[0].settings))
    assert np.array_equal(codecframe.read_image(tmp_path / "a.png"), wanted)


def test_two_codecs_are_the_layers_of_one() -> None:
    codec, settings = codecframe.parse_spec("vae+webp:level=6,picture=40,picture_method=2")
    data = codec.encode(IMAGE, settings)
    vae, webp = codecframe.get_codec("vae"), codecframe.get_codec("webp")
    picture = webp.encode(IMAGE, webp.settings(method=2).at_level(40))
    assert np.array_equal(codec.decode(data), webp.decode(picture))
    task = vae.encode(IMAGE, level=6)
    assert codec.encode(IMAGE, level=6) == task  # without a picture it is the first codec's
    assert np.array_equal(codec.decode_latents(data).values, vae.decode_latents(task).values)
    layers = codec.strip_layers(data)
    assert layers == codecframe.Layers(vae.strip(task), webp.strip(picture))
    assert codec.emits == vae.emits
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("webp+avif", "no latents"),
        ("vae+vae", "pixels alone"),
        ("vae+webp+avif", "picture layer|unknown codec"),
        ("vae+webq", "did you mean 'webp'"),
        ("+", "unknown codec"),
        ("vae+webp:picture_method=9", "picture_method|method"),
    ],
)
def test_refuses_what_cannot_be_two_layers(spec: str, why: str) -> None:
    with pytest.raises(codecframe.CodecframeError, match=why):
        codecframe.parse_spec(spec)


@pytest.fixture
def known() -> Any:
    with toy_registry() as toys:
        toys.hold(TwoLayerCodec())
        yield toys


@pytest.mark.usefixtures("known")
def test_profiles_vary_the_picture_behind_a_named_task_layer(tmp_path: Any) -> None:
    profile = codecframe.profile(
        [natural_image(48, 64, seed) for seed in range(4)],
        head=BlocksHead(),
        codecs=["twolayer:level=3,picture=spare", "twolayer"],
        rates=[4, 8],
        budget="1500B",
        output=tmp_path / "a.profile",
    )
    with ProfileTable.open(tmp_path / "a.profile") as table:
        rows = {(row.point.mode, row.point.settings["picture"]): row for row in table.rows()}
    fixed = [row for (mode, picture), row in rows.items() if not mode and picture != "none"]
    assert len(fixed) == 2 and {row.point.settings["level"] for row in fixed} == {3}
    assert all(row.payload_bpp <= 8 for row in fixed)
    assert rows["cap", "spare"].unfit == 0
    chosen = profile.select(budget="8bpp", mean=True)
    assert {"picture" in one.knob for one in chosen.candidates} == {True, False}
    # and what each layer takes is told
    assert all(0 < row.picture_bpp < row.payload_bpp for row in fixed)
    for one in chosen.candidates:
        assert (0 < one.picture_bytes < one.bytes_per_image) == ("picture" in one.knob)
        assert f"{one.bytes_per_image - one.picture_bytes:.0f}" in str(chosen)
    for shown in (str(chosen), str(profile)):
        assert "task" in shown and "picture" in shown
