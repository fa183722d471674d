from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe import DataError, Settings, SettingsError, knob, option
from codecframe.core import yamltext


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    quality: int = knob(75, low=1, high=100, help="quality")
    subsampling: str = option("4:2:0", choices=("4:4:4", "4:2:0"), help="chroma")
    strength: float = option(0.5, low=0, high=1, help="strength")
    fast: bool = option(False, help="fast")
    tables: tuple[tuple[int, ...], ...] | None = option(None, low=1, high=255, help="tables")
    extra: tuple[str, ...] = option((), help="extra options")


@dataclass(frozen=True, kw_only=True)
class Falling(Settings):
    distance: float = knob(1.0, low=0.1, high=10, ladder=(10, 5, 2, 1, 0.5, 0.1), help="distance")


@dataclass(frozen=True, kw_only=True)
class Plain(Settings):
    effort: int = option(5, low=1, high=9, help="effort")


settings = st.builds(
    Example,
    quality=st.integers(1, 100),
    subsampling=st.sampled_from(["4:4:4", "4:2:0"]),
    strength=st.floats(0, 1),
    fast=st.booleans(),
    tables=st.none() | st.lists(st.lists(st.integers(1, 255), max_size=3), max_size=2),
    extra=st.lists(st.text(max_size=5), max_size=2),
)


@given(settings)
def test_settings_survive_dict_json_and_yaml(value: Example) -> None:
    assert Example.from_dict(value.to_dict()) == value
    assert Example.from_dict(json.loads(json.dumps(value.to_dict()))) == value
    assert Example.from_dict(yamltext.load(yamltext.dump(value.to_dict()))) == value
    assert hash(Example.from_dict(value.to_dict())) == hash(value)


def test_key_value_texts_are_read_by_the_type_of_their_field() -> None:
    found = Example.parse(
        ["quality=30", "subsampling=4:4:4", "fast=true", "strength=1", "tables=[[1,2],[3]]"]
    )
    assert found == Example(
        quality=30, subsampling="4:4:4", fast=True, strength=1.0, tables=((1, 2), (3,))
    )


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("quality=0", "quality", "an integer from 1 to 100"),
        ("quality=high", "quality", "an integer from 1 to 100"),
        ("quality=3.5", "quality", "an integer"),
        ("quality=true", "quality", "an integer"),
        ("strength=.nan", "strength", "a number from 0 to 1"),
        ("subsampling=4:1:0", "subsampling", "one of 4:4:4, 4:2:0"),
        ("tables=[[0]]", "tables", "from 1 to 255"),
        ("tables=[", "tables", "list"),
        ("qualty=3", "qualty", "did you mean 'quality'"),
        ("fast", "fast", "key=value"),
    ],
)
def test_errors_name_field_and_range(text: str, field: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        Example.parse([text])
    assert caught.value.field == field


def test_knob_levels_go_from_fewest_bytes_to_most() -> None:
    assert [Falling().at_level(level).distance for level in (0, 5)] == [10, 0.1]
    assert Falling(distance=0.9).level == 3
    assert Example(quality=1).level == 0
    with pytest.raises(SettingsError):
        Example().at_level(100)
    assert Plain.knob() is None
    assert Plain().at_level(0) == Plain()


def test_text_shows_what_was_changed_and_the_knob() -> None:
    assert str(Example(subsampling="4:4:4")) == "quality=75 subsampling=4:4:4"


def test_a_class_with_two_knobs_or_an_undeclared_field_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Two(Settings):
        a: int = knob(1, low=0, high=9, help="a")
        b: int = knob(1, low=0, high=9, help="b")

    @dataclass(frozen=True, kw_only=True)
    class Bare(Settings):
        a: int = 1

    with pytest.raises(TypeError, match="2 knobs"):
        Two().knob()
    with pytest.raises(TypeError, match="option"):
        Bare()


def test_yaml_reads_4_2_0_as_text_and_numbers_as_numbers() -> None:
    assert yamltext.load("a: 4:2:0\nb: 010\nc: on\nd: 1e3") == {
        "a": "4:2:0", "b": 10, "c": "on", "d": 1000.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="line "):
        yamltext.load("a: [")
    with pytest.raises(ValueError, match="a tag"):
        yamltext.load("!!python/object/apply:os.getcwd []")


@dataclass(frozen=True)
class Message(Settings):
    """As what comes in files and messages is declared."""

    name: str = option(low=1, high=8, help="must be given")
    shape: tuple[int, int] | None = option(None, low=1, high=99, help="a pair")
    where: dict[str, str] = option({}, high=4, help="texts by name")
    rest: dict[str, Any] = option({}, help="anything")
    rate: float = option(1.0, low=1e-9, high=1e12, help="finite")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "'name' is missing: expected text of 1 to 8 characters"),
        ({"name": None}, "'name' is None: expected text"),
        ({"name": ""}, "'name' is '': expected text of 1 to 8"),
        ({"name": "x" * 9}, "expected text of 1 to 8"),
        ({"name": 7}, "'name' is 7: expected text"),
        ({"name": "x", "nam": 1}, "'nam' is 1: expected a known name; did you mean 'name'"),
        ({"name": "x", "shape": [1]}, r"'shape' is \[1\]: expected a list of 2 times"),
        ({"name": "x", "shape": [1, 2, 3]}, "expected a list of 2 times"),
        ({"name": "x", "shape": [0, 2]}, "from 1 to 99"),
        ({"name": "x", "shape": [True, 2]}, "from 1 to 99"),
        ({"name": "x", "where": {"a": 1}}, r"expected a mapping to \(text\)"),
        ({"name": "x", "where": {1: "a"}}, r"expected a mapping to \(text\)"),
        ({"name": "x", "where": {"a": "long!"}}, "at most 4 characters"),
        ({"name": "x", "rest": []}, "'rest' is .*expected a mapping"),
        ({"name": "x", "rate": float("inf")}, "expected a number"),
        ({"name": "x", "rate": float("nan")}, "expected a number"),
        ([], "expected a mapping"),
        (None, "expected a mapping"),
    ],
)
def test_what_a_source_says_wrong_is_told_with_the_source(values: Any, problem: str) -> None:
    with pytest.raises(DataError, match=f"^file.yaml: .*{problem}") as caught:
        Message.from_source(values, "file.yaml")
    assert len(str(caught.value)) < 200


def test_mappings_and_pairs_come_back_as_plain_data() -> None:
    values = {"name": "x", "shape": [1, 2], "where": {"a": "b"}, "rest": {"c": [1, {"d": None}]}}
    found = Message.from_source(values, "file.yaml")
    assert found.shape == (1, 2)
    assert found.to_dict() == {**values, "rate": 1.0}
    assert Message("x").where is not Message("x").where
    with pytest.raises(SettingsError, match="'name' is missing"):
        Message.from_dict({})
