"""Models of hubs, made by their packages, with the preprocessing and labels that they come with."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import codecframe
from codecframe import require
from codecframe.core.files import read_text
from codecframe.core.registry import missing
from codecframe_hubs.configuration import (
    labels_of_hugging_face,
    of_hugging_face,
    of_timm,
    of_torchvision,
)
from codecframe_hubs.head import INSTALL, HubHead


def open_hub(hub: str, name: str, options: codecframe.HeadOptions) -> HubHead:
    """The head of a hub's model.

    Args:
        hub: `timm`, `torchvision` or `hf`.
        name: the model's, as the hub has it.
        options: what the user says of it.

    Raises:
        DependencyError: if the hub's package is not installed.
        DataError: if there is no such model, or its weights cannot be fetched.
        MismatchError: if its preprocessing cannot be expressed; that of `options` is then needed.
    """
    make = {"timm": _timm, "torchvision": _torchvision, "hf": _hugging_face}[hub]
    return make(name, f"{hub}:{name}", options)


def _timm(name: str, spec: str, options: codecframe.HeadOptions) -> HubHead:
    timm = _package("timm")
    data = _package("timm.data")
    model = _fetched(spec, lambda: timm.create_model(name, pretrained=True))
    preprocess = of_timm(data.resolve_data_config({}, model=model))
    return HubHead(model, spec, preprocess, _timm_labels(data, model), options)


def _timm_labels(data: ModuleType, model: Any) -> tuple[str, ...]:
    """Of the model's own configuration, or of the part of ImageNet that it was trained on."""
    own = model.pretrained_cfg
    named = own.get("label_descriptions") or own.get("label_names")
    if named:
        keys = own.get("label_names") or list(named)
        return tuple(named[key] if isinstance(named, dict) else key for key in keys)
    subset = data.infer_imagenet_subset(model)
    if not subset:
        return ()
    found = tuple(data.ImageNetInfo(subset).label_descriptions())
    return found if len(found) == model.num_classes else ()


def _torchvision(name: str, spec: str, options: codecframe.HeadOptions) -> HubHead:
    """`NAME`, or `NAME:WEIGHTS` for other weights than the package's best."""
    models = _package("torchvision.models")
    name, _, wanted = name.partition(":")
    try:
        known = models.get_model_weights(name)
        weights = known[wanted] if wanted else known.DEFAULT
    except KeyError:
        known_names = ", ".join(one.name for one in known)
        raise codecframe.DataError(spec, f"has the weights {known_names}") from None
    except ValueError as error:
        raise codecframe.DataError(spec, error) from None
    preprocess = of_torchvision(weights.transforms())
    model = _fetched(spec, lambda: models.get_model(name, weights=weights))
    return HubHead(model, spec, preprocess, tuple(weights.meta["categories"]), options)


def _hugging_face(name: str, spec: str, options: codecframe.HeadOptions) -> HubHead:
    """A repository, or a folder of the same files. No code of the repository is run, and no pickle
    is read.
    """
    transformers = _package("transformers")
    kind = transformers.AutoModelForImageClassification
    model = _fetched(
        spec, lambda: kind.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    )
    preprocess = of_hugging_face(_preprocessor(name, spec))
    return HubHead(model, spec, preprocess, labels_of_hugging_face(model.config.to_dict()), options)


def _preprocessor(name: str, spec: str) -> dict[str, Any]:
    """The `preprocessor_config.json` of a repository or folder."""
    file = "preprocessor_config.json"
    path = Path(name) / file
    if not path.is_file():
        hub = require("huggingface_hub", INSTALL)
        path = _fetched(spec, lambda: Path(hub.hf_hub_download(name, file)))
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise codecframe.DataError(str(path), error) from None
    if not isinstance(found, dict):
        raise codecframe.DataError(str(path), "is not a JSON object")
    return found


def _package(name: str) -> ModuleType:
    """Import a hub's package.

    Raises:
        DependencyError: if it is not installed.
        DataError: if it is, and fails: often made for another torch.
    """
    require("torch", INSTALL)
    hub = name.partition(".")[0]
    if missing({hub: INSTALL}):
        raise codecframe.DependencyError(hub, INSTALL)
    try:
        return require(name, INSTALL)
    except codecframe.CodecframeError:
        raise
    except Exception as error:  # whatever a package's import does
        raise codecframe.DataError(
            hub, f"is installed, but cannot be imported with this torch: {error}"
        ) from None


def _fetched(spec: str, action: Any) -> Any:
    """What a hub's package gives; its errors, of many kinds, as ours."""
    try:
        return action()
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise codecframe.DataError(spec, f"cannot be had: {reason[0]}") from error
