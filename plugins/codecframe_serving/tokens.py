"""The token that a server wants, and files that TLS is made of: small ones, read with bounds."""

from __future__ import annotations

import os
from pathlib import Path

from codecframe import DataError, as_data_error
from codecframe.core.files import open_regular

VARIABLE = "CODECFRAME_TOKEN"
_MAX_TOKEN = 4096
_MAX_PEM = 1 << 20


def find_token(file: Path | None) -> str | None:
    """The token of a file, else of the environment; None where neither has one.

    The environment forgets it: processes that are started later do not get it.

    Raises:
        DataError: if the file cannot be read, or the token cannot be part of an HTTP header.
    """
    if file is None:
        found = os.environ.pop(VARIABLE, "").strip()
        return _checked(found, VARIABLE) if found else None
    with as_data_error(file, OSError), open(file, "rb") as opened:
        content = opened.read(_MAX_TOKEN + 1)  # a pipe will do: no more than a token is read
    if len(content) > _MAX_TOKEN:
        raise DataError(str(file), f"is longer than a token may be, {_MAX_TOKEN} bytes")
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise DataError(str(file), "is empty: it should hold the token")
    return _checked(text, str(file))


def check_pem(file: Path) -> None:
    """Whether a file may be given to a TLS library, which reads it to its end.

    Raises:
        DataError: if it is not there, not a regular file, or too large.
    """
    with open_regular(file):
        size = file.stat().st_size
    if size > _MAX_PEM:
        raise DataError(str(file), f"is larger than {_MAX_PEM:,} bytes: not a PEM file")


def _checked(token: str, source: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise DataError(source, "is not a token: one line of printable ASCII characters")
    return token
