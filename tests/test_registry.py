from __future__ import annotations

import pytest
from toys import ToyCodec, ToyPlugin

import codecframe
from codecframe.core import registry
from codecframe.core.registry import Registry


class Broken:
    @codecframe.hookimpl
    def codecframe_codecs(self) -> list[codecframe.Codec]:
        raise RuntimeError("no luck")

    @codecframe.hookimpl
    def codecframe_open_head(self, spec: str, options: dict) -> None:
        if spec == "bad.model":
            raise RuntimeError("cannot parse")


class Odd:
    @codecframe.hookimpl
    def codecframe_codecs(self) -> list:
        return [ToyCodec(), "not a codec"]


def made(**plugins: object) -> Registry:
    found = Registry()
    for name, plugin in plugins.items():
        found.register(plugin, name)
    return found


def test_a_broken_plugin_is_named_and_does_not_take_others_down() -> None:
    found = made(broken=Broken(), toys=ToyPlugin())
    assert list(found.codecs) == ["bland", "toy"]
    infos = {info.name: info for info in found.plugins()}
    assert infos["broken"].errors == ["RuntimeError: no luck"]
    assert infos["toys"].codecs == ["toy", "bland"]


def test_a_name_is_given_once_and_strange_things_are_refused() -> None:
    found = made(a_toys=ToyPlugin(), odd=Odd())
    errors = {info.name: info.errors for info in found.plugins()}
    assert "'toy' is taken" in errors["odd"][0]
    assert "not a Codec" in errors["odd"][1]


def test_unknown_names_get_the_nearest() -> None:
    found = made(toys=ToyPlugin())
    with pytest.raises(codecframe.UnknownNameError, match="did you mean 'toy'"):
        found.codec("tooy")
    with pytest.raises(codecframe.UnknownNameError, match="did you mean 'brightness'"):
        found.head("britness")


def test_a_plugin_that_fails_to_open_a_head_is_named() -> None:
    with pytest.raises(codecframe.PluginError, match=r"'broken'.*cannot parse"):
        made(broken=Broken()).head("bad.model")


def test_environment_restricts_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECFRAME_PLUGINS", "png")
    found = Registry()
    found.load_installed()
    assert list(found.codecs) == ["png"]
    monkeypatch.setenv("CODECFRAME_PLUGINS", "")
    none = Registry()
    none.load_installed()
    assert not none.codecs


def test_a_missing_package_is_answered_with_the_command_that_installs_it() -> None:
    with pytest.raises(codecframe.DependencyError, match=r"pip install 'codecframe\[heic\]'"):
        registry.require("no_such_package_xyz", "codecframe[heic]")
    assert registry.missing({"no_such_package_xyz": "x", "json": "y"}) == ["x"]
