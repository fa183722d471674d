"""The rate-accuracy plot."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codecframe.core.errors import OutputError
from codecframe.core.files import write_whole
from codecframe.core.registry import require
from codecframe.evaluation.profile import ProfileTable, comparable
from codecframe.evaluation.report.series import Series, budget_bpp, series_of
from codecframe.evaluation.select import Selection
from codecframe.rate import Accounting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _PAPER = "#1f2328", "#fefefe"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette, which the colour-blind tell apart, without black and yellow."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", ":", "-.")
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": _PAPER,
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": _INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "codecframe",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True, repr=False)
class Plot:
    """A drawn plot, which a notebook shows.

    Attributes:
        svg: an SVG file; the same profile gives the same text.
        png: a PNG file.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> profile = cf.profile("photos", head, codecs=["webp"], levels=[20, 80])
        >>> isinstance(profile.plot(), cf.Plot)
        True
    """

    svg: str
    png: bytes

    def __repr__(self) -> str:
        return f"<plot: {len(self.svg)} bytes of SVG, {len(self.png)} of PNG>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str | bytes]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg}

    def save(self, path: Path | str) -> None:
        """Write it whole, as SVG or PNG, as the file's name says.

        Raises:
            OutputError: if it cannot be written, or the name ends in neither `.svg` nor `.png`.
        """
        kinds: dict[str, str | bytes] = {".svg": self.svg, ".png": self.png}
        if (suffix := Path(path).suffix.lower()) not in kinds:
            raise OutputError(str(path), "a plot's file is named .svg or .png")
        write_whole(path, kinds[suffix])

    @property
    def inline_svg(self) -> str:
        """The SVG for use inside a page: no background, ink in the page's text colour."""
        start = self.svg.index("<svg")
        inline = re.sub(r"<metadata>.*?</metadata>", "", self.svg[start:], flags=re.DOTALL)
        return inline.replace(_PAPER, "none").replace(_INK, "currentColor")


def rate_accuracy_plot(
    profiles: ProfileTable | Sequence[ProfileTable],
    selection: Selection | None = None,
    *,
    accounting: Accounting | None = None,
) -> Plot:
    """Plot score against rate: a line with 95 % intervals for every codec variant of a profile.

    Points at which the rate controller set the knob image by image stand apart, as hollow
    diamonds; one that could not meet its budget for every image is left out. With a selection, its
    choice is ringed and its budget drawn as a vertical line. A lossless codec is a level line.

    Args:
        profiles: a profile, or several of the same images.
        selection: the choice to mark.
        accounting: the bytes that rates count; by default the selection's, or else payloads.

    Raises:
        DependencyError: if matplotlib is not installed.
        UnknownNameError: if a codec is not installed of which an old profile says nothing.
        MismatchError: if the profiles cannot be compared.
    """
    if accounting is None:
        accounting = Accounting(selection.accounting) if selection else Accounting.PAYLOAD
    every = series_of(profiles, accounting)
    table = comparable(profiles)[0]
    mark = (selection, budget_bpp(table, selection)) if selection else None
    return series_plot(every, measure_of(table), accounting, mark=mark)


def time_plot(selection: Selection) -> Plot:
    """Plot the candidates of a selection: score over encode time, what the budget allows.

    Those that nothing else beats in bytes, score and time at once are filled; the choice is ringed.

    Raises:
        DependencyError: if matplotlib is not installed.
    """
    require("matplotlib", "codecframe[plots]")
    from matplotlib import style
    from matplotlib.figure import Figure

    timed = [one for one in selection.candidates if one.encode_ms > 0]
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(7.2, 3.6))
        axes = figure.add_axes((0.09, 0.15, 0.86, 0.79))
        for i, one in enumerate(timed):
            colour, is_best = _COLOURS[i % len(_COLOURS)], one in selection.front
            axes.plot(
                [one.encode_ms], [100 * one.score], marker=_MARKERS[i % len(_MARKERS)], ls="",
                color=colour, mfc=colour if is_best else "none",
            )  # fmt: skip
            axes.annotate(
                one.label, (one.encode_ms, 100 * one.score), xytext=(6, 3),
                textcoords="offset points", fontsize=8, color=colour,
            )  # fmt: skip
        if selection.winner in timed:
            _ring(axes, selection.winner.encode_ms, selection.winner.score)
        axes.set_xscale("log")
        where = "on the device" if selection.has_device else "on all cores of the machine here"
        axes.set_xlabel(f"milliseconds to encode an image, {where} (log scale)")
        axes.set_ylabel(f"{selection.measure}, %")
        axes.grid(True)
        return _drawn(figure)


def series_plot(
    every: Sequence[Series],
    measure: str,
    accounting: Accounting,
    *,
    mark: tuple[Selection, float] | None = None,
) -> Plot:
    """Plot series, also of several profiles; those of one codec share a colour.

    Args:
        every: what to plot.
        measure: what the scores are, in words.
        accounting: the bytes that the series' rates count.
        mark: a selection, and its budget in bits per pixel.

    Raises:
        DependencyError: if matplotlib is not installed.
    """
    require("matplotlib", "codecframe[plots]")
    from matplotlib import style
    from matplotlib.figure import Figure

    series = [one for one in every if not one.lossless] or list(every)
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.add_axes((0.09, 0.13, 0.66, 0.81))
        for one, look in _styled(series):
            _draw_series(axes, one, look)
        for one in every:
            if one not in series:
                _draw_ceiling(axes, one)
        _finish_axes(axes, measure, accounting)
        if mark is not None:
            _mark(axes, *mark)
        _label_lines(axes, series)
        return _drawn(figure)


@dataclass(frozen=True)
class _Look:
    colour: str
    marker: str
    dashes: str
    width: float = 1.6


def _styled(series: Sequence[Series]) -> Iterator[tuple[Series, _Look]]:
    """A colour for each variant, a kind of line for each note; codecs of latents stand out."""
    variants = list(dict.fromkeys(_variant(one) for one in series if not one.sends_latents))
    learned = list(dict.fromkeys(_variant(one) for one in series if one.sends_latents))
    notes = list(dict.fromkeys(one.note for one in series))
    for one in series:
        if one.sends_latents:
            i = learned.index(_variant(one))
            yield one, _Look(_INK, _MARKERS[i % len(_MARKERS)], "-", 2.4)
            continue
        i = variants.index(_variant(one))
        dashes = _DASHES[notes.index(one.note) % len(_DASHES)]
        again, colour = divmod(i, len(_COLOURS))  # colours come again with other markers
        yield one, _Look(_COLOURS[colour], _MARKERS[(i + again) % len(_MARKERS)], dashes)


def _variant(one: Series) -> tuple[str, str]:
    return one.codec, one.words


def measure_of(table: ProfileTable) -> str:
    """What a profile's scores are, in words."""
    if table.labelled:
        return f"{table.meta.get('metric', 'score')} accuracy, %"
    return "agreement with the uncompressed prediction, %"


def _draw_series(axes: Axes, one: Series, look: _Look) -> None:
    fixed = [spot for spot in one.fixed if spot.bpp > 0]
    rates = [spot.bpp for spot in fixed]
    colour = look.colour
    axes.plot(
        rates, [100 * s.score for s in fixed],
        color=colour, marker=look.marker, ms=4.5, lw=look.width, ls=look.dashes,
    )  # fmt: skip
    axes.fill_between(
        rates, [100 * s.low for s in fixed], [100 * s.high for s in fixed],
        color=colour, alpha=0.12, linewidth=0,
    )  # fmt: skip
    for spot in one.controlled:
        if not spot.row.unfit:
            up, down = 100 * (spot.high - spot.score), 100 * (spot.score - spot.low)
            axes.errorbar(
                [spot.bpp], [100 * spot.score], yerr=[[down], [up]], color=colour, fmt="D", ms=5.5,
                mfc=_PAPER, elinewidth=1, capsize=2.5,
            )  # fmt: skip


def _draw_ceiling(axes: Axes, one: Series) -> None:
    """A lossless codec is a level to reach, not a point: its rate would squeeze all the others."""
    for spot in one.spots:
        axes.axhline(100 * spot.score, color=_INK, lw=1, ls=(0, (1, 2)))
        words = f"{one.label}: {100 * spot.score:.1f} % at {spot.bpp:.1f} bpp"
        axes.annotate(
            words, (0.01, 100 * spot.score),
            xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
            fontsize=8.5,
        )  # fmt: skip


def _finish_axes(axes: Axes, measure: str, accounting: Accounting) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    if high / low < 4:  # a narrow range would have a single tick
        middle = (low * high) ** 0.5
        axes.set_xlim(middle / 2, middle * 2)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -2.0), min(top, 102.0))
    axes.set_xlabel(f"bits per pixel ({accounting} bytes, log scale)")
    axes.set_ylabel(measure)
    axes.grid(True)


def _mark(axes: Axes, selection: Selection, bpp: float) -> None:
    is_kept = selection.mode == "keep"  # perhaps by another measure than is plotted
    low, high = axes.get_xlim()
    if bpp > 0:
        axes.set_xlim(min(low, bpp / 1.1), max(high, bpp * 1.1))
        axes.axvline(bpp, color=_INK, lw=1, ls=(0, (4, 3)))
        axes.annotate(
            f"{'keeps' if is_kept else 'budget'} {selection.budget}", (bpp, 0.015),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0), textcoords="offset points", rotation=90, ha="right", va="bottom",
            fontsize=8.5,
        )  # fmt: skip
    if selection.winner is not None and not is_kept:
        _ring(axes, selection.winner.bpp, selection.winner.score, clip_on=False)


def _ring(axes: Axes, x: float, score: float, **more: Any) -> None:
    """Mark a choice."""
    axes.plot(
        [x], [100 * score], marker="o", ms=13, mfc="none", mec=_INK, mew=1.6, zorder=5, **more
    )


def _label_lines(axes: Axes, series: Sequence[Series]) -> None:
    """Name each line right of the axes, at its end's height as far as names do not collide."""
    named = [(one, look.colour, end) for one, look in _styled(series) if (end := _end(one))]
    wraps = [_wrapped(one.label) for one, _, _ in named]
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_axes.transform(end)[1]) for _, _, end in named]
    line = 12.5 / (axes.get_window_extent().height * 72 / axes.figure.dpi)
    places = spread(wanted, [line * len(wrap) for wrap in wraps], 0.0, 1.0)
    for (_, colour, end), wrap, y in zip(named, wraps, places, strict=True):
        axes.annotate(
            "\n".join(wrap), xy=end, xytext=(1.03, y), textcoords="axes fraction", color=colour,
            va="center", ha="left", fontsize=9, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "alpha": 0.6,
                        "shrinkA": 2, "shrinkB": 4, "relpos": (0, 0.5)},
        )  # fmt: skip


def _wrapped(label: str) -> list[str]:
    """Lines of a label: cut at spaces, and at hyphens where a word is too long for a line."""
    width, indent = 24, "  "
    too_long = any(len(word) > width - len(indent) for word in label.split())
    return textwrap.wrap(label, width, subsequent_indent=indent, break_on_hyphens=too_long)


def _end(one: Series) -> tuple[float, float] | None:
    """Where a series' rightmost point lies, in data coordinates."""
    usable = [spot for spot in one.spots if spot.bpp > 0 and not spot.row.unfit]
    return (usable[-1].bpp, 100 * usable[-1].score) if usable else None


def spread(wanted: list[float], heights: list[float], low: float, high: float) -> list[float]:
    """Centres close to the wanted ones at which things of these heights do not overlap.

    Pushed up from below in the order of the wanted centres, then down from `high` where that went
    over it; if all do not fit between `low` and `high`, they go on below `low`.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    edge = low
    for i in order:
        placed[i] = max(wanted[i], edge + heights[i] / 2)
        edge = placed[i] + heights[i] / 2
    edge = high
    for i in reversed(order):
        placed[i] = min(placed[i], edge - heights[i] / 2)
        edge = placed[i] - heights[i] / 2
    return placed


def _drawn(figure: Figure) -> Plot:
    svg = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(svg.decode(), _saved(figure, format="png", dpi=160, metadata={"Software": None}))


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()
