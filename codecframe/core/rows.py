"""What is known of image files, from a table: CSV with a column `file`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from codecframe.core.errors import DataError, as_data_error
from codecframe.core.files import open_regular

MOST_LABELS = 1 << 30
"""Bytes of a labels file."""


def read_rows(
    path: str, columns: Iterable[str], where: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[str, dict[str, str]]]:
    """What a CSV file says of images: the absolute path of each, and its row.

    Args:
        path: the file; paths in its column `file` are relative to its folder.
        columns: that it must have besides.
        where: only rows whose columns have these values.

    Raises:
        DataError: if it cannot be read, or lacks one of these columns.

    Examples:
        >>> _ = Path("shades.csv").write_text("file,shade\\nphoto.png,0.4\\n")
        >>> [row["shade"] for path, row in cf.read_rows("shades.csv", ["shade"])]
        ['0.4']
    """
    folder = os.path.dirname(path)
    problem = as_data_error(path, ValueError, csv.Error, saying="is not CSV text")
    with problem, open_regular(path) as file:
        if os.path.getsize(path) > MOST_LABELS:
            raise DataError(path, f"is larger than the {MOST_LABELS:,} bytes that are read")
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.DictReader(text, restval="")
        if missing := {"file", *columns, *where} - set(reader.fieldnames or ()):
            raise DataError(path, f"has no column {', '.join(sorted(missing))}")
        for row in reader:
            if all(row[column] == value for column, value in where.items()):
                yield os.path.abspath(os.path.join(folder, row["file"])), row
