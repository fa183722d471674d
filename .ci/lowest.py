#!/usr/bin/env python3
"""Print the lowest versions that pyproject.toml declares, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=([^,;\s]+)")


def lowest(project: dict[str, Any]) -> Iterator[str]:
    """`name==version` for each `name>=version` of the dependencies and all extras."""
    extras = project["optional-dependencies"].values()
    requirements = {*project["dependencies"], *(entry for extra in extras for entry in extra)}
    for requirement in sorted(requirements):
        if bound := _BOUND.match(requirement):
            yield "==".join(bound.groups())


if __name__ == "__main__":
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    for constraint in lowest(tomllib.loads(pyproject.read_text())["project"]):
        sys.stdout.write(f"{constraint}\n")
