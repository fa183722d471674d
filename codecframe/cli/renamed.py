"""Options of before 0.1.0: whoever types one is told its new name."""

from __future__ import annotations

import click

_OPTIONS = {"--body": "--payload", "--retrain-head": "a command of its own, `codecframe adapt`,"}
_VALUES = {("accounting", "bare"): "payload"}


def explained(error: click.UsageError) -> click.UsageError:
    """The error, or one that names what an option or its value is called now."""
    if isinstance(error, click.NoSuchOption) and error.option_name in _OPTIONS:
        now = _OPTIONS[error.option_name]
        message = f"{error.option_name} is {now} since codecframe 0.1.0"
        return click.UsageError(message, error.ctx)
    if isinstance(error, click.BadParameter) and error.param is not None:
        for (parameter, value), now in _VALUES.items():
            if error.param.name == parameter and repr(value) in error.message:
                message = f"{value!r} is {now!r} since codecframe 0.1.0"
                return click.BadParameter(message, error.ctx, error.param)
    return error
