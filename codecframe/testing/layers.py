"""What every codec with a picture layer must do, besides what all codecs must."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

import codecframe
from codecframe.core.image import Image, Shape
from codecframe.core.layers import NONE, SPARE, Layered, LayeredSettings, Layers
from codecframe.core.representation import PIXELS
from codecframe.testing import damage
from codecframe.testing.codec import FUZZ_PIXELS, CodecContract, spread
from codecframe.testing.images import flat_image, natural_image, psnr

_REFUSED = (codecframe.DataError, codecframe.LimitError, codecframe.MismatchError)


class LayeredContract(CodecContract):
    """Subclass it as a `CodecContract`.

    Attributes:
        min_picture_psnr: fidelity in dB that the finest picture must reach, in the mean over
            natural images, at the knob's default.

    Examples:
        >>> from codecframe.testing import LayeredContract
        >>> class TestMyCodec(LayeredContract):
        ...     codec = cf.get_codec("webp")  # in place of one with two layers
    """

    min_psnr: ClassVar[float] = 0.0
    min_picture_psnr: ClassVar[float] = 25.0

    @property
    def layers(self) -> Layered[Any]:
        """The codec as one of layers."""
        found = codecframe.layered(self.codec)
        assert found is not None, "it must implement Layered and have LayeredSettings"
        return found

    def test_has_two_layers(self) -> None:
        """It implements `Layered`; its settings are `LayeredSettings`, first without a picture."""
        assert self.layers.strip_layers(self.codec.encode(natural_image(8, 8))).picture is None
        assert self.codec.settings_type().picture == NONE
        assert self.codec.settings_type.picture_levels() >= 1

    def test_task_layer_is_the_same(self, shape: Shape) -> None:
        """The task layer is what there is without a picture, and says the same latents."""
        for image in (natural_image(*shape), flat_image(*shape)):
            for level in spread(self.codec.settings_type.knob_levels(), 3):
                settings = self.codec.settings_type().at_level(level)
                alone = self.codec.encode(image, settings)
                payload = self.codec.strip(alone)
                assert self.layers.strip_layers(alone) == Layers(payload)
                for picture in self._picture_levels(2):
                    both = self.codec.encode(image, settings, picture=picture)
                    layers = self.layers.strip_layers(both)
                    assert layers.task == payload
                    assert type(layers.picture) is bytes
                    self._same_latents(both, alone)

    def test_layers_restore_exactly(self, shape: Shape) -> None:
        """`restore_layers` inverts `strip_layers`, bit for bit, with and without a picture."""
        image = natural_image(*shape)
        for picture in [NONE, *self._picture_levels(3)]:
            settings = self.codec.settings_type(picture=picture)
            data = self.codec.encode(image, settings)
            layers = self.layers.strip_layers(data)
            assert self.layers.restore_layers(layers, settings, shape) == data

    def test_encoder_of_pictures_is_encode(self) -> None:
        """`picture_encoder` gives what `encode` gives, for levels in any order and again."""
        settings = self.codec.settings_type()
        image = natural_image(24, 40)
        data = self.codec.encode(image, settings)
        picture = self.layers.picture_encoder(image, data, settings)
        for level in [*reversed(self._picture_levels(3)), *self._picture_levels(3)]:
            assert picture(level) == self.codec.encode(image, settings, picture=level)

    def test_pictures_get_better(self) -> None:
        """A higher level of the picture takes more bytes and is closer to the image, in the mean
        over natural images; the finest reaches `min_picture_psnr`.
        """
        settings = self.codec.settings_type()
        images = [natural_image(seed=seed) for seed in range(6)]
        encoders = [
            self.layers.picture_encoder(image, self.codec.encode(image, settings), settings)
            for image in images
        ]
        sizes, fidelity = [], []
        for level in self._picture_levels(3):
            datas = [encode(level) for encode in encoders]
            sizes.append(float(np.mean([len(data) for data in datas])))
            fidelity.append(self._fidelity(images, datas))
        alone = self._fidelity(images, [self.codec.encode(image, settings) for image in images])
        for smaller, larger in pairwise(sizes):
            assert larger >= smaller * (1 - self.slack), sizes
        assert fidelity == sorted(fidelity)
        assert fidelity[-1] > alone
        assert fidelity[-1] >= self.min_picture_psnr

    def test_survives_damaged_pictures(self) -> None:
        """A damaged picture layer gives an image or `DataError`, and never other latents."""
        shape, levels = (32, 40), self._picture_levels(2)
        image = natural_image(*shape)
        settings = self.codec.settings_type(picture=levels[-1])
        data = self.codec.encode(image, settings)
        layers = self.layers.strip_layers(data)
        picture = layers.picture or b""
        damaged = [*damage.truncated(picture, 12), *damage.flipped(picture, 1, 48)]
        for bad in [*damaged, *damage.garbage(3, 16), *damage.FOREIGN.values()]:
            for level in levels:
                said = settings.replace(picture=level)
                with suppress(*_REFUSED), codecframe.limit_pixels(FUZZ_PIXELS):
                    spoilt = self.layers.restore_layers(Layers(layers.task, bad), said, shape)
                    with suppress(*_REFUSED):
                        codecframe.check_image(self.codec.decode(spoilt))
                    self._same_latents(spoilt, data)

    def test_spare_needs_a_budget(self) -> None:
        """Without a budget nothing says what is left for a picture."""
        with pytest.raises(codecframe.SettingsError, match="picture"):
            self.codec.encode(natural_image(16, 24), picture=SPARE)

    def test_budget_is_for_both_layers(self) -> None:
        """The sum is under the budget, and the picture takes nothing from the task layer."""
        image = natural_image()
        settings = self.codec.settings_type()
        task = len(self.codec.strip(self.codec.encode(image, settings))) + 2
        finest = self._picture_levels(2)[-1]
        both = len(self.codec.strip(self.codec.encode(image, settings, picture=finest))) + 2
        wanted = settings.replace(picture=SPARE)
        for limit in (task, (task + both) // 2, both):
            found, _ = codecframe.fit(self.codec, image, wanted, limit)
            assert found.size <= limit
            assert found.settings.level == settings.level
            assert found.data == self.codec.encode(image, found.settings)
            if limit == both:
                assert isinstance(found.settings.picture, int)

    def _picture_levels(self, count: int) -> list[int]:
        kind = self.codec.settings_type
        assert issubclass(kind, LayeredSettings)
        return spread(kind.picture_levels(), count)

    def _same_latents(self, data: bytes, other: bytes) -> None:
        if self.codec.emits[0] == PIXELS:
            return
        one, two = self.codec.decode_latents(data), self.codec.decode_latents(other)
        assert np.array_equal(one.values, two.values)
        assert (one.space, one.level, one.shape) == (two.space, two.level, two.shape)

    def _fidelity(self, images: list[Image], datas: list[bytes]) -> float:
        decoded = self.codec.decode_many(datas)
        return float(np.mean([psnr(*pair) for pair in zip(images, decoded, strict=True)]))
