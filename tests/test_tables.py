"""Results as people and programs read them."""

import builtins
import sys
from dataclasses import asdict, dataclass

import pytest

from codecframe.core.errors import DependencyError
from codecframe.core.tables import Result, Table

COLUMNS = ("codec", ">bpp")
ROWS = [("jpeg", "0.41"), ("webp quality=31", "0.3")]


@dataclass(frozen=True, repr=False)
class Answer(Result):
    words: str

    def shown(self):
        return [self.words, Table(COLUMNS, [*ROWS, (self.words, "")], self.words)]

    def to_dict(self):
        return asdict(self)

    def records(self):
        return [{"codec": name, "bpp": float(bpp)} for name, bpp in ROWS]


def test_text_has_a_line_a_row_and_right_aligned_numbers():
    lines = Table(COLUMNS, ROWS, "what fits").text().splitlines()
    assert [line.strip() for line in lines] == [
        "what fits", "codec             bpp", "jpeg             0.41", "webp quality=31   0.3",
    ]  # fmt: skip


def test_text_never_wraps_unless_a_width_is_given():
    table = Table(COLUMNS, [("words " * 100, "1")])
    assert len(table.text().splitlines()) == 2
    narrow = table.text(40).splitlines()
    assert len(narrow) > 10 and max(map(len, narrow)) <= 40


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "\"&'", "[bold]b[/bold]"])
def test_html_escapes_every_text_and_text_keeps_it(text):
    page = Answer(text)._repr_html_() + Table((text, f">{text}"), [(text, text)]).html()
    assert "<img" not in page and "&'" not in page
    assert "<script" not in page
    assert repr(Answer(text)).count(text) == 3


def test_names_that_are_not_utf8_are_escaped():
    answer = Answer("caf\udce9")
    repr(answer).encode(), answer._repr_html_().encode()
    assert "caf\\udce9" in repr(answer)


def test_repr_is_the_table_and_not_the_fields():
    assert repr(Answer("two fit")).startswith("two fit\n")


def test_to_pandas_has_a_row_a_record():
    pytest.importorskip("pandas")
    frame = Answer("x").to_pandas()
    assert list(frame.columns) == ["codec", "bpp"]
    assert frame.bpp.sum() == pytest.approx(0.71)


def test_without_pandas_the_error_says_how_to_install_it(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *rest, **more):
        if name.partition(".")[0] == "pandas":
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError, match="pip install 'pandas'"):
        Answer("x").to_pandas()
