"""The training loop by the clock: so many minutes, whatever the machine; the best model stays."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

import codecframe
from codecframe_vae.training import checkpoint
from codecframe_vae.training.loop import log_row
from codecframe_vae.training.optim import Optimizers

BEST = "best.safetensors"
_LOOKS = 10
"""Validations in all, about; in a short training fewer."""
_APART = 20.0
"""Seconds from one validation to the next, at least."""
_WARMUP = 0.02
"""Share of the time over which learning rates rise."""
_SHOWN = 0.5
"""Seconds from one word about the progress to the next, at least."""


class TimedTask(Protocol):
    """What is trained."""

    @property
    def model(self) -> nn.Module:
        """Its parameters."""
        ...

    def step(self, number: int, progress: float) -> Tensor:
        """The loss of a batch; `progress` goes from 0 to 1."""
        ...

    def validate(self) -> tuple[float, str]:
        """(what is to become small, what to show of it)."""
        ...


def train_for(
    minutes: float,
    task: TimedTask,
    optimizers: Optimizers,
    run: codecframe.TrainingRun,
    facts: dict[str, Any],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Train until `minutes` are over, those of earlier runs counted; the model is then the best
    that was found.

    Learning rates rise for a moment and then fall along a cosine. An interrupted training leaves a
    checkpoint, and its model is the best so far.

    Args:
        minutes: of the whole training.
        task: what is trained.
        optimizers: of its parameters.
        run: where checkpoints lie, and what shows the progress.
        facts: what it is trained with: where one has changed, a stopped training does not go on.
        clock: seconds.

    Raises:
        MismatchError: if the folder holds a training with other facts.
    """
    loop = _Loop(task, optimizers, run, facts, clock)
    total = 60 * minutes
    try:
        loop.run(total)
    finally:
        loop.take_best()


class _Loop:
    """The state of a timed training."""

    def __init__(
        self,
        task: TimedTask,
        optimizers: Optimizers,
        run: codecframe.TrainingRun,
        facts: dict[str, Any],
        clock: Callable[[], float],
    ) -> None:
        self._task, self._optimizers, self._run = task, optimizers, run
        self._facts, self._clock = facts, clock
        self._steps, self._before, self._best = 0, 0.0, math.inf
        self._words = ""
        self._resume()
        self._began = clock()

    @property
    def _spent(self) -> float:
        """Seconds of training, those of earlier runs counted."""
        return self._before + self._clock() - self._began

    def run(self, total: float) -> None:
        """Train until `total` seconds are spent."""
        apart = max(total / _LOOKS, _APART)
        with self._run.progress(math.ceil(total)) as display:
            if self._before:
                display.skip(min(int(self._before), math.ceil(total)), "resumed")
            else:
                self._look()
            told = looked = self._spent
            shown = int(self._before)
            while (now := self._spent) < total:
                loss = self._step(now / total)
                if now - looked >= apart and total - now > apart / 2:
                    self._look()
                    looked = self._spent
                if now - told >= _SHOWN:
                    done = min(int(now), math.ceil(total))
                    display.advance(done - shown, f"loss {loss:.3f}; {self._words}")
                    told, shown = now, done
            if self._before < total:
                self._look()

    def _step(self, progress: float) -> float:
        loss = self._task.step(self._steps, progress)
        loss.backward()
        rise = min(1.0, (progress + 1e-3) / _WARMUP)
        self._optimizers.step(rise * 0.5 * (1 + math.cos(math.pi * progress)))
        self._steps += 1
        return float(loss.detach())

    def _look(self) -> None:
        """Validate, keep the model if it is the best, and leave a checkpoint."""
        found, self._words = self._task.validate()
        weights = {f"model.{name}": one for name, one in self._task.model.state_dict().items()}
        if found < self._best:
            self._best = found
            checkpoint.write(self._run.folder / BEST, weights, {})
        kept = {f"optimizers.{name}": one for name, one in self._optimizers.tensors().items()}
        facts = {
            "facts": self._facts,
            "steps": self._steps,
            "seconds": self._spent,
            "best": self._best,
            "words": self._words,
        }
        checkpoint.write(self._run.folder / checkpoint.NAME, weights | kept, facts)
        row = {"step": self._steps, "seconds": round(self._spent, 1), "found": found}
        log_row(self._run.folder / "log.jsonl", row | {"words": self._words})

    def _resume(self) -> None:
        """Take up the checkpoint of an earlier run, if there is one."""
        path = self._run.folder / checkpoint.NAME
        if not path.exists():
            return
        tensors, kept = checkpoint.read(path)
        before = kept.get("facts", {})
        if changed := [name for name, one in self._facts.items() if before.get(name) != one]:
            raise codecframe.MismatchError(
                f"{path.parent} holds a training with another {changed[0]}; remove it to begin anew"
            )
        self._task.model.load_state_dict(checkpoint.part(tensors, "model"))
        self._optimizers.restore(checkpoint.part(tensors, "optimizers"))
        self._steps, self._before = int(kept["steps"]), float(kept["seconds"])
        self._best, self._words = float(kept["best"]), str(kept["words"])

    def take_best(self) -> None:
        """Let the model be the best that was found."""
        path: Path = self._run.folder / BEST
        if path.exists():
            tensors, _ = checkpoint.read(path)
            self._task.model.load_state_dict(checkpoint.part(tensors, "model"))
