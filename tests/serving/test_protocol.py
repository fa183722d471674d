"""Messages: what is packed is unpacked the same, and no bytes do anything but raise `DataError`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecframe.core.errors import DataError
from codecframe_serving.protocol import (
    MAX_REASON,
    MAX_SEQUENCE,
    MAX_TEXT,
    Answer,
    Frame,
    Hello,
    Label,
    Picture,
    Ready,
    Refused,
    Status,
    Welcome,
    read_text,
)

SEQUENCE = st.integers(0, MAX_SEQUENCE)
SIDE = st.integers(1, 65535)
SHAPE = st.none() | st.tuples(SIDE, SIDE)
FRAMES = st.builds(Frame, SEQUENCE, st.integers(0, 255), st.binary(max_size=99), SHAPE)
HELLOS = st.builds(
    Hello,
    codec=st.text(min_size=1, max_size=50),
    settings=st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=9), max_size=4),
    emits=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    shape=SHAPE,
    top=st.integers(1, 100),
    head=st.none() | st.text(min_size=1, max_size=20),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(FRAMES)
def test_frames_come_back(frame: Frame) -> None:
    assert Frame.unpack(frame.pack()) == frame


def test_a_frame_costs_five_bytes_beside_its_payload() -> None:
    assert len(Frame(MAX_SEQUENCE, 255, b"body").pack()) == 5 + 4


@given(
    SEQUENCE,
    st.lists(st.tuples(st.integers(0, 65535), st.floats(0, 1)), max_size=100),
    st.floats(0, 6.5),
)
def test_answers_come_back(sequence: int, top: list[tuple[int, float]], seconds: float) -> None:
    found = Answer.unpack(Answer(sequence, Status.OK, seconds, tuple(top)).pack())
    assert found.sequence == sequence
    assert [index for index, _ in found.top] == [index for index, _ in top]
    assert [p for _, p in found.top] == pytest.approx([p for _, p in top], abs=1e-5)
    assert found.seconds == pytest.approx(seconds, abs=1e-4)


@given(SEQUENCE, st.lists(st.integers(0, 65535), min_size=1, max_size=100))
def test_labels_come_back(sequence: int, classes: list[int]) -> None:
    label = Label(sequence, tuple((index, 1.0) for index in classes))
    assert Label.unpack(label.pack()) == label
    said = Label(sequence, said='{"boxes":[]}')
    assert Label.unpack(said.pack()) == said
    for kind in (Frame, Picture):
        with pytest.raises(DataError):
            kind.unpack(label.pack())


@given(SEQUENCE, st.sampled_from(list(Status)[1:]), st.text())
def test_reasons_come_back_shortened(sequence: int, status: Status, reason: str) -> None:
    found = Answer.unpack(Answer(sequence, status, 0.0, (), reason).pack())
    assert found.status is status
    assert reason.startswith(found.reason)
    assert found.reason == reason or len(found.reason.encode()) > MAX_REASON - 4


@given(HELLOS)
def test_hellos_come_back(hello: Hello) -> None:
    assert read_text(hello.pack(), Hello) == hello


def test_other_texts_come_back() -> None:
    welcome = Welcome("h", ("a", "b"), "pixels", ("jpeg",), {"resize": 32}, 10, 20, 30.0)
    for text in (welcome, Ready(), Refused("no codec")):
        assert read_text(text.pack(), Welcome, Ready, Refused) == text


@given(st.binary(max_size=64))
def test_bytes_are_a_message_or_a_data_error(message: bytes) -> None:
    for kind in (Frame, Answer, Label):
        try:
            found = kind.unpack(message)
        except DataError:
            continue
        assert 0 <= found.sequence <= MAX_SEQUENCE


@given(st.text(max_size=64) | JSON.map(json.dumps))
def test_texts_are_a_message_or_a_data_error(message: str) -> None:
    with pytest.raises(DataError):
        read_text(message, Hello, Welcome, Ready, Refused)


FIELDS = [*json.loads(Hello("jpeg").pack())]


@given(HELLOS, st.sampled_from(FIELDS), JSON)
def test_hellos_with_any_field_are_read_or_a_data_error(
    hello: Hello, name: str, value: object
) -> None:
    message = json.dumps({**json.loads(hello.pack()), name: value})
    try:
        found = read_text(message, Hello)
    except DataError:
        return
    assert read_text(found.pack(), Hello) == found


@pytest.mark.parametrize(
    "message",
    [
        "[" * 100_000,
        '{"type":"hello","version":1,"top":' + "9" * 5000 + "}",
        '{"type":"hello","version":1,"top":NaN}',
        '{"type":"hello","version":2}',
        " " * (MAX_TEXT + 1),
    ],
    ids=["deep", "digits", "nan", "version", "long"],
)
def test_hostile_texts_are_data_errors(message: str) -> None:
    with pytest.raises(DataError):
        read_text(message, Hello)
