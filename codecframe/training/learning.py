"""`learn`: a codec for a model that exists, and the table of what it reached."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core import headfile, registry, yamltext
from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import BudgetError, MismatchError, UsageError
from codecframe.core.files import models_folder, read_text, write_whole
from codecframe.core.head import TaskHead
from codecframe.core.parallel import peak_memory, share_cores
from codecframe.core.progress import ProgressMaker, automatic
from codecframe.core.split import hold_out
from codecframe.core.tables import FileResult, Table, percent
from codecframe.core.trainer import Trainer
from codecframe.images import ImageSet, open_labelled
from codecframe.rate import Keep
from codecframe.training.comparison import AIMS, beside, kept_at, saved
from codecframe.training.runs import require_all, run_on, without_targets

KIND = "learn"
"""The kind of training."""
REPORT = "learned.json"
"""In the training's folder: what was chosen."""
_SUFFIX = ".safetensors"
_NOTABLY = 0.85
_COMPARED = 24
"""Held-out images that codecs are compared on, at most."""
_SHOWN = 4
"""Rates of the table."""
_BEYOND = (3.0,)
"""Rates above the table's at which standard codecs are tried as well, in times of its highest."""


@dataclass(frozen=True, repr=False)
class Learned(FileResult):
    """A codec that was learned for a head; takes the place of its path.

    Attributes:
        path: the model file: codec and head of latents.
        head: the head that it was made for.
        recipe: the file that makes it again, by `codecframe train`.
        chosen: what that says.
        cuts: places where the head can be cut: layer, size, milliseconds, bits per pixel.
        images: held-out images that the table is of.
        rows: the table: codec, rate asked for, `bpp`, `agreement`, and `score` with labels.
        saved: for each codec, how many bits this one saves where both agree so often.
        peak_memory: bytes that this process held at most; None where the system does not say.
        kept: where something must stay right: `what`, `level` of the fewest bytes that surely keeps
            it, or else the highest, `sure`, `bpp`, `kept`, `images` that decided, `confidence`.
    """

    path: Path
    head: str
    recipe: Path
    chosen: Mapping[str, Any]
    cuts: tuple[Mapping[str, Any], ...]
    images: int
    rows: tuple[Mapping[str, Any], ...]
    saved: tuple[Mapping[str, Any], ...]
    peak_memory: int | None = None
    kept: Mapping[str, Any] | None = None

    def shown(self) -> Sequence[str | Table]:
        """The candidates, the table, what is saved, the files."""
        parts: list[str | Table] = []
        if self.cuts:
            parts += [self._cut_table(), *self._over_limit(), *self._better_cut(), ""]
        parts += [self._rate_table(), *dict.fromkeys(map(_sentence, self.saved))]
        if self.kept is not None:
            parts.append(_kept_sentence(self.kept, self.path))
        parts += [f"model: {self.path}", f"recipe: {self.recipe}"]
        if self.peak_memory:
            parts.append(f"peak memory: {self.peak_memory / 1e9:.1f} GB")
        return parts

    def _cut_table(self) -> Table:
        columns = ("", "layer", ">channels", ">map", ">parameters", ">MMAC", ">ms", ">bpp")
        rows = [
            (
                "*" if cut["layer"] == self.chosen["layer"] else "",
                cut["layer"],
                cut["channels"],
                f"{cut['width']}x{cut['height']}",
                f"{cut['parameters']:,}",
                f"{cut['macs'] / 1e6:.0f}",
                f"{cut['milliseconds']:.1f}",
                f"{cut['bpp']:.3f}",
            )
            for cut in self.cuts
        ]
        return Table(columns, rows, title="places to cut (* is taken)")

    @property
    def _taken(self) -> Mapping[str, Any]:
        return next(cut for cut in self.cuts if cut["layer"] == self.chosen["layer"])

    def _over_limit(self) -> list[str]:
        """That the encoder takes longer than it may, if so."""
        took = self._taken["milliseconds"]
        limit = self.chosen["device_ms"]
        return [f"no place fits in --device-ms {limit:g}: {took:.1f}"] if took > limit else []

    def _better_cut(self) -> list[str]:
        """What the encoder would have to take for fewer bits, if that helps."""
        taken = self._taken
        better = [cut for cut in self.cuts if cut["bpp"] < _NOTABLY * taken["bpp"]]
        if not better:
            return []
        cut = min(better, key=lambda one: one["milliseconds"])
        fewer = 100 * (1 - cut["bpp"] / taken["bpp"])
        return [
            f"with --device-ms {cut['milliseconds'] + 0.05:.1f}, {cut['layer']} would need "
            f"{fewer:.0f} % fewer bits"
        ]

    def _rate_table(self) -> Table:
        rates = sorted({row["asked"] for row in self.rows if row["asked"] <= self._highest})
        codecs = dict.fromkeys(row["codec"] for row in self.rows)
        cells = {(row["codec"], row["asked"]): row for row in self.rows}
        rows = [(codec, *(_cell(cells.get((codec, rate))) for rate in rates)) for codec in codecs]
        title = f"agreement with {self.head}, % (bpp), on {self.images} held-out images"
        return Table(("codec", *(f">{rate:g} bpp" for rate in rates)), rows, title=title)

    @property
    def _highest(self) -> float:
        """The table's highest rate."""
        own = {row["asked"] for row in self.rows if row["codec"] == self.rows[0]["codec"]}
        return max(sorted(own)[:_SHOWN], default=0.0)

    def records(self) -> list[dict[str, Any]]:
        """The rows of the table."""
        return [dict(row) for row in self.rows]


def learn(
    head: TaskHead | str | os.PathLike[str],
    images: Any,
    *,
    minutes: float = 10,
    device_ms: float = 5,
    keep: Keep | str | None = None,
    score: float | None = None,
    confidence: float | None = None,
    labels: str | Path | Sequence[int | str] | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    data_root: str | Path | None = None,
    output: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Learned:
    """Make a learned codec for a head that exists, from images without labels.

        learned = codecframe.learn("model.onnx", "photos/", minutes=10)

    The head is cut where its features need fewest bits. A codec in closed form is written first; it
    works. Then what follows it is trained for as many minutes as are given. A run that was stopped
    goes on, and one with more minutes than the last goes on from there.

    Args:
        head: the model: a head, its name, a model file or a function that makes one.
        images: some hundred, as `open_images` takes them.
        minutes: of training, in all runs together; 0: the codec in closed form.
        device_ms: milliseconds that the encoder may take for an image, in one thread of this
            machine.
        keep, score, confidence: what must stay right, as `codecframe.select` takes it. Images that
            neither train nor choose then say which level surely keeps it.
        labels: the truth, where it is known: a labels file, `folders`, or a label an image.
        where, limit, data_root: as `open_images` takes them.
        output: the model file, `*.safetensors`; by default one with the head's name, in the folder
            that `CODECFRAME_MODELS` names, or here. Log and checkpoints go into `NAME.log` beside
            it.
        force: a file of that name is replaced, whoever made it.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know.

    Returns:
        The codec, with a table of it and standard codecs, on images that were held out.

    Raises:
        MismatchError: if the head cannot be cut, has no gradients, or keeps too little of what it
            says.
        DataError: if images cannot be read.
        BudgetError: if the images are too few for what must stay right.
        DependencyError: if a package is not installed.
        OutputError: if another file is there.

    Examples:
        >>> learned = cf.learn("model.onnx", "photos", minutes=10)  # doctest: +SKIP
    """
    share_cores()  # before torch is imported
    found = registry.default()
    trainer: Trainer[Any] = found.trainer(KIND)
    require_all(trainer)
    judge = head if isinstance(head, TaskHead) else found.head(os.fspath(head))
    spec = found.hold_head(judge)
    path = _output(output, judge)
    items = open_labelled(
        images, labels, where=where, limit=limit, data_root=data_root, task=judge.task
    )
    if len(items) < _LEAST:
        raise MismatchError(f"{len(items)} images are too few to learn from: {_LEAST} at least")
    asked = Keep.asked(keep, score, confidence)
    settings = trainer.settings_type.from_dict(
        {
            "head": spec,
            "minutes": float(minutes),
            "device_ms": float(device_ms),
            "apart": 0 if asked is None else _apart(asked, len(items)),
        }
    )
    general: dict[str, Any] = {"kind": KIND, "name": path.stem, "images": _named(images)}
    if isinstance(labels, (str, Path)):
        general["labels"] = str(labels)
    for key, value in (("where", where), ("limit", limit)):
        if value:
            general[key] = dict(value) if isinstance(value, Mapping) else value
    shown = progress or automatic("learn")
    learnt = items if judge.task is CLASSIFICATION else without_targets(items)
    run = run_on(
        trainer, settings, learnt, general, path.parent,
        data_root=data_root, progress=shown, force=force, warn=warn,
    )  # fmt: skip
    report = json.loads(read_text(run.folder / REPORT))
    recipe = run.folder / "recipe.yaml"
    write_whole(recipe, yamltext.dump({**report["recipe"], "minutes": float(minutes)}))
    found.renew()
    apart = report.get("apart", [])
    held = [items[at] for at in hold_out(report["held_out"] + len(apart), len(items))]
    choosing = [one for at, one in enumerate(held) if at not in set(apart)]
    compared = ImageSet([choosing]).spread(_COMPARED)
    known = [_rounded(rate) for rate in report["recipe"]["rates"]][1:]
    rates = known[:_SHOWN]
    wide = [*rates, *(_rounded(rates[-1] * more) for more in _BEYOND)]
    rows = beside(str(path), judge, compared, known, wide, path.stem, shown)
    aims = (asked.least,) if asked is not None and asked.of == "predictions" else AIMS
    return Learned(
        path=path,
        head=judge.name,
        recipe=recipe,
        chosen=report["recipe"],
        cuts=tuple(report["cuts"]),
        images=len(compared),
        rows=tuple(rows),
        saved=tuple(saved(rows, aims)),
        kept=None if asked is None else kept_at(path, [held[at] for at in apart], asked),
        peak_memory=peak_memory(),
    )


_LEAST = 16
"""Images."""
_DECIDING = 1000
"""Images that say what is kept, at most, where fewer do."""


def _apart(keep: Keep, count: int) -> int:
    """How many of the images neither train nor choose.

    Raises:
        BudgetError: if too few are left.
    """
    needed = keep.images_needed()
    if 2 * needed > count:
        raise BudgetError(
            f"{count} images are too few to learn from and to be {100 * keep.confidence:g} % sure "
            f"of {keep.text}: at least {2 * needed} are needed"
        )
    return max(needed, min(count // 4, _DECIDING))


def _rounded(rate: float) -> float:
    """A rate as tables say it."""
    return float(f"{rate:.2g}")


def _output(output: str | Path | None, head: TaskHead) -> Path:
    """The model file.

    Raises:
        UsageError: if its name does not end as it must.
    """
    if output is None:
        own = head.spec if head.spec.endswith(headfile.SUFFIXES) else head.name
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(own).stem)
        return models_folder() / f"{name}-learned{_SUFFIX}"
    path = Path(output)
    if path.suffix != _SUFFIX:
        raise UsageError(f"{{output}} is the name of a model file, *{_SUFFIX}")
    return path


def _named(images: Any) -> list[str]:
    """Images as a recipe names them."""
    several = images if isinstance(images, (list, tuple)) else [images]
    named = [os.fspath(one) for one in several if isinstance(one, (str, os.PathLike))]
    return named or ["(given)"]


def _sentence(saved: Mapping[str, Any]) -> str:
    aim, codec = f"{100 * saved['agreement']:.0f} % agreement", saved["codec"]
    if saved["own"] is None:
        return f"{aim}: not reached at the rates of the table"
    share = 100 * (1 - saved["own"] / saved["other"])
    if share <= 0:
        return f"{aim}: {saved['own']:.2f} bpp, {codec} {saved['other']:.2f}"
    more = "" if saved["reached"] else "more than "
    return (
        f"{aim}: {saved['own']:.2f} bpp, {codec} {more}{saved['other']:.2f}: "
        f"{more}{share:.0f} % of the bits saved"
    )


def _kept_sentence(kept: Mapping[str, Any], path: Path) -> str:
    found = f"{kept['bpp']:.3f} bpp ({path.name}:level={kept['level']})"
    if kept["sure"]:
        sure = f"{100 * kept['confidence']:g} % sure by {kept['images']} images"
        return f"{kept['what']} kept: {found}, {sure} that neither trained nor chose"
    return (
        f"{kept['what']} is not sure at any level: {100 * kept['kept']:.1f} % of {kept['images']} "
        f"images at {found}"
    )


def _cell(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None else f"{percent(row['agreement'])} ({row['bpp']:.3f})"
