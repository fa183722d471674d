"""What is known of image files, from a table: CSV with a column `file`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator

from codecframe.core.errors import DataError, as_data_error
from codecframe.core.files import open_regular

MOST_LABELS = 1 << 30
"""Bytes of a labels file."""


def read_rows(path: str, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(absolute path of the image, its row), from a CSV file with a column `file`.

    Raises:
        DataError: if it cannot be read, or lacks that column or one of `columns`.
    """
    folder = os.path.dirname(path)
    problem = as_data_error(path, ValueError, csv.Error, saying="is not CSV text")
    with problem, open_regular(path) as file:
        if os.path.getsize(path) > MOST_LABELS:
            raise DataError(path, f"is larger than the {MOST_LABELS:,} bytes that are read")
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.DictReader(text, restval="")
        if missing := {"file", *columns} - set(reader.fieldnames or ()):
            raise DataError(path, f"has no column {', '.join(sorted(missing))}")
        for row in reader:
            yield os.path.abspath(os.path.join(folder, row["file"])), row
