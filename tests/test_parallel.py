"""Maps over threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from codecframe.core.parallel import cpu_count, limit_threads, map_threads


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
