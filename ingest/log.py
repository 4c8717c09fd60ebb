"""Structured logging on the standard library: readable lines on a terminal, one JSON object a line everywhere else.

Code logs a short constant message and gives what varies as fields: `log.info("coded", extra={"article": name})`.
Feeds decide what stands in many fields, so nothing from them reaches a terminal as a control character, and what looks
like a secret is masked wherever it stands.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from ingest.records import format_time

Format = Literal["json", "text"]

OURS = ("flows", "ingest", "models")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Passwords in URLs (up to the last @ of the authority, as they may hold one themselves), then name=value and
# name: value as drivers write them into their errors.
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/?#:@]*):[^\s/?#]*@")
_NAME = r"(?:password|passwd|pwd|secret|token|api[_-]?key|authorization|sasl_jaas_config)"
_NAMED_SECRET = re.compile(rf"({_NAME}\w*[\"']?\s*[=:]\s*)(?:bearer\s+|basic\s+)?(\"[^\"]*\"|'[^']*'|[^\s&;,]+)", re.I)
_SECRET_FIELD = re.compile(_NAME, re.I)
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def mask(text: str) -> str:
    """`text` with `***` for passwords in URLs and for the values of names like password, token or api_key."""
    return _NAMED_SECRET.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", text))


def printable(text: str) -> str:
    """`text` with its invisible characters escaped, as they could steer a terminal, hide words or turn them round."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`, secrets masked; values that JSON does not know become their text."""
    named = ((name, value) for name, value in vars(record).items() if name not in _STANDARD)
    return {name: "***" if _SECRET_FIELD.search(name) else _plain(value) for name, value in named}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return mask(str(value))


class JsonFormatter(logging.Formatter):
    """One ASCII JSON object a line: time (RFC 3339, UTC), level, logger, message, fields, error and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": format_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
            "pid": record.process,
        }
        line |= {name: value for name, value in fields(record).items() if name not in line}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """A line for people: time of day (local), level, message, then the fields as name=value."""

    def __init__(self, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        message = printable(mask(record.getMessage()))
        level = f"{record.levelname.lower():<7}"
        given = " ".join(f"{name}={_shown(value)}" for name, value in fields(record).items())
        if self._colour:
            level = f"{_COLOURS.get(record.levelname, _DIM)}{level}{_RESET}"
            given = f"{_DIM}{given}{_RESET}" if given else ""
        line = " ".join(filter(None, (when, level, message, given)))
        if record.exc_info and record.exc_info[0] is not None:
            trace = mask(self.formatException(record.exc_info)).splitlines()
            line = "\n".join([line, *(f"    {printable(part)}" for part in trace)])
        return line


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = printable(str(value))
    return f'"{text}"' if not text or " " in text else text


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at the time: a progress bar may have put itself in front of it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(level: int | str = logging.INFO, form: Format | None = None) -> None:
    """Send all logging to stderr, ours from `level` on, that of libraries from WARNING on. May be called again.

    Without `form`, the environment's CONFLICTWIRE_LOG (json or text) decides, then whether stderr is a terminal.
    """
    terminal = sys.stderr.isatty()
    chosen = form or os.environ.get("CONFLICTWIRE_LOG", "").lower()
    if chosen not in ("json", "text"):
        chosen = "text" if terminal else "json"
    handler = _Stderr()
    colour = terminal and "NO_COLOR" not in os.environ
    handler.setFormatter(JsonFormatter() if chosen == "json" else TextFormatter(colour))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
