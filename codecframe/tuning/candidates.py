"""What a tuning starts from and what it finds, and which of that is the answer."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from codecframe.core.codec import Codec
from codecframe.core.errors import BudgetError, SettingsError
from codecframe.core.parallel import cpu_count
from codecframe.core.settings import Settings
from codecframe.tuning.objective import Objective, Score
from codecframe.tuning.search import TIMED, far_too_slow, search
from codecframe.tuning.starts import starting_points

FINALISTS = 5
"""So many of the best on the tuning images are judged on the others."""


@runtime_checkable
class SelfTuning(Protocol):
    """A codec that knows better than a search how some of its settings are found.

    Examples:
        >>> from codecframe.tuning import SelfTuning
        >>> [isinstance(cf.get_codec(name), SelfTuning) for name in ("jpeg", "webp")]
        [True, False]
    """

    def tune(
        self, base: Settings, objective: Objective, *, trials: int, seed: int, slowest: float
    ) -> Iterator[Score]:
        """Settings and what they are worth, as they are found.

        A codec that has `encoders` takes `lacking`, too: names of settings that stay as they are,
        since the encoder that is tuned for does not have them.

        Args:
            base: what to start from, e.g. the best of a search.
            objective: what settings are worth.
            trials: how many settings to measure, at most.
            seed: of all randomness.
            slowest: microseconds that encoding an image may take.
        """
        ...


class Candidates:
    """Settings for a codec, each with what it is worth.

    Args:
        codec: the codec.
        default: what the user starts from.
        encoder: one of the codec's `encoders`: what it lacks is left alone.
        tuning: what settings are worth on the images that tune.
        held: the same on those held out.
        most_time: settings may take this many times as long to encode as the default.

    Attributes:
        starts: the default, and what else anybody could have set.
        found: what was found from there.
    """

    def __init__(
        self,
        codec: Codec[Any],
        default: Score,
        encoder: str | None,
        tuning: Objective,
        held: Objective,
        most_time: float,
    ) -> None:
        self._codec, self._default = codec, default
        self._lacking = codec.encoders[encoder] if encoder else frozenset()
        self._tuning, self._held, self._most_time = tuning, held, most_time
        self._slowest = most_time * default.encode_us
        self._points = starting_points(codec, default.settings, encoder)[1:]
        self._times: dict[Settings, float] = {default.settings: 1.0}
        self.starts = [default]
        self.found: list[Score] = []

    def steps(self, trials: int) -> int:
        """How many settings are measured."""
        return len(self._points) + trials

    def best(self) -> Score:
        """The best so far, on the images that tune."""
        return min((*self.starts, *self.found), key=attrgetter("loss"))

    def measured(self, trials: int, seed: int) -> Iterator[Score | None]:
        """What all are worth, one after another; None if that was refused or given up.

        First the starting points, then a search from the best of them over what the settings
        declare, then what the codec itself knows to do.
        """
        for settings in self._points:
            score = self._start(settings)
            self.starts += [score] if score else []
            yield score
        own = isinstance(self._codec, SelfTuning)
        searched = trials // 3 if own else trials
        for score in search(
            self._codec,
            self.best().settings,
            self._tuning,
            searched,
            seed=seed,
            slowest=self._slowest,
            lacking=self._lacking,
        ):
            yield self._taken(score)
        if isinstance(self._codec, SelfTuning):
            limits: dict[str, Any] = {"lacking": self._lacking} if self._lacking else {}
            for score in self._codec.tune(
                self.best().settings,
                self._tuning,
                trials=trials - searched,
                seed=seed,
                slowest=self._slowest,
                **limits,
            ):
                yield self._taken(score)

    def finalists(self) -> list[Score]:
        """The best of what was found, on the images that tune."""
        return sorted(self.found, key=attrgetter("loss"))[:FINALISTS]

    def judged(self) -> Iterator[float]:
        """Losses of starting points and finalists on the held-out images."""
        for score in (*self.starts, *self.finalists()):
            yield self._held_loss(score)

    def answer(self) -> tuple[Score, Score]:
        """(the best on the held-out images, the best there of the starting points), as they are on
        the images that tune; none takes too long.

        What was found must be better than all starting points there to be the answer.
        """
        start = next(filter(self._in_time, sorted(self.starts, key=self._held_loss)))
        for score in sorted(self.finalists(), key=self._held_loss):
            plain = self._plainest(score)
            if self._in_time(plain):
                better = self._held_loss(plain) < self._held_loss(start)
                return (plain if better else start), start
        return start, start

    def times_as_long(self, score: Score) -> float:
        """How many times as long as the default settings take to encode, both at the budget."""
        if score.settings not in self._times:
            self._times[score.settings] = self._tuning.times_as_long(
                self._codec, score.settings, self._default.settings, TIMED * cpu_count()
            )
        return self._times[score.settings]

    def _start(self, settings: Settings) -> Score | None:
        try:
            if far_too_slow(self._codec, settings, self._tuning, self._slowest):
                return None
            return self._tuning.measure(self._codec, settings)
        except (SettingsError, BudgetError):
            return None

    def _taken(self, score: Score | None) -> Score | None:
        if score is not None and score.encode_us <= self._slowest:
            self.found.append(score)
        return score

    def _held_loss(self, score: Score) -> float:
        try:
            return self._held.measure(self._codec, score.settings).loss
        except BudgetError:  # these images are harder to encode
            return float("inf")

    def _in_time(self, score: Score) -> bool:
        return score is self._default or self.times_as_long(score) <= self._most_time

    def _plainest(self, best: Score) -> Score:
        """The best without the settings that gain nothing: a search tries many things at once, and
        some of them only cost time.
        """
        usual, knob = self._default.settings, best.settings.knob()
        for name in best.settings.changed():
            if getattr(best.settings, name) == getattr(usual, name) or (
                knob and name == knob.field
            ):
                continue
            try:
                without = best.settings.replace(**{name: getattr(usual, name)})
                score = self._tuning.measure(self._codec, without)
            except (SettingsError, BudgetError):  # another setting needs this one
                continue
            if score.loss <= best.loss:
                best = score
        return best
