from __future__ import annotations

import io
import re
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toyprofiles import BUDGET

from codecframe import DependencyError
from codecframe.evaluation.profile import ProfileTable
from codecframe.evaluation.report import rate_accuracy_plot
from codecframe.evaluation.report.plot import series_plot, spread
from codecframe.evaluation.report.series import budget_bpp, series_of
from codecframe.evaluation.select import select
from codecframe.rate import Accounting


def test_the_same_profile_gives_the_same_svg(table: ProfileTable) -> None:
    import matplotlib

    first = rate_accuracy_plot(table)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30}):  # a user's own style
        again = rate_accuracy_plot(table)
    assert first == again
    assert "<dc:date>" not in first.svg
    assert ElementTree.fromstring(first.svg).tag.endswith("svg")
    with Image.open(io.BytesIO(first.png)) as picture:
        assert picture.format == "PNG" and picture.width > 900


def test_accounting_and_selection_change_the_plot(table: ProfileTable) -> None:
    plots = {
        rate_accuracy_plot(table).svg,
        rate_accuracy_plot(table, accounting=Accounting.FILE).svg,
        rate_accuracy_plot(table, select(table, BUDGET)).svg,
        rate_accuracy_plot(table, select(table, BUDGET, Accounting.FILE)).svg,
    }
    assert len(plots) == 4


def test_no_two_of_many_variants_look_alike(table: ProfileTable) -> None:
    first = series_of(table, Accounting.PAYLOAD)[0]
    many = [replace(first, words=f"effort={i}", controlled=()) for i in range(14)]
    svg = series_plot(many, "score", Accounting.PAYLOAD).svg
    marks = re.findall(r'<use xlink:href="#(\w+)"[^>]*style="fill: (#\w+); stroke: \2', svg)
    drawn = len([spot for spot in first.fixed if spot.bpp > 0])
    counts = Counter(mark for mark in marks if mark[1] != "#1f2328")  # ink is for axes
    assert list(counts.values()) == [drawn] * 14


def test_inline_svg_takes_the_colours_of_its_page(table: ProfileTable) -> None:
    inline = rate_accuracy_plot(table, select(table, BUDGET)).inline_svg
    root = ElementTree.fromstring(inline)
    assert root.tag.endswith("svg") and inline.startswith("<svg")
    assert "currentColor" in inline
    colours = {"#000000", "#ffffff", "#1f2328", "#fefefe"}
    assert not [colour for colour in colours if f"fill: {colour}" in inline]
    assert "<metadata" not in inline


def test_series_hold_every_row_once(table: ProfileTable) -> None:
    series = series_of(table, Accounting.PAYLOAD)
    assert [one.label for one in series] == ["toy", "bland", "toy effort=1"]
    spots = [spot for one in series for spot in one.spots]
    assert sorted(spot.row.point.key for spot in spots) == sorted(
        row.point.key for row in table.rows()
    )
    assert [spot.knob for spot in series[0].fixed] == [f"strength={s}" for s in (20, 140, 240)]
    (controlled,) = series[0].controlled
    assert controlled.budget == "4bpp cap, payload"
    assert controlled.bpp == pytest.approx(controlled.row.payload_bpp)


def test_nearest_prefers_the_point_made_for_the_budget(table: ProfileTable) -> None:
    found = select(table, BUDGET)
    toy, bland, _ = series_of(table, Accounting.PAYLOAD)
    assert toy.nearest(4.0, found) == toy.controlled[0]
    assert toy.nearest(4.0) in toy.fixed
    assert bland.nearest(1e9, found) == bland.fixed[-1]


@pytest.mark.parametrize("text", ["4bpp", "960B", "38400bit/s@5fps"])
def test_any_budget_has_a_place_on_the_rate_axis(table: ProfileTable, text: str) -> None:
    from codecframe.rate import Budget

    assert budget_bpp(table, select(table, Budget.parse(text))) == pytest.approx(4.0)


def test_without_matplotlib_it_says_how_to_install(
    table: ProfileTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"codecframe\[plots\]"):
        rate_accuracy_plot(table)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.1)), max_size=10))
def test_labels_are_spread_without_overlap(labels: list[tuple[float, float]]) -> None:
    wanted, heights = [w for w, _ in labels], [h for _, h in labels]
    places = spread(wanted, heights, 0.0, 1.0)
    boxes = sorted((p - h / 2, p + h / 2) for p, h in zip(places, heights, strict=True))
    assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(boxes))
    assert all(low >= -1e-9 and high <= 1 + 1e-9 for low, high in boxes)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    assert [places[i] for i in order] == sorted(places)
