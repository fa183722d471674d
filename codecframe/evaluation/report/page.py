"""The report: one self-contained page of what a profile measured and what was chosen from it.

Nothing in it is loaded from elsewhere, and a content security policy holds it to that.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
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
from codecframe.core.tables import Result, Table
from codecframe.evaluation.profile import ProfileTable, comparable, coverage
from codecframe.evaluation.report.pictures import kept_images
from codecframe.evaluation.report.plot import Plot, rate_accuracy_plot
from codecframe.evaluation.report.series import Series, Spot, budget_bpp, middle_bpp, series_of
from codecframe.evaluation.report.sheet import ContactSheet, SheetRow, Shown, contact_sheet
from codecframe.evaluation.select import Candidate, Selection
from codecframe.rate import Accounting

_EXACT_PIXELS = 256 * 256
"""Pictures up to this size are embedded without loss, larger ones at high quality."""
_HOW = {"cap": "for every image", "mean": "on average", "link": "over the link"}
_BYTES = {
    "payload": "payload without what the receiver can rebuild, plus a knob byte where it varies",
    "file": "whole standard files",
}


def html(
    profiles: ProfileTable | Sequence[ProfileTable], selection: Selection | None = None
) -> str:
    """Make the page: answer, plot, decoded images, table, what was measured.

    Args:
        profiles: a profile, or several of the same images: one for each of several heads.
        selection: the choice made from them; without one, rates are of payload bytes and images are
            shown at the middle rate.

    Raises:
        DataError: if nothing was measured yet.
        DependencyError: if matplotlib is not installed.
        UnknownNameError: if a codec is not installed of which an old profile says nothing.
        MismatchError: if the profiles cannot be compared.
    """
    return _Page(comparable(profiles), selection).text()


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
    """As `html`, with what a program needs besides."""
    page = _Page(comparable(profiles), selection)
    return Report(page.text(), page.plot, selection, tuple(page.heads), kept=page.kept)


@dataclass(frozen=True)
class _Cell:
    """A table cell: its text, and the number that it sorts by and shows right-aligned."""

    text: str
    value: float | None = None
    kind: str = ""

    def html(self) -> str:
        if self.value is not None:
            return f'<td class="number" data-value="{self.value:.6g}">{escape(self.text)}</td>'
        return f'<td class="{self.kind}">{escape(self.text)}</td>'


class _Page:
    """A page being written: profiles, as one accounting counts them."""

    def __init__(self, tables: list[ProfileTable], selection: Selection | None) -> None:
        self._tables = tables
        self._table = table = tables[0]
        self._missing = coverage(tables).words()
        self._selection = selection
        self._meta = table.meta
        self.heads = list(dict.fromkeys(each.head for each in tables))
        self._accounting = Accounting(selection.accounting if selection else "payload")
        self._series = series_of(tables, self._accounting)
        self._measure = self._meta.get("metric", "score") if table.labelled else "agreement"

    def text(self) -> str:
        """The finished page."""
        files = resources.files("codecframe.evaluation.report")
        style = (files / "page.css").read_text(encoding="utf-8")
        script = (files / "page.js").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        title = f"Rate and accuracy for {' and '.join(self.heads)}"
        sections = [
            f"<h1>{escape(title)}</h1>",
            self._summary(),
            self._answer(),
            self._plot(),
            self._choice(),
            self._pictures(),
            self._points(),
            self._details(),
        ]
        return _FRAME.format(
            generator=_GENERATOR,
            title=escape(title),
            style=style,
            script=script,
            digest=digest,
            body="\n".join(sections),
        )

    def _summary(self) -> str:
        points = sum(len(one.spots) for one in self._series)
        return (
            f'<p class="faint">{_count(len(self._series), "codec variant")}, '
            f"{_count(points, 'measured point')}, {_count(self._images, 'image')}.</p>"
            + (f"<p><strong>Note:</strong> {escape(self._missing)}.</p>" if self._missing else "")
        )

    @property
    def _images(self) -> int:
        return max((spot.row.n for one in self._series for spot in one.spots), default=0)

    def _answer(self) -> str:
        found = self._selection
        if found is None:
            return ""
        asked = f"{found.budget} {_HOW[found.mode]}, {found.accounting} bytes"
        notes = "".join(
            f"<p>Note: {escape(note)}.</p>" for note in found.notes if note != self._missing
        )
        if found.winner is None:
            closest = f" Closest: {found.would_fit}." if found.would_fit else ""
            words = f"<strong>Nothing meets {escape(asked)}.</strong>{escape(closest)}"
            return f'<div class="answer none"><p>{words}</p></div>'
        best = found.winner
        figures = (
            f"At {asked}: {100 * best.score:.1f} % {found.measure} "
            f"(95 %: {_interval(best.low, best.high)}) over {_count(found.images, 'image')}, "
            f"{best.bytes_per_image:.0f} bytes an image, {best.bpp:.3f} bpp."
        )
        behind = f" for the head {best.head}" if len(self.heads) > 1 else ""
        return (
            f'<div class="answer"><p><strong>{escape(best.label)}</strong>{escape(behind)}</p>'
            f"<p>{escape(figures)}</p>{notes}</div>"
        )

    @cached_property
    def plot(self) -> Plot:
        """Score against rate."""
        return rate_accuracy_plot(self._tables, self._selection, accounting=self._accounting)

    def _plot(self) -> str:
        label = escape(f"{self._measure} against bits per pixel; the table below has the numbers")
        picture = self.plot.inline_svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        notes = "Bands are 95 % intervals."
        if any(one.controlled for one in self._series):
            notes += " Hollow diamonds: the rate controller sets the knob image by image."
        if self._selection is not None and self._selection.winner is not None:
            notes += " The ring marks the choice."
        return (
            f'<h2>Rate and accuracy</h2><div class="scroll plot">{picture}</div>'
            f'<p class="faint">{notes}</p>'
        )

    def _choice(self) -> str:
        found = self._selection
        if found is None:
            return ""
        columns = ["", "codec", "head", f">{found.measure} %", ">95 %",
                   f">bytes ({found.accounting})", ">bpp",
                   ">encode µs", ">decode µs", "why"]  # fmt: skip
        rows = [_candidate(c, chosen=c is found.winner) for c in found.candidates]
        if len(self.heads) == 1:
            columns, rows = _without(columns, rows, "head")
        return "<h2>The choice, and why the others lost</h2>" + _table(
            columns, rows, first_chosen=found.winner is not None
        )

    @cached_property
    def kept(self) -> tuple[list[str], list[SheetRow]]:
        """Headings and rows of the decoded images."""
        pairs = [(one, spot) for one in self._series if (spot := self._shown_point(one))]
        return kept_images(self._table, pairs, self._accounting)

    def _pictures(self) -> str:
        columns, rows = self.kept
        if not rows:
            return ""
        what = "what the head says of them"
        right = "right" if self._table.labelled else "what it says of the uncompressed image"
        where = f"closest to {self._target_bpp():.2g} bpp"
        if self._selection is not None:
            where = f"measured for the budget, or {where}"
        intro = (
            f"Decoded images and {what}, at the point {where}. Green: {right}; red: not. "
            f"Bytes are {self._accounting}."
        )
        return f'<h2>Decoded images</h2><p class="faint">{escape(intro)}</p>' + "\n".join(
            _strip(columns, row) for row in rows
        )

    def _shown_point(self, one: Series) -> Spot | None:
        return one.nearest(self._target_bpp(), self._selection)

    def _target_bpp(self) -> float:
        if self._selection is not None:
            return budget_bpp(self._table, self._selection) or 1.0
        return middle_bpp(self._series)

    def _points(self) -> str:
        columns = ["codec", "settings", "head", "knob", ">payload bpp", ">file bpp",
                   f">{self._measure} %", ">95 %", ">agreement %", ">divergence", ">encode µs",
                   ">decode µs", ">encodes"]  # fmt: skip
        rows = [_point(one, spot) for one in self._series for spot in one.spots]
        if not self._table.labelled:  # the score is the agreement
            columns, rows = _without(columns, rows, ">agreement %")
        if len(self.heads) == 1:
            columns, rows = _without(columns, rows, "head")
        if not any(one.words for one in self._series):
            columns, rows = _without(columns, rows, "settings")
        if not any(one.controlled for one in self._series):
            columns, rows = _without(columns, rows, ">encodes")
        return "<h2>All measured points</h2>" + _table(columns, rows, sortable=True)

    def _details(self) -> str:
        skipped = self._table.skipped()
        if self._table.labelled:
            score = f"{self._measure} against the labels"
        else:
            score = "there are no labels: agreement with the prediction on the uncompressed image"
        prepared = "brought to the head's geometry, then encoded"
        if not self._meta.get("prepared"):
            prepared = "encoded as they are"
        facts = {
            "head": ", ".join(self.heads),
            "images": f"{self._images}, from {self._meta.get('first_image', '')}; {prepared}",
            "left out": "; ".join(f"{name}: {reason}" for name, reason in skipped[:20]),
            "score": f"{score}; intervals are 95 % (Wilson)",
            "divergence": "of the prediction from the uncompressed one (classification: KL, nats)",
            "bytes": "; ".join(f"{name}: {meaning}" for name, meaning in _BYTES.items()),
            "times": "microseconds an image, on all cores of the machine that measured; medians",
            "made with": f"codecframe {self._meta.get('codecframe', '')}",
        }
        items = [f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v]
        return f"<h2>What was measured</h2><dl>{''.join(items)}</dl>"


def _candidate(candidate: Candidate, *, chosen: bool) -> list[_Cell]:
    return [
        _Cell("chosen" if chosen else ""),
        _Cell(candidate.label, kind="name"),
        _Cell(candidate.head),
        _percent(candidate.score),
        _Cell(_interval(candidate.low, candidate.high), candidate.low),
        _number(candidate.bytes_per_image, ".0f"),
        _number(candidate.bpp, ".3f"),
        _number(candidate.encode_us, ".0f"),
        _number(candidate.decode_us, ".0f"),
        _Cell(candidate.why, kind="wide"),
    ]


def _without(
    columns: list[str], rows: list[list[_Cell]], name: str
) -> tuple[list[str], list[list[_Cell]]]:
    """A table without one of its columns."""
    i = columns.index(name)
    return columns[:i] + columns[i + 1 :], [row[:i] + row[i + 1 :] for row in rows]


def _point(one: Series, spot: Spot) -> list[_Cell]:
    row = spot.row
    knob = spot.knob or f"for {spot.budget}"
    if row.unfit:
        knob += f" ({row.unfit} of {row.n} do not fit)"
    return [
        _Cell(one.codec),
        _Cell(one.words, kind="name"),
        _Cell(one.table.head),
        _Cell(knob),
        _number(row.payload_bpp, ".3f"),
        _number(row.file_bpp, ".3f"),
        _percent(spot.score),
        _Cell(_interval(spot.low, spot.high), spot.low),
        _percent(row.agreement),
        _number(row.divergence, ".3g"),
        _number(row.encode_us, ".0f"),
        _number(row.decode_us, ".0f"),
        _number(row.encodes, ".2g"),
    ]


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[_Cell]],
    *,
    sortable: bool = False,
    first_chosen: bool = False,
) -> str:
    """A table; columns whose name starts with `>` hold numbers."""
    heads = "".join(
        f'<th scope="col"{" class=number" * name.startswith(">")}>{escape(name.lstrip(">"))}</th>'
        for name in columns
    )
    lines = [
        f"<tr{' class=chosen' * (first_chosen and i == 0)}>{''.join(c.html() for c in row)}</tr>"
        for i, row in enumerate(rows)
    ]
    return (
        f'<div class="scroll"><table{" class=sortable" * sortable}>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _strip(columns: Sequence[str], row: SheetRow) -> str:
    """One image through all columns."""
    figures = [_figure(*pair) for pair in zip(columns, row.pictures, strict=True)]
    return (
        f"<h3>{escape(row.name)}</h3>"
        f'<div class="pictures" style="--n:{len(figures)}">{"".join(figures)}</div>'
    )


def _figure(column: str, shown: Shown) -> str:
    name, _, knob = column.partition("\n")
    classes = {None: "", True: "good", False: "bad"}[shown.agrees]
    if shown.image is None:
        picture = f'<div class="missing">{escape(shown.note)}</div>'
    else:
        classes += " small" if max(shown.image.shape[:2]) < 128 else ""
        height, width = shown.image.shape[:2]
        picture = (
            f'<img src="{_data_uri(shown.image)}" alt="{escape(name)}" width="{width}" '
            f'height="{height}" loading="lazy">'
        )
    mark = {None: "", True: "\N{CHECK MARK} ", False: "\N{BALLOT X} "}[shown.agrees]
    lines = {"column": name, "faint": knob, "rate": shown.rate, "says": mark + shown.says}
    caption = "".join(f'<span class="{k}">{escape(v)}</span>' for k, v in lines.items() if v)
    return f'<figure class="{classes}">{picture}<figcaption>{caption}</figcaption></figure>'


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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_page(path: Path) -> bool:
    """Whether a file is such a page, by what it says of its generator."""
    try:
        with path.open("rb") as file:
            return _GENERATOR.encode() in file.read(512)
    except OSError:
        return False


_GENERATOR = '<meta name="generator" content="codecframe">'
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{generator}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'sha256-{digest}'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""
