"""Plain data from strangers: bounded in size, depth, digits, and in what errors show of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

import codecframe
from codecframe.cli.main import run
from codecframe.core import registry, yamltext
from codecframe.core.errors import MOST_SHOWN, SettingsError, UnknownNameError, shown
from codecframe.core.headfile import load as load_head
from codecframe.core.presets import Preset
from codecframe.training.recipes import read_recipe

BILLION = "[" + ", ".join(["&a0 [x, x]", *(f"&a{i} [{f'*a{i - 1}, ' * 9}]" for i in range(1, 9))])

REFUSED = {
    "aliases": (BILLION + "]", "anchor"),
    "alias to itself": ("&a [*a]", "anchor"),
    "tagged bool": ("!!bool x", "a tag"),
    "tagged timestamp": ("!!timestamp x", "a tag"),
    "tagged binary": ("!!binary x", "a tag"),
    "tagged object": ("!!python/object/apply:os.system [ls]", "a tag"),
    "own tag": ("!mine {}", "a tag"),
    "400 digits": ("9" * 400, "400 characters"),
    "5000 digits": ("-" + "9" * 5000, "5001 characters"),
    "long float": ("0." + "3" * 100, "102 characters"),
    "long hexadecimal": ("0x" + "f" * 300, "302 characters"),
    "brackets": ("[" * 100_000, "levels"),
    "braces": ("{a: " * 50_000, "levels"),
    "dashes": ("- " * 50_000, "levels"),
    "questions": ("? " * 50_000, "levels"),
    "many values": ("[" + "0," * 200_000 + "]", "values"),
    "long": ("'" + "x" * (2 << 20) + "'", "characters"),
    "list as a key": ("{[1]: 2}", "as a key"),
    "key twice": ("{a: 1, a: 2}", "twice"),
    "two documents": ("--- 1\n--- 2\n", "more than one"),
    "NUL": ("a\0b", "not allowed|acceptable"),
}

READ: dict[str, Any] = {
    "4:2:0": "4:2:0",
    "on": "on",
    "2001-99-99": "2001-99-99",
    "1_000": "1_000",
    "<<": "<<",
    "=": "=",
    "010": 10,
    "0x1F": 31,
    "-.inf": -math.inf,
    "1e3": 1000.0,
    "~": None,
    "": None,
    "'1'": "1",
    "a: |\n  x\n": {"a": "x\n"},
    "[true, False, null, .5, [x]]": [True, False, None, 0.5, ["x"]],
    "[" * 32 + "]" * 32: eval("[" * 32 + "]" * 32),
}


@pytest.fixture(params=["in C", "in Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in Python":
        monkeypatch.setattr(yamltext, "_PARSER", yaml.SafeLoader)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("kind", REFUSED)
def test_more_than_plain_data_is_refused(kind: str) -> None:
    text, reason = REFUSED[kind]
    with pytest.raises(ValueError, match=reason) as caught:
        yamltext.load(text)
    assert len(str(caught.value)) < 300


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", READ)
def test_plain_data_is_read_as_yaml_1_2_says(text: str) -> None:
    assert yamltext.load(text) == READ[text]


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("door", ["--set", "preset", "recipe", "head"])
def test_every_door_refuses_it(
    door: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = REFUSED[kind][0]
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\n" if kind != "two documents" else text)
    if door == "--set":
        with pytest.raises(SettingsError) as caught:
            registry.default().codec("jpeg").settings_type.parse([f"quality={text}"])
        assert len(str(caught.value)) < 300
        return
    read = {"preset": Preset.read, "recipe": read_recipe, "head": load_head}[door]
    with pytest.raises(codecframe.DataError) as found:
        read(path)
    assert len(str(found.value)) < 300 + len(str(path))


def _nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value, value]  # 2 ** levels if it is written out
    return value


class _Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**400), "x" * 10**7, b"x" * 10**7, [0] * 10**6, _nested(200), _Mute(),
     {"a": {i: [i] * 9 for i in range(10**5)}}],
    ids=["huge", "negative", "text", "bytes", "list", "nested", "mute", "mapping"],
)  # fmt: skip
def test_errors_show_80_characters_of_anything(value: Any) -> None:
    assert len(shown(value)) <= MOST_SHOWN
    assert len(str(SettingsError("quality", value, "a number"))) < 200
    with pytest.raises(SettingsError):
        registry.default().codec("jpeg").settings_type.from_dict({"quality": value})
    assert len(str(UnknownNameError("codec", "x" * 10**6, ["jpeg"]))) < 200


@pytest.mark.parametrize(
    "value",
    [None, True, 7, 0.5, "x'y", b"\0", [1, "a", (2,), (1, 2)], {"a": [None]}, [], {}, set()],
)
def test_small_values_are_shown_as_python_writes_them(value: Any) -> None:
    text = repr(value)
    assert shown(value) == {"(2,)": "(2)", "set()": "{}"}.get(text, text.replace("(2,)", "(2)"))


def test_the_command_line_says_so_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["encode", "-", "-c", "jpeg", "--set", f"quality={BILLION}]"],
        ["encode", "-", "-c", "jpeg", "--set", "quality=" + "9" * 5000],
        ["encode", "-", "-c", "x" * 5000],
        ["select", "--budget", "9" * 5000, str(tmp_path)],
        ["heads", "[" * 5000],
    ):
        assert run(arguments) in (1, 2)
        assert len(capsys.readouterr().err) < 1000
