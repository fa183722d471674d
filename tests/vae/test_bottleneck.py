"""A codec in front of a classifier that is trained already, by somebody else's module."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import torch
from safetensors.numpy import load_file

import codecframe
from codecframe.core import registry
from codecframe.testing import natural_image
from codecframe.training import run_training
from codecframe_torch import TorchHead
from codecframe_vae.bottleneck.depthwise import depthwise
from codecframe_vae.bottleneck.photos import random_crop
from codecframe_vae.bottleneck.recipe import BottleneckRecipe
from codecframe_vae.runtime.model import Model

MODULE = """
    import torch
    from torch import nn
    from codecframe.testing import natural_image
    from codecframe_torch import TorchHead

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
            self.middle = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
            self.late = nn.Conv2d(8, 8, 3, 2, 1)
            self.last = nn.Linear(8, 3)

        def forward(self, x):
            x = self.late(self.middle(self.early(x)))
            return 20 * self.last(x.mean((2, 3)))

    torch.manual_seed(3)
    net = Net().eval()
    head = TorchHead(
        net, name="theirs", labels=["red", "green", "blue"],
        preprocess={"resize": 36, "crop": 32, "mean": [0.5], "std": [0.2]},
    )
    with torch.no_grad():  # each class is seen about as often
        some = head.predict([natural_image(40, 44, seed=200 + i) for i in range(50)]).scores
        net.last.bias -= torch.from_numpy(some.mean(axis=0)) / 20
"""
RECIPE = """
    kind: bottleneck
    name: mine
    images: [photos]
    head: NAME:head
    layer: middle
    watched: [late]
    latents: 4
    groups: 2
    rates: [0.3, 2.0]
    shares: [0.5, 0.5]
    lambdas: [1.0e-4, 1.0e-6]
    lowest: 0.3
    octave: 6
    batch: 8
    epochs: 2
    held_out: 8
    measured: 50
    decoder_epochs: 1
    decoder_width: 8
    adapter: [8, 1]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file, trained for a moment."""
    folder = tmp_path_factory.mktemp("bottleneck")
    (folder / "theirs_net.py").write_text(textwrap.dedent(MODULE))
    (folder / "photos").mkdir()
    for i in range(58):
        sides = 34 + i % 9, 60 - i % 7
        PilImage.fromarray(natural_image(*sides, seed=i)).save(folder / f"photos/{i:02}.png")
    text = textwrap.dedent(RECIPE).replace("NAME", "theirs_net")
    (folder / "mine.yaml").write_text(text)
    sys.path.append(str(folder))
    return run_training(folder / "mine.yaml", folder / "models", folder)


@pytest.fixture(scope="module")
def external(made: Path) -> Path:
    """Another, of kept features, which leaves out what the classifier has."""
    folder = made.parent.parent
    changes = ["head=theirs", "external_weights=true", "tuned=biases", "views=2", "epochs=3"]
    with pytest.MonkeyPatch.context() as patch:
        _lend(patch, codecframe.get_head("theirs_net:head"))
        return run_training(folder / "mine.yaml", folder / "external", folder, changes=changes)


def _lend(patch: pytest.MonkeyPatch, head: codecframe.TaskHead) -> None:
    """Make a head one that a plugin brings."""
    heads: Any = registry.default().heads
    patch.setitem(heads, "theirs", head)


@pytest.fixture(scope="module")
def pictures() -> list[codecframe.Image]:
    return [natural_image(40, 44, seed=100 + i) for i in range(30)]


def test_the_classifier_says_behind_it_what_it_said(
    made: Path, pictures: list[codecframe.Image]
) -> None:
    codec, head = codecframe.get_codec(str(made)), codecframe.get_head(str(made))
    theirs = codecframe.get_head("theirs_net:head")
    ready = [theirs.prepare(image) for image in pictures]
    assert all(np.array_equal(head.prepare(i), r) for i, r in zip(pictures, ready, strict=True))
    wanted = theirs.predict(ready).scores.argmax(axis=1)
    assert len(set(wanted.tolist())) > 1
    assert head.labels == theirs.labels == ("red", "green", "blue")
    sizes = []
    for level, least in ((0, 0.4), (17, 0.85)):
        datas = codec.encode_many(ready, codec.settings_type().at_level(level))
        seen = head.predict(codec.decode_latents_many(datas)).scores.argmax(axis=1)
        assert (seen == wanted).mean() >= least
        sizes.append(np.mean([len(codec.strip(data)) for data in datas]))
    assert sizes[0] < sizes[1]


def test_images_of_any_size_are_encoded_and_rebuilt(made: Path) -> None:
    codec = codecframe.get_codec(str(made))
    for sides in ((1, 1), (45, 30), (8, 300)):
        image = natural_image(*sides, seed=4)
        data = codec.encode(image, codec.settings_type())
        assert codec.decode(data).shape == image.shape


def test_large_images_pass_in_tiles_with_the_same_latents(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = codecframe.get_codec(str(made))
    settings = codec.settings_type().at_level(12)
    image = natural_image(150, 230, seed=5)
    whole = codec.decode_latents(codec.encode(image, settings)).values
    monkeypatch.setattr("codecframe_vae.runtime.tiles.SIDE", 64)
    monkeypatch.setattr("codecframe_vae.runtime.tiles.HALO", 16)
    tiled = codec.decode_latents(codec.encode(image, settings)).values
    assert tiled.shape == whole.shape
    assert (tiled != whole).mean() < 0.001  # ties of rounding


def test_large_images_are_rebuilt_in_tiles_as_if_whole(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = codecframe.get_codec(str(made))
    image = natural_image(300, 421, seed=5)
    data = codec.encode(image, codec.settings_type().at_level(12))
    whole = codec.decode(data).astype(int)
    monkeypatch.setattr("codecframe_vae.runtime.tiles.SIDE", 64)
    monkeypatch.setattr("codecframe_vae.runtime.tiles.HALO", 64)
    tiled = codec.decode(data)
    assert tiled.shape == image.shape
    assert np.abs(tiled - whole).max() <= 1  # ties of rounding


def test_a_stopped_training_is_gone_on_from(made: Path) -> None:
    assert len((made.parent / "mine.log" / "log.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("layer=nowhere", codecframe.UnknownNameError),
        ("watched=[early]", codecframe.MismatchError),
        ("head=png", codecframe.CodecframeError),
        ("held_out=58", codecframe.SettingsError),
        ("adapter=8", codecframe.SettingsError),
        ("layer=", codecframe.SettingsError),
    ],
)
def test_what_cannot_be_trained_is_refused(
    made: Path, tmp_path: Path, change: str, error: type[Exception]
) -> None:
    folder = made.parent.parent
    with pytest.raises(error):
        run_training(folder / "mine.yaml", tmp_path, folder, changes=[change])
    assert not (tmp_path / "mine.safetensors").exists()


@pytest.mark.parametrize("sides", [(3, 500), (300, 20), (64, 64), (1, 1)])
def test_crops_have_the_size_and_lie_within(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image: Any = np.full((*sides, 3), 200, np.uint8)
    for _ in range(20):
        crop = random_crop(image, (32, 48), 0.35, rng)
        assert crop.shape == (32, 48, 3)
        assert crop.min() == crop.max() == 200  # nothing from outside


def test_a_recipe_names_classifier_and_layer() -> None:
    with pytest.raises(codecframe.SettingsError, match="layer"):
        BottleneckRecipe(head="mine")


def test_features_are_kept_where_the_front_stays(external: Path) -> None:
    rows = [json.loads(row) for row in (external.parent / "mine.log/log.jsonl").open()]
    assert len(rows) == 3
    assert rows[-1]["val top1 @2"] >= 85


def test_what_the_classifier_has_is_left_out(
    external: Path, pictures: list[codecframe.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Any = codecframe.get_head("theirs_net:head")
    tensors = load_file(external)
    graphs = b"".join(tensors[f"{name}.onnx"].tobytes() for name in ("encoder", "head"))
    for layer in (theirs.torch_model().middle[0], theirs.torch_model().late):
        assert layer.weight.detach().numpy().tobytes() not in graphs

    def seen(path: Path) -> Any:
        codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
        datas = codec.encode_many(pictures, codec.settings_type())
        ready = [head.prepare(image) for image in pictures]
        latents = codec.decode_latents_many(codec.encode_many(ready, codec.settings_type()))
        return datas, head.predict(latents).scores.tolist()

    with monkeypatch.context() as patch:
        _lend(patch, theirs)
        expected = seen(external)
        alone = external.with_name("alone.safetensors")
        codec: Any = codecframe.get_codec(str(external))
        codec.save(alone)
    assert seen(alone) == expected  # the same latent space, and needs nothing but the file

    def copy(name: str) -> Path:
        """One that is opened anew."""
        return Path(shutil.copy(external, external.with_name(name)))

    with pytest.raises(codecframe.MismatchError, match="no plugin brings a head 'theirs'"):
        seen(copy("copy.safetensors"))
    changed = deepcopy(theirs.torch_model())
    changed.middle[0].weight.data *= 1.1
    _lend(monkeypatch, TorchHead(changed, name="theirs", labels=["red", "green", "blue"]))
    with pytest.raises(codecframe.MismatchError, match=r"another 'middle\.0\.weight'"):
        seen(copy("other.safetensors"))


def test_a_head_fades_to_the_classifier_as_it_was(external: Path, made: Path) -> None:
    folder = made.parent.parent
    recipe = (
        f"kind: fade\nname: faded\ncodec: {external}\nimages: [photos]\nheld_out: 8\nmeasured: 30"
    )
    (folder / "faded.yaml").write_text(recipe)
    theirs = codecframe.get_head("theirs_net:head")
    with pytest.MonkeyPatch.context() as patch:
        _lend(patch, theirs)
        path = run_training(folder / "faded.yaml", folder / "faded", folder)
        codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
        shares = Model(path).manifest.recipe["fade"]
        assert len(shares) == 18 and set(shares) <= {0, 0.25, 0.5, 0.75, 1}
        before = codecframe.get_codec(str(external))
        images = [theirs.prepare(natural_image(40, 44, seed=300 + i)) for i in range(20)]
        datas = codec.encode_many(images, level=17)
        assert datas == before.encode_many(images, level=17)
        latents = codec.decode_latents_many(datas)
        wanted = theirs.log_probabilities(torch.from_numpy(theirs.predict(images).scores))
        found = torch.from_numpy(head.predict(latents).scores)
        old = torch.from_numpy(codecframe.get_head(str(external)).predict(latents).scores)
        new, was = ((wanted.exp() * (wanted - one)).sum(1).mean() for one in (found, old))
        assert new < was + 0.02
        (folder / "faded.yaml").write_text(recipe.replace(str(external), str(path)))
        with pytest.raises(codecframe.MismatchError, match="fades already"):
            run_training(folder / "faded.yaml", folder / "again", folder)


def test_graphs_tell_no_paths(made: Path) -> None:
    tensors = load_file(made)
    graphs = b"".join(tensors[f"{name}.onnx"].tobytes() for name in ("encoder", "head"))
    assert b".py" not in graphs
    assert str(Path.home()).encode() not in graphs


def test_only_a_plugins_head_lends(made: Path) -> None:
    folder = made.parent.parent
    with pytest.raises(codecframe.MismatchError, match="no plugin brings"):
        run_training(
            folder / "mine.yaml", folder / "not", folder, changes=["external_weights=true"]
        )


@pytest.mark.parametrize(("side", "stride", "padding"), [(8, 1, 1), (9, 2, 0), (10, 2, 1)])
def test_gradients_of_depthwise_convolutions(side: int, stride: int, padding: int) -> None:
    torch.manual_seed(0)
    given = [torch.randn(2, 5, side, side), torch.randn(5, 1, 3, 3), torch.randn(5)]
    pairs = (stride, stride), (padding, padding)

    def gradients(function: Any, *more: Any) -> Any:
        inputs = [value.clone().requires_grad_() for value in given]
        return torch.autograd.grad(function(*inputs, *pairs, *more).square().sum(), inputs)

    ours = gradients(depthwise)
    plain = gradients(torch.nn.functional.conv2d, 1, 5)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
