"""Learned codecs: trained with the classifier behind them, whose input are their latents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import codecframe

if TYPE_CHECKING:
    from codecframe.cli.groups import CommandGroup
    from codecframe_vae.device.bundle import Bundle as Bundle
    from codecframe_vae.device.bundle import export as export

else:  # imported on first use: `codecframe --help` imports this module
    import lazy_loader

    __getattr__ = lazy_loader.attach(
        __name__, submod_attrs={"device.bundle": ["Bundle", "export"]}
    )[0]


@codecframe.hookimpl
def codecframe_commands(cli: CommandGroup) -> None:
    """`learn` and `export`."""
    summary = "Make a learned codec for a model that exists, in minutes, without labels."
    cli.add_lazy_command("learn", summary, "codecframe_vae.learn.command:command")
    summary = "Write the encoder of a learned codec for a device without codecframe."
    cli.add_lazy_command("export", summary, "codecframe_vae.device.command:command")


@codecframe.hookimpl
def codecframe_codecs() -> Iterable[codecframe.Codec[Any]]:
    """The codecs `vae` and `efficientnet-vae`."""
    from codecframe_vae.models import codecs

    return codecs()


@codecframe.hookimpl
def codecframe_heads() -> Iterable[codecframe.TaskHead]:
    """The heads `cifar10-vae` and `efficientnet-vae` of latents, others of pixels."""
    from codecframe_vae.models import heads

    return heads()


@codecframe.hookimpl
def codecframe_open_codec(spec: str) -> codecframe.Codec[Any] | None:
    """Open a model file, `*.safetensors`."""
    if not spec.endswith(".safetensors"):
        return None
    from codecframe_vae.models import open_codec

    return open_codec(Path(spec))


@codecframe.hookimpl
def codecframe_open_head(spec: str, options: dict[str, Any]) -> codecframe.TaskHead | None:
    """Open the head in a model file, `*.safetensors`."""
    if not spec.endswith(".safetensors"):
        return None
    from codecframe_vae.models import open_head

    return open_head(Path(spec), options)


@codecframe.hookimpl
def codecframe_trainers() -> Iterable[codecframe.Trainer[Any]]:
    """All trainers, from `vae` to `picture`."""
    from codecframe_vae.trainers import trainers

    return trainers()


@codecframe.hookimpl
def codecframe_benchmarks() -> Iterable[codecframe.Benchmark[Any]]:
    """The benchmark `encoders`."""
    from codecframe_vae.bench.encoders import EncoderBenchmark

    return [EncoderBenchmark()]
