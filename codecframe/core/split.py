"""What is held out of a set of images: evenly spread, or by whole groups, and whether it leaks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from codecframe.core.errors import MismatchError, SettingsError
from codecframe.core.image import Image

_SIDE = 8
"""Of thumbnails, in pixels."""
_COMPARED = 200
"""Held-out images that are compared with their neighbours, at most."""
_ALIKE = 0.9
"""Correlation of thumbnails from which two images look alike."""
_MORE = 0.2
"""Neighbours look alike more often than others by this share: frames of one scene, probably."""


def hold_out(count: int, total: int, groups: Sequence[str] | None = None) -> list[int]:
    """The places, ascending, of `count` images of `total`, evenly spread; of whole groups as many
    as have that many images at least.

    Raises:
        SettingsError: if nothing would be left.
    """
    if count >= total:
        raise SettingsError("held_out", count, f"fewer than the {total} images")
    if groups is None or not count:
        return [place * total // count for place in range(count)]
    names, members = _members(groups)

    def chosen(number: int) -> list[int]:
        return [place * len(names) // number for place in range(number)]

    def size(number: int) -> int:
        return sum(len(members[at]) for at in chosen(number))

    number = bisect_left(range(1, len(names) + 1), count, key=size) + 1
    held = sorted(place for at in chosen(min(number, len(names))) for place in members[at])
    if len(held) >= total:
        raise SettingsError(
            "held_out", count, f"so few that some of the {len(names)} groups are left to train on"
        )
    return held


def halves(total: int, groups: Sequence[str] | None = None) -> tuple[list[int], list[int]]:
    """(tuning, held out): places of every other image; of whole groups, so that both have about as
    many.

    Raises:
        MismatchError: if all images are in one group.
    """
    if groups is None:
        return list(range(0, total, 2)), list(range(1, total, 2))
    parts: tuple[list[int], list[int]] = ([], [])
    names, members = _members(groups)
    if len(names) < 2:
        raise MismatchError(f"all images are in one group, {names[0]!r}: none can be held out")
    for places in members:
        min(parts, key=len).extend(places)
    return sorted(parts[0]), sorted(parts[1])


def _members(groups: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """(names, places of the members) of the groups, in the order of their first members."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(groups):
        found.setdefault(name, []).append(place)
    return list(found), list(found.values())


# -- images that look alike ------------------------------------------------------------------


def leak_warning(read: Callable[[int], Image], total: int, held: Sequence[int]) -> str | None:
    """What to tell a user where held-out images look like their neighbours, which are not held out.

    Thumbnails of 8x8 pixels are correlated: of at most 200 held-out images with their nearest
    neighbours in the list that are not held out, and with others. None where neighbours look alike
    about as seldom as others do.

    Args:
        read: gives the image at a place.
        total: number of images.
        held: places of those that are held out.
    """
    pairs = _neighbours(held, total)
    if not pairs:
        return None
    if len(pairs) > _COMPARED:
        pairs = [pairs[at * len(pairs) // _COMPARED] for at in range(_COMPARED)]
    half = len(pairs) // 2
    strangers = [beside for _, beside in pairs[half:] + pairs[:half]]
    places = {place for one, beside in pairs for place in (one, *beside)}
    thumbnails = {place: _thumbnail(read(place)) for place in places}

    def alike(one: int, others: Sequence[int]) -> bool:
        return any(float(thumbnails[one] @ thumbnails[other]) >= _ALIKE for other in others)

    near = sum(alike(one, beside) for one, beside in pairs) / len(pairs)
    held_places = [one for one, _ in pairs]
    others = sum(map(alike, held_places, strangers)) / len(pairs)
    if near < others + _MORE:
        return None
    return (
        f"{100 * near:.0f} % of the held-out images look like a neighbour in the list that is not "
        f"held out ({100 * others:.0f} % like another image): if they are frames of one scene, "
        "what is measured on them is too good. Keep what belongs together together (group), or "
        "name a held-out set"
    )


def _neighbours(held: Sequence[int], total: int) -> list[tuple[int, list[int]]]:
    """(held-out place, those beside it that are not held out), where there are such."""
    apart = set(held)
    found = []
    for one in held:
        beside = [p for p in (one - 1, one + 1) if 0 <= p < total and p not in apart]
        found += [(one, beside)] if beside else []
    return found


def _thumbnail(image: Image) -> npt.NDArray[np.float64]:
    """Means of 8x8 tiles of an image, without their own mean, of length 1."""
    values = image.astype(np.float64)
    for axis, side in enumerate(image.shape[:2]):
        edges = np.linspace(0, side, _SIDE, endpoint=False).astype(int)
        counts = np.diff([*edges, side]).clip(1)  # one pixel counts where there are fewer than 8
        sums = np.add.reduceat(values, edges, axis)
        values = sums / counts.reshape(-1, *(1,) * (2 - axis))
    flat = values.ravel() - values.mean()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9))
