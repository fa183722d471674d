"""Where the files that are made of images go: stdout, one file, or files in a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from codecframe.core.errors import UsageError
from codecframe.core.naming import output_names
from codecframe.core.outputs import refuse_inputs, write_unless_other

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


class Target:
    """A file or folder, planned for all inputs before anything is written.

    Args:
        output: `-` for stdout, a file for one input, a folder for several; None for the current
            folder.
        names: of the inputs, relative, with forward slashes; no two are the same.
        suffix: of the files, with its dot.
        sources: the input files, which are not written over.
        force: files that are there are replaced, whatever they are.

    Raises:
        UsageError: if several inputs are to go to stdout.
        MismatchError: if two inputs would get the same name.
        OutputError: if an input would be written over.
    """

    def __init__(
        self,
        output: str | Path | None,
        names: Sequence[str],
        suffix: str,
        *,
        sources: Iterable[str],
        force: bool,
    ) -> None:
        text = None if output is None else os.fspath(output)
        self.to_stdout = text == "-"
        self._force = force
        if self.to_stdout:
            if len(names) != 1:
                raise UsageError("{output} - takes one input")
            return
        self._paths = _paths(text, names, suffix)
        if not force:
            refuse_inputs(self._paths.values(), sources)

    def write(self, name: str, data: bytes) -> str:
        """Write what was made of an input, whole or not at all; returns where it went.

        Raises:
            OutputError: if a file with other content is there, or it cannot be written.
        """
        if self.to_stdout:
            sys.stdout.buffer.write(data)
            return "-"
        write_unless_other(self._paths[name], data, force=self._force)
        return str(self._paths[name])


def _paths(output: str | None, names: Sequence[str], suffix: str) -> dict[str, Path]:
    """A path for what is made of each input."""
    folder = Path(output or ".")
    several = len(names) > 1 or output is None or output.endswith(_SEPARATORS)
    if not (several or folder.is_dir()):
        return {names[0]: folder}
    made = output_names(names, suffix, folder=folder)
    return {name: folder / one for name, one in zip(names, made, strict=True)}
