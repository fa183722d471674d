"""Entry point of the `codecframe` command."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import click

import codecframe
from codecframe.cli.groups import CommandGroup
from codecframe.cli.renamed import explained
from codecframe.core.errors import CodecframeError, UsageError

COMMANDS = {
    "adapt": "Train a head on what a codec leaves of images, without labels.",
    "bench": "List benchmarks, or run one on this machine.",
    "classify": "Predict what images show, straight or through a codec.",
    "codecs": "List codecs, or show one with all its settings.",
    "decode": "Turn encoded files back into PNG images.",
    "demo": "Select a codec and classify real photographs through five of them.",
    "doctor": "Say what is installed, what does not work, and why.",
    "encode": "Encode images with given settings or to a budget.",
    "heads": "List heads, show one, or check its preprocessing.",
    "plugins": "List plugins and what they bring.",
    "presets": "List presets, show one, or export its settings.",
    "profile": "Measure rate and accuracy of codecs for a head over images.",
    "recipe": "Reproduce a published table and its plot.",
    "report": "Make a self-contained HTML page of a profile.",
    "select": "Choose codec and settings for a budget.",
    "train": "Train a learned codec or a classifier as a recipe says.",
    "transcode": "Take a whole data set through a codec, here or on a cluster.",
    "tune": "Find settings of a codec that suit a head.",
}
"""Name and one line of help of every built-in command: `--help` imports none of them."""

OK, REFUSED, USAGE, INTERRUPTED, NO_READER = 0, 1, 2, 130, 141
"""Exit codes: done; refused (bad input, a budget that nothing meets); bad usage; Ctrl-C; whoever
reads the output went away, as shells name it for programs that SIGPIPE ends."""


@contextlib.contextmanager
def _output() -> Iterator[None]:
    """Where output is printed: all of it, before Python shuts down."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # pythonw, or closed by the shell
                sys.stdout.flush()
    except BrokenPipeError:
        raise _NoReaderError from None


class _NoReaderError(Exception):
    """Whoever reads the output went away; of a `BrokenPipeError` click makes exit code 1."""


class _PrintingGroup(CommandGroup):
    """The command line; a reader that goes away is told from a failed command."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        with _output():  # --help prints here
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with _output():
            return super().invoke(ctx)


@click.group(
    cls=_PrintingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Completion: eval "$(_CODECFRAME_COMPLETE=bash_source codecframe)" (also zsh, fish).',
)
@click.version_option(codecframe.__version__, prog_name="codecframe")
@click.option(
    "--no-plugins",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda _ctx, _param, value: _own_plugins_alone() if value else None,
    help="Load only the plugins that come with codecframe.",
)
def cli() -> None:
    """Image codecs chosen, tuned and learned for machine-learning tasks under a bandwidth budget.

    \b
    Examples:
      codecframe select --images photos/ --head efficientnet-lite0 --budget 0.8bpp
      codecframe encode photos/ --codec webp --budget 12kB -o out/
      codecframe classify photo.jpg --head efficientnet-lite0
    """


def _own_plugins_alone() -> None:
    """For this process and those that it starts."""
    from codecframe.core import registry

    os.environ[registry.PLUGINS_VARIABLE] = ",".join(registry.own_plugins())
    registry.default.cache_clear()


for _name, _summary in COMMANDS.items():
    cli.add_lazy_command(_name, _summary, f"codecframe.cli.{_name}:command")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 refused, 2 bad usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # names that are not UTF-8, and all that a terminal cannot show, are written escaped
            stream.reconfigure(errors="backslashreplace")
    stopped = _stop_as_by_ctrl_c()
    code = run(arguments)
    if stopped and code == INTERRUPTED:
        atexit._run_exitfuncs()  # temporary folders, engines
        os._exit(128 + stopped[0])  # what threads are still at is not waited for
    sys.exit(code)


def _stop_as_by_ctrl_c() -> list[int]:
    """Let a request to end clean up as Ctrl-C does; returns a list that the signal is put into."""
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)
    sys.unraisablehook = _raise_again
    return received


_AGAIN_SECONDS = 0.05


def _raise_again(lost: sys.UnraisableHookArgs) -> None:
    """Where Python can only ignore a Ctrl-C (in a destructor, say), it comes once more."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        later = threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main)
        later.daemon = True
        later.start()  # at once, it would come in here
    else:
        sys.__unraisablehook__(lost)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Bad input never shows a traceback."""
    if sys.stdin is None:  # closed by who started this: as if nothing came
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - as long as the process
    try:
        result: Any = cli.main(
            None if arguments is None else list(arguments), "codecframe", standalone_mode=False
        )
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return INTERRUPTED
    except click.UsageError as error:
        explained(error).show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return USAGE
    except CodecframeError as error:
        _complain(str(error))
        return USAGE if isinstance(error, UsageError) else REFUSED
    except _NoReaderError:
        return _no_reader()
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return REFUSED
    except MemoryError:
        _complain("out of memory")
        return REFUSED
    return result if isinstance(result, int) else OK


def _complain(message: str) -> None:
    click.echo(f"codecframe: {message}", err=True)


def _no_reader() -> int:
    """The reader went away: nothing more to say, and no complaint while Python shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER
