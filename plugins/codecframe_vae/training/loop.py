"""The training loop: epochs, schedule, checkpoints, log."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import codecframe
from codecframe_vae.networks.nets import PixelModel
from codecframe_vae.training import checkpoint
from codecframe_vae.training.digests import text_digest
from codecframe_vae.training.optim import Optimizers, Part, Schedule
from codecframe_vae.training.recipes import ScheduleRecipe
from codecframe_vae.training.shipped import shipped


class Task(ABC):
    """What is trained.

    Attributes:
        model: its parameters.
    """

    model: nn.Module

    @abstractmethod
    def parts(self) -> list[Part]:
        """The model's parameters, by how they are trained."""

    @abstractmethod
    def loss(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and figures to show.

        Args:
            images: `uint8`, (n, 3, height, width).
            targets: shares of the classes, (n, classes); of none where images have no labels.
            progress: from 0 to 1.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures on the validation images, after an epoch."""

    def adopt(self, classifier: PixelModel, images: Tensor) -> None:
        """Start from a classifier that comes with the plugin.

        Args:
            classifier: as `shipped` gives it.
            images: a batch, as `loss` takes it.

        Raises:
            MismatchError: if its networks are of other sizes, or something else is trained.
        """
        raise codecframe.MismatchError(
            "only a classifier starts from one that ships; train that first, in the same folder"
        )

    def origin(self) -> dict[str, str]:
        """Digests of what it is trained with besides images and settings, by what that is called:
        where one has changed, a stopped training does not go on.
        """
        return {}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold besides the model."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        del state


class Batches(Protocol):
    """Training images, batch by batch."""

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        ...

    def epoch(self, number: int) -> Iterable[tuple[Tensor, Tensor]]:
        """(images, targets), as `Task.loss` takes them; the same for the same epoch."""
        ...


def train(
    task: Task, batches: Batches, settings: ScheduleRecipe, run: codecframe.TrainingRun
) -> None:
    """Train to the last epoch, from the last checkpoint where there is one."""
    total = settings.epochs * batches.steps
    optimizers = Optimizers(task.parts())
    last = run.folder / checkpoint.NAME
    origin = {"images": _images_of(run), **task.origin()}
    first = _resume(task, optimizers, last, settings, origin)
    if first is None:
        first = 0
        _start_from(task, batches, settings, run)
    with run.progress(total) as display:
        if first:
            display.skip(first * batches.steps, "resumed")
        for epoch in range(first, settings.epochs):
            began = time.monotonic()
            figures = _epoch(task, batches, optimizers, epoch, total, settings, display)
            figures |= task.validate()
            facts = {"epochs": epoch + 1, "settings": settings.to_dict(), "origin": origin}
            tensors = checkpoint.joined(
                model=task.model.state_dict(), task=task.state(), optimizers=optimizers.tensors()
            )
            checkpoint.write(last, tensors, facts)
            row = {"epoch": epoch + 1, "seconds": time.monotonic() - began, **figures}
            log_row(run.folder / "log.jsonl", row)


def _epoch(
    task: Task,
    batches: Batches,
    optimizers: Optimizers,
    epoch: int,
    total: int,
    settings: ScheduleRecipe,
    display: Any,
) -> dict[str, float]:
    """Train one epoch; the means of its figures."""
    task.model.train()
    torch.manual_seed(settings.seed + 1000 * epoch)
    sums: dict[str, list[float]] = defaultdict(list)
    schedule = Schedule(settings, total, batches.steps)
    for step, (images, targets) in enumerate(batches.epoch(epoch), epoch * batches.steps):
        batch = images.to(settings.device), targets.to(settings.device)
        loss, figures = task.loss(*batch, step / total)
        loss.backward()
        optimizers.step(schedule.factor(step))
        for name, value in figures.items():
            sums[name].append(value)
        note = " ".join(f"{name} {value:.3g}" for name, value in figures.items())
        display.advance(1, f"epoch {epoch + 1} {note}")
    return {name: sum(values) / len(values) for name, values in sums.items()}


def _images_of(run: codecframe.TrainingRun) -> str:
    """Digest of which images and classes a recipe has."""
    said = {key: run.recipe.get(key) for key in ("images", "labels", "where", "limit")}
    return text_digest(said, len(run.images), run.classes)


def _resume(
    task: Task,
    optimizers: Optimizers,
    path: Path,
    settings: ScheduleRecipe,
    origin: dict[str, str],
) -> int | None:
    """Take up the checkpoint of an earlier run; returns how many epochs are done.

    Raises:
        MismatchError: if it is of other settings, images or classes, or made with another head,
            codec or teacher.
    """
    if not path.exists():
        return None
    tensors, facts = checkpoint.read(path)
    if not _are_of(facts["settings"], settings):
        raise checkpoint.another(path.parent, "other settings")
    before = facts.get("origin", origin)
    if changed := [name for name in origin if before.get(name) != origin[name]]:
        other = "other images" if changed[0] == "images" else f"another {changed[0]}"
        raise checkpoint.another(path.parent, other)
    try:
        task.model.load_state_dict(checkpoint.part(tensors, "model"))
    except RuntimeError:
        raise checkpoint.another(path.parent, "other classes") from None
    task.restore(checkpoint.part(tensors, "task"))
    optimizers.restore(checkpoint.part(tensors, "optimizers"))
    return int(facts["epochs"])


def _are_of(stored: dict[str, Any], settings: ScheduleRecipe) -> bool:
    """Whether a checkpoint's settings are these; those it does not know have their defaults."""
    try:
        return type(settings).from_dict(stored) == settings
    except codecframe.SettingsError:  # of another kind of recipe
        return False


def _start_from(
    task: Task, batches: Batches, settings: ScheduleRecipe, run: codecframe.TrainingRun
) -> None:
    """Take what fits from the last checkpoint of another recipe, or else what ships."""
    if not settings.start:
        return
    if classifier := shipped(settings.start, run):
        images, _ = next(iter(batches.epoch(0)))
        task.adopt(classifier, images.to(settings.device))
        return
    tensors, _ = checkpoint.of_recipe(settings.start, run)
    own = task.model.state_dict()
    taken = {
        name: tensor
        for name, tensor in checkpoint.part(tensors, "model").items()
        if name in own and own[name].shape == tensor.shape
    }
    task.model.load_state_dict({**own, **taken})


def log_row(path: Path, row: dict[str, Any]) -> None:
    """Add a line to the log."""
    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rounded) + "\n")
