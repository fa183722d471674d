"""What is prepared in the background: nobody waits, and payloads are the same before and after."""

from __future__ import annotations

from threading import Event, Thread

import numpy as np
import pytest

from codecframe_vae.entropy import background
from codecframe_vae.entropy.background import Background


def test_callers_do_without_until_it_is_there() -> None:
    begun, may_end, calls = Event(), Event(), []

    def make() -> str:
        calls.append(1)
        begun.set()
        may_end.wait()
        return "made"

    made = Background(make)
    assert [made.get(), made.get()] == [None, None]
    begun.wait()
    assert made.get() is None
    may_end.set()
    assert made.wait() == "made"
    assert made.get() == "made"
    assert len(calls) == 1


def test_it_is_made_once_for_all_threads() -> None:
    calls: list[int] = []
    made = Background(lambda: calls.append(1))
    threads = [Thread(target=made.get) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.wait() is None
    assert calls == [1]


def test_what_cannot_be_made_is_left_out() -> None:
    def fails() -> str:
        raise MemoryError

    made = Background(fails)
    assert made.wait() is None
    assert made.get() is None


def test_without_threads_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "Thread", NoThread)
    assert Background(lambda: "made").wait() is None


def test_codes_without_numba_until_it_has_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payloads are the same, and nothing is compiled anymore while images are coded."""
    pytest.importorskip("numba")
    pytest.importorskip("onnxruntime")
    from codecframe_vae.entropy import compiled, context
    from codecframe_vae.models import CIFAR10

    may_end = Event()
    load = context.COMPILED._make

    def held_back() -> object:
        may_end.wait()
        return load()

    monkeypatch.setattr(context, "COMPILED", Background(held_back))
    model = CIFAR10.context(10)
    fresh = context.ContextModel(model.arrays, model.groups)
    real = np.random.default_rng(0).normal(size=(3, fresh.channels, 5, 6)) * 2
    latents = fresh.clip(real)
    payloads = fresh.encode(latents)
    assert fresh._made is None
    may_end.set()
    context.COMPILED.wait()
    types = [len(loop.signatures) for loop in (compiled._encode, compiled._decode)]
    assert fresh.encode(latents) == payloads
    assert np.array_equal(fresh.decode(payloads, 5, 6), latents)
    assert fresh._made is not None
    assert (
        [len(loop.signatures) for loop in (compiled._encode, compiled._decode)] == types == [1, 1]
    )
