"""The two libraries that encode AVIF: imagecodecs (faster) and pillow-avif-plugin (everything)."""

from __future__ import annotations

import importlib
import io
import os
from functools import cache
from threading import Lock
from typing import Any

import codecframe
from codecframe import Image, require
from codecframe_avif.bitstream import SRGB
from codecframe_avif.settings import LOSSLESS, AvifSettings

FORMAT = "CODECFRAME-AVIF"
"""Pillow's name for the files that `register_plugin` teaches it to open and save."""
_LONGEST_SIDE = 32768  # what libavif's decoder accepts
_lock = Lock()


def encode(image: Image, settings: AvifSettings) -> bytes:
    """An AVIF file as the library writes it.

    Raises:
        SettingsError: if the encoder refuses the settings or cannot encode images of this size.
    """
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_SIDE:
        raise codecframe.SettingsError(
            "codec",
            "avif",
            f"another codec for {width}x{height}: sides are at most {_LONGEST_SIDE}",
        )
    if settings.encoder == "svt" and min(height, width) < 4:
        raise codecframe.SettingsError(
            "encoder", "svt", f"aom or rav1e for an image of {width}x{height}: svt needs 4x4"
        )
    try:
        if _plain(settings):
            return _with_imagecodecs(image, settings)
        return _with_plugin(image, settings)
    except (ValueError, RuntimeError) as error:
        options = " ".join("=".join(pair) for pair in settings.encoder_options)
        field, value = ("advanced", options) if options else ("encoder", settings.encoder)
        raise codecframe.SettingsError(
            field, value, f"what can encode an image of {width}x{height} ({error})"
        ) from None


def _plain(settings: AvifSettings) -> bool:
    """Whether imagecodecs can do it: it has aom, no tiles, and turns lossless into 4:4:4."""
    return (
        settings.encoder == "aom"
        and settings.tile_rows == settings.tile_columns == 0
        and settings.quality < LOSSLESS
        and settings.value_range == "full"
        and not settings.encoder_options
    )


def _with_imagecodecs(image: Image, settings: AvifSettings) -> bytes:
    import imagecodecs

    primaries, transfer, matrix = SRGB
    planes = settings.subsampling.replace(":", "")
    return bytes(
        imagecodecs.avif_encode(
            image,
            settings.quality,
            speed=settings.speed,
            # members, not their names: which texts stand for them differs between releases
            pixelformat=imagecodecs.AVIF.PIXEL_FORMAT[f"YUV{planes}"],
            codec=imagecodecs.AVIF.CODEC_CHOICE.AOM,
            primaries=primaries,
            transfer=transfer,
            matrix=matrix,
            numthreads=settings.threads,
        )
    )


def _with_plugin(image: Image, settings: AvifSettings) -> bytes:
    from PIL import Image as Pillow

    register_plugin()
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(
        buffer,
        format=FORMAT,
        quality=settings.quality,
        speed=settings.speed,
        subsampling=settings.subsampling,
        codec=settings.encoder,
        range=settings.value_range,
        tile_rows=settings.tile_rows,
        tile_cols=settings.tile_columns,
        autotiling=False,
        max_threads=settings.threads,
        advanced=settings.encoder_options or None,
    )
    return buffer.getvalue()


@cache
def _register_plugin() -> None:
    from PIL import AvifImagePlugin  # registers Pillow's own AVIF support first
    from PIL import Image as Pillow

    del AvifImagePlugin
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    registries: tuple[dict[str, Any], ...] = (Pillow.OPEN, Pillow.SAVE, Pillow.SAVE_ALL)
    before = [registry.get("AVIF") for registry in registries]
    module = require("pillow_avif.AvifImagePlugin", "pillow-avif-plugin")
    if getattr(Pillow.SAVE.get("AVIF"), "__module__", "") != module.__name__:
        importlib.reload(module)  # somebody had imported it, and Pillow's replaced it since
    for registry, usual in zip(registries, before, strict=True):
        registry[FORMAT] = registry["AVIF"]
        if usual is not None:
            registry["AVIF"] = usual


def register_plugin() -> None:
    """Make pillow-avif-plugin known to Pillow as the format `FORMAT`.

    Importing it replaces Pillow's own AVIF open and save in the whole process; here Pillow's are
    put back, and the plugin's are registered under a name of their own.
    """
    with _lock:
        _register_plugin()
