"""Two codecs as the two layers of one: latents for a head, and a picture by a codec of pixels.

`efficientnet-vae+avif` sends the latents of `efficientnet-vae` as the task layer, and AVIF of the
whole image as the picture layer. Neither codec knows of the other, so that the image is sent twice:
the least that a codec whose layers build on each other must do better.

Its settings are those of the first codec, `picture`, whose levels are those of the second codec's
knob, and the second codec's other settings with `picture_` before their names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from codecframe.core.codec import Codec, Fit, SelfFitting
from codecframe.core.errors import DataError, MismatchError
from codecframe.core.hooks import JOINS
from codecframe.core.image import Image, Shape
from codecframe.core.layers import MOST_PICTURES, LayeredSettings, Layers, layered, picture
from codecframe.core.representation import PIXELS, Latents
from codecframe.core.settings import Settings, declared

_MAGIC = b"\x8acfl"
"""Begins data that has a picture; without one it is the first codec's."""
_PICTURE = "picture"
_PREFIX = "picture_"


def join_codecs(task: Codec[Any], pictures: Codec[Any]) -> JoinedCodec:
    """The codec of two layers.

    Args:
        task: gives a head its latents; a picture layer of its own is left out.
        pictures: encodes the image as a picture.

    Raises:
        MismatchError: if the first has no latents, or the second some or layers.
    """
    name = f"{task.name}{JOINS}{pictures.name}"
    if all(kind == PIXELS for kind in task.emits):
        raise MismatchError(f"{name}: {task.name} has no latents to go before a picture")
    if tuple(pictures.emits) != (PIXELS,):
        raise MismatchError(f"{name}: {pictures.name} is not a codec of pixels alone")
    for one in (task, pictures):
        if isinstance(one, JoinedCodec) or (one is pictures and layered(one) is not None):
            raise MismatchError(f"{name}: {one.name} has a picture layer of its own")
    return (_SelfFittingJoined if isinstance(task, SelfFitting) else JoinedCodec)(task, pictures)


class JoinedCodec(Codec[LayeredSettings]):
    """The codec of two layers that two codecs make.

    Args:
        task: gives a head its latents.
        pictures: encodes the image as a picture.
    """

    extension = ".cfl"

    def __init__(self, task: Codec[Any], pictures: Codec[Any]) -> None:
        self._task, self._pictures = task, pictures
        self.name = f"{task.name}{JOINS}{pictures.name}"
        self.summary = f"latents of {task.name}, and a picture by {pictures.name}"
        self.settings_type = _settings_type(self.name, task.settings_type, pictures.settings_type)
        self.requires = {**task.requires, **pictures.requires}
        self.plugin = task.plugin

    @property
    def emits(self) -> Any:  # type: ignore[override]
        """What the first codec emits, and pixels."""
        emitted = tuple(self._task.emits)
        return emitted if PIXELS in emitted else (*emitted, PIXELS)

    # -- encoding -------------------------------------------------------------------------

    def encode_image(self, image: Image, settings: LayeredSettings) -> bytes:
        """The first codec's data."""
        return self._task.encode(image, self._of_task(settings))

    def encode_images(self, images: Iterable[Image], settings: LayeredSettings) -> list[bytes]:
        """The same of several images."""
        return self._task.encode_many(images, self._of_task(settings))

    def picture_encoder(
        self, image: Image, data: bytes, settings: LayeredSettings
    ) -> Callable[[int], bytes]:
        """Puts the second codec's data behind it."""
        chosen = self._of_pictures(settings)

        def encode(level: int) -> bytes:
            found = self._pictures.encode(image, chosen.at_level(level))
            return _MAGIC + Layers(data, found).packed()

        return encode

    def _of_task(self, settings: LayeredSettings) -> Settings:
        return _own(self._task.settings_type, settings, "")

    def _of_pictures(self, settings: LayeredSettings) -> Settings:
        return _own(self._pictures.settings_type, settings, _PREFIX)

    def warm_up(self) -> None:
        """Both codecs."""
        self._task.warm_up()
        self._pictures.warm_up()

    # -- payloads -------------------------------------------------------------------------

    def strip_layers(self, data: bytes) -> Layers:
        """The payloads of both codecs."""
        layers = self._layers(data)
        task = self._task.strip(layers.task)
        picture = layers.picture
        return Layers(task, None if picture is None else self._pictures.strip(picture))

    def restore_layers(self, layers: Layers, settings: LayeredSettings, shape: Shape) -> bytes:
        """The data of both codecs."""
        task = self._task.restore(layers.task, self._of_task(settings), shape)
        level = settings.picture_level
        if layers.picture is None or level is None:
            if layers.picture is not None or level is not None:
                raise DataError(self.name, "has a picture and no level of it, or the other way")
            return task
        chosen = self._of_pictures(settings).at_level(level)
        picture = self._pictures.restore(layers.picture, chosen, shape)
        return _MAGIC + Layers(task, picture).packed()

    def _layers(self, data: bytes) -> Layers:
        """The data of both codecs apart."""
        if not data.startswith(_MAGIC):
            return Layers(data)
        return Layers.unpacked(data[len(_MAGIC) :], self.name)

    # -- decoding -------------------------------------------------------------------------

    def decode(self, data: bytes) -> Image:
        """The picture, or what the first codec rebuilds where there is none."""
        layers = self._layers(data)
        if layers.picture is not None:
            return self._pictures.decode(layers.picture)
        if PIXELS not in self._task.emits:
            raise DataError(self.name, f"has no picture, and {self._task.name} rebuilds none")
        return self._task.decode(data)

    def icc_profile(self, data: bytes) -> bytes | None:
        """What the codec says whose pixels `decode` gives."""
        layers = self._layers(data)
        if layers.picture is not None:
            return self._pictures.icc_profile(layers.picture)
        return self._task.icc_profile(data)

    def decode_latents(self, data: bytes) -> Latents:
        """The first codec's latents."""
        return self._task.decode_latents(self._layers(data).task)

    def decode_latents_many(self, datas: Iterable[bytes]) -> list[Latents]:
        """The same of several encodings."""
        return self._task.decode_latents_many([self._layers(data).task for data in datas])


class _SelfFittingJoined(JoinedCodec):
    """The same where the first codec meets byte limits by itself."""

    def fit(
        self, image: Image, settings: LayeredSettings, max_bytes: int, *, payload_only: bool
    ) -> Fit[LayeredSettings]:
        """The task layer's best encoding of at most `max_bytes`."""
        fitting = self._task
        assert isinstance(fitting, SelfFitting)  # noqa: S101 - `join_codecs` looked
        own = self._of_task(settings)
        found = fitting.fit(image, own, max_bytes, payload_only=payload_only)
        chosen = settings.task_alone.at_level(found.settings.level)
        return Fit(found.data, chosen, found.size, found.encodes)


def _settings_type(
    name: str, task: type[Settings], pictures: type[Settings]
) -> type[LayeredSettings]:
    """The settings of two codecs in one class.

    Raises:
        MismatchError: if two of them would have one name.
    """
    knob = pictures.knob()
    levels = min(pictures.knob_levels(), MOST_PICTURES)
    own = [info for info in task.fields() if info.name != _PICTURE]
    fields = [(info.name, info.type, declared(info.default, info.option)) for info in own]
    fields.append((_PICTURE, int | str, picture(levels)))
    fields += [
        (_PREFIX + info.name, info.type, declared(info.default, info.option))
        for info in pictures.fields()
        if knob is None or info.name != knob.field
    ]
    names = [field for field, _, _ in fields]
    for field in names:
        if names.count(field) > 1:
            raise MismatchError(f"{name}: both codecs have a setting for {field!r}")

    if (made := _made.get((name, task, pictures))) is not None:
        return made

    def check(settings: LayeredSettings) -> None:
        """Each codec takes its own."""
        LayeredSettings.__post_init__(settings)
        _own(task, settings, "")
        _own(pictures, settings, _PREFIX)

    def reduce(settings: LayeredSettings) -> tuple[Any, ...]:
        """For pickle, which finds no class that is made here."""
        return _unpickled, (name, task, pictures, settings.to_dict())

    made = dataclasses.make_dataclass(
        "JoinedSettings",
        fields,
        bases=(LayeredSettings,),
        namespace={
            "__post_init__": check,
            "__reduce__": reduce,
            "__doc__": f"Settings of {name}.",
        },
        frozen=True,
        kw_only=True,
    )
    return _made.setdefault((name, task, pictures), made)


_made: dict[tuple[str, type[Settings], type[Settings]], type[LayeredSettings]] = {}
"""Classes of settings: of two codecs there is one."""


def _unpickled(
    name: str, task: type[Settings], pictures: type[Settings], values: dict[str, Any]
) -> LayeredSettings:
    return _settings_type(name, task, pictures).from_dict(values)


def _own(kind: type[Settings], settings: LayeredSettings, prefix: str) -> Settings:
    """The settings of one of the codecs: the first without a picture, the second at its knob's
    default.
    """
    knob = kind.knob() if prefix else None
    return kind.from_dict(
        {
            info.name: getattr(settings, prefix + info.name)
            for info in kind.fields()
            if info.name != (knob.field if knob else _PICTURE)
        }
    )
