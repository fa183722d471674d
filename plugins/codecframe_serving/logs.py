"""What a server logs: lines for people, or JSON lines for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("codecframe_serving")
LEVELS = ("debug", "info", "warning", "error")


def event(level: int, message: str, **fields: object) -> None:
    """Log that something happened; `fields` say to whom and how much."""
    LOGGER.log(level, message, extra={"fields": fields})


def start_logging(level: str, *, as_json: bool) -> None:
    """Log to stderr, also what the HTTP server says."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    for name, least in ((LOGGER.name, logging.DEBUG), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(max(least, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger("uvicorn.error").addFilter(_without_clients_faults)


def _without_clients_faults(record: logging.LogRecord) -> bool:
    """A line, not a traceback, where a client sent what is not text."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeError):
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        return LOGGER.isEnabledFor(logging.INFO)
    return True


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            values["error"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        words = [f"{name}={_word(value)}" for name, value in fields.items()]
        line = " ".join([_time(record), record.levelname.lower(), record.getMessage(), *words])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _word(value: object) -> str:
    """A value as one word: strangers' texts cannot start lines or fields of their own."""
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=') else json.dumps(text)
