"""What is damaged, and what is then done with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mutation
import toys
from toyprofiles import make_table

from codecframe.core import registry
from codecframe.evaluation.profile import ProfileTable
from codecframe.rate import Accounting, Budget
from codecframe.testing import natural_image

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _with_toys() -> None:
    """Let the toys be installed: in a process of its own."""
    found = registry.Registry()
    found.load_installed()
    found.register(toys.ToyPlugin(), "toys")
    registry.default.cache_clear()
    registry.default = lambda: found  # type: ignore[assignment, method-assign]


def make_profile(folder: Path) -> Path:
    _with_toys()
    path = folder / "a.profile"
    make_table(path, labelled=True).close()
    return path


def use_profile(path: Path) -> None:
    """As `select` and `report` do."""
    if "toy" not in registry.default().codecs:
        _with_toys()
    from codecframe.evaluation import report
    from codecframe.evaluation.select import select

    with ProfileTable.open(path) as table:
        table.rows()
        for text, mode in (("4bpp", "cap"), ("300B", "mean"), ("256kbit/s@5fps", "cap")):
            found = select([table], Budget.parse(text, mode), Accounting.PAYLOAD)  # type: ignore[arg-type]
            found.to_dict()
            [candidate.label for candidate in found.candidates]
        report.html([table], found)


def make_preset(folder: Path) -> Path:
    codec = registry.default().codec("jpeg")
    assert codec.presets is not None
    return Path(shutil.copy(min(codec.presets.glob("*.yaml")), folder / "a.yaml"))


def use_preset(path: Path) -> None:
    from codecframe.core.presets import describe, parse_spec

    codec, settings = parse_spec(f"jpeg:preset={path}")
    codec.exports(settings)
    describe(codec, settings)
    codec.encode(natural_image(16, 24), settings)


RECIPE = """\
extends: base.yaml
kind: vae
name: signs
images: [signs/train, signs/more]
labels: folders
where: {split: train, kind: '7'}
limit: 100
epochs: 40
rates: [0.2, 0.8]
shares: [0.5, 0.5]
lambdas: [1.0e-4, 1.0e-6]
head: [256, 1]
"""


def make_recipe(folder: Path) -> Path:
    path = folder / "a.yaml"
    path.write_text(RECIPE.replace("extends: base.yaml\n", ""))
    return path


def use_recipe(path: Path) -> None:
    from codecframe.training.recipes import IMAGE_KEYS, open_recipe_images, read_recipe

    recipe = read_recipe(path)
    trainer = registry.default().trainer(recipe["kind"])
    general = {key: recipe.pop(key) for key in ("kind", "name", *IMAGE_KEYS) if key in recipe}
    trainer.settings_type.from_dict(recipe)
    open_recipe_images(general, path.parent)


HEAD = """\
model: model.pt2
name: signs
labels: [ash, birch, cedar, fir, oak]
outputs: logits
preprocess: {resize: 48, crop: 48, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
"""


def make_head(folder: Path) -> Path:
    path = folder / "a.yaml"
    path.write_text(HEAD)
    return path


def use_head(path: Path) -> None:
    from codecframe.core.headfile import load
    from codecframe.tasks.classification import HeadOptions

    _, options = load(path)
    HeadOptions.read(options)


def make_model(folder: Path) -> Path:
    return Path(shutil.copy(FIXTURES / "vae" / "tiny.safetensors", folder / "a.safetensors"))


def use_model(path: Path) -> None:
    """Encode, decode, classify, look at what it says of itself."""
    codec, head = registry.default().codec(str(path)), registry.default().head(str(path))
    registry.default()._opened.clear()
    images = [natural_image(20, 36, seed=1)]
    for level in (0, 9):
        datas = codec.encode_many(images, codec.settings_type().at_level(level))
        codec.decode_many(datas)
    ready = [head.prepare(image) for image in images]
    latents = codec.decode_latents_many(codec.encode_many(ready, codec.settings_type()))
    head.predict(latents).top(2)
    str((codec.summary, codec.emits, head.labels, head.reference, head.input_shape))


TARGETS: dict[str, tuple[Any, Any, Any]] = {
    "profiles": (make_profile, mutation.damage_profile, use_profile),
    "presets": (make_preset, mutation.damage_yaml, use_preset),
    "recipes": (make_recipe, mutation.damage_yaml, use_recipe),
    "heads": (make_head, mutation.damage_yaml, use_head),
    "models": (make_model, mutation.damage_model, use_model),
}
"""By kind: a whole file in a folder, what damages it, what is done with it."""
