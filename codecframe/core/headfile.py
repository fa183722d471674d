"""Head description files: a model, and what it does not say about itself.

    model: signs.onnx                # or .pt2, TorchScript, package.module:function, a head's name
    name: signs
    labels: labels.txt               # one a line; or a list
    outputs: logits                  # or probabilities, log-probabilities, sigmoid
    output: scores                   # which, where a model has several
    preprocess: {resize: 48, crop: 48, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}

    task: detection                  # where it does not classify: see docs/tasks.md

Only `model` must be there. Paths are relative to the file; a model that is not there is looked for
below the folder that `CODECFRAME_DATA` names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codecframe.core.errors import DataError
from codecframe.core.files import data_root, is_file, read_lines, read_mapping

SUFFIXES = (".yaml", ".yml")


def load(path: Path | str) -> tuple[str, dict[str, Any]]:
    """Read a head description file.

    Returns:
        The model, as `get_head` takes it, and the options for the plugin that opens it, which
        checks them; a file with labels is read already.

    Raises:
        DataError: if the file, or that with the labels, cannot be read, or names no model.
    """
    path = Path(path)
    options = read_mapping(path)
    model = options.pop("model", None)
    if not isinstance(model, str):
        raise DataError(str(path), "is not a head description: it does not name a `model`")
    labels = options.get("labels")
    if isinstance(labels, str):
        options["labels"] = read_lines(path.parent / labels)
    folders = [path.parent, *filter(None, [data_root()])]
    found = next((folder / model for folder in folders if is_file(folder / model)), model)
    return str(found), options
