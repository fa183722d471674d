"""Plugins of strangers that are broken, rude, or want the place of another."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from toys import BrightnessHead, ToyCodec

import codecframe
from codecframe.cli.main import cli, run
from codecframe.core import registry
from codecframe.core.registry import Registry, fault_of
from codecframe.evaluation import checkup
from codecframe.evaluation.select import select_on_images
from codecframe.images import ImageItem
from codecframe.pipeline import Pipeline
from codecframe.rate import Budget
from codecframe.testing import CodecContract, HeadContract, natural_image

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one entry point, whose module is the text."""
    monkeypatch.delenv("CODECFRAME_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))

    def one(distribution: str, name: str, text: str) -> None:
        module = f"stranger_{distribution}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(text))
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[codecframe]\n{name} = {module}\n")

    return one


def installed() -> Registry:
    found = Registry()
    found.load_installed()
    return found


def info_of(found: Registry, name: str) -> registry.PluginInfo:
    return next(info for info in found.plugins() if info.name.startswith(name))


CODEC = """
    import codecframe
    from toys import ToyCodec

    class Theirs(ToyCodec):
        name = {name}

    @codecframe.hookimpl
    def codecframe_codecs():
        return [Theirs()]
"""


def test_codecframes_own_names_are_nobody_elses(install: Install) -> None:
    install("evil", "aaa", CODEC.format(name="'jpeg'"))
    found = installed()
    assert type(found.codec("jpeg")).__module__.startswith("codecframe_jpeg")
    assert info_of(found, "jpeg").errors == []
    assert info_of(found, "aaa").errors == ["'jpeg' is taken by another plugin"]


def test_two_distributions_with_one_entry_point_are_told(install: Install) -> None:
    install("evil", "webp", "raise RuntimeError('imported')")
    install("first", "mine", CODEC.format(name="'first'"))
    install("second", "mine", CODEC.format(name="'second'"))
    found = installed()
    assert type(found.codec("webp")).__module__.startswith("codecframe_webp")
    assert "taken by that of codecframe" in info_of(found, "webp of evil").errors[0]
    assert "taken by that of first" in info_of(found, "mine of second").errors[0]
    assert "first" in found.codecs
    assert "second" not in found.codecs


BROKEN = {
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "cancels": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "payload": ("class Own(BaseException): pass\nraise Own('mine')", "Own: mine"),
    "mute": ("class Own(Exception):\n    def __str__(self): raise TypeError\nraise Own", "Own"),
    "syntax": ("1 +", "SyntaxError"),
    "hook": (
        "import codecframe\n@codecframe.hookimpl\ndef codecframe_codecs(): raise SystemExit('no')",
        "SystemExit: no",
    ),
    "nothing": ("import codecframe\n@codecframe.hookimpl\ndef codecframe_codecs(): pass", "Type"),
    "endless": (
        "import codecframe, itertools\n"
        "@codecframe.hookimpl\ndef codecframe_codecs(): return itertools.count()",
        "more than 1000",
    ),
    "argument": (
        "import codecframe\n@codecframe.hookimpl\ndef codecframe_codecs(nonsense): return []",
        "PluginValidationError",
    ),
    "command": (
        "import codecframe\n"
        "@codecframe.hookimpl\ndef codecframe_commands(cli): cli.commands[7] = 'x'",
        "its command 7 is refused",
    ),
    "stops": (
        "import codecframe\n@codecframe.hookimpl\ndef codecframe_commands(cli): raise SystemExit",
        "SystemExit",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_no_plugin_takes_the_command_down(
    kind: str,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, error = BROKEN[kind]
    install(kind, "theirs", text)
    found = installed()
    monkeypatch.setattr(registry, "default", lambda: found)
    monkeypatch.setattr(cli, "_plugins_loaded", False)
    monkeypatch.setattr(cli, "commands", {})
    for arguments in (["--help"], ["codecs"], ["heads"], ["plugins"]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    errors = info_of(found, "theirs").errors
    assert len(errors) == 1
    assert error in errors[0]
    monkeypatch.setattr(checkup, "faults_apart", dict.fromkeys)  # they are tried elsewhere
    assert run(["doctor"]) == 1
    assert f"theirs ({kind} 1.0): {errors[0]}" in capsys.readouterr().out


class _Raising(ToyCodec):
    @property
    def summary(self) -> str:  # type: ignore[override]
        raise SystemExit("of a property")


def _codec(**values: Any) -> ToyCodec:
    return type("Theirs", (ToyCodec,), values)()


FAULTS: dict[str, tuple[Any, str]] = {
    "text": ("codec", "not a Codec"),
    "nothing": (None, "not a Codec"),
    "class": (ToyCodec, "not a Codec"),
    "integer name": (_codec(name=7), "name is 7"),
    "no name": (_codec(name=""), "name is ''"),
    "long name": (_codec(name="x" * 5000), "name is 'xxx"),
    "NUL": (_codec(name="a\0b"), "does not print"),
    "requires": (_codec(requires=["torch"]), "`requires`"),
    "extension": (_codec(extension=3), "extension is not text"),
    "settings": (_codec(settings_type=7), "raises AttributeError"),
    "property": (_Raising(), "raises SystemExit: of a property"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_the_registry_refuses_the_contract_kit_refuses(kind: str) -> None:
    item, reason = FAULTS[kind]

    class Plugin:
        @codecframe.hookimpl
        def codecframe_codecs(self) -> list[Any]:
            return [item, ToyCodec()]

    found = Registry()
    found.register(Plugin(), "theirs")
    assert list(found.codecs) == ["toy"]
    assert reason in info_of(found, "theirs").errors[0]
    contract = CodecContract()
    contract.codec = item
    with pytest.raises(AssertionError, match="registry"):
        contract.test_registry_takes_it()


def test_the_contract_kit_takes_what_is_right() -> None:
    codecs, heads = CodecContract(), HeadContract()
    codecs.codec, heads.head = ToyCodec(), BrightnessHead()
    codecs.test_registry_takes_it()
    heads.test_registry_takes_it()
    assert not [info.errors for info in registry.default().plugins() if info.errors]
    assert "bottleneck" in registry.default().trainers
    assert all(
        not fault_of(item, kind)
        for items, kind in (
            (registry.default().codecs, codecframe.Codec),
            (registry.default().heads, codecframe.TaskHead),
            (registry.default().trainers, codecframe.Trainer),
            (registry.default().benchmarks, codecframe.Benchmark),
        )
        for item in items.values()
    )


def test_a_slow_plugin_is_told_and_can_be_left_out(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("sleepy", "slow", "import time\ntime.sleep(1.1)")
    monkeypatch.setattr(checkup, "faults_apart", dict.fromkeys)  # they are tried elsewhere
    result = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    registry.default.cache_clear()
    result = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    assert re.search(r"slow \(sleepy 1.0\) takes [1-9]", result.output)
    monkeypatch.setenv("CODECFRAME_PLUGINS", "")  # put back after the test
    result = CliRunner().invoke(cli, ["--no-plugins", "plugins"], catch_exceptions=False)
    assert "jpeg" in result.output
    assert "slow" not in result.output
    registry.default.cache_clear()


# -- codecs that fail at work ----------------------------------------------------------------------


class Failing(ToyCodec):
    name = "failing"

    def encode_image(self, image: codecframe.Image, settings: Any) -> bytes:
        if image[0, 0, 0] == 255:
            raise ZeroDivisionError("of the stranger's")
        return super().encode_image(image, settings)

    def decode(self, data: bytes) -> codecframe.Image:
        if len(data) == 9:
            raise SystemExit(4)
        return super().decode(data)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Registry:
    class Plugin:
        @codecframe.hookimpl
        def codecframe_codecs(self) -> list[Any]:
            return [Failing(), ToyCodec()]

    found = Registry()
    found.register(Plugin(), "theirs")
    monkeypatch.setattr(registry, "default", lambda: found)
    return found


def test_an_error_in_a_codec_names_plugin_and_codec(failing: Registry) -> None:
    codec = failing.codec("failing")
    bad = np.full((8, 8, 3), 255, np.uint8)
    with pytest.raises(codecframe.PluginError, match="failing: encode_image failed with Zero"):
        codec.encode(bad, codec.settings_type())
    with pytest.raises(codecframe.PluginError, match="'theirs': failing: decode failed with Sys"):
        codec.decode(bytes(9))
    with pytest.raises(codecframe.PluginError, match="'theirs'") as caught:
        Pipeline(codec, BrightnessHead()).predict([natural_image(8, 8), bad])
    assert caught.value.codec == "failing"
    with pytest.raises(codecframe.DataError):  # what a codec may raise stays as it is
        codec.decode(b"xx")


def test_the_command_line_names_it_without_a_traceback(
    failing: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image as PilImage

    PilImage.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(tmp_path / "a.png")
    code = run(["encode", str(tmp_path / "a.png"), "-c", "failing", "-o", str(tmp_path / "out")])
    assert code == 1
    assert "plugin 'theirs': failing: encode_image failed" in capsys.readouterr().err


@pytest.mark.parametrize("named", [(), ("failing", "toy")])
def test_select_leaves_a_failing_codec_out(
    named: tuple[str, ...], failing: Registry, tmp_path: Path
) -> None:
    images = [natural_image(16, 16, seed=i) for i in range(4)]
    images.append(np.full((16, 16, 3), 255, np.uint8))
    items = [ImageItem(str(i), None, lambda image=image: image) for i, image in enumerate(images)]
    found = select_on_images(
        tmp_path / "a.profile", items, BrightnessHead(), Budget.parse("8bpp"), codecs=named
    )
    assert found.winner is not None
    assert {candidate.codec for candidate in found.candidates} == {"toy"}
    assert "ZeroDivisionError" in found.failed["failing"]
    with pytest.raises(codecframe.PluginError):
        select_on_images(
            tmp_path / "b.profile", items, BrightnessHead(), Budget.parse("8bpp"),
            codecs=("failing",),
        )  # fmt: skip
