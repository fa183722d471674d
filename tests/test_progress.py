"""Plain progress lines: when they come and what they say."""

from __future__ import annotations

import pytest

from codecframe.cli import output
from codecframe.core.progress import Lines, duration


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def lines_of(total: int) -> tuple[Lines, Clock, list[str]]:
    clock, said = Clock(), []
    return Lines(total, "train", said.append, clock=clock, tick=None), clock, said


def test_short_work_says_nothing() -> None:
    lines, clock, said = lines_of(10)
    with lines:
        for _ in range(10):
            clock.now += 0.9
            lines.advance(1)
    assert said == []


def test_a_line_says_stage_share_and_time_left() -> None:
    lines, clock, said = lines_of(100)
    with lines:
        for number in range(100):
            clock.now += 6
            lines.advance(1, f"epoch {number // 50 + 1}")
    assert said[0] == "train: 2 % (2 of 100), 10 min left: epoch 1"
    assert said[1] == "train: 7 % (7 of 100), 9 min left: epoch 1"
    assert said[-1] == "train: 100 % (100 of 100), took 10 min"
    assert len(said) == 21  # one for each 5 %, and the end


def test_lines_are_ten_seconds_apart_at_least() -> None:
    lines, clock, said = lines_of(100)
    with lines:
        for _ in range(100):
            clock.now += 0.5
            lines.advance(1)
    assert len(said) == 6


def test_a_piece_that_takes_long_is_told_of_every_minute() -> None:
    lines, clock, said = lines_of(2)
    with lines:
        for _ in range(300):
            clock.now += 1
            lines.look()
    assert said == ["train: 0 % (0 of 2)"] * 5 + ["train: 0 % (0 of 2), took 5 min"]


def test_what_an_earlier_run_did_says_nothing_about_the_time_left() -> None:
    lines, clock, said = lines_of(100)
    with lines:
        lines.skip(80, "resumed")
        clock.now += 20
        lines.advance(10)
    assert said[0] == "train: 90 % (90 of 100), 20 s left: resumed"


def test_what_failed_does_not_say_that_it_is_done() -> None:
    lines, clock, said = lines_of(4)
    with pytest.raises(ValueError, match="broken"), lines:
        clock.now += 60
        lines.advance(1)
        raise ValueError("broken")
    assert len(said) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_off_a_terminal_the_command_line_writes_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("profile")(3) as shown:
        shown.skip(1)
        shown.advance(2, "done")
    assert capsys.readouterr() == ("", "")
