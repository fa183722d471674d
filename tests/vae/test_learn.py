"""A codec for a model that exists, with all that it needs chosen."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import torch
from torch import nn

import codecframe
from codecframe.cli.main import run
from codecframe.core import registry
from codecframe.pipeline import counterparts
from codecframe.testing import natural_image
from codecframe_torch import TorchHead
from codecframe_vae.bottleneck.split import front_of, graph_of, tail_of
from codecframe_vae.learn.levelled import Levelled
from codecframe_vae.learn.merge import bypassed, with_packed
from codecframe_vae.learn.places import places
from codecframe_vae.runtime import modelfile

MODULE = """
    import torch
    from torch import nn
    from codecframe.testing import natural_image
    from codecframe_torch import TorchHead

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv = nn.Conv2d(width, width, 3, padding=1)

        def forward(self, x):
            return x + torch.relu(self.conv(x))

    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(inplace=True), Block(8), Block(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()
    head = TorchHead(
        net, name="theirs", labels=["red", "green", "blue"],
        preprocess={"resize": 36, "crop": [32, 28], "mean": [0.5], "std": [0.2]},
    )
    with torch.no_grad():  # each class is seen about as often, and with confidence
        some = [natural_image(40, 44, seed=200 + i) for i in range(50)]
        net[-1].weight *= 60
        net[-1].bias -= torch.from_numpy(head.predict(some).scores.mean(axis=0))
"""
NAME = "learned_net"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With photographs and a module that has a head."""
    made = tmp_path_factory.mktemp("learn")
    (made / f"{NAME}.py").write_text(textwrap.dedent(MODULE))
    (made / "photos").mkdir()
    for i in range(40):
        sides = 34 + i % 9, 60 - i % 7
        PilImage.fromarray(natural_image(*sides, seed=i)).save(made / f"photos/{i:02}.png")
    sys.path.append(str(made))
    return made


@pytest.fixture(scope="module")
def linear(folder: Path) -> codecframe.Learned:
    """The codec in closed form."""
    return codecframe.learn(
        f"{NAME}:head",
        folder / "photos",
        minutes=0,
        keep="60%",
        confidence=0.9,
        output=folder / "mine.safetensors",
    )


def seen(path: Any, level: int) -> tuple[Any, float]:
    """(what the head of latents sees in some images at a level, agreement with the classifier)."""
    codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
    theirs = codecframe.get_head(f"{NAME}:head")
    ready = [theirs.prepare(natural_image(40, 44, seed=100 + i)) for i in range(30)]
    datas = codec.encode_many(ready, codec.settings_type().at_level(level))
    scores = head.predict(codec.decode_latents_many(datas)).scores
    wanted = theirs.predict(ready).scores.argmax(axis=1)
    assert len(set(wanted.tolist())) > 1
    return scores, float((scores.argmax(axis=1) == wanted).mean())


def test_without_training_the_classifier_says_what_it_said(linear: codecframe.Learned) -> None:
    assert seen(linear.path, 17)[1] >= 0.9
    codec = codecframe.get_codec(str(linear.path))
    image = natural_image(45, 30, seed=4)
    assert codec.decode(codec.encode(image, codec.settings_type())).shape == image.shape


def test_images_that_did_not_choose_say_what_is_kept(linear: codecframe.Learned) -> None:
    kept = linear.kept
    assert kept is not None
    assert (kept["what"], kept["confidence"], kept["images"]) == ("60%", 0.9, 10)
    assert kept["sure"] and kept["kept"] >= 0.6 and 0 <= kept["level"] < 17
    said = f"60% kept: {kept['bpp']:.3f} bpp (mine.safetensors:level={kept['level']})"
    assert said in repr(linear)
    assert {one["agreement"] for one in linear.saved} == {0.6}


def test_too_few_images_for_a_promise(folder: Path) -> None:
    with pytest.raises(codecframe.BudgetError, match=r"40 images are too few .* at least 90 are"):
        codecframe.learn(f"{NAME}:head", folder / "photos", minutes=0, score=0.935)


def test_a_classifier_without_names_of_classes_does(
    linear: codecframe.Learned, tmp_path: Path
) -> None:
    manifest = modelfile.read_manifest(linear.path)
    arrays = modelfile.read_arrays(linear.path, manifest)
    path = tmp_path / "bare.safetensors"
    modelfile.write_model(path, arrays, replace(manifest, classes=()))
    codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
    data = codec.encode_many([natural_image(32, 28, seed=i) for i in range(2)])
    assert head.predict(codec.decode_latents_many(data)).scores.shape == (2, 3)


def test_what_was_chosen_is_shown(linear: codecframe.Learned) -> None:
    text = repr(linear)
    assert "places to cut" in text and "agreement with theirs" in text and "jpeg" in text
    assert linear.chosen["layer"] in {cut["layer"] for cut in linear.cuts}
    assert "<table" in linear._repr_html_()
    json.dumps(linear.to_dict())
    assert {row["codec"] for row in linear.records()} >= {"mine", "jpeg", "webp"}
    assert linear.images == 8


def test_the_recipe_makes_it_again(linear: codecframe.Learned, folder: Path) -> None:
    again = codecframe.train(linear.recipe, models=folder / "again", data_root=folder)
    space = [codecframe.get_codec(str(path)).emits[0] for path in (linear.path, again.path)]
    assert space[0].channels == space[1].channels and space[0].stride == space[1].stride
    assert seen(again.path, 17)[1] >= 0.9


def test_more_minutes_go_on_and_payloads_stay(linear: codecframe.Learned, folder: Path) -> None:
    before = codecframe.get_codec(str(linear.path)).emits
    arguments: Any = {"output": linear.path, "progress": None, "keep": "60%", "confidence": 0.9}
    images = folder / "photos"
    better = codecframe.learn(f"{NAME}:head", images, minutes=0.02, **arguments)
    registry.default()._opened.clear()
    assert codecframe.get_codec(str(better.path)).emits == before
    assert better.chosen["layer"] == linear.chosen["layer"]
    assert seen(better.path, 17)[1] >= 0.9
    checkpoint = linear.path.with_name("mine.log") / "last.safetensors"
    at = checkpoint.stat().st_mtime_ns
    codecframe.learn(f"{NAME}:head", images, minutes=0.02, **arguments)  # is done already
    assert checkpoint.stat().st_mtime_ns == at
    with pytest.raises(codecframe.MismatchError, match="device_ms"):
        codecframe.learn(f"{NAME}:head", images, minutes=0, device_ms=9, **arguments)


def test_a_folder_of_models_is_looked_through(
    linear: codecframe.Learned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "other.safetensors").write_bytes(b"not one")
    monkeypatch.setenv("CODECFRAME_MODELS", str(folder))
    found = registry.Registry()
    found.load_installed()
    monkeypatch.setattr(registry, "default", lambda: found)
    theirs = found.head(f"{NAME}:head")
    assert [other.name for other in counterparts(theirs)] == ["mine"]
    assert str(linear.path) in found.codecs


def test_by_its_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    arguments = ["learn", "--head", f"{NAME}:head", "--images", "photos", "--minutes", "0"]
    assert run([*arguments, "-o", "mine.png"]) == 2
    assert "--output" in capsys.readouterr().err
    (folder / "foreign.safetensors").write_text("mine")
    assert run([*arguments, "-o", "foreign.safetensors"]) == 1
    assert "did not make" in capsys.readouterr().err
    assert run([*arguments, "--limit", "3"]) == 1
    assert "too few" in capsys.readouterr().err


def head_of(module: nn.Module) -> TorchHead:
    preprocess = {"crop": 24, "std": [0.25]}
    return TorchHead(module, name="odd", preprocess=preprocess, outputs="logits")


class Flat(nn.Module):
    """Has no maps."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3 * 24 * 24, 3)

    def forward(self, x: Any) -> Any:
        return self.last(x.flatten(1))


class Steps(nn.Module):
    """Has no gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.last((self.first(x) > 0).float().mean((2, 3)))


@pytest.mark.parametrize(("module", "reason"), [(Flat(), "cut"), (Steps(), "image|gradient")])
def test_models_from_which_nothing_can_be_learned_are_refused(
    module: nn.Module, reason: str, tmp_path: Path
) -> None:
    images = [natural_image(24, 24, seed=i) for i in range(20)]
    with pytest.raises(codecframe.MismatchError, match=reason):
        codecframe.learn(head_of(module), images, output=tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()


def test_a_network_is_cut_where_all_passes_through(folder: Path) -> None:
    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 2, 1)
            self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
            self.late = nn.Conv2d(8, 5, 3, 2, 1)

        def forward(self, x: Any) -> Any:
            x = self.stem(x).relu()
            x = torch.cat([self.left(x), self.right(x)], 1)
            return self.late(x).mean((2, 3))

    example = torch.rand(2, 3, 16, 16)
    found = places(graph_of(Skipping().eval(), example), example[:1])
    assert [place.shape[0] for place in found] == [8, 8, 5]
    assert found[0].parameters == 3 * 8 * 9 + 8
    assert found[0].macs == 27 * 8 * 8 * 8
    assert found[2].layer == "late"


def test_what_crosses_a_cut_together_is_packed_as_one() -> None:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 8, 3, 2, 1)
            self.middle = nn.Conv2d(8, 6, 3, 2, 1)
            self.coarse = nn.Conv2d(6, 5, 3, 2, 1)
            self.necks = nn.ModuleList(nn.Conv2d(width, 2, 1) for width in (8, 6, 5))

        def forward(self, x: Any) -> Any:
            fine = self.fine(x).relu()
            middle = self.middle(fine).relu()
            coarse = self.coarse(middle).relu()
            three = [
                neck(one) for neck, one in zip(self.necks, (fine, middle, coarse), strict=True)
            ]
            return torch.cat([one.tanh().mean((2, 3)) for one in three], 1)

    net, images = Pyramid().eval(), torch.rand(3, 3, 32, 48)
    graph = with_packed(graph_of(net, images, any_size=False))
    found = places(graph, images[:1])
    packed = [place for place in found if place.layer.startswith("packed")]
    assert packed and found[0].shape == (8, 16, 24)
    assert (2 * 16 + 2 * 4 + 2, 4, 6) in [place.shape for place in packed]
    for place in packed:
        front = front_of(graph, place.layer)
        tail = tail_of(graph, place.layer, [], images)
        alone = bypassed(graph, place.layer)
        with torch.no_grad():
            assert torch.allclose(tail(front(images))[0], net(images), atol=1e-6)
            assert torch.allclose(alone(images)[0], net(images), atol=1e-6)
            latest = tail_of(alone, place.layer, [], images)
            assert torch.allclose(latest(front_of(alone, place.layer)(images))[0], net(images))


def test_a_shift_of_nothing_changes_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    example = torch.rand(2, 3, 12, 12)
    tail = tail_of(graph_of(net, example), "0", [], example)
    levelled = Levelled(tail)
    features = torch.rand(2, 4, 10, 10)
    assert levelled.width == 2
    same = levelled(features, torch.zeros(2, 2))[0]
    assert torch.equal(same, tail(features)[0])
    moved = levelled(features, torch.tensor([[0.0, 0.0], [1.0, 2.0]]))[0]
    expected = torch.tensor([1.0, 2.0])[:, None, None].expand(2, 8, 8)
    assert torch.allclose(moved[1] - same[1], expected, atol=1e-6)
    assert torch.equal(moved[0], same[0])


def test_least_squares_see_only_what_is_decoded() -> None:
    from codecframe_vae.training.contexts import least_squares

    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 1, 9, 9))
    latents = np.rint(4 * np.concatenate([base, np.roll(base, 1, 3), base, base], 1))
    weight = least_squares(latents.astype(np.int16), 2)
    assert not weight[0, :2].any()  # nothing is known of even squares of the first group
    assert not weight[1, :2, :, [0, 2, 4, 6, 8]].any()
    assert weight[0, 2, 0, 4] == pytest.approx(1, abs=0.05)
