"""The presets that ship: settings their codec takes, that encode, and that beat the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import codecframe
from codecframe.core import registry
from codecframe.core.presets import Preset, describe, find_preset, preset_names, preset_path
from codecframe.testing import natural_image

SHIPPED = [
    (codec, name) for codec in registry.default().codecs.values() for name in preset_names(codec)
]


def test_jpeg_webp_and_avif_have_some_for_both_classifiers() -> None:
    known = {(codec.name, name) for codec, name in SHIPPED}
    for codec in ("jpeg", "webp", "avif"):
        assert {(codec, "cifar10"), (codec, "imagenet")} <= known
    assert ("jpeg", "cifar10-jpeg") in known


@pytest.mark.parametrize(("codec", "name"), SHIPPED, ids=[f"{c.name}-{n}" for c, n in SHIPPED])
def test_encodes_and_says_what_it_gains(codec: codecframe.Codec[Any], name: str) -> None:
    settings = find_preset(codec, name)
    assert describe(codec, settings) == f"preset={name}"
    image = natural_image(32, 32, seed=1)
    data = codec.encode(image, settings)
    assert codec.decode(data).shape == image.shape
    assert codec.restore(codec.strip(data), settings, (32, 32)) == data
    preset = Preset.read(preset_path(codec, name))
    assert str(preset.made["command"]).startswith(f"codecframe tune {codec.name} ")
    assert f"--head {preset.made['head']} " in preset.made["command"]
    held = preset.scored["held-out"]
    assert held["tuned"]["loss"] < held["default"]["loss"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "expected a mapping"),
        ("{codec: jpeg}", "'settings' is missing"),
        ("{codec: jpeg, settings: 3}", "'settings' is 3: expected a mapping"),
        ("{codec: jpeg, settings: {}, made: for-mine}", "'made' is 'for-mine': expected a mapping"),
        ("{codec: jpeg, settings: {}, more: {}}", "'more' is {}: expected a known name"),
    ],
)
def test_what_is_not_a_preset_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(codecframe.DataError, match=rf"wrong\.yaml.*{said}"):
        Preset.read(tmp_path / "wrong.yaml")
