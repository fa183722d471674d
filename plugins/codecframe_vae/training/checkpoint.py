"""Checkpoints: tensors, and facts as JSON, in one safetensors file. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import codecframe
from codecframe import write_whole

NAME = "last.safetensors"


def write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a checkpoint, whole."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(contiguous, {"facts": json.dumps(facts)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, facts) of a checkpoint.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise codecframe.DataError(str(path), f"is not a checkpoint: {error}") from None


def is_trained(name: str, run: codecframe.TrainingRun) -> bool:
    """Whether another recipe has a checkpoint in the same folder."""
    return _of(name, run).exists()


def of_recipe(name: str, run: codecframe.TrainingRun) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, facts) of the last checkpoint of another recipe, trained in the same folder.

    Raises:
        DataError: if it is not trained yet.
    """
    path = _of(name, run)
    if not path.exists():
        raise codecframe.DataError(str(path), f"train {name!r} first")
    return read(path)


def _of(name: str, run: codecframe.TrainingRun) -> Path:
    return run.folder.with_name(f"{name}.log") / NAME


def joined(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of several owners under names that `part` takes apart again."""
    return {f"{owner}.{name}": one for owner, kept in parts.items() for name, one in kept.items()}


def another(folder: Path, what: str) -> codecframe.MismatchError:
    """That a folder holds a training with something else."""
    return codecframe.MismatchError(
        f"{folder} holds a training with {what}; remove it to begin anew"
    )


def part(tensors: dict[str, Tensor], owner: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `owner` and a dot, without it."""
    return {
        name.removeprefix(f"{owner}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{owner}.")
    }
