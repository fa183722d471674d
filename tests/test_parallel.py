"""Maps over threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from codecframe.core import registry
from codecframe.core.parallel import cpu_count, limit_threads, map_threads
from codecframe.testing import natural_image


def test_results_are_in_order_whatever_the_number_of_threads() -> None:
    for count in (1, 3):
        with limit_threads(count):
            assert map_threads(lambda n: n * n, range(1000)) == [n * n for n in range(1000)]


def test_a_limit_of_one_stays_in_the_callers_thread() -> None:
    with limit_threads(1):
        assert set(map_threads(lambda _: threading.get_ident(), range(50))) == {
            threading.get_ident()
        }


def test_the_limit_ends_with_its_block_and_is_the_callers_own() -> None:
    before = cpu_count()
    with limit_threads(before + 5):
        assert cpu_count() == before + 5
        with ThreadPoolExecutor(1) as other:
            assert other.submit(cpu_count).result() == before
    assert cpu_count() == before


def test_a_map_within_a_map_runs_where_it_is() -> None:
    def inner(_: int) -> set[int]:
        return {threading.get_ident(), *map_threads(lambda _: threading.get_ident(), range(9))}

    with limit_threads(2):
        assert all(len(threads) == 1 for threads in map_threads(inner, range(8)))


# -- forked children ---------------------------------------------------------------------------

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
WATCHDOG = 120
"""Seconds after which a child is taken to hang."""
IMAGES = [natural_image(48, 40, seed=seed) for seed in range(6)]


def in_a_child(job: Callable[..., Any], *given: Any) -> Any:
    """What `job` makes of it in a forked child, after this process did the same in its threads."""
    with limit_threads(3):
        here = job(*given)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            there = pool.apply_async(job, given).get(timeout=WATCHDOG)
    assert there == here
    return there


def _squares() -> list[int]:
    return map_threads(lambda n: n * n, range(100))


def _thread_names() -> set[str]:
    barrier = threading.Barrier(2)

    def name(_: int) -> str:
        barrier.wait(WATCHDOG)  # each item in a thread of its own, or not at all
        return threading.current_thread().name

    with limit_threads(2):
        return set(map_threads(name, range(2)))


@forks
@pytest.mark.parametrize("job", [_squares, _thread_names])
def test_threads_are_made_anew_in_forked_children(job: Callable[[], Any]) -> None:
    assert len(in_a_child(job)) > 1


def _coded(name: str) -> list[bytes]:
    codec = registry.default().codec(name)
    datas = codec.encode_many(IMAGES, codec.settings_type())
    return [image.tobytes() for image in codec.decode_many(datas)] + datas


@forks
@pytest.mark.parametrize("name", sorted(registry.default().codecs))
def test_every_codec_works_in_forked_children(name: str) -> None:
    if registry.missing(registry.default().codec(name).requires):
        pytest.skip("its packages are not installed")
    in_a_child(_coded, name)


def _said(name: str) -> list[int]:
    head = registry.default().head(name)
    scores = head.predict([head.prepare(image) for image in IMAGES]).scores
    return [int(row.argmax()) for row in scores]


@forks
@pytest.mark.parametrize("name", ["efficientnet-lite0", "cifar10"])
def test_heads_work_in_forked_children(name: str) -> None:
    if registry.missing(registry.default().head(name).requires):
        pytest.skip("its packages are not installed")
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        in_a_child(_said, name)
    finally:
        torch.set_num_threads(before)
