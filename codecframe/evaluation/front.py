"""The front door of evaluation: profile, select and report, as functions that take what users have.

profile = codecframe.profile("photos/", head="model.onnx", codecs=["jpeg", "avif"])
choice = profile.select(budget="0.4bpp")
pipeline = choice.pipeline()
profile.report(budget="0.4bpp").save("report.html")
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import UsageError
from codecframe.core.head import TaskHead
from codecframe.core.outputs import make_way, refuse_foreign, refuse_inputs
from codecframe.core.progress import ProgressMaker, automatic
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table, interval, percent
from codecframe.evaluation.profile import (
    Description,
    Plan,
    ProfileTable,
    Row,
    is_profile,
    profile_images,
)
from codecframe.evaluation.report import Plot, Report, is_page, make_report, rate_accuracy_plot
from codecframe.evaluation.report.series import knob_of
from codecframe.evaluation.select import (
    Selection,
    measured_outcomes,
    select_keeping,
    select_keeping_on_images,
    select_on_images,
)
from codecframe.evaluation.select import select as select_from
from codecframe.evaluation.select.cascades import AUTO, sure_of
from codecframe.evaluation.select.limits import Limits
from codecframe.images import ImageSet, open_labelled
from codecframe.pipeline import DeviceHead, counterpart_remarks
from codecframe.pipeline.engine import Engine, open_engine
from codecframe.rate import Accounting, Budget, Keep, Outcomes, one_asked

Warn = Callable[[str], None]
Judge = TaskHead | str | os.PathLike[str]
"""A head, its name, or the file or import path that it is opened from."""
Coding = Codec[Any] | str | os.PathLike[str]
"""A codec, its name with or without settings (`jpeg:optimize=true`), or its model file."""


class Profile(Result):
    """What `profile` measured: one file, from which one can select and report.

    In a terminal and in a notebook it shows its table of rates and scores.

    Args:
        path: the profile's file.
        heads: heads by the names under which the profile knows them, where these alone do not say
            how to open them.
        remarks: what was noticed about its images.

    Raises:
        DataError: if the file is not a profile; so do all methods.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> profile = cf.profile("photos", head, codecs=["webp"], levels=[20, 80])
        >>> profile.select("2bpp").winner.codec
        'webp'
    """

    def __init__(
        self,
        path: Path | str,
        *,
        heads: Mapping[str, TaskHead] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.remarks = tuple(remarks)
        self._heads = dict(heads or {})
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.open().close()

    @classmethod
    def _in(cls, folder: tempfile.TemporaryDirectory[str], *rest: Any, **options: Any) -> Self:
        """A profile in a folder that is removed when the profile is no longer used."""
        made = cls(*rest, **options)
        made._folder = folder
        return made

    def open(self) -> ProfileTable:
        """The file, open for reading; use it as a context manager."""
        return ProfileTable.open(self.path)

    def __reduce__(self) -> tuple[type[Profile], tuple[Path]]:
        """Travels as the path of its file."""
        return Profile, (self.path,)

    def outcomes_of(
        self, codec: Codec[Any], settings: Settings
    ) -> Sequence[tuple[Settings, Outcomes]]:
        """A codec at the levels that were measured, each with what the head made of the images; the
        highest level first. So it can be `Keep.measured`.

        Args:
            codec: the codec.
            settings: everything but the knob.

        Raises:
            MismatchError: if it has none of these.
        """
        with self.open() as table:
            return measured_outcomes(table, codec, settings)

    @property
    def meta(self) -> dict[str, Any]:
        """What it was made of: `head`, `metric`, `labelled`, `images`, version."""
        with self.open() as table:
            return table.meta

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """(name, reason) of images that could not be read."""
        with self.open() as table:
            return table.skipped()

    def select(
        self,
        budget: Budget | Keep | str | None = None,
        *,
        keep: Keep | str | None = None,
        score: float | None = None,
        confidence: float | None = None,
        device: str | Path | None = None,
        max_encode_ms: float | None = None,
        max_memory: float | str | None = None,
        sure: float | str | None = None,
        mean: bool = False,
        accounting: Accounting | str = "payload",
        codecs: Iterable[str] | None = None,
    ) -> Selection:
        """The codec and settings of the best expected score under a budget, or of the fewest bytes
        that keep what must stay right. See `codecframe.select`.

        Args:
            budget: what may be spent: `0.4bpp`, `1200B`, `12kB`, `256kbit/s@5fps`.
            keep, score, confidence: instead, what must stay right.
            device, max_encode_ms, max_memory: what the camera can do.
            sure: from what confidence on the heads on the device answer that were measured.
            mean: the budget is for the average over the images, not for each.
            accounting: which bytes count, `payload` or `file`.
            codecs: consider these alone, by name.

        Raises:
            BudgetError: if the budget cannot be read.
            UnknownNameError: if one of the codecs was not measured.
        """
        return select(
            profiles=[self],
            budget=budget,
            keep=keep,
            score=score,
            confidence=confidence,
            device=device,
            max_encode_ms=max_encode_ms,
            max_memory=max_memory,
            sure=sure,
            mean=mean,
            accounting=accounting,
            codecs=codecs or (),
        )

    def report(
        self,
        *,
        budget: Budget | Keep | str | None = None,
        keep: Keep | str | None = None,
        score: float | None = None,
        confidence: float | None = None,
        device: str | Path | None = None,
        max_encode_ms: float | None = None,
        max_memory: float | str | None = None,
        sure: float | str | None = None,
        mean: bool = False,
        accounting: Accounting | str = "payload",
    ) -> Report:
        """A page of what was measured: plot, table, choice, decoded images. See `report`."""
        return report(
            [self],
            budget=budget,
            keep=keep,
            score=score,
            confidence=confidence,
            device=device,
            max_encode_ms=max_encode_ms,
            max_memory=max_memory,
            sure=sure,
            mean=mean,
            accounting=accounting,
        )

    def plot(self, *, accounting: Accounting | str = "payload") -> Plot:
        """Score against rate, a line for each codec; a notebook shows it.

        Raises:
            DependencyError: if matplotlib is not installed.
        """
        with self.open() as table:
            return rate_accuracy_plot(table, accounting=Accounting(accounting))

    def shown(self) -> Sequence[str | Table]:
        """The table of rates and scores."""
        with self.open() as table:
            descriptions = table.descriptions()
            numbers = {point.key: n for n, point in table.points().items()}
            measured = _sorted(table)
            layered = any(row.picture_bytes for row in measured)
            rows = [
                _cells(row, descriptions[numbers[row.point.key]], layered=layered)
                for row in measured
            ]
            metric = table.meta["metric"]
            figures = [f">{name} %" for name in table.task.figure_names if table.has_records]
            measure = table.image_measure
            answers = _answered(table)
        columns = (
            "codec", "settings", ">payload bpp", *[">task", ">picture"] * layered,
            ">file bpp", f">{metric} %", ">95 %", *figures,
            ">agreement %", ">divergence", ">encode µs", ">decode µs", ">n",
        )  # fmt: skip
        shown: list[str | Table] = [Table(columns, rows)]
        if answers:
            names = ("on the device", ">sure from", ">travels %", f">{measure} % of its answers")
            cells = [
                [one["head"], f"{one['sure']:g}", percent(one["travels"]), percent(one["score"])]
                for one in answers
            ]
            shown.append(Table(names, cells, "\nWhat a head on the device answers by itself"))
        return shown

    def to_dict(self) -> dict[str, Any]:
        """`meta` and `rows`, the means of each point over its images, as plain data; `device`: what
        heads on the device answer, where they were measured.
        """
        with self.open() as table:
            found = {"meta": table.meta, "rows": [row.to_dict() for row in _sorted(table)]}
            answers = _answered(table)
            return found | ({"device": answers} if answers else {})

    def records(self) -> list[dict[str, Any]]:
        """A flat row for each point."""
        return [{**row.pop("point"), **row} for row in self.to_dict()["rows"]]


def _answered(table: ProfileTable) -> list[dict[str, Any]]:
    """What heads on the device answer at some confidences, as plain data."""
    return [row for head in table.device.heads for row in table.device.answers(head).rows()]


def _sorted(table: ProfileTable) -> list[Row]:
    return sorted(table.rows(), key=lambda row: (row.point.codec, row.payload_bpp))


def _cells(row: Row, about: Description, *, layered: bool) -> list[object]:
    knob = knob_of(row.point, about)
    if row.point.mode in ("cap", "link"):
        knob = f"to {row.point.budget} ({row.point.accounting})"
    low = row.agreement_low if row.score is None else row.score_low
    high = row.agreement_high if row.score is None else row.score_high
    layers = [f"{row.payload_bpp - row.picture_bpp:.3f}", f"{row.picture_bpp:.3f}"]
    return [
        row.point.codec, f"{about.words} {knob}".strip(), f"{row.payload_bpp:.3f}",
        *layers * layered, f"{row.file_bpp:.3f}", percent(row.score),
        interval(low, high), *map(percent, row.figures.values()), percent(row.agreement),
        "" if row.divergence is None else f"{row.divergence:.3f}",
        f"{row.encode_us:.0f}", f"{row.decode_us:.0f}", row.n,
    ]  # fmt: skip


def profile(
    images: Any,
    head: Judge,
    *,
    fallback: Judge | None = None,
    codecs: Coding | Sequence[Coding] = (),
    rates: Sequence[float] | None = None,
    levels: Sequence[float] | None = None,
    budget: Budget | Keep | str | None = None,
    keep: Keep | str | None = None,
    score: float | None = None,
    confidence: float | None = None,
    mean: bool = False,
    accounting: Accounting | str = "payload",
    labels: str | Path | Sequence[Any] | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    output: str | Path | None = None,
    prepare: bool = True,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    warn: Warn = warnings.warn,
) -> Profile:
    """Measure rate and score of codecs for a head over images.

        profile = codecframe.profile("photos/", head="model.onnx", codecs=["jpeg", "avif"])

    Args:
        images: paths, folders, globs, data sets (`cifar10:test`), an `ImageSet`, or images as
            `read_image` takes them: arrays (`uint8`, height x width x 3, RGB), pictures of Pillow.
        head: judges the decoded images: a head, its name, a model file (`model.onnx`), a
            description (`head.yaml`) or a function (`package.module:function`).
        fallback: the head that judges; `head` is then on the device, and answers what it is sure
            of. What it says of the images, and how surely, is kept for `select`.
        codecs: codecs, their names, also with settings (`jpeg:optimize=true`), or model files; by
            default all installed lossy codecs that suit the head.
        rates: mean rates at which to measure, in bits per pixel; by default seven from 0.1 to 1.2,
            unless `levels`, `budget` or `keep` says what to measure.
        levels: values of the knob at which to measure.
        budget: also measure the point where the rate controller meets it.
        keep, score, confidence: also measure each codec around the fewest bytes that keep what must
            stay right, as `select` takes it. One image in four says where that is; these images do
            not decide when `select` asks this profile for what is kept.
        mean: the budget is for the average over the images, not for each.
        accounting: which bytes count, `payload` or `file`.
        labels: a CSV file with columns `file` and `label`, `folders`, or a label for each image:
            class indices or names; for a head of another task the truth that the task has, such as
            COCO's JSON of boxes or a folder of masks. Without labels, agreement with the head's own
            predictions of the uncompressed images is measured.
        where: only rows of the labels file whose columns have these values.
        limit: at most so many images, evenly spread.
        data_root: folder with the data sets cifar10 and cifar100.
        output: the profile's file; a run that was stopped goes on there. By default a temporary
            file, which is removed when the profile is no longer used.
        prepare: bring images to the size the head looks at before encoding them.
        engine: where the work runs, `local` or `ray`.
        ray_address: the Ray cluster.
        force: a file at `output` that is not a profile is replaced.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know.

    Raises:
        DataError: if no image can be read.
        UnknownNameError: for a codec or head that does not exist.
        MismatchError: if a codec does not fit the head, or the file is a profile of something else.
        BudgetError: if the budget cannot be read, or the images are too few for what must be kept.
        OutputError: if there is another file at `output`, or it cannot be written.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> profile = cf.profile("photos", head, codecs=["jpeg", "webp"], rates=[2, 3])
        >>> choice = profile.select("3bpp")
        >>> choice.winner.bpp <= 3
        True
    """
    kept = Keep.asked(keep, score, confidence)
    if isinstance(budget, Keep) and kept is None:
        budget, kept = None, budget
    plan = Plan(
        codecs=_specs(codecs),
        rates=rates,
        levels=levels,
        budget=Budget.of(budget, mean=mean),
        keep=kept,
        accounting=Accounting(accounting),
    )
    judge = _judge(head if fallback is None else fallback)
    devices = [] if fallback is None else [DeviceHead(_judge(head))]
    items = open_labelled(
        images, labels, where=where, limit=limit, data_root=data_root, task=judge.task
    )
    _remark(items, plan.codecs, [judge], warn)
    folder = None
    if output is None:
        folder = tempfile.TemporaryDirectory(prefix="codecframe-")
        output = Path(folder.name) / "images.profile"
    elif force:
        given = (labels, head, fallback)
        files = [os.fspath(each) for each in given if isinstance(each, (str, os.PathLike))]
        refuse_inputs([output], [*(item.path for item in items if item.path), *files])
        make_way(output, is_profile)
    profile_images(
        output,
        items,
        judge,
        plan,
        prepare=prepare,
        progress=progress or automatic("profile"),
        engine=open_engine(engine, ray_address) if isinstance(engine, str) else engine,
        head_name=_name_of(head if fallback is None else fallback),
        devices=devices,
    ).close()
    heads = {each.name: each for each in (judge, *(device.head for device in devices))}
    options: dict[str, Any] = {"heads": heads, "remarks": items.remarks}
    return Profile._in(folder, output, **options) if folder else Profile(output, **options)


def select(
    images: Any = (),
    *,
    budget: Budget | Keep | str | None = None,
    keep: Keep | str | None = None,
    score: float | None = None,
    confidence: float | None = None,
    device: str | Path | None = None,
    max_encode_ms: float | None = None,
    max_memory: float | str | None = None,
    profiles: Any = (),
    head: Judge | Sequence[Judge] = (),
    fallback: Judge | None = None,
    sure: float | str | None = None,
    mean: bool = False,
    accounting: Accounting | str = "payload",
    codecs: Coding | Iterable[Coding] = (),
    labels: str | Path | Sequence[Any] | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    prepare: bool = True,
    output: str | Path | None = None,
    progress: ProgressMaker | None = None,
    warn: Warn = warnings.warn,
) -> Selection:
    """Choose codec and settings for a budget, or for what must stay right, straight from images or
    from profiles.

        choice = codecframe.select("photos/", head="model.onnx", budget="0.4bpp")
        choice = codecframe.select("photos/", head="model.onnx", keep="98%")
        pipeline = choice.pipeline()

    Straight from images, all installed lossy codecs are tried, at full and at half resolution and
    with presets that come with them and were made for the head, unless some are named.

    The highest score wins. A codec within the noise of it wins instead where its encoder takes at
    most half the time.

    With `keep` or `score`, the fewest bytes win that keep what must stay right, with a confidence
    that holds however few the images are: the chance that the choice keeps less, of images like
    these, is at most 1 - `confidence`. Straight from images, one in four says where to look, and
    the others decide.

    With `fallback` cascades are counted: `head` is on the device, and what it is sure of costs no
    more than its answer; the rest goes through the codec to `fallback`, which is what agreement is
    with. For a budget, each codec is shown with and without it; for what must stay right, the
    confidence may be left to be found, and the same promise holds for the cascade.

    Args:
        images: images, as `profile` takes them, or profiles.
        budget: what may be spent: `0.4bpp`, `1200B`, `12kB`, `256kbit/s@5fps`; or a `Keep`.
        keep: instead, what must stay right: `98%` of the predictions on uncompressed images, or
            `95%-of-score`, the score on these.
        score: instead, the score that is needed: 0.85.
        confidence: how sure it must be that it is kept; 0.95 unless a `Keep` says otherwise.
        device: what the camera can do: a file that `codecframe bench device` wrote there.
        max_encode_ms: milliseconds that encoding an image may take: one encoding in one thread of
            the device, or without one, of the machine that measured, as its profile has it.
        max_memory: that encoding may take on the device: `200MB`, or megabytes.
        profiles: profiles or their files, instead of images; of the same images, one a head.
        head: with images, the head to measure with; or several, each with the codecs that it can
            be joined to.
        fallback: the head that judges; those of `head` are then on the device.
        sure: from what confidence on these answer (`TaskHead.confidence`), 0 to 1; `auto`, the
            default with what must stay right: the one of the fewest bytes. Of profiles that were
            measured with `fallback`, too.
        mean: the budget is for the average over the images, not for each.
        accounting: which bytes count, `payload` or `file`.
        codecs: codecs, as `profile` takes them; of profiles, names.
        labels, where, limit, data_root, prepare: as `profile` takes them.
        output: keep what was measured as a profile; those of further heads lie beside it.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know.

    Returns:
        The choice, which says why the others lost. `winner` is None where nothing meets the budget.

    Raises:
        UsageError: if there are both images and profiles, or neither, or images without a head.
        MismatchError: if heads or profiles cannot be compared, or a codec that was named fits no
            head.
        DataError: if no image can be read, or a profile is damaged.
        UnknownNameError: for a codec or head that does not exist.
        BudgetError: if the budget cannot be read, or the images are too few for what must be kept.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> choice = cf.select("photos", head=head, codecs=["jpeg", "webp"], budget="3bpp")
        >>> choice.winner.codec in ("jpeg", "webp")
        True
    """
    if _are_profiles(images):
        images, profiles = (), images
    given = _several(profiles, (Profile,))
    if bool(given) == (not isinstance(images, (list, tuple)) or bool(images)):
        raise UsageError("give either {profiles} or {images}")
    asked, counting = one_asked(budget, keep, score, confidence, mean), Accounting(accounting)
    if asked is None:
        raise UsageError("give {budget}, {keep} or {score}")
    limits = Limits.asked(max_encode_ms, max_memory, device)
    from_sure = _sure(sure, asked, fallback)
    if given:
        if fallback is not None:
            raise UsageError("{fallback} goes with {images}; a profile knows its own")
        with ExitStack() as stack:
            tables = [stack.enter_context(_opened(each)) for each in given]
            found = _select_from(tables, asked, counting, _specs(codecs) or None, limits, from_sure)
            prepared = all(table.meta.get("prepared", True) for table in tables)
        known = {
            n: h for each in given if isinstance(each, Profile) for n, h in each._heads.items()
        }
        return replace(found, judges=known, prepared=prepared)
    judges = [_judge(each) for each in _several(head, (TaskHead,))]
    if not judges:
        raise UsageError("{images} needs {head}")
    devices: list[DeviceHead] = []
    if fallback is not None:
        devices, judges = [DeviceHead(each) for each in judges], [_judge(fallback)]
    elif sure is not None:
        raise UsageError("{sure} needs {fallback}, for what the head is not sure of")
    items = open_labelled(
        images, labels, where=where, limit=limit, data_root=data_root, task=judges[0].task
    )
    specs = _specs(codecs)
    _remark(items, specs, judges, warn)
    with tempfile.TemporaryDirectory(prefix="codecframe-") as scratch:
        path = output or Path(scratch) / "select.profile"
        shown = progress or automatic("select")
        options: dict[str, Any] = {
            "prepare": prepare, "progress": shown, "devices": devices, "sure": from_sure,
        }  # fmt: skip
        if isinstance(asked, Keep):
            found = select_keeping_on_images(
                path, items, judges, asked, counting, specs, limits, **options
            )
        else:
            found = select_on_images(path, items, judges, asked, counting, specs, limits, **options)
    judged = {each.name: each for each in (*judges, *(device.head for device in devices))}
    return replace(found, judges=judged, prepared=prepare, remarks=tuple(items.remarks))


def report(
    profiles: Any,
    *,
    output: str | Path | None = None,
    budget: Budget | Keep | str | None = None,
    keep: Keep | str | None = None,
    score: float | None = None,
    confidence: float | None = None,
    device: str | Path | None = None,
    max_encode_ms: float | None = None,
    max_memory: float | str | None = None,
    sure: float | str | None = None,
    mean: bool = False,
    accounting: Accounting | str = "payload",
    force: bool = False,
) -> Report:
    """Make a self-contained HTML page of profiles: plot, table, choice, decoded images.

        codecframe.report("photos.profile", budget="0.4bpp").save("report.html")

    Args:
        profiles: a profile or its file; or several of the same images, one for each of several
            heads.
        output: where the page is written; by default nowhere: see `Report.save`.
        budget: mark the choice for it.
        keep, score, confidence: instead, for what must stay right; see `select`.
        device, max_encode_ms, max_memory: what the camera can do, at that choice.
        sure: from what confidence on heads on the device answer, at that choice.
        mean: the budget is for the average over the images, not for each.
        accounting: which bytes count, `payload` or `file`.
        force: a file at `output` that is not such a page is replaced.

    Raises:
        DataError: if a profile is damaged or holds no measurements yet.
        DependencyError: if matplotlib is not installed.
        MismatchError: if the profiles cannot be compared.
        OutputError: if `output` is a profile or somebody else's file, or cannot be written.

    Examples:
        >>> head = "photo_heads:brightness"
        >>> profile = cf.profile("photos", head, codecs=["webp"], levels=[20, 80])
        >>> page = cf.report(profile, output="report.html", budget="3bpp")
        >>> Path("report.html").read_text()[:15].lower()
        '<!doctype html>'
    """
    given = _several(profiles, (Profile,))
    paths = [each.path if isinstance(each, Profile) else Path(each) for each in given]
    if output is not None:
        refuse_inputs([output], paths)
        refuse_foreign(output, is_page, force=force)
    limits = Limits.asked(max_encode_ms, max_memory, device)
    if budget is None and keep is None and score is None and (limits or sure is not None):
        raise UsageError("what the camera can do goes with {budget}, {keep} or {score}")
    found = None
    with ExitStack() as stack:
        tables = [stack.enter_context(_opened(each)) for each in given]
        if (asked := one_asked(budget, keep, score, confidence, mean)) is not None:
            from_sure = _sure(sure, asked, None)
            found = _select_from(tables, asked, Accounting(accounting), None, limits, from_sure)
        made = make_report(tables, found)
    made = replace(made, paths=tuple(paths))
    if output is not None:
        made.save(output, force=force)
    return made


def _sure(
    sure: float | str | None, asked: Budget | Keep, fallback: Judge | None
) -> float | Literal["auto"] | None:
    """From what confidence on heads on the device answer, if there are any."""
    found = sure_of(sure)
    if isinstance(asked, Keep):
        return AUTO if found is None and fallback is not None else found
    if found == AUTO:
        raise UsageError("{sure} auto needs {keep}: a budget does not say what must stay right")
    if found is None and fallback is not None:
        raise UsageError("{fallback} needs {sure}, or {keep}, by which it is found")
    return found


def _select_from(
    tables: Sequence[ProfileTable],
    asked: Budget | Keep,
    accounting: Accounting,
    codecs: Sequence[str] | None = None,
    limits: Limits | None = None,
    sure: float | Literal["auto"] | None = None,
) -> Selection:
    if isinstance(asked, Keep):
        return select_keeping(tables, asked, accounting, codecs, limits, sure)
    return select_from(tables, asked, accounting, codecs, limits, None if sure == AUTO else sure)


def _judge(head: Judge) -> TaskHead:
    return head if isinstance(head, TaskHead) else registry.default().head(os.fspath(head))


def _name_of(head: Judge) -> str | None:
    """By what a head is opened elsewhere."""
    return None if isinstance(head, TaskHead) else os.fspath(head)


def _specs(codecs: Coding | Iterable[Coding]) -> tuple[str, ...]:
    """Codecs as texts; objects are known to the registry from here on."""
    return tuple(
        registry.default().hold(each) if isinstance(each, Codec) else os.fspath(each)
        for each in _several(codecs, (Codec,))
    )


def _several(given: Any, kinds: tuple[type, ...]) -> list[Any]:
    """One or several as a list."""
    return [given] if isinstance(given, (str, os.PathLike, *kinds)) else list(given)


def _opened(given: Profile | str | os.PathLike[str]) -> ProfileTable:
    return given.open() if isinstance(given, Profile) else ProfileTable.open(os.fspath(given))


def _are_profiles(given: Any) -> bool:
    """Whether all that is given are profiles, or files of profiles."""
    if isinstance(given, (str, os.PathLike)):
        return is_profile(Path(given))
    if isinstance(given, Profile):
        return True
    if not isinstance(given, (list, tuple)) or not given:
        return False
    one = (Profile, str, os.PathLike)
    return all(isinstance(each, one) and _are_profiles(each) for each in given)


def _remark(items: ImageSet, specs: Sequence[str], judges: Sequence[TaskHead], warn: Warn) -> None:
    for remark in [*items.remarks, *counterpart_remarks(specs, judges)]:
        warn(remark)
