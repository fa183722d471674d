"""CompressAI without what it asks for: its models and its coder need torch and numpy alone.

`pip install --no-deps --target FOLDER compressai` is enough.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

_UNUSED = ("einops", "pointops", "pyntcloud", "pytorch_msssim", "torch_geometric", "torchvision")
"""Packages of its data sets and losses, which its modules import at once."""


class _Stand(MetaPathFinder, Loader):
    """Imports something in the place of a package that is not there."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        del path, target
        known = fullname.partition(".")[0] in _UNUSED
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return MagicMock(__path__=[])

    def exec_module(self, module: ModuleType) -> None:
        del module


def load(folder: str) -> tuple[ModuleType, ModuleType]:
    """`compressai.ans` and `compressai.models` of the package in that folder."""
    sys.meta_path.append(_Stand())  # asked last: what is installed is used
    sys.path.append(folder)
    return importlib.import_module("compressai.ans"), importlib.import_module("compressai.models")
