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
from codecframe_vae.training.optim import Optimizers, Part, rate_factor
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
    """Train to the last epoch, from the last checkpoint where there is one.

    Raises:
        MismatchError: if that is of other settings, images or classes, or made with another head,
            codec or teacher.
    """
    _Training(task, batches, settings, run).go_on()


class _Training:
    """Arguments as those of `train`."""

    def __init__(
        self, task: Task, batches: Batches, settings: ScheduleRecipe, run: codecframe.TrainingRun
    ) -> None:
        self._task, self._batches, self._settings, self._run = task, batches, settings, run
        self._optimizers = Optimizers(task.parts())
        self._last = run.folder / checkpoint.NAME
        said = {key: run.recipe.get(key) for key in ("images", "labels", "where", "limit")}
        self._origin = {"images": text_digest(said, len(run.images), run.classes), **task.origin()}

    def go_on(self) -> None:
        """From the last checkpoint, or from the start."""
        first, steps = self._resumed(), self._batches.steps
        if first is None:
            first = 0
            self._start_from()
        with self._run.progress(self._settings.epochs * steps) as display:
            if first:
                display.skip(first * steps, "resumed")
            for epoch in range(first, self._settings.epochs):
                began = time.monotonic()
                figures = self._epoch(epoch, display) | self._task.validate()
                self._save(epoch + 1)
                row = {"epoch": epoch + 1, "seconds": time.monotonic() - began, **figures}
                log_row(self._run.folder / "log.jsonl", row)

    def _epoch(self, epoch: int, display: Any) -> dict[str, float]:
        """Train one epoch; the means of its figures."""
        settings, steps = self._settings, self._batches.steps
        total = settings.epochs * steps
        self._task.model.train()
        torch.manual_seed(settings.seed + 1000 * epoch)
        sums: dict[str, list[float]] = defaultdict(list)
        for step, (images, targets) in enumerate(self._batches.epoch(epoch), epoch * steps):
            batch = images.to(settings.device), targets.to(settings.device)
            loss, figures = self._task.loss(*batch, step / total)
            loss.backward()
            self._optimizers.step(rate_factor(settings, step, total, steps))
            for name, value in figures.items():
                sums[name].append(value)
            note = " ".join(f"{name} {value:.3g}" for name, value in figures.items())
            display.advance(1, f"epoch {epoch + 1} {note}")
        return {name: sum(values) / len(values) for name, values in sums.items()}

    def _save(self, epochs: int) -> None:
        tensors = checkpoint.joined(
            model=self._task.model.state_dict(),
            task=self._task.state(),
            optimizers=self._optimizers.tensors(),
        )
        facts = {"epochs": epochs, "settings": self._settings.to_dict(), "origin": self._origin}
        checkpoint.write(self._last, tensors, facts)

    def _resumed(self) -> int | None:
        """Take up the last checkpoint; how many epochs are done, None where there is none."""
        if not self._last.exists():
            return None
        folder = self._last.parent
        tensors, facts = checkpoint.read(self._last)
        try:  # settings that a checkpoint does not know have their defaults
            same = type(self._settings).from_dict(facts["settings"]) == self._settings
        except codecframe.SettingsError:  # of another kind of recipe
            same = False
        if not same:
            raise checkpoint.another(folder, "other settings")
        before = facts.get("origin", self._origin)
        if changed := [name for name, one in self._origin.items() if before.get(name) != one]:
            other = "other images" if changed[0] == "images" else f"another {changed[0]}"
            raise checkpoint.another(folder, other)
        try:
            self._task.model.load_state_dict(checkpoint.part(tensors, "model"))
        except RuntimeError:
            raise checkpoint.another(folder, "other classes") from None
        self._task.restore(checkpoint.part(tensors, "task"))
        self._optimizers.restore(checkpoint.part(tensors, "optimizers"))
        return int(facts["epochs"])

    def _start_from(self) -> None:
        """Take what fits from the last checkpoint of another recipe, or else what ships."""
        start, model = self._settings.start, self._task.model
        if not start:
            return
        if classifier := shipped(start, self._run):
            images, _ = next(iter(self._batches.epoch(0)))
            self._task.adopt(classifier, images.to(self._settings.device))
            return
        tensors, _ = checkpoint.of_recipe(start, self._run)
        own = model.state_dict()
        taken = {
            name: tensor
            for name, tensor in checkpoint.part(tensors, "model").items()
            if name in own and own[name].shape == tensor.shape
        }
        model.load_state_dict({**own, **taken})


def log_row(path: Path, row: dict[str, Any]) -> None:
    """Add a line to the log."""
    rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rounded) + "\n")
