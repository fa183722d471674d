"""Files that versions before 0.1.0 made still open; profiles: tests/profile/test_formats.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import codecframe
from codecframe.core import registry
from codecframe.core.presets import Preset, find_preset, is_tuned
from codecframe.rate import Accounting
from codecframe.testing import natural_image
from codecframe.training.recipes import read_recipe
from codecframe.training.tables import ProfileRecipe

FIXTURES = Path(__file__).parent / "fixtures"
FIRST = FIXTURES / "first-edition"
SHARED = ("kind", "name", "images", "labels", "where", "limit", "group")


def test_presets() -> None:
    path = FIRST / "avif-preset.yaml"
    assert is_tuned(path)
    preset = Preset.read(path)
    assert preset.scored["accounting"] == "bare"
    assert Accounting(preset.scored["accounting"]) is Accounting.PAYLOAD
    settings = find_preset(codecframe.get_codec("avif"), str(path))
    assert settings.changed()["quality"] == 34


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("vae", "lambdas", (6.0e-3, 1.5e-3, 4.0e-4, 6.0e-5, 1.0e-5, 3.0e-6)),
        ("bottleneck", "lambdas", (2.0e-3, 1.0e-3, 3.0e-4, 8.0e-5, 2.0e-5)),
        ("bottleneck", "external_weights", True),
    ],
)
def test_training_recipes(name: str, field: str, value: object) -> None:
    said = read_recipe(FIRST / f"{name}-recipe.yaml")
    trainer = registry.default().trainer(said["kind"])
    own = {key: v for key, v in said.items() if key not in SHARED}
    settings = trainer.settings_type.from_dict(own)
    found = getattr(settings, field)
    assert (tuple(found) if isinstance(value, tuple) else found) == value


def test_recipes_of_tables() -> None:
    recipe = ProfileRecipe.load(FIRST / "table-recipe.yaml")
    assert Accounting(recipe.accounting) is Accounting.PAYLOAD
    assert recipe.runs[0].codecs[0] == "jpeg"


def test_model_files(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    numpy = pytest.importorskip("safetensors.numpy")
    from safetensors import safe_open

    first = FIXTURES / "vae" / "tiny.safetensors"  # made before external weights had a name
    with safe_open(first, "np") as file:
        said = json.loads(file.metadata()["manifest"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert "borrowed" not in said and "external_weights" not in said
    # as the first edition wrote it, of weights that the file holds itself
    weight = np.arange(3, dtype=np.float32)
    loan = {"key": "stem.weight", "norm": float(np.linalg.norm(weight))}
    said["borrowed"] = {"lender": "a-head", "loans": {"encoder": {"stem": loan}, "head": {}}}
    path = tmp_path / "borrowed.safetensors"
    numpy.save_file(
        {**tensors, "borrowed.stem.weight": weight}, path, {"manifest": json.dumps(said)}
    )
    from codecframe_vae.runtime.modelfile import read_manifest

    manifest = read_manifest(path)
    assert manifest.external_weights.head == "a-head"
    stored = {"borrowed.stem.weight": weight}
    assert manifest.external_weights.load(stored)["stem.weight"].tolist() == [0, 1, 2]
    codec = codecframe.get_codec(str(shutil.copy(first, tmp_path / "tiny.safetensors")))
    image = natural_image(32, 32, seed=1)
    assert codec.decode(codec.encode(image)).shape == image.shape
