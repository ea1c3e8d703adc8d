"""Logs: one JSON object a line for machines, a readable line for people, secrets in neither."""

import logging
import re
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import orjson
from opentelemetry import trace

from tapewire.service.settings import ServiceSettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_SECRET_NAME = re.compile(r"(?i)(token|secret|password|passwd|authorization|cookie|api_?key)")
_REDACTIONS = (
    # JSON Web Tokens, wherever they stand (RFC 7519 §3.1: three base64url parts)
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*"), "[token]"),
    # the password of a URL
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@\"']+@"), r"\1[redacted]@"),
    # a bearer token that is no JWT, in a header or in a WebSocket subprotocol
    (re.compile(r"(?i)\b(bearer[ .])[\w.~+/=-]{8,}"), r"\1[redacted]"),
    # name=value and "name": "value"
    (
        re.compile(
            r"(?i)(\b[\w-]*(?:secret|password|passwd)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s,\"'&]+"
        ),
        r"\1[redacted]",
    ),
)


def redact(text: str) -> str:
    """Return the text without tokens, passwords of URLs and values of secrets."""
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller gave as `extra=`; values under a secret's name are hidden."""
    given = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {key: _clean(key, value) for key, value in given.items()}


def _clean(key: object, value: object) -> Any:
    """Return a value that JSON can hold, without secrets."""
    if isinstance(key, str) and _SECRET_NAME.search(key):
        return "[redacted]"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        entries = cast(dict[object, object], value)
        return {str(name): _clean(name, item) for name, item in entries.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(None, item) for item in cast(Iterable[object], value)]
    return redact(str(value))


def _trace(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return None


class JsonFormatter(logging.Formatter):
    """`{"time","level","service","logger","message", …extra, "trace_id"?, "exception"?}`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            entry["trace_id"] = trace.format_trace_id(context.trace_id)
            entry["span_id"] = trace.format_span_id(context.span_id)
        for key, value in _fields(record).items():
            entry.setdefault(key, value)
        if exception := _trace(record):
            entry["exception"] = exception
        return orjson.dumps(entry).decode()


class ConsoleFormatter(logging.Formatter):
    """`12:00:01.250 WARNING ingest  event rejected  reason=…`, coloured on a terminal."""

    _COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1", "DEBUG": "2"}  # noqa: RUF012

    def __init__(self, service: str, *, colour: bool) -> None:
        super().__init__()
        self._service = service
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the trace of an exception below it."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f"  {key}={_shown(value)}" for key, value in _fields(record).items())
        level = f"{record.levelname:<7}"
        if self._colour and (code := self._COLOURS.get(record.levelname)):
            level = f"\x1b[{code}m{level}\x1b[0m"
        line = f"{time} {level} {self._service:<9} {redact(record.getMessage())}{fields}"
        if exception := _trace(record):
            line = f"{line}\n{exception}"
        return line


def _shown(value: object) -> str:
    """Return a value for people; one with control characters or spaces in quotes."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def configure(settings: ServiceSettings, service: str, stream: TextIO | None = None) -> None:
    """Send this process's logs to `stream` (standard error by default), and nothing else."""
    target = stream or sys.stderr
    formatter: logging.Formatter
    if settings.log_format == "json":
        formatter = JsonFormatter(service)
    else:
        formatter = ConsoleFormatter(service, colour=target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("aio_pika", "aiormq", "httpx", "httpcore", "aiosqlite", "sqlalchemy.pool"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
