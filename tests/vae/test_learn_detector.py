"""A codec for a detector that exists."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

import codecframe
from codecframe.core import registry
from codecframe.testing import natural_image
from codecframe_vae.runtime import modelfile

NAME = "learned_detector"
MODULE = """
    import torch
    from torch import nn
    import codecframe
    from codecframe.testing import natural_image
    from codecframe_torch import TorchModel

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
            )
            self.fine, self.down = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 2, 1)
            self.sides, self.classes = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 2, 1)
            self.register_buffer("shift", torch.zeros(2))
            rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
            self.register_buffer("at", torch.stack([columns, rows] * 2, -1).reshape(1, 64, 4))

        def forward(self, x):
            x = self.stem(x)
            coarse = nn.functional.interpolate(self.down(x), scale_factor=2.0)
            x = torch.relu(self.fine(x) + coarse)
            half = 5 + 2 * torch.tanh(self.sides(x).flatten(2).transpose(1, 2))
            boxes = 4 * self.at + 2 + half * torch.tensor([-1.0, -1, 1, 1])
            logits = 30 * (self.classes(x).flatten(2).transpose(1, 2) - self.shift) - 2
            return {"boxes": boxes, "scores": torch.sigmoid(logits)}

    torch.manual_seed(4)
    net = Net().eval()
    options = {
        "labels": ["spot", "edge"],
        "preprocess": {"resize": [32, 32], "mean": [0.5], "std": [0.2]},
    }
    def made():
        return codecframe.get_task("detection").head(TorchModel(net, "theirs"), options)

    some = [natural_image(40, 44, seed=200 + i) for i in range(20)]
    values = made().preprocess.batch([made().prepare(image) for image in some])
    with torch.no_grad():  # what is sure differs from image to image
        scores = net(torch.from_numpy(values))["scores"].logit()
        net.shift += (scores.flatten(0, 1).mean(0) + 2) / 30
    head = made()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With photographs and a module that has a detector."""
    made = tmp_path_factory.mktemp("learn")
    (made / f"{NAME}.py").write_text(textwrap.dedent(MODULE))
    (made / "photos").mkdir()
    for i in range(24):
        PilImage.fromarray(natural_image(36, 50, seed=i)).save(made / f"photos/{i:02}.png")
    sys.path.append(str(made))
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> codecframe.Learned:
    """The codec in closed form."""
    return codecframe.learn(
        f"{NAME}:head", folder / "photos", minutes=0, output=folder / "mine.safetensors"
    )


def seen(path: Any, level: int) -> tuple[codecframe.Detections, float]:
    """(what the head of latents sees in some images at a level, F1 if the detector is right)."""
    codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
    theirs = codecframe.get_head(f"{NAME}:head")
    ready = [theirs.prepare(natural_image(40, 44, seed=100 + i)) for i in range(20)]
    datas = codec.encode_many(ready, codec.settings_type().at_level(level))
    found = head.predict(codec.decode_latents_many(datas))
    wanted = theirs.predict(ready)
    assert 5 < sum(map(len, theirs.pseudo_targets(wanted))) < 600
    return found, float(head.score(found, theirs.pseudo_targets(wanted)).mean())


def test_without_training_the_detector_finds_what_it_found(learned: codecframe.Learned) -> None:
    found, score = seen(learned.path, 17)
    assert isinstance(found, codecframe.Detections) and found.labels == ("spot", "edge")
    assert score >= 0.8
    assert seen(learned.path, 0)[1] < score
    assert "agreement with theirs" in repr(learned)
    json.dumps(learned.to_dict())


def test_the_head_of_latents_stands_for_the_detector(learned: codecframe.Learned) -> None:
    head = codecframe.get_head(str(learned.path))
    theirs = codecframe.get_head(f"{NAME}:head")
    assert head.task is theirs.task and head.input_shape == (32, 32)
    assert head.reference == f"{NAME}:head"


def test_training_never_makes_a_rate_worse(learned: codecframe.Learned, folder: Path) -> None:
    before = codecframe.get_codec(str(learned.path)).emits
    better = codecframe.learn(
        f"{NAME}:head", folder / "photos", minutes=0.02, output=learned.path, progress=None
    )
    registry.default()._opened.clear()
    assert codecframe.get_codec(str(better.path)).emits == before
    assert seen(better.path, 17)[1] >= 0.8


def test_a_file_that_lies_about_its_outputs_is_refused(
    learned: codecframe.Learned, tmp_path: Path
) -> None:
    manifest = modelfile.read_manifest(learned.path)
    arrays = modelfile.read_arrays(learned.path, manifest)
    path = tmp_path / "other.safetensors"
    for changed in ({"boxes": [1 << 40, 4]}, {"boxes": [63, 4], "scores": [63, 2]}, {"boxes": [0]}):
        task = modelfile.TaskOutputs(**(asdict(manifest.task) | {"shapes": changed}))
        modelfile.write_model(path, arrays, replace(manifest, task=task))
        image = natural_image(32, 32, seed=1)
        with pytest.raises(codecframe.DataError):
            codec, head = codecframe.get_codec(str(path)), codecframe.get_head(str(path))
            head.predict([codec.decode_latents(codec.encode(image, codec.settings_type()))])
