"""Names of what is made of many files: one rule for all commands, by which no two collide.

What is made has its source's name with another suffix. Where two would have the same name, both
keep their own suffix in front of it: `a.png.webp` beside `a.jpg.webp`.
"""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from codecframe.core.errors import MismatchError


def output_names(
    names: Sequence[str],
    suffix: str,
    *,
    taken: Collection[str] = (),
    folder: Path | None = None,
) -> list[str]:
    """What is made of each of `names`, in their order.

    Args:
        names: paths with forward slashes.
        suffix: of what is made, with its dot.
        taken: names that nothing else may get.
        folder: where the files will lie, if they will be files: some file systems take names for
            the same that differ by case or by Unicode normal form.

    Raises:
        MismatchError: if two cannot be told apart, with their names.
    """
    short = [posixpath.splitext(name)[0] + suffix for name in names]
    whole = [name + suffix for name in names]
    key = _key_for(folder, [*short, *whole, *taken])
    occupied: dict[str, str] = {}
    for name in taken:
        if (other := occupied.setdefault(key(name), name)) != name:
            raise _collision(other, name, name)
    made = list(short)
    while clashes := _clashes(made, key, occupied):
        shortened = [i for group in clashes for i in group if made[i] != whole[i]]
        if not shortened:
            first, *others = clashes[0]
            other = names[others[0]] if others else occupied[key(made[first])]
            raise _collision(names[first], other, made[first])
        for i in shortened:
            made[i] = whole[i]
    return made


def _collision(one: str, other: str, name: str) -> MismatchError:
    return MismatchError(f"{one} and {other} would both become {name}: rename one of them")


def _clashes(
    made: Sequence[str], key: Callable[[str], str], occupied: Collection[str]
) -> list[list[int]]:
    """Groups of positions that would share a name with each other, or have one that is taken."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(made):
        places[key(name)].append(i)
    return [group for name, group in places.items() if len(group) > 1 or name in occupied]


def _key_for(folder: Path | None, names: Sequence[str]) -> Callable[[str], str]:
    """Equal for names that are the same in the folder, which is asked only if that matters."""
    if folder is None or len(set(map(_folded, names))) == len(set(names)):
        return str
    case, form = _folds(folder)
    return lambda name: _folded(name, case=case, form=form)


def _folded(name: str, *, case: bool = True, form: bool = True) -> str:
    if form:
        name = unicodedata.normalize("NFC", name)
    return name.casefold() if case else name


def _folds(folder: Path) -> tuple[bool, bool]:
    """Whether names that differ by case, and by normal form, are the same file there."""
    place = folder.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    probe = place / f".{secrets.token_hex(8)}-\N{LATIN SMALL LETTER E WITH ACUTE}.tmp"
    upper = probe.with_name(probe.name.upper())
    decomposed = probe.with_name(unicodedata.normalize("NFD", probe.name))
    with contextlib.suppress(OSError):
        probe.touch(exist_ok=False)
        try:
            return upper.exists(), decomposed.exists()
        finally:
            probe.unlink()
    return False, False
