"""Finds plugins and what they offer. A broken plugin is reported by name and skipped."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib import metadata
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from codecframe.core import hooks
from codecframe.core.errors import (
    CodecframeError,
    DependencyError,
    MismatchError,
    PluginError,
    UnknownNameError,
    shown,
    told,
)

if TYPE_CHECKING:  # numpy stays unloaded until a codec is asked for
    from codecframe.core.benchmark import Benchmark
    from codecframe.core.codec import Codec
    from codecframe.core.head import TaskHead
    from codecframe.core.task import Task
    from codecframe.core.trainer import Trainer


@dataclass
class PluginInfo:
    """One plugin, as `codecframe plugins` and `codecframe doctor` show it.

    Attributes:
        name: its entry point's; where another plugin has it already, with the distribution.
        distribution, version: what brought it.
        codecs, heads, tasks, trainers, benchmarks: names of what it brings.
        errors: what went wrong, and what of it was refused.
        seconds: that importing it and asking it what it brings took.

    Examples:
        >>> cf.plugins("jpeg")[0].errors
        []
    """

    name: str
    distribution: str = ""
    version: str = ""
    codecs: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    trainers: list[str] = field(default_factory=list)
    benchmarks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def brief(self) -> dict[str, Any]:
        """What a list says of it: all."""
        return self.to_dict()

    def row(self) -> list[object]:
        """Cells of a table."""
        brought = [", ".join(self.codecs), ", ".join(self.heads), "; ".join(self.errors)]
        return [self.name, f"{self.distribution} {self.version}".strip(), *brought]


def _collected(brought: str, module: str, kind: str) -> Any:
    """A registry's property: what plugins bring of one kind, by name."""

    def collect(registry: Registry) -> Mapping[str, Any]:
        wanted = getattr(importlib.import_module(f"codecframe.core.{module}"), kind)
        return registry._collect(brought, wanted)

    return cached_property(collect)


class Registry:
    """The plugins of one process and the codecs, heads and commands they bring.

    `codecframe.core.registry.default()` holds the installed ones. A new `Registry` takes
    plugins by `register`, e.g. in tests.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._infos: dict[str, PluginInfo] = {}
        self._opened: dict[str, Any] = {}
        self._held_heads: dict[str, TaskHead] = {}

    # -- plugins --------------------------------------------------------------------------

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin: a module or object with hook implementations."""
        self._infos[name] = PluginInfo(name)
        self._guard(name, lambda: self._manager.register(plugin, name))

    def load_installed(self) -> None:
        """Add every plugin of the entry-point group `codecframe`.

        Those of the distribution `codecframe` come first: nobody else's plugin takes their names,
        or those of what they bring. The environment variable `CODECFRAME_PLUGINS` restricts
        plugins to a comma-separated list of names; an empty value loads none.
        """
        wanted = os.environ.get(PLUGINS_VARIABLE)
        names = None if wanted is None else {name.strip() for name in wanted.split(",")}
        for point, distribution, version in _entry_points():
            if names is not None and point.name not in names:
                continue
            if point.name in self._infos:
                other = f"{point.name} of {distribution or 'another distribution'}"
                info = PluginInfo(other, distribution, version)
                owner = self._infos[point.name].distribution
                info.errors.append(f"the name {shown(point.name)} is taken by that of {owner}")
                self._infos[other] = info
                continue
            self._infos[point.name] = PluginInfo(point.name, distribution, version)
            self._guard(point.name, partial(self._load, point))

    def _load(self, point: metadata.EntryPoint) -> None:
        self._manager.register(point.load(), point.name)

    def plugins(self) -> list[PluginInfo]:
        """All plugins, also those that failed, with what they offer and their errors."""
        _ = self.codecs, self.heads, self.tasks, self.trainers, self.benchmarks
        return list(self._infos.values())

    def _guard(self, plugin: str, action: Callable[[], Any]) -> Any:
        """Run a plugin's code; whatever it raises is written down under its name."""
        info = self._infos[plugin]
        started = time.perf_counter()
        try:
            return action()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a stranger's code may raise anything, SystemExit, too
            info.errors.append(told(error))
            return None
        finally:
            info.seconds = round(info.seconds + time.perf_counter() - started, 3)

    def _implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """(plugin, its function), those of codecframe's own plugins first."""
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return sorted(
            ((impl.plugin_name, impl.function) for impl in found),
            key=lambda pair: (self._infos[pair[0]].distribution != hooks.PROJECT, pair[0]),
        )

    # -- what they bring ------------------------------------------------------------------

    codecs: Mapping[str, Codec[Any]] = _collected("codecs", "codec", "Codec")
    heads: Mapping[str, TaskHead] = _collected("heads", "head", "TaskHead")
    tasks: Mapping[str, Task] = _collected("tasks", "task", "Task")
    """Those of plugins alone."""
    trainers: Mapping[str, Trainer[Any]] = _collected("trainers", "trainer", "Trainer")
    """By the kind of recipe that they run."""
    benchmarks: Mapping[str, Benchmark[Any]] = _collected("benchmarks", "benchmark", "Benchmark")

    def _collect(self, brought: str, kind: type[Any]) -> dict[str, Any]:
        hook = f"codecframe_{brought}"
        found: dict[str, Any] = {}
        for plugin, function in self._implementations(hook):
            info = self._infos[plugin]
            for item in self._guard(plugin, partial(_listed, function)) or []:
                if fault := fault_of(item, kind):
                    info.errors.append(f"{hook} returned {shown(item)}, {fault}")
                elif item.name in found:
                    info.errors.append(f"{item.name!r} is taken by another plugin")
                else:
                    found[item.name] = item
                    getattr(info, brought).append(item.name)
                    _sign(item, plugin)
        return dict(sorted(found.items()))

    def codec(self, spec: str) -> Codec[Any]:
        """The codec of that name, opened from a model file, or made of two (`vae+webp`).

        Raises:
            DataError: if the file cannot be read.
            UnknownNameError: if no plugin knows it; names the nearest.
            MismatchError: if two codecs cannot be one.
            PluginError: if the plugin that does failed on it.
        """
        first, mark, second = spec.rpartition(hooks.JOINS)
        if mark and not (spec in self._opened or os.path.exists(spec)):
            from codecframe.core.joined import join_codecs

            self._opened[spec] = join_codecs(self._single_codec(first), self._single_codec(second))
        return self._single_codec(spec)

    def _single_codec(self, spec: str) -> Codec[Any]:
        """The codec that is known by a name, or opened from a model file."""
        if spec in self.codecs:
            return self.codecs[spec]
        if spec not in self._opened:
            from codecframe.core.codec import Codec

            self._opened[spec] = self._open("codec", Codec, spec, self.codecs)
        codec: Codec[Any] = self._opened[spec]
        return codec

    def hold(self, codec: Codec[Any]) -> str:
        """Know a codec that no plugin brings by its name from here on; returns the name.

        Raises:
            MismatchError: if it is not what a codec must be, or its name is another's.
        """
        from codecframe.core.codec import Codec

        if fault := fault_of(codec, Codec):
            raise MismatchError(f"{shown(codec)} cannot be a codec, {fault}")
        known = self.codecs.get(codec.name)
        if known is not None and type(known) is not type(codec):
            raise MismatchError(f"an installed codec has the name {codec.name!r}")
        if known is None:
            self._opened[codec.name] = codec
        return codec.name

    def head(self, spec: str, options: Mapping[str, Any] | None = None) -> TaskHead:
        """The head of that name, or opened from a description, a model file or an import path.

        Args:
            spec: a head's name, a model file, `module:function`, or a description file (`.yaml`).
            options: what a description file would say besides `model`.

        Raises:
            DataError: if the file cannot be read.
            UnknownNameError: if no plugin knows it.
            PluginError: if the plugin that does failed on it.
        """
        from codecframe.core import headfile
        from codecframe.core.head import TaskHead

        asked = "" if options else spec  # what opens the same head again
        if spec.endswith(headfile.SUFFIXES) and not options:
            spec, options = headfile.load(spec)
        known = self.heads.get(spec) or self._held_heads.get(spec)
        if known is not None:
            if options:
                raise MismatchError(f"head {spec!r} takes no {', '.join(options)}")
            return known
        found: TaskHead = self._open(
            "head", TaskHead, spec, self.heads, options=dict(options or {})
        )
        with suppress(AttributeError):
            found.spec = asked
        return found

    def hold_head(self, head: TaskHead) -> str:
        """Know a head that no plugin brings by its name from here on; returns by what it is opened.

        Raises:
            MismatchError: if it is not what a head must be.
        """
        from codecframe.core.head import TaskHead

        if fault := fault_of(head, TaskHead):
            raise MismatchError(f"{shown(head)} cannot be a head, {fault}")
        if head.spec:
            return head.spec
        if self.heads.get(head.name) is not head:
            self._held_heads[head.name] = head
        return head.name

    def renew(self) -> None:
        """Ask plugins again what they bring, e.g. when a model file is there that was not."""
        for info in self._infos.values():
            for names in (info.codecs, info.heads):
                names.clear()
        for name in ("codecs", "heads"):
            self.__dict__.pop(name, None)

    def _open(
        self, what: str, kind: type[Any], spec: str, known: Iterable[str], **arguments: Any
    ) -> Any:
        """What the first plugin that knows `spec` makes of it."""
        for plugin, function in self._implementations(f"codecframe_open_{what}"):
            try:
                opened = function(spec=spec, **arguments)
            except (CodecframeError, KeyboardInterrupt, MemoryError):
                raise
            except BaseException as error:  # a stranger's code may raise anything
                cause = f"cannot open {what} {shown(spec)}: {told(error)}"
                raise PluginError(plugin, cause) from error
            if opened is not None:
                if fault := fault_of(opened, kind):
                    raise PluginError(plugin, f"returned {shown(opened)}, {fault}")
                _sign(opened, plugin)
                return opened
        raise UnknownNameError(what, spec, known)

    def trainer(self, kind: str) -> Trainer[Any]:
        """The trainer for recipes of that kind.

        Raises:
            UnknownNameError: if there is no such kind; names the nearest.
        """
        try:
            return self.trainers[kind]
        except KeyError:
            raise UnknownNameError("kind of training", kind, self.trainers) from None

    def add_commands(self, cli: Any) -> None:
        """Let every plugin add its commands to the command line."""
        for plugin, function in self._implementations("codecframe_commands"):
            before = dict(cli.commands)
            self._guard(plugin, partial(function, cli=cli))
            self._check_commands(cli, plugin, before)

    def _check_commands(self, cli: Any, plugin: str, before: Mapping[str, Any]) -> None:
        """Take back what no help can list, and what replaces the command of another plugin."""
        import click

        for name, command in list(cli.commands.items()):
            is_command = isinstance(name, str) and isinstance(command, click.Command)
            if not is_command or before.get(name, command) is not command:
                self._infos[plugin].errors.append(f"its command {shown(name)} is refused")
                del cli.commands[name]
        cli.commands.update(before)


PLUGINS_VARIABLE = "CODECFRAME_PLUGINS"
"""The environment variable that says which plugins are loaded."""


def own_plugins() -> list[str]:
    """Names of the plugins that come with codecframe."""
    return [point.name for point, owner, _ in _entry_points() if owner == hooks.PROJECT]


def _entry_points() -> list[tuple[metadata.EntryPoint, str, str]]:
    """(entry point, its distribution, that one's version), each once, codecframe's own first."""
    found = {}
    owners: dict[int, tuple[str, str]] = {}  # a distribution's metadata is parsed once
    for point in metadata.entry_points(group=hooks.PROJECT):
        if id(point.dist) not in owners:
            owners[id(point.dist)] = _owner(point)
        name, version = owners[id(point.dist)]
        found[point.name, point.value, name] = (point, name, version)
    return sorted(found.values(), key=lambda f: (f[1] != hooks.PROJECT, f[0].name, f[1]))


def _owner(point: metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of an entry point's distribution; empty where its metadata is damaged."""
    try:
        return (str(point.dist.name), str(point.dist.version)) if point.dist else ("", "")
    except Exception:
        return "", ""


_MOST_ITEMS = 1000
"""Codecs, heads and so on of one plugin."""


def _listed(function: Callable[[], Iterable[Any]]) -> list[Any]:
    items = list(islice(function(), _MOST_ITEMS + 1))
    if len(items) > _MOST_ITEMS:
        raise ValueError(f"brings more than {_MOST_ITEMS}")
    return items


def fault_of(item: object, kind: type[Any]) -> str:
    """What keeps the registry from taking an item that a plugin brings; empty: nothing.

    Args:
        item: e.g. a codec.
        kind: of which it must be, e.g. `Codec`.
    """
    if not isinstance(item, kind):
        return f"which is not a {kind.__name__}"
    try:
        return _wrong_attribute(item)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a property, or a settings class
        return f"which raises {told(error)}"


def _wrong_attribute(item: Any) -> str:
    name = item.name
    if not isinstance(name, str) or not name or len(name) > _LONGEST_NAME:
        return f"whose name is {shown(name)}, not a short text"
    if not name.isprintable():
        return f"whose name, {shown(name)}, does not print"
    if not isinstance(item.summary, str):
        return f"whose summary is {shown(item.summary)}, not text"
    requires = getattr(item, "requires", {})
    texts = [*requires, *requires.values()] if isinstance(requires, Mapping) else [None]
    if not all(isinstance(text, str) for text in texts):
        return f"whose `requires` is {shown(requires)}, not package: requirement"
    if settings_type := getattr(item, "settings_type", None):
        settings_type.fields()
        if settings_type.knob() is not None:
            settings_type()  # what a codec is listed and tried with
    for attribute in ("extension", "suffix"):
        if not isinstance(getattr(item, attribute, ""), str):
            return f"whose {attribute} is not text"
    return ""


_LONGEST_NAME = 4096  # that of a codec from a file is its path


def _sign(item: Any, plugin: str) -> None:
    """Write down in a codec which plugin it is from, for messages."""
    with suppress(Exception):  # it may not be written to
        if not item.plugin:
            item.plugin = plugin


@cache
def default() -> Registry:
    """The registry of the installed plugins, loaded on first use.

    Examples:
        >>> from codecframe.core.registry import default
        >>> "webp" in default().codecs
        True
    """
    registry = Registry()
    registry.load_installed()
    return registry


def get_codec(spec: str) -> Codec[Any]:
    """The codec of that name, opened from a model file, or made of two (`vae+webp`).

    Raises:
        DataError: if the file cannot be read.
        UnknownNameError: if no plugin knows it; names the nearest.
        MismatchError: if two codecs cannot be one: the first needs latents, the second pixels.
        PluginError: if the plugin that does failed on it.

    Examples:
        >>> cf.get_codec("webp").extension
        '.webp'
        >>> print(cf.get_codec("vae+webp").summary)
        latents of vae, and a picture by webp
    """
    return default().codec(spec)


def get_head(spec: str) -> TaskHead:
    """The head of that name, or opened from a file or an import path (`module:function`).

    Raises:
        DataError: if the file cannot be read.
        UnknownNameError: if no plugin knows it.
        PluginError: if the plugin that does failed on it.

    Examples:
        >>> cf.get_head("photo_heads:brightness").predict([photo]).scores.shape
        (1, 2)
    """
    return default().head(spec)


def missing(requires: Mapping[str, str]) -> list[str]:
    """The pip requirements of the packages in `requires` that are not installed, each once.

    Examples:
        >>> from codecframe.core.registry import missing
        >>> missing({"json": "a", "a_missing_package": "codecframe[heic]"})
        ['codecframe[heic]']
    """
    needed = (install for package, install in requires.items() if not _installed(package))
    return list(dict.fromkeys(needed))


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def require(package: str, install: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: import name.
        install: what `pip install` takes, e.g. `codecframe[heic]`.

    Raises:
        DependencyError: if it is not installed; the message has the command.

    Examples:
        >>> json = cf.require("json", "a-package-that-has-json")
        >>> json.dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and package.split(".", maxsplit=1)[0] == error.name.split(".")[0]:
            raise DependencyError(package, install) from None
        raise


def available(items: Iterable[Any]) -> list[Any]:
    """Those codecs or heads whose optional packages are installed.

    Examples:
        >>> from codecframe.core.registry import available
        >>> [codec.name for codec in available([cf.get_codec("png")])]
        ['png']
    """
    return [item for item in items if not missing(item.requires)]
