"""The profile file: one SQLite table file, written a piece at a time and never half.

`points` are the (codec, settings, budget) that were measured; `measurements` holds one row for
every point and image; `descriptions` what is said of each point, without asking its codec;
`searches` remembers which points were found for rates and budgets. Every batch of rows is one
transaction, so a run that was stopped at any moment goes on where it was. Other tools read it with
any SQLite client.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import CodecframeError, DataError, MismatchError, shown
from codecframe.core.files import is_file
from codecframe.core.outputs import refuse_foreign
from codecframe.core.statistics import wilson
from codecframe.core.tables import printable
from codecframe.core.task import Task
from codecframe.evaluation.database import Database, is_marked, written
from codecframe.evaluation.profile import formats
from codecframe.evaluation.profile.check import check
from codecframe.evaluation.profile.description import Description
from codecframe.evaluation.profile.ondevice import DeviceTable
from codecframe.rate import Accounting, Outcomes
from codecframe.tasks.known import get_task
from codecframe.tasks.scoring import set_score

TRIAL = "trial"
"""In the keys of `searches`: it was looked at what the head makes of every so many-th image."""
_SEARCHES = "CREATE TABLE IF NOT EXISTS searches (key TEXT PRIMARY KEY, points TEXT NOT NULL)"
_UNCOMPRESSED = (
    "CREATE TABLE IF NOT EXISTS uncompressed (image INTEGER PRIMARY KEY, score REAL NOT NULL)"
)

_ADD_IMAGE = "INSERT OR REPLACE INTO images VALUES (?,?,?,?,?,?,?)"
_DESCRIBE = "INSERT OR REPLACE INTO descriptions VALUES (?,?,?,?,?)"
_ADD_SKIPPED = "INSERT OR REPLACE INTO skipped VALUES (?,?,?)"
_ADD_UNCOMPRESSED = "INSERT OR REPLACE INTO uncompressed VALUES (?,?)"
_ADD = "INSERT OR REPLACE INTO measurements VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


@dataclass(frozen=True)
class Point:
    """One thing to measure.

    Attributes:
        codec: the codec's name.
        settings: all its settings as plain data; with a budget of mode `cap` or `link` the knob
            in them is not used.
        budget: text of the budget that the rate controller meets, or empty for fixed settings.
        mode: the budget's mode, or empty.
        accounting: the bytes that the budget counts, or empty.
    """

    codec: str
    settings: Mapping[str, Any]
    budget: str = ""
    mode: str = ""
    accounting: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The point as the table identifies it."""
        settings = json.dumps(dict(self.settings), sort_keys=True)
        return (self.codec, settings, self.budget, self.mode, self.accounting)


@dataclass(frozen=True)
class MeasuredImage:
    """An image of the set.

    Attributes:
        image: its position in the set.
        name: its name there.
        shape: (height, width) as it is encoded.
        target: its truth, if any, as plain data; a label for a classifier.
        reference: what the head says of the uncompressed image, as plain data.
        original: the image as a lossless file, where reports show it.
    """

    image: int
    name: str
    shape: tuple[int, int]
    target: Any = None
    reference: Any = None
    original: bytes | None = None


@dataclass(frozen=True)
class Measurement:
    """What one point did to one image; the fields are the table's columns.

    An image that no level could bring under the budget has None for its bytes, scores 0, and has
    in `least` the fewest counted bytes that were reached. `rank` is of labelled images, see
    `TaskHead.ranks`. Of the images that reports show, `data`
    is the encoding and `view` what the head says of it. `record` is what the task's metric needs of
    the image, see `Task.records`. `picture_bytes` are those of the payload's picture layer; None
    where it has none.
    """

    image: int
    level: int
    file_bytes: int | None = None
    payload_bytes: int | None = None
    score: float | None = None
    rank: int | None = None
    agreement: float | None = None
    divergence: float | None = None
    encode_us: float | None = None
    decode_us: float | None = None
    encodes: int = 0
    least: int | None = None
    data: bytes | None = None
    view: Mapping[str, Any] | None = None
    record: Any = None
    picture_bytes: int | None = None


@dataclass(frozen=True)
class Row:
    """A point's means over its images: one row of the rate-accuracy table.

    Bytes and rates are over the `n - unfit` images that fit the budget; scores are over all.
    Times are medians over the images.
    `top5` is the share of images whose label is among the head's first five classes. Where the
    task scores sets by records, `score` is its metric, and `figures` what it says besides.
    `picture_bytes` and `picture_bpp` are the picture layer's share of payloads.
    """

    point: Point
    n: int
    unfit: int
    file_bytes: float
    payload_bytes: float
    file_bpp: float
    payload_bpp: float
    score: float | None
    score_low: float | None
    score_high: float | None
    top5: float | None
    agreement: float | None
    agreement_low: float | None
    agreement_high: float | None
    divergence: float | None
    encode_us: float
    decode_us: float
    encodes: float
    picture_bytes: float = 0.0
    picture_bpp: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "point": asdict(self.point)}


@dataclass(frozen=True)
class PerImage:
    """A point's measurements as arrays over the same images in the same order.

    Attributes:
        image: ids, `int64`.
        pixels: height x width, `float64`.
        size: counted bytes, `float64`; NaN where the image did not fit.
        least: fewest counted bytes that could be reached, `float64`: `size` where it did fit.
        score: 0 to 1, `float64`: against the labels, or agreement where there are none.
        record: what the task's metric needs of each image, where it scores sets by records; else
            empty.
        picture: bytes of the payload's picture layer, `float64`: 0 where there is none.
    """

    image: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]
    least: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    record: npt.NDArray[np.object_]
    picture: npt.NDArray[np.float64]


def is_profile(path: Path) -> bool:
    """Whether codecframe made a file, as a profile."""
    return is_marked(path, formats.MARK) or _is_unmarked_profile(path)


def _is_unmarked_profile(path: Path) -> bool:
    """Whether it is a profile as they were before they were marked."""
    if not is_marked(path, 0):
        return False
    with contextlib.closing(Database(path, "a profile")) as file:
        tables = {name for (name,) in file.all("SELECT name FROM sqlite_master")}
    return {"meta", "images", "points", "measurements"} <= tables


class ProfileTable:
    """An open profile file. Use as a context manager.

    Raises:
        DataError: if the file is not a profile or is damaged.
        OutputError: if it cannot be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._file = Database(path, "a profile", read_only=read_only)
        self._scored: dict[tuple[int, int], dict[str, Any]] = {}

    @classmethod
    def create(cls, path: Path | str, meta: Mapping[str, Any]) -> Self:
        """Open the profile at `path` to go on with it, or start it where there is none.

        Raises:
            MismatchError: if the profile there was made of something else than `meta` says.
            OutputError: if the file there is not a profile.
        """
        path = Path(path)
        refuse_foreign(path, is_profile)
        table = cls(path)
        try:
            table._begin({"format": formats.FORMAT, **meta})
        except BaseException:
            table.close()
            raise
        return table

    def _begin(self, meta: Mapping[str, Any]) -> None:
        """Make the tables of a new file; check what is in one that is there, and update it."""
        with self._file.writing() as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                db.executescript(formats.SCHEMA)
                db.executemany(
                    "INSERT INTO meta VALUES (?, ?)",
                    [(key, json.dumps(value)) for key, value in meta.items()],
                )
            db.execute(_SEARCHES)
            db.execute(_UNCOMPRESSED)
        known = self.meta
        former = known.get("format") in formats.FORMER
        new = ("format", *(key for key in formats.LATER if key not in known)) if former else ()
        for key, value in meta.items():
            if key not in new and known.get(key) != value:
                raise MismatchError(
                    f"{self.path}: this profile was made with {key} {shown(known.get(key))}, not "
                    f"{shown(value)}; choose another file, or remove it to start again"
                )
        if former:
            formats.update(self._file, dict(meta))

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open an existing profile for reading; it may be a stranger's.

        Raises:
            DataError: if it is damaged, or no profile of a format that is known.
        """
        path = Path(path)
        if not is_file(path):
            raise DataError(str(path), "no such profile")
        table = cls(path, read_only=True)
        try:
            known = table.meta.get("format")
            if known in formats.FORMER:
                formats.read_former(table._file, known)
            elif known != formats.FORMAT:
                raise DataError(str(path), f"is not a profile of format {formats.FORMAT}")
            check(table._file)
        except BaseException:
            table.close()
            raise
        return table

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # -- writing --------------------------------------------------------------------------

    def add_point(self, point: Point) -> int:
        """The id of a point, added where it is new."""
        with self._file.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO points (codec, settings, budget, mode, accounting) "
                "VALUES (?, ?, ?, ?, ?)",
                point.key,
            )
        query = (
            "SELECT id FROM points WHERE (codec, settings, budget, mode, accounting)"
            " = (?, ?, ?, ?, ?)"
        )
        number = int(self._file.all(query, *point.key)[0][0])
        with contextlib.suppress(CodecframeError):  # of another machine's codec
            self.describe(number, Description.of(point.codec, dict(point.settings)))
        return number

    def describe(self, point: int, description: Description) -> None:
        """Keep what is said of a point."""
        with self._file.writing() as db:
            db.execute(_DESCRIBE, (point, *description.stored()))

    def remembered(self, key: str, search: Callable[[], Any]) -> Any:
        """What a search finds, as plain data, or what it found in an earlier run.

        Args:
            key: all that the search depends on.
            search: made where the key is new.
        """
        known = self._file.all("SELECT points FROM searches WHERE key = ?", key)
        if known:
            return self._file.plain(known[0][0])
        found = search()
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO searches VALUES (?, ?)", (key, json.dumps(found)))
        return found

    def tried(self) -> npt.NDArray[np.int64]:
        """Positions of images on which it was looked for levels that keep what must stay right:
        claims about these levels cannot rest on them.
        """
        keys = [self._file.plain(key) for (key,) in self._file.all("SELECT key FROM searches")]
        steps = {key.get(TRIAL) for key in keys if isinstance(key, dict)}
        count = int(self.meta.get("images", 0))
        every = [
            np.arange(0, count, step, dtype=np.int64)
            for step in steps
            if isinstance(step, int) and step > 0
        ]
        return np.unique(np.concatenate(every)) if every else np.empty(0, np.int64)

    def add_images(self, images: Iterable[MeasuredImage]) -> None:
        """Note a batch of images, all or none."""
        rows = [
            (
                i.image,
                printable(i.name),
                *i.shape,
                json.dumps(i.target),
                json.dumps(i.reference),
                i.original,
            )
            for i in images
        ]
        with self._file.writing() as db:
            db.executemany(_ADD_IMAGE, rows)

    def add_uncompressed(self, scores: Mapping[int, float]) -> None:
        """Note what the uncompressed images score, by position."""
        with self._file.writing() as db:
            db.executemany(_ADD_UNCOMPRESSED, scores.items())

    def add_skipped(self, image: int, name: str, reason: str) -> None:
        """Note an image that could not be read."""
        with self._file.writing() as db:
            db.execute(_ADD_SKIPPED, (image, printable(name), printable(reason)))

    def add(self, point: int, measurements: Iterable[Measurement]) -> None:
        """Add a batch of measurements, all or none."""
        rows = [
            (point, *{**vars(m), "view": json.dumps(m.view), "record": written(m.record)}.values())
            for m in measurements
        ]
        with self._file.writing() as db:
            db.executemany(_ADD, rows)

    def merge(self, other: ProfileTable) -> None:
        """Add what another profile of the same set has, all or nothing."""
        points = {theirs: self.add_point(point) for theirs, point in other.points().items()}
        for theirs, description in other._descriptions().items():
            self.describe(points[theirs], description)
        rows = [
            (points[row[0]], *row[1:])
            for row in other._file.all("SELECT * FROM measurements ORDER BY point, image")
        ]
        with self._file.writing() as db:
            for add, name in ((_ADD_IMAGE, "images"), (_ADD_SKIPPED, "skipped")):
                query = f"SELECT * FROM {name}"  # noqa: S608 - a name from above
                db.executemany(add, other._file.all(query))
            db.executemany(_ADD_UNCOMPRESSED, other._uncompressed().items())
            db.executemany(_ADD, rows)

    def clear(self, point: int) -> None:
        """Forget a point's measurements."""
        with self._file.writing() as db:
            db.execute("DELETE FROM measurements WHERE point = ?", (point,))

    def remove(self, point: int) -> None:
        """Forget a point and its measurements."""
        self.clear(point)
        with self._file.writing() as db:
            db.execute("DELETE FROM points WHERE id = ?", (point,))

    # -- reading --------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """What the profile was made of: head, images, accounting of labels, versions."""
        rows = self._file.all("SELECT key, value FROM meta")
        return {key: self._file.plain(value) for key, value in rows}

    @property
    def head(self) -> str:
        """The name of the head that judged."""
        return str(self.meta.get("head", ""))

    @property
    def labelled(self) -> bool:
        """Whether scores are against labels (else agreement with the uncompressed prediction)."""
        return bool(self.meta.get("labelled"))

    @property
    def measure(self) -> str:
        """What scores are."""
        return str(self.meta.get("metric", "score")) if self.labelled else "agreement"

    @property
    def image_measure(self) -> str:
        """What the score of one image is."""
        return (self.labelled and self.task.image_metric) or self.measure

    @cached_property
    def task(self) -> Task:
        """The task of the head that judged.

        Raises:
            UnknownNameError: if no installed plugin has it.
        """
        return get_task(str(self.meta.get("task", CLASSIFICATION.name)))

    @property
    def device(self) -> DeviceTable:
        """What heads on the device answer by themselves."""
        return DeviceTable(self._file, labelled=self.labelled)

    @property
    def has_records(self) -> bool:
        """Whether scores are the task's metric of records; else means over the images."""
        return self.labelled and self.task.has_records

    @property
    def pixels(self) -> int:
        """Pixels of all images, as they are encoded."""
        return int(self._file.all("SELECT TOTAL(height * width) FROM images")[0][0])

    @property
    def mean_pixels(self) -> float:
        """Pixels of an image, on average, as it is encoded."""
        return float(self._file.all("SELECT COALESCE(AVG(height * width), 0) FROM images")[0][0])

    def done(self, point: int, first: int, last: int) -> set[int]:
        """Images from `first` to before `last` that this point has measured."""
        query = "SELECT image FROM measurements WHERE point = ? AND image >= ? AND image < ?"
        return {row[0] for row in self._file.all(query, point, first, last)}

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of the images that could not be read."""
        return [
            tuple(row) for row in self._file.all("SELECT name, reason FROM skipped ORDER BY id")
        ]

    def skipped_ids(self) -> set[int]:
        """Positions of the images that could not be read."""
        return {row[0] for row in self._file.all("SELECT id FROM skipped")}

    def points(self) -> dict[int, Point]:
        """All points by id."""
        query = "SELECT id, codec, settings, budget, mode, accounting FROM points ORDER BY id"
        return {
            row[0]: Point(row[1], self._file.plain(row[2]), *row[3:])
            for row in self._file.all(query)
        }

    def descriptions(self) -> dict[int, Description]:
        """What is said of each point, by its id: as the profile keeps it, or as its codec says.

        Raises:
            UnknownNameError: if a codec is not installed of which the profile keeps nothing.
            SettingsError: if it does not take the settings.
        """
        kept = self._descriptions()
        return {
            n: kept.get(n) or Description.of(point.codec, dict(point.settings))
            for n, point in self.points().items()
        }

    def _descriptions(self) -> dict[int, Description]:
        query = "SELECT point, words, knob, ladder, latents FROM descriptions"
        return {
            number: Description(words, knob, tuple(self._file.plain(ladder)), bool(latents))
            for number, words, knob, ladder, latents in self._file.all(query)
        }

    def rows(self, *, scored: bool = True) -> list[Row]:
        """The rate-accuracy table: a row for every point that has measurements.

        Args:
            scored: whether scores are wanted; those made of records take a while.
        """
        query = """
            SELECT m.point, COUNT(*), SUM(m.file_bytes IS NULL), AVG(m.file_bytes),
                AVG(m.payload_bytes),
                SUM(m.file_bytes) * 8.0 / SUM((m.file_bytes IS NOT NULL) * i.height * i.width),
                SUM(m.payload_bytes) * 8.0 / SUM((m.file_bytes IS NOT NULL) * i.height * i.width),
                AVG(m.score),
                CASE WHEN COUNT(m.rank) THEN SUM(m.rank < 5) * 1.0 / COUNT(*) END,
                AVG(m.agreement), AVG(m.divergence), AVG(m.encodes),
                TOTAL(m.picture_bytes) / MAX(COUNT(m.file_bytes), 1),
                TOTAL(m.picture_bytes) * 8
                    / MAX(SUM((m.file_bytes IS NOT NULL) * i.height * i.width), 1)
            FROM measurements m JOIN images i ON i.id = m.image GROUP BY m.point ORDER BY m.point
        """
        points = self.points()
        found = []
        for (
            point, n, unfit, fb, bb, fbpp, bbpp, score, top5, agreement, div, encs, pb, pbpp
        ) in self._file.all(query):  # fmt: skip
            score_low, score_high = (None, None) if score is None else wilson(score, n)
            low, high = (None, None) if agreement is None else wilson(agreement, n)
            found.append(
                Row(
                    points[point], n, unfit, fb or 0.0, bb or 0.0, fbpp or 0.0, bbpp or 0.0,
                    score, score_low, score_high, top5, agreement, low, high, div,
                    self.median_us(point, "encode_us"), self.median_us(point, "decode_us"), encs,
                    pb, pbpp,
                )
            )  # fmt: skip
            if scored and self.has_records:
                found[-1] = replace(found[-1], **self._by_records(point))
        return found

    def _by_records(self, point: int) -> dict[str, Any]:
        """The fields of a point's row that come from records."""
        count = self.counts()[point]
        if (point, count) not in self._scored:
            records = self._records(point).tolist()
            found = set_score(self.task, np.zeros(len(records)), records)
            self._scored[point, count] = {
                "score": found.value,
                "score_low": found.low,
                "score_high": found.high,
                "figures": self.task.figures(records),
            }
        return self._scored[point, count]

    def median_us(self, point: int, column: Literal["encode_us", "decode_us"]) -> float:
        """The median time of a point over its images, in microseconds; 0 where none is known."""
        query = f"""
            WITH known AS (SELECT {column} us FROM measurements WHERE point = ? AND us IS NOT NULL)
            SELECT COALESCE(AVG(us), 0.0) FROM (
                SELECT us FROM known ORDER BY us
                LIMIT 2 - (SELECT COUNT(*) FROM known) % 2
                OFFSET (SELECT (COUNT(*) - 1) / 2 FROM known)
            )
        """  # noqa: S608 - a column name from above
        return float(self._file.all(query, point)[0][0])

    def counts(self) -> dict[int, int]:
        """How many images each point has measured, by the point's id."""
        found = self._file.all("SELECT point, COUNT(*) FROM measurements GROUP BY point")
        return dict.fromkeys(self.points(), 0) | dict(found)

    def measured_by(self, points: Collection[int]) -> npt.NDArray[np.int64]:
        """Positions of the images that all these points have measured, rising."""
        query = """
            SELECT image FROM measurements WHERE point IN (SELECT value FROM json_each(?))
            GROUP BY image HAVING COUNT(*) = ? ORDER BY image
        """
        found = self._file.all(query, json.dumps(sorted(points)), len(points))
        return np.array([row[0] for row in found], dtype=np.int64)

    def per_image(self, point: int, accounting: Accounting) -> PerImage:
        """A point's measurements image by image, in image order."""
        score = "m.score" if self.labelled else "m.agreement"
        size = "m.file_bytes" if accounting is Accounting.FILE else "m.payload_bytes"
        query = f"""
            SELECT m.image, i.height * i.width, {size}, COALESCE(m.least, {size}), {score},
                COALESCE(m.picture_bytes, 0)
            FROM measurements m JOIN images i ON i.id = m.image WHERE m.point = ? ORDER BY m.image
        """  # noqa: S608 - column names from the two lines above
        values = np.array(self._file.all(query, point), dtype=np.float64).reshape(-1, 6)
        pixels, sizes, least, scores, pictures = values[:, 1:].T
        images = values[:, 0].astype(np.int64)
        return PerImage(images, pixels, sizes, least, scores, self._records(point), pictures)

    def _records(self, point: int) -> npt.NDArray[np.object_]:
        """The records of a point, in image order; none where scores are means."""
        query = "SELECT record FROM measurements WHERE point = ? ORDER BY image"
        return self._file.records(query, point) if self.has_records else np.empty(0, object)

    def outcomes(self, point: int, images: npt.NDArray[np.int64]) -> Outcomes:
        """What the head made of some images at a point.

        Args:
            point: its id.
            images: positions of images that it has measured, rising, `int64`.
        """
        query = "SELECT image, score, agreement FROM measurements WHERE point = ? ORDER BY image"
        found = np.array(self._file.all(query, point), dtype=np.float64).reshape(-1, 3)
        found = found[np.isin(found[:, 0], images)]
        before = self._uncompressed()
        known = np.array([before.get(int(image), np.nan) for image in found[:, 0]])
        return Outcomes(
            *(None if np.isnan(v).any() else v for v in (found[:, 2], found[:, 1], known))
        )

    def _uncompressed(self) -> dict[int, float]:
        """Scores of uncompressed images, by position; none in files made before they were kept."""
        if not self._file.has("uncompressed"):
            return {}
        found = dict(self._file.all("SELECT image, score FROM uncompressed"))
        if not all(isinstance(v, (int, float)) and 0 <= v <= 1 for v in found.values()):
            raise DataError(str(self.path), "is damaged: uncompressed images have a wrong score")
        return found

    def level_range(self, points: Iterable[int]) -> tuple[int, int]:
        """Lowest and highest knob level that the points used."""
        ids = json.dumps(list(points))
        query = """
            SELECT MIN(level), MAX(level) FROM measurements
            WHERE point IN (SELECT value FROM json_each(?)) AND file_bytes IS NOT NULL
        """
        low, high = self._file.all(query, ids)[0]
        return low or 0, high or 0

    def _view(self, text: Any) -> Any:
        """What a head said of an image, as reports show it; None where that is not kept."""
        view = None if text is None else self._file.plain(text)
        if view is not None:
            try:
                self.task.words(view)
            except (CodecframeError, AttributeError):
                raise DataError(str(self.path), f"is damaged: a head said {shown(view)}") from None
        return view

    def samples(self, point: int) -> dict[int, Measurement]:
        """What the point did to the images kept for showing, by image."""
        names = [field.name for field in fields(Measurement)]
        query = f"""
            SELECT {", ".join(names)} FROM measurements JOIN images ON images.id = image
            WHERE point = ? AND original IS NOT NULL
        """  # noqa: S608 - column names from the dataclass
        found = [dict(zip(names, row, strict=True)) for row in self._file.all(query, point)]
        return {
            values["image"]: Measurement(**{**values, "view": self._view(values["view"])})
            for values in found
        }

    def originals(self) -> dict[int, tuple[str, bytes, Any, Any]]:
        """(name, lossless encoding, the head's view, truth) of the images kept for showing, by
        image.
        """
        query = (
            "SELECT id, name, original, reference, target FROM images WHERE original IS NOT NULL"
        )
        return {
            i: (name, data, self._view(view), None if target is None else self._file.plain(target))
            for i, name, data, view, target in self._file.all(query)
        }
