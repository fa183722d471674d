"""Memory for all together: what is taken at once or not at all, and what waits for its turn."""

from __future__ import annotations

import asyncio

import pytest

from codecframe_serving.room import BusyError, Room


def test_claims_grow_until_there_is_no_room_and_give_all_back() -> None:
    room = Room(10)
    with room.claim() as first, room.claim() as second:
        first.grow(4)
        second.grow(6)
        with pytest.raises(BusyError):
            first.grow(1)
        second.shrink(2)
        second.shrink(5)  # keeps no more than it has
        first.grow(4)
        assert (room.taken, first.size, second.size) == (10, 8, 2)
    assert room.taken == 0


def test_what_is_larger_than_the_room_gets_it_alone() -> None:
    room = Room(10)
    with room.claim() as great:
        great.grow(99)
        with room.claim() as other, pytest.raises(BusyError):
            other.grow(1)
    assert room.taken == 0


def test_who_waits_gets_room_in_order_and_who_leaves_takes_none() -> None:
    got: list[str] = []

    async def test() -> None:
        room = Room(10)

        async def take(name: str, size: int) -> None:
            async with room.waited_for(size) as claim:
                got.append(name)
                claim.shrink(size // 2)
                await asyncio.sleep(0)

        async with room.waited_for(8) as held:
            tasks = [
                asyncio.create_task(take(name, size))
                for name, size in (("great", 9), ("gone", 3), ("small", 2))
            ]
            await asyncio.sleep(0)
            assert got == []  # the small one does not overtake
            tasks[1].cancel()
            await asyncio.sleep(0)
            held.shrink(1)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert room.taken == 0

    asyncio.run(test())
    assert got == ["great", "small"]


def test_who_is_cancelled_just_when_it_is_its_turn_takes_none() -> None:
    async def test() -> None:
        room = Room(10)

        async def take() -> None:
            async with room.waited_for(9):
                raise AssertionError("it was cancelled")

        async with room.waited_for(9):
            task = asyncio.create_task(take())
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert room.taken == 0

    asyncio.run(test())
