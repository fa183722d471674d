"""The training loop by the clock: so many minutes, whatever the machine; the best weights stay."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

import codecframe
from codecframe_vae.training import checkpoint
from codecframe_vae.training.loop import log_row
from codecframe_vae.training.optim import Optimizers

_LOOKS = 10
"""Validations in all, about; in a short training fewer."""
_APART = 20.0
"""Seconds from one validation to the next, at least."""
_TRAINED = 10
"""How many times as long as a validation took is trained before the next, at least."""
_WARMUP = 0.02
"""Share of the time over which learning rates rise."""
_AVERAGED = 0.98
"""How much of the averaged weights a step leaves."""
_SHOWN = 0.5
"""Seconds from one word about the progress to the next, at least."""


class TimedTask(Protocol):
    """What is trained."""

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """What learns, by name; changed in place."""
        ...

    def step(self, number: int, progress: float) -> Tensor:
        """The loss of a batch; `progress` goes from 0 to 1."""
        ...

    def validate(self) -> tuple[float, str]:
        """(what is to become small, what to show of it)."""
        ...


def spent(run: codecframe.TrainingRun) -> float:
    """Seconds of training that earlier runs took."""
    path = run.folder / checkpoint.NAME
    return float(checkpoint.read(path)[1].get("seconds", 0.0)) if path.exists() else 0.0


def train_for(
    minutes: float,
    task: TimedTask,
    optimizers: Optimizers,
    run: codecframe.TrainingRun,
    facts: dict[str, Any],
    *,
    better: Callable[[float], None] = lambda seconds: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Train until `minutes` are over, those of earlier runs counted; the weights are then the best
    that were found.

    Learning rates rise for a moment and then fall along a cosine. What is validated, and kept where
    it is the best, is the mean of the last steps' weights (Polyak and Juditsky, 1992). An
    interrupted training leaves a checkpoint, and its weights are the best so far.

    Args:
        minutes: of the whole training.
        task: what is trained.
        optimizers: of its weights.
        run: where checkpoints lie, and what shows the progress.
        facts: what it is trained with: where one has changed, a stopped training does not go on.
        better: is told the seconds spent whenever the weights in place are the best so far.
        clock: seconds.

    Raises:
        MismatchError: if the folder holds a training with other facts.
    """
    loop = _Loop(task, optimizers, run, facts, better, clock)
    try:
        loop.run(60 * minutes)
    except KeyboardInterrupt:
        loop.save()
        raise
    finally:
        loop.take(loop.best)


class _Loop:
    """The state of a timed training.

    Attributes:
        best: the weights that validation liked most.
    """

    def __init__(
        self,
        task: TimedTask,
        optimizers: Optimizers,
        run: codecframe.TrainingRun,
        facts: dict[str, Any],
        better: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._task, self._optimizers, self._run = task, optimizers, run
        self._facts, self._better, self._clock = facts, better, clock
        self._steps, self._before, self._found, self._words = 0, 0.0, math.inf, ""
        self._averaged, self.best = self._now(), self._now()
        self._apart = _APART
        self._resume()
        self._began = clock()

    @property
    def _spent(self) -> float:
        """Seconds of training, those of earlier runs counted."""
        return self._before + self._clock() - self._began

    def run(self, total: float) -> None:
        """Train until `total` seconds are spent."""
        self._apart = max(total / _LOOKS, _APART)
        with self._run.progress(math.ceil(total)) as display:
            if self._before:
                display.skip(min(int(self._before), math.ceil(total)), "resumed")
            else:
                self._look()
            told = looked = self._spent
            shown = int(self._before)
            while (now := self._spent) < total:
                self._step(now / total)
                if now - looked >= self._apart and total - now > self._apart / 2:
                    self._look()
                    looked = self._spent
                if now - told >= _SHOWN:
                    done = min(int(now), math.ceil(total))
                    display.advance(done - shown, self._words)
                    told, shown = now, done
            if self._before < total:
                self._look()

    def _step(self, progress: float) -> None:
        self._task.step(self._steps, progress).backward()
        rise = min(1.0, (progress + 1e-3) / _WARMUP)
        self._optimizers.step(rise * 0.5 * (1 + math.cos(math.pi * progress)))
        self._steps += 1
        keep = min(_AVERAGED, (self._steps - 1) / self._steps)
        for name, value in self._task.weights.items():
            self._averaged[name].lerp_(value.detach(), 1 - keep)

    def _look(self) -> None:
        """Validate the averaged weights, keep them if they are the best, and leave a checkpoint."""
        began, own = self._spent, self._now()
        self.take(self._averaged)
        found, self._words = self._task.validate()
        if found < self._found:
            self._found, self.best = found, self._now()
            if self._steps:
                self._better(self._spent)
        self.take(own)
        self._apart = max(self._apart, _TRAINED * (self._spent - began))
        self.save()
        row = {"step": self._steps, "seconds": round(self._spent, 1), "found": found}
        log_row(self._run.folder / "log.jsonl", row | {"words": self._words})

    def _now(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._task.weights.items()}

    @torch.no_grad()
    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights in the place of those that learn."""
        for name, value in self._task.weights.items():
            value.copy_(weights[name])

    def save(self) -> None:
        """Leave a checkpoint."""
        tensors = checkpoint.joined(
            now=self._task.weights,
            averaged=self._averaged,
            best=self.best,
            optimizers=self._optimizers.tensors(),
        )
        facts = {
            "facts": self._facts,
            "steps": self._steps,
            "seconds": self._spent,
            "found": self._found,
            "words": self._words,
        }
        checkpoint.write(self._run.folder / checkpoint.NAME, tensors, facts)

    def _resume(self) -> None:
        """Take up the checkpoint of an earlier run, if there is one."""
        path = self._run.folder / checkpoint.NAME
        if not path.exists():
            return
        tensors, kept = checkpoint.read(path)
        before = kept.get("facts", {})
        if changed := [name for name, one in self._facts.items() if before.get(name) != one]:
            raise checkpoint.another(path.parent, f"another {changed[0]}")
        self.take(checkpoint.part(tensors, "now"))
        self._averaged = checkpoint.part(tensors, "averaged")
        self.best = checkpoint.part(tensors, "best")
        self._optimizers.restore(checkpoint.part(tensors, "optimizers"))
        self._steps, self._before = int(kept["steps"]), float(kept["seconds"])
        self._found, self._words = float(kept["found"]), str(kept["words"])
