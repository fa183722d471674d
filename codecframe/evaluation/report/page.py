"""The report: one self-contained page of what a profile measured and what was chosen from it.

Nothing in it is loaded from elsewhere, and a content security policy holds it to that.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image as PilImage

from codecframe.core.errors import DataError
from codecframe.core.files import write_whole
from codecframe.core.image import Image
from codecframe.core.outputs import refuse_foreign, refuse_inputs
from codecframe.core.registry import require
from codecframe.core.tables import Result, Table
from codecframe.evaluation.profile import ProfileTable, comparable, coverage
from codecframe.evaluation.report.pictures import kept_images
from codecframe.evaluation.report.plot import Plot, rate_accuracy_plot, time_plot
from codecframe.evaluation.report.series import Series, Spot, budget_bpp, middle_bpp, series_of
from codecframe.evaluation.report.sheet import ContactSheet, SheetRow, contact_sheet
from codecframe.evaluation.select import Candidate, Selection
from codecframe.evaluation.select.answer import HOW
from codecframe.rate import Accounting

_EXACT_PIXELS = 256 * 256
"""Pictures up to this size are embedded without loss, larger ones at high quality."""
_BYTES = {
    "payload": "payload without what the receiver can rebuild, plus a knob byte where it varies",
    "file": "whole standard files",
}


@dataclass(frozen=True, repr=False)
class Report(Result):
    """A self-contained HTML page of what was measured; a notebook shows it.

    Attributes:
        html: the page.
        plot: its plot, as SVG and PNG.
        selection: the choice that it marks, if any.
        heads: the heads that judged.
        paths: the profiles that it is of.
        kept: headings and rows of `pictures`.
    """

    html: str
    plot: Plot
    selection: Selection | None
    heads: tuple[str, ...]
    paths: tuple[Path, ...] = ()
    kept: tuple[list[str], list[SheetRow]] = field(default=([], []), compare=False)

    @cached_property
    def pictures(self) -> ContactSheet:
        """Its decoded images as one picture, which a notebook shows: a row for each image, a
        column for each codec, with bytes and what the head says.

        Raises:
            DataError: if the profiles kept no images.
        """
        columns, rows = self.kept
        if not rows:
            raise DataError("report", "the profiles kept no images to show")
        return ContactSheet(contact_sheet(columns, rows))

    def save(self, path: Path | str, *, force: bool = False) -> None:
        """Write the page, whole.

        Args:
            path: an HTML file; one that is such a page already is replaced.
            force: any file is replaced but a profile that it is of.

        Raises:
            OutputError: if there is another file, or it cannot be written.
        """
        refuse_inputs([path], self.paths)
        refuse_foreign(path, is_page, force=force)
        write_whole(path, self.html)

    def shown(self) -> Sequence[str | Table]:
        """What it is of, and its choice."""
        said = f"report for {' and '.join(self.heads)}: {len(self.html):,} characters of HTML"
        return [said, *(self.selection.shown() if self.selection else ())]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: `heads`, `html`, `selection`."""
        chosen = self.selection.to_dict() if self.selection else None
        return {"heads": list(self.heads), "html": self.html, "selection": chosen}

    def _repr_html_(self) -> str:
        """The page in a frame of its own, which can reach nothing of the notebook."""
        return (
            f'<iframe sandbox="allow-scripts" style="width:100%;height:640px;border:0" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )


def make_report(
    profiles: ProfileTable | Sequence[ProfileTable], selection: Selection | None = None
) -> Report:
    """Make the page: answer, plot, decoded images, table, what was measured.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        selection: the choice made from them; without one, rates are of payload bytes and images are
            shown at the middle rate.

    Raises:
        DataError: if nothing was measured yet.
        DependencyError: if matplotlib or Jinja2 is not installed.
        UnknownNameError: if a codec is not installed of which an old profile says nothing.
        MismatchError: if the profiles cannot be compared.
    """
    page = _Page(comparable(profiles), selection)
    return Report(page.text(), page.plot, selection, tuple(page.heads), kept=page.kept)


def _read(name: str) -> str:
    """A file beside this module."""
    return resources.files("codecframe.evaluation.report").joinpath(name).read_text("utf-8")


@dataclass(frozen=True)
class _Cell:
    """A table cell: its text, and the number that it sorts by and shows right-aligned."""

    text: str
    value: float | None = None
    kind: str = ""


_Row = dict[str, _Cell]
"""Cells by column; the names of columns of numbers begin with `>`."""


class _Page:
    """What the template shows: profiles, as one accounting counts them."""

    def __init__(self, tables: list[ProfileTable], selection: Selection | None) -> None:
        table = tables[0]
        self.missing = coverage(tables).words()
        self.selection = selection
        self.labelled, self.task = table.labelled, table.task
        self.measure = table.measure
        self.heads = list(dict.fromkeys(each.head for each in tables))
        self.title = f"Rate and accuracy for {' and '.join(self.heads)}"
        self.accounting = Accounting(selection.accounting if selection else "payload")
        self.series = series_of(tables, self.accounting)
        self.images = max((spot.row.n for one in self.series for spot in one.spots), default=0)
        self.controlled = any(one.controlled for one in self.series)
        self.points = [self._point(one, spot) for one in self.series for spot in one.spots]
        self._tables = tables

    def text(self) -> str:
        """The finished page."""
        jinja2 = require("jinja2", "codecframe[plots]")
        style, script, page = (_read(f"page.{suffix}") for suffix in ("css", "js", "html"))
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["data_uri"] = _data_uri
        made: str = environment.from_string(page).render(
            page=self,
            generator=_GENERATOR,
            style=style,
            script=script,
            digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            how=HOW,
            interval=_interval,
        )
        return made

    @cached_property
    def plot(self) -> Plot:
        """Score against rate."""
        return rate_accuracy_plot(self._tables, self.selection, accounting=self.accounting)

    @cached_property
    def times(self) -> Plot | None:
        """Score against encode time, where there is a choice among several."""
        several = self.selection is not None and len(self.selection.candidates) > 1
        return time_plot(self.selection) if self.selection and several else None

    @property
    def hidden(self) -> set[str]:
        """Columns that say nothing here."""
        said = {
            "head": len(self.heads) > 1,
            "settings": any(one.words for one in self.series),
            ">encodes": self.controlled,
            ">picture bpp": any(spot.row.picture_bpp for one in self.series for spot in one.spots),
        }
        return {name for name, is_said in said.items() if not is_said}

    @property
    def candidates(self) -> list[_Row]:
        """The choice, and what else was considered."""
        found = self.selection
        return [] if found is None else [_candidate(found, each) for each in found.candidates]

    @property
    def target_bpp(self) -> float:
        """The rate at which pictures are shown."""
        if self.selection is not None:
            return budget_bpp(self._tables[0], self.selection) or middle_bpp(self.series)
        return middle_bpp(self.series)

    @cached_property
    def kept(self) -> tuple[list[str], list[SheetRow]]:
        """Headings and rows of the decoded images."""
        shown = ((one, one.nearest(self.target_bpp, self.selection)) for one in self.series)
        pairs = [(one, spot) for one, spot in shown if spot]
        return kept_images(self._tables[0], pairs, self.accounting)

    def _point(self, one: Series, spot: Spot) -> _Row:
        row = spot.row
        knob = spot.knob or f"for {spot.budget}"
        if row.unfit:
            knob += f" ({row.unfit} of {row.n} do not fit)"
        return {
            "codec": _Cell(one.codec),
            "settings": _Cell(one.words, kind="name"),
            "head": _Cell(one.table.head),
            "knob": _Cell(knob),
            ">payload bpp": _number(row.payload_bpp, ".3f"),
            ">picture bpp": _number(row.picture_bpp, ".3f"),
            ">file bpp": _number(row.file_bpp, ".3f"),
            f">{self.measure} %": _percent(spot.score),
            ">95 %": _Cell(_interval(spot.low, spot.high), spot.low),
            **{f">{name} %": _percent(value) for name, value in row.figures.items()},
            ">agreement %": _percent(row.agreement),  # once, where it is the measure
            ">divergence": _number(row.divergence, ".3g"),
            ">encode µs": _number(row.encode_us, ".0f"),
            ">decode µs": _number(row.decode_us, ".0f"),
            ">encodes": _number(row.encodes, ".2g"),
        }

    @property
    def facts(self) -> dict[str, str]:
        """What was measured."""
        table = self._tables[0]
        if self.labelled:
            score = f"{self.measure} against the labels"
        else:
            score = "there are no labels: agreement with the prediction on the uncompressed image"
        method = "bootstrap over images" if table.has_records else "Wilson's formula"
        prepared = "brought to the head's geometry, then encoded"
        if not table.meta.get("prepared"):
            prepared = "encoded as they are"
        return {
            "head": ", ".join(self.heads),
            "images": f"{self.images}, from {table.meta.get('first_image', '')}; {prepared}",
            "left out": "; ".join(f"{name}: {reason}" for name, reason in table.skipped()[:20]),
            "task": f"{table.task.name}: {table.task.summary}",
            "score": f"{score}; intervals are 95 %, by {method}",
            "agreement": "with the prediction on the uncompressed image; the mean over images",
            "divergence": "of the prediction from the uncompressed one (classification: KL, nats)",
            "bytes": "; ".join(f"{name}: {meaning}" for name, meaning in _BYTES.items()),
            "times": "microseconds an image, on all cores of the machine that measured; medians",
            "made with": f"codecframe {table.meta.get('codecframe', '')}",
        }


def _candidate(found: Selection, candidate: Candidate) -> _Row:
    score, sure = found.columns
    on_device = {
        ">device ms": _number(candidate.device_ms, ".3g"),
        "front": _Cell("yes" if candidate in found.front else ""),
    }
    return {
        "": _Cell("chosen" if candidate is found.winner else ""),
        "codec": _Cell(candidate.label, kind="name"),
        "head": _Cell(candidate.head),
        score: _percent(candidate.score),
        sure: _Cell(_interval(candidate.low, candidate.high), candidate.low)
        if candidate.at_least is None
        else _percent(candidate.at_least),
        **({">travels %": _percent(candidate.travels)} if found.has_cascades else {}),
        f">bytes ({found.accounting})": _number(candidate.bytes_per_image, ".0f"),
        ">bpp": _number(candidate.bpp, ".3f"),
        ">encode µs": _number(candidate.encode_us, ".0f"),
        ">decode µs": _number(candidate.decode_us, ".0f"),
        **(on_device if found.has_device else {}),
        "why": _Cell(candidate.why, kind="wide"),
    }


def _data_uri(image: Image) -> str:
    buffer = io.BytesIO()
    exact = image.shape[0] * image.shape[1] <= _EXACT_PIXELS
    PilImage.fromarray(image).save(buffer, "WEBP", lossless=exact, quality=50 if exact else 92)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _number(value: float | None, form: str) -> _Cell:
    return _Cell("") if value is None else _Cell(format(value, form), value)


def _percent(value: float | None) -> _Cell:
    return _number(None if value is None else 100 * value, ".1f")


def _interval(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def is_page(path: Path) -> bool:
    """Whether a file is such a page, by what it says of its generator."""
    try:
        with path.open("rb") as file:
            return _GENERATOR.encode() in file.read(512)
    except OSError:
        return False


_GENERATOR = '<meta name="generator" content="codecframe">'
