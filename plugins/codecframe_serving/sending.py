"""Sending images to a server: what `codecframe send` does, as a function."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import codecframe
from codecframe import Budget, DataError, LayeredSettings, Settings, UsageError

if TYPE_CHECKING:
    from codecframe_serving.encoder import Choice
    from codecframe_serving.plan import Outcome, State

EXTRA = "codecframe[send]"
_FPS = 10.0
_PICTURES = ("never", "spare", "asked")


@dataclass(frozen=True, repr=False)
class Sent(codecframe.Result):
    """What became of the images that were sent.

    Attributes:
        ok: images that were answered.
        dropped: images that the link could not carry in time.
        failed: images that sending again would not bring through.
        on_device: of those that were answered, the ones that the camera's own head answered, and
            that were not sent.
        pictures_ok, pictures_dropped, pictures_failed: the same of picture layers.
    """

    ok: int
    dropped: int
    failed: int
    on_device: int = 0
    pictures_ok: int = 0
    pictures_dropped: int = 0
    pictures_failed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def shown(self) -> list[str | codecframe.Table]:
        """A sentence."""
        return [sentence(self)]


def sentence(counted: Sent | State) -> str:
    """What became of the images, and of their pictures where there were any."""
    where = f" ({counted.on_device} on the device)" if counted.on_device else ""
    said = f"{counted.ok} ok{where}, {counted.dropped} dropped, {counted.failed} failed"
    pictures = counted.pictures_ok, counted.pictures_dropped, counted.pictures_failed
    if not any(pictures):
        return said
    return "{}; pictures: {} ok, {} dropped, {} failed".format(said, *pictures)


class Watcher(Protocol):
    """Is shown how sending goes; one that only says remarks looks at nothing else."""

    def follow(self, state: State) -> AbstractContextManager[object]:
        """Look at this state while the block is left open."""
        return nullcontext(state)

    def say(self, message: str) -> None:
        """A remark, such as that the connection was lost."""

    async def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the work, looking at the state from time to time."""
        await work


class _Nobody(Watcher):
    """Looks at nothing."""

    def say(self, message: str) -> None:
        """Nothing."""


def send(
    source: str,
    url: str,
    codecs: str | Sequence[str],
    *,
    budget: str | codecframe.Keep | None = None,
    fps: float | None = None,
    live: bool = False,
    loop: bool = False,
    limit: int | None = None,
    top: int = 1,
    head: codecframe.TaskHead | str | None = None,
    sure: float | str | None = None,
    audit: float | str | None = None,
    keep: codecframe.Keep | str | None = None,
    picture: str = "never",
    picture_memory: int = 64,
    token_file: Path | None = None,
    tls_ca: Path | None = None,
    give_up: float = 60,
    data_root: str | None = None,
    tell: Callable[[Outcome], None] | None = None,
    watcher: Watcher | None = None,
) -> Sent:
    """Send images over a link to a `codecframe serve`, and say what it sees.

    The sender follows the link: where it carries less than the budget, images get smaller, then
    the next codec is taken, then frames are left out. Every image ends as ok, dropped or failed.

        codecframe_serving.send("photos/", "http://10.0.0.7:8000", "webp", tell=print)

    Args:
        source: a folder, an image, a data set, a video file, or a video device (`/dev/video0`).
        url: of the server: http, https, ws or wss.
        codecs: codecs with optional settings, the preferred first.
        budget: what the link carries at most, `256kbit/s` or `256kbit/s@5fps`; None: settings stay
            as they are.
        fps: images a second; None: as fast as answers come, 10 with a budget.
        live: keep the frame rate, and drop what the link cannot carry; otherwise images wait.
        loop: begin anew at the end of the source, for ever.
        limit: send at most so many images.
        top: classes that are asked for.
        head: the camera's own head: what it is sure of is not sent, but the answer.
        sure: from what confidence on it answers, `0.9`; or what share of the server's predictions
            must be kept, `98%`: all images are then sent at first, and their answers compared,
            until that confidence is known.
        audit: the share of images that is sent once more without loss, or else at the highest
            level, within the budget: `0.1%`. The server compares and keeps a running estimate of
            what compression costs.
        keep: what was promised, `98%`: the server warns once less is kept, for sure. A `Keep` with
            what was measured, here or as the budget, also sets the level.
        picture: when picture layers are sent, of codecs that have them: `never`; `spare`: with each
            image, as much as the budget leaves, at most the level that the codec's settings name;
            `asked`: when the server asks.
        picture_memory: MiB of images that are kept for a server that asks.
        token_file: file with the token that the server wants; else that of `CODECFRAME_TOKEN`.
        tls_ca: PEM file with the authority of the server's TLS.
        give_up: seconds without an answer, while one is due, after which sending ends; 0: never.
        data_root: folder with the data sets cifar10 and cifar100; `CODECFRAME_DATA` by default.
        tell: called with what became of each image, when it is known.
        watcher: is shown how sending goes.

    Raises:
        UsageError: for arguments that do not go together.
        DependencyError: if a package is missing.
        UnknownNameError, SettingsError, BudgetError: for what does not exist or cannot be read.
        DataError: if the source or a file cannot be read, the server cannot be reached, or refuses.
    """
    codecframe.require("websockets", EXTRA)
    from codecframe_serving.plan import Plan
    from codecframe_serving.sender import Sender
    from codecframe_serving.sources import open_source
    from codecframe_serving.tokens import find_token

    if isinstance(budget, codecframe.Keep):
        budget, keep = None, budget
    if live and fps is None and (budget is None or "@" not in budget):
        raise UsageError("{live} needs {fps}, or a budget such as 64kbit/s@10fps")
    found = None if budget is None else _link_budget(budget, fps)
    specs = [codecs] if isinstance(codecs, str) else codecs
    parsed = [codecframe.parse_spec(spec) for spec in specs]
    if isinstance(keep, codecframe.Keep) and keep.measured is not None and found is None:
        parsed = [(codec, keep.settings_for(codec, settings)) for codec, settings in parsed]
    plan = Plan(
        url=url,
        choices=_choices(parsed, picture, found),
        budget=found,
        fps=fps if found is None else found.fps,
        live=live,
        token=find_token(token_file),
        top=top,
        device=_device(head, sure),
        kept=_kept(sure),
        audit=_share(audit),
        promised=_promised(keep, audit),
        give_up=give_up or None,
        tls=_trusted(tls_ca) if tls_ca else None,
        keeps_pictures=picture_memory << 20 if picture == "asked" else 0,
    )
    items = open_source(source, loop=loop, limit=limit, data_root=data_root)
    seen = watcher or _Nobody()
    sender = Sender(plan, tell or (lambda outcome: None), seen.say)
    with seen.follow(sender.state):
        asyncio.run(seen.watch(sender.run(items)))
    return Sent(**{name: getattr(sender.state, name) for name in Sent.__dataclass_fields__})


def _choices(
    parsed: Sequence[tuple[codecframe.Codec[Any], Settings]], picture: str, budget: Budget | None
) -> list[Choice]:
    """The codecs as frames are sent with them, with or without pictures.

    Raises:
        UsageError: if the pictures that are wanted cannot be sent.
    """
    from codecframe_serving.encoder import Choice

    if picture not in _PICTURES:
        raise UsageError(f"{{picture}} is {picture!r}: expected {', '.join(_PICTURES)}")
    if picture != "never" and not any(codecframe.layered(codec) for codec, _ in parsed):
        first = parsed[0][0].name
        raise UsageError(
            f"{{picture}} {picture} needs a codec with a picture layer, which {first} is not: two "
            "codecs are one as in efficientnet-vae+avif"
        )
    found = []
    for codec, settings in parsed:
        if not isinstance(settings, LayeredSettings):
            found.append(Choice(codec, settings))
            continue
        level = settings.picture if isinstance(settings.picture, int) else None
        if picture == "never" and settings.picture != settings.task_alone.picture:
            raise UsageError(
                f"{{picture}} never and {codec.name}:picture={settings.picture} differ"
            )
        if picture != "spare":
            found.append(Choice(codec, settings.task_alone, level))
        elif level is None and budget is None:
            raise UsageError("{picture} spare needs {budget}, or a level: picture=LEVEL")
        else:
            wanted = settings if level is not None else settings.replace(picture="spare")
            found.append(Choice(codec, wanted))
    return found


def _device(
    head: codecframe.TaskHead | str | None, sure: float | str | None
) -> codecframe.DeviceHead | None:
    """The camera's own head; one that is calibrated is sure of nothing before.

    Raises:
        UsageError: if one of head and confidence lacks the other.
    """
    if head is None and sure is None:
        return None
    if head is None:
        raise UsageError("{sure} needs {head}: it answers what it is sure of")
    if sure is None:
        raise UsageError("{head} needs {sure}: from what confidence on it answers")
    return codecframe.DeviceHead(head, math.inf if _kept(sure) else _confidence(sure))


def _confidence(sure: float | str) -> float:
    try:
        found = float(sure)
        if 0 <= found <= 1:
            return found
    except ValueError:
        pass
    raise UsageError(f"{sure!r} is not a confidence such as 0.9, or what must be kept, such as 98%")


def _kept(sure: float | str | None) -> codecframe.Keep | None:
    """What share of the server's predictions must be kept, where that is asked for."""
    return codecframe.Keep(sure) if isinstance(sure, str) and sure.strip().endswith("%") else None


def _share(audit: float | str | None) -> float:
    if audit is None:
        return 0.0
    try:
        text = str(audit).strip()
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 < share <= 1:
            return share
    except ValueError:
        pass
    raise UsageError(f"{audit!r} is not a share of images, such as 0.1%")


def _promised(keep: codecframe.Keep | str | None, audit: float | str | None) -> float | None:
    if keep is None:
        return None
    promise = codecframe.Keep(keep) if isinstance(keep, str) else keep
    if audit is None and promise.measured is not None:
        return None
    if audit is None or promise.of != "predictions":
        raise UsageError("{keep} needs {audit}, and is a share of predictions, such as 98%")
    return promise.least


def _link_budget(text: str, fps: float | None) -> Budget:
    """The budget of a link, at so many images a second."""
    if "@" not in text:
        text = f"{text}@{fps or _FPS:g}fps"
    elif fps is not None:
        raise UsageError("{fps} and {budget} both say how many images a second")
    budget = Budget.parse(text)
    if budget.mode != "link":
        raise UsageError(f"{text!r} is not the rate of a link, such as 256kbit/s")
    return budget


def _trusted(file: Path) -> ssl.SSLContext:
    """TLS that trusts the authority of a file.

    Raises:
        DataError: if it cannot be read, or is not a certificate.
    """
    from codecframe_serving.tokens import check_pem

    check_pem(file)
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        raise DataError(str(file), f"is not a certificate: {error.reason or error}") from None
