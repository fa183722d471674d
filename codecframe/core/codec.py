"""The codec interface. A new pixel codec is a `Settings` dataclass and two methods:

from dataclasses import dataclass
import codecframe

@dataclass(frozen=True, kw_only=True)
class MySettings(codecframe.Settings):
    quality: int = codecframe.knob(75, low=1, high=100, help="higher is better and bigger")

class MyCodec(codecframe.Codec[MySettings]):
    name = "mine"
    extension = ".mine"
    summary = "my format"
    settings_type = MySettings

    def encode_image(self, image, settings): ...
    def decode(self, data): ...

Users give settings as they like: `codec.encode(image, quality=30)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from codecframe.core.errors import CodecframeError, DataError, MismatchError, PluginError, told
from codecframe.core.image import Image, Shape
from codecframe.core.layers import LayeredSettings, Layers, layered
from codecframe.core.parallel import map_threads
from codecframe.core.representation import PIXELS, Latents, Representation
from codecframe.core.settings import Settings

S = TypeVar("S", bound=Settings)


_GUARDED = (
    *("encode_image", "encode_images", "fit", "decode", "decode_many"),
    *("decode_latents", "decode_latents_many", "strip", "restore", "exports", "warm_up"),
    *("picture_encoder", "strip_layers", "restore_layers"),
)
"""Methods whose unexpected errors become a `PluginError`."""


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, whose unexpected errors name the plugin and the codec; so do those of a function
    that it returns.
    """

    @wraps(method)
    def guarded(self: Codec[Any], *args: Any, **options: Any) -> Any:
        try:
            found = method(self, *args, **options)
        except (CodecframeError, KeyboardInterrupt, MemoryError, GeneratorExit):
            raise
        except BaseException as error:
            cause = f"{self.name}: {method.__name__} failed with {told(error)}"
            raise PluginError(self.plugin or self.name, cause, codec=self.name) from error
        if not callable(found):
            return found
        return partial(_guarded(wraps(method)(lambda _, *args: found(*args))), self)

    return guarded


class Codec(ABC, Generic[S]):
    """Turns an image into bytes and back.

    All methods are deterministic and thread-safe, and keep no state between calls. Making an
    instance is cheap: the underlying library is imported when first used. What a method raises
    that is not a `CodecframeError` reaches callers as a `PluginError` with the codec's name.

    Attributes:
        name: what users type; lower case.
        extension: file name suffix of `data`, with its dot.
        summary: one line for listings.
        settings_type: the codec's settings class.
        emits: what decoding can yield; latents first where there are any.
        requires: import name of an optional package this codec cannot work without -> the pip
            requirement that installs it. Checked by `codecframe doctor`.
        presets: folder with preset files (`NAME.yaml`) that come with the codec.
        encoders: other encoders of the format that settings are exported to -> the settings that
            they lack.
        plugin: the plugin that brought it; the registry says so.

    Examples:
        >>> codec = cf.get_codec("jpeg")
        >>> data = codec.encode(photo, quality=30)
        >>> codec.decode(data).shape
        (48, 64, 3)
        >>> payload = codec.strip(data)
        >>> codec.restore(payload, codec.settings(quality=30), (48, 64)) == data
        True
    """

    name: str
    extension: str
    summary: str = ""
    settings_type: type[S]
    emits: tuple[Representation, ...] = (PIXELS,)
    requires: Mapping[str, str] = MappingProxyType({})
    presets: ClassVar[Path | None] = None
    encoders: ClassVar[Mapping[str, frozenset[str]]] = {}
    plugin: str = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _GUARDED:
            if callable(method := cls.__dict__.get(name)):
                setattr(cls, name, _guarded(method))

    # -- for users ------------------------------------------------------------------------

    def settings(self, given: Settings | Mapping[str, Any] | None = None, **changes: Any) -> S:
        """The codec's settings from an object, a mapping or nothing, with fields changed.

        Raises:
            SettingsError: for a name that is not a field, or a value that the field does not take.
            MismatchError: for settings of another codec.
        """
        if given is None or not isinstance(given, Settings):
            return self.settings_type.from_dict({**(given or {}), **changes})
        if not isinstance(given, self.settings_type):
            raise MismatchError(f"{type(given).__name__} are not settings of codec {self.name!r}")
        return given.replace(**changes) if changes else given

    def encode(
        self, image: Image, settings: S | Mapping[str, Any] | None = None, **changes: Any
    ) -> bytes:
        """Encode one image into self-contained `data`, a standard file where a standard exists.

        Args:
            image: `uint8`, (height, width, 3), RGB.
            settings: as an object, a mapping, or None for the defaults.
            changes: fields that differ from them, e.g. `quality=30`.

        Raises:
            DataError: if `image` is not a `uint8` array of shape (height, width, 3).
            SettingsError: if a setting does not exist, or the settings cannot be used together or
                for this image.
        """
        chosen = self.settings(settings, **changes)
        if not isinstance(chosen, LayeredSettings) or (level := chosen.picture_level) is None:
            return self.encode_image(image, chosen)
        return self._with_picture(image, self.encode_image(image, chosen.task_alone), chosen, level)

    def encode_many(
        self,
        images: Iterable[Image],
        settings: S | Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> list[bytes]:
        """Encode several images with the same settings; by default on all cores."""
        chosen = self.settings(settings, **changes)
        if not isinstance(chosen, LayeredSettings) or (level := chosen.picture_level) is None:
            return self.encode_images(images, chosen)
        everything = list(images)
        datas = self.encode_images(everything, chosen.task_alone)
        pairs = zip(everything, datas, strict=True)
        return map_threads(lambda pair: self._with_picture(*pair, chosen, level), pairs)

    def _with_picture(self, image: Image, data: bytes, settings: S, level: int) -> bytes:
        """The data of a task layer with a picture behind it."""
        found = layered(self)
        if found is None:
            cause = f"{self.name}: its settings have a picture, and it is not `Layered`"
            raise PluginError(self.plugin or self.name, cause, codec=self.name)
        return found.picture_encoder(image, data, settings)(level)

    # -- for plugins ----------------------------------------------------------------------

    @abstractmethod
    def encode_image(self, image: Image, settings: S) -> bytes:
        """What `encode` does, with settings as an object. A codec of layers makes the task layer.

        Raises:
            SettingsError: if the settings cannot be used together, or not for this image.
        """

    def encode_images(self, images: Iterable[Image], settings: S) -> list[bytes]:
        """What `encode_many` does, with settings as an object."""
        return map_threads(lambda image: self.encode_image(image, settings), images)

    @abstractmethod
    def decode(self, data: bytes) -> Image:
        """Decode `data` into pixels.

        Calls `codecframe.check_size` with the size in the header before it takes memory for it.

        Raises:
            DataError: if the data is corrupt, truncated or of another format.
            LimitError: if the image is larger than the pixel limit.
        """

    def icc_profile(self, data: bytes) -> bytes | None:
        """The ICC profile of the colours that `decode` gives; None where they are sRGB.

        Only asked after `decode` has taken the same data. Default: None.

        Raises:
            DataError: if the colours are neither sRGB nor describable by a profile.
        """
        del data
        return None

    def strip(self, data: bytes) -> bytes:
        """The payload: `data` without what settings, image shape and payload length determine.

        Default: `data`; of a codec of layers, the two of them.
        """
        found = layered(self)
        return data if found is None else found.strip_layers(data).packed()

    def restore(self, payload: bytes, settings: S, shape: Shape) -> bytes:
        """Exact inverse of `strip`, given the settings and the (height, width) used to encode.

        Raises:
            DataError: if the payload cannot come from `strip`.
        """
        found = layered(self)
        if found is None or not isinstance(settings, LayeredSettings):
            return payload
        alone = settings.picture_level is None
        layers = Layers(payload) if alone else Layers.unpacked(payload, self.name)
        return found.restore_layers(layers, settings, shape)

    def strip_layers(self, data: bytes) -> Layers:
        """The payload's layers apart, as they cross a link one by one. Default: it has one.

        A codec of layers implements this in place of `strip`; see `Layered`.
        """
        return Layers(self.strip(data))

    def restore_layers(self, layers: Layers, settings: S, shape: Shape) -> bytes:
        """Exact inverse of `strip_layers`, where `settings` have the level of the picture.

        A codec of layers implements this in place of `restore`; see `Layered`.

        Raises:
            DataError: if the layers cannot come from `strip_layers`.
        """
        if layers.picture is not None:
            raise DataError(self.name, "has a picture layer, and this codec has none")
        return self.restore(layers.task, settings, shape)

    def warm_up(self) -> None:
        """Load and compile all that the first image would wait for. Default: encodes a small one.

        Called by who cannot wait then, as a camera. May take seconds; may be called again.
        """
        self.encode(np.full((32, 32, 3), 128, np.uint8))

    def exports(self, settings: S, notes: Sequence[str] = ()) -> Mapping[str, str]:
        """The settings as other software takes them: format name -> text. Default: none.

        Args:
            settings: to be written.
            notes: lines to add as comments, e.g. what the settings cost. Only given for formats
                that `encoders` names.
        """
        del settings, notes
        return {}

    def adapted(self, settings: S, encoder: str) -> S:
        """The nearest settings that one of `encoders` has. By default, what it lacks is reset."""
        usual = self.settings_type()
        return settings.replace(**{name: getattr(usual, name) for name in self.encoders[encoder]})

    def decode_many(self, datas: Iterable[bytes]) -> list[Image]:
        """Decode several encodings; by default on all cores."""
        return map_threads(self.decode, datas)

    def decode_latents(self, data: bytes) -> Latents:
        """Decode `data` only as far as its integer latents, where `emits` has a latent space."""
        raise NotImplementedError(f"codec {self.name!r} has no latents")

    def decode_latents_many(self, datas: Iterable[bytes]) -> list[Latents]:
        """Decode several encodings to their latents; by default on all cores."""
        return map_threads(self.decode_latents, datas)


@dataclass(frozen=True)
class Fit(Generic[S]):
    """The encoding that a codec or a search found for a byte limit.

    Attributes:
        data: the encoding.
        settings: the settings it was made with.
        size: its counted bytes, by the accounting that was asked for.
        encodes: how many times the image was encoded to find it.

    Examples:
        >>> found = cf.Pipeline("webp", budget="900B").encode(photo)
        >>> found.size <= 900
        True
        >>> found.data == cf.get_codec("webp").encode(photo, found.settings)
        True
    """

    data: bytes
    settings: S
    size: int
    encodes: int


@runtime_checkable
class SelfFitting(Protocol[S]):
    """A codec that can meet a byte limit without encoding again and again implements `fit`.

    Others are searched by `codecframe.rate`.

    Examples:
        >>> isinstance(cf.get_codec("jpeg"), cf.SelfFitting)  # it has to encode to know
        False
    """

    def fit(self, image: Image, settings: S, max_bytes: int, *, payload_only: bool) -> Fit[S]:
        """The best encoding of at most `max_bytes`; counts the payload alone if `payload_only`.

        Raises:
            BudgetError: if even the smallest encoding is larger; says how large it is.
        """
        ...
