"""A head as one model file that says by itself how it is used."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

import codecframe
from codecframe import Preprocess, write_whole
from codecframe_vae.training.export import exported


def write_head(
    head: codecframe.ClassifierHead,
    module: nn.Module,
    preprocess: Preprocess,
    images: Tensor,
    path: Path,
) -> None:
    """Write a head as `.pt2` or `.onnx`, with labels and preprocessing inside.

    Args:
        head: whose labels and outputs the module has.
        module: gives one tensor of scores.
        preprocess: what it takes.
        images: two, `uint8`, (2, 3, height, width), as the head prepares them.
        path: its suffix says which.

    Raises:
        MismatchError: if torch cannot export the module.
    """
    example = torch.from_numpy(preprocess.batch(list(images.permute(0, 2, 3, 1).numpy())))
    module.requires_grad_(requires_grad=False)
    options = replace(head.options(), preprocess=preprocess.changed(), output=None)
    if path.suffix == ".onnx":
        data = _onnx(module, example, options.text)
    else:
        data = _program(head.name, module, example, options.text)
    write_whole(path, data)


def _onnx(module: nn.Module, example: Tensor, described: str) -> bytes:
    stored = onnx.load_from_string(exported(module, {"images": example}, "scores"))
    stored.metadata_props.add(key=codecframe.HeadOptions.KEY, value=described)
    return bytes(stored.SerializeToString())


def _program(name: str, module: nn.Module, example: Tensor, described: str) -> bytes:
    axes = ({0: torch.export.Dim("images", min=1)},)
    stored = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own inner parts
        try:
            program = torch.export.export(module, (example,), dynamic_shapes=axes)
        except Exception as error:  # whatever the module does
            raise codecframe.MismatchError(f"head {name!r} cannot be exported: {error}") from error
        inside = {f"{codecframe.HeadOptions.KEY}.json": described}
        torch.export.save(program, stored, extra_files=inside)
    return stored.getvalue()
