"""Every error that codecframe raises on purpose, as one tree under `CodecframeError`.

The command line prints the message of any of these without a traceback and ends with exit code 1
(2 of a `UsageError`), so a message says what was wrong, with which value, and what would have been
right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

MOST_SHOWN = 80
"""Characters of a value that a message shows."""
_MOST_TOLD = 500
"""Characters of a stranger's message."""
_PLAIN = (list, tuple, set, frozenset, dict)
"""What is shown item by item; a subclass may do anything when it is gone through."""


def shown(value: object) -> str:
    """A value as messages show it: its `repr`, at most 80 characters long, whatever it is.

    No more of it is looked at than is shown, so that this takes no time or memory to speak of for
    values that strangers made.
    """
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > MOST_SHOWN:
            return text[: MOST_SHOWN - 3] + "..."
    return text


def _pieces(value: object) -> Iterator[str]:
    """A `repr` piece by piece."""
    if isinstance(value, _PLAIN) and type(value) in _PLAIN:
        brackets = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
        yield brackets[0]
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _pieces(item)
            if isinstance(value, Mapping):
                yield ": "
                yield from _pieces(value[item])
        yield brackets[1]
    elif isinstance(value, (str, bytes)):
        yield repr(value[: MOST_SHOWN + 1])
    elif isinstance(value, int) and value.bit_length() > 4 * MOST_SHOWN:
        yield f"an integer of about {round(value.bit_length() * 0.30103)} digits"
    else:
        try:
            yield repr(value)
        except Exception:  # a stranger's object may raise anything
            yield f"<{type(value).__name__}>"


def told(error: BaseException) -> str:
    """Kind and message of an error that a stranger's code raised, in one line."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # a stranger's error may raise anything itself
        message = ""
    short = message if len(message) <= _MOST_TOLD else message[: _MOST_TOLD - 3] + "..."
    return f"{type(error).__name__}: {short}" if short else type(error).__name__


class CodecframeError(Exception):
    """Base of all errors raised by codecframe and its plugins. They pickle.

    Examples:
        >>> try:
        ...     image = cf.read_image("missing.png")
        ... except cf.CodecframeError as error:
        ...     print(error)
        missing.png: No such file or directory
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


class UsageError(CodecframeError):
    """Arguments that do not go together, or one that is missing.

    Args:
        message: with the names of parameters in braces: `"{shape} needs {payload}"`. The command
            line puts its options there.

    Examples:
        >>> cf.decode_files("photo.png", payload=True)
        Traceback (most recent call last):
        UsageError: payload needs codec and shape
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._message = message

    def __str__(self) -> str:
        return self.worded(str)

    def worded(self, called: Callable[[str], str]) -> str:
        """The message with parameters as `called` names them."""
        return _PARAMETER.sub(lambda found: called(found[1]), self._message)


_PARAMETER = re.compile(r"\{(\w+)\}")


def _restored(kind: type[CodecframeError], args: tuple[Any, ...], values: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error


class SettingsError(CodecframeError):
    """A codec setting is unknown, of the wrong type, or out of its range.

    Examples:
        >>> cf.get_codec("jpeg").encode(photo, quality=400)
        Traceback (most recent call last):
        SettingsError: setting 'quality' is 400: expected an integer from 1 to 100
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        #: what is wrong, without the word that this is a setting
        self.problem = f"{shown(field)} is {shown(value)}: expected {expected}"
        super().__init__(f"setting {self.problem}")
        self.field = field
        self.value = value
        self.expected = expected


class BudgetError(CodecframeError):
    """A budget cannot be met, or its text cannot be read.

    Examples:
        >>> try:
        ...     found = cf.Pipeline("webp", budget="20B").encode(photo)
        ... except cf.BudgetError as error:
        ...     print(error.asked, error.smallest > 20)
        20 True
    """

    def __init__(
        self, message: str, *, asked: int | None = None, smallest: int | None = None
    ) -> None:
        super().__init__(message)
        #: bytes that were allowed, where known
        self.asked = asked
        #: smallest size in bytes that was reached, where known
        self.smallest = smallest


class DataError(CodecframeError):
    """Input bytes are corrupt, truncated or of another format; `source` is a codec or a file.

    Examples:
        >>> cf.get_codec("png").decode(b"some text")
        Traceback (most recent call last):
        DataError: png: not a PNG file
    """

    def __init__(self, source: str, reason: object) -> None:
        super().__init__(f"{source if len(source) <= _MOST_TOLD else shown(source)}: {reason}")
        self.source = source


class as_data_error:  # noqa: N801  in the way of contextlib.suppress
    """Turn errors of the `with` block into the `DataError` of a source.

    Args:
        source: a codec's name, or a file.
        kinds: of errors; none: all that are not errors of codecframe, since libraries raise many.
        saying: what to say before the error's own message.

    Examples:
        >>> with cf.as_data_error("mine", ValueError, saying="has no size"):
        ...     size = int("?")
        Traceback (most recent call last):
        DataError: mine: has no size: invalid literal for int() with base 10: '?'
    """

    __slots__ = ("_kinds", "_saying", "_source")

    def __init__(self, source: object, *kinds: type[Exception], saying: str = "") -> None:
        self._source, self._kinds, self._saying = source, kinds, saying

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, self._kinds or Exception):
            return
        if not self._kinds and isinstance(error, CodecframeError):
            return
        reason = getattr(error, "strerror", None) or error
        said = f"{self._saying}: {reason}" if self._saying else reason
        raise DataError(str(self._source), said) from error


class LimitError(CodecframeError):
    """Input asks for more memory than the limits allow; see `codecframe.limit_pixels`.

    Examples:
        >>> with cf.limit_pixels(1000):
        ...     image = cf.read_image("photo.png")
        Traceback (most recent call last):
        LimitError: photo.png: ...over the limit of 1,000...
    """


class MismatchError(CodecframeError):
    """Two parts do not go together: representation, latent space, shape or model digest.

    Examples:
        >>> cf.get_codec("jpeg").encode(photo, cf.get_codec("webp").settings())
        Traceback (most recent call last):
        MismatchError: WebpSettings are not settings of codec 'jpeg'
    """


class PluginError(CodecframeError):
    """A plugin failed to load or to do its job.

    Examples:
        >>> print(cf.PluginError("mine", "ImportError: no module named 'minelib'"))
        plugin 'mine': ImportError: no module named 'minelib'
    """

    def __init__(self, plugin: str, cause: object, *, codec: str = "") -> None:
        super().__init__(f"plugin {shown(plugin)}: {cause}")
        self.plugin = plugin
        #: the codec that failed, if it was one
        self.codec = codec


def pip_install(requirements: Iterable[str]) -> str:
    """The command that installs them, with the extras of one package in one pair of brackets.

    Args:
        requirements: what `pip install` takes, e.g. `codecframe[heic]`.
    """
    wanted: dict[tuple[str, str], dict[str, None]] = {}  # dictionaries, for their order
    for requirement in requirements:
        name, bracket, rest = requirement.partition("[")
        extras, _, version = rest.partition("]")
        key = (name.strip(), version.strip())
        found = wanted.setdefault(key, {})
        if bracket:
            found.update(dict.fromkeys(extra.strip() for extra in extras.split(",")))
    joined = [
        f"'{name}[{','.join(extras)}]{version}'" if extras else f"'{name}{version}'"
        for (name, version), extras in wanted.items()
    ]
    return f"pip install {' '.join(joined)}"


class DependencyError(CodecframeError):
    """An optional package is not installed; the message has the command that installs it.

    Examples:
        >>> cf.require("a_missing_package", "codecframe[heic]")
        Traceback (most recent call last):
        DependencyError: 'a_missing_package' is not installed; run: pip install 'codecframe[heic]'
    """

    def __init__(self, package: str, install: str) -> None:
        super().__init__(f"{package!r} is not installed; run: {pip_install([install])}")
        self.package = package
        self.install = install


class UnknownNameError(CodecframeError):
    """A codec, head, preset or image set was asked for by a name that nothing has.

    Examples:
        >>> cf.get_codec("jpg")
        Traceback (most recent call last):
        UnknownNameError: unknown codec 'jpg'; did you mean 'jpeg'?
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib  # for errors alone

        known = sorted(known)
        wanted = name[:MOST_SHOWN].lower()
        close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
        super().__init__(f"unknown {kind} {shown(name)}; {hint}")
        self.name = name
        self.nearest = close[0] if close else None


class OutputError(CodecframeError):
    """A file could not be written: no space, no permission, no folder.

    Examples:
        >>> cf.write_whole("photo.png/copy.png", b"")  # a file is not a folder
        Traceback (most recent call last):
        OutputError: cannot write photo.png/copy.png: ...
    """

    def __init__(self, path: str, cause: object) -> None:
        super().__init__(f"cannot write {path}: {cause}")
        self.path = path
