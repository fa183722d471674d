"""The demonstration: real photographs through several codecs at two budgets, to one head.

A learned codec hands its latents to the head that stands for a classifier; its rebuilt pictures
are for people. The photographs are those that widely installed packages ship; nothing is
downloaded. A detector looks for shapes that are drawn over them, so that the truth is known.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.core import registry
from codecframe.core.classification import Prediction
from codecframe.core.codec import Codec
from codecframe.core.errors import (
    BudgetError,
    CodecframeError,
    DependencyError,
    UnknownNameError,
)
from codecframe.core.files import reported, write_whole
from codecframe.core.head import TaskHead
from codecframe.core.image import Image
from codecframe.core.outputs import refuse_foreign
from codecframe.core.presets import parse_spec
from codecframe.core.progress import ProgressMaker
from codecframe.core.representation import PIXELS
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table, percent
from codecframe.evaluation import report
from codecframe.evaluation.profile import Plan, ProfileTable, is_profile, profile_images
from codecframe.evaluation.report import SheetRow, Shown, says
from codecframe.evaluation.select import Selection, select
from codecframe.evaluation.select.images import profile_path
from codecframe.evaluation.shapes import DETECTOR, write_scenes
from codecframe.images import ImageItem, open_images
from codecframe.pipeline import counterpart, counterparts
from codecframe.pipeline.convert import Classified, Failed, Read, classify_set
from codecframe.rate import Accounting, Budget

DEFAULT_CODECS = ("jpeg", "webp", "avif", "jpegxl")
"""Tried unless others are named, and with them each learned codec that has a head which stands for
the classifier."""
DEFAULT_BUDGETS = ("0.2bpp", "0.8bpp")
TASKS = ("classification", "detection")
_RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
_PHOTOS = {
    "skimage": (
        "data/chelsea.png",
        "data/coffee.png",
        "data/rocket.jpg",
        "data/motorcycle_left.png",
        "data/camera.png",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
}
"""Photographs in the wheels of scikit-image, scikit-learn and matplotlib, of ImageNet's things."""


@dataclass(frozen=True)
class Outcome:
    """What became of one photograph through one codec at one budget.

    Attributes:
        budget, codec: which.
        head: what judges it: the one of the demonstration, or behind a learned codec the head that
            stands for it.
        size: counted bytes; None, as what the head sees, where the codec cannot meet the budget.
        bpp: counted bits a pixel.
        label, probability: a classifier's first choice; of another task what the head sees, in
            words, and None.
        agrees: whether that is what the head sees in the uncompressed photograph; of a detector,
            all boxes, and no others.
        score: how right it is, from 0 to 1, where the truth is known: of a detector F1.
        divergence: of the prediction from that for the uncompressed photograph.
        smallest: where the budget cannot be met, the fewest bytes that were reached.
        why: why there is no encoding, or empty.
    """

    budget: str
    codec: str
    head: str
    size: int | None = None
    bpp: float | None = None
    label: str | None = None
    probability: float | None = None
    agrees: bool | None = None
    score: float | None = None
    divergence: float | None = None
    smallest: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes:
        name: its file's name.
        label, probability, score: as those of an `Outcome`, of the uncompressed photograph.
        outcomes: one for every budget and codec, in that order.
        winners: for every budget the codec that changes the prediction least, None where none
            meets the budget.
    """

    name: str
    label: str
    probability: float | None
    outcomes: tuple[Outcome, ...]
    winners: Mapping[str, str | None]
    score: float | None = None


@dataclass(frozen=True, repr=False)
class Demo(Result):
    """What the demonstration found.

    Attributes:
        head: the head's name.
        accounting: which bytes are counted.
        codecs, budgets: what was tried.
        photos: one for every photograph.
        selections: for every budget the codec and settings chosen over all photographs.
        contact_sheet, report, profile: the files that were written.
        more_profiles: the profiles of heads that stand for a classifier.
        metric: what the photographs together are scored by, such as mAP, where the truth is known.
        score: of the uncompressed photographs, 0 to 1.
        scores: for every budget that of each codec; a photograph that does not fit counts as one
            in which nothing is seen.

    Examples:
        >>> found = cf.demo("demo-output")  # doctest: +SKIP
        >>> found.photos[0].winners  # doctest: +SKIP
    """

    head: str
    accounting: str
    codecs: tuple[str, ...]
    budgets: tuple[str, ...]
    photos: tuple[Photo, ...]
    selections: Mapping[str, Selection]
    contact_sheet: Path
    report: Path
    profile: Path
    more_profiles: tuple[Path, ...] = ()
    metric: str = ""
    score: float | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        files = {name: str(getattr(self, name)) for name in ("contact_sheet", "report", "profile")}
        return {**asdict(self), **files, "more_profiles": list(map(str, self.more_profiles))}

    def records(self) -> list[dict[str, Any]]:
        """One for every photograph, budget and codec."""
        return [
            {"photo": photo.name, **asdict(outcome)}
            for photo in self.photos
            for outcome in photo.outcomes
        ]

    def shown(self) -> list[str | Table]:
        """A table for every budget: a row for each photograph, a column for each codec."""
        parts: list[str | Table] = []
        for budget in self.budgets:
            columns = ["photograph", "uncompressed", *self.codecs, "changes least"]
            title = f"{budget} a photograph, {self.accounting} bytes: what {self.head} sees"
            rows = [_cells(photo, budget) for photo in self.photos]
            if budget in self.scores:
                rows.append(self._together(self.scores[budget]))
            parts.append(Table(columns, rows, title))
            parts.append(self._heads())
            chosen = self.selections[budget]
            answer = chosen.winner.label if chosen.winner else f"nothing fits; {chosen.would_fit}"
            parts.append(f"select: {answer}\n")
        return [*parts, f"contact sheet: {self.contact_sheet}", f"report: {self.report}"]

    def _together(self, scores: Mapping[str, float]) -> list[object]:
        """The last row: what all photographs together score."""
        cells = [f"{self.metric} {percent(scores[codec])}" for codec in self.codecs]
        best = max(self.codecs, key=lambda codec: scores[codec])
        return ["all", f"{self.metric} {percent(self.score)}", *cells, f"highest: {best}"]

    def _heads(self) -> str:
        """What the marks mean, and which codecs hand latents to which other head."""
        others = {o.codec: o.head for o in self.photos[0].outcomes if o.head != self.head}
        through = [f"{codec}: its latents go to the head {head}" for codec, head in others.items()]
        return "; ".join(["=, !: as for the uncompressed photograph, or not", *through])


def _cells(photo: Photo, budget: str) -> list[object]:
    cells: list[object] = [photo.name, _seen(photo)]
    for outcome in photo.outcomes:
        if outcome.budget != budget:
            continue
        if outcome.label is None:
            cells.append("does not fit")
        else:
            mark = "=" if outcome.agrees else "!"
            cells.append(f"{mark} {_seen(outcome)}, {outcome.size} B")
    return [*cells, photo.winners[budget] or "none"]


def _seen(found: Photo | Outcome) -> str:
    """What the head sees, for the table: `tabby 62.1 %`; `2 circle, square (80.0)`."""
    if found.probability is not None:
        return f"{found.label} {percent(found.probability)} %"
    return str(found.label) if found.score is None else f"{found.label} ({percent(found.score)})"


def installed_photos() -> list[Path]:
    """The photographs that are on this machine; their packages are found, not imported.

    Raises:
        DependencyError: if none of the packages is installed.
    """
    found = []
    for package, files in _PHOTOS.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            found += [path for file in files if (path := Path(folder, file)).is_file()]
    if not found:
        raise DependencyError("skimage", "scikit-image")
    return found


def demo(
    output: Path | str = "demo-output",
    task: str = "classification",
    *,
    budgets: Sequence[str] = DEFAULT_BUDGETS,
    force: bool = False,
    progress: ProgressMaker | None = None,
) -> Demo:
    """Select a codec for real photographs: JPEG, WebP, AVIF or JPEG XL, in front of one head.

    The photographs are those that scikit-image, scikit-learn and matplotlib ship; nothing is
    downloaded. EfficientNet-Lite0 classifies them; for `detection`, circles, squares and triangles
    are drawn faintly over them, and a small detector that comes with codecframe looks for these.

    Args:
        output: folder for the pictures, the report and the profile; the scenes of `detection`, with
            their truth, go to `scenes` in it.
        task: `classification` or `detection`.
        budgets: bytes to spend on each photograph, such as `0.8bpp`.
        force: files of these names are replaced, whoever made them.
        progress: shows how far the measuring is.

    Raises:
        UnknownNameError: if there is no demonstration of such a task.
        DependencyError: if the head's or a codec's packages, or all of the photographs', are not
            installed.
        BudgetError: if a budget cannot be read.
        OutputError: if a file cannot be written, or one of these names is there that no
            demonstration made.

    Examples:
        >>> found = cf.demo("demo-output", budgets=["0.4bpp"])  # doctest: +SKIP
    """
    if task not in TASKS:
        raise UnknownNameError("task of the demonstration", task, TASKS)
    if task == "classification":
        return run_demo(output, budgets=budgets, progress=progress, force=force)
    head = registry.default().head(str(DETECTOR))
    for package, install in head.requires.items():
        registry.require(package, install)
    photos, truth = write_scenes(Path(output) / "scenes", installed_photos(), force=force)
    return run_demo(
        output, budgets=budgets, head=head, photos=photos, labels=truth, progress=progress,
        force=force,
    )  # fmt: skip


def run_demo(
    folder: Path | str,
    *,
    codecs: Sequence[str] = (),
    budgets: Sequence[str] = (),
    head: str | TaskHead = "efficientnet-lite0",
    photos: Sequence[Path | str] | None = None,
    labels: Path | str | None = None,
    progress: ProgressMaker | None = None,
    force: bool = False,
) -> Demo:
    """As `demo`, for any codecs, head and photographs.

    Photographs are brought to the head's geometry first. A budget is a cap on each photograph's
    payload bytes. A learned codec's latents go to the head that stands for `head`, where one is
    installed.

    Args:
        folder: where `contact-sheet.png`, `report.html` (for the first budget) and `demo.profile`
            go; profiles of further heads beside that.
        codecs, budgets: as texts; empty for the default ones.
        head: the head, or its name.
        photos: image files; by default those that installed packages ship.
        labels: their truth, as the head's task reads it, where it is known.
        progress, force: as `demo` takes them.
    """
    folder = Path(folder)
    judge = head if isinstance(head, TaskHead) else registry.default().head(head)
    asked = [Budget.parse(text) for text in budgets or DEFAULT_BUDGETS]
    entrants = [_entrant(spec, judge) for spec in codecs or _default_codecs(judge)]
    profiles = _profiles(folder / "demo.profile", entrants)
    first, *others = profiles.values()
    page, sheet = folder / "report.html", folder / "contact-sheet.png"
    known = is_profile(first)  # it is made first
    for path in (first, page, sheet):
        refuse_foreign(path, lambda _: known, force=force)
    for path in others:
        refuse_foreign(path, is_profile, force=force)
    files = list(photos) if photos is not None else installed_photos()
    items = open_images(files, labels=labels, task=judge.task)
    selections = _select(profiles, page, items, entrants, asked, progress)
    views = list(_views(items, judge))
    columns = [[*_through(views, entrant, budget)] for budget in asked for entrant in entrants]
    shown = [
        _photo(view, judge, [tried.outcome for tried in row])
        for view, row in zip(views, zip(*columns, strict=True), strict=True)
    ]
    together = _scores(views, judge, columns)
    write_whole(sheet, _contact_sheet(judge, views, shown, columns))
    return Demo(
        head=judge.name,
        accounting=str(Accounting.PAYLOAD),
        codecs=tuple(entrant.spec for entrant in entrants),
        budgets=tuple(map(str, asked)),
        photos=tuple(shown),
        selections=selections,
        contact_sheet=sheet,
        report=page,
        profile=first,
        more_profiles=tuple(others),
        **together,
    )


@dataclass(frozen=True)
class _Entrant:
    """A codec that is tried, and the head that judges what it delivers."""

    spec: str
    codec: Codec[Any]
    settings: Settings
    head: TaskHead


def _entrant(spec: str, judge: TaskHead) -> _Entrant:
    codec, settings = parse_spec(spec)
    return _Entrant(spec, codec, settings, counterpart(codec, judge) or judge)


def _default_codecs(judge: TaskHead) -> list[str]:
    """The usual codecs, and the learned ones whose latents a counterpart of the judge takes."""
    spaces = [head.accepts for head in counterparts(judge)]
    known = registry.default().codecs.values()
    learned = [codec for codec in known if any(space in codec.emits for space in spaces)]
    return [*DEFAULT_CODECS, *(codec.name for codec in registry.available(learned))]


def _profiles(path: Path, entrants: Sequence[_Entrant]) -> dict[str, Path]:
    """Where the profile of each head goes."""
    first, *others = {entrant.head.name: entrant.head for entrant in entrants}.values()
    return {first.name: path, **{head.name: profile_path(path, head) for head in others}}


def _select(
    profiles: Mapping[str, Path],
    page: Path,
    items: Sequence[ImageItem],
    entrants: Sequence[_Entrant],
    budgets: Sequence[Budget],
    progress: ProgressMaker | None,
) -> dict[str, Selection]:
    """Measure anew, a profile for each head; choose for every budget; report for the first."""
    for name, path in profiles.items():
        own = [entrant for entrant in entrants if entrant.head.name == name]
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        for number, budget in enumerate(budgets):  # some rates, for the plot, are measured once
            rates = None if number else _RATES
            plan = Plan([entrant.spec for entrant in own], rates=rates, budget=budget)
            profile_images(path, items, own[0].head, plan, progress=progress).close()
    with ExitStack() as stack:
        tables = [stack.enter_context(ProfileTable.open(path)) for path in profiles.values()]
        selections = {str(budget): select(tables, budget) for budget in budgets}
        write_whole(page, report.make_report(tables, selections[str(budgets[0])]).html)
    return selections


@dataclass(frozen=True)
class _View:
    """A photograph as the head looks at it.

    Attributes:
        read: the image.
        prediction: what the head sees in it.
        truth: what is in it; None where that is not known.
    """

    read: Read
    prediction: Any
    truth: Any


@dataclass(frozen=True)
class _Tried:
    """An outcome; the prediction and the rebuilt photograph, None where there is none."""

    outcome: Outcome
    prediction: Any = None
    image: Image | None = None


def _views(items: Sequence[ImageItem], head: TaskHead) -> Iterator[_View]:
    """The photographs that can be read."""
    for item in items:
        try:
            image = item.read()
            seen = head.prepare(image)
            known = item.target is not None
            truth = head.truth(item.target, image.shape[:2], seen.shape[:2]) if known else None
        except CodecframeError:
            continue
        yield _View(Read(item.name, seen), head.predict([seen]), truth)


def _through(views: Sequence[_View], entrant: _Entrant, budget: Budget) -> Iterator[_Tried]:
    """Every photograph through one codec at one budget."""
    reads = [view.read for view in views]
    found = classify_set(reads, entrant.head, entrant.codec, entrant.settings, budget)
    asked = Outcome(str(budget), entrant.spec, entrant.head.name)
    for view, one in zip(views, found, strict=True):
        yield _tried(entrant, asked, one, view)


def _tried(entrant: _Entrant, asked: Outcome, found: Classified | Failed, view: _View) -> _Tried:
    if isinstance(found, Failed) or found.encoded is None:
        error = found.error if isinstance(found, Failed) else None
        smallest = error.smallest if isinstance(error, BudgetError) else None
        return _Tried(replace(asked, smallest=smallest, why=str(error)))
    head = entrant.head
    label, probability = _said(head, found.prediction)
    agreement = head.score(found.prediction, head.pseudo_targets(view.prediction))[0]
    outcome = replace(
        asked,
        size=found.encoded.size,
        bpp=found.encoded.bpp,
        label=label,
        probability=probability,
        agrees=bool(agreement >= (1 if head.task.has_records else 0.5)),
        score=_score(head, found.prediction, view.truth),
        divergence=float(head.divergence(found.prediction, view.prediction)[0]),
    )
    seen = PIXELS in entrant.codec.emits
    image = entrant.codec.decode(found.encoded.data) if seen else None
    return _Tried(outcome, found.prediction, image)


def _said(head: TaskHead, prediction: Any) -> tuple[str, float | None]:
    """A classifier's first choice and its probability; what another head sees, in words."""
    if isinstance(prediction, Prediction) and not head.task.has_records:
        first = prediction.top(1)[0][0]
        return first.label, first.probability
    return head.task.words(head.task.to_json(prediction)[0]), None


def _score(head: TaskHead, prediction: Any, truth: Any) -> float | None:
    return None if truth is None else float(head.score(prediction, [truth])[0])


def _scores(
    views: Sequence[_View], head: TaskHead, columns: Sequence[Sequence[_Tried]]
) -> dict[str, Any]:
    """`metric`, `score` and `scores` of a `Demo`; nothing where the truth is not known."""
    truths = [view.truth for view in views]
    if any(truth is None for truth in truths):
        return {}

    def score(predictions: Sequence[Any]) -> float:
        records = [
            record
            for prediction, truth in zip(predictions, truths, strict=True)
            for record in (
                head.task.missed([truth])
                if prediction is None
                else head.task.records(prediction, [truth])
            )
        ]
        return float(head.task.set_scores(records, np.ones((1, len(records))))[0])

    scores: dict[str, dict[str, float]] = {}
    for column in columns:
        of = column[0].outcome
        scores.setdefault(of.budget, {})[of.codec] = score([tried.prediction for tried in column])
    plain = score([view.prediction for view in views])
    return {"metric": head.metric, "score": plain, "scores": scores}


def _photo(view: _View, head: TaskHead, outcomes: list[Outcome]) -> Photo:
    label, probability = _said(head, view.prediction)
    budgets = dict.fromkeys(outcome.budget for outcome in outcomes)
    winners = {budget: _winner(outcomes, budget) for budget in budgets}
    score = _score(head, view.prediction, view.truth)
    return Photo(view.read.name, label, probability, tuple(outcomes), winners, score)


def _winner(outcomes: Sequence[Outcome], budget: str) -> str | None:
    """The codec that changes the prediction least; of equals the one with fewer bytes."""
    usable = [
        (outcome.divergence, outcome.size, outcome.codec)
        for outcome in outcomes
        if outcome.budget == budget and outcome.divergence is not None
    ]
    return min(usable)[2] if usable else None


def _contact_sheet(
    head: TaskHead,
    views: Sequence[_View],
    photos: Sequence[Photo],
    columns: Sequence[Sequence[_Tried]],
) -> bytes:
    headings = [_heading(column[0].outcome, head) for column in columns]
    rows = []
    for i, (view, photo) in enumerate(zip(views, photos, strict=True)):
        drawn = _drawn(head, view.read.image, view.prediction, view.truth)
        plain = Shown(drawn, says=_caption(photo), note=_points(head, photo))
        through = [_shown(head, column[i], view, photo) for column in columns]
        rows.append(SheetRow(photo.name, (plain, *through)))
    title = f"What {head.name} sees: payload bytes, compared with the uncompressed image"
    if any(column[0].outcome.head != head.name for column in columns):
        title += "; where latents go to a head, the picture is for people"
    if any(view.truth is not None for view in views):
        title += "; dashed: the truth"
    return report.contact_sheet(["uncompressed", *headings], rows, title=title)


def _drawn(head: TaskHead, image: Image, prediction: Any, truth: Any) -> Image:
    """The picture with what the head sees, beside the truth where that is known."""
    known = None if truth is None else head.task.target_to_json(truth)
    return head.task.draw(image, head.task.to_json(prediction)[0], known)


def _caption(found: Photo | Outcome) -> str:
    if found.probability is None:
        return str(found.label)
    return says(str(found.label), found.probability)


def _points(head: TaskHead, found: Photo | Outcome) -> str:
    """The score as words, where the truth is known: `F1 80 %`."""
    if found.score is None:
        return ""
    return f"{head.task.image_metric or head.metric} {100 * found.score:.0f} %"


def _heading(outcome: Outcome, judge: TaskHead) -> str:
    """Codec and budget; between them the head, where the picture is not what it sees."""
    own = [] if outcome.head == judge.name else [f"latents to {outcome.head}"]
    return "\n".join([outcome.codec, *own, outcome.budget])


def _shown(head: TaskHead, tried: _Tried, view: _View, photo: Photo) -> Shown:
    outcome, image = tried.outcome, tried.image
    if outcome.label is None:
        return Shown(None, note=f"over budget: {outcome.smallest} B at least")
    least = "changes least" if photo.winners[outcome.budget] == outcome.codec else ""
    return Shown(
        None if image is None else _drawn(head, image, tried.prediction, view.truth),
        size=outcome.size,
        says=_caption(outcome),
        agrees=outcome.agrees,
        note=", ".join(filter(None, [_points(head, outcome), least])),
    )
