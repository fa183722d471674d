"""What every codec must do."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

import codecframe
from codecframe.core import yamltext
from codecframe.core.image import Image, Shape
from codecframe.core.layers import LayeredSettings
from codecframe.core.registry import fault_of
from codecframe.core.scaling import TRAILER, ScalableSettings
from codecframe.core.settings import FieldInfo, Settings
from codecframe.testing import damage
from codecframe.testing.images import flat_image, natural_image, noise_image, psnr

FUZZ_PIXELS = 1 << 20
"""Pixel limit while damaged data is decoded, so that a damaged size costs little."""


class CodecContract:
    """Subclass it, name the subclass `Test...`, set `codec`; pytest finds the tests.

    Attributes:
        codec: the codec under test.
        lossless: whether decoding gives the very image.
        min_psnr: fidelity in dB that the finest level of the default settings must reach, in the
            mean over natural images.
        settings_samples: settings to test besides the default ones; each is tested at several
            levels of the knob.
        shapes: (height, width) of the images to test.
        slack: by how much the mean size may fall from one tested level to the next, relative.

    Examples:
        >>> from codecframe.testing import CodecContract
        >>> class TestMyCodec(CodecContract):
        ...     codec = cf.get_codec("webp")
    """

    codec: ClassVar[codecframe.Codec[Any]]
    lossless: ClassVar[bool] = False
    min_psnr: ClassVar[float] = 30.0
    settings_samples: ClassVar[Sequence[Settings]] = ()
    shapes: ClassVar[Sequence[Shape]] = (
        *((1, 1), (1, 7), (7, 1), (2, 2), (8, 8), (15, 17)),
        *((16, 16), (32, 32), (33, 65), (65, 33)),
    )
    slack: ClassVar[float] = 0.02

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run a test that takes `settings`, `shape` or `field` once for each of them."""
        if "settings" in metafunc.fixturenames:
            samples = [cls.codec.settings_type(), *cls.settings_samples]
            if issubclass(cls.codec.settings_type, ScalableSettings):
                samples.append(cls.codec.settings_type(scale=0.5))
            if issubclass(kind := cls.codec.settings_type, LayeredSettings):
                samples.append(kind(picture=kind.picture_levels() // 2))
            metafunc.parametrize("settings", samples, ids=[_id(sample) for sample in samples])
        if "shape" in metafunc.fixturenames:
            ids = [f"{height}x{width}" for height, width in cls.shapes]
            metafunc.parametrize("shape", cls.shapes, ids=ids)
        if "field" in metafunc.fixturenames:
            fields = cls.codec.settings_type.fields()
            metafunc.parametrize("field", fields, ids=[field.name for field in fields])

    # -- description ----------------------------------------------------------------------

    def test_registry_takes_it(self) -> None:
        """The registry finds no fault with name, summary, `requires` and settings class."""
        fault = fault_of(self.codec, codecframe.Codec)
        assert not fault, f"the registry refuses a codec {fault}"

    def test_describes_itself(self) -> None:
        """It has a name that can be typed, a file extension, one line of summary and settings."""
        assert re.fullmatch(r"[a-z0-9][a-z0-9_+-]*", self.codec.name)
        assert re.fullmatch(r"\.[a-z0-9]+", self.codec.extension)
        assert self.codec.summary.strip()
        assert "\n" not in self.codec.summary
        assert issubclass(self.codec.settings_type, Settings)
        assert self.codec.emits

    def test_describes_each_setting(self, field: FieldInfo) -> None:
        """Every field has one line of help, a default that it accepts, and a name to give it by."""
        assert field.name != "preset", "`preset=NAME` takes up a preset"
        assert field.option.help.strip()
        assert "\n" not in field.option.help
        assert field.default is not dataclasses.MISSING
        assert self.codec.settings_type(**{field.name: field.default})

    # -- settings -------------------------------------------------------------------------

    def test_settings_travel_as_data(self, settings: Settings) -> None:
        """They come back equal from a dict, JSON, YAML and `key=value` texts."""
        kind, plain = type(settings), settings.to_dict()
        assert kind.from_dict(plain) == settings
        assert kind.from_dict(json.loads(json.dumps(plain))) == settings
        assert kind.from_dict(yamltext.load(yamltext.dump(plain))) == settings
        assert kind.parse(_assignments(plain)) == settings
        assert kind.from_dict(settings.changed()) == settings

    def test_settings_are_values(self, settings: Settings) -> None:
        """They cannot be changed, and equal ones have equal hashes."""
        twin = type(settings).from_dict(settings.to_dict())
        assert hash(twin) == hash(settings)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, settings.fields()[0].name, None)

    def test_refuses_a_wrong_value(self, field: FieldInfo) -> None:
        """A value of no sensible type or out of range is refused, with the field's name."""
        for value in _wrong_values(field):
            with pytest.raises(codecframe.SettingsError, match=field.name):
                self.codec.settings_type(**{field.name: value})

    def test_refuses_an_unknown_setting(self) -> None:
        """A name that is not a field is refused, not ignored."""
        with pytest.raises(codecframe.SettingsError, match="surely_no_setting"):
            self.codec.settings_type.from_dict({"surely_no_setting": 1})

    # -- encode and decode ----------------------------------------------------------------

    def test_round_trip(self, settings: Settings, shape: Shape) -> None:
        """Decoding gives an image of the same shape; the very same where the codec is lossless."""
        for image in _images(shape):
            for level in _levels(settings, 3):
                data = self.codec.encode(image, settings.at_level(level))
                assert type(data) is bytes
                decoded = self.codec.decode(data)
                assert decoded.dtype == np.uint8
                assert decoded.shape == image.shape
                assert decoded.flags.c_contiguous
                if self.lossless and not _is_scaled(settings):
                    assert np.array_equal(decoded, image)

    def test_fidelity_grows_with_level(self, settings: Settings) -> None:
        """In the mean over natural images; `min_psnr` is reached by default settings."""
        if self.lossless:
            pytest.skip("lossless: test_round_trip compares every pixel")
        if _is_scaled(settings):
            pytest.skip("at a lower resolution fidelity hardly grows at the top")
        if isinstance(settings, LayeredSettings) and settings.picture_level is not None:
            pytest.skip("the picture layer says how good a picture is: see LayeredContract")
        images = _natural_images()
        fidelity = []
        for level in _levels(settings, 3):
            decoded = [
                self.codec.decode(self.codec.encode(image, settings.at_level(level)))
                for image in images
            ]
            fidelity.append(np.mean([psnr(*pair) for pair in zip(images, decoded, strict=True)]))
        assert fidelity == sorted(fidelity)
        if settings == self.codec.settings_type():
            assert fidelity[-1] >= self.min_psnr

    def test_knob_is_monotone(self) -> None:
        """A higher level takes more bytes, in the mean over natural images."""
        settings = self.codec.settings_type()
        levels = _levels(settings, 9)
        if len(levels) == 1:
            pytest.skip("this codec has no rate knob")
        sizes = [
            np.mean(
                [len(self.codec.encode(i, settings.at_level(level))) for i in _natural_images()]
            )
            for level in levels
        ]
        assert sizes[0] < sizes[-1]
        for smaller, larger in pairwise(sizes):
            assert larger >= smaller * (1 - self.slack), dict(zip(levels, sizes, strict=True))

    # -- determinism ----------------------------------------------------------------------

    def test_same_on_every_call_and_thread(self, settings: Settings) -> None:
        """Calls one after the other and calls from several threads at once give the same."""
        images = [*_natural_images(), *_images((33, 65))]
        datas = [self.codec.encode(image, settings) for image in images]
        decoded = [self.codec.decode(data) for data in datas]
        with ThreadPoolExecutor(4) as pool:
            work = images * 3
            assert list(pool.map(lambda i: self.codec.encode(i, settings), work)) == datas * 3
            for again, first in zip(
                pool.map(self.codec.decode, datas * 3), decoded * 3, strict=True
            ):
                assert np.array_equal(again, first)

    @pytest.mark.parametrize("size", [0, 1, 2, 11])
    def test_many_is_a_loop(self, size: int) -> None:
        """`encode_many` and `decode_many` give what one call for each gives, in order."""
        settings = self.codec.settings_type()
        images = [natural_image(24 + seed, 40 - seed, seed) for seed in range(size)]
        datas = self.codec.encode_many(iter(images), settings)
        assert datas == [self.codec.encode(image, settings) for image in images]
        decoded = self.codec.decode_many(iter(datas))
        assert len(decoded) == size
        for data, image in zip(datas, decoded, strict=True):
            assert np.array_equal(self.codec.decode(data), image)

    # -- payloads ---------------------------------------------------------------------------

    def test_payload_restores_exactly(self, settings: Settings, shape: Shape) -> None:
        """`restore` inverts `strip`, bit for bit, and a payload is never larger than its data."""
        for image in _images(shape):
            for level in _levels(settings, 5):
                at_level = settings.at_level(level)
                data = self.codec.encode(image, at_level)
                payload = self.codec.strip(data)
                assert type(payload) is bytes
                assert len(payload) <= len(data)
                assert self.codec.restore(payload, at_level, shape) == data

    @pytest.mark.parametrize("sides", [(70_000, 10), (10, 70_000), (0, 5), (1 << 33, 1), (-1, 5)])
    def test_survives_impossible_shapes(self, sides: Shape) -> None:
        """`restore` for a shape that no image has gives bytes, or `DataError`."""
        settings = self.codec.settings_type()
        payload = self.codec.strip(self.codec.encode(natural_image(16, 24), settings))
        with suppress(codecframe.DataError, codecframe.LimitError):
            assert type(self.codec.restore(payload, settings, sides)) is bytes

    def test_survives_damaged_payloads(self, settings: Settings) -> None:
        """`restore` of a damaged payload gives `DataError`, or bytes that `decode` may refuse."""
        image = natural_image(32, 40)
        payload = self.codec.strip(self.codec.encode(image, settings))
        for bad in [*_damaged(payload), *damage.FOREIGN.values()]:
            self._decode_or_refuse(bad, lambda b: self.codec.restore(b, settings, (32, 40)))

    # -- bad input ------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", damage.FOREIGN)
    def test_refuses_foreign_data(self, kind: str) -> None:
        """What is not an image gives `DataError`."""
        with pytest.raises(codecframe.DataError):
            self.codec.decode(damage.FOREIGN[kind])

    def test_refuses_truncated_data(self, settings: Settings) -> None:
        """Data cut short gives `DataError`, unless nothing but a trailer is lost."""
        data = self.codec.encode(natural_image(), settings)
        whole = self.codec.decode(data)
        for prefix in damage.truncated(data):
            if _is_scaled(settings) and len(data) - len(prefix) <= TRAILER:
                continue  # the small image is whole
            decoded = self._decode_or_refuse(prefix)
            kept = f"{len(prefix)} of {len(data)} bytes"
            assert decoded is None or np.array_equal(decoded, whole), f"decoded {kept}"

    def test_survives_damaged_data(self, settings: Settings) -> None:
        """Damaged data gives an image, `DataError`, `LimitError` or (as of another model)
        `MismatchError`; nothing else.
        """
        data = self.codec.encode(natural_image(), settings)
        for bad in _damaged(data):
            self._decode_or_refuse(bad)

    def test_keeps_the_pixel_limit(self, settings: Settings) -> None:
        """An image over the limit gives `LimitError`; one at the limit does not."""
        data = self.codec.encode(natural_image(20, 10), settings)
        with codecframe.limit_pixels(199), pytest.raises(codecframe.LimitError):
            self.codec.decode(data)
        with codecframe.limit_pixels(200):
            assert self.codec.decode(data).shape == (20, 10, 3)

    def test_checks_the_limit_before_decoding(self) -> None:
        """Refusing a large image takes a fraction of the work that decoding it takes."""
        image = natural_image(512, 512)
        data = self.codec.encode(image, self.codec.settings_type())

        def refuse() -> None:
            with codecframe.limit_pixels(100), pytest.raises(codecframe.LimitError):
                self.codec.decode(data)

        runs, decoding = _processor_time(lambda: self.codec.decode(data), least=0.1)
        _, refusing = _processor_time(refuse, runs=runs)
        assert refusing < decoding / 2

    def _decode_or_refuse(
        self, data: bytes, before: Callable[[bytes], bytes] = lambda data: data
    ) -> Image | None:
        """The image, checked, or None where data was refused in the proper way."""
        try:
            with codecframe.limit_pixels(FUZZ_PIXELS):
                image = self.codec.decode(before(data))
        except (codecframe.DataError, codecframe.LimitError, codecframe.MismatchError):
            return None
        codecframe.check_image(image)
        return image


def _is_scaled(settings: Settings) -> bool:
    return isinstance(settings, ScalableSettings) and settings.scale < 1


# -- inputs -------------------------------------------------------------------------------


def _images(shape: Shape) -> list[Image]:
    return [natural_image(*shape), flat_image(*shape), noise_image(*shape)]


def _natural_images() -> list[Image]:
    return [natural_image(seed=seed) for seed in range(6)]


def _levels(settings: Settings, count: int) -> list[int]:
    """Levels spread evenly from the lowest to the highest."""
    return spread(settings.knob_levels(), count)


def spread(levels: int, count: int) -> list[int]:
    """At most `count` of so many levels, evenly from the lowest to the highest."""
    return sorted({round((levels - 1) * i / (count - 1)) for i in range(count)})


def _damaged(data: bytes) -> Iterator[bytes]:
    yield from damage.truncated(data)
    yield from damage.flipped(data, seed=1)
    yield from damage.spliced(data, seed=2)
    yield from damage.garbage(seed=3)


def _wrong_values(field: FieldInfo) -> Iterable[Any]:
    yield object()
    if field.option.low is not None:
        yield field.option.low - 1
    if field.option.high is not None:
        yield field.option.high + 1
        yield float("nan")
    if field.option.choices is not None:
        yield "surely no choice"


def _assignments(plain: dict[str, Any]) -> list[str]:
    return [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in plain.items()
    ]


def _id(settings: Settings) -> str:
    text = " ".join(
        f"{name}={value}"
        for name, value in settings.to_dict().items()
        if value != next(field.default for field in settings.fields() if field.name == name)
    )
    return text if 0 < len(text) <= 60 else "default" if not text else text[:57] + "..."


def _processor_time(
    action: Callable[[], object], *, runs: int = 0, least: float = 0.0
) -> tuple[int, float]:
    """How often the action ran and the processor time of this process, in seconds, that it took.

    Not the wall clock: other processes must not decide a test. It runs at least `runs` times and
    until it took `least` seconds, which must be more than the clock's resolution (16 ms on
    Windows). A first run is not counted: it may load libraries.
    """
    action()
    done, start, spent = 0, time.process_time(), 0.0
    while done < runs or spent < least:
        action()
        done += 1
        spent = time.process_time() - start
    return done, spent
