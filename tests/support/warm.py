"""Programs in processes of their own that begin with the large packages imported.

A process that has done nothing but import what codecframe is built on forks for each program: that
takes a fifth of a second instead of two. codecframe itself is imported by the program alone. On
systems other than Linux, programs are started as usual.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from quickexport import keep_table

CODECFRAME = "codecframe"
"""The program that is the command line."""
_PACKAGES = (  # none starts threads
    *("torch", "torch.export", "onnxscript", "torch.onnx._internal.exporter._compat"),
    *("imagecodecs", "PIL.Image", "matplotlib.pyplot", "jinja2", "yaml", "sqlite3"),
    *("click", "rich.console", "rich.progress", "rich.table"),
)


def run(
    program: str | Path,
    *arguments: object,
    cwd: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    seconds: int = 900,
    anew: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run a file of Python, or `CODECFRAME`.

    Args:
        program: the file.
        arguments: its arguments.
        cwd: where.
        stdin: what it reads.
        environment: variables besides those of this process. `PYTHONPATH` is heeded.
        seconds: after which it is ended.
        anew: start Python, for variables that it heeds as it starts, or to hide packages.
    """
    environment = {**os.environ, **(environment or {})}
    words = [str(program), *map(str, arguments)]
    if anew or sys.platform != "linux":  # macOS forks no process that has its frameworks loaded
        name = Path(sys.executable).with_name(CODECFRAME)
        start: list[Any] = [name] if program == CODECFRAME else [sys.executable, program]
        return subprocess.run(
            [*start, *words[1:]], cwd=cwd, env=environment, input=stdin, capture_output=True,
            timeout=seconds, check=False,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("in", "out", "err")]
        streams[0].write_bytes(stdin)
        asked = {
            "words": words, "cwd": str(cwd), "environment": environment, "seconds": seconds,
            "streams": [str(path) for path in streams],
        }  # fmt: skip
        code = _ask(_server(), asked)
        out, err = (path.read_bytes() if path.exists() else b"" for path in streams[1:])
    return subprocess.CompletedProcess(words, code, out, err)


def _ask(server: subprocess.Popen[str], asked: Mapping[str, Any]) -> int:
    """The exit code of a program."""
    assert server.stdin and server.stdout
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    """The process that forks; it ends with this one, whose pipe it reads."""
    return subprocess.Popen(
        [sys.executable, __file__], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _serve() -> dict[str, Any] | None:
    """Fork for each request: that of a program, in its process; None at the end."""
    for name in _PACKAGES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    keep_table()
    gc.freeze()  # nobody writes to what all share
    for line in sys.stdin:
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            return dict(json.loads(line))
    return None


def _become(words: Sequence[str], cwd: str, environment: Mapping[str, str], **more: Any) -> None:
    """Run the program, as if Python had been started with it."""
    signal.alarm(more["seconds"])
    for number, path in enumerate(more["streams"]):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, flags), number)
    os.chdir(cwd)
    of_server = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    beside = sys.executable if words[0] == CODECFRAME else Path(words[0]).resolve()
    wanted = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    installed = [path for path in sys.path[1:] if path not in of_server]
    sys.path[:] = [str(Path(beside).parent), *wanted, *installed]
    sys.argv[:] = words
    if words[0] == CODECFRAME:
        runpy.run_module("codecframe.cli", run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


def _end(code: object) -> None:
    """End as Python does, but leave all that was imported where it is: that takes longest."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__" and (request := _serve()):
    try:
        _become(**request)
        result: object = None
    except SystemExit as error:
        result = error.code
    except BaseException:
        traceback.print_exc()
        result = 1
    _end(result)
