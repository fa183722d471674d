from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toyprofiles import make_table
from toys import toy_registry

from codecframe.evaluation.profile import ProfileTable


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toy_registry():
        yield


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ProfileTable]:
    with make_table(tmp_path / "p") as found:
        yield found
