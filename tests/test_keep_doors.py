"""Every door that takes a budget either takes what must stay right, too, or says why not."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from toys import BrightnessHead, picture, toy_registry

import codecframe as cf
from codecframe.integrations.huggingface import Compress
from codecframe_serving.plan import Plan
from codecframe_serving.sending import send

IMAGES = [picture(seed) for seed in range(60)]
HEAD = BrightnessHead()
BUDGETS = {"budget", "budgets"}


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[cf.Profile]:
    with toy_registry():
        PilImage.fromarray(IMAGES[0]).save(tmp_path / "0.png")
        yield cf.profile(
            IMAGES, HEAD, codecs=["toy"], levels=[120, 230, 250], output=tmp_path / "toys.profile"
        )


@pytest.fixture
def keep(profile: cf.Profile) -> cf.Keep:
    return cf.Keep("80%", measured=profile)


def level(keep: cf.Keep) -> int:
    """The level that keeps it, as `select` finds it."""
    winner = cf.select(keep.measured, keep=keep.text).winner
    assert winner is not None
    return int(winner.settings["strength"])


def test_it_is_the_level_that_select_finds(keep: cf.Keep, profile: cf.Profile) -> None:
    codec = cf.get_codec("toy")
    found: Any = keep.settings_for(codec, codec.settings())
    assert found.strength == level(keep) < 250
    assert pickle.loads(pickle.dumps(keep)).settings_for(codec, codec.settings()) == found
    with pytest.raises(cf.BudgetError, match="no level that was measured surely keeps 99 %"):
        cf.Keep("99%", measured=profile).settings_for(codec, codec.settings())
    with pytest.raises(cf.MismatchError, match="has no bland"):
        keep.settings_for(cf.get_codec("bland"), cf.get_codec("bland").settings())


def sent(path: Path, keep: cf.Keep) -> Any:
    """The settings with which a camera would send."""
    plans: list[Plan] = []

    class Sender:
        def __init__(self, plan: Plan, *_: Any) -> None:
            plans.append(plan)
            raise cf.DataError("link", "is down")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codecframe_serving.sender.Sender", Sender)
        with pytest.raises(cf.DataError):
            send(str(path), "http://127.0.0.1:9", "toy", budget=keep)
    return plans[0].choices[0].settings


ENCODERS: dict[str, Callable[[Path, Any], Any]] = {
    "Pipeline": lambda path, keep: cf.Pipeline("toy", HEAD, budget=keep).settings,
    "encode": lambda path, keep: cf.encode(IMAGES[0], "toy", budget=keep),
    "encode_files": lambda path, keep: (
        cf.encode_files(IMAGES[:2], "toy", budget=keep, output=path / "files").images[0].settings
    ),
    "classify": lambda path, keep: (
        cf.classify(IMAGES[:2], HEAD, codec="toy", budget=keep).images[0].settings
    ),
    "transcode": lambda path, keep: [
        cf.transcode(path / "0.png", path / "small", "toy", budget=keep),
        *(each.read_bytes() for each in (path / "small").rglob("*.toy")),
    ][1],
    "controller": lambda path, keep: (
        cf.controller(cf.get_codec("toy"), cf.get_codec("toy").settings(), keep)
        .encode(IMAGES[0])
        .settings
    ),
    "huggingface.Compress": lambda path, keep: Compress("toy", budget=keep)(
        {"image": PilImage.fromarray(IMAGES[0])}
    )["bytes"],
    "serving.send": lambda path, keep: sent(path / "0.png", keep),
}
ASKING: dict[str, Callable[[Path, Any], Any]] = {
    "select": lambda path, keep: cf.select(path / "toys.profile", budget=keep),
    "report": lambda path, keep: cf.report(path / "toys.profile", budget=keep),
    "profile": lambda path, keep: cf.profile(IMAGES, HEAD, codecs=["toy"], budget=keep),
    "tune": lambda path, keep: cf.tune("toy", IMAGES, HEAD, budget=keep, trials=1),
}
REFUSING: dict[str, tuple[Callable[[Path, Any], Any], str]] = {
    "adapt": (
        lambda path, keep: cf.adapt(HEAD, IMAGES, "toy", budget=keep),
        "adapting changes what the head says",
    ),
    "fit_mean": (
        lambda path, keep: cf.fit_mean(
            cf.get_codec("toy"), cf.get_codec("toy").settings(), IMAGES, keep
        ),
        "not what may be spent",
    ),
    "fit_levels": (
        lambda path, keep: cf.fit_levels(
            cf.get_codec("toy"), cf.get_codec("toy").settings(), IMAGES, [keep]
        ),
        "not what may be spent",
    ),
    "StreamController": (
        lambda path, keep: cf.StreamController(
            cf.get_codec("toy"), cf.get_codec("toy").settings(), keep, cf.Accounting.FILE, depth=9
        ),
        "not what may be spent",
    ),
    "Objective": (
        lambda path, keep: cf.Objective(HEAD, IMAGES[:2], None, keep, cf.Accounting.FILE),
        "not what may be spent",
    ),
}


def test_every_public_name_that_takes_a_budget_is_here() -> None:
    takes = set()
    for name in cf.__all__:
        known = getattr(cf, name)
        if not callable(known):
            continue
        if isinstance(known, type) and issubclass(known, (cf.Result, Exception)):
            continue
        try:
            parameters = inspect.signature(known).parameters
        except ValueError:  # a type of arrays
            continue
        if any("Budget" in str(parameters[p].annotation) for p in BUDGETS & parameters.keys()):
            takes.add(name)
    assert takes <= {*ENCODERS, *ASKING, *REFUSING, "presets"}
    assert len(takes) >= 12


@pytest.mark.parametrize("door", ENCODERS)
def test_what_encodes_takes_the_level_that_was_measured(
    door: str, keep: cf.Keep, profile: cf.Profile
) -> None:
    codec = cf.get_codec("toy")
    wanted = codec.settings(strength=level(keep))
    data = codec.encode(IMAGES[0], wanted)
    found = ENCODERS[door](profile.path.parent, keep)
    assert found in (wanted, data, len(codec.strip(data)))
    with pytest.raises(cf.CodecframeError) as refused:
        ENCODERS[door](profile.path.parent, cf.Keep("80%"))
    said = "needs audit" if door == "serving.send" else "must be measured: give Keep('80%', meas"
    assert said in str(refused.value)


@pytest.mark.parametrize("door", ASKING)
def test_what_asks_takes_it_as_it_takes_a_budget(door: str, profile: cf.Profile) -> None:
    text = repr(ASKING[door](profile.path.parent, cf.Keep("60%")))
    assert text


def test_a_tuning_ends_at_the_level_that_is_sure(profile: cf.Profile) -> None:
    found = cf.tune("toy", IMAGES * 2, HEAD, keep="80%", confidence=0.9, trials=2)
    promise = found.preset.scored["keep"]
    assert promise["what"] == "80%" and promise["confidence"] == 0.9
    assert promise["tuned"]["sure"] and promise["tuned"]["kept"] >= 0.8
    assert promise["tuned"]["bytes"] <= promise["default"]["bytes"]
    assert found.preset.settings["strength"] < 250
    assert "80% kept on held-out images, 90 % sure" in repr(found)
    with pytest.raises(cf.BudgetError, match="held-out images are too few"):
        cf.tune("toy", IMAGES, HEAD, keep="99%", trials=1)
    with pytest.raises(cf.UsageError, match="give budget, keep or score"):
        cf.tune("toy", IMAGES, HEAD)


@pytest.mark.parametrize("door", REFUSING)
def test_what_only_spends_bytes_says_so(door: str, profile: cf.Profile) -> None:
    call, why = REFUSING[door]
    with pytest.raises(cf.BudgetError, match=why):
        call(profile.path.parent, cf.Keep("80%"))


def test_an_export_says_so() -> None:
    keep: Any = cf.Keep("80%")
    with pytest.raises(cf.BudgetError, match="not what may be spent"):
        cf.presets("jpeg:cifar10", export="cjpeg", images=IMAGES[:2], head=HEAD, budget=keep)


def test_ray_and_torch_take_it() -> None:
    torch = pytest.importorskip("torch")
    from codecframe.integrations.raydata import CodecTransform as OfRay
    from codecframe.integrations.torch import CodecTransform as OfTorch

    assert torch is not None
    with toy_registry():
        keep = cf.Keep(
            "80%", measured=cf.profile(IMAGES, HEAD, codecs=["toy"], levels=[120, 230, 250])
        )
        batch = OfRay("toy", budget=keep)({"image": np.stack(IMAGES[:1])})
        transform = OfTorch("toy", budget=keep)
        transform(IMAGES[0])
        assert transform.sizes == batch["bytes"].tolist()
