"""Fetching CIFAR-10 and CIFAR-100 from where their author publishes them."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import BinaryIO

from codecframe.core.errors import DataError, as_data_error
from codecframe.core.files import reported
from codecframe.images.cifar import KINDS

_TIMEOUT = 60
_MOST_BYTES = 400_000_000
"""The official archives have 170 MB; what is longer is another file."""


def download_cifar(
    name: str, folder: str | Path, *, url: str | None = None, md5: str | None = None
) -> Path:
    """Download the official archive, check its md5 and unpack it below `folder`.

    What is there already is not fetched again. An interrupted download leaves nothing behind.

    Args:
        name: `cifar10` or `cifar100`.
        folder: where to put the folder with the files; what `data_root` may name afterwards.
        url: another place to fetch it from, `http` or `https`.
        md5: of another archive.

    Returns:
        The folder with the binary files.

    Raises:
        DataError: if it cannot be fetched, or is not that archive.
        OutputError: if it cannot be written.
    """
    kind = KINDS[name]
    made = Path(folder) / kind.folder
    if made.is_dir():
        return made
    source = url or kind.url
    with reported(made):
        made.parent.mkdir(parents=True, exist_ok=True)
    with reported(made), tempfile.TemporaryDirectory(dir=folder, prefix=".get-") as scratch:
        archive = Path(scratch) / "archive"
        with archive.open("wb") as file:
            found = _fetch(source, file)
        if found != (md5 or kind.md5):
            raise DataError(source, f"has md5 {found}, not {md5 or kind.md5}")
        _unpack(archive, Path(scratch), source)
        unpacked = Path(scratch) / kind.folder
        if not unpacked.is_dir():
            raise DataError(source, f"holds no folder {kind.folder}")
        unpacked.replace(made)
    return made


def _fetch(url: str, file: BinaryIO) -> str:
    """Copy what is at a URL into a file; returns its md5."""
    if not url.startswith(("http://", "https://")):
        raise DataError(url, "is not an http or https address")
    digest = hashlib.md5(usedforsecurity=False)
    length = 0
    with _opened(url) as response:
        while block := _next_block(response, url):
            length += len(block)
            if length > _MOST_BYTES:
                raise DataError(url, f"is over {_MOST_BYTES:,} bytes long")
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _opened(url: str) -> http.client.HTTPResponse:
    with as_data_error(url, OSError, ValueError, http.client.HTTPException):
        response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=_TIMEOUT)  # noqa: S310
    return response


def _next_block(response: http.client.HTTPResponse, url: str) -> bytes:
    with as_data_error(url, OSError, http.client.HTTPException, saying="broke off"):
        return response.read(1 << 20)


def _unpack(archive: Path, target: Path, source: str) -> None:
    """Unpack plain files and folders; nothing outside `target`, no links out of it."""
    kinds = tarfile.TarError, EOFError, ValueError
    said = "is not a tar archive that can be unpacked"
    with as_data_error(source, *kinds, saying=said), tarfile.open(archive) as opened:
        opened.extractall(target, filter="data")
