"""The demonstration: real photographs through several codecs at two budgets, to one classifier.

A learned codec hands its latents to the head that stands for that classifier; its rebuilt pictures
are for people. The photographs are those that widely installed packages ship; nothing is
downloaded.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.classification import Prediction
from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, DependencyError, OutputError
from codecframe.core.files import write_whole
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
from codecframe.images import ImageItem, open_images
from codecframe.pipeline import counterpart, counterparts
from codecframe.pipeline.convert import Classified, Failed, Read, classify_set, read_set
from codecframe.rate import Accounting, Budget

DEFAULT_CODECS = ("jpeg", "webp", "avif", "jpegxl")
"""Tried unless others are named, and with them each learned codec that has a head which stands for
the classifier."""
DEFAULT_BUDGETS = ("0.2bpp", "0.8bpp")
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
        head: what judges it: the classifier, or behind a learned codec the head that stands for it.
        size: counted bytes; None, as what the head sees, where the codec cannot meet the budget.
        bpp: counted bits a pixel.
        label, probability: the head's first choice.
        agrees: whether that is the classifier's first choice for the uncompressed photograph.
        divergence: of the prediction from the classifier's for the uncompressed photograph.
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
    divergence: float | None = None
    smallest: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes:
        name: its file's name.
        label, probability: the head's first choice for it, uncompressed.
        outcomes: one for every budget and codec, in that order.
        winners: for every budget the codec that changes the prediction least, None where none
            meets the budget.
    """

    name: str
    label: str
    probability: float
    outcomes: tuple[Outcome, ...]
    winners: Mapping[str, str | None]


@dataclass(frozen=True, repr=False)
class Demo(Result):
    """What the demonstration found.

    Attributes:
        head: the classifier's name.
        accounting: which bytes are counted.
        codecs, budgets: what was tried.
        photos: one for every photograph.
        selections: for every budget the codec and settings chosen over all photographs.
        contact_sheet, report, profile: the files that were written.
        more_profiles: the profiles of heads that stand for the classifier.

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
            parts.append(Table(columns, [_cells(photo, budget) for photo in self.photos], title))
            parts.append(self._heads())
            chosen = self.selections[budget]
            answer = chosen.winner.label if chosen.winner else f"nothing fits; {chosen.would_fit}"
            parts.append(f"select: {answer}\n")
        return [*parts, f"contact sheet: {self.contact_sheet}", f"report: {self.report}"]

    def _heads(self) -> str:
        """What the marks mean, and which codecs hand latents to which other head."""
        others = {o.codec: o.head for o in self.photos[0].outcomes if o.head != self.head}
        through = [f"{codec}: its latents go to the head {head}" for codec, head in others.items()]
        return "; ".join(["=, !: as for the uncompressed photograph, or not", *through])


def _cells(photo: Photo, budget: str) -> list[object]:
    cells: list[object] = [photo.name, f"{photo.label} {percent(photo.probability)} %"]
    for outcome in photo.outcomes:
        if outcome.budget != budget:
            continue
        if outcome.label is None:
            cells.append("does not fit")
        else:
            mark = "=" if outcome.agrees else "!"
            seen = f"{outcome.label} {percent(outcome.probability)} %"
            cells.append(f"{mark} {seen}, {outcome.size} B")
    return [*cells, photo.winners[budget] or "none"]


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
    *,
    budgets: Sequence[str] = DEFAULT_BUDGETS,
    force: bool = False,
    progress: ProgressMaker | None = None,
) -> Demo:
    """Select a codec and classify real photographs through JPEG, WebP, AVIF and JPEG XL.

    The photographs are those that scikit-image, scikit-learn and matplotlib ship; the classifier
    is EfficientNet-Lite0. Nothing is downloaded.

    Args:
        output: folder for the pictures, the report and the profile.
        budgets: bytes to spend on each photograph, such as `0.8bpp`.
        force: files of these names are replaced, whoever made them.
        progress: shows how far the measuring is.

    Raises:
        DependencyError: if the classifier's or a codec's packages, or all of the photographs', are
            not installed.
        BudgetError: if a budget cannot be read.
        OutputError: if a file cannot be written, or one of these names is there that no
            demonstration made.

    Examples:
        >>> found = cf.demo("demo-output", budgets=["0.4bpp"])  # doctest: +SKIP
    """
    return run_demo(output, budgets=budgets, progress=progress, force=force)


def run_demo(
    folder: Path | str,
    *,
    codecs: Sequence[str] = (),
    budgets: Sequence[str] = (),
    head: str = "efficientnet-lite0",
    photos: Sequence[Path | str] | None = None,
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
        codecs: codecs with settings, such as `jpeg:optimize=true`; empty for the default ones.
        budgets: budgets as text; empty for the default ones.
        head: name of the head.
        photos: image files; by default those that installed packages ship.
        progress, force: as `demo` takes them.
    """
    folder = Path(folder)
    judge = registry.default().head(head)
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
    items = open_images(list(photos) if photos is not None else installed_photos())
    selections = _select(profiles, page, items, entrants, asked, progress)
    reads = [found for found in read_set(items, judge) if isinstance(found, Read)]
    plain = [found.prediction for found in _classified(reads, judge)]
    columns = [_through(reads, plain, entrant, budget) for budget in asked for entrant in entrants]
    shown = [
        _photo(read, prediction, [tried.outcome for tried in row])
        for read, prediction, row in zip(reads, plain, zip(*columns, strict=True), strict=True)
    ]
    write_whole(sheet, _contact_sheet(judge, reads, shown, columns))
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
        specs = [entrant.spec for entrant in own]
        _profile(path, items, own[0].head, specs, budgets, progress)
    with ExitStack() as stack:
        tables = [stack.enter_context(ProfileTable.open(path)) for path in profiles.values()]
        selections = {str(budget): select(tables, budget) for budget in budgets}
        write_whole(page, report.html(tables, selections[str(budgets[0])]))
    return selections


def _profile(
    path: Path,
    items: Sequence[ImageItem],
    head: TaskHead,
    codecs: Sequence[str],
    budgets: Sequence[Budget],
    progress: ProgressMaker | None,
) -> None:
    """Measure codecs before one head: at all budgets, and at some rates for the plot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(str(path), error.strerror or error) from None
    for number, budget in enumerate(budgets):
        plan = Plan(codecs=codecs, rates=None if number else _RATES, budget=budget)
        with profile_images(path, items, head, plan, progress=progress):
            pass


@dataclass(frozen=True)
class _Tried:
    """An outcome and the rebuilt photograph, None where there is none."""

    outcome: Outcome
    image: Image | None


def _classified(reads: Sequence[Read], head: TaskHead) -> Iterator[Classified]:
    for found in classify_set(reads, head):
        if isinstance(found, Classified):
            yield found


def _through(
    reads: Sequence[Read], plain: Sequence[Prediction], entrant: _Entrant, budget: Budget
) -> list[_Tried]:
    """Every photograph through one codec at one budget; `plain` is what the judge saw without."""
    found = classify_set(reads, entrant.head, entrant.codec, entrant.settings, budget)
    asked = Outcome(str(budget), entrant.spec, entrant.head.name)
    return [
        _tried(entrant, asked, one, reference) for one, reference in zip(found, plain, strict=True)
    ]


def _tried(
    entrant: _Entrant, asked: Outcome, found: Classified | Failed, reference: Prediction
) -> _Tried:
    if isinstance(found, Failed) or found.encoded is None:
        error = found.error if isinstance(found, Failed) else None
        smallest = error.smallest if isinstance(error, BudgetError) else None
        return _Tried(replace(asked, smallest=smallest, why=str(error)), None)
    head = entrant.head
    first = found.prediction.top(1)[0][0]
    agrees = head.score(found.prediction, head.pseudo_targets(reference))
    outcome = replace(
        asked,
        size=found.encoded.size,
        bpp=found.encoded.bpp,
        label=first.label,
        probability=first.probability,
        agrees=bool(agrees[0] >= 0.5),
        divergence=float(head.divergence(found.prediction, reference)[0]),
    )
    seen = PIXELS in entrant.codec.emits
    return _Tried(outcome, entrant.codec.decode(found.encoded.data) if seen else None)


def _photo(read: Read, prediction: Prediction, outcomes: list[Outcome]) -> Photo:
    first = prediction.top(1)[0][0]
    budgets = dict.fromkeys(outcome.budget for outcome in outcomes)
    winners = {budget: _winner(outcomes, budget) for budget in budgets}
    return Photo(read.name, first.label, first.probability, tuple(outcomes), winners)


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
    reads: Sequence[Read],
    photos: Sequence[Photo],
    columns: Sequence[Sequence[_Tried]],
) -> bytes:
    headings = [_heading(column[0].outcome, head) for column in columns]
    rows = []
    for i, (read, photo) in enumerate(zip(reads, photos, strict=True)):
        plain = Shown(read.image, says=says(photo.label, photo.probability))
        through = [_shown(column[i], photo) for column in columns]
        rows.append(SheetRow(photo.name, (plain, *through)))
    title = f"What {head.name} sees: payload bytes, compared with the uncompressed image"
    if any(column[0].outcome.head != head.name for column in columns):
        title += "; where latents go to a head, the picture is for people"
    return report.contact_sheet(["uncompressed", *headings], rows, title=title)


def _heading(outcome: Outcome, judge: TaskHead) -> str:
    """Codec and budget; between them the head, where the picture is not what it sees."""
    own = [] if outcome.head == judge.name else [f"latents to {outcome.head}"]
    return "\n".join([outcome.codec, *own, outcome.budget])


def _shown(tried: _Tried, photo: Photo) -> Shown:
    outcome = tried.outcome
    if outcome.label is None or outcome.probability is None:
        return Shown(None, note=f"over budget: {outcome.smallest} B at least")
    return Shown(
        tried.image,
        size=outcome.size,
        says=says(outcome.label, outcome.probability),
        agrees=outcome.agrees,
        note="changes least" if photo.winners[outcome.budget] == outcome.codec else "",
    )
