"""The front door of training: `train` and `recipe`, as functions that return what they made."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe.core.errors import DataError
from codecframe.core.files import read_text
from codecframe.core.progress import ProgressMaker, automatic
from codecframe.core.tables import FileResult, Result, Table, interval, percent
from codecframe.training.recipes import read_recipe
from codecframe.training.runs import run_training
from codecframe.training.tables import run_recipe


@dataclass(frozen=True, repr=False)
class Trained(FileResult):
    """A model that was trained; takes the place of its path, e.g. `get_codec(str(trained))`.

    Attributes:
        name: the recipe's name.
        kind: the kind of training.
        path: the model file.
        log: the folder with the log and checkpoints.
    """

    name: str
    kind: str
    path: Path
    log: Path

    def shown(self) -> Sequence[str | Table]:
        """The model file."""
        return [f"model: {self.path}"]


def train(
    recipe: str | os.PathLike[str],
    *,
    models: str | Path = "models",
    data_root: str | Path | None = None,
    changes: Mapping[str, Any] | Iterable[str] = (),
    force: bool = False,
    progress: ProgressMaker | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Trained:
    """Train a model as a recipe file says; a run that was stopped goes on.

        trained = codecframe.train("signs.yaml", changes={"epochs": 5})

    Args:
        recipe: the recipe file (YAML).
        models: folder for the model file; log and checkpoints go into `NAME.log` beside it.
        data_root: folder with the recipe's images; `CODECFRAME_DATA` by default.
        changes: settings over the recipe's: a mapping, or `key=value` texts.
        force: a model file of that name is replaced, whoever made it.
        progress: shows how far it is; by default a bar in notebooks.
        warn: takes what a user should know, e.g. that held-out images look like others.

    Raises:
        DataError: if the recipe or an image cannot be read.
        SettingsError: for a setting that this kind of training does not take.
        UnknownNameError: for a kind that no plugin has.
        DependencyError: if a package that it needs is not installed.
        MismatchError: if labels do not go together.
        OutputError: if files of these names are there that no training made.

    Examples:
        >>> model = cf.train("recipes/cifar10-vae.yaml")  # doctest: +SKIP
    """
    said = read_recipe(Path(recipe))
    path = run_training(
        Path(recipe),
        models,
        data_root,
        changes=_assignments(changes),
        progress=progress or automatic("train"),
        force=force,
        warn=warn,
    )
    return Trained(said["name"], said["kind"], path, path.parent / f"{said['name']}.log")


@dataclass(frozen=True, repr=False)
class Results(Result):
    """A table that a recipe published.

    Attributes:
        path: the JSON file; the plot lies beside it, as `.svg` and `.png`.
        rows: the table, a mapping for each point.
    """

    path: Path
    rows: tuple[Mapping[str, Any], ...]

    def shown(self) -> Sequence[str | Table]:
        """The table, less what only a program needs."""
        metric = next((row["metric"] for row in self.rows if "metric" in row), "top-1")
        kept = any("kept" in row for row in self.rows)
        more = (">kept %",) if kept else ()
        columns = ("codec", "head", ">bpp", f">{metric} %", ">95 %", *more, ">encode µs", ">n")
        cells = [
            (
                row.get("label", row["codec"]),
                row["head"],
                f"{row['bpp']:.3f}",
                percent(row["score"] if "metric" in row else row["top1"]),
                interval(row["low"], row["high"]),
                *((percent(row.get("kept")),) if kept else ()),
                f"{row['encode_us']:.0f}",
                row["n"],
            )
            for row in self.rows
        ]
        return [Table(columns, cells), f"results: {self.path}"]

    def records(self) -> list[dict[str, Any]]:
        """The table as it was published."""
        return [dict(row) for row in self.rows]

    def _repr_html_(self) -> str:
        plot = self.path.with_suffix(".svg")
        picture = read_text(plot) if plot.is_file() else ""
        return picture[max(picture.find("<svg"), 0) :] + super()._repr_html_()


def recipe(
    recipe: str | os.PathLike[str],
    *,
    results: str | Path = "recipes/results",
    data_root: str | Path | None = None,
    force: bool = False,
    progress: ProgressMaker | None = None,
) -> Results:
    """Run a recipe file: reproduce a published table and its plot. A stopped run goes on.

        table = codecframe.recipe("recipes/imagenet-sample.yaml", results="results/")

    Args:
        recipe: the recipe file (YAML), of kind `profile`.
        results: folder for the table (JSON) and the plot (SVG, PNG).
        data_root: folder with the recipe's data; `CODECFRAME_DATA` by default.
        force: files of these names are replaced, whoever made them.
        progress: shows how far it is; by default a bar in notebooks.

    Raises:
        DataError: if the recipe or its images cannot be read, or it wants another training first.
        UnknownNameError: for a codec or head that does not exist.
        OutputError: if files of these names are there that no recipe made.

    Examples:
        >>> table = cf.recipe("recipes/cifar10.yaml")  # doctest: +SKIP
    """
    path = run_recipe(
        Path(recipe), results, data_root, progress=progress or automatic("recipe"), force=force
    )
    try:
        rows = json.loads(read_text(path))["rows"]
    except (ValueError, KeyError) as error:
        raise DataError(str(path), error) from None
    return Results(path, tuple(rows))


def _assignments(changes: Mapping[str, Any] | Iterable[str]) -> list[str]:
    """`key=value` texts, whose values are YAML."""
    if not isinstance(changes, Mapping):
        return list(changes)
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in changes.items()}
    return [f"{key}={text}" for key, text in texts.items()]
