"""Head description files: a model with what it needs to know, as YAML.

    model: signs.onnx              # or model.pt2, or package.module:function
    name: signs                    # optional
    labels: labels.txt             # optional: a list, or a file with a name a line
    preprocess: {resize: 48, crop: 48, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}

Relative paths are relative to the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codecframe import yamltext
from codecframe.errors import DataError

SUFFIXES = (".yaml", ".yml")
_KEYS = {"model", "name", "labels", "preprocess"}


def load(path: Path | str) -> tuple[str, dict[str, Any]]:
    """Read a description: what `get_head` opens, and the options for it.

    Raises:
        DataError: if it cannot be read, or a key is missing, unknown or of the wrong type.
    """
    path = Path(path)
    try:
        values = yamltext.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(str(path), error) from None
    if not isinstance(values, dict) or not isinstance(values.get("model"), str):
        raise DataError(str(path), "needs a key 'model' with a file or a function")
    if unknown := set(values) - _KEYS:
        raise DataError(str(path), f"has unknown keys: {', '.join(sorted(map(str, unknown)))}")
    model = values.pop("model")
    beside = path.parent / model
    if beside.exists():
        model = str(beside)
    if "labels" in values:
        values["labels"] = _labels(values["labels"], path)
    return model, values


def _labels(value: Any, path: Path) -> list[str]:
    if isinstance(value, list):
        return [str(label) for label in value]
    if not isinstance(value, str):
        raise DataError(str(path), "labels are a list, or the name of a file")
    try:
        return (path.parent / value).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), error) from None
