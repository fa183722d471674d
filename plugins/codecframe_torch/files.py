"""Model files that torch writes: exported programs and TorchScript. Pickles are refused."""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import codecframe
from codecframe import Preprocess, require
from codecframe.core.files import open_regular
from codecframe_torch.head import INSTALL, TorchHead
from codecframe_torch.model import TorchModel


def open_head(path: str, options: Mapping[str, Any]) -> codecframe.TaskHead:
    """The head in a `torch.export` or TorchScript file, of the task that the options name; a
    classifier, where they name none.

    Raises:
        DataError: if the file is neither; of weights alone, how to make a model file.
        MismatchError: if the model does not take images of the size that was asked for.
        DependencyError: if torch is not installed.
    """
    rest, name = dict(options), Path(path).stem
    task = str(rest.pop("task", "classification"))
    given = codecframe.HeadOptions.read(rest) if task == "classification" else None
    file = _loaded(path)
    pad = file.count is not None
    if given is None:
        model = TorchModel(
            file.module, name, spec=path, usual=file.usual, shape=file.shape,
            batch_size=file.count or 1, pad=pad,
        )  # fmt: skip
        made: codecframe.TaskHead = codecframe.get_task(task).head(model, rest)
        return made
    given = replace(given, name=given.name or name)
    if not file.usual:
        return TorchHead(file.module, **vars(given))
    said = dict(vars(given.completed(file.described, path)))
    said["preprocess"] = Preprocess.for_input(said["preprocess"], file.shape, **file.usual)
    return TorchHead(file.module, **said, batch_size=file.count or 32, pad=pad)


@dataclass(frozen=True)
class _File:
    """A module, and what its file shows of it.

    Attributes:
        module: the module.
        usual: the layout of its input; empty where that is not known.
        shape: fixed (height, width) of its input.
        count: fixed number of images.
        described: how its head is used, as text.
    """

    module: Any
    usual: dict[str, str] = field(default_factory=dict)
    shape: tuple[int, int] | None = None
    count: int | None = None
    described: str = ""


def _loaded(path: str) -> _File:
    torch = require("torch", INSTALL)
    members = _members(path)
    if any("/models/" in one for one in members):
        inside = {f"{codecframe.HeadOptions.KEY}.json": ""}
        with _quiet(path):
            program = torch.export.load(path, extra_files=inside)
            module = program.module()
            count, *axes = _input_shape(program)
        layout, shape = _layout(axes)
        return _File(module, {"layout": layout}, shape, count, *inside.values())
    if any("/code/" in one for one in members):
        with _quiet(path):
            return _File(torch.jit.load(path, map_location="cpu"))
    raise codecframe.DataError(
        path,
        "is pickled weights or a pickled module: unpickling could run anything. Build the module "
        "in Python and save it with torch.export.save, or wrap it in codecframe_torch.TorchHead",
    )


def _members(path: str) -> list[str]:
    """The names in the archive; none for a file of another kind, such as a bare pickle."""
    problem = codecframe.as_data_error(
        path, zipfile.BadZipFile, ValueError, saying="is not a torch model file, or damaged"
    )
    with problem, open_regular(path) as file:
        if file.read(1) == b"\x80":
            return []
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()


def _layout(axes: list[int | None]) -> tuple[str, tuple[int, int] | None]:
    """(layout, fixed (height, width)) of an input without its first axis."""
    channels_last = axes[2] == 3 and axes[0] != 3
    height, width = axes[:2] if channels_last else axes[1:]
    shape = None if height is None or width is None else (height, width)
    return "nhwc" if channels_last else "nchw", shape


def _input_shape(program: Any) -> list[int | None]:
    """The four axes of an exported program's only input; None where any size will do."""
    inputs = [
        node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError("it takes something other than one batch of images")
    return [side if isinstance(side, int) else None for side in inputs[0].shape]


@contextmanager
def _quiet(path: str) -> Iterator[None]:
    """Whatever torch raises, logs or warns of becomes one `DataError`."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # torch raises many kinds for damaged files
        reason = str(error).strip().splitlines()
        raise codecframe.DataError(
            path, f"cannot be loaded: {reason[0] if reason else type(error).__name__}"
        ) from None
    finally:
        logging.disable(disabled)
