"""Results: a measured table as a JSON file that says how and where it was made."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codecframe.core.files import write_whole


def is_results(path: Path) -> bool:
    """Whether a file is such a table, which codecframe or one of its benchmarks made."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"recipe", "command", "machine", "rows"} <= set(found)


def write_results(
    path: Path, name: str, command: str, rows: Sequence[Mapping[str, Any]], notes: str = ""
) -> None:
    """Write the table `name`, which `command` makes.

    Raises:
        OutputError: if it cannot be written.
    """
    about = {
        "recipe": name,
        "command": command,
        "seed": None,
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}",
        "notes": notes,
        "rows": [dict(row) for row in rows],
    }
    write_whole(path, json.dumps(about, indent=1) + "\n")
