from __future__ import annotations

import base64
import hashlib
import io
import re
import sqlite3
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toyprofiles import BUDGET, make_table
from toys import BrightnessHead, Item, ToyCodec, items, picture

import codecframe
from codecframe.evaluation import report
from codecframe.evaluation.profile import Plan, ProfileTable, profile_images
from codecframe.evaluation.select import select
from codecframe.rate import Accounting, Budget


class Page(HTMLParser):
    """What the tests ask of a page: its elements, and the texts in cells and captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._in_cell = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        elif self._in_cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as found:
        return np.asarray(found.convert("RGB"))


def test_the_page_is_self_contained(table: ProfileTable) -> None:
    text = report.make_report(table, select(table, BUDGET)).html
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert not page.all("link") and not page.all("iframe")
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text


def test_only_the_script_that_the_policy_names_can_run(table: ProfileTable) -> None:
    text = report.make_report(table).html
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [
        element["content"]
        for element in Page(text).all("meta")
        if element.get("http-equiv") == "Content-Security-Policy"
    ]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_every_point_is_in_the_table(table: ProfileTable) -> None:
    page = Page(report.make_report(table).html)
    heading = next(i for i, row in enumerate(page.rows) if "divergence" in row)
    found = page.rows[heading + 1 :]
    expected = {
        (row.point.codec, f"{row.payload_bpp:.3f}", f"{row.file_bpp:.3f}") for row in table.rows()
    }
    assert {(row[0], row[3], row[4]) for row in found} == expected
    assert len(found) == len(table.rows())
    assert any(row[2] == "for 4bpp cap, payload" for row in found)


def test_the_choice_and_why_the_others_lost(table: ProfileTable) -> None:
    selection = select(table, BUDGET)
    page = Page(report.make_report(table, selection).html)
    assert selection.winner is not None
    heading = next(i for i, row in enumerate(page.rows) if "why" in row)
    chosen, *others = page.rows[heading + 1 : heading + 2 + len(selection.others)]
    assert chosen[0] == "chosen" and chosen[1] == selection.winner.label
    assert [row[-1].strip() for row in others] == [other.why for other in selection.others]


def test_when_nothing_fits_the_page_says_so(table: ProfileTable) -> None:
    text = report.make_report(table, select(table, Budget.parse("2B"))).html
    assert "Nothing meets 2B for every image" in text
    assert "toy needs " in text or "bland needs " in text


@pytest.mark.parametrize("accounting", list(Accounting))
def test_pictures_are_the_decoded_samples(table: ProfileTable, accounting: Accounting) -> None:
    text = report.make_report(table, select(table, Budget.parse("4bpp"), accounting)).html
    sources = [image["src"] for image in Page(text).all("img")]
    assert len(sources) == 6 * 4  # six images are kept; uncompressed and three variants
    (controlled,) = [n for n, point in table.points().items() if point.budget]
    samples = table.samples(controlled)
    if accounting is Accounting.PAYLOAD:  # the budget that the controlled point was made for
        for image, measurement in samples.items():
            assert measurement.data is not None
            shown = decoded(sources[4 * image + 1])
            assert np.array_equal(shown, ToyCodec().decode(measurement.data))
    assert np.array_equal(decoded(sources[0]), items(1)[0].image)
    head = BrightnessHead()
    first = head.predict([items(1)[0].image]).top(1)[0][0]
    assert f"{first.label} {100 * first.probability:.0f} %" in text


def test_labelled_profiles_show_score_and_agreement(tmp_path: Path) -> None:
    with make_table(tmp_path / "l", labelled=True) as table:
        page = Page(report.make_report(table).html)
    heading = next(row for row in page.rows if "divergence" in row)
    assert "top-1 %" in heading and "agreement %" in heading


def test_profiles_of_several_heads_are_shown_together(tmp_path: Path) -> None:
    class Other(BrightnessHead):
        name = "other"

    images, plan = items(12, labelled=True), Plan(codecs=["toy"], levels=[20, 140])
    with (
        profile_images(tmp_path / "1", images, BrightnessHead(), plan) as one,
        profile_images(tmp_path / "2", images, Other(), plan) as other,
    ):
        text = report.make_report([one, other], select([one, other], BUDGET)).html
        assert "toy \N{RIGHTWARDS ARROW} other" in report.rate_accuracy_plot([one, other]).svg
    page = Page(text)
    headings = [i for i, row in enumerate(page.rows) if "head" in row]
    assert len(headings) == 2  # the choice, and all points
    for heading, count in zip(headings, (2, 4), strict=True):
        column = page.rows[heading].index("head")
        shown = [row[column] for row in page.rows[heading + 1 : heading + 1 + count]]
        assert sorted(set(shown)) == ["brightness", "other"]
    assert "Rate and accuracy for brightness and other" in text
    assert len(page.all("img")) == 6 * 3  # uncompressed once


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script><img src=http://x.example/>'

    class Head(BrightnessHead):
        name = "</title>" + evil
        labels = tuple(f"{evil}{i}" for i in range(10))

    images = [Item(f"{i}{evil}", picture(i)) for i in range(3)]
    images.append(Item(f"lost{evil}", picture(3), broken=True))
    plan = Plan(codecs=["toy"], levels=[100])
    with profile_images(tmp_path / "p", images, Head(), plan) as table:
        page = Page(report.make_report(table, select(table, BUDGET)).html)
    assert len(page.all("script")) == 1
    assert all(image["src"].startswith("data:") for image in page.all("img"))


def test_damaged_samples_do_not_stop_the_report(table: ProfileTable) -> None:
    with sqlite3.connect(table.path) as db:
        db.execute("UPDATE measurements SET data = x'00' WHERE image = 0 AND data IS NOT NULL")
        db.execute("UPDATE images SET original = x'00' WHERE id = 1")
        db.execute("DELETE FROM meta WHERE key IN ('head', 'metric')")
    text = report.make_report(table).html
    assert text.count("cannot be shown") == 4
    assert len(Page(text).all("img")) == 6 * 4 - 4


def test_images_over_the_pixel_limit_are_not_decoded(table: ProfileTable) -> None:
    with codecframe.limit_pixels(100):
        assert not Page(report.make_report(table).html).all("img")


def test_images_that_missed_the_budget_are_named(tmp_path: Path) -> None:
    tight = Budget.parse("0.12bpp")
    plan = Plan(codecs=["toy", "bland"], levels=[20, 200], budget=tight)
    with profile_images(tmp_path / "p", items(12), BrightnessHead(), plan) as table:
        unfit = [row.unfit for row in table.rows() if row.point.budget]
        text = report.make_report(table, select(table, tight)).html
    assert any(unfit)
    for count in filter(None, unfit):
        assert f"({count} of 12 do not fit)" in text
    assert "does not fit the budget" in text


def test_without_the_template_engine_it_says_what_to_install(
    table: ProfileTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(codecframe.DependencyError, match=r"codecframe\[plots\]"):
        report.make_report(table)
