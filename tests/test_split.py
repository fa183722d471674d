"""What is held out: evenly spread, by groups, by name; and whether neighbours give it away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage
from toys import Item

import codecframe
from codecframe.core.progress import Silent
from codecframe.core.split import halves, hold_out, leak_warning
from codecframe.images import group_names, open_held_out, open_images, without
from codecframe.training.recipes import open_recipe_split


@given(st.integers(1, 300), st.data())
def test_so_many_are_held_out_evenly_spread(total: int, draw: st.DataObject) -> None:
    count = draw.draw(st.integers(0, total - 1))
    held = hold_out(count, total)
    assert len(set(held)) == count
    assert held == sorted(held)
    if count > 1:
        gaps = np.diff(held)
        assert gaps.max() - gaps.min() <= 1


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.data())
def test_groups_are_held_out_whole(numbers: list[int], draw: st.DataObject) -> None:
    groups = [f"track {number}" for number in numbers]
    count = draw.draw(st.integers(0, len(groups) - 1))
    try:
        held = hold_out(count, len(groups), groups)
    except codecframe.SettingsError:
        return  # all groups would be held out
    assert count <= len(held) < len(groups)
    apart = {groups[place] for place in held}
    assert held == [place for place, name in enumerate(groups) if name in apart]


def test_more_than_all_images_cannot_be_held_out() -> None:
    for count in (6, 7):
        with pytest.raises(codecframe.SettingsError, match=r"'held_out'.*fewer than the 6"):
            hold_out(count, 6)
    with pytest.raises(codecframe.SettingsError, match="groups"):
        hold_out(4, 6, ["a"] * 3 + ["b"] * 3)


def test_halves_have_whole_groups_and_about_as_many_images() -> None:
    assert halves(5) == ([0, 2, 4], [1, 3])
    groups = [str(place // 10) for place in range(100)]
    first, second = halves(100, groups)
    assert len(first) == len(second) == 50
    assert not {groups[p] for p in first} & {groups[p] for p in second}
    with pytest.raises(codecframe.MismatchError, match="one group"):
        halves(3, ["a"] * 3)


# -- how groups are told ---------------------------------------------------------------------


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    """Two sites with two tracks of two frames each, and a labels file."""
    rows = ["file,label,track,split"]
    for site in ("north", "south"):
        (tmp_path / site).mkdir()
        for track in (1, 2):
            for frame in (1, 2):
                name = f"{site}/t{track}_{frame}.png"
                PilImage.new("RGB", (8, 8), (track * 20, frame * 20, 0)).save(tmp_path / name)
                rows.append(f"{name},{track},{site}-{track},{'val' if track == 2 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "groups"),
    [
        ("folder", ["north"] * 4 + ["south"] * 4),
        ("pattern:t\\d", ["t1", "t1", "t2", "t2"] * 2),
        ("pattern:(\\w+)/t(\\d)", [f"{s}/{t}" for s in ("north", "south") for t in "1122"]),
        ("column:track", [f"{s}-{t}" for s in ("north", "south") for t in "1122"]),
    ],
)
def test_groups_are_told_by(tracks: Path, spec: str, groups: list[str]) -> None:
    labels = tracks / "labels.csv"
    assert group_names(open_images(tracks, labels=labels), spec, labels) == groups


@pytest.mark.parametrize(
    ("spec", "labels", "message"),
    [
        ("track", True, "folder, pattern:REGEX or column:NAME"),
        ("pattern:(", True, "regular expression"),
        ("pattern:site", True, "finds nothing"),
        ("column:trak", True, "has no column trak"),
        ("column:track", False, "labels file"),
    ],
)
def test_groups_that_cannot_be_told_are_refused(
    tracks: Path, spec: str, labels: bool, message: str
) -> None:
    items = open_images(tracks)
    with pytest.raises(codecframe.CodecframeError, match=message):
        group_names(items, spec, tracks / "labels.csv" if labels else None)


@pytest.mark.parametrize("specs", [["{}/south"], ["split=val"], ["{}/south/*.png"]])
def test_what_is_held_out_is_none_of_the_others(tracks: Path, specs: list[str]) -> None:
    specs = [spec.format(tracks) for spec in specs]
    labels = tracks / "labels.csv"
    held = open_held_out(specs, tracks, labels=labels)
    rest = without(open_images(tracks, labels=labels), held)
    paths = [[item.path for item in part] for part in (held, rest)]
    assert [len(part) for part in paths] == [4, 4]
    assert not set(paths[0]) & set(paths[1])


def test_recipes_name_groups_or_what_is_held_out(tracks: Path) -> None:
    recipe: dict[str, Any] = {"images": ["."], "labels": "labels.csv"}
    images, groups, held = open_recipe_split(recipe, tracks)
    assert (len(images), groups, held) == (8, None, None)
    images, groups, held = open_recipe_split({**recipe, "group": "column:track"}, tracks)
    assert (groups is not None and len(set(groups)), held) == (4, None)
    images, groups, held = open_recipe_split({**recipe, "held_out": ["south"]}, tracks)
    assert (len(images), groups, held is not None and len(held)) == (4, None, 4)
    images, _, held = open_recipe_split({**recipe, "held_out": "split=val"}, tracks)
    assert {image.target for image in images} == {1}
    with pytest.raises(codecframe.DataError, match="none are left"):
        open_recipe_split({**recipe, "held_out": ["."]}, tracks)
    with pytest.raises(codecframe.SettingsError, match="held-out set"):
        open_recipe_split({**recipe, "held_out": ["south"], "group": "folder"}, tracks)


# -- leaks -----------------------------------------------------------------------------------


def scene(seed: int) -> Any:
    return np.random.default_rng(seed).uniform(0, 255, (32, 24, 3))


def frame(track: int, number: int) -> Any:
    """Frames of a track differ a little."""
    noise = np.random.default_rng(100 * track + number).normal(0, 10, (32, 24, 3))
    blurred = np.kron(scene(track)[:4, :3], np.ones((8, 8, 1)))
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)


def test_frames_of_one_track_on_both_sides_are_told() -> None:
    frames = [frame(place // 10, place) for place in range(100)]
    warning = leak_warning(frames.__getitem__, 100, hold_out(20, 100))
    assert warning is not None
    assert "100 % of the held-out images look like a neighbour" in warning
    tracks = [str(place // 10) for place in range(100)]
    assert leak_warning(frames.__getitem__, 100, hold_out(20, 100, tracks)) is None


def test_images_of_their_own_are_not_warned_of() -> None:
    images = [frame(place, 0) for place in range(40)]
    assert leak_warning(images.__getitem__, 40, hold_out(10, 40)) is None
    flat = [np.full((4, 4, 3), 7, np.uint8)] * 40  # all alike, neighbours no more than others
    assert leak_warning(flat.__getitem__, 40, hold_out(10, 40)) is None


def test_a_run_warns_of_leaks_and_of_classes_that_are_not_trained() -> None:
    said: list[str] = []
    items = [Item(f"{p}.png", frame(p // 10, p), p // 10) for p in range(100)]
    groups = [str(p // 10) for p in range(100)]
    here = Path()

    def run(**more: Any) -> codecframe.TrainingRun:
        return codecframe.TrainingRun(
            "mine", items, (), here, here, {}, Silent, warn=said.append, **more
        )

    training, held = run().split(20)
    assert (len(training), len(held)) == (80, 20)
    assert "look like a neighbour" in said.pop()
    training, held = run(groups=groups).split(20)
    assert {image.target for image in held} == {0, 5}
    assert said == ["2 classes are only in the held-out images, e.g. 0, 5"]
