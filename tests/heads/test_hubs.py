"""Heads of hubs: reading real configurations; the hubs' packages are stood in for."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from toys import picture

import codecframe

torch = pytest.importorskip("torch")
from codecframe_hubs import codecframe_open_head  # noqa: E402
from codecframe_hubs.configuration import (  # noqa: E402
    labels_of_hugging_face,
    of_hugging_face,
    of_timm,
    of_torchvision,
)

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}

# as timm 1.0.31 resolves them
RESNET10T = {"input_size": (3, 176, 176), "interpolation": "bicubic", **IMAGENET,
             "crop_pct": 0.875, "crop_mode": "center"}  # fmt: skip
VIT_TINY = {"input_size": (3, 224, 224), "interpolation": "bicubic", "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5), "crop_pct": 0.9, "crop_mode": "center"}  # fmt: skip
SQUASH = {**VIT_TINY, "input_size": (3, 240, 240), "crop_pct": 1.0, "crop_mode": "squash"}


@pytest.mark.parametrize(
    ("said", "resize", "crop"),
    [(RESNET10T, 201, (176, 176)), (VIT_TINY, 248, (224, 224)), (SQUASH, (240, 240), (240, 240))],
)
def test_timm_s_configurations(said: dict[str, Any], resize: Any, crop: Any) -> None:
    found = of_timm(said)
    assert (found.resize, found.crop, found.interpolation) == (resize, crop, "bicubic")
    assert found.mean == tuple(said["mean"]) and found.std == tuple(said["std"])


class ImageClassification(SimpleNamespace):
    """As torchvision's preset looks."""


def test_torchvision_s_presets() -> None:
    # ResNet50_Weights.IMAGENET1K_V2 of torchvision 0.29.1
    preset = ImageClassification(
        crop_size=[224], resize_size=[232], interpolation=SimpleNamespace(value="bilinear"),
        antialias=True, **{name: list(values) for name, values in IMAGENET.items()},
    )  # fmt: skip
    found = of_torchvision(preset)
    assert (found.resize, found.crop, found.interpolation) == (232, 224, "bilinear")
    assert found.std == IMAGENET["std"]
    with pytest.raises(codecframe.MismatchError, match="ObjectDetection"):
        of_torchvision(type("ObjectDetection", (), {})())


# of google/vit-base-patch16-224, microsoft/resnet-50, facebook/convnext-tiny-384's kind,
# google/mobilenet_v2_1.0_224, google/efficientnet-b0, apple/mobilevit-small
VIT = {"do_normalize": True, "do_resize": True, **HALF, "resample": 2, "size": 224}
RESNET = {"crop_pct": 0.875, "do_normalize": True, "do_resize": True, "resample": 3, "size": 224,
          "feature_extractor_type": "ConvNextFeatureExtractor",
          "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}  # fmt: skip
LARGE = {**RESNET, "size": {"shortest_edge": 384}}
MOBILENET = {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, **HALF,
             "resample": 2, "size": {"shortest_edge": 256}}  # fmt: skip
EFFICIENTNET = {"do_center_crop": False, "resample": 0, "rescale_factor": 1 / 127.5,
                "rescale_offset": True, "size": {"height": 224, "width": 224},
                "do_normalize": False}  # fmt: skip
MOBILEVIT = {"do_center_crop": True, "crop_size": {"height": 256, "width": 256},
             "do_flip_channel_order": True, "do_normalize": False, "resample": 2,
             "size": {"shortest_edge": 288}}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        (VIT, {"resize": [224, 224], "mean": [0.5] * 3, "std": [0.5] * 3}),
        (RESNET, {"resize": 256, "crop": [224, 224], "interpolation": "bicubic",
                  "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}),
        (LARGE, {"resize": [384, 384], "interpolation": "bicubic",
                 "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}),
        (MOBILENET, {"resize": 256, "crop": [224, 224], "mean": [0.5] * 3, "std": [0.5] * 3}),
        (EFFICIENTNET, {"resize": [224, 224], "interpolation": "nearest", "scale": 1 / 127.5,
                        "mean": [1.0] * 3}),
        (MOBILEVIT, {"resize": 288, "crop": [256, 256], "channels": "bgr"}),
    ],
)  # fmt: skip
def test_hugging_face_s_configurations(said: dict[str, Any], changed: dict[str, Any]) -> None:
    assert of_hugging_face(said).changed() == changed


@pytest.mark.parametrize(
    "said", [{"size": {"longest_edge": 300}}, {"resample": 4}, {"do_pad": True}]
)
def test_what_cannot_be_said_is_told(said: dict[str, Any]) -> None:
    with pytest.raises(codecframe.MismatchError, match="which `preprocess` cannot say"):
        of_hugging_face(said)


def test_labels_of_hugging_face_s_models() -> None:
    names = {"1": "bee", "0": "ant"}
    assert labels_of_hugging_face({"id2label": names}) == ("ant", "bee")
    assert labels_of_hugging_face({"id2label": {0: "LABEL_0", 1: "LABEL_1"}}) == ()


def test_a_model_of_timm_is_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    network.pretrained_cfg, network.num_classes = {"architecture": "tiny"}, 3
    timm, data = ModuleType("timm"), ModuleType("timm.data")
    timm.create_model = lambda name, pretrained: network
    data.resolve_data_config = lambda args, model: RESNET10T
    data.infer_imagenet_subset = lambda model: None
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    monkeypatch.setattr("codecframe_hubs.open.missing", lambda requires: [])
    head = codecframe_open_head("timm:tiny", {})
    assert (head.name, head.input_shape, head.labels) == ("timm:tiny", (176, 176), ())
    assert head.predict([picture(0, 200, 220)]).scores.shape == (1, 3)
    assert head.torch_model() is network
    said = {"preprocess": {"crop": 64}, "labels": ["a", "b", "c"], "name": "mine"}
    other = codecframe_open_head("timm:tiny", said)
    assert (other.name, other.input_shape, other.labels) == ("mine", (64, 64), ("a", "b", "c"))


@pytest.mark.parametrize("hub", ["timm", "torchvision", "hf"])
def test_a_package_that_is_missing_is_named(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codecframe_hubs.open.missing", lambda requires: list(requires.values()))
    with pytest.raises(codecframe.DependencyError, match=r"pip install 'codecframe\[hubs\]'"):
        codecframe_open_head(f"{hub}:some/model", {})


def test_a_package_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(codecframe.DataError, match=r"cannot be imported with this torch.*nms"):
        codecframe_open_head("timm:tiny", {})


def test_other_names_are_not_of_hubs() -> None:
    from codecframe_callable import codecframe_open_head as open_callable

    assert codecframe_open_head("package.module:function", {}) is None
    assert codecframe_open_head("timm:", {}) is None
    assert open_callable("timm:resnet18", {}) is None
