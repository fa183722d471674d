"""Files: written whole or not at all; and where caches lie."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from codecframe.errors import OutputError


def write_whole(path: Path | str, data: bytes | str) -> None:
    """Write a file under a temporary name beside it and rename: a reader never sees half of it.

    Folders are made as needed. On any failure, Ctrl-C included, an older file stays as it was.

    Raises:
        OutputError: if it cannot be written.
    """
    path = Path(path)
    content = data.encode() if isinstance(data, str) else data
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise OutputError(str(path), error.strerror or error) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cache_dir() -> Path:
    """Where codecframe may keep what it can make again (`XDG_CACHE_HOME`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codecframe"


def data_root() -> Path | None:
    """The folder with data sets that `CODECFRAME_DATA` names, if it does."""
    text = os.environ.get("CODECFRAME_DATA")
    return Path(text) if text else None
