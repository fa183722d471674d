"""codecframe: image codecs chosen, tuned and learned for ML tasks under a bandwidth budget.

Names are imported on first use, so that `import codecframe` stays fast; it loads no codec library
and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codecframe.benchmark import Benchmark, BenchmarkTable
    from codecframe.classifier import ClassifierHead, HeadOptions
    from codecframe.codec import Codec, Fit, SelfFitting
    from codecframe.errors import (
        BudgetError,
        CodecframeError,
        DataError,
        DependencyError,
        LimitError,
        MismatchError,
        PluginError,
        SettingsError,
        UnknownNameError,
    )
    from codecframe.head import Prediction, TaskHead, Top
    from codecframe.hooks import hookimpl
    from codecframe.image import Image, Shape, check_image, check_size, limit_pixels
    from codecframe.representation import PIXELS, Latents, LatentSpace, Representation
    from codecframe.scaling import ScalableSettings, scalable
    from codecframe.settings import Settings, knob, option
    from codecframe.trainer import LabelledImage, Trainer, TrainingRun

__version__ = "0.1.0"

_MODULES = {
    "benchmark": ("Benchmark", "BenchmarkTable"),
    "classifier": ("ClassifierHead", "HeadOptions"),
    "codec": ("Codec", "Fit", "SelfFitting"),
    "errors": (
        "BudgetError",
        "CodecframeError",
        "DataError",
        "DependencyError",
        "LimitError",
        "MismatchError",
        "PluginError",
        "SettingsError",
        "UnknownNameError",
    ),
    "head": ("Prediction", "TaskHead", "Top"),
    "hooks": ("hookimpl",),
    "image": ("Image", "Shape", "check_image", "check_size", "limit_pixels"),
    "representation": ("PIXELS", "LatentSpace", "Latents", "Representation"),
    "scaling": ("ScalableSettings", "scalable"),
    "settings": ("Settings", "knob", "option"),
    "trainer": ("LabelledImage", "Trainer", "TrainingRun"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "PIXELS",
    "Benchmark",
    "BenchmarkTable",
    "BudgetError",
    "ClassifierHead",
    "Codec",
    "CodecframeError",
    "DataError",
    "DependencyError",
    "Fit",
    "HeadOptions",
    "Image",
    "LabelledImage",
    "LatentSpace",
    "Latents",
    "LimitError",
    "MismatchError",
    "PluginError",
    "Prediction",
    "Representation",
    "ScalableSettings",
    "SelfFitting",
    "Settings",
    "SettingsError",
    "Shape",
    "TaskHead",
    "Top",
    "Trainer",
    "TrainingRun",
    "UnknownNameError",
    "check_image",
    "check_size",
    "get_codec",
    "get_head",
    "hookimpl",
    "knob",
    "limit_pixels",
    "option",
    "scalable",
]


def get_codec(spec: str) -> Codec[Any]:
    """The codec of that name, or opened from a model file.

    Raises:
        UnknownNameError: if no plugin knows it; names the nearest.
        PluginError: if the plugin that does failed on it.
    """
    from codecframe.registry import default

    return default().codec(spec)


def get_head(spec: str) -> TaskHead:
    """The head of that name, or opened from a file or an import path (`module:function`).

    Raises:
        UnknownNameError: if no plugin knows it.
        PluginError: if the plugin that does failed on it.
    """
    from codecframe.registry import default

    return default().head(spec)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'codecframe' has no attribute {name!r}")
    value = getattr(import_module(f"codecframe.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
