"""Recipes: one YAML file that reproduces one published table and its plot.

    name: imagenet-sample
    kind: profile
    images: [imagenet-sample]          # below the data root
    labels: imagenet-sample/labels.csv
    rates: [0.2, 0.4, 0.8]
    runs:
      - {head: efficientnet-lite0, training: clean, codecs: [jpeg, webp]}

Running it writes `NAME.json`, `NAME.svg` and `NAME.png` into a results folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from codecframe.core import registry
from codecframe.core.classification import CLASSIFICATION
from codecframe.core.errors import DataError
from codecframe.core.files import reported, write_whole
from codecframe.core.head import TaskHead
from codecframe.core.outputs import make_way, refuse_foreign
from codecframe.core.presets import describe, own_words, parse_spec, shortest
from codecframe.core.progress import ProgressMaker
from codecframe.core.task import Task
from codecframe.evaluation import report
from codecframe.evaluation.comparison import Curve, at_no_more_bits, beside_defaults, defaults_of
from codecframe.evaluation.profile import Plan, ProfileTable, Variant, is_profile, profile_images
from codecframe.evaluation.results import is_results, write_results
from codecframe.rate import Accounting
from codecframe.training.recipes import open_recipe_images, read_recipe, recipe_root


@dataclass(frozen=True)
class Run:
    """Codecs in front of one head.

    Attributes:
        head: what judges: a head's name, or a model file.
        codecs: specs such as `jpeg:optimize=true`.
        training: what the head was trained on: `clean`, `retrained`, `adapted` or `joint`.
        beside: the head of the run that has the defaults which these settings are set beside; by
            default this one. For heads that were retrained on what settings leave of images.
        note: what tells its codecs from themselves in other runs; by default the training.
        rates: mean rates to measure at, bits per pixel; by default the recipe's.
    """

    head: str
    codecs: tuple[str, ...]
    training: str = "clean"
    beside: str = ""
    note: str = ""
    rates: tuple[float, ...] = ()

    def words(self) -> dict[tuple[str, str], str]:
        """What the recipe calls settings of preset files, by codec and what `describe` says."""
        found = {}
        for spec in self.codecs:
            if said := own_words(spec):
                codec, settings = parse_spec(spec)
                words = describe(codec, settings)
                if words != describe(codec, codec.settings_type()):  # some presets change nothing
                    found[codec.name, words] = said
        return found


@dataclass(frozen=True)
class ProfileRecipe:
    """A recipe of kind `profile`; the fields are the keys of its file.

    Attributes:
        name: of the results.
        images: image sets, relative to the data root unless absolute.
        runs: codecs and heads.
        rates: mean rates to measure at, bits per pixel.
        labels: labels file relative to the data root, or `folders`; none for agreement.
        where: only rows of the labels file with these values.
        limit: at most so many images.
        tune: keys such as `images` and `limit` of other images, on which the knob levels for the
            rates are chosen; by default they are chosen on the images themselves.
        accounting: bytes that the rates count.
        compare: a codec that each point of the others is compared with, image by image: with its
            point of the highest rate that is not higher.
        uncompressed: a lossless codec; rows then say as `kept` which share of its highest score
            they have.
        data: the data in words, for the table.
        notes: what a reader of the table must know.
    """

    name: str
    images: tuple[str, ...]
    runs: tuple[Run, ...]
    rates: tuple[float, ...]
    labels: str | None = None
    where: Mapping[str, str] | None = None
    limit: int | None = None
    tune: Mapping[str, Any] = field(default_factory=dict)
    accounting: str = "payload"
    compare: str = ""
    uncompressed: str = ""
    data: str = ""
    notes: str = ""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a recipe file.

        Raises:
            DataError: if it cannot be read, or a key is missing, unknown or of the wrong type.
        """
        values = read_recipe(path)
        if values.pop("kind") != "profile":
            raise DataError(str(path), "is not a recipe of kind 'profile'")
        try:
            runs = tuple(
                Run(**{**run, "codecs": tuple(run["codecs"]), "rates": tuple(run.get("rates", ()))})
                for run in values["runs"]
            )
            lists = {key: tuple(values[key]) for key in ("images", "rates")}
            recipe = cls(**{**values, **lists, "runs": runs})
        except KeyError as error:
            raise DataError(str(path), f"says no {error}") from None
        except TypeError as error:
            what = str(error).replace("__init__() ", "")
            raise DataError(str(path), what) from None
        absent = {run.beside for run in runs} - {run.head for run in runs} - {""}
        if absent:
            raise DataError(str(path), f"has no run of the head {min(absent)!r}")
        return recipe

    def note_of(self, run: Run, codec: str) -> str:
        """What tells a codec from itself in another run."""
        runs = sum(codec in {spec.partition(":")[0] for spec in each.codecs} for each in self.runs)
        return (run.note or run.training) if runs > 1 else ""

    def heads(self, path: Path | str) -> list[TaskHead]:
        """The heads of all runs.

        Args:
            path: the recipe's file. A model file that is not there may be what a recipe beside it,
                of the same name, trains.

        Raises:
            DataError: if a model file is not there, or cannot be read.
            UnknownNameError: if there is no head of that name.
        """
        absent = [Path(run.head) for run in self.runs if not Path(run.head).exists()]
        beside = [Path(path).with_name(f"{head.stem}.yaml") for head in absent if head.suffix]
        if first := [file.as_posix() for file in beside if file.exists()]:
            raise DataError(str(path), "wants `codecframe train` first for " + ", ".join(first))
        return [registry.default().head(run.head) for run in self.runs]


def run_recipe(
    path: Path | str,
    results: Path | str,
    data_root: Path | str | None = None,
    *,
    progress: ProgressMaker | None = None,
    force: bool = False,
) -> Path:
    """Run a recipe of kind `profile`, as `codecframe.recipe` does; the path of the table."""
    recipe = ProfileRecipe.load(path)
    root = recipe_root(data_root)
    heads = recipe.heads(path)  # before hours of measuring
    task = heads[0].task
    items = open_recipe_images(vars(recipe), root, task)
    tune = open_recipe_images(recipe.tune, root, task) if recipe.tune else None
    accounting = Accounting(recipe.accounting)
    folder = Path(results)
    _check_results(folder, recipe, force)
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found: list[_Measured] = []
    for number, (run, head) in enumerate(zip(recipe.runs, heads, strict=True), 1):
        rates = run.rates or recipe.rates
        plan = Plan(run.codecs, rates=rates, accounting=accounting, tune=tune)
        profile = folder / f"{recipe.name}-{number}.profile"
        own = run.words()
        with profile_images(profile, items, head, plan, progress=progress) as table:
            for one in _asked_for(plan.variants(head), report.series_of(table, accounting)):
                said = own.get((one.codec, one.words), one.words)
                series = replace(one, words=said, note=recipe.note_of(run, one.codec))
                curve = None
                if not table.has_records:
                    curve = _curve(run, one, table, accounting)
                found.append(_Measured(run, head.task, series, curve))
            measure = report.measure_of(table)
    plot = report.series_plot([one.series for one in found], measure, accounting)
    write_whole(folder / f"{recipe.name}.svg", plot.svg)
    write_whole(folder / f"{recipe.name}.png", plot.png)
    target = folder / f"{recipe.name}.json"
    command = f"codecframe recipe {Path(path).as_posix()}"
    write_results(target, recipe.name, command, _rows(recipe, found), recipe.notes)
    return target


def _check_results(folder: Path, recipe: ProfileRecipe, force: bool) -> None:
    """Check that what is there was made by the recipe: the table or the first profile says so."""
    table = folder / f"{recipe.name}.json"
    profiles = [folder / f"{recipe.name}-{i}.profile" for i in range(1, len(recipe.runs) + 1)]
    refuse_foreign(table, is_results, force=force)
    known = is_results(table) or is_profile(profiles[0])
    for suffix in (".svg", ".png"):
        refuse_foreign(table.with_suffix(suffix), lambda _: known, force=force)
    for profile in profiles:
        refuse_foreign(profile, is_profile, force=force)
        make_way(profile, is_profile)


@dataclass(frozen=True)
class _Measured:
    """A codec variant in front of a head, and the scores of its points by image; None where these
    make no mean (mAP), so that there is nothing to compare image by image.
    """

    run: Run
    task: Task
    series: report.Series
    curve: Curve | None


def _asked_for(variants: Sequence[Variant], series: Sequence[report.Series]) -> list[report.Series]:
    """A profile's series in a recipe's order, without those of what the recipe no longer names."""
    found = {(one.codec, one.words): one for one in series}
    keys = dict.fromkeys(
        (each.codec.name, describe(each.codec, each.settings)) for each in variants
    )
    return [found[key] for key in keys if key in found]


def _curve(run: Run, series: report.Series, table: ProfileTable, accounting: Accounting) -> Curve:
    bpp = np.array([spot.bpp for spot in series.spots])
    scores = [table.per_image(spot.number, accounting).score for spot in series.spots]
    return Curve(series.codec, run.head, series.words, bpp, np.array(scores))


def _rows(recipe: ProfileRecipe, found: Sequence[_Measured]) -> list[dict[str, Any]]:
    curves = [one.curve for one in found if one.curve]
    whole = max(
        (
            spot.score
            for one in found
            if one.series.codec == recipe.uncompressed
            for spot in one.series.spots
        ),
        default=0.0,
    )
    return [
        _row(recipe, one, spot)
        | ({"kept": round(spot.score / whole, 4)} if whole > 0 else {})
        | compared
        for one in found
        for spot, compared in zip(one.series.spots, _compared(recipe, curves, one), strict=True)
    ]


def _row(recipe: ProfileRecipe, one: _Measured, spot: report.Spot) -> dict[str, Any]:
    return {
        "codec": one.series.codec,
        "label": one.series.label,
        "settings": _settings(spot),
        "head": one.run.head,
        "training": one.run.training,
        "data": recipe.data,
        "n": spot.row.n,
        "bpp": round(spot.bpp, 4),
        "accounting": str(Accounting(recipe.accounting)),
        **_scores(one, spot),
        "low": round(spot.low, 4),
        "high": round(spot.high, 4),
        "agreement": _rounded(spot.row.agreement),
        "divergence": _rounded(spot.row.divergence),
        "file_bpp": round(spot.row.file_bpp, 4),
        "encode_us": round(spot.row.encode_us, 1),
        "decode_us": round(spot.row.decode_us, 1),
    }


def _scores(one: _Measured, spot: report.Spot) -> dict[str, Any]:
    """`top1` and `top5` of a classifier; of other heads `metric`, `score` and what else is told."""
    if one.task is CLASSIFICATION:
        return {"top1": round(spot.score, 4), "top5": _rounded(spot.row.top5)}
    figures = {name: round(value, 4) for name, value in spot.row.figures.items()}
    return {"metric": one.task.metric, "score": round(spot.score, 4), **figures}


def _compared(
    recipe: ProfileRecipe, curves: Sequence[Curve], one: _Measured
) -> list[dict[str, Any]]:
    """What each point of a curve is compared with."""
    ours = one.curve
    if ours is None:
        return [{} for _ in one.series.spots]
    found: list[dict[str, Any]] = [{} for _ in ours.bpp]
    if defaults := defaults_of(ours, curves, one.run.beside):
        for row, gained in zip(found, beside_defaults(ours, defaults), strict=True):
            row["defaults"] = gained
    for theirs in curves:
        if theirs.codec == recipe.compare != ours.codec:
            for place, row in enumerate(found):
                row["compared"] = at_no_more_bits(ours, theirs, place)
    return found


def _settings(spot: report.Spot) -> dict[str, Any]:
    point = spot.row.point
    codec = registry.default().codec(point.codec)
    return shortest(codec, codec.settings_type.from_dict(point.settings))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
