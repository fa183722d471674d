"""Where work runs: in this process, or on a Ray cluster.

An engine takes one function and many tasks, all of which pickle. Tasks are independent, so that an
engine may run them anywhere, in any order, and once more where a machine was lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from codecframe.core.errors import CodecframeError, MismatchError, UnknownNameError
from codecframe.core.parallel import limit_threads
from codecframe.core.registry import require

T = TypeVar("T")
R = TypeVar("R")

NAMES = ("local", "ray")
_RETRIES = 5
"""How often a task is tried again whose worker was lost."""


class Engine(Protocol):
    """Runs tasks."""

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function(task)` for each task, as they are done: in any order.

        Raises:
            CodecframeError: what `function` raised, or if the engine itself fails.
        """
        ...


class Local:
    """This process. Tasks run one after another; each uses all cores by itself."""

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function(task)` for each task, in order."""
        return map(function, tasks)


class Ray:
    """A Ray cluster: one core a task, and a lost worker's tasks are run again by others.

    Workers need codecframe and its plugins, and must reach the same files under the same paths.

    Args:
        address: of the cluster; by default the one that `RAY_ADDRESS` names, else one on this
            machine that is started, and ended again when the tasks are done.
        workers: tasks that run at a time, at most; by default one for every core.

    Raises:
        DependencyError: if Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._ray: Any = require("ray", "codecframe[ray]")
        self._address = address
        self._workers = workers

        self._connected = False

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """`function(task)` for each task, as they are done."""
        ray = self._ray
        self.connect()
        try:
            yield from self._results(function, iter(tasks))
        except ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)  # as if it had been raised here
            raise (cause if isinstance(cause, CodecframeError) else error) from None
        except ray.exceptions.RayError as error:
            raise MismatchError(f"Ray: {error}") from None
        finally:
            self.disconnect()

    def connect(self) -> None:
        """Join the cluster, or start one, unless this process is at one already.

        Raises:
            MismatchError: if that does not work.
        """
        if self._ray.is_initialized():
            return
        self._connected = True
        try:
            self._ray.init(
                address=self._address,
                num_cpus=None if self._address or os.environ.get("RAY_ADDRESS") else self._workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise MismatchError(f"Ray: {error}") from None

    def disconnect(self) -> None:
        """Leave the cluster that was joined; one that was started ends."""
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def _results(self, function: Callable[[T], R], tasks: Iterator[T]) -> Iterator[R]:
        """Keeps a few tasks waiting at the cluster beside those that run, and no more."""
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_on_one_core)
        shared = ray.put(function)
        most = 2 * (self._workers or max(int(ray.cluster_resources().get("CPU", 1)), 1))
        running: list[Any] = []
        try:
            for task in tasks:
                if len(running) >= most:
                    done, running = ray.wait(running)
                    yield ray.get(done[0])
                running.append(remote.remote(shared, task))
            while running:
                done, running = ray.wait(running)
                yield ray.get(done[0])
        finally:
            for left in running:
                ray.cancel(left, force=True)


def open_engine(name: str, address: str | None = None) -> Engine:
    """The engine of that name, `local` or `ray`, and the Ray cluster's address.

    Raises:
        UnknownNameError: if there is no such engine.
        MismatchError: if an address is given to an engine that has none.
        DependencyError: if it is not installed.
    """
    if name not in NAMES:
        raise UnknownNameError("engine", name, list(NAMES))
    if name == "ray":
        return Ray(address)
    if address is not None:
        raise MismatchError("the local engine has no address: say --engine ray")
    return Local()


def _on_one_core(function: Callable[[Any], Any], task: Any) -> Any:
    with limit_threads(1):
        return function(task)
