"""Recipes: one flat YAML file that reproduces one published table and its plot.

    name: imagenet-sample
    kind: profile
    head: efficientnet-lite0
    images: [imagenet-sample]          # below the data root
    labels: imagenet-sample/labels.csv
    codecs: [jpeg, webp]
    rates: [0.2, 0.4, 0.8]

Running it writes `NAME.json`, `NAME.svg` and `NAME.png` into a results folder.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecframe import registry, report
from codecframe.errors import DataError
from codecframe.paths import write_whole
from codecframe.profile import Plan, ProfileTable, Row, profile_images
from codecframe.progress import ProgressMaker
from codecframe.rate import Accounting
from codecframe.recipefile import open_recipe_images, read_recipe, recipe_root


@dataclass(frozen=True)
class ProfileRecipe:
    """A recipe of kind `profile`; the fields are the keys of its file.

    Attributes:
        name: of the results.
        head: what judges.
        images: image sets, relative to the data root unless absolute.
        codecs: specs such as `jpeg:optimize=true`.
        rates: mean rates to measure at, bits per pixel.
        labels: labels file relative to the data root, or `folders`; none for agreement.
        where: only rows of the labels file with these values.
        limit: at most so many images.
        accounting: bytes that the rates count.
        data: the data in words, for the table.
        training: what the head was trained on: `clean`, `retrained` or `joint`.
        notes: what a reader of the table must know.
    """

    name: str
    head: str
    images: tuple[str, ...]
    codecs: tuple[str, ...]
    rates: tuple[float, ...]
    labels: str | None = None
    where: Mapping[str, str] | None = None
    limit: int | None = None
    accounting: str = "bare"
    data: str = ""
    training: str = "clean"
    notes: str = ""

    @classmethod
    def load(cls, path: Path | str) -> ProfileRecipe:
        """Read a recipe file.

        Raises:
            DataError: if it cannot be read, or a key is missing, unknown or of the wrong type.
        """
        values = read_recipe(path)
        if values.pop("kind") != "profile":
            raise DataError(str(path), "is no recipe of kind 'profile'")
        lists = {
            key: tuple(values[key]) if isinstance(values.get(key), list) else values.get(key)
            for key in ("images", "codecs", "rates")
        }
        try:
            return cls(**{**values, **lists})
        except TypeError as error:
            what = str(error).replace("ProfileRecipe.__init__() ", "")
            raise DataError(str(path), what) from None


def run_recipe(
    path: Path | str,
    results: Path | str,
    data_root: Path | str | None = None,
    *,
    progress: ProgressMaker | None = None,
) -> Path:
    """Run a recipe of kind `profile` and write its results.

    Args:
        path: the recipe file.
        results: folder for `NAME.json`, `NAME.svg`, `NAME.png` and, meanwhile, the profile.
        data_root: folder below which the recipe's data lies.
        progress: shows how far it is.

    Returns:
        The path of the JSON file.
    """
    recipe = ProfileRecipe.load(path)
    items = open_recipe_images(vars(recipe), recipe_root(data_root))
    head = registry.default().head(recipe.head)
    accounting = Accounting(recipe.accounting)
    plan = Plan(codecs=recipe.codecs, rates=recipe.rates, accounting=accounting)
    folder = Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    profile = folder / f"{recipe.name}.profile"
    with profile_images(profile, items, head, plan, progress=progress) as table:
        made = _results(recipe, path, table)
        plot = report.rate_accuracy_plot(table, accounting=accounting)
        write_whole(folder / f"{recipe.name}.svg", plot.svg)
        write_whole(folder / f"{recipe.name}.png", plot.png)
        target = folder / f"{recipe.name}.json"
        write_whole(target, json.dumps(made, indent=1) + "\n")
    return target


def _results(recipe: ProfileRecipe, path: Path | str, table: ProfileTable) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "command": f"codecframe recipe {Path(path).as_posix()}",
        "seed": None,
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "notes": recipe.notes,
        "rows": [_row(recipe, row) for row in table.rows()],
    }


def _row(recipe: ProfileRecipe, row: Row) -> dict[str, Any]:
    bare = recipe.accounting == "bare"
    score = row.agreement if row.score is None else row.score
    low = row.agreement_low if row.score is None else row.score_low
    high = row.agreement_high if row.score is None else row.score_high
    settings = registry.default().codec(row.point.codec).settings_type.from_dict(row.point.settings)
    return {
        "codec": row.point.codec,
        "settings": settings.changed(),
        "head": recipe.head,
        "training": recipe.training,
        "data": recipe.data,
        "n": row.n,
        "bpp": round(row.bare_bpp if bare else row.file_bpp, 4),
        "accounting": recipe.accounting,
        "top1": _rounded(score),
        "low": _rounded(low),
        "high": _rounded(high),
        "agreement": _rounded(row.agreement),
        "divergence": _rounded(row.divergence),
        "file_bpp": round(row.file_bpp, 4),
        "encode_us": round(row.encode_us, 1),
        "decode_us": round(row.decode_us, 1),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
