"""Retraining a head on what a codec, at tuned settings, leaves of images."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codecframe.core import yamltext
from codecframe.core.codec import Codec
from codecframe.core.errors import MismatchError
from codecframe.core.files import write_whole
from codecframe.core.head import FloatArray, TaskHead
from codecframe.core.image import Image
from codecframe.core.progress import ProgressMaker
from codecframe.core.registry import default, require
from codecframe.core.settings import Settings
from codecframe.tasks.classification import ClassifierHead
from codecframe.tuning.objective import F64, Objective

EPOCHS = 4
_RATE = 3e-5
"""Learning rate at first, of Adam; it falls to zero along a line."""
_BATCH = 16
_LABELS = 0.5
"""Share of the targets that labels have; the rest is the head's own prediction on the uncompressed
image (Hinton et al., "Distilling the knowledge in a neural network", 2015)."""
_MADE = "# made by codecframe tune\n"
"""The first line of a description that is written here."""


def check_retrainable(head: TaskHead) -> ClassifierHead:
    """The head, if its model is a torch module.

    Raises:
        MismatchError: if it is none.
        DependencyError: if torch is not installed.
    """
    torch = require("torch", "codecframe[train]")
    if not isinstance(head, ClassifierHead) or not isinstance(head.torch_model(), torch.nn.Module):
        raise MismatchError(
            f"head {head.name!r} is no torch module that could be retrained; one that was trained "
            "by a recipe is retrained by a recipe, which names the codec"
        )
    return head


def retrain(
    head: ClassifierHead,
    codec: Codec[Any],
    settings: Settings,
    tuning: Objective,
    held: Objective,
    path: Path,
    *,
    seed: int,
    progress: ProgressMaker,
) -> tuple[F64, F64]:
    """Train a copy of the head on what the codec leaves of the tuning images.

    Targets are half the labels, half what the head says of the uncompressed images; all the latter
    where there are no labels. Normalisation keeps its statistics: some hundred images would spoil
    them.

    Args:
        head: as `check_retrainable` took it.
        codec: whose decoded images it shall see.
        settings: of the codec, with the knob at the budget.
        tuning: trains.
        held: measures what was made, as it is stored.
        path: the description file to write; the model is written beside it, as `.pt2`.
        seed: of the order.
        progress: shows how far it is.

    Returns:
        (losses, scores) of the held-out images, each (n,).
    """
    import torch

    module = copy.deepcopy(head.torch_model())
    assert isinstance(module, torch.nn.Module)  # noqa: S101 - `check_retrainable`
    images = seen(codec, settings, tuning)
    _train(head, module, images, tuning.soft_targets(_LABELS), seed, progress)
    _write(head, module, images[0], path)
    return held.judge(seen(codec, settings, held), default().head(str(path)))


def seen(codec: Codec[Any], settings: Settings, objective: Objective) -> list[Image]:
    """What the codec leaves of the objective's images."""
    return codec.decode_many(codec.encode_many(objective.images, settings))


def _train(
    head: ClassifierHead,
    module: Any,
    images: Sequence[Image],
    targets: FloatArray,
    seed: int,
    progress: ProgressMaker,
) -> None:
    """Minimise the cross-entropy against the targets, (images, classes)."""
    import torch

    module.requires_grad_(requires_grad=True)
    optimizer = torch.optim.Adam(module.parameters(), _RATE)
    order = np.random.default_rng(seed)
    total, done = EPOCHS * len(images), 0
    with progress(total) as display:
        for _ in range(EPOCHS):
            for batch in _batches(images, order.permutation(len(images)).tolist()):
                optimizer.param_groups[0]["lr"] = _RATE * (1 - done / total)
                values = torch.from_numpy(head.model_input([images[i] for i in batch]))
                logs = head.log_probabilities(module(values))
                loss = -(torch.from_numpy(targets[batch]) * logs).sum(1).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += len(batch)
                display.advance(len(batch), f"retraining, loss {float(loss.detach()):.3f}")
    module.requires_grad_(requires_grad=False)


def _batches(images: Sequence[Image], order: list[int]) -> Iterator[list[int]]:
    """Indices of images of one size, in that order."""
    waiting: dict[tuple[int, ...], list[int]] = {}
    for index in order:
        batch = waiting.setdefault(images[index].shape, [])
        batch.append(index)
        if len(batch) == _BATCH:
            yield waiting.pop(images[index].shape)
    yield from waiting.values()


def is_retrained(path: Path) -> bool:
    """Whether a file is the description of a head that was retrained here."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MADE)) == _MADE.encode()
    except OSError:
        return False


def _write(head: ClassifierHead, module: Any, image: Image, path: Path) -> None:
    """The module as a `torch.export` file, and the head's description that names it.

    Raises:
        MismatchError: if torch cannot export the module.
    """
    import torch

    example = torch.from_numpy(head.model_input([image, image]))
    axes = ({0: torch.export.Dim("images", min=1)},)
    stored = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own inner parts
        try:
            program = torch.export.export(module, (example,), dynamic_shapes=axes)
        except Exception as error:  # whatever the module does
            raise MismatchError(f"head {head.name!r} cannot be exported: {error}") from error
        torch.export.save(program, stored)
    model = path.with_suffix(".pt2")
    write_whole(model, stored.getvalue())
    options = head.options()
    described = {
        "model": model.name,
        "name": path.stem,
        "labels": list(options.labels),
        "outputs": options.outputs,
        **({"output": options.output} if options.output is not None else {}),
        "preprocess": dict(options.preprocess or {}),
    }
    write_whole(path, _MADE + yamltext.dump(described))
